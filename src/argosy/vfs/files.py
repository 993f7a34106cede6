"""The tree as one user sees it; rights are checked here, once, for every door."""

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
    Standing,
    State,
    TreePath,
    check_path,
    shown,
)
from argosy.catalogue.people import NOTHING, Right, Rights, Use
from argosy.catalogue.query import Hits, Mark, Query
from argosy.cluster.roster import LiveVolume, Node
from argosy.vfs.ahead import Ahead, Basis
from argosy.vfs.moving import Download, Storing, needed_to_store
from argosy.vfs.vfs import Vfs
from argosy.wire import link

GUARDED = frozenset({Right.READ, Right.APPEND, Right.OVERWRITE, Right.DELETE})
"""Rights that nobody gets by moving something to where it has them."""

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
        self._login = login
        self._ahead = Ahead()

    @property
    def account(self) -> Account:
        """What is in force for the user, now."""
        return self._login.account

    def may(self, right: Right, path: TreePath) -> bool:
        """Say whether the user may do one thing at a path."""
        return self.account.may(right, path)

    # --- reading the tree

    def entry(self, path: TreePath) -> Entry:
        """Give the entry that a path leads to.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands in the way.
            LinkLoop: Links lead in a circle.
        """
        return self._reach(path)[1]

    def named(self, path: TreePath) -> Entry:
        """Give the entry that has just this name, be it a link; for what concerns the name, as a rename.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands in the way.
            LinkLoop: Links lead in a circle.
        """
        return self._reach(path, follow=False)[1]

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
        path = self._to_change(path, Right.MKDIR)
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
        path = self._to_change(path, Right.WRITE)
        return await self._catalogue.make_link(
            path, target, owner=self.account.name, group=self.account.group
        )

    async def remove_directory(self, path: TreePath) -> None:
        """Remove an empty directory.

        Raises:
            NotEmpty: Something is in it.
            NotADirectory: It is a file, or a link, wherever that leads.
        """
        path = self._to_change(path, Right.RMDIR)
        await self._catalogue.remove_directory(path)

    async def delete(self, path: TreePath) -> None:
        """Delete a file, whose copies follow as their nodes can, or a link, and not what it leads to.

        Raises:
            IsADirectory: It is one.
            Busy: It is being uploaded.
        """
        path = self._to_change(path, Right.DELETE)
        entry = self._catalogue.find_or_none(path)
        self._pay(await self._catalogue.delete(path))
        self._uncount(path, entry)

    async def rename(self, source: TreePath, target: TreePath) -> None:
        """Rename or move; a plain file or a link in the way is replaced.

        Raises:
            IsADirectory: A directory is in the way.
            BadArgument: A directory would go into itself.
            Denied: The user may not, or could do there what it couldn't here.
        """
        source = self._to_change(source, Right.RENAME)
        entry = self._catalogue.find_or_none(source)
        target = self._to_change(target, Right.MKDIR if entry and entry.is_directory else Right.WRITE)
        replaced = self._catalogue.find_or_none(target) if target != source else None
        if replaced:
            self._check(target, Right.OVERWRITE)
        self._check_move(source, target)
        await self._check_section(source, target, entry)
        self._pay(await self._catalogue.rename(source, target))
        self._uncount(target, replaced)
        if entry and entry.kind is Kind.FILE:
            self._uncount(source, entry)
            self._vfs.ledger.note(self._vfs.place(target, entry, self.account), Use(1, entry.size))

    async def set_mtime(self, path: TreePath, mtime_ns: int) -> None:
        """Set the modification time."""
        path = self._to_describe(path)
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
        path = self._to_describe(path)
        mode = None if mode is None else mode & 0o7777
        await self._catalogue.set_attributes(path, mtime_ns=mtime_ns, created_ns=created_ns, mode=mode)
        self._vfs.owed()

    async def set_mode(self, path: TreePath, mode: int) -> None:
        """Set the permission bits: they are shown, and change nobody's rights."""
        path = self._to_describe(path)
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
        true, entry = self._reach(path)
        if not self.may(Right.READ, true):
            raise errors.Denied(f"{shown(path)} ({Right.READ})")
        whole = offset == 0 and length in (-1, entry.size)
        if whole and (known := self._vfs.sums.of(entry, algorithm)):
            return known
        download = self.plan_download(path)
        if download.replica is None:
            raise errors.Busy(f"{shown(path)} is not complete")
        answer = await download.node.ask(
            link.Checksum(
                *(download.live.store_id, download.replica.loc, download.replica.ver, entry.size),
                *([algorithm], offset, length),
            ),
            self._vfs.config.link.checksum_seconds,
        )
        assert isinstance(answer, link.Checksums)
        if whole:
            self._vfs.sums.note(entry, algorithm, answer.values[algorithm])
        return answer.values[algorithm]

    async def room(self, path: TreePath) -> int:
        """Give the bytes that could be stored in a directory now, on all nodes and within the quotas.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file is.
        """
        quotas = await self.quotas(path)
        upload = (*self._reach(path)[0], b"file")
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
        true = self._reach(path)[0]
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
        download = self._ahead.take(basis, node, Download) or self._choose_copy(path, node)
        if ahead and download.replica:
            self._ahead.keep(basis, download)
        return download

    def _choose_copy(self, path: TreePath, node: Node | None) -> Download:
        path, entry = self._reach(path)
        if not self.may(Right.READ, path):
            raise errors.Denied(f"{shown(path)} ({Right.READ})")
        if entry.is_directory:
            raise errors.IsADirectory(shown(path))
        if entry.state in (State.UPLOADING, State.PARTIAL):
            return self._plan_following(path, entry, node)
        replicas = {
            replica.volume: replica
            for replica in self._catalogue.replicas(entry.id)
            if replica.standing is Standing.GOOD
        }
        if not replicas:
            raise errors.Damaged(shown(path))
        for number in self._vfs.serving(replicas.keys()):
            host, live = self._vfs.roster.place(number)
            if node is None or host is node:
                self._vfs.roster.chosen(live.number)
                return Download(path, entry, replicas[live.number], host, live)
        raise errors.Unavailable(shown(path))

    def _plan_following(self, path: TreePath, entry: Entry, node: Node | None) -> Download:
        """Have a file sent while it is still arriving; only the node where it does can."""
        storing = self._vfs.arriving.get(entry.id)
        section = self._vfs.section(path)[1]
        if storing is None or (section and not section.read_arriving):
            raise errors.Busy(f"{shown(path)} is not complete")
        if node is not None and node is not storing.node:
            raise errors.Unavailable(f"{shown(path)} is arriving at another node")
        return Download(path, entry, None, storing.node, storing.live, storing)

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
        storing = self._ahead.take(basis, node, Storing) or self._choose_volume(path, node, appending)
        if ahead:
            self._ahead.keep(basis, storing)
        return storing

    def _choose_volume(self, path: TreePath, node: Node | None, appending: bool) -> Storing:
        path = self._to_change(path, None, follow=True)
        entry = self._catalogue.find_or_none(path)
        self._check(path, needed_to_store(entry, self.account.name, appending=appending))
        self._check_quota(path, entry)
        if entry and entry.is_directory:
            raise errors.IsADirectory(shown(path))
        if entry and entry.state is State.PARTIAL and (part := self._catalogue.partial(entry.id)):
            with_part = self._host(part.volume)
            if with_part and (node is None or with_part[0] is node):
                return Storing(self._vfs, path, self.account, *with_part)
        replicas = self._catalogue.replicas(entry.id) if entry else []
        scores = self._vfs.writers(path, replicas)
        for score in scores:
            if score.eligible and (node is None or score.candidate.node == node.name):
                host, live = self._vfs.roster.place(score.candidate.volume)
                self._vfs.roster.chosen(live.number)
                return Storing(self._vfs, path, self.account, host, live)
        if any(score.candidate.online for score in scores):
            raise errors.NoSpace(shown(path))
        raise errors.Unavailable(shown(path))

    def _host(self, volume: int) -> tuple[Node, LiveVolume] | None:
        try:
            return self._vfs.roster.place(volume)
        except errors.Unavailable:
            return None

    def _uncount(self, path: TreePath, entry: Entry | None) -> None:
        if entry and entry.kind is Kind.FILE:
            self._vfs.ledger.note(self._vfs.place(path, entry, self.account), Use(-1, -entry.size))

    def _check_quota(self, path: TreePath, entry: Entry | None) -> None:
        """Refuse what can't be stored before anybody connects; where nothing was counted yet, STOR will see.

        Raises:
            OverQuota: A quota is used up.
        """
        ledger = self._vfs.ledger
        if ledger.counted:
            place = self._vfs.place(path, entry, self.account)
            held = limits(self.account, place, self._vfs.section(path)[1])
            ledger.room(held, Use(1, entry.size) if entry else Use())

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

    def _check(self, path: TreePath, right: Right) -> None:
        if not self.may(right, path):
            if not self.account.sees(path):
                raise errors.NotFound(shown(path))
            raise errors.Denied(f"{shown(path)} ({right})")
        check_path(path)

    def _check_move(self, source: TreePath, target: TreePath) -> None:
        """See that nobody gets around a grant by moving things.

        Raises:
            Denied: Grants lie below, or what is moved could be read or changed there, and not here.
        """
        account = self.account
        if account.fenced(source) or account.fenced(target):
            raise errors.Denied(f"{shown(source)} (what is granted lies below)")
        gained = (account.rights(target) - account.rights(source)) & GUARDED
        if gained:
            raise errors.Denied(f"{shown(target)} (it would give the right to {min(gained)})")

    def _to_describe(self, path: TreePath) -> TreePath:
        """Give the true path of what shall get other facts: one's own needs no right to overwrite."""
        path = self._to_change(path, None, follow=True)
        entry = self._catalogue.find_or_none(path)
        own = entry is not None and entry.owner == self.account.name
        fresh = Right.MKDIR if entry and entry.is_directory else Right.WRITE
        self._check(path, fresh if own and self.may(fresh, path) else Right.OVERWRITE)
        return path

    def _reach(self, path: TreePath, *, follow: bool = True) -> tuple[TreePath, Entry]:
        """Give the true path of what a path leads to, without links, and the entry there.

        Raises:
            NotFound: Nothing is there, or nothing that the user may see.
        """
        if not self.account.sees(path):
            raise errors.NotFound(shown(path))
        true, entry = self._resolved(path, follow=follow)
        if entry is None:
            raise errors.NotFound(shown(path))
        return true, self._vfs.as_it_arrives(entry)

    def _resolved(self, path: TreePath, *, follow: bool) -> tuple[TreePath, Entry | None]:
        """Give the true path of what a path leads to, and what is there, which may be nothing.

        A link may lead to where the user sees nothing: whatever is there, the answer is the same, and names
        the path that was asked for.

        Raises:
            NotFound: A directory on the way isn't there, or the user may not see where it leads.
            NotADirectory: A file stands in the way.
        """
        try:
            true, entry = self._catalogue.resolve(path, follow=follow)
        except errors.NotADirectory as refused:
            if self.account.grants and not self.account.admin:
                raise errors.NotFound(shown(path)) from refused
            raise
        if not self.account.sees(true):
            raise errors.NotFound(shown(path))
        return true, entry

    def _to_change(self, path: TreePath, right: Right | None, *, follow: bool = False) -> TreePath:
        """Give the true path of what shall change, without links, if the user has the right to do so there.

        Args:
            path: As the client says it.
            right: What the change needs; None: the caller sees to that.
            follow: The link that has the path isn't meant, but what it leads to.
        """
        check_path(path)
        try:
            true = self._resolved(path, follow=follow)[0]
        except (errors.NotFound, errors.NotADirectory):
            # Who may not change anything here hears nothing of what is here.
            self._check(path, right or Right.WRITE)
            raise
        if right:
            self._check(true, right)
        return true

    def _pay(self, removal: Removal) -> None:
        self._vfs.forget(removal.forgotten)
        self._vfs.owed()
