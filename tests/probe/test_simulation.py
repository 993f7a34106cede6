"""A site's bad day on simulated time: repair and merging lead to what is wanted, whatever the day brings."""

from __future__ import annotations

import pytest

from simulation.run import simulate


@pytest.mark.parametrize("seed", [1])
def test_after_a_bad_day_all_files_have_the_copies_that_are_wanted(seed: int) -> None:
    found, _ = simulate(nodes=20, files=2_000, seed=seed, hours=2.0, haste=8.0)
    assert found["breaches"] == []
    assert found["wrong"] == []
    assert found["copies"] > 500, "something happened"
    for event in ("dies", "is_away", "reboots"):
        assert found["events"][event], found["events"]
    assert found["needless"] == 0
    assert found["received_most_to_mean"] < 3


def test_the_same_seed_gives_the_same_day() -> None:
    one, other = (simulate(nodes=16, files=1_000, seed=7, hours=1.0, haste=4.0)[0] for _ in range(2))
    assert one == other
