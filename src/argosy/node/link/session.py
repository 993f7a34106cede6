"""One life of the link, from the welcome to its end: orders come, reports go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from argosy import config, errors
from argosy.net import pki
from argosy.net.peer import Peer
from argosy.node.data.copying import Copying
from argosy.node.data.listeners import Listeners
from argosy.node.data.tickets import Tickets
from argosy.node.disk.station import Station
from argosy.node.link.feed import Feed
from argosy.wire import link

log = logging.getLogger("argosy.node")

_DOUBTS = 100
"""Files that the master judges at once."""

_JUDGE_AGAIN_SECONDS = 2.0
"""After so long it is asked again."""

_CLOCK_SECONDS = 3600.0
"""How often the certificate's age is looked at; clocks get set."""


class Session:
    """A master that has welcomed us."""

    def __init__(
        self,
        settings: config.Node,
        peer: Peer,
        welcome: link.Welcome,
        stations: Mapping[str, Station],
        *,
        tickets: Tickets,
        copying: Copying,
        listeners: Listeners,
        absent: Sequence[Station] = (),
    ) -> None:
        """Make a session.

        Args:
            settings: The node's.
            peer: The link.
            welcome: What the master said.
            stations: The volumes, by store id.
            tickets: What moves, or will.
            copying: What moves from node to node.
            listeners: The ports to tell.
            absent: Volumes that couldn't be offered; when one is back, the link is made anew.
        """
        self._settings = settings
        self._peer = peer
        self._welcome = welcome
        self._stations = stations
        self._tickets = tickets
        self._copying = copying
        self._listeners = listeners
        self._absent = absent
        self._window = asyncio.Semaphore(welcome.window)
        self._feeds: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Serve until the link ends."""
        self._tickets.welcome(self._welcome)
        self._peer.tell(link.Ports(self._listeners.renew()))
        self._tickets.attach(self._peer)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                aside = [self._tasks.create_task(self._beat()), self._tasks.create_task(self._renew())]
                aside += [self._tasks.create_task(self._confess(one)) for one in self._stations.values()]
                await self._peer.run(self._answer)
                for task in (*aside, *self._feeds.values()):
                    task.cancel()
        except* errors.Refused as group:
            log.warning("hanging up: %s", "; ".join(map(str, _leaves(group))))
        finally:
            self._tickets.detach()

    # --- orders

    def _answer(self, order: link.Body) -> link.Body | Coroutine[None, None, link.Body | None] | None:
        """Carry out an order, those for transfers at once.

        Raises:
            Refused: What the master gets to hear as `no`.
        """
        match order:
            case link.Expect():
                self._tickets.expect(order)
            case link.Dial():
                self._tickets.dial(order)
            case link.Send():
                self._tickets.send(order)
            case link.Receive():
                self._tickets.receive(order)
            case link.Supply():
                self._copying.supply(order)
            case link.Gather():
                self._copying.gather(order)
            case link.HowFar():
                return self._tickets.how_far(order)
            case link.Certificate():
                self._tickets.certify(order.certificate, order.key)
            case link.Pace():
                self._tickets.pace(order)
            case link.Cancel():
                self._tickets.cancel(order)
            case _:
                return self._answer_volume(order)
        if fresh := self._listeners.fill():
            self._peer.tell(link.Ports(fresh))
        return None

    async def _answer_volume(self, order: link.Body) -> link.Body | None:
        match order:
            case link.Commit():
                await self._station(order.store_id).commit(order.parts)
            case link.Forget():
                station = self._station(order.store_id)
                await station.order(partial(station.volume.forget, order.uploads))
            case link.Discard():
                station = self._station(order.store_id)
                if left := await station.order(partial(station.volume.discard, order.files)):
                    return link.Discarded(left)
            case link.Remember():
                station = self._station(order.store_id)
                await station.order(partial(station.volume.remember, order.generation))
            case link.Purge():
                station = self._station(order.store_id)
                await station.order(partial(station.volume.purge, order.findings))
            case link.Settle():
                station = self._station(order.store_id)
                await station.order(partial(station.volume.settle, order))
            case _:
                return await self._answer_reading(order)
        return None

    async def _answer_reading(self, order: link.Body) -> link.Body | None:
        """Tell of what lies on a volume, or look at it."""
        match order:
            case link.Feed():
                self._feed(order)
            case link.Scan():
                return await self._station(order.store_id).rounds.order(accept_losses=order.accept_losses)
            case link.Peek():
                await self._tickets.peek(order)
            case link.Scrub():
                self._station(order.store_id).scrubber.begin(hurry=order.hurry)
            case link.Checksum():
                return await self._station(order.store_id).checksum(order)
            case link.Content():
                return await self._station(order.store_id).content(order)
            case _:
                raise errors.Unsupported(type(order).__name__)
        return None

    def _station(self, store_id: str) -> Station:
        try:
            return self._stations[store_id]
        except KeyError:
            raise errors.NotFound(f"volume {store_id}") from None

    def _feed(self, order: link.Feed) -> None:
        station = self._station(order.store_id)
        if old := self._feeds.get(order.store_id):
            old.cancel()
        feed = Feed(
            station.volume,
            self._peer,
            gate=station.gate,
            window=self._window,
            batch_files=self._settings.batch_files,
            pause_seconds=self._settings.batch_seconds,
            request_seconds=self._settings.request_seconds,
        )
        assert self._tasks is not None, "run() runs"
        self._feeds[order.store_id] = self._tasks.create_task(
            feed.run(order.since, whole=order.whole, scanned=station.rounds.scanned)
        )
        station.rounds.remind()

    # --- reports

    async def _confess(self, station: Station) -> None:
        """Have the master judge files that were read and aren't as they should be."""
        volume, news = station.volume, station.scrubber.news
        while True:
            news.clear()
            while rows := await asyncio.to_thread(volume.journal.doubts, _DOUBTS):
                doubts = [link.Doubt(*row) for row in rows]
                try:
                    reply = await self._peer.ask(link.Doubted(volume.store_id, doubts))
                except errors.Refused as refused:  # as long as our list isn't merged, or by an older master
                    log.info("volume %s: its bad files aren't judged yet: %s", volume.store_id, refused)
                    await asyncio.sleep(_JUDGE_AGAIN_SECONDS)
                    continue
                assert isinstance(reply, link.Judged)
                await station.order(partial(volume.judged, rows, reply.verdicts))
            await news.wait()

    async def _beat(self) -> None:
        """Say that we live, and how."""
        seconds = self._welcome.beat_seconds
        loop = asyncio.get_running_loop()
        before, last = self._tickets.moved(), loop.time()
        while True:
            await asyncio.sleep(seconds)
            spaces = await self._spaces()
            moved, now = self._tickets.moved(), loop.time()
            in_rate, out_rate = ((new - old) / (now - last) for new, old in zip(moved, before, strict=True))
            before, last = moved, now
            load = os.getloadavg()[0] / (os.cpu_count() or 1)
            self._peer.tell(link.Beat(load, in_rate, out_rate, spaces, self._tickets.running()))
            if fresh := self._listeners.fill():
                self._peer.tell(link.Ports(fresh))

            if len(spaces) < len(self._stations) or await self._is_one_back():
                self._peer.close()  # the next link has the volumes that are there, and no others

    async def _spaces(self) -> list[link.Space]:
        """Ask the volumes for their figures, as far as their disks are there and answer."""
        spaces = []
        for store_id, station in self._stations.items():
            try:
                spaces.append(await asyncio.to_thread(station.space))
            except (OSError, errors.Refused) as error:
                log.error("volume %s is left out until its disk is back: %s", store_id, error)  # noqa: TRY400
        return spaces

    async def _is_one_back(self) -> bool:
        for station in self._absent:
            with contextlib.suppress(OSError, errors.Refused):
                await asyncio.to_thread(station.volume.state)
                log.info("volume %s is back", station.volume.store_id)
                return True
        return False

    async def _renew(self) -> None:
        """Get a new certificate when two thirds of the old one's life are over, and reconnect with it."""
        keys, name = Path(self._settings.keys), self._settings.name
        at = keys / f"{name}.pem"
        due = pki.renew_at(at.read_bytes())
        while datetime.now(UTC) < due:
            rest = (due - datetime.now(UTC)).total_seconds() + 1
            await asyncio.sleep(min(_CLOCK_SECONDS, rest))
        reply = await self._peer.ask(link.Renew(pki.make_request(keys / f"{name}.key", name)))
        if not isinstance(reply, link.Enrolled):
            raise errors.Failed("no certificate came")
        pki.write_public(at, reply.certificate)
        log.info("renewed the certificate of %s", name)
        self._peer.close()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
