"""The two ends of a copy from node to node: files sent to another node, files taken from one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from argosy import config, errors
from argosy.net import tls
from argosy.net.dataconn import DataConnection
from argosy.node.data.gather import gather
from argosy.node.data.kept import Kept
from argosy.node.data.listeners import Listeners
from argosy.node.data.supply import supply
from argosy.node.data.ticket import Ticket
from argosy.node.data.tickets import Tickets, Work
from argosy.node.disk.volume import Volume
from argosy.wire import link


class Copying:
    """Carries out `supply` and `gather`. A ticket each; the certificates are those of the link."""

    def __init__(
        self,
        settings: config.Node,
        volumes: Mapping[str, Volume],
        listeners: Listeners,
        tickets: Tickets,
    ) -> None:
        """Put it together.

        Args:
            settings: The node's.
            volumes: By store id.
            listeners: The ports that the master names in an `offer`.
            tickets: Owns the transfers.
        """
        self._name = settings.name
        self._keys = Path(settings.keys)
        self._source = settings.listen
        self._volumes = volumes
        self._listeners = listeners
        self._tickets = tickets
        self._supplying, self._gathering = Kept(settings.line_seconds), Kept(settings.line_seconds)
        """The two ends of connections: we may have both ends of one, between two disks of ours."""
        self._contexts: dict[Callable[[Path, str], ssl.SSLContext], tuple[int, ssl.SSLContext]] = {}

    def supply(self, order: link.Supply) -> None:
        """Send files to the node that comes for them."""

        def connect(connect_seconds: float, stall_seconds: float) -> DataConnection | None:
            if not order.meet.port:
                return self._known(self._supplying, order.meet.line, stall_seconds)
            if (listener := self._listeners.take(order.meet.port)) is None:
                return None  # it was told of to another life of ours
            try:
                context = self._context(tls.node_server)
            except errors.ConfigError:
                listener.close()  # the master counts it as taken
                raise
            return DataConnection.expect(
                listener,
                peer="",  # the certificate says who it is
                tls=context,
                connect_seconds=connect_seconds,
                stall_seconds=stall_seconds,
            )

        def work(ticket: Ticket) -> Work:
            for item in order.items:
                if item.size == link.ARRIVING:
                    ticket.arrival = self._tickets.arrival(item.store_id, item.ver)
            return partial(self._supply, ticket, order, asyncio.get_running_loop())

        self._tickets.carry(
            order.ticket,
            connect,
            work,
            far=tls.node_identity(order.meet.to),
            incoming=False,
        )

    def gather(self, order: link.Gather) -> None:
        """Fetch files from the node that offers them."""

        def connect(connect_seconds: float, stall_seconds: float) -> DataConnection | None:
            if not order.meet.port:
                return self._known(self._gathering, order.meet.line, stall_seconds)
            return DataConnection.dial(
                order.meet.host,
                order.meet.port,
                tls=self._context(tls.link_client),
                server_side=False,
                connect_seconds=connect_seconds,
                stall_seconds=stall_seconds,
                source=self._source,
            )

        def work(ticket: Ticket) -> Work:
            volume = self._volumes.get(order.store_id)
            for item in order.items:
                if item.size == link.ARRIVING and volume:
                    self._tickets.arrives(ticket, volume, item.ver)
            return partial(self._gather, ticket, order, asyncio.get_running_loop())

        self._tickets.carry(
            order.ticket,
            connect,
            work,
            far=tls.node_identity(order.meet.of),
            incoming=True,
        )

    def close(self) -> None:
        """Let go of connections that are kept."""
        self._supplying.close()
        self._gathering.close()

    def _known(self, kept: Kept, line: int, stall_seconds: float) -> DataConnection | None:
        made = kept.take(line)
        return DataConnection.adopt(made, stall_seconds=stall_seconds) if made else None

    def _context(self, make: Callable[[Path, str], ssl.SSLContext]) -> ssl.SSLContext:
        """Give a context, read anew only when our certificate is another.

        Raises:
            ConfigError: It can't be read.
        """
        try:
            written = (self._keys / f"{self._name}.pem").stat().st_mtime_ns
        except OSError:
            written = 0
        known = self._contexts.get(make)
        if known is None or known[0] != written:
            known = self._contexts[make] = written, make(self._keys, self._name)
        return known[1]

    # --- in a thread

    def _supply(
        self, ticket: Ticket, order: link.Supply, loop: asyncio.AbstractEventLoop, made: socket.socket
    ) -> link.Done:
        with self._ended(ticket, self._supplying, order.meet.line, loop):
            supply(
                made,
                order.items,
                self._volumes,
                ticket.progress,
                arrival=ticket.arrival,
                stall_seconds=self._tickets.stall_seconds,
            )
        return link.Done(ticket.number, ticket.progress.moved, "", "")

    def _gather(
        self, ticket: Ticket, order: link.Gather, loop: asyncio.AbstractEventLoop, made: socket.socket
    ) -> link.Done:
        def report(files: list[link.Arrived]) -> None:
            told = link.Gathered(order.ticket, order.store_id, files)
            loop.call_soon_threadsafe(self._tickets.report, ticket, told)

        with self._ended(ticket, self._gathering, order.meet.line, loop):
            if (volume := self._volumes.get(order.store_id)) is None:
                raise errors.NotFound(f"volume {order.store_id}")
            gather(made, order, volume, ticket.progress, report, arrival=ticket.arrival)
        return link.Done(ticket.number, ticket.progress.moved, "", "")

    @contextlib.contextmanager
    def _ended(
        self, ticket: Ticket, kept: Kept, line: int, loop: asyncio.AbstractEventLoop
    ) -> Iterator[None]:
        """End a ticket's connection in order, or keep it; with a reset, if the work on it failed."""
        assert ticket.connection is not None, "made with the ticket"
        try:
            yield
        except BaseException:
            ticket.connection.abort()
            raise
        made = ticket.connection.release() if line else None
        if made:
            loop.call_soon_threadsafe(kept.put, line, made)
        else:
            ticket.connection.close()
