"""Copies from node to node: the master says who sends what to whom, and enters what came in the record.

No byte passes the master. What a node has sealed counts at once, file by file; a batch that ends early leaves
the others to be asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry, Replica, Sealed
from argosy.cluster.copies.pair import Pair
from argosy.cluster.nodes.roster import LiveVolume, Node, Roster
from argosy.config import Master
from argosy.net.peer import refusal
from argosy.wire import link


@dataclass(frozen=True, slots=True)
class Item:
    """One file to copy: what it is, and the replica to copy."""

    entry: Entry
    replica: Replica


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that are copied from one volume to another, over one connection."""

    source: int
    """The number of the volume that has them."""
    target: int
    """The number of the volume that shall have them, too."""
    items: tuple[Item, ...]
    flush: bool = True
    """Whether they shall be flushed to the disk before they count."""

    @property
    def bytes(self) -> int:
        """What all the files come to."""
        return sum(item.entry.size for item in self.items)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file of a batch."""

    file: int
    ver: int
    refusal: errors.Refused | None
    """None: it has a good replica on the target now. `Damaged`: the source's isn't what it should be;
    `Changed`: the file isn't what it was; else: try again."""
    bytes: int


class Run(Pair):
    """A batch under way."""

    def __init__(self, batch: Batch, source: Node, target: Node, live: LiveVolume) -> None:
        """Draw the tickets of both ends.

        Raises:
            Unavailable: One of them is away.
        """
        super().__init__(source, target)
        self.batch, self.live = batch, live
        self.since = time.monotonic()
        """When it began, on the monotonic clock."""


class Copier:
    """Has batches copied: not too many at once, not too fast, and none for ever."""

    def __init__(self, config: Master, catalogue: Catalogue, roster: Roster) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Enters what came.
            roster: Reaches the nodes.
        """
        self._table = config.repair
        self._patience = config.link.lost_seconds
        self._request_seconds = config.link.request_seconds
        self._catalogue = catalogue
        self._roster = roster
        self._busy: Counter[str] = Counter()
        self._freed = asyncio.Condition()
        self.runs: set[Run] = set()
        """The batches under way."""
        self.files = self.bytes = 0
        """Copied since the start."""

    def room(self, node: str) -> int:
        """Say how many batches more a node may send or take now."""
        return max(0, self._table.copies_per_node - self._busy[node])

    async def copy(self, batch: Batch) -> list[Outcome]:
        """Copy files, and say of each, in order, what became of it. Nothing is raised that is a refusal.

        It waits until both nodes have room for it. When it is cancelled, so are the transfers.
        """
        arrived: dict[int, link.Arrived] = {}
        failure: errors.Refused | None
        try:
            source, _ = self._roster.place(batch.source)
            target, live = self._roster.place(batch.target)
            async with self._turn(source.name, target.name):
                run = Run(batch, source, target, live)
                arrived = run.gathering.arrived
                failure = await self._carry_out(run)
        except errors.Refused as refused:
            failure = refused
        failure = failure or errors.Failed("nothing was said of it")
        outcomes = [_outcome(item, arrived.get(item.entry.ver), failure) for item in batch.items]
        whole = [outcome for outcome in outcomes if outcome.refusal is None]
        self.files += len(whole)
        self.bytes += sum(outcome.bytes for outcome in whole)
        return outcomes

    @contextlib.asynccontextmanager
    async def _turn(self, *nodes: str) -> AsyncIterator[None]:
        """Wait until all of these have room, and take it.

        Raises:
            Busy: They hadn't in all the time that a batch may take.
        """
        try:
            async with asyncio.timeout(self._table.seconds), self._freed:
                await self._freed.wait_for(lambda: all(self.room(node) for node in nodes))
                self._busy.update(set(nodes))
        except TimeoutError:
            raise errors.Busy(" and ".join(nodes)) from None
        try:
            yield
        finally:
            self._busy.subtract(set(nodes))
            async with self._freed:
                self._freed.notify_all()

    async def _carry_out(self, run: Run) -> errors.Refused | None:
        """Have both ends do their part, and wait until they are over. Gives why that was early, if it was.

        Raises:
            Unavailable: The source has no port left.
        """
        over = {asyncio.create_task(end.outcome()) for end in run.ends}
        self.runs.add(run)
        try:
            try:
                await self._begin(run)
                self._keep_pace()
                in_time = await _until_over(over, self._table.seconds)
            finally:
                run.stop()
            await asyncio.wait(over, timeout=self._patience)
        finally:
            for end in run.ends:
                end.lose()
            self.runs.discard(run)
            self._keep_pace()
        if not in_time:
            return errors.TransferCut(f"it took longer than {self._table.seconds:g} seconds")
        return _failure([await end.outcome() for end in run.ends])

    async def _begin(self, run: Run) -> None:
        batch = run.batch
        offsets = {item.entry.ver: _offset(run.live, item.entry) for item in batch.items}
        _, source = self._roster.place(batch.source)
        await run.begin(
            [_supplied(item, source.store_id, offsets[item.entry.ver]) for item in batch.items],
            run.live.store_id,
            [_wanted(item.entry, offsets[item.entry.ver]) for item in batch.items],
            flush=batch.flush,
            seconds=self._request_seconds,
        )

    def _keep_pace(self) -> None:
        """Divide each node's rate among the batches that it sends and takes; who is slower gives the pace."""
        limit = self._table.node_bytes_per_second
        if not limit:
            return
        shares = Counter(name for run in self.runs for name in {run.source.name, run.target.name})
        for run in self.runs:
            run.supplying.keep_pace(max(1, limit // max(shares[run.source.name], shares[run.target.name])))


async def take_in(catalogue: Catalogue, node: Node, report: link.Gathered) -> None:
    """Enter copies that a node has sealed in the record, and have them put in place.

    Whoever asked for them: the master that did may be no more, and so may the batch.
    """
    transfer, live = node.transfers.get(report.ticket), node.volumes.get(report.store_id)
    if live is None:
        return  # it isn't this node's any more; who has it tells of its parts when it joins
    if transfer and transfer.upload:  # whoever waits for this upload says what becomes of it
        for file in report.files:
            transfer.tell(file)
        return
    sealed = [
        (file.ver, Sealed(file.received, file.mtime_ns, file.crc32, file.digest))
        for file in report.files
        if not file.refusal
    ]
    verdict = await catalogue.add_copies(live.number, node.name, node.epoch, sealed)
    if verdict.commit:
        node.tell(link.Commit(live.store_id, [link.CommitPart(*part) for part in verdict.commit]))
    if verdict.forget:
        node.tell(link.Forget(live.store_id, list(verdict.forget)))
    stale = set(verdict.forget)
    for file in report.files:
        if file.refusal and file.received:
            live.cut_copies[file.ver] = file.received, time.monotonic()
        else:
            live.cut_copies.pop(file.ver, None)
        if transfer:
            transfer.arrived[file.ver] = _changed(file) if file.ver in stale else file


async def forget_expired(catalogue: Catalogue, roster: Roster, seconds: float) -> None:
    """Let go of copies that were cut so long ago and that nobody went on with."""
    before = time.monotonic() - seconds
    for node in roster:
        for live in list(node.volumes.values()):
            old = [(ver, size) for ver, (size, since) in live.cut_copies.items() if since < before]
            if not old:
                continue
            for ver, _ in old:
                del live.cut_copies[ver]
            verdict = await catalogue.verdict(live.number, [(ver, size, False) for ver, size in old])
            roster.forget(live.number, [*verdict.forget, *(ver for ver, _ in verdict.copies)])


# --- pure ----


def _offset(live: LiveVolume, entry: Entry) -> int:
    """Say from where a file is gone on with; one without checksums always begins anew."""
    if entry.digest is None and entry.crc32 is None:
        return 0
    return min(live.cut_copies.get(entry.ver, (0, 0.0))[0], entry.size)


def _supplied(item: Item, store_id: str, offset: int) -> link.Item:
    entry, replica = item.entry, item.replica
    unknown = entry.digest is None and entry.crc32 is None
    return link.Item(
        *(store_id, replica.loc, replica.ver, replica.size, offset),
        mtime_ns=replica.mtime_ns if unknown else None,
    )


def _wanted(entry: Entry, offset: int) -> link.Wanted:
    return link.Wanted(entry.ver, entry.size, offset, entry.crc32, entry.digest)


def _changed(file: link.Arrived) -> link.Arrived:
    return link.Arrived(file.ver, errors.Changed.__name__, "", 0)


async def _until_over(ends: set[asyncio.Task[link.Done]], seconds: float) -> bool:
    """Wait until all are over, or one is badly. False: the time was over before."""
    deadline = time.monotonic() + seconds
    waiting = ends
    while waiting:
        done, waiting = await asyncio.wait(
            waiting, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return False
        if any(end.result().refusal for end in done):
            return True
    return True


def _failure(outcomes: list[link.Done]) -> errors.Refused | None:
    """Say why a batch ended early: a cut is only what the other end saw of a better reason."""
    failed = [done for done in outcomes if done.refusal]
    if not failed:
        return None
    cut = errors.TransferCut.__name__
    done = next((done for done in failed if done.refusal != cut), failed[0])
    return refusal(done.refusal, done.subject)


def _outcome(item: Item, arrived: link.Arrived | None, failure: errors.Refused) -> Outcome:
    entry = item.entry
    if arrived is None:
        return Outcome(entry.id, entry.ver, failure, 0)
    if arrived.refusal:
        return Outcome(entry.id, entry.ver, refusal(arrived.refusal, arrived.subject), 0)
    return Outcome(entry.id, entry.ver, None, entry.size)
