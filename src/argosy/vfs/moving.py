"""An upload, from the choice of a volume to the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Sequence

from argosy import errors
from argosy.accounts.ledger import UNLIMITED, Limit, limits
from argosy.accounts.rules import Account
from argosy.catalogue.model import (
    RESERVED,
    Discard,
    Entry,
    Replica,
    Sealed,
    State,
    TreePath,
    Upload,
    shown,
)
from argosy.catalogue.people import Right, Use
from argosy.cluster.copies.company import Company
from argosy.cluster.nodes.roster import LiveVolume, Node
from argosy.cluster.nodes.transfers import UNKNOWN, Transfer
from argosy.net.peer import refusal
from argosy.vfs.vfs import Vfs
from argosy.wire import link

log = logging.getLogger("argosy.vfs")

_CUT_SECONDS = 3.0
"""What it takes to cut an upload, once its node is given up."""


def needed_to_store(entry: Entry | None, user: str, *, appending: bool) -> Right:
    """Say which right an upload needs: of a file that is there another than of a new one.

    Args:
        entry: What has the path.
        user: Who uploads; to go on with what was cut, or begin it anew, is its own business.
        appending: The bytes go behind those that are there.
    """
    if entry is None or (entry.state in (State.UPLOADING, State.PARTIAL) and entry.owner == user):
        return Right.WRITE
    return Right.APPEND if appending else Right.OVERWRITE


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
        self._limits: list[Limit] = []
        self._room = UNLIMITED
        self._before = Use()
        """What was there in its place."""
        self._live = False
        """That is read until the upload is committed, and stays if it is cut."""
        self._place = vfs.place(path, None, account)
        self._transfer: Transfer | None = None
        self._company: Company | None = None
        self._kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()

    @property
    def number(self) -> int:
        """The upload's id."""
        assert self._upload is not None, "begun"
        return self._upload.id

    @property
    def received(self) -> int:
        """Bytes that the file has so far, as the node's last beat told."""
        return self._offset + (self._transfer.moved if self._transfer else 0)

    @property
    def names(self) -> str:
        """The nodes that have it, for people."""
        return " and ".join([self.node.name, *(self._company.names if self._company else ())])

    async def kept(self) -> bool:
        """Wait for the upload's end, and say whether the file is there now."""
        return await asyncio.shield(self._kept)

    async def make_way(self) -> None:
        """Wait until the upload is over, if it will be soon, for its node is gone; else return at once."""
        if not self.node.online:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._vfs.config.link.redial_seconds + _CUT_SECONDS):
                    await self._over.wait()

    async def begin(self, *, offset: int | None, announced: int = -1) -> None:
        """Take the name.

        Who begins anew what went to a node that died, before the master gave that up, waits for it.

        Args:
            offset: Where the first byte goes (REST); None: behind the last one there (APPE).
            announced: Bytes that ALLO announced; -1 for unknown.

        Raises:
            Busy: Somebody else uploads to it.
            OverQuota: There is no room for it.
            BadArgument: The offset is behind the end of what is there.
            Denied: What is there is older than what the client means to go on with; or it is there by now,
                and the user may not change it.
            NoSpace: There is no room for as many copies as it is to be acknowledged with.
            Unavailable: There aren't enough nodes for them.
        """
        if offset == 0 and (before := self._vfs.storing.get(self.path)):
            await before.make_way()
        entry = self._vfs.catalogue.find_or_none(self.path)
        right = needed_to_store(entry, self._account.name, appending=offset is None)
        if not self._account.may(right, self.path):
            raise errors.Denied(f"{shown(self.path)} ({right})")
        live = entry is not None and entry.state in (State.LIVE, State.CONFLICT)
        await self._measure(entry, offset, max(announced, 0))
        upload = await self._vfs.catalogue.begin(
            self.path,
            volume=self.live.number,
            node=self.node.name,
            epoch=self.node.epoch,
            user=self._account.name,
            group=self._account.group,
            resume=offset is None or offset > 0,
            offset=offset,
            along=self._vfs.company(self.path, entry, self.live.number),
        )
        self._vfs.storing[self.path] = self
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
        self._transfer = transfer
        flush = self._vfs.rule(self.path).flush
        transfer.receive(
            self._upload,
            self.live.store_id,
            offset=self._offset,
            as_text=as_text,
            announced=announced,
            flush=flush,
            room=self._room,
        )
        if self._upload.companions:
            self._company = Company(
                self._vfs.config,
                self._vfs.catalogue,
                self._vfs.roster,
                self._upload,
                offset=self._offset,
                flush=flush,
                another=self._another,
            )
            transfer.when_cancelled(self._company.give_up)
            self._company.begin()

    def _another(self, taken: Collection[int], failed: Collection[int]) -> int | None:
        """Choose who takes it along in place of one that failed."""
        assert self._upload is not None, "begun"
        try:
            found = self._vfs.beside(self.path, self._upload.file, list(taken), 1, without=failed)
        except errors.Unavailable:
            return None
        return found[0] if found else None

    async def end(self, done: link.Done, *, alive: bool) -> Entry:
        """Acknowledge or keep as partial.

        Args:
            done: How the node's part went.
            alive: Whether the client is still there to hear the answer: a killed client's upload ends
                just like a whole one.

        Raises:
            Refused: What the node said, or `TransferCut` for a client that is gone. `Failed` or `NoSpace`, if
                there aren't as many copies in time as it is to be acknowledged with; it can be gone on with.
        """
        assert self._upload is not None, "begun"
        if done.refusal or not alive:
            refused = refusal(done.refusal or errors.TransferCut.__name__, done.subject)
            await self._cut(self._left(done, refused), only_along=isinstance(refused, errors.Failed))
            if isinstance(refused, errors.Failed):
                await self._blame(refused)
            raise refused
        sealed = Sealed(done.size, done.mtime_ns, done.crc32, done.digest)
        try:
            along = await self._company.complete(sealed) if self._company else []
        except BaseException:
            await self._cut(done.size)
            raise
        named_ns = time.time_ns()
        try:
            # Others were stored meanwhile, so it may not fit any more.
            with self._vfs.ledger.promised(self._limits, self._place, self._before, Use(1, done.size)):
                entry, replica, discards = await self._vfs.catalogue.commit(
                    self._upload.id, sealed, epoch=self.node.epoch, along=along
                )
        except errors.OverQuota as refused:
            await self._cut(self._left(done, refused))
            raise
        except Exception:
            await self._cut(done.size)
            raise
        self._settled(kept=True)
        self._over.set()
        self._put_in_place(replica, named_ns, discards)
        if self._company:
            self._vfs.forget((volume, self._upload.id) for volume in self._company.dismissed)
        for copy in self._vfs.catalogue.replicas(entry.id) if along else ():
            if copy.volume != replica.volume:
                self._put_in_place(copy, named_ns, discards)
        if discards or replica.loc.startswith(RESERVED):
            self._vfs.owed()
        return entry

    def _left(self, done: link.Done, refused: errors.Refused) -> int | None:
        """Say what is left of an upload that ended so, as `_cut` takes it.

        What a quota or a disk refused is of no use to go on with. A file that was to be replaced keeps its
        content, and that isn't what the client sent: it did send something, though the node kept none of it.
        """
        arrived = _arrived(done)
        if self._live and isinstance(refused, errors.OverQuota | errors.Failed | errors.NoSpace):
            return arrived or None
        return 0 if isinstance(refused, errors.OverQuota | errors.Failed) else arrived

    async def _blame(self, refused: errors.Failed) -> None:
        """The disk can't be written: the next uploads go elsewhere."""
        conduct, now = self._vfs.roster.conduct, time.monotonic()
        conduct.trouble(self.node.name, self.live.number, str(refused), now)
        conduct.refused_upload(self.live.number, now)
        told = f"{self.node.name} couldn't store an upload on volume {self.live.store_id}: {refused.subject}"
        log.error("%s", told)
        await self._vfs.catalogue.note_matter(f"unwritable:{self.live.store_id}", told)

    def _put_in_place(self, replica: Replica, named_ns: int, discards: Sequence[Discard]) -> None:
        """Tell a node where its copy shall lie; one that is away hears of it when it is back."""
        with contextlib.suppress(errors.Unavailable):
            node, live = self._vfs.roster.place(replica.volume)
            part = link.CommitPart(*self._vfs.catalogue.placement(replica, named_ns, discards))
            node.tell(link.Commit(live.store_id, [part]))

    async def give_up(self) -> None:
        """The data connection never came: leave things as they were."""
        assert self._upload is not None, "begun"
        await self._cut(self._upload.received)

    async def _measure(self, entry: Entry | None, offset: int | None, announced: int) -> None:
        """See how much room the quotas leave, now that it is known what is there.

        Raises:
            OverQuota: None at all.
        """
        self._place = self._vfs.place(self.path, entry, self._account)
        self._before = Use(1, entry.size) if entry else Use()
        self._live = entry is not None and entry.state in (State.LIVE, State.CONFLICT)
        self._limits = limits(self._account, self._place, self._vfs.section(self.path)[1])
        if self._limits:
            await self._vfs.ledger.ready()
            self._room = self._vfs.ledger.room(self._limits, self._before)
            # Who appends brings a byte at least, and what is there already makes no room for that.
            least = self._before.bytes + max(announced, 1) if offset is None else offset + announced
            self._vfs.ledger.hold(self._limits, self._before, least)

    def _note(self, after: Use) -> None:
        self._vfs.ledger.note(self._place, after + -self._before)

    def _settled(self, *, kept: bool) -> None:
        assert self._upload is not None, "begun"
        if self._vfs.arriving.get(self._upload.file) is self:
            del self._vfs.arriving[self._upload.file]
        if not self._kept.done():
            self._kept.set_result(kept)

    async def _cut(self, received: int | None, *, only_along: bool = False) -> None:
        """End it without acknowledging it.

        Args:
            received: Bytes that the first volume has; None: nobody knows yet; 0: nothing to go on with.
            only_along: If others took it along, it is gone on with what they have.
        """
        assert self._upload is not None, "begun"
        self._settled(kept=False)
        if not self._live:
            self._note(Use(1, received) if received else Use())
        try:
            along = await self._company.cut() if self._company else {}
            others = only_along and any(along.values())
            worthless = await self._vfs.catalogue.cut(self._upload.id, None if others else received, along)
        finally:
            self._over.set()
        parts = (self.live.number, *along) if worthless else [one for one, size in along.items() if size == 0]
        if others and not worthless:
            parts = [self.live.number, *parts]
        self._vfs.forget((volume, self._upload.id) for volume in parts)


def _arrived(done: link.Done) -> int | None:
    return None if done.size == UNKNOWN else done.size
