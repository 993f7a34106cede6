"""Finds the files for which something is to be done and that nobody could note when it happened.

Of a volume that is away for too long, is lost, or comes back, all files are looked at; of a changed rule
those below its directory; and now and then all there are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Job, Stock
from argosy.catalogue.model import Membership
from argosy.cluster.copies.repairing import SECOND_NS, Place
from argosy.cluster.copies.rounds import again
from argosy.cluster.copies.survey import Surveyor
from argosy.config import Master

log = logging.getLogger("argosy.audit")

PAGE = 1_000
"""Files, or directories, looked at in one go."""

LOOK_SECONDS = 60.0
"""How often it is asked whether it is time to look at all files."""


class Audit:
    """Looks at volumes and subtrees, a page at a time and no more than half of the time."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        surveyor: Surveyor,
        *,
        heed: Callable[[], None],
        found: Callable[[], None],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Where jobs are noted.
            surveyor: Knows the rules and who is here.
            heed: Has the rules read anew.
            found: Told when there are new jobs.
        """
        self._config = config
        self._catalogue = catalogue
        self._surveyor = surveyor
        self._heed = heed
        self._found = found
        self._asked = asyncio.Event()
        self._changed = asyncio.Event()
        self._here: set[tuple[int, bool]] = set()
        self._missed: set[int] = set()
        self._volumes: deque[int] = deque()
        self._emptied: dict[int, bytes] = {}
        """Volumes that are being emptied, and how far each was looked at."""

    def wake(self) -> None:
        """Look now: a rule was changed."""
        self._asked.set()

    def look(self) -> None:
        """Look now at who is there."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        pause = self._config.catalogue.upkeep_seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(again(self._watch, self._changed, pause))
            tasks.create_task(again(self._look, self._asked, pause))
            tasks.create_task(self._now_and_then())

    async def _now_and_then(self) -> None:
        """Have all files looked at: soon after the start, when the nodes have joined, and each so often."""
        await asyncio.sleep(2 * self._config.link.lost_seconds)
        patience, pause = 0.0, self._config.repair.audit_seconds

        async def ask() -> None:
            nonlocal patience
            if self._surveyor.book.keeps and await self._catalogue.sweep_all(patience):
                patience = pause
                self.wake()

        await again(ask, asyncio.Event(), min(pause, LOOK_SECONDS))

    # --- who is there ----

    async def _watch(self) -> None:
        """Note who went and came, and have the files looked at for which that makes a difference."""
        volumes = self._catalogue.volumes()
        found = self._surveyor.places(volumes)
        if gone := [one.number for one in volumes if one.away_ns is None and not found[one.number].online]:
            await self._catalogue.departed(gone)
        if back := [one.number for one in volumes if one.away_ns and found[one.number].online]:
            await self._catalogue.returned(back)
        here = {(number, place.merged) for number, place in found.items() if place.online}
        if here - self._here:
            await self._catalogue.hurry()
            self._found()
        self._here = here
        for number, place in found.items():
            missed = self._is_missed(place)
            if missed and number not in self._missed:
                log.warning("volume %d of %s isn't reckoned with any more", number, place.node)
                self._missed.add(number)
                self._look_at(number)
            elif not missed and number in self._missed and place.merged:
                log.info("volume %d of %s is back", number, place.node)
                self._missed.discard(number)
                self._look_at(number)
        self._emptied = {
            number: self._emptied.get(number, b"")
            for number, place in found.items()
            if place.membership is Membership.DRAINING and place.online and place.merged
        }

    def _is_missed(self, place: Place) -> bool:
        """Say whether there may be a rule by which a volume isn't reckoned with."""
        if place.membership is Membership.DRAINING:
            return True
        if not self._surveyor.book.keeps:
            return False
        delay_ns = int(self._surveyor.book.shortest_delay * SECOND_NS)
        overdue = place.away_ns is not None and time.time_ns() - place.away_ns >= delay_ns
        return overdue or place.membership is not Membership.MEMBER

    def _look_at(self, volume: int) -> None:
        self._volumes.append(volume)
        self.wake()

    # --- looking ----

    async def _look(self) -> None:
        """Look at what waits for it: the volumes first, for there something is lost."""
        await self._look_over_volumes()
        await self._look_over_emptied()
        if sweeps := self._catalogue.sweeps():
            self._heed()  # by the rules that were set with them
        for directory, asked_ns in sweeps:
            if self._surveyor.book.keeps:
                await self._sweep(directory)
            await self._catalogue.swept(directory, asked_ns)

    async def _look_over_volumes(self) -> None:
        while self._volumes:
            after, more = b"", True
            while more:
                files, after = self._catalogue.held(self._volumes[0], after, PAGE)
                more = after != b""
                await self._find(partial(self._catalogue.stocks, files))
            self._volumes.popleft()

    async def _look_over_emptied(self) -> None:
        """Look at a page of each volume that is being emptied, for what came there meanwhile.

        An upload that ran when it began, an append, a file put there by hand: nobody else notes them where
        no rule asks for copies.
        """
        for volume, after in self._emptied.items():
            files, self._emptied[volume] = await asyncio.to_thread(
                self._catalogue.unnoted, volume, after, PAGE
            )
            if files:
                await self._find(partial(self._catalogue.stocks, files))

    async def _sweep(self, directory: int) -> None:
        """Look at all files below a directory, as many directories at a time as have some."""
        pages = self._catalogue.stocks_below(directory, PAGE)
        ended = False

        def page() -> list[Stock]:
            nonlocal ended
            found = next(pages, None)
            ended = found is None
            return found or []

        while not ended:
            await self._find(page)
            await self._look_over_volumes()

    async def _find(self, search: Callable[[], list[Stock]]) -> None:
        """Search in a thread, note what needs something done, and rest for as long as it took."""
        begin = time.monotonic()
        survey = self._surveyor.survey()

        def look() -> tuple[list[Job], list[tuple[int, int]]]:
            stocks = search()
            return survey.jobs(stocks), survey.outlived(stocks)

        jobs, outlived = await asyncio.to_thread(look)
        if outlived:
            await self._catalogue.mark_outlived(outlived)
        if jobs:
            await self._catalogue.add_jobs(jobs)
            self._found()
        await asyncio.sleep(time.monotonic() - begin)
