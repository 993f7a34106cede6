"""Lists of checksums that lie in the tree, and what they say."""

from __future__ import annotations

from argosy.catalogue.ground import Ground
from argosy.catalogue.model import Entry, KeptList
from argosy.catalogue.store import sumlists


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

    async def keep_list(self, entry: Entry, data: bytes) -> None:
        """Keep what a list says, as long as its file is this one and stays where it is."""
        await self._engine.write(sumlists.keep, entry.id, entry.ver, entry.parent, data)
