"""What the master does by itself: debts to disks, uploads and nodes given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.cluster import burying
from argosy.cluster.copies import copying
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master
from argosy.wire import link

log = logging.getLogger("argosy.upkeep")

AT_ONCE = 1_000
"""Debts looked at in one round."""


GATHER_SECONDS = 0.05
"""Debts gather for so long before a round begins: a client deletes one file after the other."""


class Upkeep:
    """Rounds over what is owed, each `catalogue.upkeep_seconds`, or at once when `wake` is called."""

    def __init__(self, config: Master, catalogue: Catalogue, roster: Roster) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Knows the debts.
            roster: Reaches the nodes.
        """
        self._config = config
        self._catalogue = catalogue
        self._roster = roster
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Begin a round now: something is owed."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rounds(self._give_up_lost, self._settle, self._bury))
            tasks.create_task(self._rounds(self._expire, woken=False))

    async def _rounds(self, *chores: Callable[[], Awaitable[None]], woken: bool = True) -> None:
        """Do some chores again and again; some don't delay the others."""
        pause = self._config.catalogue.upkeep_seconds
        while True:
            for chore in chores:
                try:
                    await chore()
                except errors.Refused as refused:
                    log.info("later: %s", refused)
                except Exception:
                    log.exception("accident in upkeep")
            if woken:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):  # wait_for of 3.11 can swallow being cancelled
                        await self._woken.wait()
                        await asyncio.sleep(GATHER_SECONDS)
                self._woken.clear()
            else:
                await asyncio.sleep(pause)

    async def _give_up_lost(self) -> None:
        """End the transfers of nodes that have been away for too long.

        It counts from when we saw the link end: after we stood still ourselves a node may be at the door.
        """
        patience = self._config.link.lost_seconds
        for node in self._roster:
            if not node.online and time.monotonic() - node.left > patience:
                for transfer in list(node.transfers.values()):
                    transfer.lose()

    async def _settle(self) -> None:
        """Bring disks in line with names and times that changed in the tree."""
        while debts := await self._catalogue.settlements(AT_ONCE, self._roster.online()):
            done, refused = [], []
            for debt in debts:
                try:
                    node, live = self._roster.place(debt.volume)
                    await node.ask(
                        link.Settle(
                            *(live.store_id, debt.loc, debt.ver, debt.size, debt.to, debt.mtime_ns),
                            *(debt.file, debt.named_ns, debt.path),
                        )
                    )
                except errors.Unavailable:
                    continue
                except errors.Refused as reason:
                    log.info("%s can't move %r to %r: %s", debt.node, debt.loc, debt.to, reason)
                    refused.append(debt)
                else:
                    done.append(debt)
            await self._catalogue.settled(done)
            await self._catalogue.postponed(refused)

    async def _bury(self) -> None:
        """Pay the deletions that couldn't be done at once."""
        for node in self._roster:
            for live in list(node.volumes.values()) if node.online else []:
                await burying.bury(self._catalogue, node, live)

    async def _expire(self) -> None:
        """Let go of uploads that were cut and that nobody resumed."""
        patience_ns = int(self._config.catalogue.partial_seconds * 1e9)
        for volume, upload in await self._catalogue.forget_expired(time.time_ns() - patience_ns):
            self._roster.forget(volume, [upload])
        await copying.forget_expired(self._catalogue, self._roster, self._config.repair.part_seconds)
