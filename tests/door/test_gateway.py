"""A gateway as its users have it: `argosy nfs` before a real vsftpd, asked by libnfs and by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import servers
from argosy.wire.nfs import mount3
from argosy.wire.nfs.nfs3 import Procedure, Status
from calling import Caller
from gateways import Gateway, nfs
from packing import opaque, u32, u64
from running import ARGOSY, needs
from servers import Server

SECRET = "wind-and-tide"
"""vsftpd takes any password of its anonymous user."""

BIG = bytes(range(256)) * 4096 * 24
"""24 MiB."""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the site."""
    with servers.vsftpd(tmp_path_factory.mktemp("site")) as peer:
        yield peer


@pytest.fixture
def folder(peer: Server, tmp_path: Path) -> Path:
    """A directory of the site for one test, as it is on disk."""
    assert peer.root is not None
    folder = peer.root / servers.FOLDER.strip("/") / tmp_path.name
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def gateway(peer: Server, folder: Path, tmp_path: Path) -> Iterator[Gateway]:
    """Run a gateway; the site has a name there."""
    (tmp_path / "password").write_text(f"{SECRET}\n")
    gateway = Gateway(
        tmp_path / "gateway",
        {"remote": {"trust_file": str(peer.authority), "listing_seconds": 1.0}},
        sites={"museum": {"url": f"{url(peer)}/area", "password_file": str(tmp_path / "password")}},
    )
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def url(peer: Server, password: str = "") -> str:
    word = f":{password}" if password else ""
    return f"ftp://{peer.user}{word}@{peer.host}:{peer.port}"


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.05)


async def commit(caller: Caller, handle: bytes) -> bytes:
    """COMMIT all of a file; give the verifier."""
    status, result = await caller.nfs(Procedure.COMMIT, opaque(handle) + u64(0) + u32(0))
    assert status is Status.OK
    result.wcc()
    return result.take(8)


async def test_files_go_to_a_site_and_come_back(gateway: Gateway, folder: Path, tmp_path: Path) -> None:
    needs("nfs-ls")
    (folder / "hello.txt").write_text("hello\n")
    (folder / "maps").mkdir()
    (tmp_path / "big").write_bytes(BIG)
    at = f"/museum/{folder.name}"
    listed = await nfs("ls", gateway.url(at))
    assert sorted(line.split()[-1] for line in listed.decode().splitlines()) == ["hello.txt", "maps"]
    assert await nfs("cat", gateway.url(at, "/hello.txt")) == b"hello\n"
    await nfs("cp", str(tmp_path / "big"), gateway.url(at, "/big"))
    assert (folder / "big").read_bytes() == BIG
    await nfs("cp", gateway.url(at, "/big"), str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == BIG
    assert sorted(os.listdir(folder)) == ["big", "hello.txt", "maps"]


@pytest.mark.parametrize(
    "export",
    [
        "127.0.0.1:{port}:anonymous:{secret}:area/{folder}",
        "ftp://anonymous:{secret}@127.0.0.1:{port}/area/{folder}",
        "/ftp://anonymous:{secret}@127.0.0.1:{port}/area/{folder}",
        "/museum/{folder}",
    ],
)
async def test_every_form_of_a_mount_line_leads_there(
    gateway: Gateway, peer: Server, folder: Path, export: str
) -> None:
    (folder / "hello.txt").write_text("hello\n")
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(export.format(port=peer.port, secret=SECRET, folder=folder.name))
        assert await caller.read(await caller.lookup(root, "hello.txt"), 0, 100) == (b"hello\n", True)


async def test_a_handle_survives_a_killed_gateway_and_a_rename(gateway: Gateway, folder: Path) -> None:
    (folder / "old").write_text("hello\n")
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(f"/museum/{folder.name}")
        handle = await caller.lookup(root, "old")
        names = opaque(root) + opaque(b"old") + opaque(root) + opaque(b"new")
        assert await caller.status(Procedure.RENAME, names) is Status.OK
        before = await caller.getattr(handle)
    gateway.kill()
    gateway.start()
    async with await Caller.connect(gateway.port) as caller:
        assert (await caller.getattr(handle))["file"] == before["file"]
        assert await caller.read(handle, 0, 100) == (b"hello\n", True)
        assert await caller.lookup(root, "new") == handle
    assert os.listdir(folder) == ["new"]


async def test_a_handle_of_a_deleted_file_is_stale(gateway: Gateway, folder: Path) -> None:
    (folder / "a").write_text("hello\n")
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(f"/museum/{folder.name}")
        handle = await caller.lookup(root, "a")
        assert await caller.status(Procedure.REMOVE, opaque(root) + opaque(b"a")) is Status.OK
        assert await caller.status(Procedure.GETATTR, opaque(handle)) is Status.STALE
    assert os.listdir(folder) == []


async def test_what_a_killed_gateway_took_reaches_the_site(gateway: Gateway, folder: Path) -> None:
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(f"/museum/{folder.name}")
        handle = await caller.create(root, "a")
        count, _, _ = await caller.write(handle, 0, b"hello\n")
        assert count == 6
    gateway.kill()
    gateway.start()
    async with await Caller.connect(gateway.port) as caller:
        await commit(caller, handle)
        assert await caller.read(handle, 0, 100) == (b"hello\n", True)
    assert (folder / "a").read_text() == "hello\n"


async def test_what_a_killed_gateway_took_reaches_the_site_even_if_its_client_never_comes_back(
    gateway: Gateway, folder: Path
) -> None:
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(f"/museum/{folder.name}")
        await caller.write(await caller.create(root, "a"), 0, b"hello\n")
    gateway.kill()
    gateway.start()
    until(lambda: (folder / "a").exists() and (folder / "a").read_text() == "hello\n")


async def test_what_was_written_is_on_the_site_when_commit_returns(gateway: Gateway, folder: Path) -> None:
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(f"/museum/{folder.name}")
        handle = await caller.create(root, "a")
        _, _, before = await caller.write(handle, 0, b"hello\n")
        assert await commit(caller, handle) == before
    assert (folder / "a").read_text() == "hello\n"


async def test_a_copy_goes_on_when_the_gateway_is_killed_and_started_again(
    gateway: Gateway, folder: Path, tmp_path: Path
) -> None:
    needs("nfs-cp")
    (tmp_path / "big").write_bytes(BIG)
    copying = asyncio.create_task(
        nfs("cp", str(tmp_path / "big"), gateway.url(f"/museum/{folder.name}", "/big"), seconds=120)
    )
    await asyncio.to_thread(until, lambda: b"mounted" in gateway.log.read_bytes())
    await asyncio.sleep(0.05)
    assert not copying.done()
    gateway.kill()
    await asyncio.to_thread(gateway.start)
    await copying
    assert (folder / "big").read_bytes() == BIG


async def test_term_brings_what_was_written_to_the_site(gateway: Gateway, folder: Path) -> None:
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(f"/museum/{folder.name}")
        handle = await caller.create(root, "a")
        await caller.write(handle, 0, b"hello\n")
    assert gateway.stop() == 0
    gateway.start()
    until(lambda: (folder / "a").exists() and (folder / "a").read_text() == "hello\n")
    assert "Traceback" not in gateway.log.read_text()


async def test_two_sites_and_two_logins_have_nothing_in_common(
    gateway: Gateway, folder: Path, tmp_path: Path
) -> None:
    (folder / "ours").touch()
    (tmp_path / "attic").mkdir()
    with servers.pyftpdlib(tmp_path / "attic") as attic:
        assert attic.root is not None
        (attic.root / "area" / "theirs").write_text("secret\n")
        where = f"{attic.host}:{attic.port}"
        word = attic.password.replace(" ", "%20")
        async with await Caller.connect(gateway.port) as caller:
            ours = await caller.mount(f"/museum/{folder.name}")
            status, _ = await caller.mnt(f"ftp://{attic.user}:guess@{where}/area")
            assert status is mount3.Status.ACCES
            # Its certificate is its own, and not one that the gateway trusts.
            status, _ = await caller.mnt(f"ftp://{attic.user}:{word}@{where}/area")
            assert status is mount3.Status.ACCES
            await caller.lookup(ours, "ours")
            lookup = opaque(ours) + opaque(b"theirs")
            assert await caller.status(Procedure.LOOKUP, lookup) is Status.NOENT
    assert [mount["site"].rpartition("/")[2] for mount in gateway.sites()["mounts"]] == [folder.name]


async def test_a_site_that_never_answers_holds_up_neither_others_nor_the_end(
    gateway: Gateway, folder: Path
) -> None:
    (folder / "hello.txt").write_text("hello\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with await Caller.connect(gateway.port) as caller:
            waiting = asyncio.create_task(caller.mnt(f"127.0.0.1:{silent.getsockname()[1]}:ann:guess"))
            await asyncio.sleep(0.2)
            begin = time.monotonic()
            root = await caller.mount(f"/museum/{folder.name}")
            assert await caller.read(await caller.lookup(root, "hello.txt"), 0, 100) == (b"hello\n", True)
            assert await asyncio.to_thread(gateway.stop) == 0
            assert time.monotonic() - begin < 10.0
            assert not waiting.done() or waiting.exception()
            waiting.cancel()


async def test_a_wrong_password_is_told_in_the_sites_words_and_kept_nowhere(
    gateway: Gateway, tmp_path: Path
) -> None:
    with servers.pyftpdlib(tmp_path / "attic") as attic:
        gateway.stop()
        config = gateway.config.read_text()
        gateway.config.write_text(
            re.sub(r'trust_file = ".*"', f"trust_file = {json.dumps(str(attic.authority))}", config)
        )
        gateway.start()
        async with await Caller.connect(gateway.port) as caller:
            status, _ = await caller.mnt(f"{attic.host}:{attic.port}:{attic.user}:guess-me")
            assert status is mount3.Status.ACCES
            await caller.mount(f"{attic.host}:{attic.port}:{attic.user}:{attic.password}:area")
    log = gateway.log.read_text()
    assert "Authentication failed" in log
    assert "guess-me" not in log
    assert attic.password not in log
    gateway.stop()
    assert b"guess-me" not in (gateway.state / "record.db").read_bytes()
    assert (gateway.state / "record.db").stat().st_mode & 0o077 == 0


async def test_a_ticket_is_good_for_one_mount_and_shows_no_password(
    gateway: Gateway, peer: Server, folder: Path, tmp_path: Path
) -> None:
    (folder / "hello.txt").write_text("hello\n")
    words = ("mount", f"{url(peer)}/area/{folder.name}", str(tmp_path), "--print", "--json")
    done = gateway.argosy(*words, "--password-file", str(tmp_path / "password"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert SECRET not in done.stdout
    assert told["command"][-2] == f"127.0.0.1:{told['export']}"
    async with await Caller.connect(gateway.port) as caller:
        root = await caller.mount(told["export"])
        handle = await caller.lookup(root, "hello.txt")
        assert (await caller.getattr(await caller.lookup(root, "hello.txt")))["size"] == 6
        status, _ = await caller.mnt(told["export"])
        assert status is mount3.Status.ACCES
    gateway.kill()
    gateway.start()
    async with await Caller.connect(gateway.port) as caller:
        assert await caller.read(handle, 0, 100) == (b"hello\n", True)
    assert SECRET not in gateway.log.read_text()


def test_mount_tells_soon_that_nobody_answers_there(gateway: Gateway, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    begin = time.monotonic()
    done = gateway.argosy("mount", f"ftp://127.0.0.1:{port}/", str(tmp_path), "--print")
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert time.monotonic() - begin < 15.0


def test_mount_tells_what_to_do_about_a_certificate_that_is_not_trusted(
    gateway: Gateway, tmp_path: Path
) -> None:
    with servers.pyftpdlib(tmp_path / "attic") as attic:
        words = ("mount", f"ftpes://{attic.user}@{attic.host}:{attic.port}/area", str(tmp_path), "--print")
        done = gateway.argosy(*words, said=f"{attic.password}\n")
    assert done.returncode == 1
    assert done.stderr.startswith("argosy: The site's certificate isn't trusted: ")
    assert "[remote] trust_file" in done.stderr


def test_mount_tells_that_the_site_has_no_such_directory(
    gateway: Gateway, peer: Server, tmp_path: Path
) -> None:
    words = ("mount", f"{url(peer)}/area/nowhere", str(tmp_path), "--print")
    done = gateway.argosy(*words, "--password-file", str(tmp_path / "password"))
    assert done.returncode == 1
    assert done.stderr.startswith("argosy: No such file or directory: ")
    assert "Traceback" not in gateway.log.read_text()


async def test_mount_hands_the_systems_mount_a_ticket_and_says_where_the_site_is(
    gateway: Gateway, peer: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "mount": f'printf "%s\\n" "$@" > {tmp_path}/said',
        "sudo": 'exec "$@"',
        "mount.nfs": "exit 1",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    there = f"{url(peer)}/area/{folder.name}"
    done = gateway.argosy("mount", there, str(folder), "--read-only", "-o", "soft", said="")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{there} is at {folder}; to take it away: argosy umount {folder}\n"
    *_, options, source, directory = (tmp_path / "said").read_text().splitlines()
    assert options.endswith(",ro,soft")
    assert f"port={gateway.port}," in options
    assert directory == str(folder)
    async with await Caller.connect(gateway.port) as caller:
        await caller.mount(source.partition(":")[2])


async def test_clients_of_other_networks_are_turned_away(
    gateway: Gateway, folder: Path, tmp_path: Path
) -> None:
    gateway.stop()
    config = gateway.config.read_text()
    gateway.config.write_text(config.replace("[nfs]\n", '[nfs]\nnetworks = ["192.0.2.0/24"]\n'))
    gateway.start()
    with pytest.raises((ConnectionError, TimeoutError)):
        async with await Caller.connect(gateway.port) as caller:
            await caller.mount("/museum")


async def test_a_site_has_networks_of_its_own(gateway: Gateway, folder: Path) -> None:
    gateway.stop()
    config = gateway.config.read_text()
    gateway.config.write_text(config + 'networks = ["192.0.2.0/24"]\n')
    gateway.start()
    async with await Caller.connect(gateway.port) as caller:
        status, _ = await caller.mnt("/museum")
        assert status is mount3.Status.ACCES


async def test_sites_tells_what_was_asked_and_what_was_fetched(
    gateway: Gateway, peer: Server, folder: Path
) -> None:
    (folder / "a").write_bytes(BIG)
    async with await Caller.connect(gateway.port) as caller:
        handle = await caller.lookup(await caller.mount(f"/museum/{folder.name}"), "a")
        for _ in range(2):
            assert (await caller.read(handle, 0, 4096))[0] == BIG[:4096]
    (mount,) = gateway.sites()["mounts"]
    assert mount["site"] == f"{url(peer)}/area/{folder.name}"
    assert mount["asked_bytes"] == 8192
    assert mount["cached_bytes"] >= 4096
    assert 4096 <= mount["fetched_bytes"] < len(BIG)
    shown = gateway.argosy("sites")
    assert shown.returncode == 0
    assert f"{url(peer)}/area/{folder.name}" in shown.stdout


def test_a_second_gateway_with_the_same_state_is_refused(gateway: Gateway) -> None:
    done = gateway.argosy("nfs", "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "A gateway runs here already" in done.stderr.splitlines()[-1]


def test_a_port_that_is_taken_is_named(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[state]\ndirectory = "other"\n')
    words = [*ARGOSY, "nfs", "--config", str(file), "--listen", f"127.0.0.1:{gateway.port}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert str(gateway.port) in done.stderr.splitlines()[-1]
    assert "--listen" in done.stderr.splitlines()[-1]


def test_mount_starts_a_gateway_and_finds_it_again(peer: Server, folder: Path, tmp_path: Path) -> None:
    """Without a config, so a site's certificate has to be trusted by the machine: this one has none."""
    state = tmp_path / "state"
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "NETRC": str(tmp_path / "netrc")}
    environment["SSL_CERT_FILE"] = str(peer.authority)

    def say(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ARGOSY, *words, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    assert say("sites").returncode == 1
    there = f"{url(peer)}/area/{folder.name}"
    try:
        first = say("mount", there, str(tmp_path), "--print")
        assert (first.returncode, first.stderr) == (0, "")
        second = say("mount", there, str(tmp_path), "--print")
        (tmp_path / "mine.toml").write_text("")
        third = say("mount", there, str(tmp_path), "--print", "--config", str(tmp_path / "mine.toml"))
        assert "a gateway runs already, which has read no config" in third.stderr
        assert "mine.toml counts when it is started anew" in third.stderr
        ports = {json.loads(done.stdout)["nfs"] for done in (first, second, third)}
        assert len(ports) == 1
        sites = json.loads(say("sites").stdout)
        assert [mount["site"] for mount in sites["mounts"]] == [there]
        assert sites["nfs"] in ports
    finally:
        lock = state / "argosy" / "gateway" / "lock"
        if lock.exists():
            os.kill(int(lock.read_text()), 15)
            until(lambda: not (lock.parent / "gateway.sock").exists())


def test_three_who_mount_at_once_start_one_gateway(peer: Server, folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "NETRC": str(tmp_path / "netrc")}
    environment["SSL_CERT_FILE"] = str(peer.authority)
    there = f"{url(peer)}/area/{folder.name}"
    words = [*ARGOSY, "mount", there, str(tmp_path), "--print", "--json"]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        all_of_them = [
            subprocess.Popen(words, env=environment, text=True, stdin=nothing, stdout=pipe, stderr=pipe)
            for _ in range(3)
        ]
        answers = [process.communicate(timeout=120) for process in all_of_them]
        assert [process.returncode for process in all_of_them] == [0, 0, 0], answers
        assert len({json.loads(out)["nfs"] for out, _ in answers}) == 1
        until(lambda: len(_gateways(state)) == 1, 60.0)  # who came late hears that one runs, and ends
    finally:
        for pid in _gateways(state):
            os.kill(pid, 15)
        until(lambda: not _gateways(state))


def _gateways(state: Path) -> list[int]:
    """Give the gateways whose user has a state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "cmdline").read_bytes().split(b"\0")
            if b"nfs" in said and str(state).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found
