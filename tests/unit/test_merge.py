"""Merging by itself, on a catalogue of dictionaries; then the store's merging, which must agree with it."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from argosy.catalogue import merge, steps
from argosy.catalogue.model import ROOT_ID, Doubt, Found, Kind, Standing, State
from argosy.catalogue.steps import Copy, Holder, Known
from argosy.catalogue.store import members, merging, schema

GOOD, SUSPECT = Standing.GOOD, Standing.SUSPECT

Outline = dict[bytes, tuple[str, int, tuple[tuple[int, bytes, str, int, int], ...]]]
"""Path: state, size, and of each replica: volume, loc, standing, size, mtime."""


@dataclass
class Lying:
    loc: bytes
    ver: int
    standing: Standing
    size: int
    mtime_ns: int


class Shelf:
    """A catalogue of dictionaries, and the page of one volume in it."""

    def __init__(self) -> None:
        root = Holder(ROOT_ID, ROOT_ID, b"", Kind.DIRECTORY, State.LIVE, 0, 0, None, None)
        self.entries = {ROOT_ID: root}
        self.lying: dict[tuple[int, int], Lying] = {}
        self.owed: set[bytes] = set()
        self.ids = itertools.count(1_000_000)
        self.volume = 1
        self.doubt = Doubt.NONE
        self.named: dict[int, int] = {}
        self.stale: dict[tuple[int, bytes], int] = {}
        self.lapses: set[int] = set()
        self.gone: set[int] = set()

    @property
    def node(self) -> str:
        return f"n{self.volume}"

    def known(self, loc: bytes) -> Known | None:
        for (file, volume), at in self.lying.items():
            if volume == self.volume and at.loc == loc:
                entry = self.entries[file]
                told = (loc, file, at.ver, at.standing, at.size, at.mtime_ns)
                return Known(*told, listed=True, crc32=entry.crc32, digest=entry.digest)
        return None

    def child(self, parent: int, name: bytes) -> Holder | None:
        for entry in self.entries.values():
            if (entry.parent, entry.name) == (parent, name):
                return entry
        return None

    def entry(self, file: int) -> Holder:
        return self.entries[file]

    def version(self, ver: int) -> Holder | None:
        return next((entry for entry in self.entries.values() if entry.ver == ver), None)

    def copies(self, file: int) -> Mapping[int, Copy]:
        return {
            volume: Copy(at.loc, at.standing) for (held, volume), at in self.lying.items() if held == file
        }

    def doomed(self, found: Found) -> bool:
        return found.loc in self.owed or self.stale.get((self.volume, found.loc)) == found.ver

    def file(self, file: int) -> Holder | None:
        return self.entries.get(file)

    def named_ns(self, file: int) -> int:
        return self.named.get(file, 0)

    def lapsed(self, ver: int) -> bool:
        return ver in self.lapses

    def lost(self, volume: int) -> bool:
        return volume in self.gone

    def apply(self, step: steps.Step) -> None:
        match step:
            case steps.MakeDirectory(parent, name, _):
                self._insert(parent, name, Kind.DIRECTORY, State.LIVE, 0, None)
            case steps.Create(parent, name, state, found, number):
                assert number not in self.entries
                file = self._insert(parent, name, Kind.FILE, state, found.ver, found, number)
                self._put(file, GOOD, found)
                if number:
                    self.named[file] = found.named_ns
            case steps.Add(file, standing, found):
                self._put(file, standing, found)
            case steps.Move(file, found):
                self._put(file, self.lying[file, self.volume].standing, found)
            case steps.Refresh(file, found):
                self.lying[file, self.volume].mtime_ns = found.mtime_ns
            case steps.Learn(file, found):
                self.entries[file] = replace(self.entries[file], crc32=found.crc32, digest=found.digest)
            case steps.Change(file, ver, found):
                self.entries[file] = replace(
                    self.entries[file],
                    ver=ver or next(self.ids),
                    size=found.size,
                    crc32=found.crc32,
                    digest=found.digest,
                )
                self._put(file, GOOD, found)
            case steps.Drop(file):
                del self.lying[file, self.volume]
            case steps.Promote(file, volume):
                at = self.lying[file, volume]
                at.standing, at.ver = GOOD, next(self.ids)
                self.entries[file] = replace(
                    self.entries[file], ver=at.ver, size=at.size, crc32=None, digest=None
                )
            case steps.Remove(file):
                del self.entries[file]
            case _:
                self.apply_in_doubt(step)

    def apply_in_doubt(self, step: steps.Step) -> None:
        match step:
            case steps.Mistrust(file):
                self.lying[file, self.volume].standing = SUSPECT
            case steps.Stale(found):
                assert self.known(found.loc) is None
                self.stale[self.volume, found.loc] = found.ver
            case steps.Bury(file):
                for key in [key for key in self.lying if key[0] == file]:
                    at = self.lying.pop(key)
                    self.stale[key[1], at.loc] = at.ver
            case steps.Rename(file, parent, name, named_ns):
                assert self.child(parent, name) in (None, self.entries[file])
                old = self.entries[file]
                state = State.LIVE if old.state is State.CONFLICT else old.state
                self.entries[file] = replace(old, parent=parent, name=name, state=state)
                self.named[file] = named_ns
            case steps.Displace(file, name):
                assert self.child(self.entries[file].parent, name) is None
                self.entries[file] = replace(self.entries[file], name=name, state=State.CONFLICT)
            case _:
                assert isinstance(step, steps.Owe | steps.Compare)

    def _insert(
        self,
        parent: int,
        name: bytes,
        kind: Kind,
        state: State,
        ver: int,
        found: Found | None,
        number: int = 0,
    ) -> int:
        assert self.child(parent, name) is None
        assert self.entries[parent].kind is Kind.DIRECTORY
        file = number or next(self.ids)
        sums = (None, None) if found is None else (found.crc32, found.digest)
        size = found.size if found else 0
        ver = 0 if found is None else ver or file
        self.entries[file] = Holder(file, parent, name, kind, state, ver, size, *sums)
        return file

    def _put(self, file: int, standing: Standing, found: Found) -> None:
        ver = 0 if standing is SUSPECT else self.entries[file].ver
        self.lying[file, self.volume] = Lying(found.loc, ver, standing, found.size, found.mtime_ns)
        locs = [at.loc for (_, volume), at in self.lying.items() if volume == self.volume]
        assert len(locs) == len(set(locs)), "two files at one place"

    def take(self, volume: int, found: Sequence[Found], expected: Sequence[bytes] = ()) -> list[steps.Step]:
        self.volume = volume
        taken = []
        for step in merge.merge(self, found, expected):
            self.apply(step)
            taken.append(step)
        return taken

    def merge_whole(self, volume: int, disk: Sequence[Found], cuts: Sequence[int] = ()) -> list[steps.Step]:
        self.volume = volume
        taken = []
        for batch, after, upto in batches(disk, cuts):
            locs = sorted(at.loc for (_, held), at in self.lying.items() if held == volume)
            between = [loc for loc in locs if loc > after and (upto is None or loc <= upto)]
            taken += self.take(volume, batch, between)
        return taken

    def path(self, file: int) -> bytes:
        names = []
        while file != ROOT_ID:
            names.append(self.entries[file].name)
            file = self.entries[file].parent
        return b"/".join(reversed(names))

    def outline(self) -> Outline:
        return {
            self.path(entry.id): (
                entry.state.value if entry.kind is Kind.FILE else "dir",
                entry.size,
                tuple(
                    sorted(
                        (volume, at.loc, at.standing.value, at.size, at.mtime_ns)
                        for (file, volume), at in self.lying.items()
                        if file == entry.id
                    )
                ),
            )
            for entry in self.entries.values()
            if entry.id != ROOT_ID
        }


def batches(
    disk: Sequence[Found], cuts: Sequence[int]
) -> Iterator[tuple[Sequence[Found], bytes, bytes | None]]:
    """Cut a whole list as a node does: each batch says from where to where."""
    ends = sorted({min(cut, len(disk)) for cut in cuts if 0 < cut < len(disk)})
    after = b""
    for first, end in itertools.pairwise([0, *ends, len(disk)]):
        upto = None if end == len(disk) else disk[end - 1].loc
        yield disk[first:end], after, upto
        after = upto or b""


NAMES = [b"a", b"b", b"a.conflict-n1", b"c\nd"]
LOCS = sorted([*NAMES, *(d + b"/" + n for d in (b"a", b"b", b"e") for n in NAMES[:3]), b"a/b/a"])


@st.composite
def disks(draw: st.DrawFn, versions: bool = True) -> list[Found]:
    """What may lie on one disk: no file below a file, a version at one place."""
    disk: list[Found] = []
    for loc in draw(st.lists(st.sampled_from(LOCS), unique=True, max_size=8)):
        if any(loc.startswith(f.loc + b"/") or f.loc.startswith(loc + b"/") for f in disk):
            continue
        ver = draw(st.sampled_from([0, 0, 7_000 + LOCS.index(loc)])) if versions else 0
        size = 7 if ver else draw(st.integers(1, 2))
        digest = draw(st.sampled_from([None, b"x" * 16, b"y" * 16]))
        disk.append(Found(loc, size, draw(st.integers(1, 2)), ver, None, digest))
    return sorted(disk, key=lambda f: f.loc)


histories = st.lists(st.tuples(st.integers(1, 3), disks()), max_size=5)
a_while = settings(max_examples=40)
"""Other work on the machine is no failure."""

cuttings = st.lists(st.integers(1, 7), max_size=3)


def lived(history: Sequence[tuple[int, list[Found]]]) -> Shelf:
    shelf = Shelf()
    for volume, disk in history:
        shelf.merge_whole(volume, disk)
    return shelf


@a_while
@given(histories, st.integers(1, 3), disks(), cuttings)
def test_merging_twice_changes_nothing_more(
    history: list[tuple[int, list[Found]]], volume: int, disk: list[Found], cuts: list[int]
) -> None:
    shelf = lived(history)
    shelf.merge_whole(volume, disk)
    assert all(isinstance(step, steps.Compare) for step in shelf.merge_whole(volume, disk, cuts))
    assert all(isinstance(step, steps.Compare) for step in shelf.take(volume, disk))


@a_while
@given(histories, disks(), cuttings)
def test_where_the_list_of_a_new_disk_is_cut_makes_no_difference(
    history: list[tuple[int, list[Found]]], disk: list[Found], cuts: list[int]
) -> None:
    at_once, in_pieces, as_changes = lived(history), lived(history), lived(history)
    at_once.merge_whole(4, disk)
    in_pieces.merge_whole(4, disk, cuts)
    for found in disk:
        as_changes.take(4, [found])
    assert in_pieces.outline() == at_once.outline() == as_changes.outline()


@a_while
@given(histories, st.integers(1, 3), disks(), cuttings)
def test_nothing_that_was_found_is_lost_and_a_node_is_asked_only_for_what_it_holds(
    history: list[tuple[int, list[Found]]], volume: int, disk: list[Found], cuts: list[int]
) -> None:
    shelf = lived(history)
    shelf.merge_whole(volume, disk, cuts)
    held = sorted((at.loc, at.size, at.mtime_ns) for (_, v), at in shelf.lying.items() if v == volume)
    assert held == [(found.loc, found.size, found.mtime_ns) for found in disk]


@a_while
@given(histories, cuttings)
def test_a_good_copy_is_the_files_content_and_a_suspect_stands_beside_one(
    history: list[tuple[int, list[Found]]], cuts: list[int]
) -> None:
    shelf = Shelf()
    for volume, disk in history:
        shelf.merge_whole(volume, disk, cuts)
    for entry in shelf.entries.values():
        at = [at for (file, _), at in shelf.lying.items() if file == entry.id]
        assert all(a.ver == entry.ver and a.size == entry.size for a in at if a.standing is GOOD)
        doubted = [a for a in at if a.standing is SUSPECT and a.ver == entry.ver]
        assert not at or doubted or any(a.standing is GOOD for a in at)
        assert at or entry.state is not State.CONFLICT


@a_while
@given(histories, disks(), disks())
def test_changes_one_after_the_other_lead_where_the_whole_list_leads(
    history: list[tuple[int, list[Found]]], before: list[Found], after: list[Found]
) -> None:
    told, listed = lived([*history, (4, before)]), lived([*history, (4, before)])
    gone = [replace(f, gone=True) for f in before if f.loc not in {g.loc for g in after}]
    told.take(4, [*after, *gone])
    listed.merge_whole(4, after)
    assert told.outline() == listed.outline()


class Drawer:
    """The same on the store's tables."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.execute("PRAGMA foreign_keys = ON")
        schema.lay(self.db, 1)
        for number in range(1, 5):
            members.attach(self.db, str(number) * 32, f"n{number}")
        self.mint: Callable[[], int] = itertools.count(1_000_000).__next__

    def merge(
        self, volume: int, found: Sequence[Found], between: tuple[bytes, bytes | None] | None = None
    ) -> Any:
        self.db.execute("BEGIN")
        report = merging.merge(self.db, volume, found, seq=1, between=between, mint=self.mint, now_ns=5)
        self.db.execute("COMMIT")
        return report

    def outline(self) -> Outline:
        rows = self.db.execute("SELECT id, parent, name, kind, state, size FROM ent WHERE id > 2").fetchall()
        names = {row[0]: (row[1], row[2]) for row in rows}
        outline = {}
        for file, _, _, kind, state, size in rows:
            path, at = [], file
            while at != ROOT_ID:
                path.append(names[at][1])
                at = names[at][0]
            held = self.db.execute(
                "SELECT volume, loc, CASE standing WHEN 0 THEN 'good' ELSE 'suspect' END, size, mtime_ns"
                " FROM replica WHERE file = ? ORDER BY volume",
                (file,),
            ).fetchall()
            said = ("live", "uploading", "partial", "conflict")[state] if kind else "dir"
            outline[b"/".join(reversed(path))] = (said, size, tuple(held))
        return outline


@a_while
@given(histories, st.integers(1, 3), disks(), cuttings)
def test_the_tables_end_up_as_the_dictionaries_do(
    history: list[tuple[int, list[Found]]], volume: int, disk: list[Found], cuts: list[int]
) -> None:
    shelf, drawer = Shelf(), Drawer()
    for held, found in [*history, (volume, disk)]:
        shelf.merge_whole(held, found, cuts)
        for batch, after, upto in batches(found, cuts):
            drawer.merge(held, batch, (after, upto))
        assert drawer.outline() == shelf.outline()
    changes = [replace(found, gone=True) for found in disk]
    shelf.take(volume, changes)
    drawer.merge(volume, changes)
    assert drawer.outline() == shelf.outline()
    drawer.db.close()


# --- single decisions ----


def hand_put(loc: bytes, size: int = 3, mtime_ns: int = 1, **more: Any) -> Found:
    return Found(loc, size, mtime_ns, **more)


def test_the_first_disk_becomes_the_tree() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a/b/c"), hand_put(b"d")])
    assert {path: said for path, (said, *_) in shelf.outline().items()} == {
        b"a": "dir",
        b"a/b": "dir",
        b"a/b/c": "live",
        b"d": "live",
    }


def test_an_equal_size_alone_makes_a_suspect_that_somebody_compares() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a")])
    (file,) = [file for file in shelf.entries if file != ROOT_ID]
    assert shelf.merge_whole(2, [hand_put(b"a", mtime_ns=9)])[-1] == steps.Compare(file)
    assert shelf.outline()[b"a"][2][1] == (2, b"a", "suspect", 3, 9)


def test_equal_checksums_make_a_good_copy() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a", digest=b"x" * 16)])
    shelf.merge_whole(2, [hand_put(b"a", digest=b"x" * 16)])
    assert [standing for _, _, standing, _, _ in shelf.outline()[b"a"][2]] == ["good", "good"]


def test_an_equal_crc_proves_nothing_but_another_one_does() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a", crc32=1)])
    shelf.merge_whole(2, [hand_put(b"a", crc32=1)])
    shelf.merge_whole(3, [hand_put(b"a", crc32=2)])
    assert shelf.outline()[b"a"][2][1][2] == "suspect"
    assert shelf.outline()[b"a.conflict-n3"][0] == "conflict"


def test_other_content_for_a_path_is_kept_aside_under_a_name_that_says_from_where() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"d/a")])
    shelf.merge_whole(2, [hand_put(b"d/a", size=4)])
    assert shelf.outline()[b"d/a.conflict-n2"] == ("conflict", 4, ((2, b"d/a", "good", 4, 1),))


def test_a_file_where_another_disk_has_a_directory_is_kept_aside() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a/b")])
    shelf.merge_whole(2, [hand_put(b"a")])
    assert shelf.outline()[b"a.conflict-n2"][0] == "conflict"


def test_files_below_what_is_a_file_elsewhere_are_kept_aside_in_the_nearest_directory() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"d/a")])
    shelf.merge_whole(2, [hand_put(b"d/a/x/y"), hand_put(b"d/a/y")])
    assert shelf.outline()[b"d/y.conflict-n2"][2][0][1] == b"d/a/x/y"
    assert shelf.outline()[b"d/y.conflict-n2-2"][2][0][1] == b"d/a/y"


def test_a_name_that_the_tree_cannot_have_is_kept_aside_without_its_line_end() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"x\r\ny")])
    assert list(shelf.outline()) == [b"x__y.conflict-n1"]


@pytest.mark.parametrize(("name", "kept"), [(b"n" * 255, 243), ("é".encode() * 127, 242)])
def test_the_name_of_what_is_kept_aside_fits_a_disk(name: bytes, kept: int) -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(name)])
    shelf.merge_whole(2, [hand_put(name, size=4)])
    (aside,) = [path for path, (said, *_) in shelf.outline().items() if said == "conflict"]
    assert aside == name[:kept] + b".conflict-n2"
    aside.decode()


def test_a_conflict_goes_with_its_last_copy_and_a_file_stays_as_damaged() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a")])
    shelf.merge_whole(2, [hand_put(b"a", size=4)])
    shelf.merge_whole(2, [])
    shelf.merge_whole(1, [])
    assert shelf.outline() == {b"a": ("live", 3, ())}


def test_a_damaged_file_takes_what_is_put_at_its_place() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a")])
    shelf.merge_whole(1, [])
    shelf.merge_whole(2, [hand_put(b"a", size=5)])
    assert shelf.outline() == {b"a": ("live", 5, ((2, b"a", "good", 5, 1),))}


def test_a_file_rewritten_on_its_only_disk_is_the_file() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a", digest=b"x" * 16)])
    before = shelf.version(next(e.ver for e in shelf.entries.values() if e.ver))
    shelf.merge_whole(1, [hand_put(b"a", mtime_ns=2)])
    (after,) = [e for e in shelf.entries.values() if e.kind is Kind.FILE]
    assert before is not None
    assert after.id == before.id
    assert after.ver != before.ver
    assert after.digest is None


def test_a_copy_rewritten_beside_a_good_one_is_kept_aside() -> None:
    shelf = Shelf()
    for volume in (1, 2):
        shelf.merge_whole(volume, [hand_put(b"a", digest=b"x" * 16)])
    shelf.merge_whole(2, [hand_put(b"a", size=9, mtime_ns=2)])
    assert shelf.outline() == {
        b"a": ("live", 3, ((1, b"a", "good", 3, 1),)),
        b"a.conflict-n2": ("conflict", 9, ((2, b"a", "good", 9, 2),)),
    }


def test_a_touched_copy_beside_a_good_one_is_compared_first() -> None:
    shelf = Shelf()
    for volume in (1, 2):
        shelf.merge_whole(volume, [hand_put(b"a", digest=b"x" * 16)])
    taken = shelf.merge_whole(2, [hand_put(b"a", mtime_ns=2)])
    assert isinstance(taken[-1], steps.Compare)
    assert shelf.outline()[b"a"][2][1] == (2, b"a", "suspect", 3, 2)


def test_when_the_last_good_copy_goes_the_suspect_is_believed() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a")])
    shelf.merge_whole(2, [hand_put(b"a", mtime_ns=9)])
    shelf.merge_whole(1, [])
    assert shelf.outline() == {b"a": ("live", 3, ((2, b"a", "good", 3, 9),))}


def test_a_version_found_elsewhere_on_its_disk_has_moved() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a", ver=70)])
    gone, there = hand_put(b"a", gone=True), hand_put(b"b", ver=70)
    shelf.take(1, [gone, there])
    assert shelf.outline() == {b"a": ("live", 3, ((1, b"b", "good", 3, 1),))}


def test_a_version_found_on_another_disk_is_a_copy_without_comparing() -> None:
    shelf = Shelf()
    shelf.merge_whole(1, [hand_put(b"a", ver=70)])
    assert shelf.merge_whole(2, [hand_put(b"z", ver=70)]) == [
        steps.Add(next(e.id for e in shelf.entries.values() if e.ver), GOOD, hand_put(b"z", ver=70))
    ]


def test_a_copy_made_by_hand_of_a_version_that_is_still_there_is_a_file_of_its_own() -> None:
    shelf = Shelf()
    disk = [hand_put(b"a", ver=70), hand_put(b"b", ver=70)]
    shelf.merge_whole(1, disk)
    assert sorted(shelf.outline()) == [b"a", b"b"]
    assert len({entry.ver for entry in shelf.entries.values() if entry.kind is Kind.FILE}) == 2
    assert shelf.merge_whole(1, disk) == []


def test_what_is_about_to_be_deleted_does_not_come_back() -> None:
    shelf = Shelf()
    shelf.owed = {b"a"}
    shelf.merge_whole(1, [hand_put(b"a"), hand_put(b"b")])
    assert list(shelf.outline()) == [b"b"]


def test_a_hand_put_file_does_not_meet_an_upload_under_way() -> None:
    for state in (State.UPLOADING, State.PARTIAL):
        shelf = Shelf()
        shelf.entries[5] = Holder(5, ROOT_ID, b"a", Kind.FILE, state, 0, 0, None, None)
        shelf.merge_whole(1, [hand_put(b"a")])
        assert shelf.outline()[b"a.conflict-n1"][0] == "conflict"
