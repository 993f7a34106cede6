"""Lists of checksums that lie in the tree, and what they say."""

from __future__ import annotations

from argosy.catalogue.ground import Ground
from argosy.catalogue.model import Entry
from argosy.catalogue.store import sumlists
from argosy.catalogue.store.sumlists import Kept


class SumLists(Ground):
    """The record of the lists."""

    def sum_lists(self, directory: int) -> list[Kept]:
        """Give those lists of a directory that were read and are as they were, by name."""
        return self._engine.read(sumlists.of_directory, directory)

    def list_content(self, file: int, ver: int) -> bytes | None:
        """Give the bytes of a list by FileId and version; None: it wasn't read."""
        return self._engine.read(sumlists.content, file, ver)

    async def keep_list(self, entry: Entry, data: bytes) -> None:
        """Keep what a list says, as long as its file is this one and stays where it is."""
        await self._engine.write(sumlists.keep, entry.id, entry.ver, entry.parent, data)
