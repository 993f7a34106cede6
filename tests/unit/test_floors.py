"""Where a disk has less free space than it shall have, files go elsewhere by their rules; none is lost."""

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
from argosy.cluster.copies.survey import Traffic
from argosy.cluster.emptying import Emptying
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
    """Floors of a site, whose rounds are begun by a word."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.floors = Floors(site.config, site.catalogue, site.repair)
        self.floors._settle_seconds = 0.0

    async def round(self) -> None:
        self.site.repair.refresh()
        self.floors._again.clear()
        await self.floors._round()
        await self.site.rest(2)

    def told(self) -> list[str]:
        return [matter.sentence for matter in self.site.catalogue.matters()]


async def fill(site: Site, *names: bytes, volume: int = 1, size: int = 100) -> None:
    for name in names:
        await site.put((name,), volume=volume, size=size)
        await asyncio.sleep(0.002)  # one is older than the other


async def wish(site: Site, **said: object) -> None:
    await site.catalogue.change_wish((), lambda _: Wish(**said))  # type: ignore[arg-type]
    site.repair.refresh()


def on(site: Site, number: int) -> str:
    every = (entry.name for entry in site.catalogue.children(1))
    return "".join(sorted(name.decode() for name in every if number in site.holders((name,))))


async def test_the_oldest_files_go_elsewhere_until_there_is_room(site: Site) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room=True)
    has(site, 1, FULL - 250, FULL)
    has(site, 2, FULL, FULL)  # as full as may be
    master = Master(site)
    await master.round()
    assert (on(site, 1), on(site, 2), on(site, 3)) == ("def", "", "abc")
    has(site, 1, FULL, FULL)
    await master.round()
    assert on(site, 1) == "def"


async def test_what_is_on_its_way_is_chosen_once(site: Site) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdefgh"))
    await wish(site, make_room=True)
    has(site, 1, FULL - 50, FULL)
    master = Master(site)
    for _ in range(2):
        await master.floors._round()
        master.floors._again.clear()
    assert chosen(site) == "a"
    (lack,) = await master.floors.lacks()
    assert (lack.place.missing, lack.leaving, lack.open) == (50, 100, 0)
    has(site, 1, FULL - 450, FULL)  # so much more that it isn't waited for
    await master.floors._round()
    assert chosen(site) == "abcde"


def chosen(site: Site) -> str:
    by_id = {entry.id: entry.name.decode() for entry in site.catalogue.children(1)}
    return "".join(sorted(by_id[shift.file] for shift in site.catalogue.shifts()))


async def test_no_more_files_are_chosen_at_once_than_is_good(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room=True)
    has(site, 1, 0, FULL)
    monkeypatch.setattr(Pile.__init__, "__defaults__", (2,))
    await Master(site).floors._round()
    assert chosen(site) == "ab"


async def test_nothing_goes_whose_rule_does_not_say_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(site, b"a", b"b")
    has(site, 1, 0, FULL)
    master = Master(site)
    with monkeypatch.context() as patch:
        patch.delattr(Floors, "_sort")  # where no rule says so anywhere, no file is looked at
        await master.round()
    (told,) = master.told()
    assert told == "the disk 11111111 of n1 lacks 9.8 KiB of its floor, and no rule lets anything go"
    await site.catalogue.make_directory((b"d",), owner="ann")
    await site.catalogue.change_wish((b"d",), lambda _: Wish(make_room=True))
    await master.round()
    assert on(site, 1) == "ab"
    assert [matter.times for matter in site.catalogue.matters()] == [1]


async def test_no_file_is_deleted_and_what_cannot_be_met_is_told_until_it_is(site: Site) -> None:
    await fill(site, b"a", b"b")
    await wish(site, make_room=True)
    for number in (1, 2, 3):
        has(site, number, 0 if number == 1 else FULL + 99, FULL)
    master = Master(site)
    await master.round()
    await master.round()
    assert (on(site, 1), site.catalogue.leaving().files) == ("ab", 0)
    (told,) = master.told()
    assert told.endswith("of n1 lacks 9.8 KiB of its floor, and no other disk can take what rules let go")
    site.roster.place(1)[1].standing = Standing.MERGING  # it has just come back: nobody knows
    await master.round()
    assert master.told() == [told]
    site.roster.place(1)[1].standing = Standing.MERGED
    has(site, 1, FULL, FULL)
    await Master(site).round()  # even if the master was started anew meanwhile
    assert master.told() == []


async def test_files_go_where_their_rule_wants_them_however_much_room_others_have(tmp_path: Path) -> None:
    async with record.opened(tmp_path, nodes=12) as catalogue:
        site = Site(catalogue, 12)
        for number in range(1, 13):
            site.roster.place(number)[0].labels = frozenset({"ssd"} if number in (1, 12) else {"hdd"})
        has(site, 12, 10**11)
        await fill(site, b"a")
        await wish(site, make_room=True, only=("ssd",))
        has(site, 1, 0, FULL)
        await Master(site).round()
        assert site.holders((b"a",)) == [12]


async def test_files_are_spread_over_those_with_the_most_room(site: Site) -> None:
    await fill(site, *(b"%c" % letter for letter in b"abcdef"))
    await wish(site, make_room=True)
    has(site, 1, FULL - 600, FULL)
    has(site, 2, 10_000)
    has(site, 3, 10_250)
    await Master(site).round()
    assert (on(site, 1), len(on(site, 2)), len(on(site, 3))) == ("", 2, 4)


async def test_as_many_copies_are_left_as_the_rule_wants(site: Site) -> None:
    await fill(site, b"a")
    await wish(site, copies=2, make_room=True)
    await site.rest(3)
    assert site.holders((b"a",)) == [1, 2]
    has(site, 3, FULL, FULL)
    has(site, 1, 0, FULL)
    master = Master(site)
    await master.round()
    assert site.holders((b"a",)) == [1, 2]
    has(site, 3, 10**9)
    await master.round()
    assert site.holders((b"a",)) == [2, 3]


async def test_where_another_copy_is_enough_nothing_is_copied(site: Site) -> None:
    await fill(site, b"a")
    entry = site.catalogue.find((b"a",))
    sealed = record_sealed(entry)
    await site.catalogue.add_copies(2, "n2", 1, [(entry.ver, sealed)])
    await wish(site, make_room=True)
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


async def test_the_sites_trash_goes_for_the_floor_after_the_nodes_own_had_its_turn(site: Site) -> None:
    await fill(site, b"a")
    await wish(site, trash_days=1.0)
    await site.catalogue.delete((b"a",), by="ann")
    emptying = Emptying(site.config, site.catalogue, site.roster, owed=lambda: None)
    has(site, 1, FULL - 50, FULL)
    await emptying._squeeze()
    await emptying._squeeze()
    assert not site.catalogue.tombs(1)
    emptying._settle_seconds = 0.0
    await emptying._squeeze()
    assert len(site.catalogue.tombs(1)) == 1


async def test_batches_may_end_while_others_ask_which_disks_reach_each_other() -> None:
    traffic, over = Traffic(), False
    for number in range(2_000):
        traffic.strange[number, number + 1] = 1e12

    def ask() -> None:
        while not over:
            traffic.strangers()

    asking = asyncio.create_task(asyncio.to_thread(ask))
    for number in range(300):
        traffic.ended(number, 7, failed=True)
        traffic.ended(number, 7, failed=False)
        await asyncio.sleep(0)
    over = True
    await asking


def aged(number: int, age: int, size: int) -> Entry:
    return Entry(
        *(number, 1, b"x", Kind.FILE, State.LIVE, 1, size),
        *(2 * 10**18 + age, 0, "ann", "users", 0o644),
    )


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 50)), max_size=40),
    st.integers(1, 300),
    st.integers(1, 20),
)
def test_a_pile_has_the_oldest_files_that_come_to_so_much(
    files: list[tuple[int, int]], wanted: int, most: int
) -> None:
    pile = Pile(wanted, most)
    for number, (age, size) in enumerate(files):
        entry = aged(number, age, size)
        if pile.wants(entry):
            pile.add(entry)
            assert number in pile.files()
    by_age = sorted((age, number, size) for number, (age, size) in enumerate(files) if size)
    expected: list[int] = []
    total = 0
    for _, number, size in by_age:
        if total >= wanted or len(expected) == most:
            break
        expected.append(number)
        total += size
    assert (pile.files(), pile.bytes) == (expected, total)
