"""How fast a transfer may go: the master says it, the transfer's thread sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable

STEP_SECONDS = 0.1
"""Bytes go in portions of so much time, and as much may be caught up after a standstill. It is also the
longest sleep, so a cancelled transfer ends soon, and a new pace counts soon."""

SHORT_SECONDS = 0.002
"""Nobody sleeps for less: waking up costs more than it corrects. What is owed stays owed."""


class Pace:
    """The pace of one transfer: written by the loop, kept by the transfer's thread."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.bytes_per_second = 0
        """0: as fast as can be."""
        self.given_up = False
        """Nobody waits for it any more."""
        self._clock = clock
        self._sleep = sleep
        self._owed = 0.0
        """Bytes that were moved too early."""
        self._seen = 0.0

    def portion(self, most: int) -> int:
        """Give how many bytes to move at once before the next `spend`."""
        rate = self.bytes_per_second
        return max(1, min(most, int(rate * STEP_SECONDS))) if rate else most

    def spend(self, count: int) -> None:
        """Note bytes that were moved, and sleep until they were due."""
        if not self.bytes_per_second:
            self._owed = 0.0
            return
        self._seen = self._seen or self._clock()
        self._owed += count
        while (rate := self.bytes_per_second) and not self.given_up:
            now = self._clock()
            self._owed = max(self._owed - (now - self._seen) * rate, -rate * STEP_SECONDS)
            self._seen = now
            if (wait := self._owed / rate) < SHORT_SECONDS:
                return
            self._sleep(min(wait, STEP_SECONDS))
