"""Securing FTP with TLS, RFC 4217."""

from __future__ import annotations

import ssl

import pytest

from door.conftest import WRITER
from running import PASSWORD, Site
from talking import Talk


@pytest.fixture
def trust(site: Site) -> ssl.SSLContext:
    """Trust the site's authority."""
    return ssl.create_default_context(cafile=str(site.authority))


@pytest.mark.parametrize("mechanism", ["TLS", "tls-c", "SSL"])
def test_4_auth_encrypts_the_connection_and_forgets_the_login(
    site: Site, trust: ssl.SSLContext, mechanism: str
) -> None:
    with Talk(site, WRITER) as talk:
        assert talk.ask(f"AUTH {mechanism}").code == 234
        talk.encrypt(trust)
        assert talk.codes("PWD", "AUTH TLS", f"USER {WRITER}", f"PASS {PASSWORD}", "PWD") == [
            *(530, 503, 331, 230, 257),
        ]


def test_4_2_auth_has_all_begin_anew(site: Site, trust: ssl.SSLContext, place: str) -> None:
    with Talk(site, WRITER) as talk:
        talk.store(f"{place}/f", b"a\n")
        assert talk.codes("TYPE I", "EPSV ALL", "OPTS MLST size;", "REST 1", "AUTH TLS") == [
            *(200, 200, 200, 350, 234),
        ]
        talk.encrypt(trust)
        assert talk.codes(f"USER {WRITER}", f"PASS {PASSWORD}") == [331, 230]
        assert b";type=file;" in talk.ask(f"MLST {place}/f").text.replace(b" ", b";")
        assert talk.get(f"RETR {place}/f", wish="PASV") == b"a\r\n"


def test_4_auth_by_another_mechanism_is_refused(talk: Talk) -> None:
    assert talk.codes("AUTH GSSAPI", "AUTH KERBEROS_V4", "AUTH TLS-P", "AUTH", "PWD") == [
        504,
        504,
        504,
        501,
        257,
    ]


def test_9_pbsz_is_always_0_and_wants_a_number(site: Site, trust: ssl.SSLContext) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes("PBSZ 0", "AUTH TLS") == [503, 234]
        talk.encrypt(trust)
        assert talk.ask("PBSZ 16384").text == b"200 PBSZ=0\r\n"
        assert talk.codes("PBSZ 0", "PBSZ", "PBSZ x", "PBSZ 4294967296") == [200, 501, 501, 501]


def test_9_prot_chooses_how_data_is_protected(site: Site, trust: ssl.SSLContext, place: str) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes("PROT P", "AUTH TLS") == [503, 234]
        talk.encrypt(trust)
        assert talk.codes("PROT P", "PBSZ 0") == [503, 200]
        talk.log_in(WRITER)
        talk.store(f"{place}/f", b"in clear: the level at first is C")
        assert talk.codes("PROT P", "PROT S", "PROT E", "PROT X", "PROT") == [200, 536, 536, 504, 501]
        with talk.data() as data, trust.wrap_socket(data, server_hostname=site.host) as wrapped:
            assert talk.ask(f"RETR {place}/f").code == 150
            assert wrapped.recv(100) == b"in clear: the level at first is C"
            assert wrapped.recv(100) == b""
        assert talk.hear().code == 226
        assert talk.ask("PROT C").code == 200
        assert talk.retrieve(f"{place}/f").startswith(b"in clear")


def test_9_prot_gives_up_a_port_that_was_opened_the_other_way(site: Site, trust: ssl.SSLContext) -> None:
    with Talk(site, login=False) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.encrypt(trust)
        talk.log_in(WRITER)
        assert talk.codes("PBSZ 0", "PASV", "PROT P", "NLST") == [200, 227, 200, 425]


def test_6_feat_tells_of_tls(talk: Talk) -> None:
    lines = talk.ask("FEAT").text.split(b"\r\n")
    assert {b" AUTH TLS", b" PBSZ", b" PROT"} <= set(lines)


def test_13_rein_leaves_the_connection_encrypted(site: Site, trust: ssl.SSLContext) -> None:
    with Talk(site, login=False) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.encrypt(trust)
        talk.log_in(WRITER)
        assert talk.codes("PBSZ 0", "PROT P", "REIN", "AUTH TLS", "PROT P") == [200, 200, 220, 503, 503]
