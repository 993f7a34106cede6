"""Copies from node to node, with real nodes that are killed, filled and changed behind our back."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy import errors
from argosy.cluster.copies.copying import Batch, Item, Outcome
from argosy.node.disk import roots
from cluster import Cluster, cluster, path, tmpfs

log = logging.getLogger(__name__)

KILO = os.urandom(1024)


@pytest.mark.parametrize("size", [0, 1, 1024, 524_288 - 13, 3_000_000])
async def test_an_uploaded_file_gets_a_second_copy_on_another_node(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    async with cluster(tmp_path) as site:
        await site.join("n1")
        await site.join("n2")
        entry = await site.upload("n1", "/f", content)
        (outcome,) = await site.copy("n1", "n2", "/f")
        assert outcome.refusal is None
        assert (outcome.file, outcome.bytes) == (entry.id, size)
        assert site.holders("/f") == {"n1", "n2"}
        await site.lies("n2", "f", content)
        assert site.machines["n2"].parts() == {}


async def test_two_thousand_small_files_are_copied_in_one_batch(tmp_path: Path) -> None:
    files = {f"d{number % 7}/f{number}": os.urandom(1024 + number) for number in range(2000)}
    async with cluster(tmp_path) as site:
        await site.join("n1", files)
        await site.join("n2")
        begin = time.monotonic()
        outcomes = await site.copy("n1", "n2", *files)
        took = time.monotonic() - begin
        assert [outcome.refusal for outcome in outcomes] == [None] * 2000
        await site.until(lambda: not site.machines["n2"].parts())
        placed = time.monotonic() - begin
        log.info("%.0f files/s counted, %.0f files/s in place", 2000 / took, 2000 / placed)
        for loc, content in files.items():
            assert (site.machines["n2"].root / loc).read_bytes() == content


LARGE = 40_000_000
SLOW = 8_000_000
"""Bytes per second: so a large file takes some seconds."""


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, repair={"node_bytes_per_second": SLOW}) as site:
        await site.join("n1")
        await site.join("n2")
        yield site


def refusals(outcomes: list[Outcome]) -> list[str]:
    return [type(outcome.refusal).__name__ if outcome.refusal else "" for outcome in outcomes]


def carried() -> int:
    """Give the bytes that this process, the master's, has read and written so far. proc(5)"""
    lines = Path("/proc/self/io").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("rchar", "wchar")))


async def half_way(site: Cluster, size: int = LARGE) -> None:
    """Wait until the target has a good deal of one file, and not all."""
    await site.until(lambda: any(size // 4 < got < size for got in site.machines["n2"].parts().values()))


async def test_a_hundred_megabytes_go_at_the_speed_of_the_disks(tmp_path: Path) -> None:
    content = os.urandom(100_000_000)
    async with cluster(tmp_path) as site:
        await site.join("n1")
        await site.join("n2")
        await site.upload("n1", "/big", content)
        begin = time.monotonic()
        assert refusals(await site.copy("n1", "n2", "/big")) == [""]
        log.info("%.0f MB/s", 100 / (time.monotonic() - begin))
        await site.lies("n2", "big", content)


async def test_a_file_of_holes_arrives_as_it_is(two: Cluster) -> None:
    content = KILO + bytes(3_000_000) + KILO + bytes(70_000)
    await two.upload("n1", "/holes", content)
    assert refusals(await two.copy("n1", "n2", "/holes")) == [""]
    await two.lies("n2", "holes", content)


async def test_the_bytes_do_not_pass_the_master(two: Cluster) -> None:
    await two.upload("n1", "/f", os.urandom(5_000_000))
    before = carried()
    assert refusals(await two.copy("n1", "n2", "/f")) == [""]
    assert carried() - before < 1_000_000


async def test_a_node_keeps_to_its_rate(two: Cluster) -> None:
    for number in range(2):
        await two.upload("n1", f"/f{number}", os.urandom(8_000_000))
    begin = time.monotonic()
    both = await asyncio.gather(two.copy("n1", "n2", "/f0"), two.copy("n1", "n2", "/f1"))
    took = time.monotonic() - begin
    assert [refusals(outcomes) for outcomes in both] == [[""], [""]]
    assert took > 0.8 * 16_000_000 / SLOW


async def test_a_cut_copy_is_gone_on_with_where_it_was(two: Cluster) -> None:
    content = os.urandom(LARGE)
    await two.upload("n1", "/f", content)
    running = asyncio.create_task(two.copy("n1", "n2", "/f"))
    await half_way(two)
    two.machines["n1"].kill()
    (failed,) = await running
    assert isinstance(failed.refusal, errors.TransferCut)
    assert two.holders("/f") == {"n1"}
    two.machines["n1"].start()
    await two.ready("n1")
    (kept,) = two.machines["n2"].parts().values()
    again = asyncio.create_task(two.copy("n1", "n2", "/f"))
    await two.until(lambda: two.copier.runs)
    run = next(iter(two.copier.runs))
    assert refusals(await again) == [""]
    assert kept > LARGE // 4
    assert run.moved < LARGE - kept + 100_000
    await two.lies("n2", "f", content)


async def test_a_target_that_is_killed_goes_on_with_what_it_has(two: Cluster) -> None:
    content = os.urandom(LARGE)
    small = {f"s{number}": os.urandom(1000) for number in range(100)}
    await two.upload("n1", "/f", content)
    for name, text in small.items():
        await two.upload("n1", f"/{name}", text)
    running = asyncio.create_task(two.copy("n1", "n2", *small, "/f"))
    await half_way(two)
    two.machines["n2"].kill()
    outcomes = await running
    assert refusals(outcomes)[-1] in ("TransferCut", "Unavailable")
    assert refusals(outcomes)[:64] == [""] * 64, "what was sealed before counts"
    two.machines["n2"].start()
    await two.ready("n2")
    for name, text in small.items():
        if two.holders(f"/{name}") == {"n1", "n2"}:
            await two.lies("n2", name, text)
    await two.until(lambda: two.volume("n2").cut_copies)
    again = asyncio.create_task(two.copy("n1", "n2", "/f"))
    await two.until(lambda: two.copier.runs)
    run = next(iter(two.copier.runs))
    assert refusals(await again) == [""]
    assert run.moved < LARGE * 7 // 8
    await two.lies("n2", "f", content)
    assert two.machines["n2"].parts() == {}


async def test_what_arrives_while_the_master_is_away_counts_with_the_next_one(two: Cluster) -> None:
    content = os.urandom(LARGE)
    await two.upload("n1", "/f", content)
    running = asyncio.create_task(two.copy("n1", "n2", "/f"))
    await half_way(two)
    await two.reopen()
    running.cancel()  # its link is gone by now, so the nodes don't hear of it
    await two.ready("n2")
    await two.until(lambda: two.holders("/f") == {"n1", "n2"})
    await two.lies("n2", "f", content)


async def test_a_file_that_is_replaced_during_its_copy_gets_no_old_replica(two: Cluster) -> None:
    await two.upload("n1", "/f", os.urandom(LARGE))
    running = asyncio.create_task(two.copy("n1", "n2", "/f"))
    await half_way(two)
    await two.upload("n1", "/f", KILO)
    assert refusals(await running) in (["Changed"], ["Damaged"], ["Busy"])
    assert two.holders("/f") == {"n1"}
    await two.until(lambda: two.machines["n2"].parts() == {})
    assert not (two.machines["n2"].root / "f").exists()


@pytest.mark.parametrize("back", [False, True], ids=["", "and the target restarted"])
async def test_a_file_that_is_deleted_during_its_copy_stays_deleted(two: Cluster, *, back: bool) -> None:
    await two.upload("n1", "/f", os.urandom(LARGE))
    running = asyncio.create_task(two.copy("n1", "n2", "/f"))
    await half_way(two)
    await two.catalogue.delete(path("/f"))
    if back:
        two.machines["n2"].kill()
        await running
        two.machines["n2"].start()
        await two.ready("n2")
    else:
        assert refusals(await running) != [""]
    await two.until(lambda: two.machines["n2"].parts() == {})
    assert not (two.machines["n2"].root / "f").exists()
    assert two.catalogue.find_or_none(path("/f")) is None


async def test_a_source_whose_bytes_were_changed_gives_no_copy(two: Cluster) -> None:
    await two.upload("n1", "/f", KILO)
    await two.upload("n1", "/g", KILO)
    await two.lies("n1", "f", KILO)
    at = two.machines["n1"].root / "f"
    times = at.stat()
    at.write_bytes(KILO[:-1] + b"?")
    os.utime(at, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a failing disk does
    assert refusals(await two.copy("n1", "n2", "/f", "/g")) == ["Damaged", ""]
    await two.lies("n2", "g", KILO)
    assert two.machines["n2"].parts() == {}
    assert two.holders("/f") == {"n1"}


async def test_a_file_without_checksums_is_copied_only_as_the_catalogue_knows_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        await site.join("n1", {"old": KILO, "changed": KILO, "gone": KILO, "short": KILO})
        await site.join("n2")
        root = site.machines["n1"].root
        (root / "changed").write_bytes(KILO[::-1])
        (root / "gone").unlink()
        (root / "short").write_bytes(KILO[:9])
        outcomes = await site.copy("n1", "n2", "/changed", "/gone", "/short", "/old")
        assert refusals(outcomes) == ["Changed", "Damaged", "Damaged", ""]
        await site.lies("n2", "old", KILO)
        assert site.entry("/old").digest is not None, "learnt on the way"


async def test_a_target_without_room_takes_nothing_and_says_so(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "tiny", 8 << 20) as small:
        async with cluster(tmp_path / "site") as site:
            await site.join("n1")
            await site.join("n2", root=small)
            await site.upload("n1", "/f", os.urandom(20_000_000))
            await site.upload("n1", "/g", KILO)
            assert refusals(await site.copy("n1", "n2", "/g", "/f")) == ["NoSpace", "NoSpace"]
            assert site.machines["n2"].parts() == {}
            assert refusals(await site.copy("n1", "n2", "/g")) == [""]


async def test_a_target_that_fills_up_on_the_way_keeps_what_is_whole(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "tiny", 16 << 20) as small:
        async with cluster(tmp_path / "site", repair={"node_bytes_per_second": 2_000_000}) as site:
            await site.join("n1")
            await site.join("n2", root=small)
            await site.upload("n1", "/g", KILO)
            await site.upload("n1", "/f", os.urandom(10_000_000))
            running = asyncio.create_task(site.copy("n1", "n2", "/g", "/f"))
            await half_way(site, 8_000_000)
            with pytest.raises(OSError, match="space"):
                (small / "filler").write_bytes(bytes(16 << 20))
            assert refusals(await running) == ["", "NoSpace"]
            (small / "filler").unlink()
            assert site.holders("/g") == {"n1", "n2"}
            assert site.machines["n2"].parts() == {}


async def test_a_node_takes_no_more_copies_at_once_than_it_may(tmp_path: Path) -> None:
    limits = {"copies_per_node": 1, "node_bytes_per_second": SLOW}
    async with cluster(tmp_path, repair=limits) as site:
        for name in ("n1", "n2", "n3"):
            await site.join(name)
        for number in range(3):
            await site.upload("n1", f"/f{number}", os.urandom(3_000_000))
        targets = ("n2", "n3", "n2")
        copies = [
            asyncio.create_task(site.copy("n1", target, f"/f{number}"))
            for number, target in enumerate(targets)
        ]
        most = 0
        while not all(copy.done() for copy in copies):
            most = max(most, len(site.copier.runs))
            assert site.copier.room("n1") >= 0
            await asyncio.sleep(0.01)
        assert [refusals(copy.result()) for copy in copies] == [[""]] * 3
        assert most == 1
        assert site.copier.room("n1") == 1


async def test_a_large_file_is_copied_in_as_many_batches_as_it_takes(tmp_path: Path) -> None:
    content = os.urandom(8_000_000)
    async with cluster(tmp_path, repair={"seconds": 1.5, "node_bytes_per_second": 2_500_000}) as site:
        await site.join("n1")
        await site.join("n2")
        await site.upload("n1", "/f", content)
        said: list[str] = []
        while not said or said[-1]:
            said += refusals(await site.copy("n1", "n2", "/f"))
            assert len(said) < 8
        assert set(said[:-1]) == {"TransferCut"}
        await site.lies("n2", "f", content)


async def test_a_part_that_nobody_goes_on_with_is_forgotten_after_a_time(tmp_path: Path) -> None:
    async with cluster(tmp_path, repair={"node_bytes_per_second": SLOW, "part_seconds": 3.0}) as site:
        await site.join("n1")
        await site.join("n2")
        await site.upload("n1", "/f", os.urandom(LARGE))
        running = asyncio.create_task(site.copy("n1", "n2", "/f"))
        await half_way(site)
        site.machines["n1"].kill()
        await running
        assert site.machines["n2"].parts()
        await site.until(lambda: site.machines["n2"].parts() == {})
        assert site.volume("n2").cut_copies == {}


async def test_two_volumes_of_one_node_copy_to_each_other(tmp_path: Path) -> None:
    async with cluster(tmp_path / "site") as site:
        other = tmp_path / "other"
        roots.prepare(other)
        await site.join("n1", roots=[str(tmp_path / "site/n1/files"), str(other)])
        entry = await site.upload("n1", "/f", KILO)
        (replica,) = site.catalogue.replicas(entry.id)
        numbers = {live.number for live in site.node("n1").volumes.values()}
        (target,) = numbers - {replica.volume}
        outcomes = await site.copier.copy(Batch(replica.volume, target, (Item(entry, replica),)))
        assert refusals(outcomes) == [""]
        await site.until(lambda: (other / "f").exists() and (site.machines["n1"].root / "f").exists())
