"""FTP Security Extensions, RFC 2228: what TLS leaves of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from door.conftest import WRITER
from running import Site
from talking import Talk


@pytest.fixture
def private(site: Site) -> Iterator[Talk]:
    """Go over to TLS, and log in."""
    with Talk(site, login=False) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.encrypt(ssl.create_default_context(cafile=str(site.authority)))
        talk.log_in(WRITER)
        yield talk


def test_3_ccc_leaves_an_encrypted_connection_encrypted(site: Site, private: Talk) -> None:
    with Talk(site) as clear:
        assert clear.codes("CCC", "PWD") == [533, 257]
    assert private.codes("CCC", "CCC now", "PWD") == [534, 501, 257]
    assert isinstance(private.socket, ssl.SSLSocket)


def test_3_adat_has_no_mechanism_that_asks_for_it(site: Site, private: Talk) -> None:
    with Talk(site) as clear:
        assert clear.codes("ADAT Zm9v", "PWD") == [503, 257]
    assert private.codes("ADAT Zm9v", "ADAT", "PWD") == [503, 503, 257]


def wrapped(site: Site, private: Talk, verb: str) -> None:
    with Talk(site) as clear:
        assert clear.codes(f"{verb} UFdE", verb, "PWD") == [503, 501, 257]
    assert private.codes(f"{verb} UFdE", verb, "PWD") == [537, 501, 257]


def test_3_mic_is_not_for_tls(site: Site, private: Talk) -> None:
    wrapped(site, private, "MIC")


def test_3_conf_is_not_for_tls(site: Site, private: Talk) -> None:
    wrapped(site, private, "CONF")


def test_3_enc_is_not_for_tls(site: Site, private: Talk) -> None:
    wrapped(site, private, "ENC")
