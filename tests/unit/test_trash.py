"""The trash of the catalogue: what goes is kept as it lies, comes back, and goes for good in time."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import record
from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Trashed, Why
from argosy.catalogue.model import ROOT_ID, Entry, Found, Membership, Sealed, State, TreePath
from argosy.catalogue.people import Use
from argosy.catalogue.proof import Observed, Verdict
from argosy.cli.trash import choose

F, G, D = (b"f",), (b"g",), (b"d",)
DAY_NS = 86_400 * 10**9


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_ns = 1_800_000_000 * 10**9

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def catalogue(tmp_path: Path, clock: Clock) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=2, clock_ns=clock) as catalogue:
        catalogue.spares = lambda way: 0.0 if way[1:2] and way[1][1] == b"tmp" else 2.0
        yield catalogue


async def put(catalogue: Catalogue, path: TreePath, volume: int = 1, size: int = 5) -> int:
    """Upload a file, and give its version."""
    upload = await catalogue.begin(path, volume=volume, node=f"n{volume}", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(size, 77, size, b"d" * 16), epoch=1)
    return upload.id


async def settle(catalogue: Catalogue) -> list[tuple[bytes, bytes]]:
    """Let the disks follow, and tell what was moved."""
    moved = []
    while debts := await catalogue.settlements(100, {1, 2}):
        moved += [(debt.loc, debt.to) for debt in debts]
        await catalogue.settled(debts)
    return moved


def trash(catalogue: Catalogue, path: TreePath = ()) -> list[Trashed]:
    return catalogue.trash(path)


async def test_a_deleted_file_is_nowhere_but_in_the_trash(catalogue: Catalogue) -> None:
    ver = await put(catalogue, F)
    removal = await catalogue.delete(F, by="ann")
    assert removal.discards == ()
    assert catalogue.find_or_none(F) is None
    assert catalogue.children(ROOT_ID) == []
    [gone] = trash(catalogue)
    assert (gone.path, gone.by, gone.why, gone.copies) == (F, "ann", Why.DELETED, 1)
    assert gone.until_ns - gone.gone_ns == 2 * DAY_NS
    assert (gone.entry.ver, gone.entry.state, gone.entry.crc32) == (ver, State.TRASHED, 5)
    with pytest.raises(errors.NotFound):
        catalogue.path_of(gone.entry.id)
    counts = catalogue.counts()
    assert (counts.files, counts.bytes, counts.directories, counts.tombstones) == (0, 0, 0, 0)
    assert (counts.trashed, counts.trashed_bytes, counts.damaged) == (1, 5, 0)
    assert catalogue.usage({"all": ()}).owned == {}


async def test_a_restored_file_is_the_one_it_was(catalogue: Catalogue) -> None:
    ver = await put(catalogue, F)
    before = catalogue.find(F)
    await catalogue.delete(F)
    await catalogue.restore(ver)
    assert catalogue.find(F) == before
    assert [replica.loc for replica in catalogue.replicas(before.id)] == [b"f"]
    assert trash(catalogue) == []
    assert await settle(catalogue) == []


async def test_of_an_overwritten_file_both_contents_are_there(catalogue: Catalogue) -> None:
    first = await put(catalogue, F, size=1)
    file = catalogue.find(F).id
    second = await put(catalogue, F, size=2)
    assert (catalogue.find(F).id, catalogue.find(F).ver) == (file, second)
    [old] = trash(catalogue)
    assert (old.entry.ver, old.path, old.by, old.why) == (first, F, "ann", Why.OVERWRITTEN)
    with pytest.raises(errors.Exists):
        await catalogue.restore(first)
    await catalogue.restore(first, G)
    assert (catalogue.find(F).size, catalogue.find(G).size) == (2, 1)


async def test_the_new_content_gets_its_place_and_the_old_one_goes_aside(catalogue: Catalogue) -> None:
    first = await put(catalogue, F)
    second = await put(catalogue, F)
    file = catalogue.find(F).id
    assert [replica.loc for replica in catalogue.replicas(file)] == [model.unplaced(second)]
    assert await settle(catalogue) == [(b"f", model.unplaced(first)), (model.unplaced(second), b"f")]
    assert [replica.loc for replica in catalogue.replicas(file)] == [b"f"]
    [old] = trash(catalogue)
    assert [replica.loc for replica in catalogue.replicas(old.entry.id)] == [model.unplaced(first)]


async def test_nothing_moves_on_the_disks_for_a_deleted_file(catalogue: Catalogue) -> None:
    await put(catalogue, F)
    await catalogue.delete(F)
    assert await settle(catalogue) == []


async def test_what_goes_twice_under_one_name_is_kept_twice(catalogue: Catalogue) -> None:
    versions = []
    for size in (1, 2, 3):
        versions.append(await put(catalogue, F, size=size))
        await catalogue.delete(F)
    assert [one.entry.ver for one in trash(catalogue)] == versions
    await catalogue.restore(versions[1])
    assert catalogue.find(F).size == 2
    assert await settle(catalogue) != []
    assert [replica.loc for replica in catalogue.replicas(catalogue.find(F).id)] == [b"f"]


async def test_what_a_rename_replaces_is_kept(catalogue: Catalogue) -> None:
    old = await put(catalogue, F)
    await put(catalogue, G)
    await catalogue.rename(G, F, by="bob")
    [gone] = trash(catalogue)
    assert (gone.entry.ver, gone.by, gone.why) == (old, "bob", Why.REPLACED)
    assert await settle(catalogue) == [(b"f", model.unplaced(old)), (b"g", b"f")]


async def test_an_append_throws_nothing_away(catalogue: Catalogue) -> None:
    await put(catalogue, F)
    upload = await catalogue.begin(F, volume=1, node="n1", epoch=1, user="ann", resume=True)
    await catalogue.commit(upload.id, Sealed(9, 77, 9, b"e" * 16), epoch=1)
    assert trash(catalogue) == []
    assert len(catalogue.tombs(1)) == 1


async def test_a_cut_upload_leaves_nothing_in_the_trash(catalogue: Catalogue) -> None:
    upload = await catalogue.begin(F, volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.cut(upload.id, 3)
    removal = await catalogue.delete(F)
    assert removal.forgotten == ((1, upload.id),)
    assert trash(catalogue) == []


async def test_where_no_trash_is_wanted_all_goes_at_once(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"tmp",), owner="ann")
    path = (b"tmp", b"x")
    await put(catalogue, path)
    await put(catalogue, path)
    await catalogue.delete(path)
    assert trash(catalogue) == []
    assert {tomb.keep for tomb in catalogue.tombs(1)} == {True}
    assert len(catalogue.tombs(1)) == 2


async def test_a_directory_whose_files_are_in_the_trash_can_be_removed_and_comes_back(
    catalogue: Catalogue,
) -> None:
    await catalogue.make_directory(D, owner="ann")
    await catalogue.make_directory((*D, b"e"), owner="ann")
    ver = await put(catalogue, (*D, b"e", b"f"))
    await catalogue.delete((*D, b"e", b"f"))
    await catalogue.remove_directory((*D, b"e"))
    await catalogue.remove_directory(D)
    restored = await catalogue.restore(ver)
    assert restored.path == (b"d", b"e", b"f")
    assert catalogue.find(restored.path).ver == ver
    assert catalogue.find(D).owner == "ann"


async def test_nothing_is_restored_where_a_file_stands_in_the_way(catalogue: Catalogue) -> None:
    await catalogue.make_directory(D, owner="ann")
    ver = await put(catalogue, (*D, b"f"))
    await catalogue.delete((*D, b"f"))
    await catalogue.remove_directory(D)
    await put(catalogue, D)
    with pytest.raises(errors.NotADirectory):
        await catalogue.restore(ver)
    with pytest.raises(errors.NameNotAllowed):
        await catalogue.restore(ver, (b".argosy",))
    assert [one.entry.ver for one in trash(catalogue)] == [ver]
    with pytest.raises(errors.NotFound):
        await catalogue.restore(ver + 1)


async def test_what_was_kept_long_enough_goes_for_good_and_at_once(
    catalogue: Catalogue, clock: Clock
) -> None:
    await put(catalogue, F)
    await catalogue.delete(F)
    assert (await catalogue.expire_trash(10)).files == 0
    clock.now_ns += 2 * DAY_NS
    emptied = await catalogue.expire_trash(10)
    assert (emptied.files, emptied.bytes, emptied.more) == (1, 5, False)
    assert trash(catalogue) == []
    [tomb] = catalogue.tombs(1)
    assert (tomb.loc, tomb.keep) == (b"f", False)
    assert catalogue.room_to_come(1)
    await catalogue.buried(1, [tomb])
    assert not catalogue.room_to_come(1)


async def test_a_full_volume_lets_go_of_what_went_first(catalogue: Catalogue) -> None:
    versions = [
        await put(catalogue, (b"%d" % number,), volume=1 + number % 2, size=10) for number in range(6)
    ]
    for number in (4, 3, 2, 1, 0, 5):
        await catalogue.delete((b"%d" % number,))
    emptied = await catalogue.squeeze_trash(1, 15, 100)
    assert (emptied.files, emptied.bytes) == (2, 20)
    left = {one.entry.ver for one in trash(catalogue)}
    assert left == {versions[number] for number in (0, 1, 3, 5)}


async def test_the_trash_is_emptied_below_a_path_page_by_page(catalogue: Catalogue) -> None:
    for name in (b"d", b"d-", b"d0"):
        await catalogue.make_directory((name,), owner="ann")
        for number in range(3):
            path = (name, b"%d" % number)
            await put(catalogue, path)
            await catalogue.delete(path)
    first = catalogue.trash(D, limit=2)
    last = b"/".join(first[-1].path), first[-1].entry.id
    rest = catalogue.trash(D, after=last, limit=2)
    assert [one.path for one in first + rest] == [(b"d", b"0"), (b"d", b"1"), (b"d", b"2")]
    assert (await catalogue.empty_trash(D, 2)).more
    assert (await catalogue.empty_trash(D, 2)).files == 1
    assert len(trash(catalogue)) == 6


async def test_retention_takes_what_is_as_it_was_looked_at(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"tmp",), owner="ann")
    paths = [F, G, (b"h",), (b"tmp", b"x")]
    versions = [await put(catalogue, path) for path in paths]
    files = [(catalogue.find(path).id, ver) for path, ver in zip(paths, versions, strict=True)]
    await put(catalogue, G)
    await catalogue.begin((b"h",), volume=1, node="n1", epoch=1, user="ann", resume=False)
    removal = await catalogue.retire([*files, (999, 9)], by="the rule")
    assert [one.loc for one in removal.discards] == [b"tmp/x"]
    assert [(one.path, one.why) for one in trash(catalogue, F)] == [(F, Why.RETIRED)]
    assert catalogue.find(G).ver != versions[1]
    assert catalogue.find((b"h",)).ver == versions[2]
    assert catalogue.find_or_none(F) is None


# --- what the disks say ----


async def merge(catalogue: Catalogue, found: list[Found], *, whole: bool = True) -> Any:
    return await catalogue.merge(1, found, seq=1, whole=whole)


async def test_a_node_that_lists_a_trashed_file_brings_nothing_back(catalogue: Catalogue) -> None:
    ver = await put(catalogue, F)
    await catalogue.placed(1, [ver])
    await catalogue.delete(F)
    await merge(catalogue, [Found(b"f", 5, 77, ver)])
    await merge(catalogue, [Found(b"elsewhere", 5, 77, ver)])
    assert catalogue.children(ROOT_ID) == []
    [gone] = trash(catalogue)
    assert gone.copies == 1
    assert [replica.loc for replica in catalogue.replicas(gone.entry.id)] == [b"elsewhere"]


async def test_a_file_put_by_hand_where_a_trashed_one_lay_is_a_new_file(catalogue: Catalogue) -> None:
    ver = await put(catalogue, F)
    await catalogue.placed(1, [ver])
    await catalogue.delete(F)
    for _ in range(2):
        await merge(catalogue, [Found(b"f", 9, 99)])
        assert (catalogue.find(F).size, catalogue.find(F).state) == (9, State.LIVE)
        assert [(one.entry.ver, one.copies) for one in trash(catalogue)] == [(ver, 0)]


async def test_a_trashed_file_that_vanishes_from_the_disk_is_told_and_may_come_again(
    catalogue: Catalogue,
) -> None:
    ver = await put(catalogue, F)
    await catalogue.placed(1, [ver])
    await catalogue.delete(F)
    await merge(catalogue, [])
    assert [one.copies for one in trash(catalogue)] == [0]
    await merge(catalogue, [Found(b"f", 5, 77, ver)])
    assert [one.copies for one in trash(catalogue)] == [1]


async def test_a_part_of_a_trashed_file_is_still_put_in_place(catalogue: Catalogue) -> None:
    ver = await put(catalogue, F)
    await catalogue.delete(F)
    verdict = await catalogue.verdict(1, [(ver, 5, True)])
    assert [(part.upload, part.loc, part.mtime_ns) for part in verdict.commit] == [(ver, b"f", 77)]
    assert verdict.forget == ()


async def test_a_trashed_file_asks_for_no_copies_and_counts_for_no_quota(catalogue: Catalogue) -> None:
    catalogue.wants = lambda _: 2
    ver = await put(catalogue, F)
    file = catalogue.find(F).id
    await catalogue.delete(F)
    await catalogue.enlist([1], Membership.DRAINING)
    await catalogue.add_copies(2, "n2", 1, [(ver, Sealed(5, 77, 5, b"d" * 16))])  # it was on its way
    assert {replica.volume for replica in catalogue.replicas(file)} == {1, 2}
    assert catalogue.usage({}).owned.get(("ann", "argosy"), Use()) == Use()
    with pytest.raises(errors.NotFound):
        catalogue.way_to(catalogue.by_id(file).parent)
    await catalogue.restore(ver)
    assert [stock.entry.id for stock in catalogue.stocks([file])] == [file]


async def test_a_thousand_files_are_thrown_away_as_fast_as_deleted(catalogue: Catalogue) -> None:
    names = [b"%04d" % number for number in range(2_000)]
    await merge(catalogue, [Found(name, 1, 5) for name in names])
    spent = []
    for spares, half in ((catalogue.spares, names[:1_000]), (None, names[1_000:])):
        catalogue.spares = spares
        begin = time.monotonic()
        await asyncio.gather(*(catalogue.delete((name,)) for name in half))
        spent.append(time.monotonic() - begin)
    assert len(catalogue.trash((), limit=5_000)) == 1_000
    assert spent[0] < 3 * spent[1] + 0.5


# --- which of several ----


def gone(path: bytes, version: str, at: float) -> dict[str, Any]:
    return {"path_hex": path.hex(), "version": version, "gone": at}


def test_the_last_that_went_is_chosen_or_what_was_there_at_a_time() -> None:
    found = [gone(b"a", "1", 10.0), gone(b"a", "2", 20.0), gone(b"b", "3", 15.0)]
    assert [one["version"] for one in choose(found, None)] == ["2", "3"]
    assert [one["version"] for one in choose(found, 12 * 10**9)] == ["2", "3"]
    assert [one["version"] for one in choose(found, 5 * 10**9)] == ["1", "3"]
    assert [one["version"] for one in choose(found, 15 * 10**9)] == ["2"]


# --- anything, in any order ----


def sealed(ver: int) -> Sealed:
    """Give a content that no other version has."""
    return Sealed(5, ver, ver % 2**32, b"%016x" % ver)


def listed(loc: bytes, ver: int) -> Found:
    """Give the line of a node's list that tells of it."""
    content = sealed(ver)
    return Found(loc, content.size, content.mtime_ns, ver, content.crc32, content.digest)


@dataclass
class Model:
    """What is in the tree and in the trash, by version."""

    live: dict[TreePath, int] = field(default_factory=dict)
    kept: dict[int, TreePath] = field(default_factory=dict)


NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.one_of(st.tuples(NAMES), st.tuples(st.just(b"d"), NAMES), st.tuples(st.just(b"e"), NAMES))


class TrashMachine(RuleBasedStateMachine):
    """The catalogue, and disks that follow it, against a model of two dictionaries."""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.place = tempfile.TemporaryDirectory()
        self.opened = record.opened(Path(self.place.name), nodes=2, clock_ns=Clock())
        self.catalogue = self.loop.run_until_complete(self.opened.__aenter__())
        self.catalogue.spares = lambda _: 1.0
        self.model = Model()
        self.disk: dict[int, dict[bytes, int]] = {1: {}, 2: {}}
        for path in (D, (b"e",)):
            self.run(self.catalogue.make_directory(path, owner="ann"))

    def run(self, job: Any) -> Any:
        return self.loop.run_until_complete(job)

    def known(self) -> list[Entry]:
        """Give all files, those in the trash as well."""
        folders = [self.catalogue.find(path).id for path in ((), D, (b"e",))]
        live = [entry for folder in folders for entry in self.catalogue.children(folder)]
        return [*(entry for entry in live if entry.ver), *(one.entry for one in self.catalogue.trash(()))]

    def bury(self) -> None:
        for volume, files in self.disk.items():
            tombs = self.catalogue.tombs(volume)
            for tomb in tombs:  # wherever that version lies by now
                for loc in [loc for loc, ver in files.items() if ver == tomb.ver]:
                    del files[loc]
            self.run(self.catalogue.buried(volume, tombs))

    @rule(path=PATHS, volume=st.sampled_from([1, 2]))
    def upload(self, path: TreePath, volume: int) -> None:
        upload = self.run(
            self.catalogue.begin(path, volume=volume, node=f"n{volume}", epoch=1, user="ann", resume=False)
        )
        _, replica, _ = self.run(self.catalogue.commit(upload.id, sealed(upload.id), epoch=1))
        files = self.disk[volume]
        files[replica.loc if replica.loc not in files else model.unplaced(upload.id)] = upload.id
        if path in self.model.live:
            self.model.kept[self.model.live[path]] = path
        self.model.live[path] = upload.id

    @rule(path=PATHS)
    def delete(self, path: TreePath) -> None:
        if path in self.model.live:
            self.run(self.catalogue.delete(path))
            self.model.kept[self.model.live.pop(path)] = path

    @rule(source=PATHS, to=PATHS)
    def rename(self, source: TreePath, to: TreePath) -> None:
        if source in self.model.live and source != to:
            self.run(self.catalogue.rename(source, to))
            if to in self.model.live:
                self.model.kept[self.model.live[to]] = to
            self.model.live[to] = self.model.live.pop(source)

    @rule(choice=st.integers(0, 50), to=st.none() | PATHS)
    def restore(self, choice: int, to: TreePath | None) -> None:
        if not self.model.kept:
            return
        ver = sorted(self.model.kept)[choice % len(self.model.kept)]
        target = to or self.model.kept[ver]
        try:
            self.run(self.catalogue.restore(ver, to))
        except errors.Exists:
            assert target in self.model.live
        else:
            assert target not in self.model.live
            self.model.live[target] = ver
            del self.model.kept[ver]

    @rule(choice=st.integers(0, 50))
    def empty(self, choice: int) -> None:
        paths = sorted(set(self.model.kept.values()))
        if paths:
            path = paths[choice % len(paths)]
            self.run(self.catalogue.empty_trash(path, 100))
            self.model.kept = {ver: at for ver, at in self.model.kept.items() if at != path}
            self.bury()

    @rule(answered=st.booleans())
    def disks_follow(self, answered: bool) -> None:
        debts = self.run(self.catalogue.settlements(100, {1, 2}))
        done = []
        for debt in debts:
            files = self.disk[debt.volume]
            at = next((loc for loc, ver in files.items() if ver == debt.ver), None)
            if at is not None and (debt.to not in files or at == debt.to):
                files[debt.to] = files.pop(at)
                done.append(debt)
        if answered:  # else the link was cut
            self.run(self.catalogue.settled(done))

    @rule(volume=st.sampled_from([1, 2]))
    def a_node_lists_what_it_has(self, volume: int) -> None:
        files = self.disk[volume]
        self.run(self.catalogue.placed(volume, list(files.values())))
        found = [listed(loc, ver) for loc, ver in sorted(files.items())]
        self.run(self.catalogue.merge(volume, found, seq=1, whole=True))
        for entry in self.known():
            at = {replica.loc for replica in self.catalogue.replicas(entry.id) if replica.volume == volume}
            assert at == {loc for loc, ver in files.items() if ver == entry.ver}

    @rule(volume=st.sampled_from([1, 2]), order=st.randoms(use_true_random=False))
    def a_node_tells_of_what_it_has_in_any_order(self, volume: int, order: random.Random) -> None:
        files = list(self.disk[volume].items())
        order.shuffle(files)
        for loc, ver in files:
            told = [listed(loc, ver)]
            self.run(self.catalogue.merge(volume, told, seq=1, whole=False))

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        live = {}
        for folder in ((), D, (b"e",)):
            for entry in self.catalogue.children(self.catalogue.find(folder).id):
                if not entry.is_directory:
                    live[*folder, entry.name] = entry.ver
        assert live == self.model.live
        kept = {one.entry.ver: one.path for one in self.catalogue.trash(())}
        assert kept == self.model.kept
        for ver in (*live.values(), *kept):
            lying = [files for files in self.disk.values() if ver in files.values()]
            assert len(lying) == 1  # every content that may be wanted is on a disk

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.run(self.opened.__aexit__(None, None, None))
            self.loop.close()
            self.place.cleanup()


TestTrashMachine = TrashMachine.TestCase
TestTrashMachine.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


async def test_a_copy_in_the_trash_that_is_found_to_be_bad_is_told_by_its_last_path(
    catalogue: Catalogue,
) -> None:
    await put(catalogue, F)
    await catalogue.delete(F, by="ann")
    (copy,) = catalogue.replicas(trash(catalogue)[0].entry.id)
    bad = Observed(1, copy.loc, copy.ver, copy.size, 1, b"x" * 16)
    assert await catalogue.judge([bad], "scrub") == [Verdict.BAD]
    assert catalogue.findings(60, 10)[0].path == b"/f"
