"""What goes wrong with a site, told to people: the first of a kind at once, the rest in sums.

A client asks again and again while a site is away or full, with a hundred calls at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from argosy.errors import Refused

log = logging.getLogger("argosy.nfs")

QUIET_SECONDS = 60.0
"""The same isn't told again for so long."""
KINDS = 1_000
"""Kinds of trouble that are remembered."""


class Troubles:
    """Tells them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none. `clock`: seconds, rising."""
        self._clock = clock
        self._told: dict[tuple[str, type[Refused]], tuple[float, int]] = {}
        """When a kind was told last, and how many of it came since."""

    def tell(self, title: str, procedure: str, refused: Refused) -> None:
        """Write a line, or count.

        Args:
            title: The mount.
            procedure: What couldn't be done.
            refused: Why.
        """
        kind, now = (title, type(refused)), self._clock()
        last, since = self._told.pop(kind, (now - QUIET_SECONDS, 0))
        if now - last < QUIET_SECONDS:
            self._told[kind] = last, since + 1
            return
        more = f" ({since} more since the last such line)" if since else ""
        log.warning("%s: %s: %s%s", title, procedure, refused, more)
        self._told[kind] = now, 0
        if len(self._told) > KINDS:
            del self._told[next(iter(self._told))]
