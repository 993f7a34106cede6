"""A mount shows what its site has: our own changes at once, those of others within the time to live."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from argosy import config
from argosy.errors import Denied, NotADirectory, NotFound, Stale
from argosy.sites.model import Attributes, Facts, FileId, Kind, Named
from argosy.sites.names.record import ROOT, Record
from argosy.sites.names.telling import SECOND, Teller
from argosy.sites.names.tree import Tree

TTL = 10.0


class Disk:
    """A site without a network: paths and what they are."""

    def __init__(self) -> None:
        self.files: dict[bytes, Facts] = {}
        self.asked: list[bytes] = []
        self.hold = threading.Event()
        self.hold.set()
        self.listing = threading.Event()
        self.now = 1000.0
        self.tells_singly = True
        self.undeletable: set[bytes] = set()

    def add(self, path: bytes, kind: Kind = Kind.FILE, **what: Any) -> None:
        self.files[path] = Facts(name=path.rpartition(b"/")[2], kind=kind, **{"mtime_ns": SECOND, **what})

    def list(self, path: bytes) -> list[Facts]:
        self.asked.append(b"list " + path)
        if path != b"/" and path not in self.files:
            raise NotFound(path)
        found = [
            facts for place, facts in self.files.items() if place.rpartition(b"/")[0] == path.rstrip(b"/")
        ]
        self.listing.set()
        assert self.hold.wait(10)
        return found

    def delete(self, path: bytes) -> None:
        if path in self.undeletable:
            raise Denied(path)
        del self.files[path]

    def facts(self, path: bytes) -> Facts:
        self.asked.append(b"facts " + path)
        try:
            return self.files[path]
        except KeyError:
            raise NotFound(path) from None


@pytest.fixture
def disk() -> Disk:
    disk = Disk()
    disk.add(b"/a", size=1)
    disk.add(b"/d", Kind.DIRECTORY)
    disk.add(b"/d/x", size=2)
    return disk


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "record.db"


@contextlib.contextmanager
def opened(disk: Disk, state: Path, **settings: Any) -> Iterator[Tree]:
    record = Record(state)
    teller = Teller(1000, 1000, frozenset(), 0, lambda _: None, lambda _: None)
    with ThreadPoolExecutor(4) as threads:

        def off(work: Any, *arguments: Any) -> asyncio.Future[Any]:
            return asyncio.get_running_loop().run_in_executor(threads, work, *arguments)

        tree = Tree(
            record.mount(b"m"),
            record,
            disk,
            teller=teller,
            settings=config.Remote(listing_seconds=TTL, **settings),
            off=off,
            aside=off,
            clock=lambda: disk.now,
        )
        yield tree
    record.close()


@pytest.fixture
async def tree(disk: Disk, state: Path) -> AsyncIterator[Tree]:
    with opened(disk, state) as tree:
        yield tree


async def names(tree: Tree, directory: FileId = ROOT, most: int = 1000) -> list[bytes]:
    found: list[bytes] = []
    cookie = 0
    while True:
        page = await tree.page(directory, cookie, most)
        found += [entry.name for entry in page.entries]
        if page.ended:
            return found
        cookie = page.entries[-1].cookie


def make(tree: Tree, attributes: Attributes, name: bytes) -> Attributes:
    """Have a new file in the same directory as another."""
    file = tree._record.mint(tree._mount, attributes.parent, [(name, Kind.FILE)])[name]
    made = Attributes(
        **{field: getattr(attributes, field) for field in attributes.__struct_fields__} | {"file": file}
    )
    tree.made(Named(file, name, made))
    return made


async def test_a_directory_is_listed_once_for_all_its_names(tree: Tree, disk: Disk) -> None:
    for number in range(1000):
        disk.add(b"/n%d" % number)
    found = await names(tree, most=7)
    assert sorted(found) == sorted(name[1:] for name in disk.files if name.count(b"/") == 1)
    for name in found:
        attributes = await tree.child(ROOT, name)
        assert await tree.attributes(attributes.file) == attributes
    with pytest.raises(NotFound):
        await tree.child(ROOT, b"nothing")
    assert disk.asked == [b"list /"]


async def test_many_who_ask_at_once_share_one_listing(tree: Tree, disk: Disk) -> None:
    found = await asyncio.gather(*(tree.child(ROOT, b"a") for _ in range(50)))
    assert {attributes.file for attributes in found} == {found[0].file}
    assert disk.asked == [b"list /"]


async def test_changes_made_elsewhere_are_seen_within_the_time_to_live(tree: Tree, disk: Disk) -> None:
    a = await tree.child(ROOT, b"a")
    root = await tree.attributes(ROOT)
    with pytest.raises(NotFound):
        tree.known.fresh_child(ROOT, b"b")
    disk.add(b"/a", size=9)
    disk.add(b"/b")
    assert (await tree.attributes(a.file)).size == 1
    disk.now += TTL
    assert tree.known.fresh(a.file) is None
    assert (await tree.attributes(a.file)).size == 9
    assert (await tree.child(ROOT, b"b")).kind is Kind.FILE
    assert (await tree.attributes(ROOT)).ctime_ns > root.ctime_ns
    assert disk.asked == [b"list /"] * 2


async def test_a_handle_is_stale_once_its_file_is_gone_and_means_no_later_one(tree: Tree, disk: Disk) -> None:
    a = await tree.child(ROOT, b"a")
    facts = disk.files.pop(b"/a")
    disk.now += TTL
    with pytest.raises(Stale):
        await tree.attributes(a.file)
    disk.files[b"/a"] = facts
    disk.now += TTL
    assert (await tree.child(ROOT, b"a")).file != a.file
    with pytest.raises(Stale):
        await tree.attributes(a.file)


async def test_handles_mean_the_same_after_a_restart(disk: Disk, state: Path) -> None:
    with opened(disk, state) as tree:
        d = await tree.child(ROOT, b"d")
        x = await tree.child(d.file, b"x")
        first = (await tree.page(ROOT, 0, 1)).entries[0]
    with opened(disk, state) as tree:
        assert await tree.attributes(x.file) == x
        assert disk.asked[-1] == b"list /d"
        later = await tree.page(ROOT, first.cookie, 10)
        assert [entry.name for entry in later.entries] == [b"d"]
        assert await tree.child(d.file, b".") == d
        assert (await tree.child(d.file, b"..")).file == ROOT
        with pytest.raises(NotADirectory):
            await tree.child(x.file, b"y")
        with pytest.raises(Stale):
            await tree.attributes(10_000)


async def test_rm_r_sees_every_name_while_it_deletes(tree: Tree, disk: Disk) -> None:
    for number in range(100):
        disk.add(b"/d/n%d" % number)
    d = (await tree.child(ROOT, b"d")).file
    cookie, seen = 0, []
    while True:
        page = await tree.page(d, cookie, 7)
        for entry in page.entries:
            seen.append(entry.name)
            tree.known.drop(d, entry.name)
        if page.ended:
            break
        cookie = page.entries[-1].cookie
    assert len(seen) == len(set(seen)) == 101
    assert await names(tree, d) == []


async def test_what_we_change_while_the_site_lists_is_not_undone_by_the_listing(
    tree: Tree, disk: Disk
) -> None:
    a = await tree.child(ROOT, b"a")
    d = await tree.child(ROOT, b"d")
    disk.now += TTL
    disk.hold.clear()
    disk.listing.clear()
    going_on = asyncio.ensure_future(tree.child(ROOT, b"new"))
    assert await asyncio.to_thread(disk.listing.wait, 10)
    new = make(tree, a, b"new")
    tree.known.move(a.file, d.file, b"moved")
    tree._record.move(tree._mount, a.file, d.file, b"moved")
    disk.hold.set()
    assert await going_on == new
    assert sorted(await names(tree)) == [b"d", b"new"]
    moved = tree.known.fresh_child(d.file, b"moved") or await tree.attributes(a.file)
    assert (moved.file, moved.parent) == (a.file, d.file)


async def test_what_was_written_and_is_not_on_the_site_yet_stays_in_its_listing(
    tree: Tree, disk: Disk
) -> None:
    a = await tree.child(ROOT, b"a")
    new = make(tree, a, b"new")
    tree.known.pinned.add(new.file)
    disk.now += TTL
    assert tree.known.fresh(new.file) == new
    assert sorted(await names(tree)) == [b"a", b"d", b"new"]
    assert disk.asked == [b"list /"] * 2
    tree.known.pinned.discard(new.file)
    disk.now += TTL
    assert sorted(await names(tree)) == [b"a", b"d"]


async def test_one_file_of_a_large_directory_costs_no_second_listing(disk: Disk, state: Path) -> None:
    for number in range(50):
        disk.add(b"/n%d" % number, mode=0o600)
    with opened(disk, state, large_directory=20) as tree:
        file = (await tree.child(ROOT, b"n7")).file
        disk.now += TTL
        disk.add(b"/n7", size=77)
        disk.files.pop(b"/n8")
        found = await tree.attributes(file)
        assert (found.size, found.mode) == (77, 0o600)
        for _ in range(3):
            with pytest.raises(NotFound):
                await tree.child(ROOT, b"n8")
        assert disk.asked == [b"list /", b"facts /n7", b"facts /n8"]
        disk.tells_singly = False  # to hear that a name isn't there costs a listing: so it is one for all
        for name in (b"n9", b"new", b"newer"):
            with contextlib.suppress(NotFound):
                await tree.child(ROOT, name)
        assert disk.asked[3:] == [b"facts /n9", b"list /"]


async def test_a_listing_that_takes_long_is_of_use_when_it_has_come(tree: Tree, disk: Disk) -> None:
    works = disk.list

    def slow(path: bytes) -> list[Facts]:
        disk.now += 3 * TTL
        return works(path)

    disk.list = slow  # type: ignore[method-assign]
    assert sorted(await names(tree, most=1)) == [b"a", b"d"]
    disk.now += 2 * TTL
    await tree.child(ROOT, b"a")
    assert disk.asked == [b"list /"]
    disk.now += TTL
    await tree.child(ROOT, b"a")
    assert disk.asked == [b"list /"] * 2


async def test_what_is_kept_of_listings_is_bounded(disk: Disk, state: Path) -> None:
    for number in range(20):
        disk.add(b"/d%d" % number, Kind.DIRECTORY)
        for below in range(30):
            disk.add(b"/d%d/n%d" % (number, below))
    with opened(disk, state, listed_names=100) as tree:
        for number in range(20):
            directory = await tree.child(ROOT, b"d%d" % number)
            assert len(await names(tree, directory.file)) == 30
            assert len(tree.known.nodes) <= 140
        assert (await tree.child((await tree.child(ROOT, b"d0")).file, b"n3")).kind is Kind.FILE


async def test_a_directory_that_may_not_be_listed_is_not_taken_for_gone(tree: Tree, disk: Disk) -> None:
    d = await tree.child(ROOT, b"d")
    facts = disk.files.pop(b"/d")
    below = (await tree.attributes(ROOT)).file
    with pytest.raises(Stale):
        await tree.child(d.file, b"x")
    disk.files[b"/d"] = facts
    disk.now += TTL
    again = await tree.child(below, b"d")

    def deny(path: bytes, ask: Any = disk.list) -> list[Facts]:
        if path == b"/d":
            raise NotFound(path)
        found: list[Facts] = ask(path)
        return found

    disk.list = deny  # type: ignore[method-assign]
    with pytest.raises(Denied):
        await tree.page(again.file, 0, 10)


async def test_uploads_under_way_are_hidden(tree: Tree, disk: Disk) -> None:
    disk.add(b"/.argosy-0123.part")
    disk.add(b"/.argosy-notes")
    assert b".argosy-0123.part" not in await names(tree)
    assert b".argosy-notes" in await names(tree)


async def test_the_owner_of_what_we_made_is_us(tree: Tree, disk: Disk) -> None:
    disk.add(b"/a", owner=b"14", group=b"50")
    a = await tree.child(ROOT, b"a")
    assert (a.uid, a.gid) == (14, 50)
    make(tree, a, b"ours")
    disk.add(b"/ours", owner=b"14", group=b"50")
    disk.now += TTL
    assert (await tree.attributes(a.file)).uid == 1000
    assert tree._record.learned(tree._mount).owner == b"14"


async def test_trouble_of_the_site_reaches_who_asks_and_the_next_one_asks_again(
    tree: Tree, disk: Disk
) -> None:
    def fail(path: bytes) -> list[Facts]:
        raise Denied(path)

    works, disk.list = disk.list, fail  # type: ignore[method-assign]
    with pytest.raises(Denied):
        await tree.child(ROOT, b"a")
    disk.list = works  # type: ignore[method-assign]
    assert (await tree.child(ROOT, b"a")).size == 1


LEFT = b".nfs000000000a8b1c2d00000001"
"""As Linux calls an open file that is deleted."""


async def test_what_a_crashed_client_left_is_removed_when_it_is_old_and_that_is_wanted(
    disk: Disk, state: Path
) -> None:
    now_ns = time.time_ns()
    old, new = now_ns - 8 * 86_400 * SECOND, now_ns - 6 * 86_400 * SECOND
    disk.add(b"/" + LEFT, mtime_ns=old)
    disk.add(b"/.nfs.20051117.4a3c0001", mtime_ns=new)
    disk.add(b"/.nfsd", mtime_ns=old)
    disk.add(b"/.nfs00000000", Kind.DIRECTORY, mtime_ns=old)
    with opened(disk, state) as tree:
        assert LEFT in await names(tree)
    with opened(disk, state, leftover_seconds=7 * 86_400.0) as tree:
        shown = await names(tree)
        assert LEFT not in shown
        assert {b".nfs.20051117.4a3c0001", b".nfsd", b".nfs00000000", b"a"} <= set(shown)
    assert b"/" + LEFT not in disk.files


async def test_an_old_file_that_was_deleted_while_open_stays_for_as_long(disk: Disk, state: Path) -> None:
    with opened(disk, state, leftover_seconds=3600.0) as tree:
        file = (await tree.child(ROOT, b"a")).file
        disk.files[b"/" + LEFT] = replace(disk.files.pop(b"/a"), name=LEFT)  # of 1970
        tree._record.move(tree._mount, file, ROOT, LEFT)
        disk.now += TTL + 1
        assert LEFT in await names(tree)


async def test_a_leftover_that_the_site_keeps_is_shown(disk: Disk, state: Path) -> None:
    disk.add(b"/" + LEFT)
    disk.undeletable.add(b"/" + LEFT)
    with opened(disk, state, leftover_seconds=3600.0) as tree:
        assert LEFT in await names(tree)
