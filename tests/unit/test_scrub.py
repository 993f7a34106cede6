"""When a volume is read anew; how that goes is tested with whole nodes, in tests/door/test_proof.py."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from argosy import config
from argosy.node.disk import roots
from argosy.node.disk.journal import PassRow
from argosy.node.disk.scrub import Scrubber
from argosy.node.disk.volume import Volume

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
