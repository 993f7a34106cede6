"""Connections from node to node that both ends keep for a while after an upload went over them."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable

LINE_SECONDS = 20.0
"""Nodes keep them for longer (`line_seconds`); one that isn't there any more costs a try."""

Ends = tuple[str, int, str, int]
"""Name and epoch of who sends, and of who takes."""


class Lines:
    """Which connections are free, by their ends."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._free: dict[Ends, list[tuple[int, float]]] = defaultdict(list)
        self._clock = clock
        self._looked = 0.0

    def take(self, ends: Ends) -> int:
        """Give the number of a connection that is free, the one used last; 0: there is none."""
        free = self._free.get(ends)
        if not free:
            return 0
        number, since = free.pop()
        return number if self._clock() - since < LINE_SECONDS else 0

    def give(self, ends: Ends, number: int) -> None:
        """Take a connection back over which nothing moves any more."""
        now = self._clock()
        self._free[ends].append((number, now))
        if now - self._looked > LINE_SECONDS:
            self._looked = now
            for old in [
                old for old, free in self._free.items() if not free or now - free[-1][1] > LINE_SECONDS
            ]:
                del self._free[old]

    @staticmethod
    def fresh() -> int:
        """Draw a number for a connection that shall be kept."""
        return secrets.randbits(63) or 1
