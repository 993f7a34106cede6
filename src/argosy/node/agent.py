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

    Raises:
        ConfigError: A root hasn't joined or isn't there, its disk is smaller than the floor, or the
            certificate can't be read.
    """
    with contextlib.ExitStack() as stack:
        volumes = []
        for root in settings.roots:
            volume = Volume.open(root, trash_seconds=settings.trash_seconds)
            stack.callback(volume.close)
            volumes.append(volume)
            if settings.floor_bytes >= (total := volume.root.space()[0]):
                raise errors.ConfigError(f"floor_bytes: want less than the {total} bytes of {root}'s disk")
        uvloop.run(_run_until_told(settings, volumes))


async def _run_until_told(settings: config.Node, volumes: Sequence[Volume]) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await Agent(settings, volumes).run(told)


class Agent:
    """The node's process."""

    def __init__(self, settings: config.Node, volumes: Sequence[Volume]) -> None:
        """Put the parts together; nothing listens yet.

        Args:
            settings: The node's file.
            volumes: Its roots, opened.
        """
        self._settings = settings
        self._keys = Path(settings.keys)
        self._boot = secrets.token_hex(16)
        self._master = config.split_address("master", settings.master)
        self._stations = {volume.store_id: Station(volume, settings, self._tell) for volume in volumes}
        self._listeners = Listeners(settings.listen, settings.ports, settings.listeners)
        by_id = {volume.store_id: volume for volume in volumes}
        self._tickets = Tickets(
            settings, by_id, self._listeners, relay_host=self._master[0], relay_tls=self._context
        )
        for station in self._stations.values():
            station.scrubber.traffic = lambda: sum(self._tickets.moved())
        self._copying = Copying(settings, by_id, self._listeners, self._tickets)
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
                jobs = [
                    tasks.create_task(self._tickets.run()),
                    tasks.create_task(self._stay_linked()),
                    *(tasks.create_task(station.rounds.run()) for station in self._stations.values()),
                    *(tasks.create_task(station.rounds.keep_room()) for station in self._stations.values()),
                    *(tasks.create_task(station.scrubber.run()) for station in self._stations.values()),
                ]
                await told.wait()
                self._stopping = True
                log.info("stopping")
                self._listeners.close()
                self._copying.close()
                await self._tickets.stop(self._settings.stop_seconds)
                for job in jobs:
                    job.cancel()
        finally:
            for station in self._stations.values():
                station.close()

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
        for store_id, station in self._stations.items():
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
