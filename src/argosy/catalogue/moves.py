"""What moves because somebody has ordered it: errands, and how far they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from argosy.catalogue.ground import Ground
from argosy.catalogue.keeping import Errand, Leaving, Left, Mark, Shift
from argosy.catalogue.model import Removal
from argosy.catalogue.store import expiring, moving, trash


class Moves(Ground):
    """The record of what the administrator has ordered and that takes long."""

    async def begin_errand(self, name: str, *, files: int, size: int, settings: str = "{}") -> Errand:
        """Write an errand down, unless there is one of this name; give the one that there is.

        Args:
            name: What is done, and with what.
            files: To be done when it begins.
            size: Their bytes.
            settings: How it shall be done, JSON.
        """
        errand = Errand(name, self._now(), files, size, settings)
        return await self._engine.write(moving.begin, errand, durable=True)

    async def end_errand(self, name: str) -> bool:
        """Strike an errand off; say whether there was one."""
        return await self._engine.write(moving.end, name, durable=True)

    async def settle_errand(self, name: str, settings: str) -> None:
        """Say of an errand what came of it."""
        await self._engine.write(moving.settle, name, settings, durable=True)

    async def add_shifts(self, found: Sequence[Shift]) -> None:
        """Have copies go from one volume to another; repair takes them up."""
        await self._engine.write(moving.shift, found, self._now())

    def shifts(self) -> list[Shift]:
        """List the files of which a copy shall go from one volume to another, and how far each is."""
        return self._engine.read_together(moving.shifts)

    def held_bytes(self) -> dict[int, int]:
        """Give the bytes of all copies by volume. Reads a whole table: for a thread."""
        return self._engine.read(moving.held_bytes)

    def leaving_from(self, volume: int) -> int:
        """Give the bytes that are on their way off a volume."""
        return self._engine.read_together(moving.leaving, volume)

    def mean_file(self) -> tuple[int, int]:
        """Give how many files there are among the newest, and their bytes."""
        return self._engine.read(moving.mean_file)

    async def mark_outlived(self, found: Sequence[tuple[int, int]]) -> None:
        """Note files that have outlived their retention, by FileId and version; they go a while later."""
        await self._engine.write(expiring.mark, found, self._now())

    async def unmark_outlived(self, files: Sequence[int]) -> None:
        """Note no longer that files will go."""
        await self._engine.write(expiring.unmark, files)

    def outlived(self, after: int, limit: int) -> list[Mark]:
        """Give a page of the files that will go, in order of FileIds from behind one."""
        return self._engine.read(expiring.marked, after, limit)

    def leaving(self) -> Leaving:
        """Count the files that will go."""
        return self._engine.read(expiring.leaving)

    async def retire(self, files: Sequence[tuple[int, int]], *, by: str = "") -> Removal:
        """Take files out of the tree that are too old: into the trash where there is one, else for good.

        Args:
            files: FileId and the version that was looked at. One that has another by now, or to which
                something is being uploaded, stays.
            by: Who does.
        """
        into = self._bin(by)
        return await self._engine.write(
            lambda db: Removal(tuple(trash.retire(db, files, into))), durable=True
        )

    def errand(self, name: str) -> Errand | None:
        """Give an errand, if there is one of this name."""
        return self._engine.read(moving.read, name)

    def left_on(self, volumes: Collection[int]) -> Left:
        """Count what is still on some volumes. Reads all of their rows: for a thread."""
        return self._engine.read_together(moving.left_on, sorted(volumes))

    def left_outside(self, directory: int, volumes: Collection[int], here: Collection[int]) -> Left:
        """Count the files below a directory with a copy outside of some volumes. For a thread.

        Directories below that say for themselves where their files shall lie are left out.

        Args:
            directory: Its FileId.
            volumes: Where files may lie.
            here: Volumes that orders reach.
        """
        return self._engine.read_together(moving.left_outside, directory, sorted(volumes), sorted(here))

    def unnoted(self, volume: int, after: bytes, limit: int) -> tuple[list[int], bytes]:
        """Give those of a page of a volume's files for which there is no job, and where the page ends.

        Where it ends is empty if it was the last.
        """
        return self._engine.read(moving.unnoted, volume, after, limit)
