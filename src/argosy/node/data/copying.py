"""The two ends of a copy from node to node: files sent to another node, files taken from one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from argosy import config, errors
from argosy.net import tls
from argosy.net.dataconn import DataConnection
from argosy.node.data.gather import gather
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

    def supply(self, order: link.Supply) -> None:
        """Send files to the node that comes for them."""

        def connect(connect_seconds: float, stall_seconds: float) -> DataConnection | None:
            if (listener := self._listeners.take(order.meet.port)) is None:
                return None  # it was told of to another life of ours
            return DataConnection.expect(
                listener,
                peer="",  # the certificate says who it is
                tls=tls.node_server(self._keys, self._name),
                connect_seconds=connect_seconds,
                stall_seconds=stall_seconds,
            )

        def work(ticket: Ticket) -> Work:
            for item in order.items:
                if item.size == link.ARRIVING:
                    ticket.arrival = self._tickets.arrival(item.store_id, item.ver)
            return partial(self._supply, ticket, order)

        self._tickets.carry(
            order.ticket,
            connect,
            work,
            far=tls.node_identity(order.meet.to),
            incoming=False,
        )

    def gather(self, order: link.Gather) -> None:
        """Fetch files from the node that offers them."""

        def connect(connect_seconds: float, stall_seconds: float) -> DataConnection:
            return DataConnection.dial(
                order.meet.host,
                order.meet.port,
                tls=tls.link_client(self._keys, self._name),
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

    # --- in a thread

    def _supply(self, ticket: Ticket, order: link.Supply, made: socket.socket) -> link.Done:
        with _ended(ticket):
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

        with _ended(ticket):
            if (volume := self._volumes.get(order.store_id)) is None:
                raise errors.NotFound(f"volume {order.store_id}")
            gather(made, order, volume, ticket.progress, report, arrival=ticket.arrival)
        return link.Done(ticket.number, ticket.progress.moved, "", "")


@contextlib.contextmanager
def _ended(ticket: Ticket) -> Iterator[None]:
    """End a ticket's connection in order; with a reset, if the work on it failed."""
    assert ticket.connection is not None, "made with the ticket"
    try:
        yield
    except BaseException:
        ticket.connection.abort()
        raise
    ticket.connection.close()
