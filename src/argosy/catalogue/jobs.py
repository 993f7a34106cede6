"""What is wanted of copies, and what is to be done for them."""

from __future__ import annotations

from collections.abc import Callable

from argosy.catalogue.ground import Ground
from argosy.catalogue.keeping import Way, Wish
from argosy.catalogue.model import TreePath
from argosy.catalogue.store import rules


class Jobs(Ground):
    """The record of the rules, and of the files that somebody should look at."""

    def wishes(self) -> dict[int, Wish]:
        """Give what was set at run time, by the directory's FileId."""
        return self._engine.read(rules.wishes)

    def wishes_by_path(self) -> dict[TreePath, Wish]:
        """Likewise, by the path that the directory has now, in order."""
        return self._engine.read_together(rules.wishes_by_path)

    async def change_wish(self, path: TreePath, changing: Callable[[Wish], Wish]) -> Wish:
        """Change what a directory wants, whatever another process changes; give what it wants now.

        All files below are looked at afterwards.

        Args:
            path: The directory's.
            changing: Called in the writer's thread; what it raises undoes the change.

        Raises:
            NotFound: Nothing has this path.
            NotADirectory: It, or what should be above it, is a file.
        """
        return await self._engine.write(rules.change, path, changing, self._now(), durable=True)

    def way(self, path: TreePath) -> Way:
        """Give the directories on the way to a path, as far as they are there."""
        return self._engine.read(rules.way, path)
