"""How a data connection comes about, and who carries its bytes.

Three ways, one for each thing that a client can say: PASV after PRET (`Direct`: the client meets the node),
PASV or EPSV alone (`Passive`: it meets us, and we relay), PORT or EPRT (`Active`: the node dials it). A
listing is ours to send, in each way that leads to us.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from argosy import errors
from argosy.cluster.nodes.roster import Node
from argosy.cluster.nodes.transfers import Transfer
from argosy.config import FtpDoor
from argosy.net import tls
from argosy.net.dataconn import DataConnection, open_listener
from argosy.net.relay import Relay
from argosy.wire import link

Start = Callable[[Transfer], None]
"""Tells the node what to move over a ticket's data connection."""


@dataclass(slots=True)
class Carriage:
    """What every way of carrying needs, one for the door."""

    config: FtpDoor
    threads: Executor
    """For listings and relays."""
    client_tls: ssl.SSLContext
    """The door's certificate, for clients on data connections of ours."""
    node_tls: ssl.SSLContext
    """Our end of the link's TLS, for the node's leg of a relay."""
    answer_seconds: float
    """How long a node may take to say that it is at work on a transfer."""
    relayed_bytes: int = 0
    """File bytes that went through the master in this life."""

    def expect(self, listen: str, *, peer: str, context: ssl.SSLContext | None) -> tuple[int, DataConnection]:
        """Open a port of ours for one connection; the arguments are `DataConnection.expect`'s.

        Raises:
            NoDataConnection: Every port of the range is taken.
        """
        listener = open_listener(listen, self.config.passive_ports)
        port = listener.getsockname()[1]
        return port, DataConnection.expect(
            listener,
            peer=peer,
            tls=context,
            connect_seconds=self.config.connect_seconds,
            stall_seconds=self.config.stall_seconds,
        )


class Channel(Protocol):
    """A data connection that PASV, EPSV, PORT or EPRT has prepared; good for one transfer."""

    @property
    def node(self) -> Node | None:
        """The only node that can use it; None: any."""
        ...

    @property
    def untouched(self) -> bool:
        """After a download that failed: the client has noticed nothing, so another node may carry it."""
        ...

    async def carry(self, node: Node, start: Start, *, inward: bool) -> link.Done:
        """Have a node move a file over it.

        Args:
            node: Who has the file, or takes it.
            start: Tells it so.
            inward: An upload.

        Raises:
            NoDataConnection: It didn't come about; nothing was moved.
            Unavailable: The node is away; nothing was begun.
        """
        ...

    async def list(self, pages: Iterator[bytes]) -> int:
        """Send a listing, page by page from a thread, and give its bytes.

        Raises:
            NoDataConnection: It didn't come about.
            TransferCut: The client went away in the middle.
        """
        ...

    def cut(self) -> None:
        """Stop at once (ABOR), or give up what was never used."""
        ...

    def decline(self) -> None:
        """Give up what was never used, in order: the client shall hear of the refusal, not of a reset."""
        ...


class Direct:
    """The client connects to a port of the node that PRET chose."""

    def __init__(self, carriage: Carriage, transfer: Transfer, node: Node) -> None:
        self._carriage = carriage
        self._transfer = transfer
        self._node = node
        self.untouched = False

    @property
    def node(self) -> Node:
        """The node that PRET chose."""
        return self._node

    async def carry(self, node: Node, start: Start, *, inward: bool) -> link.Done:
        """See `Channel`."""
        del node, inward
        start(self._transfer)
        self._transfer.watch(self._carriage.answer_seconds, self._carriage.config.stall_seconds)
        return await self._transfer.outcome()

    async def list(self, pages: Iterator[bytes]) -> int:
        """Never: the client is on its way to a node, which knows nothing of listings."""
        raise RuntimeError(f"{self._node.name} can't send {pages}")

    def cut(self) -> None:
        """See `Channel`."""
        self._transfer.cancel()

    decline = cut


class Active:
    """The client listens, and the node (or for a listing the master) dials it."""

    def __init__(self, carriage: Carriage, host: str, port: int, *, protected: bool) -> None:
        self._carriage = carriage
        self._host, self._port, self._protected = host, port, protected
        self._transfer: Transfer | None = None
        self._connection: DataConnection | None = None
        self._was_cut = False
        self.untouched = True
        self.node = None

    async def carry(self, node: Node, start: Start, *, inward: bool) -> link.Done:
        """See `Channel`."""
        if self._was_cut:
            raise errors.NoDataConnection("given up before it began")
        self._transfer = Transfer(node)
        self._transfer.dial(self._host, self._port, tls=self._protected)
        start(self._transfer)
        self._transfer.watch(self._carriage.answer_seconds, self._carriage.config.stall_seconds)
        done = await self._transfer.outcome()
        # A second connection to a port that has had one would be believed by nobody, or by the wrong one.
        self.untouched = not (inward or done.met or self._was_cut)
        return done

    async def list(self, pages: Iterator[bytes]) -> int:
        """See `Channel`."""
        config = self._carriage.config
        self._connection = DataConnection.dial(
            self._host,
            self._port,
            tls=self._carriage.client_tls if self._protected else None,
            server_side=True,
            connect_seconds=config.connect_seconds,
            stall_seconds=config.stall_seconds,
        )
        return await _send_pages(self._carriage, self._connection, pages)

    def cut(self) -> None:
        """See `Channel`."""
        self._was_cut = True
        if self._transfer:
            self._transfer.cancel()
        if self._connection:
            self._connection.cut()

    decline = cut


class Passive:
    """The client connects to a port of ours; file bytes are relayed to or from the node, which dials us."""

    def __init__(self, carriage: Carriage, listen: str, peer: str, *, protected: bool) -> None:
        """Open the port.

        Args:
            carriage: The door's.
            listen: Our address on the control connection.
            peer: The only address that may connect; empty: any (FXP).
            protected: PROT P.

        Raises:
            NoDataConnection: Every port of the range is taken.
        """
        self._carriage = carriage
        self._protected = protected
        self.port, self._client = carriage.expect(
            listen, peer=peer, context=carriage.client_tls if protected else None
        )
        self._node_leg: DataConnection | None = None
        self._transfer: Transfer | None = None
        self._relay: Relay | None = None
        self._was_cut = False
        self._spare = False
        """The client is there, and no thread is at work with it."""
        self.untouched = True
        self.node = None

    async def carry(self, node: Node, start: Start, *, inward: bool) -> link.Done:
        """See `Channel`. With PROT P the node's leg has TLS too, with certificates on both sides."""
        if node.peer is None:
            raise errors.Unavailable(node.name)
        transfer, leg = self._begin(node)
        if inward:  # a client that sends nothing wouldn't find out
            transfer.when_failed(self._cut_ends)
        else:
            transfer.when_failed(partial(self._node_failed, leg))
            transfer.when_alone = partial(self._left_alone, transfer)
        far: socket.socket | None = None
        try:
            start(transfer)
            transfer.watch(self._carriage.answer_seconds, self._carriage.config.stall_seconds)
            far = await leg.ready()
            _check_node(far, node)
            client = await self._client.ready()
            source, sink = (client, far) if inward else (far, client)
            self._relay = Relay(source, sink, block_bytes=self._carriage.config.relay_bytes)
            await self._carry_bytes(self._relay, leg, inward=inward)
            done = await transfer.outcome()
        except errors.NoDataConnection as failure:
            self.untouched = not (inward or far or self._was_cut)
            if not self.untouched:
                self._cut_all()
            elif not transfer.over:
                transfer.give_up(f"{node.name}: {failure.subject}")
            done = await transfer.outcome()
            leg.abort()
            if done.refusal in ("", errors.TransferCut.__name__) and not self.untouched:
                raise
            return done  # the node's own reason says more: it has no such file, say
        except asyncio.CancelledError:
            self._cut_all()
            raise
        leg.abort()
        if not done.refusal and done.moved != self._relay.moved:
            done.refusal = errors.TransferCut.__name__  # the ends disagree: somebody broke off in between
        if not done.refusal:
            await self._off_the_loop(self._client.close)
            return done
        self.untouched = not (inward or self._relay.touched or self._was_cut)
        self._spare = self.untouched
        if not self.untouched:
            self._client.abort()  # a plain end would look like the end of the file
        return done

    def _begin(self, node: Node) -> tuple[Transfer, DataConnection]:
        """Open a port for the node, and draw a ticket for it."""
        assert node.peer is not None, "it is there"
        port, leg = self._carriage.expect(
            node.peer.local[0],
            peer=node.peer.remote[0],
            context=self._carriage.node_tls if self._protected else None,
        )
        self._node_leg, self._relay, self._spare = leg, None, False
        try:
            self._transfer = transfer = Transfer(node)
        except BaseException:
            leg.cut()
            raise
        transfer.dial("", port, tls=self._protected)
        return transfer, leg

    async def list(self, pages: Iterator[bytes]) -> int:
        """See `Channel`."""
        return await _send_pages(self._carriage, self._client, pages)

    def cut(self) -> None:
        """See `Channel`."""
        self._was_cut = True
        self._cut_all()
        if self._spare:
            self._client.abort()

    def _cut_all(self) -> None:
        if self._transfer:
            self._transfer.cancel()
        self._cut_ends()

    def _node_failed(self, leg: DataConnection) -> None:
        """The node's part of a download ended badly; the client needn't know, as long as it got nothing."""
        leg.cut()
        if leg is self._node_leg and self._relay and self._relay.touched:  # else another node is at it by now
            self._client.cut()

    def _left_alone(self, transfer: Transfer) -> None:
        """The node's link broke; while nothing has come another one can do it at once."""
        if not (self._relay and self._relay.touched):
            transfer.lose()

    def _cut_ends(self) -> None:
        self._client.cut()
        if self._node_leg:
            self._node_leg.cut()

    def decline(self) -> None:
        """See `Channel`. Node's basic-ftp tells its user of the reset and never of the 550 beside it."""
        self._client.close()  # quick: nothing was sent that it could wait for
        self.cut()

    async def _carry_bytes(self, relay: Relay, leg: DataConnection, *, inward: bool) -> None:
        """Carry; a break on one side becomes a break on the other, and the node tells the outcome."""
        try:
            await self._off_the_loop(relay.run)
            if inward:
                await self._off_the_loop(leg.close)
        except OSError:
            leg.abort()
            if inward or relay.touched:
                self._client.abort()
        finally:
            self._carriage.relayed_bytes += relay.moved

    async def _off_the_loop(self, work: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._carriage.threads, work)


def _check_node(far: socket.socket, node: Node) -> None:
    if isinstance(far, ssl.SSLSocket) and tls.identity(far.getpeercert()) != f"node:{node.name}":
        raise errors.NoDataConnection("a stranger came instead of the node")


async def _send_pages(carriage: Carriage, connection: DataConnection, pages: Iterator[bytes]) -> int:
    client = await connection.ready()

    def send() -> int:
        sent = 0
        try:
            for page in pages:
                client.sendall(page)
                sent += len(page)
        except OSError as error:
            connection.abort()
            raise errors.TransferCut(str(error)) from error
        except BaseException:
            connection.abort()
            raise
        connection.close()
        return sent

    return await asyncio.get_running_loop().run_in_executor(carriage.threads, send)
