"""What a node does with its files at the master's word."""

from __future__ import annotations

import asyncio
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy import errors
from argosy.wire import link
from standin import OLD, master, node, put


async def test_deleting_takes_just_the_version_that_is_meant(tmp_path: Path) -> None:
    put(tmp_path / "root/a/b/old", b"1234")
    put(tmp_path / "root/a/keep", b"1234")
    (tmp_path / "root/empty").mkdir()
    when = OLD * 10**9
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"a/b/old", b"a/keep")
        doomed = [
            link.Doomed(b"a/b/old", 1, 4, when),
            link.Doomed(b"a/keep", 2, 4, when + 1),
            link.Doomed(b"never/was", 3, 4, when),
        ]
        for _ in range(2):
            await far.ask(link.Discard(volume.store_id, doomed))
        await far.until(b"a/keep")
        assert not (tmp_path / "root/a/b").exists()  # we left it empty
        assert (tmp_path / "root/empty").exists()  # we didn't
        assert [path.read_bytes() for path in (tmp_path / "root/.argosy/trash").rglob("old")] == [b"1234"]


async def test_settling_moves_a_file_but_never_over_another(tmp_path: Path) -> None:
    put(tmp_path / "root/a/f", b"1234")
    put(tmp_path / "root/taken", b"other")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"a/f", b"taken")
        with pytest.raises(errors.Exists):
            await far.ask(link.Settle(volume.store_id, b"a/f", 5, 4, b"taken", OLD * 10**9))
        with pytest.raises(errors.Exists):
            await far.ask(link.Settle(volume.store_id, b"a/f", 5, 4, b"taken/below", OLD * 10**9))
        before = len(far.batches)
        for _ in range(2):
            await far.ask(link.Settle(volume.store_id, b"a/f", 5, 4, b"b/g", OLD * 10**9 + 5))
        await far.until(b"b/g", b"taken")
        assert far.files[b"b/g"].ver == 5
        assert len(far.batches[before].groups) == 2  # both halves of the move in one batch
        assert (tmp_path / "root/b/g").stat().st_mtime_ns == OLD * 10**9 + 5
        assert not (tmp_path / "root/a").exists()


async def test_nobody_reaches_outside_the_root(tmp_path: Path) -> None:
    put(tmp_path / "secret", b"1234")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").symlink_to(tmp_path)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        for loc in (b"../secret", b"out/secret", b"/secret", b".argosy/volume.id", b"a//b", b""):
            with pytest.raises((errors.BadArgument, errors.Damaged)):
                await far.ask(link.Checksum(volume.store_id, loc, 0, 4, ["md5"]))


async def test_checksums_of_a_file_or_a_piece_of_it(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"123456789")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        both = await far.ask(link.Checksum(volume.store_id, b"f", 0, 9, ["crc32", "md5"]))
        assert both == link.Checksums({"crc32": "cbf43926", "md5": "25f9e794323b453885f5181f1b624d0b"})
        piece = await far.ask(link.Checksum(volume.store_id, b"f", 0, 9, ["crc32"], 2, 3))
        assert piece == link.Checksums({"crc32": f"{zlib.crc32(b'345'):08x}"})
        with pytest.raises(errors.Unsupported):
            await far.ask(link.Checksum(volume.store_id, b"f", 0, 9, ["rot13"]))


async def test_a_small_file_is_read_while_all_other_threads_of_the_node_wait(tmp_path: Path) -> None:
    put(tmp_path / "root/all.sfv", b"f 00000000\n")
    busy, go_on = ThreadPoolExecutor(1), threading.Event()
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Scan(volume.store_id, False))
        asyncio.get_running_loop().set_default_executor(busy)
        busy.submit(go_on.wait, 120)
        try:
            answer = await far.ask(link.Content(volume.store_id, b"all.sfv", 0, 11, 0, 11))
        finally:
            go_on.set()
    assert answer == link.Bytes(b"f 00000000\n")


async def test_the_master_reads_a_small_file_piece_by_piece(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2_000
    put(tmp_path / "root/all.sfv", data)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        read = bytearray()
        while rest := min(len(data) - len(read), 50_000):
            order = link.Content(volume.store_id, b"all.sfv", 0, len(data), len(read), rest)
            answer = await far.ask(order)
            assert isinstance(answer, link.Bytes)
            read += answer.data
        assert read == data
        for offset, length in ((0, link.CONTENT_LIMIT + 1), (0, -1), (-1, 1)):
            with pytest.raises(errors.BadArgument):
                await far.ask(link.Content(volume.store_id, b"all.sfv", 0, len(data), offset, length))
        with pytest.raises(errors.Damaged):
            await far.ask(link.Content(volume.store_id, b"all.sfv", 0, len(data), len(data), 1))
        with pytest.raises(errors.Damaged):
            await far.ask(link.Content(volume.store_id, b"gone.sfv", 0, 4, 0, 4))
