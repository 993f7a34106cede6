"""TLS between the parts: who gets in, and as whom."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from argosy import errors
from argosy.net import pki, tls

LIMIT_SECONDS = 5.0


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's keys, with a node `harbour`, and another site's beside it."""
    keys = tmp_path_factory.mktemp("keys")
    for site in (keys, keys / "other"):
        authority = pki.Authority.open(site)
        authority.issue_master()
        authority.issue_ftp(["127.0.0.1", "localhost"])
        request = pki.make_request(site / "harbour.key", "harbour")
        pki.write_public(site / "harbour.pem", authority.sign_node(request, "harbour", days=1))
    return keys


def converse(
    server: ssl.SSLContext, client: ssl.SSLContext, server_hostname: str | None = None
) -> tuple[Any, Any, str | None]:
    """Shake hands; give what the server and the client know of each other, and the version."""
    ours, theirs = socket.socketpair()
    seen: dict[str, Any] = {}

    def serve() -> None:
        try:
            with server.wrap_socket(ours, server_side=True) as secured:
                secured.sendall(b"x")
                seen["client"] = secured.getpeercert()
        except OSError as error:
            seen["error"] = error
            ours.close()

    for end in (ours, theirs):
        end.settimeout(LIMIT_SECONDS)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(theirs, server_hostname=server_hostname) as secured:
            received = secured.recv(1)  # in TLS 1.3 a refused client certificate shows only here
            assert received == b"x"
            master, version = secured.getpeercert(), secured.version()
    finally:
        theirs.close()
        thread.join()
        ours.close()
    if "error" in seen:
        raise seen["error"]
    return seen["client"], master, version


def door_pem(keys: Path) -> tuple[bytes, bytes]:
    return (keys / "ftp.pem").read_bytes(), (keys / "ftp.key").read_bytes()


def test_node_and_master_know_each_other_by_name(keys: Path) -> None:
    client, master, version = converse(tls.link_server(keys), tls.link_client(keys, "harbour"))
    assert tls.identity(client) == "node:harbour"
    assert tls.identity(master) == "master"
    assert version == "TLSv1.3"


def test_a_peer_without_certificate_gets_in_as_nobody(keys: Path) -> None:
    client, _, _ = converse(tls.link_server(keys), tls.enrol_client())
    assert tls.identity(client) == ""


def test_a_node_of_another_site_is_kept_out(keys: Path) -> None:
    stranger = tls.link_client(keys / "other", "harbour")
    stranger.load_verify_locations(keys / "authority.pem")  # it would even trust our master
    with pytest.raises(OSError, match=r"(?i)alert|certificate|reset"):
        converse(tls.link_server(keys), stranger)


def test_a_node_does_not_talk_to_another_sites_master(keys: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        converse(tls.link_server(keys / "other"), tls.link_client(keys, "harbour"))


def test_a_node_cannot_pose_as_the_master(keys: Path) -> None:
    posing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    posing.load_cert_chain(keys / "harbour.pem", keys / "harbour.key")
    _, posed, _ = converse(posing, tls.link_client(keys, "harbour"))
    assert tls.identity(posed) == "node:harbour"  # so the agent hangs up
    client = ssl.create_default_context(cafile=str(keys / "authority.pem"))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname"):
        converse(posing, client, "localhost")  # nor as the FTP door


def test_two_nodes_know_each_other_by_name(keys: Path) -> None:
    client, server, version = converse(tls.node_server(keys, "harbour"), tls.link_client(keys, "harbour"))
    assert tls.identity(client) == tls.identity(server) == tls.node_identity("harbour")
    assert version == "TLSv1.3"


def test_who_has_no_certificate_or_another_sites_gets_nothing_from_a_node(keys: Path) -> None:
    for stranger in (tls.enrol_client(), tls.link_client(keys / "other", "harbour")):
        stranger.load_verify_locations(keys / "authority.pem")
        with pytest.raises(OSError, match=r"(?i)alert|certificate|reset"):
            converse(tls.node_server(keys, "harbour"), stranger)


def test_the_ftp_certificate_that_every_node_has_makes_nobody_the_master(keys: Path) -> None:
    posing = tls.ftp_server(*door_pem(keys))
    _, master, _ = converse(posing, tls.link_client(keys, "harbour"))
    assert tls.identity(master) == ""


def test_an_ftp_client_checks_the_data_connection_like_the_control_connection(keys: Path) -> None:
    client = ssl.create_default_context(cafile=str(keys / "authority.pem"))
    pem, key = (keys / "ftp.pem").read_bytes(), (keys / "ftp.key").read_bytes()
    for server in (tls.ftp_server(*door_pem(keys)), tls.data_server(pem, key)):
        for host in ("localhost", "127.0.0.1"):
            converse(server, client, host)
        with pytest.raises(ssl.SSLCertVerificationError):
            converse(server, client, "elsewhere.example.org")


def test_an_old_ftp_client_may_still_speak_tls_1_2_but_the_link_does_not(keys: Path) -> None:
    old = ssl.create_default_context(cafile=str(keys / "authority.pem"))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    _, _, version = converse(tls.ftp_server(*door_pem(keys)), old, "localhost")
    assert version == "TLSv1.2"
    old.check_hostname = False
    with pytest.raises(ssl.SSLError):
        converse(tls.link_server(keys), old)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_data_connection_goes_on_with_the_control_connections_session(
    keys: Path, version: ssl.TLSVersion
) -> None:
    client = ssl.create_default_context(cafile=str(keys / "authority.pem"))
    client.maximum_version = version
    pem, key = (keys / "ftp.pem").read_bytes(), (keys / "ftp.key").read_bytes()
    control = tls.ftp_server(pem, key)
    _, session = resumed(control, client, None)
    assert resumed(tls.data_server(pem, key, resuming=control), client, session)[0]
    assert not resumed(tls.data_server(pem, key), client, session)[0], "a node has other keys"


def resumed(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bool | None, ssl.SSLSession | None]:
    """Tell whether a session was taken up again, and give the one that is there in the end."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(ours, server_side=True) as secured:
            secured.sendall(b"x")
            secured.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(theirs, server_hostname="localhost", session=session) as secured:
        assert secured.recv(1) == b"x"
        found = secured.session_reused, secured.session
        secured.sendall(b"y")
    thread.join()
    return found


def test_the_key_for_data_connections_leaves_no_file_open(keys: Path) -> None:
    pem, key = (keys / "ftp.pem").read_bytes(), (keys / "ftp.key").read_bytes()
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        tls.data_server(pem, key)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"master\.pem"):
        tls.link_server(tmp_path)
    with pytest.raises(errors.ConfigError, match=r"harbour\.pem"):
        tls.link_client(tmp_path, "harbour")
    with pytest.raises(errors.ConfigError):
        tls.data_server(b"", b"")


@pytest.mark.parametrize(
    "names",
    [
        (),
        (("DNS", "urn:argosy:master"),),
        (("URI", "urn:argosy:node:"),),
        (("URI", "urn:argosy:masters"),),
        (("URI", "https://example.org"),),
        (("URI", "urn:argosy:node:harbour"), ("URI", "urn:argosy:master")),
        (("URI", "urn:argosy:master"), ("DNS", "example.org")),
    ],
)
def test_a_certificate_that_is_not_plainly_ours_makes_nobody(names: tuple[tuple[str, str], ...]) -> None:
    assert tls.identity({"subjectAltName": names}) == ""


def test_nobody_is_who_shows_nothing() -> None:
    assert tls.identity(None) == ""
    assert tls.identity({}) == ""
    assert tls.identity({"subject": ((("commonName", "urn:argosy:master"),),)}) == ""


def test_a_node_whose_name_looks_like_the_masters_stays_a_node() -> None:
    assert tls.identity({"subjectAltName": (("URI", "urn:argosy:node:master"),)}) == "node:master"
