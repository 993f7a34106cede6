"""The room that the site's lists of checksums have in the record, all together."""

from __future__ import annotations

import asyncio
import logging
import time

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry

log = logging.getLogger("argosy.sums")

COUNT_SECONDS = 10.0
"""While there is no room, it is counted anew so often at the most: with many lists it takes a while."""


class Shelf:
    """Keeps lists as long as there is room; what goes makes room again.

    Who may write may bring any number of lists: without a bound the record would grow by all of them.

    Args:
        room: Bytes that they may have.
        catalogue: Where they are kept.
    """

    def __init__(self, room: int, catalogue: Catalogue) -> None:
        self._room = room
        self._catalogue = catalogue
        self._most = 0
        """Bytes that they have at the most: those of lists that went are in it until it is counted anew."""
        self._begun = False
        """Whether they were counted at all."""
        self._cleared = float("-inf")
        """When that was last done with those out of the way that say nothing."""
        self._counting: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        """Held while one is kept, and while they are counted."""
        self._told = False
        """Whether the log has it that there is no room."""

    async def check(self, entry: Entry, size: int) -> None:
        """See that there is room for a list; what it had until now is its own.

        Raises:
            NoSpace: There is none.
        """
        if not self._begun:
            await self._counted(clear=False)
        if not self._fits(entry, size) and time.monotonic() - self._cleared >= COUNT_SECONDS:
            await self._counted(clear=True)
        if not self._fits(entry, size):
            self._tell()
            raise self._full()

    async def keep(self, entry: Entry, data: bytes) -> None:
        """Keep what a list says.

        Raises:
            NoSpace: There is no room for it.
        """
        await self.check(entry, len(data))
        async with self._turn:
            if not self._fits(entry, len(data)):
                raise self._full()
            self._most += max(self._more(entry, len(data)), 0)
            await self._catalogue.keep_list(entry, data)
            self._told = False

    def _fits(self, entry: Entry, size: int) -> bool:
        more = self._more(entry, size)
        return more <= 0 or self._most + more <= self._room

    def _more(self, entry: Entry, size: int) -> int:
        return size - self._catalogue.bytes_of_list(entry.id)

    async def _counted(self, *, clear: bool) -> None:
        """Have them counted, once for all who wait for it."""
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count(clear=clear))
        await asyncio.shield(self._counting)

    async def _count(self, *, clear: bool) -> None:
        async with self._turn:
            if clear:  # they are read again, should they be wanted
                await self._catalogue.drop_idle_lists()
                self._cleared = time.monotonic()
            self._most = await asyncio.to_thread(self._catalogue.bytes_of_lists)
            self._begun = True

    def _full(self) -> errors.NoSpace:
        return errors.NoSpace(f"the site's lists of checksums may have sums.kept_bytes, {self._room}")

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            log.warning("no room for more lists of checksums in sums.kept_bytes, %d", self._room)
