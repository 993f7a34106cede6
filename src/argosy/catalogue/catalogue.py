"""What exists and which nodes hold it: one object for the whole master.

Reading is plain calls, answered from what is committed, on any thread. Changing is awaited; it is committed
when the call returns. The object brings what the store hasn't: ids, the clock, secrets. The tree and the
uploads to it are in this room; the nodes, the replicas, the rules and the users in rooms of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from argosy.catalogue.findings import Findings
from argosy.catalogue.jobs import Jobs
from argosy.catalogue.model import (
    Attributes,
    Companion,
    Discard,
    Entry,
    PartName,
    Removal,
    Replica,
    Sealed,
    TreePath,
    Upload,
)
from argosy.catalogue.moves import Moves
from argosy.catalogue.nodes import Nodes
from argosy.catalogue.query import Hits, Mark, Query
from argosy.catalogue.replicas import Replicas
from argosy.catalogue.store import ids, jobs, members, removing, search, tree, uploads
from argosy.catalogue.store.engine import Connection
from argosy.catalogue.sumlists import SumLists
from argosy.catalogue.trash import Trash
from argosy.catalogue.users import Users


class Catalogue(Nodes, Replicas, Users, Jobs, Moves, Findings, Trash, SumLists):
    """The record of the tree, the replicas, the nodes and the accounts. See `Ground` for how it is made."""

    # --- reading ----

    def find(self, path: TreePath) -> Entry:
        """Find what has this path.

        Raises:
            NotFound: Nothing has.
            NotADirectory: A file stands where the path needs a directory.
        """
        return self._engine.read(tree.find, path)

    def find_or_none(self, path: TreePath) -> Entry | None:
        """Find what has this path, or nothing."""
        return self._engine.read(tree.lookup, path)

    def resolve(self, path: TreePath, *, follow: bool = True) -> tuple[TreePath, Entry | None]:
        """Give the path without symbolic links on its way, and what has it, which may be nothing.

        With `follow` the link that has the path itself is followed, too.

        Raises:
            LinkLoop: Too many links, maybe in a circle.
            NotFound: There is nothing already where a directory should be.
            NotADirectory: A file stands where the path needs a directory.
        """
        return self._engine.read(tree.resolve, path, follow)

    def by_id(self, file: int) -> Entry:
        """Find by FileId.

        Raises:
            NotFound: It is gone.
        """
        return self._engine.read(tree.by_id, file)

    def path_of(self, file: int) -> TreePath:
        """Give the path that an entry has now.

        Raises:
            NotFound: It is gone.
        """
        return self._engine.read_together(tree.path_of, file)

    def children(self, directory: int, *, after: bytes = b"", limit: int = 1000) -> list[Entry]:
        """List a page of a directory, from behind `after`, in order of names, whatever its state."""
        return self._engine.read(tree.children, directory, after, limit)

    def child(self, directory: int, name: bytes) -> Entry | None:
        """Find a name in a directory."""
        return self._engine.read(tree.child, directory, name)

    def partial(self, file: int) -> Upload | None:
        """Give the cut upload that a name is kept for."""
        return self._engine.read_together(uploads.partial, file)

    def conflicts(self, limit: int = 100) -> list[TreePath]:
        """Give paths of files that were kept aside."""
        return self._engine.read_together(tree.conflicts, limit)

    def search(self, top: int, query: Query, *, after: Mark, limit: int, until: float) -> Hits:
        """Look below a directory for a page; for a thread, which ends at `until` by `time.monotonic`."""
        return self._engine.read(
            lambda db: search.search(db, top, query, after=after, limit=limit, until=until)
        )

    # --- the tree ----

    async def make_directory(
        self, path: TreePath, *, owner: str, group: str = "argosy", mode: int = 0o755
    ) -> Entry:
        """Make a directory whose parent is there.

        Raises:
            Exists: The name is taken.
            NotFound: The parent is missing.
            NotADirectory: The parent is a file.
            NameNotAllowed: Nothing may be called so.
        """
        file, now_ns = self._mint(), self._now()
        return await self._engine.write(
            lambda db: tree.make_directory(
                db, path, file=file, owner=owner, group=group, mode=mode, now_ns=now_ns
            )
        )

    async def make_link(self, path: TreePath, target: bytes, *, owner: str, group: str = "argosy") -> Entry:
        """Make a symbolic link; its target needn't be there. The disks never hear of it.

        Raises:
            Exists: The name is taken.
            NotFound: The parent is missing.
            NotADirectory: The parent is a file.
            NameNotAllowed: Nothing may be called so, or no target be that.
        """
        file, now_ns = self._mint(), self._now()
        return await self._engine.write(
            lambda db: tree.make_link(db, path, target, file=file, owner=owner, group=group, now_ns=now_ns)
        )

    async def remove_directory(self, path: TreePath) -> None:
        """Remove an empty directory.

        Raises:
            NotEmpty: There is something in it, be it an upload that has just begun.
            NotADirectory: It is a file.
            NotFound: Nothing has this path.
            Denied: It is the root.
        """
        await self._engine.write(tree.remove_directory, path, self._now())

    async def delete(self, path: TreePath, *, by: str = "") -> Removal:
        """Remove a file or a link: into the trash, or a file's replicas become tombstones.

        Args:
            path: Its path.
            by: The user who does.

        Raises:
            IsADirectory: It is one.
            Busy: Something is being uploaded there.
            NotFound: Nothing has this path.
        """
        return await self._engine.write(removing.delete, path, self._bin(by))

    async def rename(self, source: TreePath, target: TreePath, *, by: str = "") -> Removal:
        """Give an entry another path; a file that has it gives way. The disks follow later.

        Args:
            source: The path that it has.
            target: The path that it shall have.
            by: The user who does.

        Raises:
            NotFound: `source`, or the directory that `target` is to be in, is missing.
            NotADirectory: A directory onto a file, or a file stands where `target` needs a directory.
            IsADirectory: A file onto a directory.
            NotEmpty: A directory onto one that isn't empty.
            Busy: Something is being uploaded at `target`.
            BadArgument: A directory into itself.
            Denied: The root.
            NameNotAllowed: Nothing may be called so.
        """
        into = self._bin(by)

        def change(db: Connection) -> Removal:
            removal = removing.rename(db, source, target, into)
            jobs.renamed(db, target, self.wants, into.now_ns)
            return removal

        return await self._engine.write(change)

    async def set_attributes(
        self,
        path: TreePath,
        *,
        mtime_ns: int | None = None,
        created_ns: int | None = None,
        mode: int | None = None,
    ) -> None:
        """Set times and permissions, where given; a file's time of change on the disks follows later.

        Raises:
            NotFound: Nothing has this path.
            NotADirectory: A file stands where the path needs a directory.
        """
        await self._engine.write(
            tree.set_attributes, path, Attributes(mtime_ns, created_ns, mode), self._now()
        )

    # --- uploads ----

    async def begin(
        self,
        path: TreePath,
        *,
        volume: int,
        node: str,
        epoch: int,
        user: str,
        group: str = "argosy",
        mode: int = 0o644,
        resume: bool,
        offset: int | None = None,
        along: Sequence[Companion] = (),
    ) -> Upload:
        """Take the name for an upload, or the file that it shall replace.

        A cut upload that isn't gone on with is dropped: its part is in `forgotten`.

        Args:
            path: Where the file shall be.
            volume: Where the bytes will arrive, on `node` in its `epoch`.
            node: See `volume`.
            epoch: See `volume`.
            user: Owner of a new name.
            group: Of a new name.
            mode: Of a new name.
            resume: Go on with the part, or with the content, that lies on `volume`. A part's upload
                keeps its id, and `received` says how far it is; a content is given as `base`.
            offset: Where the next byte goes then; None: behind the last one there.
            along: The volumes that take it along; in `companions` with what they have of it.

        Raises:
            Busy: Another upload is open on this entry.
            IsADirectory: A directory has the name.
            NotFound: The directory is missing.
            NotADirectory: A file stands where the path needs a directory.
            NameNotAllowed: Nothing may be called so.
            Unavailable: The node isn't in this epoch, or what `resume` needs isn't on this volume.
            Denied: To `resume` would mix two contents: a replacement was cut, and the old one stayed.
        """
        number, file, now_ns = self._mint(), self._mint(), self._now()
        begun: list[Upload] = []

        def change(db: Connection) -> Upload:
            upload = uploads.begin(
                db,
                path,
                number=number,
                file=file,
                volume=volume,
                node=node,
                epoch=epoch,
                user=user,
                group=group,
                mode=mode,
                resume=resume,
                offset=offset,
                along=along,
                now_ns=now_ns,
            )
            begun.append(upload)
            return upload

        def undo(db: Connection) -> None:
            for upload in begun:
                uploads.cut(db, upload.id, upload.received, now_ns)

        try:
            return await self._engine.write(change)
        except asyncio.CancelledError:
            # It may have begun all the same, and nobody would ever end it.
            self._engine.write_unheard(undo)
            raise

    async def commit(
        self, upload: int, sealed: Sealed, *, epoch: int, along: Sequence[Companion] = ()
    ) -> tuple[Entry, Replica, list[Discard]]:
        """Make what has arrived the file's content, flushed to the disk when this returns.

        Gives the entry, the replica with the loc where the node shall put it, and the deletions of the
        old content, which are owed from now on. Each of those that took it `along` has a replica, too.

        Raises:
            Failed: The upload is gone, or its node was registered anew since: its bytes count no more.
            Unavailable: Likewise the node of one that took it along.
        """
        into = self._bin("")
        committed = await self._engine.write(
            lambda db: uploads.commit(
                db, upload, sealed, epoch=epoch, along=along, wants=self.wants, into=into
            ),
            durable=True,
        )
        self._tell_noted()
        return committed

    async def accompany(self, upload: int, companion: Companion) -> Companion:
        """Have one volume more take an upload along; gives it with what it has of it.

        Raises:
            Failed: The upload is over.
            Unavailable: The node isn't in this epoch.
        """
        return await self._engine.write(uploads.accompany, upload, companion)

    async def cut(
        self, upload: int, received: int | None, along: Mapping[int, int | None] | None = None
    ) -> bool:
        """End an upload that nobody was told had worked. True: its parts are worth nothing, forget them.

        The part of a new file is kept for REST and APPE under the name that it had; an overwritten file
        stays as it was, without, and from now on it can't be gone on with, only be sent whole.

        Args:
            upload: Which; one that is over already is no error.
            received: Bytes in the part; None: nobody knows yet, the node will tell when it is back.
            along: Likewise of the volumes that took it along. With the largest of these parts the upload
                goes on, if nobody knows what the first one has.
        """
        return await self._engine.write(uploads.cut, upload, received, self._now(), along)

    async def forget_expired(self, before_ns: int) -> list[PartName]:
        """Drop uploads that were cut before this time; give their parts, whose volumes may be told."""
        return await self._engine.write(uploads.forget_expired, before_ns, self._now())

    async def recover(self) -> None:
        """For the master's start: cut every open upload, and take every volume for away: nobody is here."""
        await self._engine.write(ids.note_lapse, self._mint)
        await self._engine.write(uploads.recover, self._now())
        await self._engine.write(members.all_departed, self._now())
