from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from argosy.sites.writing.extents import Extents

PLACES = st.integers(0, 40)
RUNS = st.lists(st.tuples(PLACES, PLACES), max_size=20)


def bytes_of(runs: list[tuple[int, int]]) -> set[int]:
    return {place for start, end in runs for place in range(start, end)}


@given(RUNS)
def test_extents_hold_just_the_bytes_that_were_put_in(runs: list[tuple[int, int]]) -> None:
    extents, bytes_held = Extents(), set[int]()
    for start, end in runs:
        new = set(range(start, end)) - bytes_held
        assert extents.add(start, end) == len(new)
        bytes_held |= new
    assert bytes_of(list(extents)) == bytes_held
    assert extents.total == len(bytes_held)


@given(RUNS)
def test_runs_are_in_order_and_have_room_between_them(runs: list[tuple[int, int]]) -> None:
    held = list(Extents(runs))
    assert all(start < end for start, end in held)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(held))


@given(RUNS, PLACES)
def test_a_cut_leaves_what_lies_before_it(runs: list[tuple[int, int]], size: int) -> None:
    extents = Extents(runs)
    gone = extents.cut(size)
    assert bytes_of(list(extents)) == {place for place in bytes_of(runs) if place < size}
    assert gone == sum(place >= size for place in bytes_of(runs))
    assert extents.total == len(bytes_of(list(extents)))


@given(RUNS, PLACES, PLACES)
def test_what_is_in_and_what_is_missing_make_the_whole(
    runs: list[tuple[int, int]], start: int, end: int
) -> None:
    extents, held = Extents(runs), bytes_of(runs)
    asked = set(range(start, end))
    assert bytes_of(extents.within(start, end)) == asked & held
    assert bytes_of(extents.missing(start, end)) == asked - held
    assert all(a < b for a, b in extents.within(start, end) + extents.missing(start, end))
    if start < end:
        assert extents.holds(start, end) == (asked <= held)


@given(RUNS, PLACES)
def test_the_reach_ends_at_the_first_byte_that_is_missing(runs: list[tuple[int, int]], at: int) -> None:
    held, end = bytes_of(runs), at
    while end in held:
        end += 1
    assert Extents(runs).reach(at) == end
