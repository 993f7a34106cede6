"""The soak's first minute, and its judge."""

import random
import sys
from pathlib import Path

import pytest

from running import run
from soak.verdict import LIMITS, MIB, judge, slope

SECONDS = 60
TESTS = Path(__file__).parents[1]


async def test_after_a_minute_of_everything_no_descriptor_is_left_open_and_every_file_is_right() -> None:
    words = (str(SECONDS), "--interval", "2", "--trouble", "15", "--judged", "descriptors", "--workers", "4")
    code, out, err = await run(
        *(sys.executable, str(TESTS / "soak" / "run.py"), *words, "--quiet"),
        seconds=SECONDS + 240,
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'bench'}"},
    )
    assert code == 0, f"{out.decode()}\n{err}"


def test_one_wild_sample_doesnt_tilt_the_slope() -> None:
    points = [(float(second), 100.0) for second in range(50)]
    points[25] = (25.0, 100_000.0)
    assert slope(points) == 0


@pytest.mark.parametrize(("per_hour", "level"), [(0, True), (4, True), (40, False)])
def test_a_leak_shows_through_the_noise_of_an_hour(per_hour: int, level: bool) -> None:
    chance = random.Random(1)
    points = [
        (second, (60 + per_hour * second / 3600 + chance.uniform(-5, 5)) * MIB)
        for second in range(0, 3600, 10)
    ]
    course = judge([(float(second), size) for second, size in points], LIMITS["memory"], 3600.0)
    assert course is not None
    assert course.level_enough is level


def test_warming_up_is_no_leak() -> None:
    points = [(float(second), min(20.0 + second, 60.0)) for second in range(0, 600, 10)]
    course = judge(points, LIMITS["descriptors"], 600.0)
    assert course is not None
    assert (course.first, course.level, course.rise) == (20, 60, 0)


def test_too_few_samples_say_nothing() -> None:
    assert judge([(0.0, 1.0), (10.0, 1.0)], LIMITS["memory"], 10.0) is None
