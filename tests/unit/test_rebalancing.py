"""Volumes are filled alike, with the real catalogue and planner: no file ever has fewer good copies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy import errors
from argosy.catalogue.keeping import Wish
from argosy.catalogue.model import Membership
from argosy.cluster.copies import balancing
from argosy.cluster.copies.rebalancing import Rebalancing
from inside import Site

SIZE = 10**10


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with record.opened(tmp_path, nodes=4) as catalogue:
        await catalogue.make_directory((b"a",), owner="ann")
        yield Site(catalogue, 4)


def names(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"a", b"%d" % number) for number in range(count)]


async def evened(site: Site, rebalancing: Rebalancing, rounds: int = 80) -> None:
    """Let it go on until it is over, or somebody ended it; watch over the copies all the while."""
    for _ in range(rounds):
        await rebalancing._round()
        await site.rest(1)
        balance = await rebalancing.look()
        if balance.terms is None or balance.terms.over:
            return
    raise AssertionError("it doesn't end")


async def test_a_new_node_gets_its_share_and_no_more_moves_than_must(site: Site) -> None:
    for number, name in enumerate(names(60)):
        await site.put(name, volume=1 + number % 3, size=SIZE)
    rebalancing = Rebalancing(site.config, site.catalogue, site.repair)
    await rebalancing.begin(0.02)
    await rebalancing.begin(0.02)  # said twice
    await evened(site, rebalancing)
    balance = await rebalancing.look()
    assert balancing.spread(balance.levels) <= 0.02 + 0.01  # a file is one hundredth of a disk
    assert site.copying.files <= 15
    assert [len(site.holders(name)) for name in names(60)] == [1] * 60
    assert site.catalogue.shifts() == []
    assert site.catalogue.wanting().by_danger == {}
    await rebalancing.begin(0.02)
    moved = site.copying.files
    await evened(site, rebalancing)
    assert site.copying.files == moved  # nothing goes to and fro


async def test_copies_stay_as_many_and_apart(site: Site) -> None:
    await site.catalogue.change_wish((b"a",), lambda _: Wish(copies=2, prefer=("n1", "n2")))
    for name in names(40):
        await site.put(name, volume=1, size=SIZE)
    await site.rest(40)
    assert {volume for name in names(40) for volume in site.holders(name)} == {1, 2}
    rebalancing = Rebalancing(site.config, site.catalogue, site.repair)
    await rebalancing.begin(0.0)
    await evened(site, rebalancing)
    balance = await rebalancing.look()
    assert balancing.spread(balance.levels) <= 0.02
    assert all(len(site.holders(name)) == 2 for name in names(40))
    moved = site.copying.files
    await site.catalogue.sweep_all(0.0)
    await site.rest(40)
    assert site.copying.files == moved  # and nobody moves it back


async def test_another_master_goes_on(site: Site) -> None:
    for name in names(40):
        await site.put(name, volume=1, size=SIZE)
    rebalancing = Rebalancing(site.config, site.catalogue, site.repair)
    await rebalancing.begin(0.02)
    await rebalancing._round()
    ahead = site.catalogue.shifts()
    assert ahead
    site.start()
    await evened(site, Rebalancing(site.config, site.catalogue, site.repair))
    balance = await rebalancing.look()
    assert balancing.spread(balance.levels) <= 0.03
    assert [len(site.holders(name)) for name in names(40)] == [1] * 40


async def test_where_rules_forbid_it_files_stay_and_it_ends(site: Site) -> None:
    await site.catalogue.change_wish((b"a",), lambda _: Wish(only=("n1", "n2")))
    for name in names(20):
        await site.put(name, volume=1, size=SIZE)
    await site.catalogue.enlist([4], Membership.DRAINING)
    rebalancing = Rebalancing(site.config, site.catalogue, site.repair)
    site.repair.refresh()
    await rebalancing.begin(0.01)
    await evened(site, rebalancing)
    held = [site.holders(name) for name in names(20)]
    assert sorted({volume for volumes in held for volume in volumes}) == [1, 2]
    assert all(len(volumes) == 1 for volumes in held)


async def test_a_target_that_refuses_leaves_no_file_in_between(site: Site) -> None:
    for name in names(20):
        await site.put(name, volume=1, size=SIZE)
    site.copying.failing[2] = errors.NoSpace()
    rebalancing = Rebalancing(site.config, site.catalogue, site.repair)
    await rebalancing.begin(0.01)
    for _ in range(4):
        await rebalancing._round()
        await site.rest(1)
    site.copying.failing.clear()
    await evened(site, rebalancing)
    assert all(len(site.holders(name)) == 1 for name in names(20))
    assert {volume for name in names(20) for volume in site.holders(name)} == {1, 2, 3, 4}


async def test_who_ends_it_has_no_more_moved_and_no_file_twice(site: Site) -> None:
    for name in names(20):
        await site.put(name, volume=1, size=SIZE)
    rebalancing = Rebalancing(site.config, site.catalogue, site.repair)
    assert not await rebalancing.cancel()
    await rebalancing.begin(0.01)
    await rebalancing._round()
    assert await rebalancing.cancel()
    await site.rest(40)
    assert all(len(site.holders(name)) == 1 for name in names(20))
    moved = site.copying.files
    await rebalancing._round()
    await site.rest(40)
    assert site.copying.files == moved
