"""How much repair has to do, how fast it goes, and how long that will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.catalogue.keeping import SAFE, Wanting

SPEED_SECONDS = 30.0
"""Speed is that of so long a while."""


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to do, and how it goes."""

    wanting: Wanting
    batches: int
    """Copied right now."""
    files_per_second: float
    bytes_per_second: float

    @property
    def lacking(self) -> dict[int, tuple[int, int]]:
        """Files and bytes by the number of good copies that are left."""
        return {danger: sums for danger, sums in sorted(self.wanting.by_danger.items()) if danger < SAFE}

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at this speed; None: nobody knows, for nothing moves."""
        (files, size), (stuck, stuck_size) = _sum(self.lacking), _sum(self.wanting.by_why)
        if files <= stuck:
            return 0.0
        if not self.files_per_second:
            return None
        by_bytes = (size - stuck_size) / self.bytes_per_second if self.bytes_per_second else 0.0
        return max((files - stuck) / self.files_per_second, by_bytes)


class Speed:
    """How fast something goes, over the last while."""

    def __init__(self, count: Callable[[], tuple[int, int]]) -> None:
        """Begin.

        Args:
            count: Gives files and bytes since ever.
        """
        self._count = count
        self._marks: deque[tuple[float, int, int]] = deque()
        self.note()

    def note(self) -> None:
        """Look at the count now; call it now and then."""
        now = time.monotonic()
        self._marks.append((now, *self._count()))
        while len(self._marks) > 2 and now - self._marks[1][0] > SPEED_SECONDS:
            self._marks.popleft()

    def rates(self) -> tuple[float, float]:
        """Give files and bytes per second."""
        since, files, size = self._marks[0]
        seconds = max(time.monotonic() - since, 0.001)
        files_now, size_now = self._count()
        return max(0, files_now - files) / seconds, max(0, size_now - size) / seconds


def _sum(groups: Mapping[Any, tuple[int, int]]) -> tuple[int, int]:
    """Add files and bytes up."""
    return sum(files for files, _ in groups.values()), sum(size for _, size in groups.values())
