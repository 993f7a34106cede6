"""A volume shall have some free space; where it has less, files leave as their rules allow, the oldest first.

Deleted files go before anything else: the node's own trash, and the site's. Surplus copies go by repair. Then
copies go to other nodes, or only away where another one is enough; and last files go for good whose rule says
that they may, told of as those are that have outlived their retention, and as late. What is on its way or has
been told of counts as room that will be, so nothing is chosen twice.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Shift, Stock
from argosy.catalogue.model import Entry, Membership
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.repairing import Place
from argosy.cluster.copies.rounds import again
from argosy.cluster.copies.survey import Survey
from argosy.config import Master

log = logging.getLogger("argosy.floors")

PAGE = 1_000
"""Files of a volume looked at in one go."""

AHEAD_FILES = 4_000
"""So many files of a volume are sent on their way at once."""

TARGETS = 8
"""So many volumes are tried for a file, those with the most room."""

BEATS = 3
"""A volume's figures are believed again so many beats after something was deleted there."""

EMPTY_SECONDS = 4.0
"""And so much later: its node deletes it for good meanwhile."""

REST = 9
"""A look over a volume is followed by a pause of this many times its own length."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A volume that has less free space than it shall have."""

    place: Place
    leaving: int
    """Bytes that are on their way off it."""
    told: int
    """Bytes that will go, as has been told."""

    @property
    def open(self) -> int:
        """How many bytes nobody has found yet."""
        return max(0, self.place.missing - self.leaving - self.told)

    @property
    def much(self) -> bool:
        """Whether what is on its way makes so great a difference that it is waited for."""
        return 4 * self.leaving > self.place.missing


class Pile:
    """The oldest files that come to some bytes; younger ones fall off."""

    def __init__(self, wanted: int) -> None:
        """Begin without any.

        Args:
            wanted: Bytes.
        """
        self.bytes = 0
        self._wanted = wanted
        self._youngest: list[tuple[int, int, int]] = []

    def add(self, entry: Entry) -> None:
        """Reckon with a file."""
        if not entry.size:
            return
        heapq.heappush(self._youngest, (-entry.unchanged_ns, -entry.id, entry.size))
        self.bytes += entry.size
        while self.bytes - self._youngest[0][2] >= self._wanted:
            self.bytes -= heapq.heappop(self._youngest)[2]

    def files(self) -> list[int]:
        """Give the FileIds, the oldest first."""
        return [-file for _, file, _ in sorted(self._youngest, reverse=True)]


class Floors:
    """Watches the volumes' free space, and chooses what leaves those that have too little."""

    def __init__(self, config: Master, catalogue: Catalogue, repair: Repair) -> None:
        """Put it together."""
        self._pause = config.catalogue.upkeep_seconds
        self._grace_seconds = config.repair.grace_seconds
        self._settle_seconds = EMPTY_SECONDS + BEATS * config.link.beat_seconds + self._pause
        self._catalogue = catalogue
        self._repair = repair
        self._since: dict[int, float] = {}
        """Since when each volume that lacks room does, and little leaves it."""
        self._again: dict[int, float] = {}
        """When each may be looked over again."""
        self._told: set[int] = set()
        """Those of them on which nothing was found that may go."""
        self._deleted = -self._settle_seconds
        """When files were last deleted for want of room."""

    async def run(self) -> None:
        """Work until cancelled."""
        await again(self._round, asyncio.Event(), self._pause)

    def lacks(self) -> list[Lack]:
        """Give the volumes that have too little room now."""
        return [
            Lack(place, *self._catalogue.leaving_from(place.number))
            for place in self._repair.survey().places.values()
            if _lacks_room(place)
        ]

    async def _round(self) -> None:
        now = time.monotonic()
        lacks = await asyncio.to_thread(self.lacks)
        self._since = {
            one.place.number: now if one.much else self._since.get(one.place.number, now) for one in lacks
        }
        self._again = {number: at for number, at in self._again.items() if number in self._since}
        self._told &= self._since.keys()
        for lack in lacks:
            number = lack.place.number
            if lack.open and self._settled(number) and now >= self._again.get(number, 0.0):
                begin = time.monotonic()
                await self._make_room(lack)
                self._since[number] = time.monotonic()
                self._again[number] = time.monotonic() + REST * (time.monotonic() - begin)

    def _settled(self, volume: int) -> bool:
        """Say whether what left a volume is free by now."""
        since = self._since.get(volume)
        return since is not None and time.monotonic() - since >= self._settle_seconds

    async def _make_room(self, lack: Lack) -> None:
        """Choose what leaves a volume, have it copied elsewhere, and note what will be deleted."""
        source = lack.place.number
        move, delete = Pile(lack.open), Pile(lack.open)
        after, more = b"", True
        while more:
            begin = time.monotonic()
            after = await asyncio.to_thread(self._sort, source, after, move, delete)
            more = after != b""
            await asyncio.sleep(time.monotonic() - begin)  # no more than half of the time
        shifts = await asyncio.to_thread(self._ways, source, move.files())
        moved, room = {one.file for one in shifts}, sum(one.bytes for one in shifts)
        going: list[Entry] = []
        for entry in (stock.entry for stock in self._stocks(delete.files())):
            if room < lack.open and entry.id not in moved:
                going.append(entry)
                room += entry.size
        await self._catalogue.add_shifts(shifts[:AHEAD_FILES])
        if shifts:
            self._repair.wake()
        await self._catalogue.mark_outlived([(entry.id, entry.ver) for entry in going])
        size = sum(entry.size for entry in going)
        if not shifts and not going:
            if source not in self._told:
                log.warning(
                    "volume %d of %s has %d bytes less than it shall have, and nothing there may go",
                    *(source, lack.place.node, lack.place.missing),
                )
            self._told.add(source)
            return
        log.warning(
            "volume %d of %s has %d bytes less than it shall have: %d files (%d bytes) go to other nodes,"
            " %d files (%d bytes) are deleted in %d s, if it has no more room by then",
            *(source, lack.place.node, lack.place.missing, len(shifts), sum(one.bytes for one in shifts)),
            *(len(going), size, self._grace_seconds),
        )

    def _sort(self, source: int, after: bytes, move: Pile, delete: Pile) -> bytes:
        """Put a page of a volume's files on the piles where they belong; give where it ends. For a thread."""
        survey = self._repair.survey()
        files, after = self._catalogue.held(source, after, PAGE)
        targets = self._targets(survey, source)
        for stock in self._catalogue.stocks(files):
            may = survey.makes_room(stock)
            if may == "never" or source not in {place.number for place in survey.places_of(stock)}:
                continue
            if survey.way_out(stock, source, targets) is not None:
                move.add(stock.entry)
            if may == "delete":
                delete.add(stock.entry)
        return after

    def _ways(self, source: int, files: list[int]) -> list[Shift]:
        """Say to where each of these files goes, as long as there is room. For a thread."""
        survey = self._repair.survey()
        found = []
        for stock in self._stocks(files):
            target = survey.way_out(stock, source, self._targets(survey, source))
            if target is not None:
                survey.expect(target, stock)
                found.append(Shift(stock.entry.id, source, target, stock.entry.size))
        return found

    def _stocks(self, files: list[int]) -> list[Stock]:
        """Give files in this order, with their copies."""
        found = {
            stock.entry.id: stock
            for at in range(0, len(files), PAGE)
            for stock in self._catalogue.stocks(files[at : at + PAGE])
        }
        return [found[file] for file in files if file in found]

    def _targets(self, survey: Survey, source: int) -> list[int]:
        able = (
            place
            for place in survey.places.values()
            if place.number != source and place.here and place.membership is Membership.MEMBER
        )
        room = heapq.nlargest(TARGETS, able, key=lambda place: place.free - place.bytes_in - place.floor)
        return [place.number for place in room]

    # --- what was told of goes

    def judge(self, survey: Survey, stock: Stock) -> bool | None:
        """Say whether a file is to go to make room; None: that can't be told now."""
        if survey.makes_room(stock) != "delete":
            return False
        places = survey.places_of(stock)
        if any(_lacks_room(place) for place in places):
            return True
        return None if any(not place.here for place in places) else False

    def allowance(self) -> dict[int, int]:
        """Give the bytes that may be deleted on volumes now; none while what was deleted isn't free yet."""
        if time.monotonic() - self._deleted < self._settle_seconds:
            return {}
        return {
            one.place.number: max(0, one.place.missing - one.leaving)
            for one in self.lacks()
            if self._settled(one.place.number)
        }

    def spend(self, survey: Survey, stocks: Iterable[Stock], allowance: dict[int, int]) -> list[Stock]:
        """Give those of these files, the oldest first, that have to go now; the rest has to wait."""
        chosen = []
        for stock in sorted(stocks, key=lambda one: one.entry.unchanged_ns):
            holders = [place.number for place in survey.places_of(stock)]
            if any(allowance.get(number, 0) > 0 for number in holders):
                chosen.append(stock)
                for number in holders:
                    allowance[number] = allowance.get(number, 0) - stock.entry.size
        return chosen

    def deleted(self) -> None:
        """Note that files were deleted to make room: it is there a while later."""
        self._deleted = time.monotonic()


def _lacks_room(place: Place) -> bool:
    return place.here and place.membership is Membership.MEMBER and place.missing > 0
