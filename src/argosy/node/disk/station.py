"""A volume with what goes on around it: its scans, its orders one after the other, its checksums."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argosy import config
from argosy.errors import BadArgument, Changed, Damaged, Failed, Unavailable
from argosy.node.disk.checksums import checksums, part_of
from argosy.node.disk.reading import DiskReader
from argosy.node.disk.rounds import Rounds
from argosy.node.disk.scrub import Scrubber
from argosy.node.disk.volume import Volume
from argosy.wire import link

_T = TypeVar("_T")

GATHER_SECONDS = 0.02
"""Uploads that are to be put in place gather for so long: for each one alone the journal would be written."""


class Station:
    """One volume at work."""

    def __init__(self, volume: Volume, settings: config.Node, tell: Callable[[link.Body], None]) -> None:
        """Make a station; nothing runs yet.

        Args:
            volume: Its volume.
            settings: The node's.
            tell: Sends a note to the master, if one is there.
        """
        self.volume = volume
        self.rounds = Rounds(volume, settings, tell)
        self.scrubber = Scrubber(volume, settings.scrub, self.rounds.scanned)
        self.gate = asyncio.Lock()
        """Held around each order and each batch of the feed: see `Feed`."""
        self._parts: list[link.CommitPart] = []
        self._placed: asyncio.Task[None] | None = None
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="orders")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="checksum")
        self._lists = ThreadPoolExecutor(1, thread_name_prefix="content")

    async def order(self, work: Callable[[], _T]) -> _T:
        """Carry out an order, one after the other, and give what it gives."""
        async with self.gate:
            return await asyncio.get_running_loop().run_in_executor(
                self._hands, self._in_turn, self._taken(), work
            )

    async def commit(self, parts: Iterable[link.CommitPart]) -> None:
        """Put uploads in place, together with those of the next moment: they are read where they are, too."""
        self._parts.extend(parts)
        if self._placed is None:
            self._placed = asyncio.get_running_loop().create_task(self._commit())
        await asyncio.shield(self._placed)

    async def _commit(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        self._placed = None
        await self.order(lambda: None)

    def _taken(self) -> list[link.CommitPart]:
        """Take the uploads that wait to be put in place, which comes before every later order."""
        parts, self._parts = self._parts, []
        return parts

    def _in_turn(self, parts: list[link.CommitPart], work: Callable[[], _T]) -> _T:
        if parts:
            self.volume.commit(parts)
        return work()

    async def checksum(self, order: link.Checksum) -> link.Checksums:
        """Sum a file up, one after the other: each keeps a processor and the disk busy.

        Raises:
            Changed: It is to be read from the disk, and somebody wrote into it there.
            Damaged: The file isn't there, or it is shorter.
            Failed: The disk can't read it.
            Unavailable: The disk is gone.
            Unsupported: An algorithm that we don't know.
        """
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._checksum, order)

    async def content(self, order: link.Content) -> link.Bytes:
        """Read some bytes of a small file; not in turn with the checksums, for those can take hours.

        Raises:
            BadArgument: It is too much for one answer.
            Damaged: The file isn't there, or it is shorter.
            Failed: The disk can't read it.
            Unavailable: The disk is gone.
        """
        if not 0 <= order.length <= link.CONTENT_LIMIT or order.offset < 0:
            raise BadArgument(f"{order.length} bytes from {order.offset} on")
        return await asyncio.get_running_loop().run_in_executor(self._lists, self._content, order)

    def space(self) -> link.Space:
        """Give the volume's figures, and how far its scrub is."""
        space, stand = self.volume.space(), self.scrubber.stand
        space.scrub = link.Pass(
            running=bool(stand.running),
            hurried=bool(stand.hurried),
            begun_ns=stand.begun_ns,
            ended_ns=stand.ended_ns,
            files=stand.files,
            bytes=stand.bytes,
            of_bytes=stand.of_bytes,
            bad=stand.bad,
            trouble=self.scrubber.trouble,
        )
        return space

    def close(self) -> None:
        """Take no more orders, and finish the one in hand; the next join has the others carried out.

        Uploads get to their places, for then their names are on the disk, whatever becomes of the master.
        """
        if self._placed:
            self._placed.cancel()
        if parts := self._taken():
            self._hands.submit(self.volume.commit, parts)
        self.rounds.stop()
        self.scrubber.close()
        self._hands.shutdown()
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._lists.shutdown(wait=False, cancel_futures=True)

    def _content(self, order: link.Content) -> link.Bytes:
        pieces = self._read(order, lambda file: list(map(bytes, part_of(file, order.offset, order.length))))
        return link.Bytes(b"".join(pieces))

    def _checksum(self, order: link.Checksum) -> link.Checksums:
        return self._read(order, lambda file: link.Checksums(dict(self._sums(file, order))))

    def _read(self, order: link.Checksum | link.Content, work: Callable[[int], _T]) -> _T:
        try:
            fresh = isinstance(order, link.Checksum) and order.fresh
            if fresh and self.volume.is_rewritten(order.loc, order.ver):
                raise Changed(order.loc)
            descriptor = self.volume.read(order.loc, order.ver, order.size)
            try:
                return work(descriptor)
            finally:
                os.close(descriptor)
        except (Damaged, Failed, OSError) as error:
            self._check_disk()
            if isinstance(error, OSError):
                raise Failed(error.strerror or str(error)) from error
            raise

    def _sums(self, descriptor: int, order: link.Checksum) -> Mapping[str, str]:
        if order.fresh and order.offset == 0 and order.length < 0:
            with DiskReader() as reader:
                return checksums(reader.blocks(descriptor, order.size), order.algorithms)
        rest = max(order.size - order.offset, 0)
        length = rest if order.length < 0 else min(order.length, rest)
        return checksums(part_of(descriptor, order.offset, length), order.algorithms)

    def _check_disk(self) -> None:
        """See whether it is the disk that is gone, and not the file.

        Raises:
            Unavailable: It is.
        """
        try:
            self.volume.root.check()
        except Failed as gone:
            raise Unavailable(gone.subject) from gone
