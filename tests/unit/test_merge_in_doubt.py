"""Merging where the record and a disk disagree on what was: after a rebuild, a restore, or on an old disk."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.catalogue import steps
from argosy.catalogue.model import Doubt, Found, Standing
from argosy.catalogue.store.members import DOUBTS
from unit.test_merge import Drawer, Shelf

X, Y = 11, 22
"""FileIds."""


def told(loc: bytes, ver: int, file: int = X, *, named: int = 0, path: bytes = b"") -> Found:
    return Found(loc, ver, 1, ver, ver, b"%016d" % ver, file=file, named_ns=named or ver, path=path)


def whole(shelf: Shelf, volume: int, found: Sequence[Found], doubt: Doubt) -> list[steps.Step]:
    """Merge a volume's whole list."""
    shelf.doubt = doubt
    expected = sorted(at.loc for (_, held), at in shelf.lying.items() if held == volume)
    return shelf.take(volume, sorted(found, key=lambda one: one.loc), expected)


def merged(lists: dict[int, list[Found]], order: Sequence[int]) -> Shelf:
    """Rebuild a catalogue from disks that come in this order."""
    shelf = Shelf()
    for volume in order:
        whole(shelf, volume, lists[volume], Doubt.AHEAD)
    return shelf


def paths(shelf: Shelf) -> dict[bytes, tuple[str, int]]:
    """Give the state and the version of each path."""
    states = {path: state for path, (state, _, _) in shelf.outline().items() if state != "dir"}
    return {path: (state, version(shelf, path)) for path, state in states.items()}


def version(shelf: Shelf, path: bytes) -> int:
    at = 1
    for name in path.split(b"/"):
        holder = shelf.child(at, name)
        assert holder is not None
        at = holder.id
    return shelf.entries[at].ver


# --- a record that knows less ----


def test_a_file_gets_its_id_its_version_and_its_path_back() -> None:
    shelf = merged({1: [told(b".argosy/unplaced/5", 5, path=b"d/f")]}, [1])
    assert paths(shelf) == {b"d/f": ("live", 5)}
    assert shelf.entries[X].ver == 5


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_newest_version_of_a_file_wins_whichever_disk_comes_first(order: Sequence[int]) -> None:
    shelf = merged({1: [told(b"f", 5)], 2: [told(b"f", 7)]}, order)
    assert paths(shelf) == {b"f": ("live", 7)}
    assert [volume for _, volume in shelf.lying] == [2]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_file_has_the_name_that_was_told_last(order: Sequence[int]) -> None:
    shelf = merged({1: [told(b"old", 5, named=6)], 2: [told(b"new", 5, named=9)]}, order)
    assert paths(shelf) == {b"new": ("live", 5)}
    assert len(shelf.lying) == 2


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3), (2, 3, 1)])
def test_a_file_that_took_the_name_of_a_renamed_one_keeps_it(order: Sequence[int]) -> None:
    away_when_it_was_renamed = [told(b"f", 5, X)]
    lists = {1: away_when_it_was_renamed, 2: [told(b"f", 8, Y)], 3: [told(b"g", 5, X, named=7)]}
    assert paths(merged(lists, order)) == {b"f": ("live", 8), b"g": ("live", 5)}


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_files_with_one_path_the_older_is_kept_aside(order: Sequence[int]) -> None:
    shelf = merged({1: [told(b"f", 5, X)], 2: [told(b"f", 8, Y)]}, order)
    assert sorted(paths(shelf).values()) == [("conflict", 5), ("live", 8)]
    assert paths(shelf)[b"f"] == ("live", 8)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_versions_from_before_nodes_knew_whose_they_are_go_by_their_age(order: Sequence[int]) -> None:
    lists = {
        volume: [Found(b"f", ver, 1, ver, ver, b"%016d" % ver)] for volume, ver in enumerate((5, 8), start=1)
    }
    shelf = merged(lists, order)
    assert paths(shelf)[b"f"] == ("live", 8)
    assert sorted(paths(shelf).values()) == [("conflict", 5), ("live", 8)]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_file_put_there_by_hand_and_its_copy_elsewhere_are_compared(order: Sequence[int]) -> None:
    by_hand = Found(b"f", 5, 1)
    shelf = merged({1: [by_hand], 2: [told(b"f", 5)]}, order)
    assert list(paths(shelf)) == [b"f"]
    assert sorted(at.standing for at in shelf.lying.values()) == ["good", "suspect"]


def test_an_older_record_learns_what_was_overwritten_after_it_without_a_conflict() -> None:
    shelf = merged({1: [told(b"f", 5)], 2: [told(b"f", 5)]}, [1, 2])
    for volume in (1, 2):
        whole(shelf, volume, [told(b"f", 9)], Doubt.AHEAD)
    assert paths(shelf) == {b"f": ("live", 9)}
    assert {volume for _, volume in shelf.lying} == {1, 2}
    assert shelf.stale == {(2, b"f"): 5}  # named by its version, so it meets nothing


@pytest.mark.parametrize("name", [b"a", b"z"], ids=["before it in the list", "behind it"])
def test_an_older_record_follows_a_rename_whose_old_name_another_file_took(name: bytes) -> None:
    shelf = merged({1: [told(b"f", 5)]}, [1])
    whole(shelf, 1, [told(name, 5, named=7), told(b"f", 9, Y)], Doubt.AHEAD)
    assert paths(shelf) == {b"f": ("live", 9), name: ("live", 5)}
    assert shelf.entries[X].ver == 5


# --- a disk that is older ----


def test_an_old_disk_brings_nothing_back_that_was_deleted() -> None:
    shelf = Shelf()
    whole(shelf, 1, [told(b"f", 5)], Doubt.BEHIND)
    assert paths(shelf) == {}
    assert shelf.stale == {(1, b"f"): 5}


def test_an_old_disk_does_not_undo_an_overwrite() -> None:
    shelf = Shelf()
    for volume in (1, 2):
        whole(shelf, volume, [told(b"f", 9)], Doubt.NONE)
    whole(shelf, 1, [told(b"f", 5)], Doubt.BEHIND)
    assert paths(shelf) == {b"f": ("live", 9)}
    assert {volume for _, volume in shelf.lying} == {2}
    assert shelf.stale == {(1, b"f"): 5}


@pytest.mark.parametrize("old", [b"f", b"called/so"], ids=["in its place", "elsewhere"])
def test_an_old_disk_with_the_only_copy_gives_it_aside_rather_than_as_the_newer_one(old: bytes) -> None:
    shelf = Shelf()
    whole(shelf, 1, [told(b"f", 9)], Doubt.NONE)
    (file,) = {one for one, _ in shelf.lying}
    for _ in range(2):
        whole(shelf, 1, [told(old, 5, file)], Doubt.BEHIND)
        ((aside, kept), (path, newer)) = sorted(paths(shelf).items(), key=lambda one: one[1])
        assert (path, newer) == (b"f", ("live", 9)), "without a copy"
        assert (b".conflict-" in aside, kept) == (True, ("conflict", 5))
        assert not shelf.stale
    whole(shelf, 2, [told(b"f", 9, file)], Doubt.BEHIND)
    assert {volume for one, volume in shelf.lying if one == file} == {2}, "it is back"


@pytest.mark.parametrize("why", ["lost", "bad"])
def test_an_old_disk_keeps_what_it_has_where_the_newer_copy_cannot_be_read_again(why: str) -> None:
    shelf = Shelf()
    whole(shelf, 2, [told(b"f", 9)], Doubt.NONE)
    (file,) = {one for one, _ in shelf.lying}
    if why == "lost":
        shelf.gone.add(2)
    else:
        shelf.lying[file, 2].standing = Standing.BAD
    whole(shelf, 1, [told(b"f", 5, file)], Doubt.BEHIND)
    assert sorted(state for state, _ in paths(shelf).values()) == ["conflict", "live"]
    assert not shelf.stale


def test_an_old_disk_has_copies_of_what_has_not_changed_wherever_they_lie_on_it() -> None:
    shelf = merged({1: [told(b"old", 5)]}, [1])
    whole(shelf, 1, [told(b"new", 5, named=9)], Doubt.AHEAD)
    whole(shelf, 1, [told(b"old", 5)], Doubt.BEHIND)
    assert paths(shelf) == {b"new": ("live", 5)}
    assert [at.loc for at in shelf.lying.values()] == [b"old"]


def test_what_a_lost_record_may_have_known_is_no_old_state() -> None:
    shelf = Shelf()
    shelf.lapses = {5}
    whole(shelf, 1, [told(b"f", 5)], Doubt.BEHIND)
    assert paths(shelf) == {b"f": ("live", 5)}


# --- all of it ----


@st.composite
def disks(draw: st.DrawFn) -> dict[int, list[Found]]:
    """Give disks as they stood at different times of one history: files overwritten and renamed."""
    files = list(range(10, 10 + draw(st.integers(1, 4))))  # 1 and 2 are the root's and the trash's
    names = {file: draw(st.lists(st.sampled_from([b"a", b"b", b"c/d"]), max_size=2)) for file in files}
    lists = {}
    for volume in range(1, 1 + draw(st.integers(1, 4))):
        taken: dict[bytes, Found] = {}
        for file in draw(st.lists(st.sampled_from(files), unique=True)):
            ver = file + 10 * draw(st.integers(1, 3))
            time = draw(st.integers(0, len(names[file])))
            path = [*names[file], b"end/%d" % file][time]
            taken.setdefault(path, told(path, ver, file, named=100 * (time + 1) + file))
        lists[volume] = list(taken.values())
    return lists


@given(disks())
def test_whichever_disk_comes_first_the_newest_versions_stay_under_their_last_names(
    lists: dict[int, list[Found]],
) -> None:
    everything = [found for one in lists.values() for found in one]
    for order in (sorted(lists), sorted(lists, reverse=True)):
        shelf = merged(lists, order)
        for file in {found.file for found in everything}:
            mine = [found for found in everything if found.file == file]
            newest = max(found.ver for found in mine)
            assert shelf.entries[file].ver == newest
            assert {held for one, held in shelf.lying if one == file} == {
                volume
                for volume, one in lists.items()
                if any(f.file == file and f.ver == newest for f in one)
            }
            last = max(mine, key=lambda found: found.named_ns).loc
            if last.startswith(b"end/"):  # nobody else was ever called so
                assert paths(shelf)[last] == ("live", newest)
        for _ in range(3):  # a name that was taken when it was told may have become free
            steps_again = [whole(shelf, volume, found, Doubt.AHEAD) for volume, found in lists.items()]
            assert all(isinstance(step, steps.Rename | steps.Owe) for again in steps_again for step in again)
        assert all(isinstance(step, steps.Owe) for again in steps_again for step in again)


@settings(max_examples=60)
@given(disks(), st.lists(st.sampled_from(list(Doubt)), min_size=4, max_size=4))
def test_the_tables_end_up_as_the_dictionaries_do(lists: dict[int, list[Found]], doubts: list[Doubt]) -> None:
    shelf, drawer = Shelf(), Drawer()
    for doubt in (Doubt.AHEAD, *doubts):
        for volume, found in lists.items():
            drawer.db.execute("UPDATE volume SET doubt = ? WHERE number = ?", (DOUBTS.index(doubt), volume))
            drawer.merge(volume, sorted(found, key=lambda one: one.loc), (b"", None))
            whole(shelf, volume, found, doubt)
            assert drawer.outline() == shelf.outline()
            assert drawer.db.execute("PRAGMA foreign_key_check").fetchall() == []
        lists = {volume: found[1:] for volume, found in lists.items()}
    drawer.db.close()
