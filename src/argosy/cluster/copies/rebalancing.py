"""Volumes are filled alike: some files go from the fuller to the emptier ones, by repair.

Which file goes from where to where is written down, a few thousand files ahead; the rest is found out again
each time, so whoever is killed goes on. A file goes only if all is well with its copies and will be so after.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Errand, Shift, Stock
from argosy.catalogue.model import Membership
from argosy.cluster.copies import balancing
from argosy.cluster.copies.balancing import Ledger, Level
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.repairing import Place
from argosy.cluster.copies.rounds import again
from argosy.cluster.copies.survey import Survey
from argosy.config import Master

log = logging.getLogger("argosy.rebalancing")

NAME = "rebalance"

USUAL = 0.05
"""Differences of such a share are left, unless somebody says another."""

PAGE = 1_000
"""Files of a volume looked at in one go."""

PAGES = 50
"""Pages looked at in a round: it shall not take long, and the next goes on behind them."""

AHEAD_FILES = 4_000
"""So many files are on their way at the most."""

AHEAD_BATCHES = 8
"""And so many full batches' bytes."""

AHEAD_LARGE = 32
"""But so many files in any case, however large."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered, and what came of it."""

    spare: float
    """Differences of such a share are left."""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """How even the volumes are."""

    levels: tuple[Level, ...]
    begun: Errand | None
    """None: nobody ordered it."""
    terms: Terms | None
    files: int
    """About so many have to move still."""
    bytes: int


class Rebalancing:
    """Begins it, takes it back, says how far it is, and chooses the files."""

    def __init__(self, config: Master, catalogue: Catalogue, repair: Repair) -> None:
        """Put it together."""
        self._table = config.repair
        self._pause = config.catalogue.upkeep_seconds
        self._catalogue = catalogue
        self._repair = repair
        self._woken = asyncio.Event()
        self._after: dict[int, bytes] = {}
        """How far each volume was looked through."""
        self._fruitful: set[int] = set()
        """Volumes where something was found since their beginning."""
        self._barren: set[int] = set()
        """Volumes that were looked through without a find."""

    async def begin(self, spare: float | None = None) -> None:
        """Fill volumes alike from now on, but for differences of a share. What runs already so goes on.

        Args:
            spare: Which; None: as what runs, or the usual.
        """
        balance = await self.look()
        running = balance.terms if balance.terms and not balance.terms.over else None
        if running and spare in (None, running.spare):
            return
        spare = USUAL if spare is None else spare
        levels = balance.levels
        give = sum(amount for amount in balancing.amounts(levels, spare).values() if amount > 0)
        files = self._files(give)
        await self._catalogue.end_errand(NAME)
        settings = msgspec.json.encode(Terms(spare=spare)).decode()
        await self._catalogue.begin_errand(NAME, files=files, size=give, settings=settings)
        log.info("volumes are filled alike: about %d bytes move", give)
        self._after.clear()
        self._barren.clear()
        self._woken.set()

    async def cancel(self) -> bool:
        """Choose no more files; what is on its way arrives. Says whether any were chosen."""
        return await self._catalogue.end_errand(NAME)

    async def look(self) -> Balance:
        """Say how even the volumes are, and how much there is to move."""
        levels = await asyncio.to_thread(self._levels)
        errand = self._catalogue.errand(NAME)
        terms = msgspec.json.decode(errand.settings, type=Terms) if errand else None
        left = 0
        if terms and not terms.over:
            left = sum(amount for amount in balancing.amounts(levels, terms.spare).values() if amount > 0)
            left += sum(shift.bytes for shift in self._catalogue.shifts() if not shift.arrived)
        return Balance(tuple(levels), errand, terms, self._files(left), left)

    async def run(self) -> None:
        """Work until cancelled."""
        await again(self._round, self._woken, self._pause)

    async def _round(self) -> None:
        errand = self._catalogue.errand(NAME)
        terms = msgspec.json.decode(errand.settings, type=Terms) if errand else None
        if terms is None or terms.over:
            return
        while True:
            ahead = self._catalogue.shifts()
            room = AHEAD_FILES - len(ahead), self._bytes_ahead() - sum(shift.bytes for shift in ahead)
            few = len(ahead) < AHEAD_LARGE // 2
            if not few and (room[0] < AHEAD_FILES // 2 or room[1] < self._bytes_ahead() // 2):
                return
            levels = await asyncio.to_thread(self._levels)
            ledger = Ledger(levels, terms.spare)
            sources = [volume for volume in ledger.give if volume not in self._barren]
            if not sources:
                if not ahead:
                    await self._conclude(terms, levels)
                return
            begin = time.monotonic()
            survey = self._repair.survey()
            found = await asyncio.to_thread(self._choose, survey, ledger, sources, room)
            if found:
                self._barren.clear()
                await self._catalogue.add_shifts(found)
                self._repair.wake()
            if self._catalogue.errand(NAME) != errand:
                return
            await asyncio.sleep(time.monotonic() - begin)  # no more than half of the time

    async def _conclude(self, terms: Terms, levels: Sequence[Level]) -> None:
        settings = msgspec.json.encode(msgspec.structs.replace(terms, over=True)).decode()
        await self._catalogue.settle_errand(NAME, settings)
        log.info("volumes are filled alike, but for %.1f %%", 100 * balancing.spread(levels))

    def _bytes_ahead(self) -> int:
        return AHEAD_BATCHES * self._table.batch_bytes

    def _files(self, size: int) -> int:
        """Say about how many files have so many bytes."""
        files, held = self._catalogue.mean_file()
        return -(-size * files // held) if held else 0

    def _levels(self) -> list[Level]:
        """Say how full the volumes are that take part, with what is on its way. For a thread."""
        held = self._catalogue.held_bytes()
        for shift in self._catalogue.shifts():
            if not shift.gone:
                held[shift.source] = held.get(shift.source, 0) - shift.bytes
            if not shift.arrived:
                held[shift.target] = held.get(shift.target, 0) + shift.bytes
        places = self._repair.survey().places.values()
        return [
            Level(place.number, held.get(place.number, 0), place.total) for place in places if _fit(place)
        ]

    def _choose(
        self, survey: Survey, ledger: Ledger, sources: Sequence[int], room: tuple[int, int]
    ) -> list[Shift]:
        """Choose files that go, as many as there is room for. For a thread."""
        found: list[Shift] = []
        files, size = room
        for source in sources:
            for stock in self._stocks(source):
                if len(found) >= files or (size <= 0 and len(found) >= AHEAD_LARGE):
                    return found
                if not survey.settled(stock):
                    continue
                for target in islice(ledger.takers(source, stock.entry.size), 3):
                    if survey.could_shift(stock, source, target):
                        self._fruitful.add(source)
                        found.append(Shift(stock.entry.id, source, target, stock.entry.size))
                        ledger.moved(source, target, stock.entry.size)
                        size -= stock.entry.size
                        break
        return found

    def _stocks(self, source: int) -> Iterator[Stock]:
        """Give a volume's files, from where the last round ended; not all of many in one round."""
        for _ in range(PAGES):
            after = self._after.get(source, b"")
            if not after:
                self._fruitful.discard(source)
            files, self._after[source] = self._catalogue.held(source, after, PAGE)
            yield from self._catalogue.stocks(files)
            if not self._after[source]:
                if source not in self._fruitful:
                    self._barren.add(source)
                return


def _fit(place: Place) -> bool:
    """Say whether a volume takes part."""
    here = place.online and place.merged and place.membership is Membership.MEMBER
    return here and place.total > 0
