"""Addresses that gave too many wrong passwords, and may not come back for a while. RFC 2577 section 5."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from argosy.net.origin import origin

REMEMBERED = 100_000
"""Origins whose failures are kept, the last ones: who has many networks shall not fill our memory."""


class Bans:
    """Failures by origin, and the bans that they led to. A restart of the master forgets both."""

    def __init__(
        self,
        *,
        failures: int,
        window_seconds: float,
        ban_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nobody banned.

        Args:
            failures: Wrong passwords that lead to a ban; 0: nobody is ever banned.
            window_seconds: For so long each of them counts.
            ban_seconds: For so long the origin is banned.
            clock: Seconds, rising.
        """
        self._failures = failures
        self._window_seconds = window_seconds
        self._ban_seconds = ban_seconds
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}
        self._until: dict[str, float] = {}

    def failed(self, address: str) -> int:
        """Note a wrong password, and give how many came from there in the window."""
        place, now = origin(address), self._clock()
        times = self._failed.pop(place, None) or deque(maxlen=max(self._failures, 1))
        times.append(now)
        while times[0] <= now - self._window_seconds and len(times) > 1:
            times.popleft()
        self._failed[place] = times  # at the end: the last ones are kept
        if len(self._failed) > REMEMBERED:
            del self._failed[next(iter(self._failed))]
        if self._failures and len(times) >= self._failures:
            del self._failed[place]
            self._until[place] = now + self._ban_seconds
            if len(self._until) > REMEMBERED:
                del self._until[next(iter(self._until))]
        return len(times)

    def seconds_left(self, address: str) -> float:
        """Give for how long an address is still banned; 0: it isn't."""
        return self._left(origin(address)) if self._until else 0.0

    def current(self) -> dict[str, float]:
        """Give the banned origins, and for how many seconds each is still banned."""
        return {place: left for place in list(self._until) if (left := self._left(place))}

    def lift(self, address: str) -> bool:
        """Let an origin come back, and forget its failures; say whether it was banned.

        Args:
            address: An address, or an origin as `current` tells it.

        Raises:
            ValueError: It is neither.
        """
        place = origin(address.partition("/")[0])
        self._failed.pop(place, None)
        banned = self._left(place) > 0
        self._until.pop(place, None)
        return banned

    def _left(self, place: str) -> float:
        left = self._until.get(place, 0.0) - self._clock()
        if left > 0:
            return left
        self._until.pop(place, None)
        return 0.0
