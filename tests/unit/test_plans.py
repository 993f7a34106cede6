from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from argosy.sites.writing import plans
from argosy.sites.writing.extents import Extents, Run
from argosy.sites.writing.plans import (
    Append,
    Change,
    Nothing,
    Patch,
    Patches,
    Plan,
    Trial,
    Ways,
    Whole,
    choose,
)

MIB = 1 << 20
GIB = 1 << 30


def planned(
    site: int | None,
    size: int,
    *runs: Run,
    kept: int | None = None,
    appending: int | None = None,
    patches: Patches = Patches.KEEP,
    temporary: bool = True,
    appends: bool = True,
) -> Plan:
    change = Change(size, (site or 0) if kept is None else kept, Extents(runs), appending)
    ways = Ways(patches=patches, temporary=temporary, appends=appends)
    return choose(change, site, ways, whole_bytes=4 * MIB)


def test_a_small_new_file_is_stored_where_it_belongs() -> None:
    assert planned(None, 1000, (0, 1000)) == Whole([], temporary=False)
    assert planned(None, 0) == Whole([], temporary=False)


def test_a_large_new_file_is_stored_by_another_name_first() -> None:
    assert planned(None, GIB, (0, GIB)) == Whole([], temporary=True)
    assert planned(None, GIB, (0, GIB), temporary=False) == Whole([], temporary=False)


def test_a_replaced_file_stays_until_the_new_one_is_whole() -> None:
    assert planned(1000, 500, (0, 500), kept=0) == Whole([], temporary=True)
    assert planned(GIB, GIB, (0, GIB)) == Whole([], temporary=True)


def test_a_file_that_grew_is_appended_to() -> None:
    assert planned(GIB, GIB + 10, (GIB, GIB + 10)) == Append(GIB, resumed=False)
    assert planned(1000, 3000, (2000, 3000)) == Append(1000, resumed=False), "zeros lie in between"
    assert planned(1000, 3000, (1000, 3000), appends=False) == Whole([(0, 1000)], temporary=True)


def test_an_append_that_was_cut_goes_on_where_it_was() -> None:
    assert planned(150, 200, (100, 200), kept=100, appending=100) == Append(150, resumed=True)
    assert planned(200, 200, (100, 200), kept=100, appending=100) == Append(200, resumed=True)
    changed_elsewhere = planned(250, 200, (100, 200), kept=100, appending=100)
    assert changed_elsewhere == Whole([(0, 100)], temporary=True)


def test_the_middle_of_a_large_file_is_changed_in_place_where_that_works() -> None:
    assert planned(GIB, GIB, (MIB, 2 * MIB)) == Patch([(MIB, 2 * MIB)])
    assert planned(GIB, GIB, (MIB, 2 * MIB), patches=Patches.UNKNOWN) == Trial()
    assert planned(GIB, GIB, (MIB, 2 * MIB), patches=Patches.NONE) == Whole(
        [(0, MIB), (2 * MIB, GIB)], temporary=True
    )
    assert planned(GIB, GIB, (MIB, 2 * MIB), patches=Patches.CUT) == Whole(
        [(0, MIB), (2 * MIB, GIB)], temporary=True
    )
    assert planned(GIB, GIB, (GIB - 5, GIB), patches=Patches.CUT) == Patch([(GIB - 5, GIB)])


def test_a_change_of_the_first_byte_never_loses_what_is_behind_it() -> None:
    assert planned(GIB, GIB, (0, MIB)) == Whole([(MIB, GIB)], temporary=True)
    assert planned(GIB, GIB, (0, MIB), (2 * MIB, 3 * MIB), patches=Patches.UNKNOWN) == Whole(
        [(MIB, 2 * MIB), (3 * MIB, GIB)], temporary=True
    )


def test_a_small_file_is_never_seen_half_changed() -> None:
    assert planned(MIB, MIB, (5, 10)) == Whole([(0, 5), (10, MIB)], temporary=True)


def test_many_changes_are_sent_as_a_whole_rather_than_one_by_one() -> None:
    runs = [(at, at + 10) for at in range(0, 64 * MIB, 64 * 1024)]
    assert isinstance(planned(64 * MIB, 64 * MIB, *runs), Whole)


def test_a_file_that_was_cut_keeps_its_beginning() -> None:
    assert planned(GIB, 100, kept=100) == Whole([(0, 100)], temporary=True)
    assert planned(1000, 0, kept=0) == Whole([], temporary=True)


def test_only_a_time_that_changed_needs_no_bytes() -> None:
    assert planned(1000, 1000) == Nothing()


PLACES = st.integers(0, 60)
RUNS = st.lists(st.tuples(PLACES, PLACES), max_size=5)


@given(
    site=st.none() | st.integers(0, 60),
    size=st.integers(0, 60),
    kept=st.integers(0, 60),
    runs=RUNS,
    patches=st.sampled_from([Patches.KEEP, Patches.CUT, Patches.NONE]),
    appends=st.booleans(),
)
def test_whatever_is_planned_gives_the_file_that_was_written(
    site: int | None, size: int, kept: int, runs: list[Run], patches: Patches, appends: bool
) -> None:
    """Play each plan with buffers: what the site has afterwards is what was written."""
    kept = min(kept, size) if site is not None else 0
    extents = Extents(runs)
    extents.cut(size)
    theirs = bytearray(b"s" * (site or 0))
    ours = bytearray(size)
    for start, end in extents:
        ours[start:end] = b"w" * (end - start)
    wanted = bytearray(ours)
    for start, end in extents.missing(0, min(kept, len(theirs), size)):
        wanted[start:end] = theirs[start:end]
    ways = Ways(patches=patches, appends=appends)
    with mock.patch.object(plans, "_RUN_BYTES", 0):  # else nothing so small is worth a change in the middle
        plan = choose(Change(size, kept, extents, None), site, ways, whole_bytes=0)
    match plan:
        case Append(offset, _):
            assert offset == len(theirs)
            theirs += ours[offset:]
        case Patch(pieces):
            for start, end in pieces:
                assert start <= len(theirs)
                keeps = patches is Patches.KEEP and start > 0
                theirs[start : end if keeps else None] = ours[start:end]
        case Whole(fetch, _):
            for start, end in fetch:
                ours[start:end] = theirs[start:end]
            theirs = ours
        case Nothing():
            pass
        case Trial():
            raise AssertionError("nothing is left to try")
    assert theirs == wanted
