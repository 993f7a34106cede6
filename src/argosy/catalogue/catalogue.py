"""What exists and which nodes hold it: one object for the whole master.

Reading is plain calls, answered from what is committed, on any thread. Changing is awaited; it is committed
when the call returns. This module brings what the store hasn't: ids, the clock, secrets.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from argosy import config
from argosy.catalogue.model import (
    Attributes,
    Counts,
    Discard,
    Entry,
    Found,
    MergeReport,
    NodeRecord,
    PartName,
    Removal,
    Replica,
    Sealed,
    Settlement,
    TreePath,
    Upload,
    Verdict,
    Volume,
)
from argosy.catalogue.people import Group, Usage, User
from argosy.catalogue.query import Hits, Mark, Query
from argosy.catalogue.store import members, merging, replicas, search, settling, tree, uploads, usage, users
from argosy.catalogue.store.engine import Connection, Engine
from argosy.catalogue.store.ids import Mint

SECOND_NS = 1_000_000_000

SETTLE_AGAIN = 4
"""Rounds of upkeep until a move that was handed out, and of which nothing was heard, is asked for again."""


class Catalogue:
    """The record of the tree, the replicas, the nodes and the accounts.

    Args:
        table: Where the database lies, and its limits.
        clock_ns: Nanoseconds since 1970.
        draw: So many random bits, for ids.
    """

    def __init__(
        self,
        table: config.Catalogue,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        draw: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self._table = table
        self._now = clock_ns
        self._mint = Mint(clock_ns, draw)
        self._suspects_after = 0
        self._engine = Engine(
            Path(table.directory) / "argosy.db",
            cache_bytes=table.cache_bytes,
            batch_limit=table.batch_limit,
            busy_seconds=table.busy_seconds,
        )

    async def open(self) -> None:
        """Open the database; it is made at first use.

        Raises:
            ConfigError: A later version of this program made it.
        """
        await asyncio.to_thread(self._engine.open, self._now())
        await self._engine.write(self._mint.resume)

    async def close(self) -> None:
        """Commit what waits, and close."""
        await asyncio.to_thread(self._engine.close)

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

    def holders(self, directory: int, after: bytes, upto: bytes) -> dict[int, list[str]]:
        """Name the nodes with a good copy of each file of a directory with `after < name <= upto`."""
        return self._engine.read(replicas.holders, directory, after, upto)

    def replicas(self, file: int) -> list[Replica]:
        """List the replicas of a file, by volume."""
        return self._engine.read(replicas.of, file)

    def partial(self, file: int) -> Upload | None:
        """Give the cut upload that a name is kept for."""
        return self._engine.read(uploads.partial, file)

    def counts(self) -> Counts:
        """Count everything. Reads whole tables: for a thread, when there are millions of files."""
        return self._engine.read_together(replicas.counts)

    def conflicts(self, limit: int = 100) -> list[TreePath]:
        """Give paths of files that were kept aside."""
        return self._engine.read_together(tree.conflicts, limit)

    def damaged(self, limit: int = 100) -> list[TreePath]:
        """Give paths of files without a good copy. Reads whole tables, as `counts`."""
        return self._engine.read_together(
            lambda db: [tree.path_of(db, file) for file in replicas.damaged(db, limit)]
        )

    def search(self, top: int, query: Query, *, after: Mark, limit: int, until: float) -> Hits:
        """Look below a directory for a page; for a thread, which ends at `until` by `time.monotonic`."""
        return self._engine.read(
            lambda db: search.search(db, top, query, after=after, limit=limit, until=until)
        )

    def suspects(self, limit: int = 100) -> list[int]:
        """List files with a copy whose content nobody has compared yet; the next ones at each call.

        So those whose node is away don't keep the others waiting.
        """
        page = self._engine.read(replicas.suspects, self._suspects_after, limit)
        self._suspects_after = page[-1] if len(page) == limit else 0
        return page

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

    async def delete(self, path: TreePath) -> Removal:
        """Remove a file or a link; a file's replicas become tombstones in the same transaction.

        Raises:
            IsADirectory: It is one.
            Busy: Something is being uploaded there.
            NotFound: Nothing has this path.
        """
        return await self._engine.write(tree.delete, path, self._now())

    async def rename(self, source: TreePath, target: TreePath) -> Removal:
        """Give an entry another path; a file that has it gives way. The disks follow later.

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
        return await self._engine.write(tree.rename, source, target, self._now())

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
        self, upload: int, sealed: Sealed, *, epoch: int
    ) -> tuple[Entry, Replica, list[Discard]]:
        """Make what has arrived the file's content, flushed to the disk when this returns.

        Gives the entry, the replica with the loc where the node shall put it, and the deletions of the
        old content, which are owed from now on.

        Raises:
            Failed: The upload is gone, or its node was registered anew since: its bytes count no more.
        """
        now_ns = self._now()
        return await self._engine.write(
            lambda db: uploads.commit(db, upload, sealed, epoch=epoch, now_ns=now_ns), durable=True
        )

    async def cut(self, upload: int, received: int | None) -> bool:
        """End an upload that nobody was told had worked. True: its part is worth nothing, forget it.

        The part of a new file is kept for REST and APPE under the name that it had; an overwritten file
        stays as it was, without, and from now on it can't be gone on with, only be sent whole.

        Args:
            upload: Which; one that is over already is no error.
            received: Bytes in the part; None: nobody knows yet, the node will tell when it is back.
        """
        return await self._engine.write(uploads.cut, upload, received, self._now())

    async def forget_expired(self, before_ns: int) -> list[PartName]:
        """Drop uploads that were cut before this time; give their parts, whose volumes may be told."""
        return await self._engine.write(uploads.forget_expired, before_ns, self._now())

    async def recover(self) -> None:
        """Cut every open upload. For the master's start: whoever took them is no more."""
        await self._engine.write(uploads.recover, self._now())

    # --- members ----

    async def add_token(self, seconds: float) -> str:
        """Make a join token, good once and for so long: `ID.SECRET`. Only a hash of it is kept."""
        token, secret = secrets.token_hex(8), secrets.token_hex(24)
        now_ns = self._now()
        expires_ns = now_ns + int(seconds * SECOND_NS)
        await self._engine.write(members.add_token, token, secret, expires_ns, now_ns, durable=True)
        return f"{token}.{secret}"

    async def use_token(self, token: str, secret: str) -> None:
        """Use a token up.

        Raises:
            Denied: Unknown, used or over; which of these isn't told.
        """
        await self._engine.write(members.use_token, token, secret, self._now(), durable=True)

    async def register(self, node: str, boot: str) -> int:
        """Note that a node is there, and give its epoch: another one for another life of its process.

        Raises:
            Denied: Its right to be one was revoked.
        """
        return await self._engine.write(members.register, node, boot, self._now(), durable=True)

    async def revoke(self, node: str, *, revoked: bool = True) -> None:
        """Take a node's right to join away, or give it back.

        Raises:
            NotFound: No such node was ever here.
        """
        await self._engine.write(lambda db: members.revoke(db, node, revoked=revoked), durable=True)

    async def attach(self, store_id: str, node: str) -> Volume:
        """Say that a volume is at a node; it is made at first sight, and moves with its disk."""
        return await self._engine.write(members.attach, store_id, node, durable=True)

    async def seen(self, node: str) -> None:
        """Note that a node was heard of just now."""
        await self._engine.write(members.seen, node, self._now())

    def volumes(self, node: str | None = None) -> list[Volume]:
        """List the volumes of a node, or all."""
        return self._engine.read(members.volumes, node)

    def nodes(self) -> list[NodeRecord]:
        """List every node that ever joined."""
        return self._engine.read(members.nodes)

    # --- joining ----

    def tombs(self, volume: int, limit: int = 1000) -> list[Discard]:
        """List deletions that a volume is still owed, in order of loc."""
        return self._engine.read(replicas.tombs, volume, limit)

    async def buried(self, volume: int, done: Sequence[Discard]) -> None:
        """Drop the tombstones of deletions that the volume has carried out."""
        await self._engine.write(replicas.buried, volume, done)

    async def reconcile(
        self, volume: int, parts: Sequence[tuple[int, int, bool]], running: Collection[int]
    ) -> Verdict:
        """Hold the parts that a volume came back with against the catalogue, both ways, in one go.

        Names whose part is lost go; parts that nobody knows are to be forgotten; what was committed is to
        be put in place.

        Args:
            volume: Whose parts.
            parts: Upload, bytes, and whether it is sealed, of every part on the volume.
            running: Uploads that go on right now, on whatever volume; they are left alone.
        """
        return await self._engine.write(uploads.reconcile, volume, parts, running, self._now())

    async def placed(self, volume: int, numbers: Collection[int]) -> None:
        """Note that a volume that joins has put these uploads in place, before its list is fed on.

        What was changed or lost on the disk meanwhile is seen as such when the list tells of it.
        """
        await self._engine.write(uploads.placed, volume, numbers)

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
        return await self._engine.write(
            lambda db: merging.merge(
                db,
                volume,
                changes,
                seq=seq,
                between=(after, upto) if whole else None,
                mint=self._mint,
                now_ns=now_ns,
            ),
            durable=True,
        )

    async def compared(
        self, file: int, digests: Mapping[int, tuple[int | None, bytes]], *, ver: int | None = None
    ) -> str | None:
        """Draw the conclusion from a comparison of a file's copies.

        Suspects that equal a good copy become good, and the entry learns its checksums. A suspect that
        differs becomes a file of its own, kept aside; its path is given, shown as text.

        Args:
            file: Whose copies.
            digests: CRC-32, if known, and XXH3-128 of the copy on each volume that was read.
            ver: The version that was compared; when the file has another by now, nothing happens.
        """
        now_ns = self._now()
        return await self._engine.write(
            lambda db: merging.compared(db, file, digests, ver=ver, mint=self._mint, now_ns=now_ns)
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
        await self._engine.write(settling.settled, done, self._mint, self._now())

    async def postponed(self, refused: Sequence[Settlement]) -> None:
        """Note that nodes refused: ask again later and later, and after a few times no more."""
        pause_ns = int(self._table.upkeep_seconds * SECOND_NS)
        await self._engine.write(settling.postponed, refused, self._now(), pause_ns)

    # --- accounts ----

    def user(self, name: str) -> User | None:
        """Find a user."""
        return self._engine.read(users.user, name)

    def users(self) -> list[User]:
        """List the users by name."""
        return self._engine.read(users.users)

    async def put_user(self, user: User, *, new: bool = False) -> None:
        """Write a user.

        Raises:
            Exists: It shall be `new`, and isn't.
        """
        await self._engine.write(lambda db: users.put_user(db, user, new=new), durable=True)

    async def change_user(self, name: str, change: Callable[[User], User]) -> User:
        """Change a user, whatever another process changes at the same time; give what it is now.

        Args:
            name: Whom.
            change: Called in the writer's thread; what it raises undoes the change.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        return await self._engine.write(users.change_user, name, change, durable=True)

    async def drop_user(self, name: str) -> None:
        """Remove a user.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._engine.write(users.drop_user, name, durable=True)

    def usage(self, sections: Mapping[str, TreePath]) -> Usage:
        """Count files and bytes by owner and group, and by section. Reads whole tables, as `counts`."""
        return self._engine.read_together(usage.usage, sections)

    def group(self, name: str) -> Group | None:
        """Find a group."""
        return self._engine.read(users.group, name)

    def groups(self) -> list[Group]:
        """List the groups by name."""
        return self._engine.read(users.groups)

    async def put_group(self, group: Group, *, new: bool = False) -> None:
        """Write a group.

        Raises:
            Exists: It shall be `new`, and isn't.
        """
        await self._engine.write(lambda db: users.put_group(db, group, new=new), durable=True)

    async def change_group(self, name: str, change: Callable[[Group], Group]) -> Group:
        """Change a group, as `change_user`."""
        return await self._engine.write(users.change_group, name, change, durable=True)

    async def drop_group(self, name: str) -> None:
        """Remove a group; nobody is in it any more.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._engine.write(users.drop_group, name, durable=True)

    def accounts_generation(self) -> int:
        """Give a number that is another one after each change of a user or group, by whichever process."""
        return self._engine.read(users.generation)
