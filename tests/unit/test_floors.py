"""Where a disk has less free space than it shall have, files leave as their rules allow, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import record
from argosy.catalogue.keeping import Wish
from argosy.catalogue.model import Entry, Kind, Sealed, State
from argosy.cluster.copies.floors import Floors, Pile
from argosy.cluster.copies.retention import Retention
from argosy.cluster.nodes.roster import Standing
from inside import Site

FULL = 10_000
"""How much room the disks of this site have, and shall have."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with record.opened(tmp_path, nodes=3) as catalogue:
        site = Site(catalogue, 3)
        placement = msgspec.structs.replace(site.config.placement, reserve_bytes=0)
        site.config = msgspec.structs.replace(site.config, placement=placement)
        site.start()
        for number in (1, 2, 3):
            has(site, number, 10**9)
        yield site


def has(site: Site, number: int, free: int, floor: int = 0) -> None:
    node, live = site.roster.place(number)
    live.free, node.floor = free, floor


class Master:
    """Floors and retention of a site, whose rounds are begun by a word."""

    def __init__(self, site: Site, grace: float = 0.0) -> None:
        config = msgspec.structs.replace(
            site.config,
            repair=msgspec.structs.replace(site.config.repair, grace_seconds=grace),
        )
        self.site = site
        self.floors = Floors(config, site.catalogue, site.repair)
        self.floors._settle_seconds = 0.0
        self.retention = Retention(
            config, site.catalogue, site.roster, site.repair, self.floors, owed=lambda: None
        )

    async def round(self) -> None:
        self.site.repair.refresh()
        self.floors._again.clear()
        await self.floors._round()
        await self.site.rest(2)
        await self.retention._round()


async def fill(site: Site, *names: bytes, volume: int = 1, size: int = 100) -> None:
    for name in names:
        await site.put((name,), volume=volume, size=size)
        await asyncio.sleep(0.002)  # one is older than the other


async def wish(site: Site, **said: object) -> None:
    await site.catalogue.change_wish((), lambda _: Wish(**said))  # type: ignore[arg-type]
    site.repair.refresh()


def names(site: Site) -> str:
    return "".join(sorted(entry.name.decode() for entry in site.catalogue.children(1)))


def on(site: Site, number: int) -> str:
    every = (entry.name for entry in site.catalogue.children(1))
    return "".join(sorted(name.decode() for name in every if number in site.holders((name,))))


async def test_the_oldest_files_go_elsewhere_until_there_is_room(site: Site) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room="move")
    has(site, 1, FULL - 250, FULL)
    has(site, 2, FULL, FULL)  # as full as may be
    master = Master(site)
    await master.round()
    assert (on(site, 1), on(site, 2), on(site, 3)) == ("def", "", "abc")
    has(site, 1, FULL, FULL)
    await master.round()
    assert on(site, 1) == "def"


async def test_what_is_on_its_way_or_told_of_is_chosen_once(site: Site) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room="delete")
    has(site, 1, FULL - 250, FULL)
    has(site, 2, 350, 200)  # it takes one
    has(site, 3, FULL, FULL)
    master = Master(site, grace=3600.0)
    await master.floors._round()
    (shift,) = site.catalogue.shifts()
    assert shift.file == site.catalogue.find((b"a",)).id
    told = {mark.file for mark in site.catalogue.outlived(0, 9)}
    assert told == {site.catalogue.find((name,)).id for name in (b"b", b"c")}
    for _ in range(3):
        master.floors._again.clear()
        await master.floors._round()
    assert len(site.catalogue.outlived(0, 9)) == 2
    (lack,) = master.floors.lacks()
    assert (lack.place.missing, lack.leaving, lack.told, lack.open) == (250, 100, 200, 0)


async def test_nothing_goes_whose_rule_does_not_say_so(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await fill(site, b"a", b"b")
    await fill(site, b"a", volume=2)
    has(site, 1, 0, FULL)
    master = Master(site)
    await master.round()
    await master.round()
    assert (on(site, 1), site.catalogue.leaving().files) == ("b", 0)
    assert caplog.text.count("nothing there may go") == 1


async def test_a_file_that_may_only_move_is_not_deleted(site: Site) -> None:
    await fill(site, b"a", b"b")
    await wish(site, make_room="move")
    for number in (1, 2, 3):
        has(site, number, 0, FULL)
    master = Master(site)
    await master.round()
    await master.round()
    assert (names(site), site.catalogue.leaving().files) == ("ab", 0)


async def test_what_may_go_is_told_of_and_then_goes_as_far_as_it_takes(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room="delete")
    for number in (1, 2, 3):
        has(site, number, FULL - 350 if number == 1 else FULL, FULL)
    await Master(site, grace=3600.0).round()
    assert (names(site), site.catalogue.leaving().files) == ("abcdef", 4)
    assert "4 files (400 bytes) are deleted in 3600 s" in caplog.text
    has(site, 1, FULL - 150, FULL)  # somebody else made some
    await Master(site).round()
    assert names(site) == "cdef"
    assert "2 files (200 bytes) are gone to make room" in caplog.text


async def test_nothing_more_goes_before_what_went_is_free(site: Site) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room="delete")
    for number in (1, 2, 3):
        has(site, number, FULL - 150 if number == 1 else FULL, FULL)
    master = Master(site)
    await master.floors._round()
    await master.retention._round()
    assert names(site) == "cdef"
    master.floors._settle_seconds = 3600.0
    await site.bury()  # the node says it is done, and its figures are those of before
    master.floors._since = dict.fromkeys(master.floors._since, -1e9)  # room has been lacking for long
    await site.catalogue.mark_outlived([(e.id, e.ver) for e in site.catalogue.children(1)])
    await master.retention._round()
    assert names(site) == "cdef"


async def test_room_that_comes_in_time_saves_the_files(site: Site) -> None:
    await fill(site, b"a", b"b")
    await wish(site, make_room="delete")
    for number in (1, 2, 3):
        has(site, number, 0, FULL)
    await Master(site, grace=3600.0).round()
    assert site.catalogue.leaving().files == 2
    site.roster.place(1)[1].standing = Standing.MERGING  # it has just come back: nobody knows
    await Master(site).round()
    assert (names(site), site.catalogue.leaving().files) == ("ab", 2)
    site.roster.place(1)[1].standing = Standing.MERGED
    has(site, 1, FULL, FULL)
    await Master(site).round()
    assert (names(site), site.catalogue.leaving().files) == ("ab", 0)


async def test_a_rule_that_is_taken_back_saves_them_too(site: Site) -> None:
    await fill(site, b"a")
    await wish(site, make_room="delete")
    for number in (1, 2, 3):
        has(site, number, 0, FULL)
    await Master(site, grace=3600.0).round()
    await wish(site, make_room="move")
    await Master(site).round()
    assert (names(site), site.catalogue.leaving().files) == ("a", 0)


async def test_where_another_copy_is_enough_nothing_is_copied(site: Site) -> None:
    await fill(site, b"a")
    entry = site.catalogue.find((b"a",))
    sealed = record_sealed(entry)
    await site.catalogue.add_copies(2, "n2", 1, [(entry.ver, sealed)])
    await wish(site, make_room="move")
    has(site, 1, 0, FULL)
    await Master(site).round()
    assert (site.holders((b"a",)), site.copying.files) == ([2], 0)


def record_sealed(entry: Entry) -> Sealed:
    return Sealed(entry.size, entry.mtime_ns, entry.crc32, entry.digest)


async def test_a_surplus_copy_goes_from_the_disk_that_lacks_room(site: Site) -> None:
    await fill(site, b"a")
    await wish(site, copies=3)
    await site.rest(4)
    assert on(site, 2) == "a"
    has(site, 2, FULL // 2, FULL)
    has(site, 1, 100, 0)  # fuller, but nobody minds
    has(site, 3, 200, 0)
    await wish(site, copies=2)
    await site.rest(4)
    assert site.holders((b"a",)) == [1, 3]


async def test_copies_leave_a_disk_what_it_shall_have(site: Site) -> None:
    await fill(site, b"a")
    await wish(site, copies=2)
    has(site, 2, 10**9, 10**9 - 50)
    has(site, 3, 10**9, 10**9 - 99)
    await site.rest(3)
    assert site.holders((b"a",)) == [1]
    has(site, 3, 10**9, 10**9 - 100)
    await site.rest(3)
    assert site.holders((b"a",)) == [1, 3]


def aged(number: int, age: int, size: int) -> Entry:
    return Entry(
        *(number, 1, b"x", Kind.FILE, State.LIVE, 1, size),
        *(2 * 10**18 + age, 0, "ann", "users", 0o644),
    )


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 50)), max_size=40), st.integers(1, 300))
def test_a_pile_has_the_oldest_files_that_come_to_so_much(files: list[tuple[int, int]], wanted: int) -> None:
    pile = Pile(wanted)
    for number, (age, size) in enumerate(files):
        pile.add(aged(number, age, size))
    by_age = sorted((age, number, size) for number, (age, size) in enumerate(files) if size)
    expected, total = [], 0
    for _, number, size in by_age:
        if total >= wanted:
            break
        expected.append(number)
        total += size
    assert (pile.files(), pile.bytes) == (expected, total)
