"""What a node tells of its disks: whole lists, and what hands changed there."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from pathlib import Path

import pytest

from argosy import errors
from argosy.wire import link
from standin import OLD, eventually, master, node, put


async def test_a_disk_full_of_files_is_adopted_and_a_second_join_sends_nothing(tmp_path: Path) -> None:
    for number in range(25):
        put(tmp_path / f"root/d{number % 3}/f{number}", b"x" * number)
    locs = {f"d{number % 3}/f{number}".encode() for number in range(25)}
    async with master(tmp_path) as far:
        async with node(tmp_path, far, batch_files=10) as volume:
            await far.ask(link.Feed(volume.store_id, 0, False))
            await far.until(*locs)
            assert far.files[b"d1/f4"].size == 4
            assert far.files[b"d1/f4"].mtime_ns == OLD * 10**9
            acked = far.batches[-1].seq
        far.batches.clear()
        async with node(tmp_path, far) as volume:
            assert far.hello is not None
            assert far.hello.volumes[0].seq >= acked
            await far.ask(link.Feed(volume.store_id, acked, False))
            await far.ask(link.Scan(volume.store_id, False))
            assert [group for batch in far.batches for group in batch.groups] == []
            # But the master hears that it has caught up.
            await eventually(lambda: far.batches)
            assert far.batches[-1].seq == far.hello.volumes[0].seq


async def test_a_whole_list_comes_in_pages_that_leave_no_gap(tmp_path: Path) -> None:
    for number in range(25):
        put(tmp_path / f"root/f{number:02}", b"x")
    async with master(tmp_path) as far, node(tmp_path, far, batch_files=10) as volume:
        far.files[b"f05x"] = link.File(b"f05x", 1, 1)  # the master believes in one that isn't there
        await far.ask(link.Feed(volume.store_id, 10**9, True))
        await far.until(*(b"f%02d" % number for number in range(25)))
        pages = [(batch.after, batch.upto) for batch in far.batches if batch.whole]
        assert pages == [(b"", b"f09"), (b"f09", b"f19"), (b"f19", None)]
        assert far.batches[0].seq == 10**9  # unchanged until the last
        put(tmp_path / "root/later", b"y")
        await far.ask(link.Scan(volume.store_id, False))
        await far.until(b"later", *(b"f%02d" % number for number in range(25)))


async def test_what_hands_add_change_and_remove_is_found_by_a_scan(tmp_path: Path) -> None:
    put(tmp_path / "root/stays", b"1")
    put(tmp_path / "root/changes", b"1")
    put(tmp_path / "root/goes", b"1")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"stays", b"changes", b"goes")
        put(tmp_path / "root/changes", b"22", OLD + 1)
        put(tmp_path / "root/sub/new", b"333")
        (tmp_path / "root/goes").unlink()
        (tmp_path / "root/link").symlink_to("stays")
        scanned = await far.ask(link.Scan(volume.store_id, False))
        assert scanned == link.Scanned(3, 3, 0, volume.journal.seq)
        await far.until(b"stays", b"changes", b"sub/new")
        assert far.files[b"changes"].size == 2


async def test_a_file_that_was_just_put_there_is_found_by_the_same_scan(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Scan(volume.store_id, False))
        await far.ask(link.Feed(volume.store_id, 0, False))
        put(tmp_path / "root/fresh", b"1", time.time())
        await far.ask(link.Scan(volume.store_id, False))
        await far.until(b"fresh")


async def test_many_losses_are_held_until_the_administrator_accepts_them(tmp_path: Path) -> None:
    for number in range(10):
        put(tmp_path / f"root/f{number}", b"x")
    everything = {b"f%d" % number for number in range(10)}
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(*everything)
        for number in range(5):
            (tmp_path / f"root/f{number}").unlink()
        scanned = await far.ask(link.Scan(volume.store_id, False))
        assert isinstance(scanned, link.Scanned)
        assert scanned.held_losses == 5
        await eventually(lambda: far.held)
        assert [(held.losses, held.files) for held in far.held] == [(5, 10)]
        assert set(far.files) == everything
        await far.ask(link.Scan(volume.store_id, True))
        await far.until(*(b"f%d" % number for number in range(5, 10)))


async def test_a_disk_that_is_not_mounted_loses_nothing(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"x")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"f")
        await far.ask(link.Scan(volume.store_id, False))  # the scan at the start is over
        (tmp_path / "root").rename(tmp_path / "elsewhere")
        (tmp_path / "root").mkdir()
        with pytest.raises(errors.Failed, match="store id"):
            await far.ask(link.Scan(volume.store_id, True))
        assert set(far.files) == {b"f"}


async def test_a_scan_ordered_while_the_trash_is_emptied_reads_the_disk_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptying, go_on = threading.Event(), threading.Event()

    def slowly(*_: object, **__: object) -> None:
        emptying.set()
        go_on.wait(10)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    put(tmp_path / "root/.argosy/trash/1-1/old", b"x")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        assert await asyncio.to_thread(emptying.wait, 10)
        put(tmp_path / "root/new", b"x")

        async def release() -> None:
            await far.ask(link.Feed(volume.store_id, 0, False))  # answered when the other has arrived
            go_on.set()

        scanned, _ = await asyncio.gather(far.ask(link.Scan(volume.store_id, False)), release())
        assert isinstance(scanned, link.Scanned)
        assert scanned.files == 1


async def test_the_beat_tells_figures(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"1")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Scan(volume.store_id, False))
        far.beats.clear()
        await eventually(lambda: far.beats)
        (space,) = far.beats[0].volumes
        assert (space.store_id, space.files) == (volume.store_id, 1)
        assert 0 < space.free <= space.total
