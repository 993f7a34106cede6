"""A mount of a site in trouble: bounded waits, the right refusal, and on it goes when the site is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy import config
from argosy.errors import Denied, NotFound, Refused, Unavailable
from argosy.sites.model import Changes, Tls
from contract import peers
from contract.storing import content, mounted, names
from running import PASSWORD, USER

NOTHING = Changes()
AWAY = 2.0
IMPATIENT = config.Journal(flush_seconds=AWAY, retry_seconds=0.5, quiet_seconds=60.0, create_seconds=60.0)


@pytest.fixture
def here(tmp_path: Path) -> peers.Peer:
    """A site that isn't up yet: `up` starts it, as often as it is wanted."""
    (tmp_path / "root" / "area").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return peers.Peer("pyftpdlib", "127.0.0.1", port, USER, PASSWORD, Path("/nowhere"), tmp_path / "root")


@contextlib.contextmanager
def up(peer: peers.Peer, directory: Path, *more: str) -> Iterator[None]:
    """Run pyftpdlib, which is one process: when it goes, all its sessions go."""
    command = [sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", peer.host, "-p", str(peer.port)]
    command += ["-w", "-d", str(peer.root), "-u", peer.user, "-P", peer.password, *more]
    with peers.running(command, directory / "log", peer.port):
        yield


async def test_ls_l_of_ten_thousand_files_is_one_listing(tmp_path: Path) -> None:
    with peers.vsftpd(tmp_path / "server") as peer:
        assert peer.root is not None
        many = peer.root / "area" / "many"
        many.mkdir()
        os.chown(many, many.parent.stat().st_uid, many.parent.stat().st_gid)
        for number in range(10_000):
            (many / f"file {number}").touch()
        async with mounted(peer, tmp_path / "state", listing_seconds=60) as storage:
            directory = (await storage.child(storage.root, b"many")).file
            found = await names(storage, directory, most=100)
            assert len(found) == 10_000
            for name in found:
                attributes = await storage.child(directory, name)
                assert storage.known(attributes.file) == attributes
        log = (tmp_path / "server" / "commands.log").read_text()
        # and one of the directory above; the first of all is made twice, to see if LIST -a shows more
        assert log.count('"LIST') in (2, 3), log


async def test_a_site_that_was_away_is_gone_on_with(here: peers.Peer, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(up(here, tmp_path))
        async with mounted(
            *(here, tmp_path / "state"),
            tls=Tls.OFF,
            journal=IMPATIENT,
            away_seconds=AWAY,
            listing_seconds=0.5,
        ) as storage:
            root = storage.root
            file = (await storage.create(root, b"file", NOTHING)).file
            await storage.write(file, 0, b"on the site")
            await storage.flush(file)
            await asyncio.to_thread(stack.close)
            await asyncio.sleep(1.0)
            began = time.monotonic()
            for asked in (storage.attributes(file), names(storage, root), storage.remove(root, b"file")):
                with pytest.raises(Unavailable):
                    await asked
            assert time.monotonic() - began < 5 * AWAY
            assert storage.report()["state"] == "away"
            with up(here, tmp_path):
                until = time.monotonic() + 60.0
                while True:
                    try:
                        assert await content(storage, file) == b"on the site"
                        break
                    except Unavailable:
                        assert time.monotonic() < until
                await storage.write(file, 3, b"again")
                await storage.flush(file)
                assert storage.report()["state"] == "here"
                assert here.root is not None
                assert (here.root / "area" / "file").read_bytes() == b"on againite"


async def test_what_is_written_while_the_site_is_away_gets_there_later(
    here: peers.Peer, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(up(here, tmp_path))
        async with mounted(
            here, tmp_path / "state", tls=Tls.OFF, journal=IMPATIENT, away_seconds=AWAY
        ) as storage:
            file = (await storage.create(storage.root, b"file", NOTHING)).file
            await storage.write(file, 0, b"before")
            await storage.flush(file)
            await asyncio.to_thread(stack.close)
            await storage.write(file, 6, b" and after")
            with pytest.raises(Refused):
                await storage.flush(file)
            with up(here, tmp_path):
                until = time.monotonic() + 60.0
                while True:
                    with contextlib.suppress(Unavailable):
                        await storage.flush(file)
                        break
                    assert time.monotonic() < until
                assert here.root is not None
                assert (here.root / "area" / "file").read_bytes() == b"before and after"


async def test_a_site_that_lets_us_in_once_at_a_time_is_used_whole(here: peers.Peer, tmp_path: Path) -> None:
    with up(here, tmp_path, "--max-cons-per-ip", "1"):
        async with mounted(here, tmp_path / "state", tls=Tls.OFF) as storage:
            root = storage.root
            directory = (await storage.make_directory(root, b"d", NOTHING)).file

            async def one(number: int) -> None:
                name = b"f%d" % number
                file = (await storage.create(directory, name, NOTHING)).file
                await storage.write(file, 0, name * 10_000)
                await storage.flush(file)
                assert await content(storage, file) == name * 10_000
                await storage.rename(directory, name, root, name)

            await asyncio.gather(*(one(number) for number in range(6)))
            assert sorted(await names(storage, root)) == [b"d", *(b"f%d" % number for number in range(6))]


async def test_a_site_that_may_only_be_read_says_so_at_once(tmp_path: Path) -> None:
    with peers.vsftpd(tmp_path / "server", write_enable="NO") as peer:
        assert peer.root is not None
        (peer.root / "area" / "there").write_bytes(b"content")
        async with mounted(peer, tmp_path / "state") as storage:
            root = storage.root
            with pytest.raises(Denied):
                await storage.create(root, b"new", NOTHING)
            with pytest.raises(Denied):
                await storage.make_directory(root, b"new", NOTHING)
            with pytest.raises(Denied):
                await storage.remove(root, b"there")
            with pytest.raises(Denied):
                await storage.rename(root, b"there", root, b"new")
            with pytest.raises(NotFound):
                await storage.child(root, b"new")
            file = (await storage.child(root, b"there")).file
            assert await names(storage, root) == [b"there"]
            assert await content(storage, file) == b"content"
