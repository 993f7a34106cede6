"""When a volume is read anew; how that goes is tested with whole nodes, in tests/door/test_proof.py."""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from pathlib import Path

import pytest

from argosy import config
from argosy.node.disk import roots
from argosy.node.disk.journal import PassRow
from argosy.node.disk.scrub import Scrubber
from argosy.node.disk.volume import Volume
from argosy.wire import link

DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("begun_days_ago", "reads"),
    [(1, False), (29, False), (31, True), (-1, True), (-400, True)],
    ids=["yesterday", "not long ago", "long ago", "tomorrow: the clock was wrong", "in a year"],
)
async def test_a_pass_begins_when_the_last_one_is_long_ago_or_was_dated_by_a_wrong_clock(
    tmp_path: Path, begun_days_ago: int, *, reads: bool
) -> None:
    roots.prepare(tmp_path)
    volume = Volume.open(tmp_path, trash_seconds=60)
    begun_ns = time.time_ns() - begun_days_ago * DAY_NS
    volume.journal.put_scrub_pass(PassRow(begun_ns=begun_ns, ended_ns=begun_ns))
    scanned = asyncio.Event()
    scanned.set()
    scrubber = Scrubber(volume, config.Scrub(days=30.0, first_seconds=0.0), scanned)
    life = asyncio.create_task(scrubber.run())
    try:
        async with asyncio.timeout(10 if reads else 0.5):
            while scrubber.stand.ended_ns == begun_ns:
                await asyncio.sleep(0.01)
    except TimeoutError:
        assert not reads
    else:
        assert reads
        assert scrubber.stand.begun_ns <= time.time_ns()
    finally:
        life.cancel()
        scrubber.close()
        volume.close()


async def test_a_copy_that_is_doubted_does_not_wait_for_a_long_file_that_just_came(tmp_path: Path) -> None:
    roots.prepare(tmp_path)
    volume = Volume.open(tmp_path, trash_seconds=60)
    scrubber = Scrubber(volume, config.Scrub(bytes_per_second=1_000_000), asyncio.Event())
    life = asyncio.create_task(scrubber.run())
    try:
        await asyncio.sleep(0)
        for upload, name, data in ((1, b"long", b"l" * 20_000_000), (2, b"bad", b"good" * 1000)):
            descriptor = volume.receive(upload, 0, None, flush=False)
            os.write(descriptor, data)
            crc32 = zlib.crc32(data) if name == b"bad" else None
            volume.seal(upload, descriptor, flush=False, crc32=crc32, digest=None)
            os.close(descriptor)
            volume.release(upload)
            volume.commit([link.CommitPart(upload, name, DAY_NS)])
        times = (tmp_path / "bad").stat()
        (tmp_path / "bad").write_bytes(b"evil" * 1000)
        os.utime(tmp_path / "bad", ns=(times.st_atime_ns, times.st_mtime_ns))
        volume.doubted(b"bad")
        async with asyncio.timeout(15):  # the long one takes 20 seconds
            while not volume.journal.doubts(1):
                await asyncio.sleep(0.05)
        row = volume.journal.find(b"long")
        assert row is not None
        assert row.crc32 is None
    finally:
        life.cancel()
        scrubber.close()
        volume.close()
