"""What is written gets to each of five servers, by every plan, whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import servers
from argosy import errors
from argosy.sites.model import Changes, Facts, Version
from argosy.sites.temporary import is_temporary
from contract import storing
from contract.mount import MIB, Mount, mounted
from contract.writer import content
from servers import Mortal, Server


@pytest.fixture
async def mount(peer: Server, place: bytes, tmp_path: Path) -> AsyncIterator[Mount]:
    async with mounted(peer, place, tmp_path / "journal", whole_bytes=0, stream_bytes=2 * MIB) as mount:
        yield mount


async def test_a_new_file_is_on_the_site_when_a_flush_returns(mount: Mount) -> None:
    for size in (0, 1, 70_000, 3 * MIB + 5):
        file, content = mount.name(b"new%d" % size), os.urandom(size)
        await mount.create(file)
        await mount.write(file, None, content)
        assert await mount.flushed(file) == content
        assert mount.writer.dirty(file) is None
    assert not any(map(is_temporary, mount.names()))


async def test_a_file_is_replaced(mount: Mount) -> None:
    for size in (0, 5, 2 * MIB):
        file, base = await mount.existing(b"old%d" % size, os.urandom(MIB))
        await mount.writer.truncate(file, base, 0)
        content = os.urandom(size)
        await mount.write(file, base, content)
        assert await mount.flushed(file) == content
    assert not any(map(is_temporary, mount.names()))


async def test_what_is_appended_goes_alone(mount: Mount) -> None:
    old, more = os.urandom(2 * MIB), os.urandom(1000)
    file, base = await mount.existing(b"log", old)
    await mount.write(file, base, more, at=len(old))
    assert await mount.flushed(file) == old + more
    assert mount.writer.report().sent_bytes == len(more)


async def test_the_middle_of_a_file_is_changed(mount: Mount, peer: Server) -> None:
    old = bytearray(os.urandom(8 * MIB))
    file, base = await mount.existing(b"database", bytes(old))
    for at in (5, 4 * MIB, 8 * MIB - 7):
        old[at : at + 1000] = b"!" * 1000
        await mount.write(file, base, b"!" * 1000, at=at)
    assert await mount.flushed(file) == old
    alone = mount.writer.report().sent_bytes < MIB
    assert alone == (peer.name in ("vsftpd", "ProFTPD", "pyftpdlib")), "the others cut the file there"
    assert not any(map(is_temporary, mount.names()))


async def test_a_file_is_cut_and_lengthened_and_its_holes_are_zeros(mount: Mount) -> None:
    old = os.urandom(3 * MIB)
    file, base = await mount.existing(b"f", old)
    await mount.writer.truncate(file, base, 2 * MIB)
    assert await mount.flushed(file) == old[: 2 * MIB]
    file, base = await mount.existing(b"g", old)
    await mount.writer.truncate(file, base, MIB)
    await mount.writer.truncate(file, base, 2 * MIB)
    await mount.write(file, base, b"end", at=3 * MIB)
    assert await mount.flushed(file) == old[:MIB] + bytes(2 * MIB) + b"end"
    new = mount.name(b"sparse")
    await mount.create(new)
    await mount.write(new, None, b"end", at=5 * MIB)
    assert await mount.flushed(new) == bytes(5 * MIB) + b"end"


async def test_a_large_file_is_uploaded_while_it_is_written(mount: Mount) -> None:
    content, file = os.urandom(24 * MIB), mount.name(b"large")
    await mount.create(file)
    await mount.write(file, None, content)
    until = time.monotonic() + 30
    while mount.writer.report().sent_bytes < 20 * MIB:
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    assert mount.writer.dirty(file) is not None
    assert await mount.flushed(file) == content
    assert mount.writer.report().sent_bytes == len(content)


async def test_what_was_sent_already_can_be_written_again(mount: Mount) -> None:
    content, file = bytearray(os.urandom(12 * MIB)), mount.name(b"archive")
    await mount.create(file)
    await mount.write(file, None, bytes(content))
    until = time.monotonic() + 30
    while mount.writer.report().sent_bytes < 8 * MIB:
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    content[3:10] = b"header!"
    await mount.write(file, None, b"header!", at=3)
    assert await mount.flushed(file) == content


async def test_a_client_that_flushes_in_the_middle_of_a_large_file_sends_every_byte_once(
    mount: Mount,
) -> None:
    content, file = os.urandom(20 * MIB), mount.name(b"f")
    await mount.create(file)
    for start in range(0, len(content), 5 * MIB):
        await mount.write(file, mount.base(file), content[start : start + 5 * MIB], at=start)
        assert await mount.flushed(file) == content[: start + 5 * MIB]
    assert mount.writer.report().sent_bytes == len(content)


async def test_a_file_that_is_read_while_it_is_dirty_is_as_it_was_written(mount: Mount) -> None:
    old = os.urandom(MIB)
    file, base = await mount.existing(b"f", old)
    await mount.write(file, base, b"new", at=1000)
    await mount.write(file, base, b"end", at=2 * MIB)

    async def theirs(version: Version, offset: int, count: int) -> list[memoryview]:
        assert version == base
        return [memoryview(old)[offset : offset + count]]

    got = await mount.writer.read(file, 0, 4 * MIB, theirs)
    assert got is not None
    views, ended = got
    wanted = old[:1000] + b"new" + old[1003:] + bytes(MIB) + b"end"
    assert (b"".join(views), ended) == (wanted, True)
    assert await mount.flushed(file) == wanted
    assert await mount.writer.read(file, 0, 10, theirs) is None


async def test_time_and_mode_go_along(mount: Mount, peer: Server) -> None:
    file = mount.name(b"f")
    await mount.create(file, mode=0o640)
    await mount.write(file, None, b"#!/bin/sh\n")
    assert await mount.writer.want(file, mtime_ns=1_500_000_000 * 10**9, mode=0o750)
    facts = await mount.writer.flush(file)
    assert facts is not None
    assert facts.mtime_ns == 1_500_000_000 * 10**9
    listed = await asyncio.to_thread(lambda: next(f for f in list_of(mount) if f.name == b"f"))
    if peer.name != "vsftpd":  # its anonymous users have no CHMOD
        assert listed.mode in (0o750, None)
    assert not await mount.writer.want(file, mode=0o600), "it isn't dirty any more"


def list_of(mount: Mount) -> list[Facts]:
    with mount.client() as client:
        return client.list(mount.place)


async def test_bytes_that_the_site_lost_meanwhile_are_not_made_up(mount: Mount) -> None:
    file, base = await mount.existing(b"f", b"s" * 3000)
    await mount.write(file, base, b"w" * 10, 2000)
    await asyncio.to_thread(mount.put, mount.paths[file], b"other")
    with pytest.raises(errors.Damaged):
        await mount.writer.flush(file)
    assert await mount.content(file) == b"other"


async def test_a_replaced_file_keeps_its_mode(mount: Mount, peer: Server) -> None:
    file, base = await mount.existing(b"script", b"#!/bin/sh\n" * 1000)
    try:
        await asyncio.to_thread(set_mode, mount, file, 0o751)
    except errors.Refused:
        assert peer.name == "vsftpd", "its anonymous users have no CHMOD; all others can"
        return
    await mount.writer.truncate(file, base, 0)
    await mount.write(file, base, b"#!/bin/bash\n")
    await mount.flushed(file)
    listed = await asyncio.to_thread(lambda: next(f for f in list_of(mount) if f.name == b"script"))
    assert listed.mode in (0o751, None)


def set_mode(mount: Mount, file: int, mode: int) -> None:
    with mount.client() as client:
        client.set_mode(mount.paths[file], mode)


async def test_an_empty_file_reaches_the_site_by_itself_and_one_removed_before_never_does(
    peer: Server, place: bytes, tmp_path: Path
) -> None:
    async with mounted(peer, place, tmp_path / "journal", create_seconds=0.3) as mount:
        stays, goes = mount.name(b"stays"), mount.name(b"goes")
        await mount.create(stays)
        await mount.create(goes)
        assert await mount.writer.forget(goes) is False
        assert mount.names() == []
        until = time.monotonic() + 20
        while mount.writer.dirty(stays) is not None:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        assert mount.names() == [b"stays"]
        assert [file for file, facts in mount.done if facts] == [stays]


async def test_data_that_nobody_asks_for_reaches_the_site_too(
    peer: Server, place: bytes, tmp_path: Path
) -> None:
    async with mounted(peer, place, tmp_path / "journal", quiet_seconds=0.3) as mount:
        file = mount.name(b"f")
        await mount.write(file, None, b"written, and never committed")
        until = time.monotonic() + 20
        while mount.writer.dirty(file) is not None:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        assert await mount.content(file) == b"written, and never committed"


async def test_what_the_site_refuses_is_heard_by_who_creates_it(mount: Mount) -> None:
    file = mount.name(b"no such directory/f")
    with pytest.raises(errors.NotFound):
        await mount.create(file)
    assert mount.writer.dirty(file) is None


async def test_what_the_site_refuses_is_heard_by_who_flushes_and_who_writes_on(mount: Mount) -> None:
    file = mount.name(b"gone/f")
    mount.writer.admit(mount.place + b"/gone")
    await mount.create(file)
    await mount.write(file, None, b"x")
    for _ in range(2):
        with pytest.raises(errors.NotFound):
            await mount.writer.flush(file)
        with pytest.raises(errors.NotFound):
            await mount.writer.write(file, None, 1, b"y")
    await mount.writer.truncate(file, None, 0)
    mount.name(b"f", file)
    await mount.write(file, None, b"another beginning")
    assert await mount.flushed(file) == b"another beginning"


async def test_a_gateway_that_starts_again_brings_what_was_left(
    peer: Server, place: bytes, tmp_path: Path
) -> None:
    first = Mount(peer, place, tmp_path / "journal")
    await first.writer.open()
    new, content = first.name(b"new"), os.urandom(3 * MIB)
    await first.write(new, None, content)
    old, base = await first.existing(b"old", content)
    await first.write(old, base, b"changed", at=MIB)
    assert first.writer._tending is not None
    first.writer._tending.cancel()  # as if it were killed: nothing is brought away
    first.pool.close()
    async with mounted(peer, place, tmp_path / "journal") as again:
        again.paths |= first.paths
        assert sorted(again.writer.files()) == sorted([new, old])
        assert await again.flushed(new) == content
        assert await again.flushed(old) == content[:MIB] + b"changed" + content[MIB + 7 :]
        assert again.space.used == 0
    assert list((tmp_path / "journal").iterdir()) == []


async def test_random_changes_give_what_a_disk_would_give(peer: Server, place: bytes, tmp_path: Path) -> None:
    """As fsx does: writes, cuts, flushes and reads in any order, beside a plain buffer."""
    chance, model = random.Random(4711), bytearray()
    async with mounted(
        peer, place, tmp_path / "journal", whole_bytes=100_000, stream_bytes=150_000, quiet_seconds=0.5
    ) as mount:
        file = mount.name(b"fsx")

        async def theirs(version: Version, offset: int, count: int) -> list[memoryview]:
            def fetch() -> bytes:
                with mount.client() as client, client.retrieve(mount.paths[file]) as download:
                    return download.read()

            return [memoryview(await asyncio.to_thread(fetch))[offset : offset + count]]

        await mount.create(file)
        for _ in range(120):
            match chance.choice(["write", "write", "append", "append", "cut", "flush", "read"]):
                case "write":
                    at, data = chance.randrange(400_000), chance.randbytes(chance.randrange(1, 60_000))
                    await mount.write(file, mount.base(file), data, at=at)
                    model.extend(bytes(max(0, at + len(data) - len(model))))
                    model[at : at + len(data)] = data
                case "append":
                    data = chance.randbytes(chance.randrange(1, 200_000))
                    await mount.write(file, mount.base(file), data, at=len(model))
                    model += data
                case "cut":
                    size = chance.choice([0, chance.randrange(400_000)])
                    await mount.writer.truncate(file, mount.base(file), size)
                    model.extend(bytes(max(0, size - len(model))))
                    del model[size:]
                case "flush":
                    await mount.writer.flush(file)
                    assert await mount.content(file) == model
                case "read":
                    # Where an upload is under way or was cut, the site or the writer has a client ask again.
                    with contextlib.suppress(errors.Changed, errors.Busy):
                        got = await mount.writer.read(file, 0, 10 * MIB, theirs)
                        assert got is None or b"".join(got[0]) == model
        await mount.writer.flush(file)
        assert await mount.content(file) == model
        assert mount.names() == [b"fsx"]


async def test_nothing_that_was_acknowledged_is_lost_when_the_gateway_is_killed(
    peer: Server, place: bytes, tmp_path: Path
) -> None:
    size, file, journal = 24 * MIB, 4711, tmp_path / "journal"
    arguments = [peer.name, peer.host, peer.port, peer.user, peer.password, peer.authority]
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "contract.writer", *map(str, arguments)),
        *(place.decode(), str(journal), str(size), str(file)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert writer.stdout is not None
    acknowledged = sent = 0
    while acknowledged < 16 * MIB or sent < 4 * MIB:
        line = await asyncio.wait_for(writer.stdout.readline(), 60)
        acknowledged, sent = map(int, line.split())
    writer.send_signal(signal.SIGKILL)
    await writer.wait()
    async with mounted(peer, place, journal, stream_bytes=2 * MIB) as mount:
        mount.name(b"large", file)
        dirty = mount.writer.dirty(file)
        assert dirty is not None
        assert dirty.size >= acknowledged
        resent = 8 * MIB  # what the client had no COMMIT for it sends again, in any order
        for at in range(size - MIB, resent - MIB, -MIB):
            await mount.writer.write(file, None, at, content(size)[at : at + MIB])
        assert await mount.flushed(file) == content(size)
        assert mount.names() == [b"large"]
    assert list(journal.iterdir()) == []


async def test_an_upload_goes_on_where_it_was_when_the_site_is_killed_and_comes_back(tmp_path: Path) -> None:
    site, size = Mortal.pyftpdlib(tmp_path / "site"), 48 * MIB
    assert site.server.root is not None
    folder, data = site.server.root / "area", os.urandom(size)
    async with mounted(site.server, b"/area", tmp_path / "journal", stream_bytes=2 * MIB) as mount:
        file = mount.name(b"large")
        with site.up():
            await mount.create(file)
            for at in range(0, size, MIB):
                await mount.writer.write(file, None, at, data[at : at + MIB])
                await asyncio.sleep(0.01)
                if mount.writer.report().sent_bytes >= 8 * MIB:
                    break
        written = at + MIB
        assert mount.writer.dirty(file) is not None
        flushing = asyncio.create_task(mount.writer.flush(file))
        await asyncio.sleep(1.0)
        await mount.write(file, None, data[written:], at=written)
        assert not flushing.done(), "a site that is away is waited for"
        with site.up():
            await flushing
            await mount.writer.flush(file)
            assert (folder / "large").read_bytes() == data
            assert [path.name for path in folder.iterdir()] == ["large"]
            assert mount.writer.report().sent_bytes < size + 24 * MIB


async def test_a_program_hears_that_the_site_is_full(tmp_path: Path) -> None:
    with servers.pure_ftpd(tmp_path / "server", "-n", "1000:2") as peer:
        assert peer.root is not None
        peer.root.chmod(0o777)  # it keeps count in a file there
        async with mounted(
            peer, servers.FOLDER.encode(), tmp_path / "journal", stream_bytes=MIB, refused_seconds=1.0
        ) as mount:
            old, base = await mount.existing(b"old", b"old" * 1000)
            file = mount.name(b"new")
            for this, of in ((file, None), (old, base)):
                await mount.writer.truncate(this, of, 0) if of else await mount.create(this)
                with pytest.raises((errors.NoSpace, errors.OverQuota)):  # noqa: PT012 - either may be told
                    await mount.write(this, of, os.urandom(8 * MIB))
                    await mount.writer.flush(this)
                with pytest.raises((errors.NoSpace, errors.OverQuota)):
                    await mount.writer.flush(this)
                with pytest.raises((errors.NoSpace, errors.OverQuota)):
                    await mount.writer.write(this, of, 0, b"more")
                until = time.monotonic() + 30
                while mount.writer.dirty(this) is not None or mount.space.used:
                    assert time.monotonic() < until
                    await asyncio.sleep(0.1)
                assert mount.done[-1] == (this, None), "the mount shows what the site has again"
            assert await mount.content(old) == b"old" * 1000
            assert mount.names() == [b"old"]


async def test_a_full_journal_makes_writers_wait_and_then_says_so(tmp_path: Path) -> None:
    with servers.pyftpdlib(tmp_path / "server") as peer:
        async with mounted(
            peer, servers.FOLDER.encode(), tmp_path / "journal", disk_bytes=4 * MIB, full_seconds=15.0
        ) as mount:
            data, file = os.urandom(20 * MIB), mount.name(b"larger than the journal")
            await mount.write(file, None, data)
            await mount.writer.flush(file)
            assert await mount.content(file) == data
        async with mounted(
            peer, b"/nowhere", tmp_path / "other", disk_bytes=4 * MIB, full_seconds=0.5
        ) as mount:
            file = mount.name(b"f")
            with pytest.raises((errors.NoSpace, errors.NotFound)):
                await mount.write(file, None, os.urandom(20 * MIB))


async def test_a_site_that_replaces_nothing_has_files_replaced_all_the_same(tmp_path: Path) -> None:
    with servers.proftpd(tmp_path / "server", "<Limit RNTO STOR>\n</Limit>\nAllowOverwrite off") as peer:
        async with mounted(peer, servers.FOLDER.encode(), tmp_path / "journal") as mount:
            file, base = await mount.existing(b"old", b"old" * 1000)
            for new in (b"new" * 2000, b"newer"):
                await mount.writer.truncate(file, mount.base(file) or base, 0)
                await mount.write(file, mount.base(file) or base, new)
                assert await mount.flushed(file) == new
            await mount.write(file, mount.base(file), b"N")
            assert await mount.flushed(file) == b"Newer"
            assert mount.names() == [b"old"]


@pytest.mark.parametrize(
    "settings",
    [{"cmds_denied": "RNFR,RNTO"}, {"deny_file": "{*.part}"}, {"cmds_denied": "APPE"}],
    ids=["no renaming", "no names of ours", "no appending"],
)
async def test_a_site_that_can_less_gets_files_all_the_same(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with servers.vsftpd(tmp_path / "server", settings) as peer:
        async with mounted(peer, servers.FOLDER.encode(), tmp_path / "journal", whole_bytes=0) as mount:
            new, data = mount.name(b"new"), os.urandom(2 * MIB)
            await mount.create(new)
            await mount.write(new, None, data)
            assert await mount.flushed(new) == data
            await mount.write(new, mount.base(new), b"more", at=len(data))
            assert await mount.flushed(new) == data + b"more"
            await mount.write(new, mount.base(new), b"middle", at=MIB)
            assert await mount.flushed(new) == data[:MIB] + b"middle" + data[MIB + 6 :] + b"more"
            assert mount.names() == [b"new"]


async def test_a_site_that_lets_us_in_once_is_enough(peer: Server, place: bytes, tmp_path: Path) -> None:
    async with mounted(peer, place, tmp_path / "journal", connections=1, stream_bytes=MIB) as mount:
        files = [mount.name(b"%d" % number) for number in range(4)]
        data = os.urandom(6 * MIB)

        async def copy(file: int) -> None:
            await mount.create(file)
            await mount.write(file, None, data)
            await mount.writer.flush(file)

        await asyncio.gather(*map(copy, files))
        for file in files:
            assert await mount.content(file) == data


async def test_who_asks_late_hears_too_that_nothing_was_kept(
    peer: Server, place: bytes, tmp_path: Path
) -> None:
    async with mounted(peer, place, tmp_path / "journal", quiet_seconds=0.2, refused_seconds=0.5) as mount:
        file = mount.name(b"gone/f")
        mount.writer.admit(place + b"/gone")
        await mount.create(file)
        await mount.write(file, None, b"written, and never to be kept")
        until = time.monotonic() + 30
        while mount.writer.dirty(file) is not None:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        with pytest.raises(errors.NotFound):
            await mount.writer.write(file, None, 5, b"more")
        with pytest.raises(errors.NotFound):
            await mount.writer.flush(file)
        assert await mount.writer.flush(file) is None


async def test_what_is_left_of_uploads_that_ended_long_ago_goes(tmp_path: Path) -> None:
    with servers.pyftpdlib(tmp_path / "server") as peer:
        assert peer.root is not None
        folder = peer.root / servers.FOLDER.strip("/")
        for name, age in ((".argosy-0123456789abcdef.part", 90_000), (".argosy-ffffffffffffffff.part", 60)):
            (folder / name).write_bytes(b"half a f")
            os.utime(folder / name, (time.time() - age,) * 2)
        async with storing.mounted(peer, tmp_path / "state") as storage:
            assert await storing.names(storage, storage.root) == []
        assert [path.name for path in folder.iterdir()] == [".argosy-ffffffffffffffff.part"]


async def test_a_file_that_was_just_read_is_changed_at_once(tmp_path: Path) -> None:
    """vsftpd locks a file that is being read, and a reading head may rest in it."""
    with servers.vsftpd(tmp_path / "server") as peer:
        async with storing.mounted(peer, tmp_path / "state") as storage:
            file = (await storage.create(storage.root, b"large", Changes())).file
            for at in range(0, 48 * MIB, MIB):
                await storage.write(file, at, bytes(MIB))
            await storage.flush(file)
            for at in (5 * MIB, 6 * MIB):
                await storage.read(file, at, MIB)
            began = time.monotonic()
            for at in (MIB, 48 * MIB):
                await storage.write(file, at, b"changed")
                await storage.flush(file)
            assert time.monotonic() - began < 5.0
            assert (await storage.read(file, MIB, 7))[0] == [b"changed"]


async def test_what_was_written_stays_while_the_site_doesnt_let_us_in(tmp_path: Path) -> None:
    with servers.pyftpdlib(tmp_path / "server") as peer:
        stranger = Server(peer.name, peer.host, peer.port, peer.user, "wrong", peer.authority, peer.root)
        folder = servers.FOLDER.encode()
        async with mounted(stranger, folder, tmp_path / "journal", refused_seconds=0.1) as mount:
            file = mount.name(b"f", 4711)
            await mount.write(file, None, b"kept")
            with pytest.raises(errors.LoginFailed):
                await mount.writer.flush(file)
            await asyncio.sleep(1.0)
            assert mount.writer.dirty(file) is not None
        async with mounted(peer, folder, tmp_path / "journal") as mount:
            mount.name(b"f", 4711)
            assert await mount.flushed(4711) == b"kept"
