"""Copies come back by themselves, whatever happens to nodes, disks and the master. With real nodes."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

import pytest

from argosy.catalogue.keeping import Wish
from argosy.catalogue.model import Membership
from argosy.node.disk import roots
from cluster import Cluster, cluster, path

log = logging.getLogger(__name__)

TWO = {"sections": {"all": {"path": "/", "copies": 2, "repair_delay_seconds": 1.0}}}
QUICK = {"repair": {"retry_first_seconds": 0.2, "retry_most_seconds": 1.0}}
KILO = os.urandom(1024)


def files(count: int, *, where: str = "d") -> dict[str, bytes]:
    return {f"{where}/{number:05}": os.urandom(1000 + number) for number in range(count)}


def full(site: Cluster, *paths: str, copies: int = 2) -> bool:
    """Whether files lie on just so many nodes that are here."""
    online = {node.name for node in site.roster if node.online}
    return all(len(site.holders(one) & online) == copies for one in paths)


async def settled(site: Cluster, *paths: str, copies: int = 2) -> None:
    await site.until(lambda: full(site, *paths, copies=copies) and not site.catalogue.wanting().by_danger)


async def test_an_upload_gets_its_second_copy_by_itself_and_soon(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, catalogue={"upkeep_seconds": 60.0}) as site:
        for name in ("n1", "n2", "n3"):
            await site.join(name)
        site.repair.refresh()
        begin = time.monotonic()
        await site.upload("n1", "/f", KILO)
        await settled(site, "/f")
        assert time.monotonic() - begin < 5  # it didn't wait for a round
        (other,) = site.holders("/f") - {"n1"}
        await site.lies(other, "f", KILO)


async def test_what_lay_on_a_disk_that_joins_is_copied_when_a_rule_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path, **QUICK) as site:
        content = files(300) | files(20, where="other")
        await site.join("n1", content)
        await site.join("n2")
        assert not site.catalogue.wanting().by_danger
        await site.catalogue.change_wish((b"d",), lambda _: Wish(copies=2))
        await settled(site, *files(300))
        for loc in files(300):
            await site.lies("n2", loc, content[loc])
        assert site.holders("other/00000") == {"n1"}
        await site.catalogue.change_wish((b"d",), lambda _: Wish(copies=1))
        await settled(site, *files(300), copies=1)


async def test_a_dead_node_is_replaced_and_when_it_comes_back_what_is_too_much_goes(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        content = files(200)
        await site.join("n1", content)
        for name in ("n2", "n3"):
            await site.join(name)
        await settled(site, *content)
        dead = site.machines["n1"]
        dead.kill()
        begin = time.monotonic()
        await site.until(lambda: not site.node("n1").online)
        await settled(site, *content)
        log.info("200 files were whole again after %.1f s, the delay being 1 s", time.monotonic() - begin)
        assert all(site.holders(loc) == {"n1", "n2", "n3"} for loc in content)
        dead.start()
        await site.ready("n1")
        await settled(site, *content)
        for loc in content:
            holders = site.holders(loc)
            assert len(holders) == 2
            for name in holders:
                await site.lies(name, loc, content[loc])
        gone = {name: [loc for loc in content if name not in site.holders(loc)] for name in site.machines}
        for name, locs in gone.items():
            await site.until(
                lambda name=name, locs=locs: (
                    not any((site.machines[name].root / loc).exists() for loc in locs)
                )
            )


async def test_a_reboot_within_the_delay_moves_nothing(tmp_path: Path) -> None:
    patient = {"sections": {"all": {"path": "/", "copies": 2, "repair_delay_seconds": 60.0}}}
    async with cluster(tmp_path, **patient, **QUICK) as site:
        content = files(20)
        await site.join("n1", content)
        await site.join("n2")
        await settled(site, *content)
        before = site.copier.files
        await site.join("n3")
        site.machines["n1"].kill()
        await site.until(lambda: site.catalogue.volumes("n1")[0].away_ns)
        site.machines["n1"].start()
        await site.ready("n1")
        await site.until(lambda: site.catalogue.volumes("n1")[0].away_ns is None)
        await settled(site, *content)
        assert site.copier.files == before


async def test_a_node_starts_without_a_disk_that_is_dead_and_takes_it_in_later(
    tmp_path: Path,
) -> None:
    first, second, unmounted = (tmp_path / name for name in ("first", "second", "unmounted"))
    roots.prepare(second)
    (second / "g").write_bytes(b"there")
    second.rename(unmounted)
    async with cluster(tmp_path, **QUICK) as site:
        machine = await site.join("n1", {"f": b"here"}, root=first, roots=[str(first), str(second)])
        assert await site.fetch("n1", "/f") == (b"here", "")
        assert f"root {second} isn't there" in machine.log.read_text()
        unmounted.rename(second)
        await site.until(lambda: len(site.node("n1").volumes) == 2)
        await site.ready("n1")
        assert await site.fetch("n1", "/g") == (b"there", "")
        assert await site.fetch("n1", "/f") == (b"here", "")


async def test_a_disk_that_was_replaced_is_lost_at_once(tmp_path: Path) -> None:
    patient = {"sections": {"all": {"path": "/", "copies": 2, "repair_delay_seconds": 3600.0}}}
    async with cluster(tmp_path, **patient, **QUICK) as site:
        content = files(50)
        await site.join("n1", content)
        await site.join("n2")
        await settled(site, *content)
        machine = site.machines["n1"]
        machine.kill()
        await site.until(lambda: not site.node("n1").online)
        shutil.rmtree(machine.root)
        roots.prepare(machine.root)
        machine.start()
        await site.ready("n1")
        old, new = site.catalogue.volumes("n1")
        assert (old.membership, new.membership) == (Membership.LOST, Membership.MEMBER)
        await site.until(
            lambda: all(
                {copy.volume for copy in site.catalogue.replicas(site.entry(loc).id)} >= {new.number}
                for loc in content
            )
        )
        for loc in content:
            await site.lies("n1", loc, content[loc])


async def test_a_master_killed_in_the_middle_goes_on(tmp_path: Path) -> None:
    slow = {"repair": {**QUICK["repair"], "node_bytes_per_second": 300_000, "batch_files": 20}}
    async with cluster(tmp_path, **TWO, **slow) as site:
        content = files(600)
        await site.join("n1", content)
        for name in ("n2", "n3"):
            await site.join(name)
        await site.until(lambda: site.copier.files >= 40)
        await site.reopen()
        for name in ("n1", "n2", "n3"):
            await site.ready(name)
        left = sum(files for files, _ in site.catalogue.wanting().by_danger.values())
        assert 0 < left < 600
        await settled(site, *content)
        assert site.copier.files < 600  # what was there wasn't made again
        for loc in content:
            for name in site.holders(loc):
                await site.lies(name, loc, content[loc])


async def test_a_node_that_dies_together_with_the_master_is_missed_all_the_same(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        content = files(50)
        await site.join("n1", content)
        for name in ("n2", "n3"):
            await site.join(name)
        await settled(site, *content)
        site.machines["n1"].kill()
        await site.reopen()
        for name in ("n2", "n3"):
            await site.ready(name)
        await settled(site, *content)
        assert all({"n2", "n3"} <= site.holders(loc) for loc in content)


async def test_what_nobody_noted_is_found_by_looking_at_all(tmp_path: Path) -> None:
    often = {"repair": {**QUICK["repair"], "audit_seconds": 1.0}}
    async with cluster(tmp_path, **TWO, **often) as site:
        await site.join("n1")
        await site.upload("n1", "/f", KILO)
        await site.until(lambda: site.catalogue.wanting().by_why)
        await site.catalogue.conclude(site.catalogue.due(9, (), 2**62), [])  # a fault of ours
        assert not site.catalogue.wanting().by_danger
        await site.join("n2")
        await settled(site, "/f")


async def test_a_file_that_is_deleted_or_replaced_while_it_is_copied_stays_so(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        for name in ("n1", "n2", "n3"):
            await site.join(name)
        for turn in range(10):
            await site.upload("n1", "/f", b"old" * 1000)
            await site.upload("n1", "/g", b"old")
            await site.upload("n1", "/f", b"new%d" % turn)
            await site.catalogue.delete(path("/g"))
        await settled(site, "/f")
        for name in site.holders("/f"):
            await site.lies(name, "f", b"new9")
        assert site.catalogue.find_or_none(path("/g")) is None


async def test_a_file_that_is_uploaded_again_because_its_copy_was_bad_gets_its_copies(tmp_path: Path) -> None:
    async with cluster(tmp_path, **QUICK) as site:
        for name in ("n1", "n2"):
            await site.join(name)
        await site.upload("n1", "/f", KILO)
        await site.lies("n1", "f", KILO)
        at = site.machines["n1"].root / "f"
        times = at.stat()
        at.write_bytes(KILO[:-1] + b"?")
        os.utime(at, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a failing disk does
        await site.catalogue.change_wish((), lambda _: Wish(copies=2))
        await site.until(lambda: "the only copy that is here is bad" in site.catalogue.wanting().by_why)
        await site.upload("n1", "/f", KILO)
        await settled(site, "/f")
        await site.lies("n2", "f", KILO)


async def test_a_rule_is_heeded_by_whoever_looks_first(tmp_path: Path) -> None:
    async with cluster(tmp_path, **QUICK, catalogue={"upkeep_seconds": 60.0}) as site:
        await site.join("n1", {"f": KILO})
        await site.join("n2")
        await site.catalogue.change_wish((), lambda _: Wish(copies=2))
        site.repair._audit.wake()  # as when a volume went, before anybody said that the rules are others
        await settled(site, "/f")
        await site.lies("n2", "f", KILO)


async def test_what_can_not_be_met_is_told_and_done_once_it_can(tmp_path: Path) -> None:
    hopeless = {"repair": {"retry_first_seconds": 1000.0, "retry_most_seconds": 1000.0}}
    async with cluster(tmp_path, **TWO, **hopeless) as site:
        await site.join("n1")
        await site.upload("n1", "/f", KILO)
        await site.until(lambda: site.catalogue.wanting().by_why)
        report = await site.repair.report()
        assert report.wanting.by_why == {"2 copies are wanted, 1 volume is there": (1, 1024)}
        assert report.lacking == {1: (1, 1024)}
        assert report.seconds_left == 0.0
        await site.join("n2")
        await settled(site, "/f")
        assert not (await site.repair.report()).lacking


@pytest.mark.parametrize("count", [2000])
async def test_small_files_are_repaired_by_the_hundred_a_second(tmp_path: Path, count: int) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        content = files(count)
        await site.join("n1", content)
        await site.join("n2")
        begin = time.monotonic()
        await site.until(lambda: site.copier.files >= count)
        log.info("%.0f files/s", count / (time.monotonic() - begin))
        await settled(site, *content)
