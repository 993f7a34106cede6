"""Repair with the real catalogue, rules and planner: whatever happened, in the end all is as it is wanted.

Nodes are rows and flags here, and copying is done by saying so; `tests/door/test_repair.py` has real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import record
from argosy import config, errors
from argosy.catalogue.keeping import Wish
from argosy.catalogue.model import Membership, TreePath
from argosy.catalogue.proof import Became
from argosy.cluster.copies.draining import Draining
from argosy.cluster.copies.progress import Report
from inside import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with record.opened(tmp_path, nodes=5) as catalogue:
        for name in (b"a", b"b"):
            await catalogue.make_directory((name,), owner="ann")
        await catalogue.change_wish((b"a",), lambda _: Wish(copies=2, repair_delay_seconds=0.0))
        yield Site(catalogue, 5)


async def test_files_that_go_the_same_way_go_together(site: Site) -> None:
    for number in range(20):
        await site.put((b"a", b"%d" % number), volume=1)
    await site.rest()
    assert [len(batch.items) for batch in site.copying.batches] == [5, 5, 5, 5]
    assert {batch.source for batch in site.copying.batches} == {1}
    assert len({batch.target for batch in site.copying.batches}) > 1
    assert site.catalogue.wanting().by_danger == {}


async def test_no_node_has_more_batches_at_once_than_it_may(site: Site) -> None:
    for number in range(40):
        await site.put((b"a", b"%d" % number), volume=1 + number % 2)
    await site.rest()
    assert site.copying.most == site.config.repair.copies_per_node
    assert all(len(site.holders((b"a", b"%d" % number))) == 2 for number in range(40))


async def test_a_bad_copy_is_not_copied_from_again_and_counts_for_none(site: Site) -> None:
    await site.put((b"a", b"x"), volume=1)
    await site.rest()
    site.copying.failing[1] = errors.Damaged()
    await site.catalogue.change_wish((b"a",), lambda _: Wish(copies=3, repair_delay_seconds=0.0))
    await site.rest()
    for _ in range(50):  # until the disk's list has told that the bad copy went, none is made in its place
        await asyncio.sleep(0.1)
        await site.rest(1)
    assert len(site.holders((b"a", b"x"))) == 3
    (found,) = site.catalogue.findings(60.0, 10)
    assert (found.volume, found.path, found.became) == (1, b"/a/x", Became.QUARANTINED)


async def test_a_try_that_failed_is_told_and_made_again(site: Site) -> None:
    site.copying.failing[1] = errors.NoSpace("n2, for one")
    await site.put((b"a", b"x"), volume=1)
    await site.rest(2)
    assert list(site.catalogue.wanting().by_why) == ["the last try failed: No room for this"]
    site.copying.failing.clear()
    await site.rest()
    assert len(site.holders((b"a", b"x"))) == 2


async def test_a_node_that_the_source_does_not_reach_keeps_no_file_from_its_copies(site: Site) -> None:
    site.copying.apart = {(1, 2), (1, 3), (1, 5)}
    await site.put((b"a", b"x"), volume=1)
    await site.rest()
    assert site.holders((b"a", b"x")) == [1, 4]
    assert 2 <= len(site.copying.batches) <= 4  # each of the others once at the most


async def test_a_source_from_which_nothing_comes_is_left_for_another(site: Site) -> None:
    await site.put((b"a", b"x"), volume=1)
    await site.rest()
    site.copying.apart = {(1, number) for number in range(2, 6)}
    await site.catalogue.change_wish((b"a",), lambda _: Wish(copies=4, repair_delay_seconds=0.0))
    await site.rest()
    assert len(site.holders((b"a", b"x"))) == 4
    assert [batch.source for batch in site.copying.batches].count(1) <= 2


async def test_what_can_not_be_met_is_given_up_as_soon_as_nobody_wants_it(site: Site) -> None:
    site.repair._table = config.Repair(retry_first_seconds=3600.0)
    await site.put((b"a", b"x"), volume=1)
    await site.catalogue.change_wish((b"a",), lambda _: Wish(copies=9))
    await site.rest()
    assert list(site.catalogue.wanting().by_why) == ["9 copies are wanted, 5 volumes are there"]
    await site.catalogue.change_wish((b"a",), lambda _: Wish(copies=5))
    await site.rest(1)
    assert site.catalogue.wanting().by_danger == {}


async def test_what_is_below_a_directory_of_any_depth_is_looked_at(site: Site) -> None:
    path: TreePath = (b"b",)
    for depth in range(5):
        path = (*path, b"d%d" % depth)
        await site.catalogue.make_directory(path, owner="ann")
        await site.put((*path, b"f"), volume=1)
    await site.rest()
    assert site.holders((*path, b"f")) == [1]
    await site.catalogue.rename((b"b",), (b"a", b"b"))
    await site.rest()
    assert len(site.holders((b"a", *path, b"f"))) == 2


async def test_without_rules_nothing_is_ever_copied_or_taken_away(site: Site) -> None:
    await site.put((b"a", b"x"), volume=1)
    await site.rest()
    await site.catalogue.change_wish((b"a",), lambda _: Wish())
    await site.rest()
    before = site.holders((b"a", b"x"))
    assert len(before) == 2
    site.away(before[1])
    await site.rest()
    assert site.holders((b"a", b"x")) == before
    assert site.catalogue.wants is None


async def test_how_long_it_will_take_is_told(site: Site) -> None:
    await site.put((b"a", b"x"), volume=1, size=600)
    report = await site.repair.report()
    assert report.lacking == {1: (1, 600)}
    assert report.seconds_left is None
    told = Report(report.wanting, 1, files_per_second=0.5, bytes_per_second=100.0)
    assert told.seconds_left == 6.0


class Turmoil:
    """Things that happen to a site, in an order that a seed gives."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self.catalogue = site, site.catalogue
        self.chance = random.Random(seed)
        self.wanted = {b"a": 0, b"b": 0}
        self.up = {1, 2, 3, 4, 5}

    def path(self) -> TreePath:
        return self.chance.choice(sorted(self.wanted)), b"%d" % self.chance.randrange(12)

    async def upload(self) -> None:
        await self.site.put(self.path(), volume=self.chance.choice(sorted(self.up)))

    async def delete(self) -> None:
        await tolerate(self.catalogue.delete(self.path()))

    async def rename(self) -> None:
        await tolerate(self.catalogue.rename(self.path(), self.path()))

    async def node_dies(self) -> None:
        if len(self.up) > 2:
            gone = self.chance.choice(sorted(self.up))
            self.up.discard(gone)
            self.site.away(gone)

    async def node_comes_back(self) -> None:
        if gone := {1, 2, 3, 4, 5} - self.up:
            back = self.chance.choice(sorted(gone))
            self.up.add(back)
            self.site.away(back, here=True)

    async def rule_is_set(self) -> None:
        top, copies = self.path()[0], self.chance.randrange(4)
        self.wanted[top] = copies
        wish = Wish(copies=copies, repair_delay_seconds=0.0)
        await self.catalogue.change_wish((top,), lambda _: wish)

    async def another_master_starts(self) -> None:
        self.site.start()
        await self.catalogue.sweep_all(0.0)

    async def repair_has_a_moment(self) -> None:
        await self.site.rest(1)

    async def happen(self, times: int) -> None:
        """Let so many of these things happen, then all nodes come back and there is peace."""
        events = [
            *(self.upload, self.upload, self.upload, self.delete, self.rename, self.node_dies),
            *(self.node_comes_back, self.rule_is_set, self.another_master_starts, self.repair_has_a_moment),
        ]
        for _ in range(times):
            await self.chance.choice(events)()
        while len(self.up) < 5:
            await self.node_comes_back()
        await self.site.rest(8)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_in_the_end_all_have_the_copies_that_are_wanted(
    tmp_path: Path, seed: int
) -> None:
    async with record.opened(tmp_path, nodes=5) as catalogue:
        for name in (b"a", b"b"):
            await catalogue.make_directory((name,), owner="ann")
        turmoil = Turmoil(Site(catalogue, 5), seed)
        await turmoil.happen(120)
        assert catalogue.wanting().by_danger == {}
        for top, copies in turmoil.wanted.items():
            for entry in catalogue.children(catalogue.find((top,)).id):
                held = catalogue.replicas(entry.id)
                assert all(copy.ver == entry.ver for copy in held)
                assert len(held) == copies if copies else held


async def test_a_volume_that_is_emptied_gives_all_away(site: Site) -> None:
    for number in range(12):
        await site.put((b"a", b"%d" % number), volume=1)
    await site.rest()
    await site.catalogue.enlist([1], Membership.DRAINING)
    await site.rest()
    assert site.catalogue.held(1, b"", 99) == ([], b"")
    assert all(len(site.holders((b"a", b"%d" % number))) == 2 for number in range(12))


async def test_without_any_rule_a_volume_can_be_emptied_too(site: Site) -> None:
    await site.catalogue.change_wish((b"a",), lambda _: Wish())
    site.repair.refresh()
    for number in range(12):
        await site.put((b"b", b"%d" % number), volume=1)
    draining = Draining(site.catalogue, site.roster, site.repair)
    volumes = draining.volumes("n1")
    await draining.begin(volumes)
    await draining.begin(draining.volumes("n1"))  # said twice
    await site.put((b"b", b"late"), volume=1)  # its upload ran already
    told = await draining.progress(draining.volumes("n1"))
    assert ([one.files for one in told.begun], told.left.files, told.empty) == ([12], 13, False)
    assert site.catalogue.wants is None
    await site.rest()
    assert site.catalogue.held(1, b"", 99) == ([], b"")
    assert all(len(site.holders((b"b", b"%d" % number))) == 1 for number in range(12))
    told = await draining.progress(draining.volumes("n1"))
    assert (told.left.files, told.empty) == (0, True)
    assert site.catalogue.wanting().by_danger == {}


async def test_who_takes_it_back_has_what_went_stay_where_it_is(site: Site) -> None:
    for number in range(12):
        await site.put((b"b", b"%d" % number), volume=1)
    draining = Draining(site.catalogue, site.roster, site.repair)
    await draining.begin(draining.volumes("n1"))
    await site.rest(1)
    await draining.cancel(draining.volumes("n1"))
    moved = site.copying.files
    await site.put((b"b", b"new"), volume=1)
    await site.rest()
    assert (site.holders((b"b", b"new")), site.copying.files) == ([1], moved)
    told = await draining.progress(draining.volumes("n1"))
    assert (told.begun, told.empty) == ((), False)
    assert [volume.membership for volume in site.catalogue.volumes("n1")] == [Membership.MEMBER]


async def test_what_can_not_leave_is_told_with_its_reason(site: Site) -> None:
    site.repair._table = config.Repair(retry_first_seconds=3600.0)
    await site.put((b"b", b"x"), volume=1, size=7)
    for number in (2, 3, 4, 5):
        site.roster._by_number[number][1].free = 0
    draining = Draining(site.catalogue, site.roster, site.repair)
    await draining.begin(draining.volumes("n1"))
    await site.rest()
    told = await draining.progress(draining.volumes("n1"))
    assert told.left.by_why == {"no room on n2, n3, n4, 1 more": (1, 7)}


async def test_a_node_or_volume_that_is_not_there_can_not_be_emptied(site: Site) -> None:
    draining = Draining(site.catalogue, site.roster, site.repair)
    with pytest.raises(errors.BadArgument, match="no node is called n9"):
        draining.volumes("n9")
    with pytest.raises(errors.BadArgument, match="n1 has no volume ff"):
        draining.volumes("n1", "ff")
    await site.catalogue.attach("11ab" + "0" * 28, "n1")
    with pytest.raises(errors.BadArgument, match="2 volumes that begin with 11"):
        draining.volumes("n1", "11")
    assert [volume.number for volume in draining.volumes("n1", "111")] == [1]


async def tolerate(change: Any) -> None:
    """Try something that may make no sense just now."""
    with contextlib.suppress(errors.Refused):
        await change
