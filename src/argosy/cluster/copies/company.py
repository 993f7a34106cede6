"""An upload's company: volumes that take it along while it arrives, so that several copies are acknowledged.

The first node passes it on to the second, which passes it on to the third: none sends it twice, so an upload
costs no more time than its slowest line. Who fails is replaced at once, be it that the upload goes on: the
other has to catch up. What isn't there when the client has waited for long enough isn't acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Companion, Sealed, Upload
from argosy.cluster.copies.pair import Pair
from argosy.cluster.nodes.lines import Lines
from argosy.cluster.nodes.roster import LiveVolume, Roster
from argosy.config import Master
from argosy.net.peer import refusal
from argosy.wire import link

log = logging.getLogger("argosy.company")

_AGAIN_SECONDS = 0.5
"""Pause before a volume is tried once more that has failed already."""

_FULL_SECONDS = 15.0
"""For so long a volume that had no room isn't tried again."""

_LAST_WORDS_SECONDS = 2.0
"""For those who take a cut upload along to say how much of it they have."""

_LOOK_SECONDS = 0.5
"""How often it is looked whether a copy comes on."""

Another = Callable[[Collection[int], Collection[int]], int | None]
"""Chooses the volume of a further copy: told those that have one, and those that shall not be tried."""


@dataclass(slots=True)
class _Seat:
    """One copy that is wanted beside the first."""

    companion: Companion
    """Who takes it now."""
    arrived: link.Arrived | None = None
    """It is there, sealed."""
    failure: errors.Refused | None = None
    """Why the last try failed."""
    pair: Pair | None = None


class Company:
    """The volumes that take one upload along."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        roster: Roster,
        upload: Upload,
        *,
        offset: int,
        flush: bool,
        another: Another,
    ) -> None:
        """Put it together; `begin` begins.

        Args:
            config: The master's file.
            catalogue: Knows who takes it along.
            roster: Reaches the nodes.
            upload: With its companions.
            offset: Where the client's first byte goes.
            flush: Flush the copies to the disk before they count.
            another: Chooses in place of one that fails.
        """
        self._catalogue = catalogue
        self._roster = roster
        self._upload = upload
        self._offset = offset
        self._flush = flush
        self._another = another
        self._request_seconds = config.link.request_seconds
        self._stall_seconds = config.link.lost_seconds
        self._patience = config.repair.acknowledge_seconds
        self._seats = [_Seat(companion) for companion in upload.companions]
        self._bases = {one.volume: one.base for one in upload.companions}
        self._received = {one.volume: min(one.received, offset) for one in upload.companions}
        """How much of the upload a volume has, by what was heard last."""
        self._beyond = {one.volume for one in upload.companions if one.received > offset}
        """Volumes whose part goes on behind the offset with what an earlier try brought, until they tell of
        this one: should they come back before that, nobody could know how much of it is of use."""
        self._failed: set[int] = set()
        self._full: dict[int, float] = {}
        """Volumes without room, and until when they are left aside, on the monotonic clock."""
        self._tasks: list[asyncio.Task[None]] = []
        self._size: int | None = None
        """The upload's, once its first copy is sealed."""
        self._given_up = asyncio.Event()

    @property
    def names(self) -> list[str]:
        """The nodes that have a copy beside the first."""
        return [seat.companion.node for seat in self._seats if seat.arrived]

    def begin(self) -> None:
        """Have the upload taken along, right after its first node was told to receive it."""
        source = self._upload.volume
        for seat in self._seats:
            self._tasks.append(asyncio.create_task(self._fill(seat, source)))
            source = seat.companion.volume

    def give_up(self) -> None:
        """Wait for no copy any more."""
        self._given_up.set()

    async def complete(self, sealed: Sealed) -> list[Companion]:
        """Wait for the copies, now that the first is sealed; give the volumes that have them.

        Raises:
            NoSpace: They can't be had, for there is no room.
            Failed: They can't be had in time.
            TransferCut: It was given up.
        """
        self._size = sealed.size
        given_up = asyncio.create_task(self._given_up.wait())
        left = {*self._tasks, given_up}
        try:
            async with asyncio.timeout(self._patience):
                while len(left) > 1 and not given_up.done():
                    _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass
        finally:
            given_up.cancel()
        if self._given_up.is_set():
            raise errors.TransferCut("cancelled")
        for seat in self._seats:
            if seat.arrived is None:
                raise self._lacking(seat)
            if not _is_alike(seat.arrived, sealed):
                raise errors.Failed(f"the copy on {seat.companion.node} is another one")
        return [seat.companion for seat in self._seats]

    async def cut(self) -> dict[int, int | None]:
        """End it before it is complete; give what the volumes have of it, as `catalogue.cut` wants it."""
        await self._stop_trying()
        running = [seat for seat in self._seats if seat.pair]
        await asyncio.gather(*(_last_words(seat.pair) for seat in running if seat.pair))
        # Who failed when the first node died has a part, too, even if its seat is another's by now.
        along: dict[int, int | None] = dict(self._received)
        for seat in self._seats:
            volume = seat.companion.volume
            known = seat.pair is None or self._hear(seat, seat.pair) or seat.pair.gathering.over
            along[volume] = self._received[volume] if known else None
        along.update(dict.fromkeys(self._beyond, 0))
        return along

    async def _stop_trying(self) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("upload %x: accident", self._upload.id, exc_info=ended)

    @property
    def dismissed(self) -> set[int]:
        """The volumes that tried, and have no copy."""
        return set(self._received) - {seat.companion.volume for seat in self._seats if seat.arrived}

    def _lacking(self, seat: _Seat) -> errors.Refused:
        there = 1 + sum(one.arrived is not None for one in self._seats)
        why = f": {seat.failure}" if seat.failure else ""
        kind = errors.NoSpace if isinstance(seat.failure, errors.NoSpace) else errors.Failed
        return kind(f"only {there} of {1 + len(self._seats)} copies were made in time{why}")

    # --- one copy

    async def _fill(self, seat: _Seat, source: int) -> None:
        """Have one copy made, by this volume or another, however often that takes."""
        while True:
            try:
                if await self._take(seat, source):
                    return
            except errors.Refused as refused:
                seat.failure = refused
            log.info("upload %x: no copy on %s: %s", self._upload.id, seat.companion.node, seat.failure)
            if isinstance(seat.failure, errors.NoSpace):  # and nobody's fault
                self._full[seat.companion.volume] = time.monotonic() + _FULL_SECONDS
            elif source == self._upload.volume:
                self._failed.add(seat.companion.volume)
            else:
                source = self._upload.volume  # it may be the fault of who passed it on
                continue
            while not await self._reseat(seat):
                pass

    async def _reseat(self, seat: _Seat) -> bool:
        """Choose who tries next: another volume, or after a pause the same once more. False: nobody can."""
        taken = {self._upload.volume, *(one.companion.volume for one in self._seats if one is not seat)}
        volume = self._another(taken, self._failed | self._without_room())
        if volume is None:
            await asyncio.sleep(_AGAIN_SECONDS)
            self._failed.clear()
            volume = self._another(taken, self._without_room())
        if volume is None:
            return False
        try:
            node, _ = self._roster.place(volume)
            found = await self._catalogue.accompany(self._upload.id, Companion(volume, node.name, node.epoch))
        except errors.Refused as refused:
            seat.failure = refused
            self._failed.add(volume)
            return False
        # All that came in this upload is good; of what was there before only what it goes on from.
        had = found.received if self._offset == 0 else min(found.received, self._offset)
        self._received.setdefault(volume, had)
        seat.companion = found
        return True

    def _without_room(self) -> set[int]:
        now = time.monotonic()
        return {volume for volume, until in self._full.items() if now < until}

    async def _take(self, seat: _Seat, source: int) -> bool:
        """Try once. False: it was cut or refused, as the seat's failure says.

        Raises:
            Unavailable: One of the two nodes is away, or was in between.
        """
        pair, arrived = await self._have_it_copied(seat, source, self._roster.lines)
        if pair.kept and not arrived:  # the connection was gone
            pair, arrived = await self._have_it_copied(seat, source, None)
        if arrived and not arrived.refusal:
            seat.arrived = arrived
            return True
        seat.failure = _failure(pair, arrived)
        if arrived and arrived.refusal == errors.Failed.__name__:
            one = seat.companion
            self._roster.conduct.trouble(one.node, one.volume, str(seat.failure), time.monotonic())
        return False

    async def _have_it_copied(
        self, seat: _Seat, source: int, lines: Lines | None
    ) -> tuple[Pair, link.Arrived | None]:
        """Have it carried out over one connection; give what the node that takes it says, if it does."""
        giver, from_volume = self._roster.place(source)
        taker, live = self._roster.place(seat.companion.volume)
        if taker.epoch != seat.companion.epoch:  # what it takes in this life counts once it is entered anew
            raise errors.Unavailable(taker.name)
        pair = seat.pair = Pair(giver, taker)
        pair.gathering.upload = self._upload.id
        offset = await self._order(pair, from_volume, live, lines)
        await self._watch(pair, offset)
        await _last_words(pair)
        arrived, seat.pair = self._hear(seat, pair), None
        return pair, arrived

    async def _order(self, pair: Pair, source: LiveVolume, target: LiveVolume, lines: Lines | None) -> int:
        """Have both ends begin; give the first byte that is sent."""
        number, base = self._upload.id, self._bases.get(target.number)
        offset = self._offset if base else self._received[target.number]
        await pair.begin(
            [link.Item(source.store_id, b"", number, link.ARRIVING, offset)],
            target.store_id,
            [
                link.Wanted(
                    *(number, link.ARRIVING, offset, None, None),
                    base=link.Base(base.loc, base.ver, base.size) if base else None,
                )
            ],
            flush=self._flush,
            seconds=self._request_seconds,
            lines=lines,
        )
        return offset

    async def _watch(self, pair: Pair, offset: int) -> None:
        """Wait until the copy is there or has failed; once the first is sealed, it mustn't stand still."""
        moved, since = -1, time.monotonic()
        while not pair.gathering.arrived and not any(
            end is pair.gathering or end.ended.refusal for end in pair.ends if end.ended
        ):
            pair.news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await pair.news.wait()
            if self._size is None or pair.moved != moved or pair.moved >= self._size - offset:
                moved, since = pair.moved, time.monotonic()
            elif time.monotonic() - since > self._stall_seconds:
                return

    def _hear(self, seat: _Seat, pair: Pair) -> link.Arrived | None:
        """Take what a node says of the part that it has."""
        arrived = pair.gathering.arrived.get(self._upload.id)
        if arrived:
            self._received[seat.companion.volume] = arrived.received
            self._beyond.discard(seat.companion.volume)
        return arrived


async def _last_words(pair: Pair) -> None:
    """End a copy that hasn't ended, and let the node say how much it has."""
    if pair.gathering.arrived:
        return
    pair.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            while not pair.gathering.arrived and not pair.gathering.over:
                pair.news.clear()
                await pair.news.wait()


def _failure(pair: Pair, arrived: link.Arrived | None) -> errors.Refused:
    """Say why there is no copy: a cut is only what the other end saw of a better reason."""
    said = [(one.refusal, one.subject) for one in (arrived, *(end.ended for end in pair.ends)) if one]
    failed = [one for one in said if one[0]]
    cut = errors.TransferCut.__name__
    name, subject = next(
        (one for one in failed if one[0] != cut), failed[0] if failed else (cut, "it stood still")
    )
    return refusal(name, subject)


def _is_alike(arrived: link.Arrived, sealed: Sealed) -> bool:
    """Whether a copy is what the first is, as far as both have been summed up."""
    pairs = (
        (arrived.received, sealed.size),
        (arrived.crc32, sealed.crc32),
        (arrived.digest, sealed.digest),
    )
    return all(one is None or other is None or one == other for one, other in pairs)
