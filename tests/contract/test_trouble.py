"""A mount of a site in trouble: bounded waits, the right refusal, and on it goes when the site is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

import servers
from argosy import config
from argosy.errors import Denied, NotFound, Refused, Unavailable
from argosy.sites.model import Changes, Tls
from contract.storing import content, mounted, names
from servers import Mortal

NOTHING = Changes()
AWAY = 2.0
IMPATIENT = config.Journal(flush_seconds=AWAY, retry_seconds=0.5, quiet_seconds=60.0, create_seconds=60.0)


@pytest.fixture
def site(tmp_path: Path) -> Mortal:
    """A site that isn't up yet."""
    return Mortal.pyftpdlib(tmp_path / "site")


async def test_ls_l_of_ten_thousand_files_is_one_listing(tmp_path: Path) -> None:
    with servers.vsftpd(tmp_path / "server") as peer:
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


async def test_a_site_that_was_away_is_gone_on_with(site: Mortal, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(site.up())
        async with mounted(
            *(site.server, tmp_path / "state"),
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
            with site.up():
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
                assert site.server.root is not None
                assert (site.server.root / "area" / "file").read_bytes() == b"on againite"


async def test_what_is_written_while_the_site_is_away_gets_there_later(site: Mortal, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(site.up())
        async with mounted(
            site.server, tmp_path / "state", tls=Tls.OFF, journal=IMPATIENT, away_seconds=AWAY
        ) as storage:
            file = (await storage.create(storage.root, b"file", NOTHING)).file
            await storage.write(file, 0, b"before")
            await storage.flush(file)
            await asyncio.to_thread(stack.close)
            await storage.write(file, 6, b" and after")
            with pytest.raises(Refused):
                await storage.flush(file)
            with site.up():
                until = time.monotonic() + 60.0
                while True:
                    with contextlib.suppress(Unavailable):
                        await storage.flush(file)
                        break
                    assert time.monotonic() < until
                assert site.server.root is not None
                assert (site.server.root / "area" / "file").read_bytes() == b"before and after"


async def test_a_site_that_lets_us_in_once_at_a_time_is_used_whole(site: Mortal, tmp_path: Path) -> None:
    with site.up("--max-cons-per-ip", "1"):
        async with mounted(site.server, tmp_path / "state", tls=Tls.OFF) as storage:
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
    with servers.vsftpd(tmp_path / "server", {"write_enable": "NO"}) as peer:
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
