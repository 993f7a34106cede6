"""What a gateway keeps of a mount: no threads while nobody uses it, no password when it was taken away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import servers
from calling import Caller
from gateways import Gateway
from running import Settings
from servers import Mortal, Server

SECRET = "wind-and-tide"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Run a gateway whose mounts soon sleep, and which soon gives up a site."""
    settings: Settings = {
        "remote": {"certificates": "any", "sleep_seconds": 10.0, "away_seconds": 2.0},
        "state": {"stop_seconds": 2.0},
    }
    gateway = Gateway(tmp_path / "gateway", settings)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def url(peer: Server, password: str = "") -> str:
    word = f":{password}" if password else ""
    return f"ftp://{peer.user}{word}@{peer.host}:{peer.port}/area"


def kept(gateway: Gateway) -> bool:
    """Whether the password is anywhere in the gateway's state."""
    files = [path for path in gateway.state.rglob("*") if path.is_file()]
    return any(SECRET.encode() in path.read_bytes() for path in files)


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.2)


async def test_a_forgotten_site_has_all_that_was_written_and_its_password_is_gone(
    gateway: Gateway, tmp_path: Path
) -> None:
    with servers.vsftpd(tmp_path / "site") as peer:
        async with await Caller.connect(gateway.port) as caller:
            root = await caller.mount(url(peer, SECRET))
            await caller.write(await caller.create(root, "letter"), 0, b"hello\n")
        assert kept(gateway)
        done = gateway.argosy("sites", "forget", url(peer))
        assert (done.returncode, done.stdout) == (0, f"forgotten: {url(peer)}\n")
        assert peer.root is not None
        assert (peer.root / "area" / "letter").read_text() == "hello\n"
        assert not kept(gateway)
        assert gateway.sites()["mounts"] == gateway.sites()["asleep"] == []
        done = gateway.argosy("sites", "forget", url(peer))
        assert (done.returncode, done.stdout) == (1, "")
        assert url(peer) in done.stderr


async def test_a_site_that_is_away_is_not_forgotten_before_it_has_what_was_written(
    gateway: Gateway, tmp_path: Path
) -> None:
    site = Mortal.vsftpd(tmp_path / "site")
    assert site.server.root is not None
    there = site.server.root / "area" / "letter"
    site.start()
    try:
        async with await Caller.connect(gateway.port) as caller:
            handle = await caller.create(await caller.mount(url(site.server, SECRET)), "letter")
            site.kill()
            await caller.write(handle, 0, b"hello\n")
        done = gateway.argosy("sites", "forget", url(site.server))
        assert done.returncode == 1
        assert done.stderr == f"argosy: Not forgotten: {url(site.server)}: not on the site yet: letter\n"
        gateway.kill()
        gateway.start()
        done = gateway.argosy("sites", "forget", url(site.server))
        assert done.returncode == 1
        assert "not on the site yet" in done.stderr
        site.start()
        until(lambda: there.exists() and there.read_text() == "hello\n", 90.0)
        assert gateway.argosy("sites", "forget", url(site.server)).returncode == 0
    finally:
        site.stop()
    assert not kept(gateway)


async def test_a_mount_that_nobody_uses_gives_its_threads_back_and_wakes_by_itself(
    gateway: Gateway, tmp_path: Path
) -> None:
    with servers.vsftpd(tmp_path / "site") as peer:
        assert peer.root is not None
        (peer.root / "area" / "hello").write_text("hello\n")
        async with await Caller.connect(gateway.port) as caller:
            before = len(os.listdir(f"/proc/{gateway.pid}/task"))
            root = await caller.mount(url(peer, SECRET))
            handle = await caller.lookup(root, "hello")
            assert await caller.read(handle, 0, 100) == (b"hello\n", True)
            awake = len(os.listdir(f"/proc/{gateway.pid}/task"))
            until(lambda: not gateway.sites()["mounts"])
            assert [one["site"] for one in gateway.sites()["asleep"]] == [url(peer)]
            assert len(os.listdir(f"/proc/{gateway.pid}/task")) < awake
            assert before <= awake
            assert await caller.read(handle, 0, 100) == (b"hello\n", True)
            assert await caller.lookup(root, "hello") == handle
        assert [one["site"] for one in gateway.sites()["mounts"]] == [url(peer)]
