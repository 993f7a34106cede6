"""Send a volume's file list to the master: what changed since it last heard, then each change as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Self

from argosy.net.peer import Peer
from argosy.node.disk.journal import Row
from argosy.node.disk.volume import Volume
from argosy.wire import link


def grouped(rows: Iterable[Row]) -> list[link.Group]:
    """Gather files that follow each other and stand in one directory."""
    groups: list[link.Group] = []
    files: list[link.File] = []
    current: bytes | None = None
    for loc, size, mtime_ns, ver, crc32, digest, _, gone, file, named_ns, path in rows:
        directory, _, name = loc.rpartition(b"/")
        if directory != current:
            files, current = [], directory
            groups.append(link.Group(directory, files))
        files.append(link.File(name, size, mtime_ns, ver, crc32, digest, bool(gone), file, named_ns, path))
    return groups


class Feed:
    """One volume's feed over one link, from the master's `feed` until the link ends or another one begins.

    What it says must be true when the master hears it: a batch that was read before an order took a file away
    mustn't arrive after that order's answer. So a batch is read and written, and an order carried out, under
    the same `gate`.
    """

    def __init__(
        self,
        volume: Volume,
        peer: Peer,
        *,
        gate: asyncio.Lock,
        window: asyncio.Semaphore,
        batch_files: int,
        pause_seconds: float,
        request_seconds: float,
    ) -> None:
        """Make a feed.

        Args:
            volume: Whose list.
            peer: The link.
            gate: Held around each order to the volume, too.
            window: How many batches may wait for their reply, over all volumes.
            batch_files: Files in a batch.
            pause_seconds: Let news gather for so long: many small uploads make one batch.
            request_seconds: How long a batch may take to be merged.
        """
        self._volume = volume
        self._journal = volume.journal
        self._peer = peer
        self._gate = gate
        self._window = window
        self._batch_files = batch_files
        self._pause_seconds = pause_seconds
        self._request_seconds = request_seconds
        self._news = asyncio.Event()

    async def run(self, since: int, *, whole: bool, scanned: asyncio.Event) -> None:
        """Send until cancelled.

        Args:
            since: The number up to which the master has the journal.
            whole: Send the whole list first.
            scanned: Set when the scan at the node's start is over; a whole list waits for it.

        Raises:
            ExceptionGroup: Of `Refused`: a batch was refused or not answered in time. End the link, the next
                one starts again.
        """
        loop = asyncio.get_running_loop()

        def changed() -> None:
            loop.call_soon_threadsafe(self._news.set)

        unsubscribe = self._journal.on_change(changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                if whole:
                    await scanned.wait()
                    since = await self._send_whole(tasks, since)
                await self._send_changes(tasks, since)
        finally:
            unsubscribe()

    async def _send_whole(self, tasks: asyncio.TaskGroup, since: int) -> int:
        """Send all files in order of loc. Gives the number from which to go on."""
        until = self._journal.seq
        after = b""
        upto: bytes | None = after
        while upto is not None:
            async with _Turn(self._window) as turn, self._gate:
                rows = await asyncio.to_thread(self._journal.page, after, self._batch_files)
                upto = rows[-1].loc if len(rows) == self._batch_files else None
                seq = since if upto is not None else until
                batch = link.Changes(self._volume.store_id, seq, True, after, upto, grouped(rows))
                await self._hand_over(tasks, batch, turn)
                after = upto or b""
        return until

    async def _send_changes(self, tasks: asyncio.TaskGroup, since: int) -> None:
        """Send changes in order of their numbers, and wait for more."""
        while True:
            self._news.clear()
            async with _Turn(self._window) as turn, self._gate:
                rows, seq = await asyncio.to_thread(self._read_changes, since)
                if seq > since:
                    batch = link.Changes(self._volume.store_id, seq, False, b"", None, grouped(rows))
                    await self._hand_over(tasks, batch, turn)
                    since = seq
            if len(rows) < self._batch_files // 2:
                await self._news.wait()  # caught up; without a limit: news may never come
                await asyncio.sleep(self._pause_seconds)

    def _read_changes(self, since: int) -> tuple[Sequence[Row], int]:
        with self._journal.lock:
            rows = self._journal.changes(since, self._batch_files)
            if rows and self._journal.changes(rows[-1].seq, 1):
                return rows, rows[-1].seq
            return rows, self._journal.seq  # all of it, numbers left out at the end included

    async def _hand_over(self, tasks: asyncio.TaskGroup, batch: link.Changes, turn: _Turn) -> None:
        """Write a batch; its reply is waited for aside. Returns once it is on its way."""
        written = asyncio.Event()
        turn.keep()
        tasks.create_task(self._converse(batch, written))
        await written.wait()

    async def _converse(self, batch: link.Changes, written: asyncio.Event) -> None:
        try:
            reply = await self._peer.ask(batch, self._request_seconds, written=written)
            if isinstance(reply, link.Merged) and batch.upto is None and self._may_prune(batch):
                await asyncio.to_thread(self._journal.prune, min(reply.seq, batch.seq))
        finally:
            written.set()
            self._window.release()

    def _may_prune(self, batch: link.Changes) -> bool:
        losses = any(file.gone for group in batch.groups for file in group.files)
        return losses or batch.whole or self._journal.fresh


class _Turn:
    """A place in the window: given back at the end, unless a batch under way keeps it."""

    def __init__(self, window: asyncio.Semaphore) -> None:
        self._window = window
        self._kept = False

    async def __aenter__(self) -> Self:
        await self._window.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._kept:
            self._window.release()

    def keep(self) -> None:
        """Leave giving it back to somebody else."""
        self._kept = True
