"""What clients were told of files that come to the site, gathered and written down together. For the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from argosy.sites.model import Attributes, Facts, FileId

log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.02
"""A directory that is copied brings a file each few milliseconds, and a transaction has a price."""

Told = tuple[Attributes, Facts]
"""What clients were told of a file, and what the site tells of it."""


class Claims:
    """What isn't in the record yet."""

    def __init__(
        self, write: Callable[..., asyncio.Future[None]], settle: Callable[[FileId, Facts], None]
    ) -> None:
        """Begin with nothing.

        Args:
            write: Writes down those that it is given, in a thread.
            settle: Told of each when that is done.
        """
        self._write = write
        self._settle = settle
        self._told: dict[FileId, Told] = {}
        self._writing: set[asyncio.Future[None]] = set()

    def add(self, told: Attributes, seen: Facts) -> None:
        """Have a file's times written down soon."""
        if not self._told:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.write_down)
        self._told[told.file] = told, seen

    def write_down(self) -> None:
        """Begin to write down what there is."""
        told, self._told = self._told, {}
        if told:
            work = self._write(*told.values())
            self._writing.add(work)
            work.add_done_callback(lambda work: self._written(told, work))

    async def written(self) -> None:
        """Wait until all is written down: what is claimed afterwards isn't overtaken by it."""
        self.write_down()
        while self._writing:
            await asyncio.wait(self._writing)
            await asyncio.sleep(0)  # what follows from it comes first

    def _written(self, told: dict[FileId, Told], work: asyncio.Future[None]) -> None:
        self._writing.discard(work)
        if not work.cancelled() and work.exception() is not None:
            log.warning("what clients were told isn't kept: %s", work.exception())
        for file, (_, seen) in told.items():
            self._settle(file, seen)
