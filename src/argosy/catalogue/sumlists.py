"""Lists of checksums that lie in the tree, and what they say."""

from __future__ import annotations

import asyncio

from argosy.catalogue.ground import Ground
from argosy.catalogue.model import Entry, KeptList
from argosy.catalogue.store import sumlists

IDLE_LISTS = 10_000
"""Lists that say nothing now, and are forgotten in one go."""
TOGETHER = 500
"""So many of them in one change, as others wait meanwhile."""


class SumLists(Ground):
    """The record of the lists."""

    def sum_lists(self, directory: int) -> list[KeptList]:
        """Give those lists of a directory that were read and are as they were, by name."""
        return self._engine.read(sumlists.of_directory, directory)

    def has_sum_lists(self, directory: int) -> bool:
        """Say quickly whether a list was ever read there; it may be gone since."""
        return self._engine.read(sumlists.any_of, directory)

    def list_content(self, file: int, ver: int) -> bytes | None:
        """Give the bytes of a list by FileId and version; None: it wasn't read."""
        return self._engine.read(sumlists.content, file, ver)

    def bytes_of_list(self, file: int) -> int:
        """Give how many bytes are kept of a list by FileId, be they of an older version."""
        return self._engine.read(sumlists.bytes_of, file)

    def bytes_of_lists(self) -> int:
        """Give how many bytes are kept of all lists; for a thread."""
        return self._engine.read(sumlists.bytes_together)

    async def drop_idle_lists(self) -> None:
        """Forget lists that were replaced or moved, or are in the trash: they say nothing as they are."""
        files = await asyncio.to_thread(self._engine.read, sumlists.idle, IDLE_LISTS)
        for start in range(0, len(files), TOGETHER):
            await self._engine.write(sumlists.drop_idle, files[start : start + TOGETHER])

    async def keep_list(self, entry: Entry, data: bytes) -> None:
        """Keep what a list says, as long as its file is this one and stays where it is."""
        await self._engine.write(sumlists.keep, entry.id, entry.ver, entry.parent, data)
