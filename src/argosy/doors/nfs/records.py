"""The NFS door's connections: calls come as records, and so go replies, in any order. RFC 5531 section 11.

What can be answered at once is answered at once, all of a batch by one write. What takes longer is a task;
tasks outlive their connection, for a change that was begun is finished, and its reply kept (`replies`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, NamedTuple, cast

from argosy.config import join_address, split_address
from argosy.config.gateway import NfsDoor
from argosy.wire.nfs import rpc
from argosy.wire.nfs.nfs3 import DATA_LIMIT
from argosy.wire.nfs.records import RecordReader, RecordTooLong
from argosy.wire.nfs.rpc import Piece, Reply
from argosy.wire.nfs.xdr import GarbageArguments, Record

log = logging.getLogger("argosy.nfs")

RECORD_LIMIT = DATA_LIMIT + 16 * 1024
"""Bytes in a call: a WRITE of as much as we take, and what stands before it."""

BUFFER = 64 * 1024
"""Bytes read at once, for all connections by one buffer: it is empty again before the loop goes on."""

UNSENT = 2 * 1024 * 1024
"""Bytes of replies that a client may leave lying before we read no more calls from it."""

TOGETHER = 256 * 1024
"""Bytes of files in replies that go by one write; then it is seen whether the client takes them."""

SPARE = 8
"""Buffers of large calls that are kept for the next: making one costs as much as filling it."""
SPARE_LEAST = 64 * 1024
"""Smaller ones aren't worth it."""

SHARES = 4
"""One connection's calls hold no more than this part of the memory for calls."""

CHECKS = 4
"""Times in a time limit that it is looked at."""


class Peer(NamedTuple):
    """A client's end of a connection."""

    host: str
    """IPv4 in IPv6's dress is IPv4."""
    port: int
    own: str
    """The address of ours that it came to."""


Answer = Callable[[Peer, rpc.Call], Reply | Coroutine[Any, Any, Reply]]
"""How a call is answered: at once, or by work that ends in a reply. `GarbageArguments` may be raised."""


class Wait(Enum):
    """Why a connection is read no further."""

    CALLS = "calls"
    """As many as may be are worked on."""
    MEMORY = "memory"
    """Its calls hold more than their share."""
    SENDING = "sending"
    """The client doesn't take its replies."""
    END = "end"
    """It is being closed."""


class Listener:
    """All connections of the NFS door."""

    def __init__(self, config: NfsDoor, answer: Answer, welcome: Callable[[Peer], bool]) -> None:
        """Prepare to listen.

        Args:
            config: Where, and the limits.
            answer: Answers a call; it must not block.
            welcome: Whether somebody may speak to us at all.
        """
        self.config = config
        self.answer = answer
        self.connections: set[Connection] = set()
        self.held = 0
        """Bytes of the calls that are worked on."""
        self.calls = 0
        """Answered since the start."""
        self.buffer = memoryview(bytearray(BUFFER))
        self._welcome = welcome
        self._tasks: asyncio.TaskGroup | None = None
        self._turned_away = 0
        self._spare: list[bytearray] = []

    async def serve(self, opened: Callable[[str], None]) -> None:
        """Take clients until cancelled.

        Args:
            opened: Told the address, once we listen there.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._tasks:
            server = await loop.create_server(
                lambda: Connection(self), *split_address("nfs.listen", self.config.listen), backlog=128
            )
            try:
                opened(join_address(*server.sockets[0].getsockname()[:2]))
                await self._look_after()
            finally:
                server.close()
                for connection in tuple(self.connections):
                    connection.close()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a call's work, beyond its connection's end if need be."""
        assert self._tasks is not None, "the server runs"
        self._tasks.create_task(work)

    def admit(self, connection: Connection, peer: Peer) -> bool:
        """Let a connection in, or not."""
        if not self._welcome(peer):
            log.warning("turned %s away: not of a network in nfs.networks", join_address(*peer[:2]))
            return False
        if len(self.connections) >= self.config.connections:
            self._turned_away += 1
            if self._turned_away.bit_count() == 1:  # 1, 2, 4, ...: a flood of clients is no flood of lines
                log.warning(
                    "turned %s away: %d connections are open, nfs.connections allows no more (%d times now)",
                    *(join_address(*peer[:2]), len(self.connections), self._turned_away),
                )
            return False
        self.connections.add(connection)
        return True

    @property
    def crowded(self) -> bool:
        """Calls hold as much memory as they may."""
        return self.held >= self.config.memory_bytes

    def let_go(self, size: int) -> None:
        """Take note that a call's bytes are free again; who waited for that is read again."""
        crowded = self.crowded
        self.held -= size
        if crowded and not self.crowded:
            for connection in tuple(self.connections):
                connection.look_again()

    def make_record(self, size: int) -> bytearray:
        """Give a buffer for a large call, perhaps with old bytes in it."""
        for at, spare in enumerate(self._spare):
            if len(spare) == size:
                return self._spare.pop(at)
        return bytearray(size)

    def recycle(self, record: Record) -> None:
        """Keep a call's buffer for the next, if nobody looks at the call's bytes any more."""
        if not isinstance(record, bytearray) or len(record) < SPARE_LEAST:
            return
        try:
            record.pop()  # refused while there is a view of it
        except BufferError:
            return
        record.append(0)
        self._spare.append(record)
        if len(self._spare) > SPARE:
            del self._spare[0]

    async def _look_after(self) -> None:
        """Close connections that stand still, for ever."""
        config, now = self.config, asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(min(config.idle_seconds, config.stall_seconds) / CHECKS)
            for connection in tuple(self.connections):
                connection.check(now())


class Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, listener: Listener) -> None:
        self.peer = Peer("", 0, "")
        self._listener = listener
        self._reader = RecordReader(RECORD_LIMIT, listener.make_record)
        self._waiting: deque[Record] = deque()
        self._waits: set[Wait] = set()
        self._running = 0
        self._held = 0
        self._unsent: list[Piece] = []
        self._large = 0
        self._transport: asyncio.Transport | None = None
        self._now = asyncio.get_running_loop().time
        self._heard = self._moved = self._now()
        self._left = 0

    # --- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if the client may come in."""
        self._transport = cast("asyncio.Transport", transport)
        remote, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not remote:  # it has gone already
            transport.close()
            return
        self.peer = Peer(_plain(remote[0]), remote[1], _plain(own[0]))
        if not self._listener.admit(self, self.peer):
            self._transport.abort()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._transport.set_write_buffer_limits(high=UNSENT)
        log.debug("%s connected", join_address(*self.peer[:2]))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where the next bytes go: into the large record that they are of, or the common buffer."""
        del sizehint
        return self._reader.space or self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        self._heard = self._now()
        try:
            if self._reader.space is None:
                records = self._reader.feed(bytes(self._listener.buffer[:nbytes]))
            else:
                records = self._reader.filled(nbytes)
        except RecordTooLong as error:
            self._hang_up(str(error))
            return
        if self._waits or self._waiting:
            self._waiting += records
        else:
            for place, record in enumerate(records):
                self._take(record)
                if self._waits:
                    self._waiting += records[place + 1 :]
                    break
        self._send()

    def eof_received(self) -> None:
        """The client has said all; the transport closes."""

    def pause_writing(self) -> None:
        """Read no more calls until the client takes its replies."""
        self._left, self._moved = self._unsent_bytes(), self._now()
        self._stop(Wait.SENDING)

    def resume_writing(self) -> None:
        """Go on: the client has taken its replies."""
        self._go_on(Wait.SENDING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. What is worked on is finished, and its replies are dropped."""
        self._listener.connections.discard(self)
        self._end()
        self._unsent.clear()
        if self._transport is not None:
            log.debug("%s has gone: %s", join_address(*self.peer[:2]), exc or "closed")
        self._transport = None

    # --- what the listener says

    def close(self) -> None:
        """End it, replies first that are being sent."""
        if self._transport is not None:
            self._end()
            self._transport.close()

    def check(self, now: float) -> None:
        """End it if it stands still for too long."""
        config = self._listener.config
        if self._reader.held and now - self._heard > config.stall_seconds and not self._waits:
            self._hang_up("the rest of a call didn't come")
        elif Wait.SENDING in self._waits:
            left = self._unsent_bytes()
            if left < self._left:
                self._left, self._moved = left, now
            elif now - self._moved > config.stall_seconds:
                self._hang_up("it takes no replies")
        elif not self._running and not self._waits and now - self._heard > config.idle_seconds:
            self.close()

    def look_again(self) -> None:
        """There is room again, maybe."""
        if Wait.MEMORY in self._waits and not self._holds_too_much():
            self._go_on(Wait.MEMORY)

    # --- calls

    def _take(self, record: Record) -> None:
        """Answer a call, or begin to."""
        try:
            call = rpc.unpack_call(record)
        except rpc.Denied as denied:
            self._unsent.append(denied.reply)
            return
        except rpc.NotACall as error:
            self._hang_up(f"not a call: {error}")
            return
        self._listener.calls += 1
        try:
            reply = self._listener.answer(self.peer, call)
        except Exception as error:  # noqa: BLE001 - told to the client, and logged there
            reply = self._accident(call, error)
        if isinstance(reply, bytes):
            self._unsent.append(reply)
        elif isinstance(reply, list):
            self._unsent += reply
            self._large += sum(map(len, reply))
            if self._large >= TOGETHER:
                self._send()
        else:
            self._begin(call, reply)

    def _begin(self, call: rpc.Call, work: Coroutine[Any, Any, Reply]) -> None:
        size = len(call.record)
        self._running += 1
        self._held += size
        self._listener.held += size
        self._listener.begin(self._work(call, work, size))
        if self._running >= self._listener.config.calls:
            self._stop(Wait.CALLS)
        if self._holds_too_much():
            self._stop(Wait.MEMORY)

    async def _work(self, call: rpc.Call, work: Coroutine[Any, Any, Reply], size: int) -> None:
        try:
            reply = await work
        except Exception as error:  # noqa: BLE001 - told to the client, and logged there
            reply = self._accident(call, error)
        finally:
            self._running -= 1
            self._held -= size
            self._listener.let_go(size)
            self._listener.recycle(call.record)
        if self._transport is None:
            return
        if isinstance(reply, bytes):
            self._unsent.append(reply)
        else:
            self._unsent += reply
            self._large = 1
        self._send()
        self.look_again()
        if Wait.CALLS in self._waits:
            self._go_on(Wait.CALLS)

    def _accident(self, call: rpc.Call, error: Exception) -> bytes:
        """Give the reply to a call that can't be read, or at which we failed."""
        if isinstance(error, GarbageArguments):
            log.info("%s: bad arguments of %s: %s", self.peer.host, _name(call), error)
            return rpc.garbage_arguments(call.xid)
        log.error("accident at %s of %s", _name(call), self.peer.host, exc_info=error)
        return rpc.system_error(call.xid)

    def _send(self) -> None:
        """Give the transport all replies there are: small ones as one, files' bytes as they lie."""
        unsent = self._unsent
        if not unsent or self._transport is None:
            return
        self._unsent = []
        if self._large:
            self._large = 0
            self._transport.writelines(unsent)
        else:
            self._transport.write(b"".join(unsent) if len(unsent) > 1 else unsent[0])

    # --- back-pressure

    def _holds_too_much(self) -> bool:
        """Say whether this connection has more than its share of what calls may hold.

        One call is always let it: who holds little isn't stopped for what others do.
        """
        if self._held <= RECORD_LIMIT:
            return False
        return self._listener.crowded or self._held * SHARES > self._listener.config.memory_bytes

    def _stop(self, why: Wait) -> None:
        if not self._waits and self._transport is not None:
            self._transport.pause_reading()
        self._waits.add(why)

    def _go_on(self, why: Wait) -> None:
        """Stop waiting for that; take what came meanwhile, and read on if nothing else is waited for."""
        self._waits.discard(why)
        while self._waiting and not self._waits:
            self._take(self._waiting.popleft())
        self._send()
        if not self._waits and self._transport is not None:
            self._heard = self._now()
            self._transport.resume_reading()

    def _unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _hang_up(self, why: str) -> None:
        """End it at once: nothing sensible can follow."""
        if self._transport is not None:
            log.info("hung up on %s: %s", join_address(*self.peer[:2]), why)
            self._end()
            self._transport.abort()

    def _end(self) -> None:
        self._waits.add(Wait.END)
        self._waiting.clear()


def _plain(host: str) -> str:
    """Give an IPv4 address in IPv6's dress as what it is, and any without its zone."""
    return host.partition("%")[0].removeprefix("::ffff:")


def _name(call: rpc.Call) -> str:
    return f"procedure {call.procedure} of program {call.program} version {call.version}"
