"""The room of a gateway's journals: taken by who writes, given back as the sites have it."""

from __future__ import annotations

import asyncio
import time

from argosy import errors

_SHORTAGE = 0.5
"""Of its room the journal may be used before files are uploaded that nobody asks for yet."""


class Space:
    """The room of all journals of a gateway. For the loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.waiting = 0
        """Who waits for room."""
        self._freed = asyncio.Event()

    @property
    def short(self) -> bool:
        """Whether it is time to bring away what is there."""
        return self.used > self.limit * _SHORTAGE

    async def take(self, count: int, seconds: float) -> None:
        """Take room, or wait for some.

        Raises:
            NoSpace: None came in time.
        """
        until = time.monotonic() + seconds
        while self.used + count > self.limit and self.used:
            await self.freed(until, "the journal is full, and the site takes nothing")
        self.used += count

    def give(self, count: int) -> None:
        """Give room back."""
        self.used -= count
        if count:
            self._freed.set()

    async def freed(self, until: float, why: str) -> None:
        """Wait until somebody gives room back.

        Raises:
            NoSpace: Nobody did.
        """
        self._freed.clear()
        self.waiting += 1
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._freed.wait()
        except TimeoutError:
            raise errors.NoSpace(why) from None
        finally:
            self.waiting -= 1
