"""A volume with what goes on around it: its scans, its orders one after the other, its checksums."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argosy import config
from argosy.node.checksums import checksums
from argosy.node.rounds import Rounds
from argosy.node.volume import Volume
from argosy.wire import link


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
        self.gate = asyncio.Lock()
        """Held around each order and each batch of the feed: see `Feed`."""
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="orders")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="checksum")

    async def order(self, work: Callable[[], None]) -> None:
        """Carry out an order, one after the other."""
        async with self.gate:
            await asyncio.get_running_loop().run_in_executor(self._hands, work)

    async def checksum(self, order: link.Checksum) -> link.Checksums:
        """Sum a file up, one after the other: each keeps a processor and the disk busy.

        Raises:
            Damaged: The file isn't there, or it is shorter.
            Unsupported: An algorithm that we don't know.
        """
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._checksum, order)

    def close(self) -> None:
        """Take no more orders, and finish the one in hand."""
        self.rounds.stop()
        self._hands.shutdown()
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _checksum(self, order: link.Checksum) -> link.Checksums:
        descriptor = self.volume.read(order.loc, order.ver, order.size)
        try:
            rest = max(order.size - order.offset, 0)
            length = rest if order.length < 0 else min(order.length, rest)
            sums = checksums(descriptor, order.algorithms, offset=order.offset, length=length)
            return link.Checksums(dict(sums))
        finally:
            os.close(descriptor)
