"""What is wanted of copies, and what is to be done for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from argosy.catalogue.ground import SECOND_NS, Ground
from argosy.catalogue.keeping import Job, Stock, Surplus, Wanting, Way, Wish
from argosy.catalogue.model import Discard, Entry, TreePath
from argosy.catalogue.store import jobs, rules, tree

HURRIED = 10_000
"""Jobs made due in one transaction: an upload's commit mustn't wait for all of them."""


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
        return self._engine.read(tree.way, path)

    def way_to(self, directory: int) -> Way:
        """Give the directories from the root down to one.

        Raises:
            NotFound: It is gone.
        """
        return self._engine.read_together(tree.way_to, directory)

    # --- jobs ----

    def due(self, limit: int, skip: Collection[int], now_ns: int) -> list[Job]:
        """List jobs that are due, the most endangered files first, but for those of some files."""
        return self._engine.read(jobs.due, now_ns, limit, skip)

    async def add_jobs(self, found: Sequence[Job]) -> None:
        """Have files looked at; those for which there is a job already at the sooner of both times."""
        await self._engine.write(jobs.add, found)

    async def conclude(
        self, done: Sequence[Job], later: Sequence[tuple[Job, Job]], stay: Sequence[int] = ()
    ) -> None:
        """Drop jobs that are done, and put others off; those noted anew meanwhile stay as they are.

        Args:
            done: As they were read.
            later: As they were read, and as they shall be.
            stay: Files of which no copy shall go from one volume to another any more.
        """
        await self._engine.write(jobs.conclude, done, later, stay)

    async def hurry(self) -> None:
        """Make all jobs that something stood in the way of due now: that may be over."""
        after = 1
        while after:
            after = await self._engine.write(jobs.hurry, after if after > 1 else 0, HURRIED, self._now())

    def wanting(self) -> Wanting:
        """Count the jobs but for those that only wait. Reads a whole table, as `counts`."""
        return self._engine.read(jobs.wanting, self._now())

    def stocks(self, files: Sequence[int]) -> list[Stock]:
        """Give files with their copies; those that are gone are left out."""
        return self._engine.read_together(jobs.stocks, files)

    def stocked(self, entries: Sequence[Entry]) -> list[Stock]:
        """Give the copies of some files."""
        return self._engine.read(jobs.stocked, entries)

    def stocks_below(self, directory: int, limit: int) -> Iterator[list[Stock]]:
        """Go through the files below a directory with their copies, some `limit` at a time, maybe none.

        Each step reads at most `limit` directories, so that one doesn't take long. For a thread.
        """
        ahead: list[tuple[int, bytes]] = [(directory, b"")]
        while ahead:
            found: list[Entry] = []
            looked = 0
            while ahead and len(found) < limit and looked < limit:
                above, after = ahead.pop()
                page = self._engine.read(tree.children, above, after, limit)
                if len(page) == limit:
                    ahead.append((above, page[-1].name))
                ahead += [(entry.id, b"") for entry in page if entry.is_directory]
                found += [entry for entry in page if entry.ver]
                looked += 1
            yield self.stocked(found)

    def held(self, volume: int, after: bytes, limit: int) -> tuple[list[int], bytes]:
        """Give a page of the files that a volume has a copy of, and where it ends; empty: it was the last."""
        return self._engine.read(jobs.held, volume, after, limit)

    async def drop_copies(self, surplus: Sequence[Surplus]) -> list[Discard]:
        """Take copies away that are too many, where that is so still; gives the deletions that are owed."""
        return await self._engine.write(jobs.drop, surplus, self._now(), durable=True)

    # --- sweeps ----

    def sweeps(self) -> list[tuple[int, int]]:
        """List directories below which all files are to be looked at, and when that was asked for."""
        return self._engine.read(jobs.sweeps)

    async def swept(self, directory: int, asked_ns: int) -> None:
        """Note that they were, unless it was asked for once more since."""
        await self._engine.write(jobs.swept, directory, asked_ns)

    async def sweep_all(self, seconds: float) -> bool:
        """Have all files looked at, if the last time was asked for so long ago; say whether they will be."""
        now_ns = self._now()
        return await self._engine.write(jobs.sweep_all, now_ns - int(seconds * SECOND_NS), now_ns)
