"""The one view of files that every door sees; rights are checked here, once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from argosy import errors
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import (
    Entry,
    PartName,
    Removal,
    Replica,
    Sealed,
    Standing,
    State,
    TreePath,
    Upload,
    check_path,
    shown,
)
from argosy.catalogue.people import Right
from argosy.cluster import placement
from argosy.cluster.placement import Score
from argosy.cluster.roster import LiveVolume, Node, Roster
from argosy.cluster.transfers import UNKNOWN, Transfer
from argosy.config import Master, Section
from argosy.net.peer import refusal
from argosy.wire import link

log = logging.getLogger("argosy.vfs")

CUT_SHORT = 10_000
"""Cut replacements that are remembered."""

PAGE = 1_000
"""Entries read at once for a listing: some 3 ms."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a directory."""

    entries: list[Entry]
    holders: Mapping[int, list[str]]
    """Names of the nodes that have a copy, by FileId; empty unless asked for."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a path lies, and who would serve it."""

    entry: Entry | None
    section: str
    replicas: list[Replica]
    readers: list[Score]
    writers: list[Score]


class Vfs:
    """The files of the site."""

    def __init__(
        self, config: Master, catalogue: Catalogue, roster: Roster, *, owed: Callable[[], None]
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: What exists.
            roster: Who is there.
            owed: Told when a disk has to follow a change of the tree.
        """
        self.config = config
        self.catalogue = catalogue
        self.roster = roster
        self.owed = owed
        self.cut_short: dict[int, None] = {}
        """FileIds whose replacement was cut, the last ones: the old content stayed, and an APPE or REST that
        means to go on with the new one would mix the two."""
        self.arriving: dict[int, Storing] = {}
        """Uploads that run, by FileId, of files whose first content they are."""

    def note_cut_short(self, file: int) -> None:
        """Remember a replacement that was cut."""
        self.cut_short[file] = None
        if len(self.cut_short) > CUT_SHORT:
            del self.cut_short[next(iter(self.cut_short))]

    def files(self, account: Account) -> Files:
        """Give the files as a user sees them."""
        return Files(self, account)

    def as_it_arrives(self, entry: Entry) -> Entry:
        """Give an entry with the size that has arrived so far, if it is still arriving."""
        if entry.state is State.UPLOADING and (storing := self.arriving.get(entry.id)):
            return replace(entry, size=storing.received)
        return entry

    def forget(self, parts: Iterable[PartName]) -> None:
        """Have parts removed that nobody goes on with."""
        for volume, upload in parts:
            self.roster.forget(volume, [upload])

    def section(self, path: TreePath) -> tuple[str, Section | None]:
        """Give the name and rules of the deepest section that holds a path; none: an empty name."""
        return placement.section_for(self.config.sections, path)

    def explain(self, path: TreePath) -> Explanation:
        """Say where a path lies, who would serve it now and who would take an upload to it."""
        entry = self.catalogue.find_or_none(path)
        replicas = self.catalogue.replicas(entry.id) if entry else []
        return Explanation(
            entry=entry,
            section=self.section(path)[0],
            replicas=replicas,
            readers=self.readers(replicas),
            writers=self.writers(path, replicas),
        )

    def readers(self, replicas: Iterable[Replica]) -> list[Score]:
        """Rank the volumes with a good copy for a download."""
        good = {replica.volume: replica for replica in replicas if replica.standing is Standing.GOOD}
        known = [one for one in self.roster.candidates(set(good)) if one.holds]
        away = good.keys() - {one.volume for one in known}
        strangers = [placement.Candidate(good[number].node, number, online=False) for number in away]
        return placement.rank_readers([*known, *strangers], self.config.placement)

    def writers(self, path: TreePath, replicas: Iterable[Replica]) -> list[Score]:
        """Rank the volumes for an upload to a path.

        While a volume that has the replaced version is there with room, only such come first: the client may
        yet say REST or APPE, which goes on from what is there.
        """
        holders = {replica.volume for replica in replicas}
        scores = placement.rank_writers(
            self.roster.candidates(holders), self.config.placement, self.section(path)[1]
        )
        return sorted(scores, key=lambda score: not (score.eligible and score.candidate.holds))


class Files:
    """The tree as one user sees it."""

    def __init__(self, vfs: Vfs, account: Account) -> None:
        self._vfs = vfs
        self._catalogue = vfs.catalogue
        self.account = account

    def may(self, right: Right, path: TreePath) -> bool:
        """Say whether the user may do one thing at a path."""
        return self.account.may(right, path)

    # --- reading the tree

    def entry(self, path: TreePath) -> Entry:
        """Give the entry at a path.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands in the way.
        """
        return self._vfs.as_it_arrives(self._catalogue.find(path))

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
        """
        after = b""
        while entries := self._catalogue.children(directory.id, after=after, limit=PAGE):
            upto = entries[-1].name
            holders = self._catalogue.holders(directory.id, after, upto) if with_holders else {}
            yield Listed([self._vfs.as_it_arrives(entry) for entry in entries], holders)
            after = upto

    def holders(self, entry: Entry) -> list[str]:
        """Give the names of the nodes that have a copy."""
        return sorted({replica.node for replica in self._catalogue.replicas(entry.id)})

    @property
    def writable(self) -> bool:
        """Whether the user may change anything."""
        return self.may(Right.WRITE, ())

    # --- changing the tree

    async def make_directory(self, path: TreePath) -> Entry:
        """Make a directory.

        Raises:
            Exists: The name is taken.
            NotFound: Its parent isn't there.
        """
        self._check(path, Right.MKDIR)
        return await self._catalogue.make_directory(path, owner=self.account.name, group=self.account.group)

    async def remove_directory(self, path: TreePath) -> None:
        """Remove an empty directory.

        Raises:
            NotEmpty: Something is in it.
        """
        self._check(path, Right.RMDIR)
        await self._catalogue.remove_directory(path)

    async def delete(self, path: TreePath) -> None:
        """Delete a file; the copies follow as their nodes can.

        Raises:
            IsADirectory: It is one.
            Busy: It is being uploaded.
        """
        self._check(path, Right.DELETE)
        self._pay(await self._catalogue.delete(path))

    async def rename(self, source: TreePath, target: TreePath) -> None:
        """Rename or move; a plain file in the way is replaced.

        Raises:
            IsADirectory: A directory is in the way.
            BadArgument: A directory would go into itself.
        """
        self._check(source, Right.RENAME)
        self._check(target, Right.WRITE)
        self._pay(await self._catalogue.rename(source, target))

    async def set_mtime(self, path: TreePath, mtime_ns: int) -> None:
        """Set the modification time."""
        self._check(path, Right.OVERWRITE)
        await self._catalogue.set_attributes(path, mtime_ns=mtime_ns)
        self._vfs.owed()

    async def set_mode(self, path: TreePath, mode: int) -> None:
        """Set the permission bits: they are shown, and change nobody's rights."""
        self._check(path, Right.OVERWRITE)
        await self._catalogue.set_attributes(path, mode=mode & 0o7777)

    async def checksum(self, path: TreePath, algorithm: str, *, offset: int = 0, length: int = -1) -> str:
        """Give a checksum in hex digits: the recorded one, else a node reads the file.

        Args:
            path: The file.
            algorithm: As in `link.Checksum`.
            offset: First byte.
            length: Bytes from there; -1: all.

        Raises:
            Unavailable: No node with a good copy is there.
        """
        entry = self.entry(path)
        whole = offset == 0 and length in (-1, entry.size)
        if algorithm == "crc32" and whole and entry.crc32 is not None and not entry.is_directory:
            return f"{entry.crc32:08x}"
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
        return answer.values[algorithm]

    # --- moving bytes

    def plan_download(self, path: TreePath, *, node: Node | None = None) -> Download:
        """Choose the copy that serves a download.

        Args:
            path: The file.
            node: Only this node will do: the client is connected to it.

        Raises:
            IsADirectory: It is one.
            Busy: Its first content is still arriving, and its section lets nobody read it so soon; or it was
                cut.
            Damaged: No good copy is left anywhere.
            Unavailable: No node with a good copy is there now.
        """
        entry = self.entry(path)
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
        for score in self._vfs.readers(replicas.values()):
            if score.eligible and (node is None or score.candidate.node == node.name):
                host, live = self._vfs.roster.place(score.candidate.volume)
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

    def plan_upload(self, path: TreePath, *, node: Node | None = None) -> Storing:
        """Choose the volume that takes an upload.

        Args:
            path: The file, new or to be replaced.
            node: Only this node will do: the client is connected to it.

        Raises:
            NameNotAllowed: No file may be called so.
            NotFound: The directory isn't there.
            IsADirectory: The name is a directory's.
            NoSpace: No node that is there has room.
            Unavailable: No node is there, or not the one with the beginning.
        """
        self._check(path, Right.WRITE)
        parent = self.directory(path[:-1])
        entry = self._catalogue.find_or_none(path)
        if entry and entry.is_directory:
            raise errors.IsADirectory(shown(path))
        del parent
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

    def _check(self, path: TreePath, right: Right) -> None:
        if not self.may(right, path):
            raise errors.Denied(f"{shown(path)} ({right})")
        check_path(path)

    def _pay(self, removal: Removal) -> None:
        self._vfs.forget(removal.forgotten)
        self._vfs.owed()


@dataclass(frozen=True, slots=True)
class Download:
    """A copy chosen for one download."""

    path: TreePath
    entry: Entry
    replica: Replica | None
    """None: it is still arriving."""
    node: Node
    live: LiveVolume
    follows: Storing | None = None
    """The upload that brings it."""

    def check(self, offset: int) -> None:
        """Check where the download begins; of a file that is still arriving the node knows more than we.

        Raises:
            BadArgument: Behind the end.
        """
        if offset > self.entry.size and not self.follows:
            raise errors.BadArgument(f"REST {offset} is behind the end, at {self.entry.size}")

    def start(self, transfer: Transfer, *, offset: int, as_text: bool) -> None:
        """Have the node send from `offset` on."""
        if self.follows:
            transfer.follow(self.follows.number, self.live.store_id, offset=offset, as_text=as_text)
        elif self.replica:
            size = self.entry.size
            transfer.send(self.replica, self.live.store_id, size=size, offset=offset, as_text=as_text)

    async def end(self, done: link.Done) -> None:
        """Take the outcome; a file that was still arriving must first be acknowledged to who sent it.

        Raises:
            Refused: What the node said, or `TransferCut` for an upload that came to nothing in the end.
        """
        if done.refusal:
            raise refusal(done.refusal, done.subject)
        if self.follows and not await self.follows.kept():
            raise errors.TransferCut("the upload of this file was cut")


class Storing:
    """A volume chosen for one upload, and the upload itself from `begin` to `end`."""

    def __init__(self, vfs: Vfs, path: TreePath, account: Account, node: Node, live: LiveVolume) -> None:
        self._vfs = vfs
        self.path = path
        self._account = account
        self.node = node
        self.live = live
        self._upload: Upload | None = None
        self._offset = 0
        self._replaces = False
        self._transfer: Transfer | None = None
        self._kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def number(self) -> int:
        """The upload's id."""
        assert self._upload is not None, "begun"
        return self._upload.id

    @property
    def received(self) -> int:
        """Bytes that the file has so far, as the node's last beat told."""
        return self._offset + (self._transfer.moved if self._transfer else 0)

    async def kept(self) -> bool:
        """Wait for the upload's end, and say whether the file is there now."""
        return await asyncio.shield(self._kept)

    async def begin(self, *, offset: int | None) -> None:
        """Take the name.

        Args:
            offset: Where the first byte goes (REST); None: behind the last one there (APPE).

        Raises:
            Busy: Somebody else uploads to it.
            BadArgument: The offset is behind the end of what is there.
        """
        entry = self._vfs.catalogue.find_or_none(self.path)
        live = entry is not None and entry.state in (State.LIVE, State.CONFLICT)
        self._replaces = live and offset == 0
        if entry and offset != 0 and entry.id in self._vfs.cut_short:
            raise errors.Denied(f"{shown(self.path)} was cut while it was being replaced; send it whole")
        upload = await self._vfs.catalogue.begin(
            self.path,
            volume=self.live.number,
            node=self.node.name,
            epoch=self.node.epoch,
            user=self._account.name,
            group=self._account.group,
            resume=offset is None or offset > 0,
        )
        self._vfs.forget(upload.forgotten)
        there = upload.base.size if upload.base else upload.received
        self._upload, self._offset = upload, there if offset is None else offset
        if self._offset > there:
            await self.give_up()
            raise errors.BadArgument(f"REST {offset} is behind the end, at {there}")
        if not live:
            self._vfs.arriving[upload.file] = self

    def start(self, transfer: Transfer, *, as_text: bool, announced: int) -> None:
        """Have the node take the bytes."""
        assert self._upload is not None, "begun"
        section = self._vfs.section(self.path)[1]
        self._transfer = transfer
        transfer.receive(
            self._upload,
            self.live.store_id,
            offset=self._offset,
            as_text=as_text,
            announced=announced,
            flush=section.flush if section else True,
        )

    async def end(self, done: link.Done, *, alive: bool) -> Entry:
        """Acknowledge or keep as partial.

        Args:
            done: How the node's part went.
            alive: Whether the client is still there to hear the answer: a killed client's upload ends
                just like a whole one.

        Raises:
            Refused: What the node said, or `TransferCut` for a client that is gone.
        """
        assert self._upload is not None, "begun"
        if done.refusal or not alive:
            await self._cut(None if done.size == UNKNOWN else done.size)
            raise refusal(done.refusal or errors.TransferCut.__name__, done.subject)
        sealed = Sealed(done.size, done.mtime_ns, done.crc32, done.digest)
        try:
            entry, replica, discards = await self._vfs.catalogue.commit(
                self._upload.id, sealed, epoch=self.node.epoch
            )
        except Exception:
            await self._cut(done.size)
            raise
        self._vfs.cut_short.pop(entry.id, None)
        self._settled(kept=True)
        self.node.tell(
            link.Commit(
                self.live.store_id,
                [link.CommitPart(self._upload.id, replica.loc, replica.mtime_ns)],
            )
        )
        if discards:
            self._vfs.owed()
        return entry

    async def give_up(self) -> None:
        """The data connection never came: leave things as they were."""
        assert self._upload is not None, "begun"
        await self._cut(self._upload.received)

    def _settled(self, *, kept: bool) -> None:
        assert self._upload is not None, "begun"
        if self._vfs.arriving.get(self._upload.file) is self:
            del self._vfs.arriving[self._upload.file]
        if not self._kept.done():
            self._kept.set_result(kept)

    async def _cut(self, received: int | None) -> None:
        assert self._upload is not None, "begun"
        self._settled(kept=False)
        if self._replaces and received != 0:
            self._vfs.note_cut_short(self._upload.file)
        if await self._vfs.catalogue.cut(self._upload.id, received):
            self._vfs.roster.forget(self.live.number, [self._upload.id])
