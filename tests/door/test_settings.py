"""What the door's settings change: each is set on a site, and a client meets it."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from argosy.net.pki import Authority
from door.conftest import SETTINGS
from running import PASSWORD, USER, Site, needs, run
from talking import SECONDS, Talk, address, everything

CONTENT = os.urandom(500_000)


def site_with(directory: Path, **ftp: object) -> Iterator[Site]:
    """Run a site of one node with these settings of the door."""
    site = Site(directory / "site", "--nodes", "1", settings={"ftp": SETTINGS["ftp"] | ftp})
    try:
        site.start()
        yield site
    finally:
        site.stop()


# --- TLS


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nothing goes in clear here; the certificate is given, and looked at often."""
    directory = tmp_path_factory.mktemp("strict")
    issue(directory, "first.example.org")
    yield from site_with(
        directory,
        require_tls=True,
        require_data_tls=True,
        implicit_listen="127.0.0.1:0",
        certificate=str(directory / "ftp.pem"),
        key=str(directory / "ftp.key"),
        certificate_seconds=0.2,
    )


def issue(directory: Path, *names: str) -> None:
    """Have an authority of our own make the door's certificate."""
    Authority.open(directory).issue_ftp(["127.0.0.1", "localhost", *names])


def trusting(site: Site) -> ssl.SSLContext:
    """Give a client's context that trusts the site's authority."""
    return ssl.create_default_context(cafile=str(site.directory.parent / "authority.pem"))


def ftps_port(site: Site) -> int:
    """Give the port for implicit TLS."""
    return int(site.status()["ftps"].rpartition(":")[2])


@contextmanager
def shaking_hands(site: Site) -> Iterator[ssl.SSLSocket]:
    """Connect to the port for implicit TLS."""
    raw = socket.create_connection((site.host, ftps_port(site)), SECONDS)
    with raw, trusting(site).wrap_socket(raw, server_hostname=site.host) as control:
        yield control


def names_in(made: ssl.SSLSocket) -> list[str]:
    """Give the host names in the certificate of the far end."""
    der = made.getpeercert(binary_form=True)
    assert der is not None
    certificate = x509.load_der_x509_certificate(der)
    known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return known.get_values_for_type(x509.DNSName)


def test_require_tls_takes_no_name_in_clear(strict: Site) -> None:
    with Talk(strict, login=False) as talk:
        assert talk.codes(f"USER {USER}", f"PASS {PASSWORD}", "NOOP") == [530, 503, 200]
        assert talk.ask("AUTH TLS").code == 234
        talk.encrypt(trusting(strict))
        talk.log_in()


def test_require_data_tls_sends_and_takes_nothing_in_clear(strict: Site) -> None:
    with Talk(strict, login=False) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.encrypt(trusting(strict))
        talk.log_in()
        assert talk.ask("EPSV").code == 229
        assert talk.codes("LIST", "STOR f", "MLSD") == [521, 521, 521]
        assert talk.codes("PBSZ 0", "PROT C", "PROT P", "MLST") == [200, 534, 200, 250]
        with socket.create_connection(address(talk.ask("EPSV"), strict.host), SECONDS) as raw:
            talk.say("MLSD")
            with trusting(strict).wrap_socket(raw, server_hostname=strict.host) as data:
                assert talk.hear().code == 150
                everything(data)
        assert talk.hear().code == 226


def test_implicit_tls_begins_before_the_greeting(strict: Site) -> None:
    with shaking_hands(strict) as control:
        assert control.recv(100).startswith(b"220 ")
        lines = ("AUTH TLS", f"USER {USER}", f"PASS {PASSWORD}", "PBSZ 0", "PROT P", "QUIT", "")
        control.sendall("\r\n".join(lines).encode())
        codes = [line[:3] for line in everything(control).splitlines()]
        assert codes == [b"503", b"331", b"230", b"200", b"200", b"221"]


@pytest.mark.parametrize("client", ["curl", "lftp"])
async def test_a_client_speaks_implicit_tls(strict: Site, tmp_path: Path, client: str) -> None:
    needs(client)
    url = f"ftps://{strict.host}:{ftps_port(strict)}"
    authority = str(strict.directory.parent / "authority.pem")
    (tmp_path / "up").write_bytes(CONTENT)
    name = f"by-{client}"
    if client == "curl":
        curl = ("curl", "-sS", "--cacert", authority, "-u", f"{USER}:{PASSWORD}")
        steps = [
            (*curl, "-T", "up", f"{url}/{name}"),
            (*curl, f"{url}/{name}", "-o", "down"),
            (*curl, "-l", f"{url}/"),
        ]
    else:
        trust = f'set cmd:fail-exit yes; set ssl:ca-file "{authority}"; open -u {USER},"{PASSWORD}" {url}'
        steps = [
            ("lftp", "-c", f"{trust}; put up -o {name}"),
            ("lftp", "-c", f"{trust}; get {name} -o down"),
            ("lftp", "-c", f"{trust}; cls -1"),
        ]
    for step in steps:
        code, out, err = await run(*step, cwd=tmp_path, env={"HOME": str(tmp_path)})
        assert code == 0, f"{step}: {err}"
    assert (tmp_path / "down").read_bytes() == CONTENT
    assert name in out.decode().split()


def test_a_new_certificate_is_shown_without_a_restart_on_control_and_data(strict: Site) -> None:
    context = trusting(strict)
    with Talk(strict, login=False) as before:
        assert before.ask("AUTH TLS").code == 234
        before.encrypt(context)
        before.log_in()
        assert before.codes("PBSZ 0", "PROT P") == [200, 200]
        assert isinstance(before.socket, ssl.SSLSocket)
        assert "first.example.org" in names_in(before.socket)
        for name in ("ftp.pem", "ftp.key"):
            (strict.directory.parent / name).unlink()
        issue(strict.directory.parent, "second.example.org")

        def control_names() -> list[str]:
            with shaking_hands(strict) as control:
                return names_in(control)

        strict.wait_for("the new certificate", lambda: "second.example.org" in control_names())

        def data_names() -> list[str]:
            assert before.ask("PRET STOR g").code == 200
            with socket.create_connection(address(before.ask("PASV"), strict.host), SECONDS) as raw:
                before.say("STOR g")
                with context.wrap_socket(raw, server_hostname=strict.host) as data:
                    seen = names_in(data)
            assert [before.hear().code, before.hear().code] == [150, 226]
            return seen

        strict.wait_for("the new certificate at the node", lambda: "second.example.org" in data_names())
        assert before.ask("NOOP").code == 200


# --- time limits and addresses


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nobody may dawdle here; it listens on IPv6, and for data on a few ports only."""
    yield from site_with(
        tmp_path_factory.mktemp("impatient"),
        listen="[::1]:0",
        idle_seconds=1.5,
        login_seconds=1.0,
        stall_seconds=1.0,
        connect_seconds=2.0,
        passive_ports=[41_800, 41_809],
    )


def test_who_says_nothing_is_hung_up_on(impatient: Site) -> None:
    begin = time.monotonic()
    with Talk(impatient) as talk:
        assert talk.hear().code == 421
        with pytest.raises(EOFError):
            talk.hear()
    assert 1.4 < time.monotonic() - begin < 10.0


def test_a_command_in_time_keeps_the_session(impatient: Site) -> None:
    with Talk(impatient) as talk:
        for _ in range(4):
            time.sleep(0.8)
            assert talk.ask("NOOP").code == 200


def test_who_does_not_log_in_in_time_is_hung_up_on_whatever_it_says(impatient: Site) -> None:
    begin = time.monotonic()
    with Talk(impatient, login=False) as talk:
        while talk.ask("NOOP").code == 200:
            time.sleep(0.2)
    assert 0.9 < time.monotonic() - begin < 10.0


def test_a_data_connection_that_stands_still_is_cut_and_the_session_goes_on(impatient: Site) -> None:
    with Talk(impatient) as talk:
        with talk.data() as data:
            assert talk.ask("STOR slow").code == 150
            data.sendall(b"beginning")
            begin = time.monotonic()
            assert talk.hear().code == 426
            assert 0.9 < time.monotonic() - begin < 10.0
        assert talk.ask("NOOP").code == 200


def test_a_transfer_that_goes_on_slowly_is_neither_idle_nor_still(impatient: Site) -> None:
    with Talk(impatient) as talk:
        with talk.data() as data:
            assert talk.ask("STOR steady").code == 150
            for _ in range(6):
                data.sendall(b"piece")
                time.sleep(0.5)
        assert talk.hear().code == 226
        assert talk.size("steady") == 30


def test_a_data_connection_that_never_comes_is_given_up(impatient: Site) -> None:
    with Talk(impatient) as talk:
        assert talk.codes("EPSV", "LIST", "NOOP") == [229, 150, 425]
        assert talk.hear().code == 200
        assert talk.ask("NOOP").code == 200


def test_the_masters_data_ports_are_those_that_were_set_and_all_come_back(impatient: Site) -> None:
    seen = set()
    with Talk(impatient) as talk:
        for _ in range(25):
            port = address(talk.ask("EPSV"), impatient.host)[1]
            assert 41_800 <= port <= 41_809
            seen.add(port)
        assert talk.ask("PASV").code in (425, 522), "IPv6 has no 227"
        talk.store("six", CONTENT)
        assert talk.retrieve("six") == CONTENT
        target = socket.create_server(("::1", 0), family=socket.AF_INET6)
        with target:
            target.settimeout(SECONDS)
            assert talk.ask(f"EPRT |2|::1|{target.getsockname()[1]}|").code == 200
            talk.say("RETR six")
            with target.accept()[0] as data:
                assert everything(data) == CONTENT
            assert [talk.hear().code, talk.hear().code] == [150, 226]
    assert seen


async def test_curl_reads_over_ipv6(impatient: Site, tmp_path: Path) -> None:
    needs("curl")
    with Talk(impatient) as talk:
        talk.store("for-curl", CONTENT)
    url = f"ftp://[::1]:{impatient.port}/for-curl"
    code, _, err = await run("curl", "-sS", "-u", f"{USER}:{PASSWORD}", url, "-o", str(tmp_path / "down"))
    assert code == 0, err
    assert (tmp_path / "down").read_bytes() == CONTENT


# --- behind NAT


@pytest.fixture(scope="module")
def translated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Master and node are known to clients under other addresses than their own."""
    directory = tmp_path_factory.mktemp("translated")
    ftp = SETTINGS["ftp"] | {"advertise": "127.0.0.7", "epsv_after_pret": "relay"}
    site = Site(directory / "site", "--nodes", "1", settings={"ftp": ftp})
    site.start()
    site.stop()
    node = site.directory / "config/n1.toml"
    text = re.sub(r"(?m)^#? ?advertise = .*$", "", node.read_text())
    node.write_text('advertise = "127.0.0.6"\n' + text)
    again = Site(site.directory, "--nodes", "1")
    try:
        again.start()
        again.wait_until_ready()
        with Talk(again) as talk:
            talk.store("f", CONTENT)
        yield again
    finally:
        again.stop()


def test_clients_are_told_the_addresses_that_were_set(translated: Site) -> None:
    with Talk(translated) as talk:
        assert address(talk.ask("PASV"), translated.host)[0] == "127.0.0.7"
        assert talk.ask("PRET RETR f").code == 200
        host, port = address(talk.ask("PASV"), translated.host)
        assert host == "127.0.0.6"
        with socket.create_connection((host, port), SECONDS) as data:
            assert talk.ask("RETR f").code == 150
            assert everything(data) == CONTENT
        assert talk.hear().code == 226


def test_epsv_after_pret_is_relayed_where_that_is_set(translated: Site) -> None:
    before = translated.status()["relayed_bytes"]
    with Talk(translated) as talk:
        assert talk.ask("PRET RETR f").code == 200
        assert talk.get("RETR f", wish="EPSV") == CONTENT
    assert translated.status()["relayed_bytes"] == before + len(CONTENT)
