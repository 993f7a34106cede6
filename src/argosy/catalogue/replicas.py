"""Which volumes hold copies: what they bring when they join, what they are owed, what is suspect."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from argosy.catalogue.ground import SECOND_NS, Ground
from argosy.catalogue.model import (
    RESERVED,
    Counts,
    Discard,
    Found,
    MergeReport,
    PartName,
    Placement,
    Replica,
    Sealed,
    Settlement,
    TreePath,
    Verdict,
)
from argosy.catalogue.proof import Observed
from argosy.catalogue.store import comparing, copying, findings, merging, replicas, settling, tree, uploads
from argosy.catalogue.store.engine import Connection
from argosy.errors import NotFound

REFUSED_MOST_NS = 3600 * SECOND_NS
"""A deletion that a node refused is asked for again after this at the latest."""

SETTLE_AGAIN = 4
"""Rounds of upkeep until a move that was handed out, and of which nothing was heard, is asked for again."""


class Replicas(Ground):
    """The record of what lies on the disks."""

    _suspects_after = 0

    def holders(self, directory: int, after: bytes, upto: bytes) -> dict[int, list[str]]:
        """Name the nodes with a good copy of each file of a directory with `after < name <= upto`."""
        return self._engine.read(replicas.holders, directory, after, upto)

    def replicas(self, file: int) -> list[Replica]:
        """List the replicas of a file, by volume."""
        return self._engine.read(replicas.of, file)

    def counts(self) -> Counts:
        """Count everything. Reads whole tables: for a thread, when there are millions of files."""
        return self._engine.read_together(replicas.counts)

    def damaged(self, limit: int = 100) -> list[TreePath]:
        """Give paths of files without a good copy. Reads whole tables, as `counts`."""
        return self._engine.read_together(
            lambda db: [tree.path_of(db, file) for file in replicas.damaged(db, limit)]
        )

    def suspects(self, limit: int = 100) -> list[int]:
        """List files with a copy whose content nobody has compared yet; the next ones at each call.

        So those whose node is away don't keep the others waiting.
        """
        page = self._engine.read(replicas.suspects, self._suspects_after, limit)
        self._suspects_after = page[-1] if len(page) == limit else 0
        return page

    def placement(self, replica: Replica, named_ns: int, discards: Iterable[Discard] = ()) -> Placement:
        """Say where a replica that was just committed shall lie, and what its node shall remember of it.

        Args:
            replica: What `commit` gave.
            named_ns: A time before that: later renames are told as such.
            discards: The deletions that are owed since.
        """
        here = (replica.volume, replica.loc)
        replaces = next((one.ver for one in discards if (one.volume, one.loc) == here), 0)
        path = b""
        if replica.loc.startswith(RESERVED):
            with contextlib.suppress(NotFound):  # deleted meanwhile: its tombstone is on the way
                path = b"/".join(self._engine.read_together(tree.path_of, replica.file))
        return Placement(
            *(replica.ver, replica.loc, replica.mtime_ns, replica.file, named_ns, path), replaces=replaces
        )

    # --- joining ----

    def tombs(self, volume: int, limit: int = 1000) -> list[Discard]:
        """List deletions that a volume is still owed, in order of loc, but for those that were put off."""
        return self._engine.read(replicas.tombs, volume, limit, self._now())

    async def buried(self, volume: int, done: Sequence[Discard], *, absent: Sequence[Discard] = ()) -> None:
        """Drop the tombstones of deletions that a volume has carried out.

        Args:
            volume: Which.
            done: They were.
            absent: Bad copies that weren't there any more.
        """
        now_ns = self._now()

        def bury(db: Connection) -> None:
            replicas.buried(db, volume, [*done, *absent])
            findings.moved(db, done, absent, now_ns, self.wants)

        await self._engine.write(bury)
        if absent or any(discard.finding for discard in done):
            self._tell_noted()

    async def put_off(self, left: Sequence[Discard]) -> None:
        """Note deletions that a node refused: they are asked for again later and later."""
        first_ns = int(self._table.upkeep_seconds * SECOND_NS)
        await self._engine.write(replicas.refused, left, self._now(), first_ns, REFUSED_MOST_NS)

    async def retry_tombs(self, volume: int) -> None:
        """Have all that a volume is owed tried now, for it has just joined."""
        await self._engine.write(replicas.retry, volume)

    async def reconcile(
        self, volume: int, parts: Sequence[tuple[int, int, bool]], running: Collection[int]
    ) -> list[PartName]:
        """Bring the uploads in line with the parts that a volume came back with, before any begins there.

        What was cut gets the size of its part, and a name whose part is lost goes. Gives the parts on other
        volumes that went with it.

        Args:
            volume: Whose parts.
            parts: Upload, bytes, and whether it is sealed, of every part on the volume.
            running: Uploads that go on right now, on whatever volume; they are left alone.
        """
        return await self._engine.write(uploads.reconcile, volume, parts, running, self._now())

    async def verdict(self, volume: int, parts: Sequence[tuple[int, int, bool]]) -> Verdict:
        """Say what becomes of the parts that a volume came back with, once they are reconciled.

        Those that nobody knows are to be forgotten; what was committed is to be put in place.
        """
        return await self._engine.write(uploads.verdict, volume, parts, self._now())

    async def placed(self, volume: int, numbers: Collection[int]) -> None:
        """Note that a volume that joins has put these uploads in place, before its list is fed on.

        What was changed or lost on the disk meanwhile is seen as such when the list tells of it.
        """
        await self._engine.write(uploads.placed, volume, numbers)

    async def add_copies(
        self, volume: int, node: str, epoch: int, copies: Sequence[tuple[int, Sealed]]
    ) -> Verdict:
        """Make copies that came from another node replicas, those whose version is still the file's.

        Says where each shall lie, and which parts are to be forgotten. To repeat it does no harm.

        Args:
            volume: Where they lie, sealed.
            node: Whose volume it is, in its `epoch`.
            epoch: See `node`.
            copies: Each one's version, and what the node says of it.

        Raises:
            Unavailable: The node was registered anew since. It tells of its parts when it joins.
        """
        now_ns = self._now()
        return await self._engine.write(
            lambda db: copying.add(db, volume, copies, node=node, epoch=epoch, now_ns=now_ns)
        )

    async def expect_whole(self, volume: int) -> None:
        """Before a volume is asked for its whole list: what was told to it to put in place must be in it."""
        await self._engine.write(uploads.expect_listed, volume, ())

    async def merge(
        self,
        volume: int,
        changes: list[Found],
        *,
        seq: int,
        whole: bool,
        after: bytes = b"",
        upto: bytes | None = None,
    ) -> MergeReport:
        """Bring a batch of a volume's file list into the catalogue, flushed when this returns.

        Args:
            volume: Whose list.
            changes: Files that are there or gone, each loc once; no version lies at two locs.
            seq: The newest change covered; `Volume.acked` from now on.
            whole: The batch holds all files with `after < loc <= upto`; what it lacks there is gone.
            after: See `whole`.
            upto: See `whole`; None: to the end.
        """
        now_ns = self._now()
        self._mint.heed(max((max(found.ver, found.file) for found in changes), default=0))
        return await self._engine.write(
            lambda db: merging.merge(
                db,
                volume,
                changes,
                seq=seq,
                between=(after, upto) if whole else None,
                mint=self._mint,
                now_ns=now_ns,
                wants=self.wants,
            ),
            durable=True,
        )

    async def compared(
        self, file: int, seen: Mapping[int, Observed], *, ver: int | None = None
    ) -> str | None:
        """Draw the conclusion from a comparison of a file's copies.

        Suspects that have the content of the entry become good, and the entry learns its checksums, if it had
        none, of a good copy. A suspect that differs becomes a file of its own, kept aside; its path is given,
        shown as text. A copy that should have the content and hasn't is bad.

        Args:
            file: Whose copies.
            seen: What was read, by volume.
            ver: The version that was compared; when the file has another by now, nothing happens.
        """
        now_ns = self._now()
        return await self._engine.write(
            lambda db: comparing.compared(
                db, file, seen, ver=ver, mint=self._mint, now_ns=now_ns, wants=self.wants
            )
        )

    # --- settling ----

    async def settlements(self, limit: int, online: Collection[int]) -> list[Settlement]:
        """Take moves that the disks are due, for volumes that are online.

        Say of each how it ended, by `settled` or `postponed`; else it comes again after a while.
        """
        pause_ns = int(SETTLE_AGAIN * self._table.upkeep_seconds * SECOND_NS)
        return await self._engine.write(settling.settlements, limit, online, self._now(), pause_ns)

    async def settled(self, done: Sequence[Settlement]) -> None:
        """Note that files lie where they were to go."""
        await self._engine.write(settling.settled, done, self._mint, self._now(), self.wants)

    async def postponed(self, refused: Sequence[Settlement]) -> None:
        """Note that nodes refused: ask again later and later, and after a few times no more."""
        pause_ns = int(self._table.upkeep_seconds * SECOND_NS)
        await self._engine.write(settling.postponed, refused, self._now(), pause_ns)
