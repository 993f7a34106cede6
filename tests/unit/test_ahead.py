"""How far is read ahead: in order more and more, here and there nothing."""

from __future__ import annotations

import doctest
import itertools

from hypothesis import given
from hypothesis import strategies as st

from argosy.sites.reading import ahead
from argosy.sites.reading.ahead import FIRST_WINDOW, Pattern, joined, striped

KIB, MIB = 1024, 1024 * 1024


def test_the_examples_hold() -> None:
    assert doctest.testmod(ahead).failed == 0


def test_who_reads_here_and_there_has_nothing_fetched_ahead() -> None:
    pattern = Pattern(16 * MIB)
    for offset in (9 * MIB, 4 * MIB, 77 * MIB, 5 * MIB):
        assert pattern.note(offset, offset + 4 * KIB).window == 0
    assert pattern.strays == 4


def test_who_begins_at_the_beginning_is_taken_at_his_word() -> None:
    assert Pattern(16 * MIB).note(0, 4 * KIB).window == FIRST_WINDOW


def test_the_window_grows_as_reading_goes_on_up_to_its_bound() -> None:
    pattern = Pattern(4 * MIB)
    windows = [pattern.note(at, at + 64 * KIB).window for at in range(0, 16 * MIB, 64 * KIB)]
    assert windows == sorted(windows)
    assert windows[0] == FIRST_WINDOW
    assert windows[-1] == 4 * MIB
    assert all(later <= 2 * earlier for earlier, later in itertools.pairwise(windows))


def test_two_who_read_the_same_file_in_order_dont_disturb_each_other() -> None:
    pattern = Pattern(4 * MIB)
    for at in range(0, 4 * MIB, 64 * KIB):
        one = pattern.note(at, at + 64 * KIB)
        other = pattern.note(500 * MIB + at, 500 * MIB + at + 64 * KIB)
    assert one.window == other.window == 4 * MIB
    assert pattern.strays == 0


def test_reads_that_overtake_each_other_are_one_run() -> None:
    pattern = Pattern(4 * MIB)
    runs = {id(pattern.note(at * MIB, (at + 1) * MIB)) for at in (0, 2, 1, 4, 3, 7, 6, 5)}
    assert len(runs) == 1


@given(
    st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, MIB)), max_size=60), st.integers(1, 64 * MIB)
)
def test_no_window_exceeds_the_bound_whatever_is_read(reads: list[tuple[int, int]], most: int) -> None:
    pattern = Pattern(most)
    for offset, count in reads:
        run = pattern.note(offset, offset + count)
        assert 0 <= run.window <= most
        assert run.next >= offset + count or run.follows(offset, offset + count)


GAPS = st.lists(st.integers(0, 10_000), unique=True, max_size=20).map(
    lambda edges: list(zip(*[iter(sorted(edges))] * 2, strict=False))
)


@given(GAPS, st.integers(0, 500))
def test_joined_gaps_cover_the_gaps_and_are_further_apart(gaps: list[tuple[int, int]], skip: int) -> None:
    told = list(joined(gaps, skip))
    assert all(any(start <= begin and end <= stop for start, stop in told) for begin, end in gaps)
    assert all(other[0] - one[1] > skip for one, other in itertools.pairwise(told))


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 999))
def test_stripes_lie_end_to_end_and_cross_no_border(start: int, end: int, stripe: int) -> None:
    told = list(striped(start, end, stripe))
    assert [number for begin, stop in told for number in range(begin, stop)] == list(range(start, end))
    assert all(begin // stripe == (stop - 1) // stripe for begin, stop in told)
