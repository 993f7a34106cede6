"""What was deleted or overwritten and is kept for a while: looked at, restored, emptied."""

from __future__ import annotations

from argosy.catalogue.ground import Ground
from argosy.catalogue.keeping import Emptied, Trashed, TrashMark
from argosy.catalogue.model import TreePath
from argosy.catalogue.store import jobs, trash
from argosy.catalogue.store.engine import Connection


class Trash(Ground):
    """The record of the trash."""

    def trash(self, path: TreePath, *, after: TrashMark = (b"", 0), limit: int = 500) -> list[Trashed]:
        """List a page of what was at a path or below it, by path and then in the order in which it went.

        It goes on behind `after`: path, as bytes, and FileId of the last one of the page before.
        """
        return self._engine.read(trash.listed, path, after, limit)

    async def restore(self, ver: int, to: TreePath | None = None) -> Trashed:
        """Put a content back into the tree, flushed when this returns; missing directories are made anew.

        Args:
            ver: Which.
            to: Where to; None: where it was.

        Raises:
            NotFound: It isn't in the trash, or not any more.
            Exists: The name is taken.
            NotADirectory: A file stands where a directory was.
            NameNotAllowed: Nothing may be called so.
        """
        now_ns = self._now()

        def change(db: Connection) -> Trashed:
            restored = trash.restore(db, ver, to, mint=self._mint, now_ns=now_ns)
            jobs.note(db, [restored.entry.id], self.wants, now_ns)
            return restored

        restored = await self._engine.write(change, durable=True)
        self._tell_noted()
        return restored

    async def empty_trash(self, path: TreePath, limit: int) -> Emptied:
        """Let go for good of what was at a path or below it, so many files at the most."""
        now_ns = self._now()
        return await self._engine.write(lambda db: trash.empty(db, path, limit, now_ns))

    async def expire_trash(self, limit: int) -> Emptied:
        """Let go for good of what was kept long enough, so many files at the most."""
        now_ns = self._now()
        return await self._engine.write(lambda db: trash.expire(db, limit, now_ns))

    async def squeeze_trash(self, volume: int, room: int, limit: int) -> Emptied:
        """Let go for good of what went first and lies on a volume, for so many bytes of room there."""
        now_ns = self._now()
        return await self._engine.write(lambda db: trash.squeeze(db, volume, room, limit, now_ns))

    def room_to_come(self, volume: int) -> bool:
        """Whether a volume has yet to carry out deletions out of the trash."""
        return self._engine.read(trash.to_come, volume)
