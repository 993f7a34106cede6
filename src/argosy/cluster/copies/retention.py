"""Files that have outlived their retention go: not at once, but a while after that was told.

So whoever mistyped a number, set it on the wrong directory, or has a clock that jumped, finds it in the log
and in `argosy status` before anything is lost. A file that was changed meanwhile stays, and so does one of
which nobody wants any more that it goes. So go files that have to make room, as long as it is lacking.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Mark, Stock
from argosy.cluster.copies.floors import Floors
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.repairing import SECOND_NS
from argosy.cluster.copies.rounds import again
from argosy.cluster.copies.survey import Survey
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
        floors: Floors,
        *,
        owed: Callable[[], None],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Has the files.
            roster: Reaches the nodes.
            repair: Knows the rules.
            floors: Knows where room is lacking.
            owed: Told when disks have something to delete.
        """
        self._grace_ns = int(config.repair.grace_seconds * SECOND_NS)
        self._pause = config.catalogue.upkeep_seconds
        self._catalogue = catalogue
        self._roster = roster
        self._repair = repair
        self._floors = floors
        self._owed = owed
        self._told = 0

    async def run(self) -> None:
        """Work until cancelled."""
        await again(self._round, asyncio.Event(), self._pause)

    async def _round(self) -> None:
        after, number = 0, 0
        for_room: list[Stock] = []
        while marks := self._catalogue.outlived(after, PAGE):
            begin = time.monotonic()
            after = marks[-1].file
            number += await self._look(marks, for_room)
            await asyncio.sleep(time.monotonic() - begin)  # no more than half of the time
        if number > self._told:
            log.warning(
                "%d files have outlived their retention; each goes %d s after it was found",
                number,
                self._grace_ns // SECOND_NS,
            )
        self._told = number
        if for_room:
            await self._make_room(for_room)

    async def _look(self, marks: list[Mark], for_room: list[Stock]) -> int:
        """Look once more at files that will go: by the rules, the clock and the room as they are now.

        Args:
            marks: Some of them.
            for_room: Gets those whose time has come to make room.

        Returns:
            How many have outlived their retention.
        """
        survey = self._repair.survey()
        stay, too_old, lacking = await asyncio.to_thread(self._sort, survey, marks)
        if stay:
            await self._catalogue.unmark_outlived(stay)
        due = {one.file for one in marks if survey.now_ns - one.noted_ns >= self._grace_ns}
        for_room += [stock for stock in lacking if stock.entry.id in due]
        if gone := [stock for stock in too_old if stock.entry.id in due]:
            await self._retire(gone, by="retention")
            log.info("%d files had outlived their retention and are gone", len(gone))
        return len(too_old)

    def _sort(self, survey: Survey, marks: list[Mark]) -> tuple[list[int], list[Stock], list[Stock]]:
        """Say which files don't go, which are too old, and which are to make room. For a thread."""
        stocks = {stock.entry.id: stock for stock in self._catalogue.stocks([one.file for one in marks])}
        old = set(survey.outlived(stocks.values()))
        stay, too_old, lacking = [], [], []
        for one in marks:
            stock = stocks.get(one.file)
            if stock is None or stock.entry.ver != one.ver:
                stay.append(one.file)
            elif (one.file, one.ver) in old:
                too_old.append(stock)
            elif (goes := self._floors.judge(survey, stock)) is False:
                stay.append(one.file)
            elif goes:
                lacking.append(stock)
        return stay, too_old, lacking

    async def _make_room(self, stocks: list[Stock]) -> None:
        """Delete the oldest of these, as many as it takes."""
        allowance = await asyncio.to_thread(self._floors.allowance)
        chosen = self._floors.spend(self._repair.survey(), stocks, allowance)
        if chosen:
            self._floors.deleted()
            for at in range(0, len(chosen), PAGE):
                await self._retire(chosen[at : at + PAGE], by="floor")
            size = sum(stock.entry.size for stock in chosen)
            log.warning("%d files (%d bytes) are gone to make room", len(chosen), size)

    async def _retire(self, stocks: list[Stock], *, by: str) -> None:
        removal = await self._catalogue.retire([(one.entry.id, one.entry.ver) for one in stocks], by=by)
        for volume, upload in removal.forgotten:
            self._roster.forget(volume, [upload])
        self._owed()
