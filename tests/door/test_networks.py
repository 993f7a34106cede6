"""Master, nodes and client on machines of their own: which way the bytes go is read from the wire."""

from __future__ import annotations

import filecmp
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from network import Machine, Network, WideSite
from running import PASSWORD, USER, needs, run
from talking import Talk, address, everything

FILES, FILE_BYTES = 26, 8_000_000
"""More than 200 MB, in files of several MB."""

CONTENT = os.urandom(5_000_000)

SMALL_SHARE = 0.01
"""What the master's wire may carry of what goes straight to the nodes: commands, replies, the link."""

FTPLIB = """
import ftplib, ssl, sys
host, user, password, authority, active, verb, remote, local = sys.argv[1:]
context = ssl.create_default_context(cafile=authority) if authority else None
session = ftplib.FTP_TLS(context=context) if context else ftplib.FTP()
session.connect(host, 2121)
session.login(user, password)
session.set_pasv(not active)
if context:
    session.prot_p()
if verb == "get":
    session.retrbinary("RETR " + remote, open(local, "wb").write)
else:
    session.storbinary("STOR " + remote, open(local, "rb"))
session.quit()
"""


@dataclass(frozen=True)
class Place:
    """The site and the machines around it."""

    site: WideSite
    master: Machine
    client: Machine
    stranger: Machine

    async def run(self, *words: object, home: Path, env: dict[str, str] | None = None) -> bytes:
        """Run a client on the client's machine; it must end well."""
        needs(str(words[0]))
        texts = [*self.client.prefix, *map(str, words)]
        code, out, err = await run(*texts, cwd=home, seconds=120, env={"HOME": str(home), **(env or {})})
        assert code == 0, f"{words}: {code}\n{out.decode(errors='replace')}\n{err}"
        return out


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run a master, two nodes, a client and a stranger, each on a machine of its own."""
    base = tmp_path_factory.mktemp("wide")
    with Network() as network:
        master, client, stranger = (
            network.machine(name, f"10.83.0.{number}")
            for number, name in enumerate(("master", "client", "other"), start=1)
        )
        site = WideSite(base / "site", master, {"ftp": {"connect_seconds": 5.0}})
        try:
            site.start()
            for number in (1, 2):
                node = network.machine(f"n{number}", f"10.83.1.{number}")
                site.join(f"n{number}", base / f"n{number}", prefix=node.prefix)
            yield Place(site, master, client, stranger)
        finally:
            site.stop()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a tree of files to move."""
    tree = tmp_path_factory.mktemp("tree") / "files"
    block = os.urandom(FILE_BYTES)
    for number in range(FILES):
        directory = tree / f"d{number % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file {number}").write_bytes(number.to_bytes(4, "big") + block[4:])
    return tree


def same(one: Path, other: Path) -> bool:
    """Compare two trees byte by byte."""
    found = filecmp.dircmp(one, other)
    if found.left_only or found.right_only or found.funny_files:
        return False
    _, different, failed = filecmp.cmpfiles(one, other, found.common_files, shallow=False)
    return not different and not failed and all(same(one / name, other / name) for name in found.common_dirs)


def lftp(wide: Place, *, tls: bool, commands: str) -> tuple[str, ...]:
    """Give lftp's command line; its only setting is whom to trust."""
    trust = f"set ssl:ca-file {wide.site.authority}" if tls else "set ftp:ssl-allow no"
    where = f"open -u {USER},'{PASSWORD}' -p 2121 {wide.site.host}"
    return "lftp", "-c", f"set cmd:fail-exit yes; {trust}; {where}; {commands}"


async def ftplib(
    wide: Place, verb: str, remote: str, local: Path, *, home: Path, tls: bool, active: bool = False
) -> None:
    """Fetch or store a file by Python's ftplib, which listens itself when it is active."""
    account = (wide.site.host, USER, PASSWORD, wide.site.authority if tls else "", "active" if active else "")
    await wide.run(sys.executable, "-c", FTPLIB, *account, verb, remote, local, home=home)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
async def test_lftp_mirrors_straight_to_the_nodes_and_back(
    wide: Place, tree: Path, tmp_path: Path, tls: bool
) -> None:
    before = wide.master.traffic()
    up = f"mirror -R --parallel=3 {tree} /lftp-{tls}"
    down = f"mirror --parallel=3 /lftp-{tls} {tmp_path}/back"
    await wide.run(*lftp(wide, tls=tls, commands=f"{up}; {down}"), home=tmp_path)
    assert same(tree, tmp_path / "back")
    assert wide.master.traffic() - before < SMALL_SHARE * 2 * FILES * FILE_BYTES


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
async def test_rclone_copies_straight_to_the_nodes_and_back(
    wide: Place, tree: Path, tmp_path: Path, tls: bool
) -> None:
    secret = await wide.run("rclone", "obscure", PASSWORD, home=tmp_path)
    (tmp_path / "rclone.conf").touch()
    env = {
        "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
        "RCLONE_CONFIG_AT_TYPE": "ftp",
        "RCLONE_CONFIG_AT_HOST": wide.site.host,
        "RCLONE_CONFIG_AT_PORT": "2121",
        "RCLONE_CONFIG_AT_USER": USER,
        "RCLONE_CONFIG_AT_PASS": secret.decode().strip(),
        "RCLONE_CONFIG_AT_EXPLICIT_TLS": "true" if tls else "false",
        "SSL_CERT_FILE": str(wide.site.authority),
    }
    before = wide.master.traffic()
    await wide.run("rclone", "copy", tree, f"at:/rclone-{tls}", home=tmp_path, env=env)
    await wide.run("rclone", "copy", f"at:/rclone-{tls}", tmp_path / "back", home=tmp_path, env=env)
    assert same(tree, tmp_path / "back")
    assert wide.master.traffic() - before < SMALL_SHARE * 2 * FILES * FILE_BYTES


async def test_curl_goes_straight_to_the_node_when_it_is_told_to(wide: Place, tmp_path: Path) -> None:
    local, back = tmp_path / "f", tmp_path / "back"
    local.write_bytes(CONTENT)
    straight = ("--ftp-pret", "--no-ftp-skip-pasv-ip", "-sS", "-u", f"{USER}:{PASSWORD}")
    url = f"ftp://{wide.site.host}:2121/curl-pret"
    before = wide.master.traffic()
    await wide.run("curl", *straight, "-T", local, url, home=tmp_path)
    await wide.run("curl", *straight, "-o", back, url, home=tmp_path)
    assert back.read_bytes() == CONTENT
    assert wide.master.traffic() - before < SMALL_SHARE * 2 * len(CONTENT)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("client", ["curl", "ftplib"])
async def test_a_client_that_can_only_meet_the_master_is_relayed(
    wide: Place, tmp_path: Path, client: str, tls: bool
) -> None:
    local, back, name = tmp_path / "f", tmp_path / "back", f"{client}-{tls}"
    local.write_bytes(CONTENT)
    before = wide.master.traffic()
    if client == "curl":
        trust = ("--ssl-reqd", "--cacert", wide.site.authority) if tls else ()
        words = ("curl", "-sS", "-u", f"{USER}:{PASSWORD}", *trust)
        url = f"ftp://{wide.site.host}:2121/{name}"
        await wide.run(*words, "-T", local, url, home=tmp_path)
        await wide.run(*words, "-o", back, url, home=tmp_path)
    else:
        await ftplib(wide, "put", f"/{name}", local, home=tmp_path, tls=tls)
        await ftplib(wide, "get", f"/{name}", back, home=tmp_path, tls=tls)
    assert back.read_bytes() == CONTENT
    assert wide.master.traffic() - before > 4 * len(CONTENT)  # in and out again, twice


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
async def test_a_client_that_listens_is_dialled_by_the_node(wide: Place, tmp_path: Path, tls: bool) -> None:
    local, back, name = tmp_path / "f", tmp_path / "back", f"/port-{tls}"
    local.write_bytes(CONTENT)
    before = wide.master.traffic()
    await ftplib(wide, "put", name, local, home=tmp_path, tls=tls, active=True)
    await ftplib(wide, "get", name, back, home=tmp_path, tls=tls, active=True)
    assert back.read_bytes() == CONTENT
    curl = ("curl", "-sS", "-u", f"{USER}:{PASSWORD}", "--ftp-port", "-")
    url = f"ftp://{wide.site.host}:2121"
    if not tls:  # curl 7.88 stumbles over itself when it listens and encrypts
        assert await wide.run(*curl, f"{url}{name}", home=tmp_path) == CONTENT
    assert wide.master.traffic() - before < SMALL_SHARE * 2 * len(CONTENT)
    assert name[1:] in (await wide.run(*curl, f"{url}/", home=tmp_path)).decode()


@pytest.mark.parametrize("announced", [False, True], ids=["at the master", "at a node"])
def test_a_data_connection_from_a_foreign_address_is_turned_away(wide: Place, announced: bool) -> None:
    def conversation() -> None:
        with Talk(wide.site) as talk:
            talk.store("secret", CONTENT)
            if announced:
                assert talk.ask("PRET RETR secret").code == 200
            at = address(talk.ask("PASV"), wide.site.host)
            assert (at[0] == wide.site.host) is not announced
            talk.say("RETR secret")
            assert wide.stranger.inside(lambda: _stolen(at)) == b""
            with socket.create_connection(at, 5) as data:
                assert everything(data) == CONTENT
            assert [talk.hear().code, talk.hear().code] == [150, 226]

    wide.client.inside(conversation)


def _stolen(at: tuple[str, int]) -> bytes:
    try:
        with socket.create_connection(at, 5) as thief:
            return thief.recv(1000)
    except ConnectionResetError:
        return b""


def test_nobody_has_us_dial_another_machine(wide: Place) -> None:
    def conversation() -> None:
        with Talk(wide.site) as talk:
            for host in (wide.stranger.address, wide.master.address, "10.83.1.1", "127.0.0.1"):
                assert talk.ask(f"PORT {host.replace('.', ',')},195,80").code in (504, 550)
            assert talk.ask(f"PORT {wide.client.address.replace('.', ',')},195,80").code == 200

    wide.client.inside(conversation)


def test_epsv_leads_to_the_master_and_is_refused_where_the_node_was_chosen(wide: Place) -> None:
    def conversation() -> None:
        with Talk(wide.site) as talk:
            talk.store("f", CONTENT)
            assert talk.codes("PRET RETR f", "EPSV") == [200, 500]
            assert talk.get("RETR f", wish="PASV") == CONTENT  # the plan stays for PASV
            assert talk.get("RETR f", wish="EPSV") == CONTENT

    wide.client.inside(conversation)
