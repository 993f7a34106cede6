"""What every part of the catalogue stands on: the database, the clock, ids, and opening and closing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

from argosy import config
from argosy.catalogue.keeping import Bin, Spares, Wants
from argosy.catalogue.store.engine import Engine
from argosy.catalogue.store.ids import Mint

SECOND_NS = 1_000_000_000


class Ground:
    """A database that is open.

    Args:
        table: Where the database lies, and its limits.
        clock_ns: Nanoseconds since 1970.
        draw: So many random bits, for ids.
    """

    def __init__(
        self,
        table: config.Catalogue,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        draw: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self._table = table
        self._now = clock_ns
        self._mint = Mint(clock_ns, draw)
        self.wants: Wants | None = None
        """Asked in the writer's thread what is wanted of a directory's files. None: nobody wants copies."""
        self.spares: Spares | None = None
        """Asked likewise for how long what goes is kept. None: nothing is."""
        self.noted: Callable[[], None] | None = None
        """Called on the loop when something was committed for which copies may be wanted."""
        self._engine = Engine(
            Path(table.directory) / "argosy.db",
            cache_bytes=table.cache_bytes,
            batch_limit=table.batch_limit,
            busy_seconds=table.busy_seconds,
        )

    async def open(self) -> None:
        """Open the database; it is made at first use.

        Raises:
            ConfigError: A later version of this program made it.
        """
        await asyncio.to_thread(self._engine.open, self._now())
        await self._engine.write(self._mint.resume)

    async def close(self) -> None:
        """Commit what waits, and close."""
        await asyncio.to_thread(self._engine.close)

    def _bin(self, by: str) -> Bin:
        """Give what somebody throws something into, now."""
        return Bin(by, self._now(), self._mint, self.spares)

    def _tell_noted(self) -> None:
        if self.wants and self.noted:
            self.noted()

    def version(self) -> int:
        """Give a number that is another one after each change; on one thread: others have other numbers."""
        return self._engine.version()
