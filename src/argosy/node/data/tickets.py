"""The master's tickets for this node: a data connection each, what moves over it, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from argosy import config, errors
from argosy.net import tls
from argosy.net.dataconn import DataConnection
from argosy.net.peer import Peer
from argosy.node.data import transfer
from argosy.node.data.arrival import Arrival
from argosy.node.data.carrying import Carrying, refused
from argosy.node.data.listeners import Listeners
from argosy.node.data.ticket import Ticket
from argosy.node.data.whole import Whole
from argosy.node.disk.glance import read_now
from argosy.node.disk.volume import Volume
from argosy.wire import link

log = logging.getLogger("argosy.node")

_LAST_WORDS_SECONDS = 0.5
"""For the outcomes of transfers that were cut because the node stops."""

_SMALL_SECONDS = 0.25
"""Uploads that take longer aren't waited for in one piece: others may want to read them while they arrive."""

Work = Callable[[socket.socket], link.Done]
"""What a thread does with a data connection that is there."""


class Tickets:
    """All tickets of this node.

    They outlive the link: a transfer goes on without one, and its outcome waits for the next. Everything here
    is called on the event loop; `run` must run meanwhile.
    """

    def __init__(
        self,
        settings: config.Node,
        volumes: Mapping[str, Volume],
        listeners: Listeners,
        *,
        relay_host: str,
        relay_tls: Callable[[], ssl.SSLContext],
    ) -> None:
        """Make the table.

        Args:
            settings: The node's.
            volumes: By store id.
            listeners: The ports that the master names in `expect`.
            relay_host: Where a `dial` without a host goes: the master.
            relay_tls: Gives the context for that.
        """
        self._settings = settings
        self._volumes = volumes
        self._carrying = Carrying(
            volumes,
            block_bytes=settings.block_bytes,
            stall_seconds=settings.request_seconds,
            sent_seconds=settings.scrub.sent_seconds,
        )
        self._listeners = listeners
        self._relay_host = relay_host
        self._relay_tls = relay_tls
        self._tickets: dict[int, Ticket] = {}
        self._arrivals: dict[tuple[str, int], Arrival] = {}
        self._threads, self._supplying, self._gathering, self._peeking = (
            ThreadPoolExecutor(settings.transfer_threads, thread_name_prefix=name)
            for name in ("transfer", "supply", "gather", "peek")
        )  # each of its own, for one waits for what another brings; and who only looks waits for nobody
        self._tasks: asyncio.TaskGroup | None = None
        self._data_tls: ssl.SSLContext | None = None
        self._data_pem: tuple[bytes, bytes] = (b"", b"")
        self._connect_seconds = settings.request_seconds
        self._stall_seconds = settings.request_seconds
        self._peer: Peer | None = None
        self._all_told = asyncio.Event()
        self._small = memoryview(bytearray(settings.small_bytes))
        self._running: set[asyncio.Task[None]] = set()
        self._ended = [0, 0]

    async def run(self) -> None:
        """Own the transfers until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await asyncio.Event().wait()
        finally:
            for threads in (self._threads, self._supplying, self._gathering, self._peeking):
                threads.shutdown(wait=False, cancel_futures=True)

    async def stop(self, seconds: float) -> None:
        """Let running transfers go on for a moment, then cut what is left."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        for ticket in tuple(self._tickets.values()):
            self._cut(ticket)
        if self._running:
            await asyncio.wait(self._running, timeout=_LAST_WORDS_SECONDS)
        if self._peer and self._tickets:
            self._all_told.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await self._all_told.wait()

    # --- the link

    def welcome(self, welcome: link.Welcome) -> None:
        """Take the limits and the certificate for data connections from the master."""
        self._connect_seconds = welcome.connect_seconds
        self._stall_seconds = self._carrying.stall_seconds = welcome.stall_seconds
        self.certify(welcome.certificate, welcome.key)

    def certify(self, certificate: bytes, key: bytes) -> None:
        """Show this certificate on data connections from now on; empty: the one before it."""
        if certificate and self._data_pem != (certificate, key):
            self._data_tls = tls.data_server(certificate, key)
            self._data_pem = (certificate, key)

    def attach(self, peer: Peer) -> None:
        """Tell outcomes over this link from now on, those owed first."""
        self._peer = peer
        for ticket in tuple(self._tickets.values()):
            for report in tuple(ticket.reports):
                self._tell_report(ticket, report)
            if ticket.outcome:
                self._tell(ticket)

    def detach(self) -> None:
        """The link is over; outcomes wait for the next."""
        self._peer = None

    def numbers(self) -> list[int]:
        """Give the tickets that we know: connections awaited, transfers running, outcomes owed."""
        return list(self._tickets)

    def running(self) -> list[link.Running]:
        """Say how far the running transfers are."""
        return [_running(ticket) for ticket in self._tickets.values() if ticket.moving]

    def moved(self) -> tuple[int, int]:
        """Give the bytes received and sent since the start."""
        totals = list(self._ended)
        for ticket in tuple(self._tickets.values()):  # asked from other threads, too
            if ticket.moving:
                totals[not ticket.incoming] += ticket.progress.moved
        return totals[0], totals[1]

    # --- orders

    def expect(self, order: link.Expect) -> None:
        """Take a client's connection on a port that listens."""
        listener = self._listeners.take(order.port)
        if listener is None or (order.tls and self._data_tls is None):
            if listener:
                listener.close()
            self._add(Ticket(order.ticket, None))  # its transfer will hear that there is no connection
            return
        connection = DataConnection.expect(
            listener,
            peer=order.peer,
            tls=self._data_tls if order.tls else None,
            connect_seconds=self._connect_seconds,
            stall_seconds=self._stall_seconds,
        )
        self._add(Ticket(order.ticket, connection))

    def dial(self, order: link.Dial) -> None:
        """Connect to a client, or to the master's relay, as soon as it is known what for."""
        to_master = not order.host
        try:
            context = (self._relay_tls() if to_master else self._data_tls) if order.tls else None
        except errors.ConfigError as error:
            log.warning("ticket %x: %s", order.ticket, error)
            self._add(Ticket(order.ticket, None, met=False))  # as where a client doesn't come
            return
        connect = partial(
            DataConnection.dial,
            order.host or self._relay_host,
            order.port,
            tls=context,
            server_side=not to_master,
            connect_seconds=self._connect_seconds,
            stall_seconds=self._stall_seconds,
            source="" if to_master else self._settings.listen,
        )
        far = tls.MASTER if to_master and order.tls else ""
        self._add(Ticket(order.ticket, None, connect, far=far, met=False))

    def send(self, order: link.Send) -> None:
        """Send a file over a ticket's connection; a small one on the spot, where nothing keeps us waiting.

        With `size` -1 it is one that is still arriving.
        """
        if order.ticket not in self._tickets and self._sent_at_once(order):
            return
        ticket = self._begin(order, lambda ticket: partial(self._carrying.send, ticket, order))
        if order.size == link.ARRIVING and ticket.arrival is None:
            ticket.arrival = self._arrivals.get((order.store_id, order.ver))

    async def peek(self, order: link.Peek) -> None:
        """See whether a file could be sent, down to its first byte.

        Raises:
            Refused: It can't.
        """
        if self._in_memory(order) is None:
            await asyncio.get_running_loop().run_in_executor(self._peeking, self._carrying.peek, order)

    def how_far(self, order: link.HowFar) -> link.Running:
        """Say how far a transfer is.

        Raises:
            NotFound: It isn't known here.
        """
        if (ticket := self._tickets.get(order.ticket)) is None:
            raise errors.NotFound(f"ticket {order.ticket:x}")
        return _running(ticket)

    def receive(self, order: link.Receive) -> None:
        """Take a file from a ticket's connection."""
        if (known := self._tickets.get(order.ticket)) and known.whole:
            return  # a repeated order: a thread beside `Whole` would share the bytes out between the two
        if order.ticket in self._tickets or not self._await_whole(order):
            self._arrives(
                order, self._begin(order, lambda ticket: partial(self._carrying.receive, ticket, order))
            )

    def carry(
        self,
        number: int,
        connect: Callable[[float, float], DataConnection | None],
        work: Callable[[Ticket], Work],
        *,
        far: str,
        incoming: bool,
    ) -> None:
        """Do some other work over a connection of its own; an order that is repeated is heeded once.

        Args:
            number: The ticket.
            connect: Makes the connection, if it can; told how long that may take, and how long it may stand
                still.
            work: Makes what a thread does then.
            far: Who the far end must be, by its certificate.
            incoming: Whether it brings bytes.
        """
        if number not in self._tickets:
            try:
                connection = connect(self._connect_seconds, self._stall_seconds)
            except errors.ConfigError as error:  # our certificate can't be read; the master hears of it
                log.warning("ticket %x: %s", number, error)
                connection = None
            ticket = Ticket(number, connection, far=far, incoming=incoming, begun=True)
            self._add(ticket)
            threads = self._gathering if incoming else self._supplying
            self._start(self._carry_out(ticket, work(ticket), threads))

    def arrival(self, store_id: str, upload: int) -> Arrival | None:
        """Give how far an upload has come that arrives here now."""
        return self._arrivals.get((store_id, upload))

    def arrives(self, ticket: Ticket, volume: Volume, upload: int) -> Arrival:
        """Note that a ticket brings an upload; others may take it while it comes."""
        ticket.part, ticket.incoming = (volume, upload), True
        ticket.arrival = self._arrivals[volume.store_id, upload] = Arrival(
            lead_bytes=self._settings.lead_bytes,
            lead_seconds=self._settings.lead_seconds,
            progress=ticket.progress,
        )
        return ticket.arrival

    @property
    def stall_seconds(self) -> float:
        """How long a data connection, or an upload that is sent while it arrives, may stand still."""
        return self._stall_seconds

    def report(self, ticket: Ticket, report: link.Gathered) -> None:
        """Tell of files on the way; over the next link, if this one is gone."""
        ticket.reports.append(report)
        self._tell_report(ticket, report)

    def pace(self, order: link.Pace) -> None:
        """Keep a ticket's bytes at a pace from now on."""
        if ticket := self._tickets.get(order.ticket):
            ticket.progress.pace.bytes_per_second = max(0, order.bytes_per_second)

    def cancel(self, order: link.Cancel) -> None:
        """End a ticket; if a transfer ran, its outcome says so."""
        if ticket := self._tickets.get(order.ticket):
            self._cut(ticket)

    # --- inside

    def _add(self, ticket: Ticket) -> None:
        if old := self._tickets.get(ticket.number):
            self._cut(old)
        self._tickets[ticket.number] = ticket
        loop = asyncio.get_running_loop()
        ticket.expiry = loop.call_later(self._settings.outcome_seconds, self._expire, ticket)

    def _expire(self, ticket: Ticket) -> None:
        """Give up a connection for which no transfer was ordered, and say so: the order may be lost."""
        if ticket.begun:
            return
        ticket.begun = True  # an order that comes now is too late
        if ticket.connection:
            ticket.connection.cut()
        refusal = errors.NoDataConnection.__name__
        self._end(ticket, link.Done(ticket.number, 0, refusal, "it waited too long", size=-1))

    def _arrives(self, order: link.Receive, ticket: Ticket) -> None:
        if (volume := self._volumes.get(order.store_id)) and ticket.part is None:
            self.arrives(ticket, volume, order.upload)

    def _await_whole(self, order: link.Receive) -> bool:
        """Take a client who is there, and wait for what may be a small file; False: it can't be so simple."""
        meet = order.meet
        if order.ascii or order.offset or order.base or not isinstance(meet, link.Expect) or meet.tls:
            return False
        made = self._listeners.accept(meet.port, meet.peer)
        if made is None:
            return False
        ticket = Ticket(order.ticket, DataConnection.adopt(made, stall_seconds=self._stall_seconds))
        self._tickets[order.ticket] = ticket
        self._arrives(order, ticket)

        def then(content: bytes | None) -> None:
            ticket.whole = None
            self._begin(order, lambda ticket: partial(self._carrying.receive, ticket, order, content=content))

        limit = len(self._small) if order.room < 0 else min(len(self._small), order.room)
        ticket.whole = Whole(made, limit=limit, seconds=_SMALL_SECONDS, then=then)
        return True

    def _cut(self, ticket: Ticket) -> None:
        if ticket.whole:
            ticket.whole.give_up()
        ticket.progress.cancel()
        if ticket.connection:
            ticket.connection.cut()
        if ticket.arrival:
            ticket.arrival.wake()
        if not ticket.begun:
            self._drop(ticket)

    def _drop(self, ticket: Ticket) -> None:
        if ticket.expiry:
            ticket.expiry.cancel()
        if self._tickets.get(ticket.number) is ticket:
            del self._tickets[ticket.number]
        if not self._tickets:
            self._all_told.set()

    def _begin(self, order: link.Send | link.Receive, work: Callable[[Ticket], Work]) -> Ticket:
        if order.ticket not in self._tickets:
            match order.meet:
                case link.Expect():
                    self.expect(order.meet)
                case link.Dial():
                    self.dial(order.meet)
                case None:  # it was told of to another life of ours
                    self._add(Ticket(order.ticket, None))
        ticket = self._tickets[order.ticket]
        if not ticket.begun:
            ticket.begun = True
            first = None
            if isinstance(order, link.Send) and order.size != link.ARRIVING and ticket.connect:
                first = partial(self._carrying.peek, order)
            self._start(self._carry_out(ticket, work(ticket), self._threads, first))
        return ticket

    def _start(self, work: Coroutine[None, None, None]) -> None:
        assert self._tasks is not None, "run() runs"
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _carry_out(
        self,
        ticket: Ticket,
        work: Work,
        threads: ThreadPoolExecutor,
        first: Callable[[], None] | None = None,
    ) -> None:
        """Do the work of a ticket.

        Args:
            ticket: Which.
            work: Done by a thread with the connection.
            threads: One of which does it.
            first: Done before the connection is made: of what fails here nobody at its far end hears.
        """
        ticket.moving = True
        loop = asyncio.get_running_loop()
        try:
            try:
                if first:
                    await loop.run_in_executor(threads, first)
                made = await self._connected(ticket)
                done = await loop.run_in_executor(threads, work, made)
            except errors.Refused as refusal:
                done = await loop.run_in_executor(threads, refused, ticket, refusal)
        except Exception:
            log.exception("ticket %x: accident", ticket.number)
            done = link.Done(
                ticket.number, ticket.progress.moved, errors.Failed.__name__, "accident", size=-1
            )
        finally:
            ticket.moving = False
            self._ended[not ticket.incoming] += ticket.progress.moved
        if ticket.part and ticket.arrival:
            volume, upload = ticket.part
            ticket.arrival.end(whole=not done.refusal)
            if self._arrivals.get((volume.store_id, upload)) is ticket.arrival:
                del self._arrivals[volume.store_id, upload]
        self._end(ticket, done)

    def _end(self, ticket: Ticket, done: link.Done) -> None:
        """Owe the master an outcome, until it has heard it or nobody can want it any more."""
        ticket.outcome = done
        done.met = ticket.met
        done.seconds, done.held = ticket.progress.seconds, ticket.progress.held
        self._tickets[ticket.number] = ticket
        self._tell(ticket)

    def _tell_report(self, ticket: Ticket, report: link.Gathered) -> None:
        def heard(reply: link.Body | None) -> None:
            if reply is not None and report in ticket.reports:
                ticket.reports.remove(report)
            if ticket.outcome:
                self._tell(ticket)

        if self._peer:
            self._peer.request(report, heard)

    def _tell(self, ticket: Ticket) -> None:
        """Tell an outcome, once the reports before it are heard."""
        if self._peer and ticket.outcome and not ticket.reports:
            self._peer.request(ticket.outcome, partial(self._told, ticket))
        else:
            self._keep(ticket)

    def _told(self, ticket: Ticket, reply: link.Body | None) -> None:
        if reply is None:  # the link broke; the next one hears of it
            self._keep(ticket)
            return
        if isinstance(reply, link.No):
            log.warning("ticket %x: the master wants no outcome: %s", ticket.number, reply.subject)
        self._drop(ticket)

    def _keep(self, ticket: Ticket) -> None:
        if ticket.expiry:
            ticket.expiry.cancel()
        loop = asyncio.get_running_loop()
        ticket.expiry = loop.call_later(self._settings.outcome_seconds, self._give_up, ticket)

    def _give_up(self, ticket: Ticket) -> None:
        log.warning("ticket %x: nobody heard its outcome", ticket.number)
        self._drop(ticket)

    def _sent_at_once(self, order: link.Send) -> bool:
        """Send a small file from memory to a client that is there; False: one or the other isn't."""
        meet, content = order.meet, self._in_memory(order)
        if content is None or order.ascii or not isinstance(meet, link.Expect) or meet.tls:
            return False
        made = self._listeners.accept(meet.port, meet.peer)
        if made is None:
            return False
        ticket = Ticket(order.ticket, None, begun=True)
        try:
            ticket.progress.moved = transfer.send_now(made, content)
        except errors.TransferCut as cut:
            made.close()
            self._end(ticket, refused(ticket, cut))
            return True
        if ticket.progress.moved < len(content):  # a thread waits for the client to read on
            self._go_on(order, made, ticket.progress)
            return True
        made.close()
        self._ended[1] += len(content)
        self._end(ticket, link.Done(order.ticket, len(content), "", ""))
        return True

    def _in_memory(self, order: link.Send | link.Peek) -> memoryview | None:
        size = order.size - order.offset
        volume = self._volumes.get(order.store_id)
        unproved = isinstance(order, link.Send) and order.unproved
        if volume is None or order.size == link.ARRIVING or unproved:
            return None
        if not 0 <= size <= len(self._small):
            return None
        content = self._small[:size]
        return content if read_now(volume, order.loc, order.ver, order.offset, content) else None

    def _go_on(self, order: link.Send, made: socket.socket, progress: transfer.Progress) -> None:
        connection = DataConnection.adopt(made, stall_seconds=self._stall_seconds)
        self._add(Ticket(order.ticket, connection, progress=progress))
        rest = msgspec.structs.replace(order, offset=order.offset + progress.moved)
        self._begin(rest, lambda ticket: partial(self._carrying.send, ticket, rest))

    async def _connected(self, ticket: Ticket) -> socket.socket:
        if ticket.progress.cancelled:
            raise errors.TransferCut("cancelled")
        if ticket.connection is None and ticket.connect:
            ticket.connection, ticket.met = ticket.connect(), True
        if ticket.connection is None:
            raise errors.NoDataConnection("no connection was prepared")
        try:
            made = await ticket.connection.ready()
        except errors.NoDataConnection:
            if ticket.progress.cancelled:
                raise errors.TransferCut("cancelled") from None
            raise
        if ticket.far:
            assert isinstance(made, ssl.SSLSocket)
            if tls.identity(made.getpeercert()) != ticket.far:
                ticket.connection.abort()
                raise errors.NoDataConnection(f"the far end isn't {ticket.far}")
        return made


def _running(ticket: Ticket) -> link.Running:
    progress = ticket.progress
    return link.Running(ticket.number, progress.moved, progress.seconds, progress.held)
