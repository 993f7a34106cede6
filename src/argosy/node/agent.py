"""A node: its volumes, its link to the master, and the orders that come over it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import signal
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

import argosy
from argosy import config, errors
from argosy.net import tls
from argosy.net.peer import Peer, connect
from argosy.node.data.copying import Copying
from argosy.node.data.listeners import Listeners
from argosy.node.data.tickets import Tickets
from argosy.node.disk.station import Station
from argosy.node.disk.volume import Volume
from argosy.node.link.session import Session
from argosy.wire import link

log = logging.getLogger("argosy.node")


def run(settings: config.Node) -> None:
    """Run a node until TERM or INT.

    Where there are several roots, one that can't be opened is left out until it can.

    Raises:
        ConfigError: No root is there and has joined, the disk of one is smaller than the floor, or the
            certificate can't be read.
    """
    with contextlib.ExitStack() as stack:
        volumes, absent = [], {}
        for root in settings.roots:
            try:
                volume = Volume.open(root, trash_seconds=settings.trash_seconds)
            except errors.ConfigError as error:
                absent[root] = error
                continue
            stack.callback(volume.close)
            volumes.append(volume)
            if settings.floor_bytes >= (total := volume.root.space()[0]):
                raise errors.ConfigError(f"floor_bytes: want less than the {total} bytes of {root}'s disk")
        if not volumes:
            raise next(iter(absent.values()))
        for why in absent.values():
            log.error("left out until it can be opened: %s", why)
        uvloop.run(_run_until_told(settings, volumes, list(absent)))


async def _run_until_told(settings: config.Node, volumes: Sequence[Volume], absent: Sequence[str]) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await Agent(settings, volumes, absent).run(told)


class Agent:
    """The node's process."""

    def __init__(self, settings: config.Node, volumes: Sequence[Volume], absent: Sequence[str] = ()) -> None:
        """Put the parts together; nothing listens yet.

        Args:
            settings: The node's file.
            volumes: Its roots, opened.
            absent: Those that couldn't be.
        """
        self._settings = settings
        self._keys = Path(settings.keys)
        self._boot = secrets.token_hex(16)
        self._master = config.split_address("master", settings.master)
        self._absent = list(absent)
        self._stations: dict[str, Station] = {}
        self._volumes: dict[str, Volume] = {}
        self._late: list[Volume] = []
        self._jobs: list[asyncio.Task[None]] = []
        self._listeners = Listeners(settings.listen, settings.ports, settings.listeners)
        self._tickets = Tickets(
            settings, self._volumes, self._listeners, relay_host=self._master[0], relay_tls=self._context
        )
        for volume in volumes:
            self._add(volume)
        self._copying = Copying(settings, self._volumes, self._listeners, self._tickets)
        self._peer: Peer | None = None
        self._stopping = False

    async def run(self, told: asyncio.Event) -> None:
        """Serve until told to stop; then running transfers get a moment.

        Raises:
            ConfigError: The certificate can't be read.
        """
        self._context()  # complain now, not at the first try
        try:
            async with asyncio.TaskGroup() as tasks:
                self._jobs = [
                    tasks.create_task(self._tickets.run()),
                    tasks.create_task(self._stay_linked()),
                ]
                for station in self._stations.values():
                    self._tend(tasks, station)
                self._jobs.append(tasks.create_task(self._await_absent(tasks)))
                await told.wait()
                self._stopping = True
                log.info("stopping")
                self._listeners.close()
                self._copying.close()
                await self._tickets.stop(self._settings.stop_seconds)
                for job in self._jobs:
                    job.cancel()
        finally:
            for station in self._stations.values():
                station.close()
            for volume in self._late:
                volume.close()

    def _add(self, volume: Volume) -> Station:
        station = Station(volume, self._settings, self._tell)
        station.scrubber.traffic = lambda: sum(self._tickets.moved())
        self._stations[volume.store_id], self._volumes[volume.store_id] = station, volume
        return station

    def _tend(self, tasks: asyncio.TaskGroup, station: Station) -> None:
        for work in (station.rounds.run(), station.rounds.keep_room(), station.scrubber.run()):
            self._jobs.append(tasks.create_task(work))

    async def _await_absent(self, tasks: asyncio.TaskGroup) -> None:
        """Take in the roots that couldn't be opened at the start, each as soon as it can be."""
        while self._absent:
            await asyncio.sleep(self._settings.retry_most_seconds)
            for root in tuple(self._absent):
                with contextlib.suppress(errors.ConfigError):
                    volume = await asyncio.to_thread(
                        Volume.open, root, trash_seconds=self._settings.trash_seconds
                    )
                    self._late.append(volume)
                    self._absent.remove(root)
                    self._tend(tasks, self._add(volume))
                    log.info("volume %s is there now: %s", volume.store_id, root)
                    if self._peer:
                        self._peer.close()  # the next link has it, too

    def _context(self) -> ssl.SSLContext:
        return tls.link_client(self._keys, self._settings.name)

    def _tell(self, note: link.Body) -> None:
        if self._peer:
            self._peer.tell(note)

    # --- the link

    async def _stay_linked(self) -> None:
        """Dial the master, for ever, with growing pauses while it is away."""
        first, most = self._settings.retry_first_seconds, self._settings.retry_most_seconds
        pause = first
        while True:
            try:
                if await self._link_once():
                    pause = first
            except errors.Refused as refused:
                log.warning("no link to the master: %s", refused)
            except Exception:  # an accident of one link mustn't end the transfers and the other disks' work
                log.exception("the link to the master: accident")
            if self._stopping:
                return  # Python 3.11: a TaskGroup that fails while it is cancelled tells of the failure only
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - so that nodes don't come all at once
            pause = min(pause * 2, most)

    async def _link_once(self) -> bool:
        """Join once and stay until the link ends. Gives whether we joined.

        Raises:
            Unavailable: Nobody there.
            Refused: The master doesn't want us now.
        """
        host, port = self._master
        peer = await connect(
            host,
            port,
            context=self._context(),
            seconds=self._settings.request_seconds,
            silent_seconds=self._settings.lost_seconds,
        )
        try:
            if tls.identity(peer.certificate) != tls.MASTER:
                raise errors.Denied(f"{self._settings.master} isn't our master")
            states = await self._states()
            welcome = await peer.ask(self._hello(states))
            if not isinstance(welcome, link.Welcome) or welcome.version != link.VERSION:
                raise errors.Unsupported("another version of the link")
            log.info("joined %s as %s, epoch %d", self._settings.master, self._settings.name, welcome.epoch)
            self._peer = peer
            peer.farewell = link.Farewell()
            session = Session(
                self._settings,
                peer,
                welcome,
                {store_id: station for store_id, station in self._stations.items() if store_id in states},
                tickets=self._tickets,
                copying=self._copying,
                listeners=self._listeners,
                absent=[station for store_id, station in self._stations.items() if store_id not in states],
            )
            await session.run()
            log.warning("the link is over")
        finally:
            self._peer = None
            peer.close()
        return True

    async def _states(self) -> dict[str, link.VolumeState]:
        """Ask the volumes how they are. One that can't say stays out of this link."""
        states = {}
        for store_id, station in tuple(self._stations.items()):
            try:
                states[store_id] = await asyncio.to_thread(station.volume.state)
            except (OSError, errors.Refused) as error:
                log.warning("volume %s can't be offered: %s", store_id, error)
        return states

    def _hello(self, states: Mapping[str, link.VolumeState]) -> link.Hello:
        return link.Hello(
            version=link.VERSION,
            software=f"argosy {argosy.__version__}",
            boot=self._boot,
            advertise=self._settings.advertise,
            labels=list(self._settings.labels),
            volumes=list(states.values()),
            running=self._tickets.numbers(),
            zone=self._settings.zone,
            floor_bytes=self._settings.floor_bytes,
        )
