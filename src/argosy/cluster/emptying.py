"""What the trash has kept long enough goes by itself, and sooner where a volume has no room left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from argosy.catalogue.catalogue import Catalogue
from argosy.cluster.copies.rounds import again
from argosy.cluster.nodes.roster import LiveVolume, Roster, Standing
from argosy.config import Master

log = logging.getLogger("argosy.trash")

AT_ONCE = 500
"""Files in one transaction: an upload's commit mustn't wait for all of them."""

BEATS = 3
"""A volume's figures are believed again so many beats after it was told to delete something."""


class Emptying:
    """Rounds over the trash, each `catalogue.upkeep_seconds`."""

    def __init__(
        self, config: Master, catalogue: Catalogue, roster: Roster, *, owed: Callable[[], None]
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Has the trash.
            roster: Who is there, and how full.
            owed: Told when a disk has something to delete.
        """
        self._pause = config.catalogue.upkeep_seconds
        self._reserve = config.placement.reserve_bytes
        self._settle_seconds = BEATS * config.link.beat_seconds
        self._catalogue = catalogue
        self._roster = roster
        self._owed = owed
        self._squeezed: dict[int, float] = {}
        """When each volume was made room on."""
        self._below: dict[int, float] = {}
        """Since when each has less than its floor."""

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(again(self._expire, asyncio.Event(), self._pause))
            tasks.create_task(again(self._squeeze, asyncio.Event(), self._pause))

    async def _expire(self) -> None:
        """Let go of what is over."""
        more = True
        while more:
            emptied = await self._catalogue.expire_trash(AT_ONCE)
            more = emptied.more
            if emptied.files:
                log.info("%d files (%d bytes) were in the trash long enough", emptied.files, emptied.bytes)
                self._owed()

    async def _squeeze(self) -> None:
        """Make room on volumes that take no uploads for want of it, or have less than they shall have."""
        now, below = time.monotonic(), self._below
        self._below = {}
        for node in self._roster:
            for live in list(node.volumes.values()) if node.online else []:
                if live.free < node.floor:
                    self._below[live.number] = below.get(live.number, now)
                waited = now - self._below.get(live.number, now) >= self._settle_seconds
                floor = node.floor if waited else 0  # the node's own trash goes first
                if live.standing is Standing.MERGED and live.free < max(self._reserve, floor):
                    await self._make_room(node.name, live, max(2 * self._reserve, floor))

    async def _make_room(self, node: str, live: LiveVolume, wanted: int) -> None:
        """Have one let go of what went first, until so many bytes are free; its disk needs a while."""
        if self._catalogue.room_to_come(live.number):
            self._squeezed[live.number] = time.monotonic()
        if time.monotonic() - self._squeezed.get(live.number, -self._settle_seconds) < self._settle_seconds:
            return
        missing = wanted - live.free
        while missing > 0:
            emptied = await self._catalogue.squeeze_trash(live.number, missing, AT_ONCE)
            if emptied.files:
                self._squeezed[live.number] = time.monotonic()
                log.warning(
                    "volume %d of %s lacks room: %d files (%d bytes) went out of the trash before their time",
                    *(live.number, node, emptied.files, emptied.bytes),
                )
                self._owed()
            missing = missing - emptied.bytes if emptied.more else 0
