"""A volume shall have some free space; where it has less, files go elsewhere as their rules allow.

Deleted files go before anything else: the node's own trash, and the site's. Surplus copies go by repair. Then
the oldest files' copies go to other nodes, or only away where another one is enough. No file is ever deleted
for want of room. What is on its way counts as room that will be, so nothing is chosen twice. What can't be
met is told.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from argosy import tables
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Shift
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

BEATS = 3
"""A volume's figures are believed again so many beats after something was deleted there."""

EMPTY_SECONDS = 4.0
"""And so much later: its node deletes it for good meanwhile."""

REST = 9
"""A look over a volume is followed by a pause of this many times its own length."""

TOPIC = "floor:"
"""So begin the topics of matters about floors, followed by a store id."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A volume that has less free space than it shall have."""

    place: Place
    leaving: int
    """Bytes that are on their way off it."""

    @property
    def open(self) -> int:
        """How many bytes nobody has found yet."""
        return max(0, self.place.missing - self.leaving)

    @property
    def much(self) -> bool:
        """Whether what is on its way makes so great a difference that it is waited for."""
        return 4 * self.leaving > self.place.missing


class Pile:
    """The oldest files that come to some bytes; younger ones fall off."""

    def __init__(self, wanted: int, most: int = AHEAD_FILES) -> None:
        """Begin without any.

        Args:
            wanted: Bytes.
            most: Files, even if these don't come to so much.
        """
        self.bytes = 0
        self.asked = False
        """Whether a rule lets any file go that isn't on its way, wanted or not."""
        self._wanted = wanted
        self._most = most
        self._youngest: list[tuple[int, int, int]] = []

    def wants(self, entry: Entry) -> bool:
        """Say whether a file would stay on the pile."""
        full = self.bytes >= self._wanted or len(self._youngest) >= self._most
        older = not full or (-entry.unchanged_ns, -entry.id) > self._youngest[0][:2]
        return entry.size > 0 and older

    def add(self, entry: Entry) -> None:
        """Put a file on it that it wants."""
        heapq.heappush(self._youngest, (-entry.unchanged_ns, -entry.id, entry.size))
        self.bytes += entry.size
        while self.bytes - self._youngest[0][2] >= self._wanted or len(self._youngest) > self._most:
            self.bytes -= heapq.heappop(self._youngest)[2]

    def files(self) -> list[int]:
        """Give the FileIds, the oldest first."""
        return [-file for _, file, _ in sorted(self._youngest, reverse=True)]


class Floors:
    """Watches the volumes' free space, and chooses what leaves those that have too little."""

    def __init__(self, config: Master, catalogue: Catalogue, repair: Repair) -> None:
        """Put it together."""
        self._pause = config.catalogue.upkeep_seconds
        self._settle_seconds = EMPTY_SECONDS + BEATS * config.link.beat_seconds + self._pause
        self._catalogue = catalogue
        self._repair = repair
        self._since: dict[int, float] = {}
        """Since when each volume that lacks room does, and little leaves it."""
        self._again: dict[int, float] = {}
        """When each may be looked over again."""
        self._told: dict[str, str] = {}
        """By topic, why nothing leaves a volume, as the administrator was told."""

    async def run(self) -> None:
        """Work until cancelled."""
        await again(self._round, asyncio.Event(), self._pause)

    async def lacks(self) -> list[Lack]:
        """Give the volumes that have too little room now."""
        places = [place for place in self._repair.survey().places.values() if _lacks_room(place)]

        def look() -> list[Lack]:
            return [Lack(place, self._catalogue.leaving_from(place.number)) for place in places]

        return await asyncio.to_thread(look) if places else []

    async def _round(self) -> None:
        now = time.monotonic()
        lacks = await self.lacks()
        self._since = {
            one.place.number: now if one.much else self._since.get(one.place.number, now) for one in lacks
        }
        self._again = {number: at for number, at in self._again.items() if number in self._since}
        for lack in lacks:
            number = lack.place.number
            settled = now - self._since[number] >= self._settle_seconds  # what went before is free by now
            if lack.open and settled and now >= self._again.get(number, 0.0):
                begin = time.monotonic()
                await self._make_room(lack)
                self._since[number] = time.monotonic()
                self._again[number] = time.monotonic() + REST * (time.monotonic() - begin)
        await self._settle(self._repair.survey().places.values())

    async def _make_room(self, lack: Lack) -> None:
        """Choose what leaves a volume, and have it go; if nothing does, tell why."""
        source, pile = lack.place.number, Pile(lack.open)
        after, more = b"", self._repair.survey().yields
        while more:
            begin = time.monotonic()
            after = await asyncio.to_thread(self._sort, self._repair.survey(), source, after, pile)
            more = after != b""
            await asyncio.sleep(time.monotonic() - begin)  # no more than half of the time
        shifts = await asyncio.to_thread(self._ways, self._repair.survey(), source, pile.files())
        if not shifts:
            why = "no other disk can take what rules let go" if pile.asked else "no rule lets anything go"
            await self._tell(lack.place, why)
            return
        await self._catalogue.add_shifts(shifts)
        self._repair.wake()
        log.info(
            "volume %d of %s has %d bytes less than it shall have: %d files (%d bytes) go elsewhere",
            *(source, lack.place.node, lack.place.missing, len(shifts), sum(one.bytes for one in shifts)),
        )

    def _sort(self, survey: Survey, source: int, after: bytes, pile: Pile) -> bytes:
        """Pile up those of a page of a volume's files that can go; give where it ends. For a thread."""
        files, after = self._catalogue.held(source, after, PAGE)
        for stock in self._catalogue.stocks(files):
            if survey.makes_room(stock) and not stock.shift:
                pile.asked = True
                if pile.wants(stock.entry) and survey.way_out(stock, source) is not None:
                    pile.add(stock.entry)
        return after

    def _ways(self, survey: Survey, source: int, files: list[int]) -> list[Shift]:
        """Say to where each of these files goes, as long as there is room. For a thread."""
        found = []
        for at in range(0, len(files), PAGE):
            page = files[at : at + PAGE]
            stocks = {stock.entry.id: stock for stock in self._catalogue.stocks(page)}
            for stock in (stocks[file] for file in page if file in stocks):
                target = survey.way_out(stock, source) if survey.makes_room(stock) else None
                if target is not None:
                    survey.expect(target, stock)
                    found.append(Shift(stock.entry.id, source, target, stock.entry.size))
        return found

    # --- told

    async def _tell(self, place: Place, why: str) -> None:
        """Tell the administrator, once, that a volume's floor can't be met."""
        topic = TOPIC + place.store_id
        if self._told.get(topic) == why:
            return
        self._told[topic] = why
        disk, lacking = f"the disk {place.store_id[:8]} of {place.node}", tables.size(place.missing)
        sentence = f"{disk} lacks {lacking} of its floor, and {why}"
        log.warning("%s", sentence)
        await self._catalogue.note_matter(topic, sentence)

    async def _settle(self, places: Collection[Place]) -> None:
        """Forget what was told of volumes that have their room again, or are no more."""
        lacking = {
            TOPIC + place.store_id
            for place in places
            if place.membership is Membership.MEMBER and (not place.here or _lacks_room(place))
        }
        self._told = {topic: why for topic, why in self._told.items() if topic in lacking}
        for matter in self._catalogue.matters():
            if matter.topic.startswith(TOPIC) and matter.topic not in lacking:
                await self._catalogue.settle_matter(matter.topic)


def _lacks_room(place: Place) -> bool:
    return place.here and place.membership is Membership.MEMBER and place.missing > 0
