"""The tree as one user sees it, for every door; rights are checked on the way to it, in `reach`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from argosy import errors
from argosy.accounts.ledger import UNLIMITED, Limit, limits
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue.model import (
    Entry,
    Kind,
    Removal,
    TreePath,
    shown,
)
from argosy.catalogue.people import NOTHING, Right, Rights, Use
from argosy.catalogue.query import Hits, Mark, Query
from argosy.cluster.nodes.roster import Node
from argosy.vfs.ahead import Ahead, Basis
from argosy.vfs.choosing import Choosing
from argosy.vfs.download import Download
from argosy.vfs.lists import Shows
from argosy.vfs.moving import Storing
from argosy.vfs.reach import Reach
from argosy.vfs.verdicts import Completeness
from argosy.vfs.vfs import Vfs
from argosy.wire import link, sumlists

PAGE = 1_000
"""Entries read at once for a listing: some 3 ms."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a directory."""

    entries: list[Entry]
    holders: Mapping[int, list[str]]
    """Names of the nodes that have a copy, by FileId; empty unless asked for."""
    rights: Rights = NOTHING
    """What the user may do with these entries."""
    others: Mapping[bytes, Rights | None] = field(default_factory=dict)
    """By name, where that is otherwise."""

    def rights_for(self, entry: Entry) -> Rights:
        """Give what the user may do with one of the entries."""
        return (self.others.get(entry.name) or NOTHING) if entry.name in self.others else self.rights


class Files:
    """The tree as one user sees it."""

    def __init__(self, vfs: Vfs, login: Login) -> None:
        self._vfs = vfs
        self._catalogue = vfs.catalogue
        self._reach = Reach(vfs, login)
        self._choosing = Choosing(vfs, self._reach)
        self._ahead = Ahead()

    @property
    def account(self) -> Account:
        """What is in force for the user, now."""
        return self._reach.account

    def may(self, right: Right, path: TreePath) -> bool:
        """Say whether the user may do one thing at a path."""
        return self._reach.may(right, path)

    # --- reading the tree

    def entry(self, path: TreePath) -> Entry:
        """Give the entry that a path leads to.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands in the way.
            LinkLoop: Links lead in a circle.
        """
        return self._reach.find(path)[1]

    def named(self, path: TreePath) -> Entry:
        """Give the entry that has just this name, be it a link; for what concerns the name, as a rename.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands in the way.
            LinkLoop: Links lead in a circle.
        """
        return self._reach.find(path, follow=False)[1]

    def seen(self, path: TreePath) -> Entry:
        """Give what a listing shows for a path: what it leads to, or the link itself that leads nowhere.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands in the way.
        """
        try:
            return self.entry(path)
        except (errors.NotFound, errors.NotADirectory, errors.LinkLoop) as refused:
            try:
                return self.named(path)
            except errors.Refused:
                raise refused from None

    def directory(self, path: TreePath) -> Entry:
        """Give the directory at a path.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file is.
        """
        entry = self.entry(path)
        if not entry.is_directory:
            raise errors.NotADirectory(shown(path))
        return entry

    def pages(self, directory: Entry, *, with_holders: bool) -> Iterator[Listed]:
        """Go through a directory in order of name, page by page; for a thread.

        Args:
            directory: Whose children.
            with_holders: Also find the nodes that have each file.

        Raises:
            Denied: The user may not list it, nor is anything granted further down; before the first page.
        """
        path = self._catalogue.path_of(directory.id) if self.account.grants else ()
        rights, others = self.account.children(path)
        if Right.LIST not in rights and not any(right is not None for right in others.values()):
            raise errors.Denied(f"{shown(path)} ({Right.LIST})")
        return self._pages(directory, rights, others, with_holders=with_holders)

    def _pages(
        self,
        directory: Entry,
        rights: Rights,
        others: Mapping[bytes, Rights | None],
        *,
        with_holders: bool,
    ) -> Iterator[Listed]:
        after = b""
        while entries := self._catalogue.children(directory.id, after=after, limit=PAGE):
            upto = entries[-1].name
            if others:
                unsaid = rights if Right.LIST in rights else None
                entries = [entry for entry in entries if others.get(entry.name, unsaid) is not None]
            holders = self._catalogue.holders(directory.id, after, upto) if with_holders else {}
            if self._vfs.arriving:
                entries = [self._vfs.as_it_arrives(entry) for entry in entries]
            yield Listed(entries, holders, rights, others)
            after = upto

    async def search(self, path: TreePath, query: Query, *, after: Mark, limit: int, seconds: float) -> Hits:
        """Look below a directory for a page of what is asked for, as far as the user may list.

        Args:
            path: The directory.
            query: What is asked for.
            after: Where the page before this one ended; at first `Mark()`.
            limit: Entries in the page. There can be fewer though more pages follow.
            seconds: For the page. The time in which it waited for its turn isn't counted.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file is.
        """
        top = self.directory(path)

        def look() -> Hits:
            until = time.monotonic() + seconds
            hits = self._catalogue.search(top.id, query, after=after, limit=limit, until=until)
            return replace(hits, found=[hit for hit in hits.found if self._lists(hit.path)])

        return await asyncio.get_running_loop().run_in_executor(self._vfs.searchers, look)

    def _lists(self, path: TreePath) -> bool:
        """Whether a listing would show the user what is at a path."""
        return self.account.may(Right.LIST, path[:-1]) and self.account.sees(path)

    def holders(self, entry: Entry) -> list[str]:
        """Give the names of the nodes that have a copy."""
        return sorted({replica.node for replica in self._catalogue.replicas(entry.id)})

    def rights(self, entry: Entry) -> Rights:
        """Give what the user may do with an entry, wherever a path that led to it went along."""
        return self.account.rights(self._catalogue.path_of(entry.id) if self.account.grants else ())

    # --- changing the tree

    async def make_directory(self, path: TreePath) -> Entry:
        """Make a directory.

        Raises:
            Exists: The name is taken.
            NotFound: Its parent isn't there.
        """
        path = self._reach.to_change(path, Right.MKDIR)
        return await self._catalogue.make_directory(path, owner=self.account.name, group=self.account.group)

    async def make_link(self, path: TreePath, target: bytes) -> Entry:
        """Make a symbolic link. Where it leads is looked at when it is used, and so are the rights there.

        Args:
            path: The link's.
            target: Where it shall lead: a path from the root, or from the link's own directory.

        Raises:
            Exists: The name is taken.
            NotFound: Its parent isn't there.
            NameNotAllowed: Nothing may be called so, or no target be that.
        """
        path = self._reach.to_change(path, Right.WRITE)
        return await self._catalogue.make_link(
            path, target, owner=self.account.name, group=self.account.group
        )

    async def remove_directory(self, path: TreePath) -> None:
        """Remove an empty directory.

        Raises:
            NotEmpty: Something is in it.
            NotADirectory: It is a file, or a link, wherever that leads.
        """
        path = self._reach.to_change(path, Right.RMDIR)
        await self._catalogue.remove_directory(path)

    async def delete(self, path: TreePath) -> None:
        """Delete a file, whose copies follow as their nodes can, or a link, and not what it leads to.

        Raises:
            IsADirectory: It is one.
            Busy: It is being uploaded.
        """
        path = self._reach.to_change(path, Right.DELETE)
        entry = self._catalogue.find_or_none(path)
        self._pay(await self._catalogue.delete(path, by=self.account.name))
        self._uncount(path, entry)

    async def rename(self, source: TreePath, target: TreePath) -> None:
        """Rename or move; a plain file or a link in the way is replaced.

        Raises:
            IsADirectory: A directory is in the way.
            BadArgument: A directory would go into itself.
            Denied: The user may not, or could do there what it couldn't here.
        """
        source = self._reach.to_change(source, Right.RENAME)
        entry = self._catalogue.find_or_none(source)
        target = self._reach.to_change(target, Right.MKDIR if entry and entry.is_directory else Right.WRITE)
        replaced = self._catalogue.find_or_none(target) if target != source else None
        if replaced:
            self._reach.check(target, Right.OVERWRITE)
        self._reach.check_move(source, target)
        await self._check_section(source, target, entry)
        self._pay(await self._catalogue.rename(source, target, by=self.account.name))
        self._uncount(target, replaced)
        if entry and entry.kind is Kind.FILE:
            self._uncount(source, entry)
            self._vfs.ledger.note(self._vfs.place(target, entry, self.account), Use(1, entry.size))
            if renamed := self._catalogue.find_or_none(target):
                self._vfs.lists.notice(renamed)

    async def set_mtime(self, path: TreePath, mtime_ns: int) -> None:
        """Set the modification time."""
        path = self._reach.to_describe(path)
        await self._catalogue.set_attributes(path, mtime_ns=mtime_ns)
        self._vfs.owed()

    async def set_facts(
        self,
        path: TreePath,
        *,
        mtime_ns: int | None = None,
        created_ns: int | None = None,
        mode: int | None = None,
    ) -> None:
        """Set times and permission bits, where given, all at once."""
        path = self._reach.to_describe(path)
        mode = None if mode is None else mode & 0o7777
        await self._catalogue.set_attributes(path, mtime_ns=mtime_ns, created_ns=created_ns, mode=mode)
        self._vfs.owed()

    async def set_mode(self, path: TreePath, mode: int) -> None:
        """Set the permission bits: they are shown, and change nobody's rights."""
        path = self._reach.to_describe(path)
        await self._catalogue.set_attributes(path, mode=mode & 0o7777)

    async def checksum(self, path: TreePath, algorithm: str, *, offset: int = 0, length: int = -1) -> str:
        """Give a checksum in hex digits: the known one, else a node reads the file.

        Args:
            path: The file.
            algorithm: As in `link.Checksum`.
            offset: First byte.
            length: Bytes from there; -1: all.

        Raises:
            Denied: The user may not read it.
            Unavailable: No node with a good copy is there.
        """
        _, entry = self._reach.to_read(path)
        whole = offset == 0 and length in (-1, entry.size)
        if whole and (known := self._vfs.sums.of(entry, algorithm)):
            return known
        download = self.plan_download(path)
        if download.replica is None:
            raise errors.Busy(f"{shown(path)} is not complete")
        value = await self._sum(download, algorithm, offset, length)
        if whole:
            self._vfs.sums.note(entry, algorithm, value)
        return value

    async def _sum(self, download: Download, algorithm: str, offset: int, length: int) -> str:
        while True:
            await download.settle(offset)
            assert download.replica is not None, "complete"
            where = download.live.store_id, download.replica.loc, download.replica.ver
            order = link.Checksum(*where, download.entry.size, [algorithm], offset, length)
            try:
                answer = await download.node.ask(order, self._vfs.config.link.checksum_seconds)
            except (errors.Damaged, errors.Failed, errors.Unavailable) as refused:
                if not download.go_on(refused):
                    raise
                continue
            assert isinstance(answer, link.Checksums)
            return answer.values[algorithm]

    # --- lists of checksums

    def completeness(self, directory: Entry) -> Completeness | None:
        """Hold a directory against those of its lists of checksums that were read; for a thread.

        None: it has none, the user may not read here, or it takes too long.
        """
        if not self._vfs.lists.may_have(directory.id) or Right.READ not in self._rights_to(directory):
            return None
        try:
            judged = self._vfs.lists.completeness(directory.id, shows=self._shows(directory.id))
        except (errors.NotFound, TimeoutError):
            return None
        for unread in judged.unread:
            self._vfs.lists.notice(unread)
        return judged if judged.lines else None

    async def against_lists(self, path: TreePath) -> Completeness:
        """Hold a directory against its lists of checksums, or the files that one list names.

        Raises:
            Denied: The user may not list or read here.
            BadArgument: It is a file, but no such list.
            Unavailable: It takes too long.
        """
        true, entry = self._reach.to_read(path)
        if not entry.is_directory and sumlists.algorithm_of(entry.name) is None:
            raise errors.BadArgument(f"{shown(path)} is no list of checksums")
        directory = entry.id if entry.is_directory else entry.parent
        for right in (Right.LIST, Right.READ):
            if not self.may(right, true if entry.is_directory else true[:-1]):
                raise errors.Denied(f"{shown(path)} ({right})")
        only = b"" if entry.is_directory else entry.name
        return await self._vfs.lists.look(directory, only, shows=self._shows(directory))

    async def remark(self, entry: Entry) -> str:
        """Say how a file that the user has just stored agrees with the lists beside it.

        Empty: nothing is known, or the user may not read here.
        """
        if Right.READ not in self._rights_to(entry):
            return ""
        try:
            shows = self._shows(entry.parent)
        except errors.NotFound:
            return ""
        return await self._vfs.lists.remark(entry, shows=shows)

    def _shows(self, directory: int) -> Shows:
        """Give what says of a path below a directory whether the user could have it listed, and read it."""
        account = self.account
        top = self._catalogue.path_of(directory) if account.grants else ()

        def shows(below: TreePath) -> bool:
            path = (*top, *below)
            return account.may(Right.READ, path) and account.may(Right.LIST, path[:-1])

        return shows

    def _rights_to(self, entry: Entry) -> Rights:
        try:
            return self.rights(entry)
        except errors.NotFound:  # it is gone already
            return NOTHING

    async def room(self, path: TreePath) -> int:
        """Give the bytes that could be stored in a directory now, on all nodes and within the quotas.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file is.
        """
        quotas = await self.quotas(path)
        upload = (*self._reach.find(path)[0], b"file")
        reserve = self._vfs.config.placement.reserve_bytes
        eligible = [score.candidate for score in self._vfs.writers(upload, ()) if score.eligible]
        free = sum(max(0, candidate.free - reserve) for candidate in eligible)
        try:
            left = self._vfs.ledger.room([limit for limit, _ in quotas], Use())
        except errors.OverQuota:
            return 0
        return free if left == UNLIMITED else min(free, left)

    async def quotas(self, path: TreePath) -> list[tuple[Limit, Use]]:
        """Give the quotas that a new file in a directory is held against, each with what is used of it.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file is.
        """
        true = self._reach.find(path)[0]
        self.directory(true)
        upload = (*true, b"file")
        found = limits(
            self.account, self._vfs.place(upload, None, self.account), self._vfs.section(upload)[1]
        )
        if found:
            await self._vfs.ledger.ready()
        return [(limit, self._vfs.ledger.use(limit.holder)) for limit in found]

    # --- moving bytes

    def plan_download(self, path: TreePath, *, node: Node | None = None, ahead: bool = False) -> Download:
        """Choose the copy that serves a download.

        Args:
            path: The file.
            node: Only this node will do: the client is connected to it.
            ahead: The download itself will be asked for soon, and get this choice if nothing has changed.

        Raises:
            Denied: The user may not read it.
            IsADirectory: It is one.
            Busy: Its first content is still arriving, and its section lets nobody read it so soon; or it was
                cut.
            Damaged: No good copy is left anywhere.
            Unavailable: No node with a good copy is there now.
        """
        basis: Basis = (path, self.account, self._catalogue.version())
        download = self._ahead.take(basis, node, Download) or self._choosing.copy(path, node)
        if ahead and download.replica:
            self._ahead.keep(basis, download)
        return download

    def plan_upload(
        self, path: TreePath, *, node: Node | None = None, appending: bool = False, ahead: bool = False
    ) -> Storing:
        """Choose the volume that takes an upload.

        Args:
            path: The file, new or to be replaced.
            appending: The bytes are to go behind those that are there.
            node: Only this node will do: the client is connected to it.
            ahead: As in `plan_download`.

        Raises:
            NameNotAllowed: No file may be called so.
            NotFound: The directory isn't there.
            IsADirectory: The name is a directory's.
            NoSpace: No node that is there has room.
            Unavailable: No node is there, or not the one with the beginning.
        """
        basis: Basis = (path, self.account, self._catalogue.version(), appending)
        storing = self._ahead.take(basis, node, Storing) or self._choosing.volume(
            path, node, appending=appending
        )
        if ahead:
            self._ahead.keep(basis, storing)
        return storing

    def _uncount(self, path: TreePath, entry: Entry | None) -> None:
        if entry and entry.kind is Kind.FILE:
            self._vfs.ledger.note(self._vfs.place(path, entry, self.account), Use(-1, -entry.size))

    async def _check_section(self, source: TreePath, target: TreePath, entry: Entry | None) -> None:
        """See that a file that is moved into another section fits there.

        A directory's files are only seen there at the next count: nobody wants to wait for that now.

        Raises:
            OverQuota: It doesn't fit.
        """
        (old, _), (name, section) = self._vfs.section(source), self._vfs.section(target)
        if name == old or section is None or entry is None or entry.kind is not Kind.FILE:
            return
        place = self._vfs.place(target, entry, self.account)
        ledger, found = self._vfs.ledger, limits(self.account, place, section)
        found = [limit for limit in found if limit.holder.kind == "section"]
        if found:
            await ledger.ready()
            ledger.hold(found, Use(), entry.size)

    def _pay(self, removal: Removal) -> None:
        self._vfs.forget(removal.forgotten)
        self._vfs.owed()
