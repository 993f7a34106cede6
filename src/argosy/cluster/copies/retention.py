"""Files that have outlived their retention go: not at once, but a while after that was told.

So whoever mistyped a number, set it on the wrong directory, or has a clock that jumped, finds it in the log
and in `argosy status` before anything is lost. A file that was changed meanwhile stays, and so does one of
which nobody wants any more that it goes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Mark
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.repairing import SECOND_NS
from argosy.cluster.copies.rounds import again
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master

log = logging.getLogger("argosy.retention")

PAGE = 500
"""Files looked at, and deleted, in one go."""


class Retention:
    """Looks at the files that will go, and has those go whose time has come."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        roster: Roster,
        repair: Repair,
        *,
        owed: Callable[[], None],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Has the files.
            roster: Reaches the nodes.
            repair: Knows the rules.
            owed: Told when disks have something to delete.
        """
        self._grace_ns = int(config.repair.grace_seconds * SECOND_NS)
        self._pause = config.catalogue.upkeep_seconds
        self._catalogue = catalogue
        self._roster = roster
        self._repair = repair
        self._owed = owed
        self._told = 0

    async def run(self) -> None:
        """Work until cancelled."""
        await again(self._round, asyncio.Event(), self._pause)

    async def _round(self) -> None:
        after, number = 0, 0
        while marks := self._catalogue.outlived(after, PAGE):
            begin = time.monotonic()
            after, number = marks[-1].file, number + len(marks)
            await self._look(marks)
            await asyncio.sleep(time.monotonic() - begin)  # no more than half of the time
        if number > self._told:
            log.warning(
                "%d files have outlived their retention; each goes %d s after it was found",
                number,
                self._grace_ns // SECOND_NS,
            )
        self._told = number

    async def _look(self, marks: list[Mark]) -> None:
        """Look once more at files that will go: by the rules and the clock as they are now."""
        survey = self._repair.survey()
        stocks = self._catalogue.stocks
        still = await asyncio.to_thread(lambda: set(survey.outlived(stocks([one.file for one in marks]))))
        if stay := [one.file for one in marks if (one.file, one.ver) not in still]:
            await self._catalogue.unmark_outlived(stay)
        due = [
            (one.file, one.ver)
            for one in marks
            if (one.file, one.ver) in still and survey.now_ns - one.noted_ns >= self._grace_ns
        ]
        if not due:
            return
        removal = await self._catalogue.retire(due, by="retention")
        for volume, upload in removal.forgotten:
            self._roster.forget(volume, [upload])
        self._owed()
        log.info("%d files had outlived their retention and are gone", len(due))
