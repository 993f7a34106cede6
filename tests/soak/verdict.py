"""Does it stay level? A robust slope over the samples says so, for one sample alone says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

SETTLED = 1 / 3
"""This share of the time is for warming up: caches fill, threads and connections are made once."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limit:
    """By how much a figure may rise while the load stays the same: the greater of the two."""

    share: float
    """Of its level."""
    least: float


LIMITS: Mapping[str, Limit] = {
    "memory": Limit(0.08, 8 * MIB),
    "resident memory": Limit(0.08, 8 * MIB),
    "descriptors": Limit(0.08, 8),
    "threads": Limit(0.10, 8),
    "tasks": Limit(0.10, 10),
    "catalogue": Limit(0.25, 4 * MIB),
}
"""Bytes for memory and the catalogue, numbers for the others."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a figure went over the settled part of the time."""

    first: float
    level: float
    """The median."""
    last: float
    rise: float
    """The slope times the settled time."""
    limit: float

    @property
    def level_enough(self) -> bool:
        """Whether it may be called level."""
        return self.rise <= self.limit


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Give the median of the slopes between all pairs of points (Theil and Sen): outliers don't count."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0


def judge(points: Sequence[tuple[float, float]], limit: Limit, until: float) -> Course | None:
    """Judge a figure by its samples: seconds and value, in order.

    Args:
        points: At least the settled part of them counts.
        limit: How much it may rise.
        until: When the load ended, in seconds.

    Returns:
        Nothing when there are too few samples to say anything.
    """
    settled = [point for point in points if until * SETTLED <= point[0] <= until]
    if len(settled) < 5:
        return None
    level = median(value for _, value in settled)
    rise = slope(settled) * (settled[-1][0] - settled[0][0])
    return Course(points[0][1], level, settled[-1][1], rise, max(limit.least, limit.share * level))
