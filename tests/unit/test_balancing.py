"""How much moves so that volumes are filled alike: no more than must, and there is an end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from argosy.cluster.copies.balancing import Ledger, Level, amounts, spread

LEVELS = st.lists(
    st.builds(Level, volume=st.just(0), held=st.integers(0, 10**9), total=st.integers(10**9, 10**10)),
    max_size=8,
).map(lambda levels: [replace(level, volume=number) for number, level in enumerate(levels, 1)])


def test_a_new_node_takes_from_those_that_are_full() -> None:
    levels = [Level(1, 600, 1000), Level(2, 600, 1000), Level(3, 0, 1000)]
    assert amounts(levels, 0.0) == {1: 200, 2: 200, 3: -399} or amounts(levels, 0.0) == {
        1: 200,
        2: 200,
        3: -400,
    }
    assert sum(amount for amount in amounts(levels, 0.3).values() if amount > 0) < 400


def test_a_large_disk_takes_more_than_a_small_one() -> None:
    wanted = amounts([Level(1, 900, 1000), Level(2, 0, 4000), Level(3, 0, 1000)], 0.0)
    assert wanted[2] < 3.5 * wanted[3] < 0


def test_what_is_even_enough_stays() -> None:
    assert amounts([Level(1, 520, 1000), Level(2, 480, 1000)], 0.05) == {}
    assert amounts([], 0.0) == {}
    assert amounts([Level(1, 9, 10)], 0.0) == {}


@given(LEVELS, st.floats(0, 0.5))
def test_as_much_is_given_as_is_taken_and_then_all_is_even(levels: list[Level], spare: float) -> None:
    wanted = amounts(levels, spare)
    given_ = sum(amount for amount in wanted.values() if amount > 0)
    taken = -sum(amount for amount in wanted.values() if amount < 0)
    assert abs(given_ - taken) <= 2 * len(levels)
    after = [replace(level, held=level.held - wanted.get(level.volume, 0)) for level in levels]
    assert all(level.held >= 0 for level in after)
    assert spread(after) <= max(spare, 0.0) + 1e-6
    for level in levels:  # nobody gives who is not above all those that take
        if wanted.get(level.volume, 0) > 0:
            assert all(level.share > other.share for other in levels if wanted.get(other.volume, 0) < 0)


@given(LEVELS, st.floats(0, 0.3), st.lists(st.integers(0, 10**8), max_size=60))
def test_files_that_are_chosen_never_make_it_less_even(
    levels: list[Level], spare: float, sizes: list[int]
) -> None:
    ledger = Ledger(levels, spare)
    held = {level.volume: level.held for level in levels}
    for number, size in enumerate(sizes):
        for source in ledger.give:
            if targets := ledger.takers(source, size):
                ledger.moved(source, targets[number % len(targets)], size)
                held[source] -= size
                held[targets[number % len(targets)]] += size
    after = [replace(level, held=held[level.volume]) for level in levels]
    assert spread(after) <= spread(levels) + 1e-9
