"""The NFS door's connections: every call is answered once, and nobody's calls hold up anybody else's."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
import pytest
import uvloop

import packing
from argosy.config.gateway import NfsDoor
from argosy.doors.nfs.records import RECORD_LIMIT, UNSENT, Listener, Peer
from argosy.wire.nfs import rpc, xdr
from argosy.wire.nfs.records import RecordReader

SECONDS = 20.0
ECHO, LATER, HELD, FAIL, FAIL_LATER, PIECES, GARBAGE = range(7)
"""The procedures of a program that shows what connections do."""


def pattern(number: int, size: int) -> bytes:
    """Bytes that are others for each number."""
    return (number.to_bytes(4, "big") * (size // 4 + 1))[:size]


class Program:
    """Answers by echoing arguments: at once, later, or when it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.running = 0
        self.most = 0
        self.peers: list[Peer] = []
        self.done: list[bytes] = []

    def answer(self, peer: Peer, call: rpc.Call) -> rpc.Reply | Coroutine[Any, Any, rpc.Reply]:
        self.peers.append(peer)
        match call.procedure:
            case n if n == ECHO:
                return rpc.success(call.xid, self._said(call))
            case n if n == LATER:
                return self._later(call)
            case n if n == HELD:
                return self._held(call)
            case n if n == FAIL:
                raise ZeroDivisionError
            case n if n == FAIL_LATER:
                return self._fail()
            case n if n == PIECES:
                data = memoryview(pattern(call.xid, call.arguments().u32()))
                return rpc.success_pieces(call.xid, [b"", data[: len(data) // 2], data[len(data) // 2 :]])
            case _:
                return rpc.success(call.xid, call.arguments().opaque(3))

    @staticmethod
    def _said(call: rpc.Call) -> bytes:
        return bytes(call.record[call.at :])

    async def _later(self, call: rpc.Call) -> rpc.Reply:
        await asyncio.sleep(0)
        return rpc.success(call.xid, self._said(call))

    async def _held(self, call: rpc.Call) -> rpc.Reply:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        self.running -= 1
        self.done.append(self._said(call))
        return rpc.success(call.xid, self._said(call))

    async def _fail(self) -> rpc.Reply:
        raise ZeroDivisionError


class Client:
    """A connection, its calls by number."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._records = RecordReader(1 << 30)

    def say(self, xid: int, procedure: int, arguments: bytes = b"") -> None:
        self.writer.write(rpc.pack_call(xid, 7, 1, procedure, arguments))

    async def hear(self, count: int) -> dict[int, bytes]:
        """Wait for so many replies; a refusal is its name."""
        heard: dict[int, bytes] = {}
        async with asyncio.timeout(SECONDS):
            while len(heard) < count:
                data = await self.reader.read(1 << 16)
                assert data, "hung up"
                for record in self._records.feed(data):
                    xid = int.from_bytes(record[:4], "big")
                    assert xid not in heard, "answered twice"
                    try:
                        _, source = rpc.unpack_reply(record)
                        heard[xid] = bytes(record[source.at :])
                    except rpc.Refused as refused:
                        heard[xid] = str(refused).encode()
        return heard

    async def ended(self) -> bool:
        """Whether it was hung up on."""
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(1 << 16):
                    pass
        return True


class Door:
    """A listener, and what it answers with."""

    def __init__(self, config: NfsDoor, welcome: Callable[[Peer], bool]) -> None:
        self.program = Program()
        self.listener = Listener(config, self.program.answer, welcome)
        self._opened = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self.listener.serve(self._opened.set_result))
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        host, _, port = (await self._opened).rpartition(":")
        self._clients.append(Client(*await asyncio.open_connection(host, int(port))))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


Opening = Callable[..., Door]


@contextlib.asynccontextmanager
async def doors() -> AsyncIterator[Opening]:
    opened: list[Door] = []

    def open_door(welcome: Callable[[Peer], bool] = lambda _: True, **limits: Any) -> Door:
        config = msgspec.structs.replace(NfsDoor(listen="127.0.0.1:0"), **limits)
        opened.append(Door(config, welcome))
        return opened[-1]

    try:
        yield open_door
    finally:
        for door in opened:
            await door.close()


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on the gateway's loop; its first argument opens doors."""

    def run(**arguments: Any) -> None:
        async def case() -> None:
            async with doors() as opening:
                await test(opening, **arguments)

        uvloop.run(case())

    run.__name__ = test.__name__
    signature = inspect.signature(test)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]
    return run


async def wait_for(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not what():
            await asyncio.sleep(0.01)


@on_uvloop
async def test_a_thousand_calls_at_once_are_answered_each_once(opening: Opening) -> None:
    client = await opening().connect()
    wanted = {}
    for xid in range(1000):
        wanted[xid] = packing.opaque(bytes(xid % 300))
        client.say(xid, LATER if xid % 3 else ECHO, wanted[xid])
    assert await client.hear(1000) == wanted


@pytest.mark.parametrize("size", [1, 70_000, 1024 * 1024])
@on_uvloop
async def test_a_call_is_answered_however_it_trickles_in(opening: Opening, size: int) -> None:
    client = await opening().connect()
    arguments = packing.opaque(bytes(range(256)) * (size // 256) + b"x")
    call = rpc.pack_call(5, 7, 1, LATER, arguments)[4:]
    stream = packing.record(call, cuts=sorted([3, 40, len(call) // 2]))
    for start in range(0, len(stream), max(7, size // 50)):
        client.writer.write(stream[start : start + max(7, size // 50)])
        await client.writer.drain()
        await asyncio.sleep(0)
    client.say(6, ECHO, b"next")
    assert await client.hear(2) == {5: arguments, 6: b"next"}


@on_uvloop
async def test_a_large_calls_bytes_stay_as_they_are_while_somebody_looks_at_them(opening: Opening) -> None:
    """Buffers are used again, but only when nobody has a view of them."""
    door = opening()
    kept: list[memoryview] = []
    plain = door.program.answer

    def answer(peer: Peer, call: rpc.Call) -> rpc.Reply | Coroutine[Any, Any, rpc.Reply]:
        if call.xid % 3 == 0:
            kept.append(memoryview(call.record)[call.at :])
        return plain(peer, call)

    door.listener.answer = answer
    client = await door.connect()
    wanted = {xid: pattern(xid, 300_000) for xid in range(30)}
    for xid, data in wanted.items():
        client.say(xid, LATER, data)
        assert await client.hear(1) == {xid: data}
    assert kept == [wanted[xid] for xid in range(0, 30, 3)]


@on_uvloop
async def test_a_large_call_is_received_into_the_buffer_of_one_that_is_done(opening: Opening) -> None:
    door = opening()
    seen: list[xdr.Record] = []
    plain = door.program.answer

    def answer(peer: Peer, call: rpc.Call) -> rpc.Reply | Coroutine[Any, Any, rpc.Reply]:
        seen.append(call.record)
        return plain(peer, call)

    door.listener.answer = answer
    client = await door.connect()
    for xid in range(10):
        client.say(xid, LATER, pattern(xid, 300_000))
        assert await client.hear(1) == {xid: pattern(xid, 300_000)}
    assert all(record is seen[0] for record in seen)


@on_uvloop
async def test_a_slow_call_holds_up_no_other(opening: Opening) -> None:
    door = opening()
    client = await door.connect()
    client.say(1, HELD)
    client.say(2, ECHO, b"fast")
    assert await client.hear(1) == {2: b"fast"}
    door.program.gate.set()
    assert await client.hear(1) == {1: b""}


@on_uvloop
async def test_who_connects_is_known(opening: Opening) -> None:
    door = opening()
    client = await door.connect()
    client.say(1, ECHO)
    await client.hear(1)
    assert door.program.peers == [Peer("127.0.0.1", client.writer.get_extra_info("sockname")[1], "127.0.0.1")]


@on_uvloop
async def test_a_failure_of_ours_is_told_logged_and_outlived(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    client = await opening().connect()
    client.say(1, FAIL)
    client.say(2, FAIL_LATER)
    client.say(3, GARBAGE, b"\xff" * 8)
    client.say(4, ECHO, b"well")
    assert await client.hear(4) == {1: b"SYSTEM_ERR", 2: b"SYSTEM_ERR", 3: b"GARBAGE_ARGS", 4: b"well"}
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR] * 2


@on_uvloop
async def test_work_is_finished_when_its_client_has_gone(opening: Opening) -> None:
    door = opening()
    client = await door.connect()
    client.say(1, HELD, b"work")
    await wait_for(lambda: door.program.running == 1)
    client.writer.transport.abort()
    await wait_for(lambda: not door.listener.connections)
    door.program.gate.set()
    await wait_for(lambda: door.program.done == [b"work"])
    await wait_for(lambda: door.listener.held == 0)


@on_uvloop
async def test_a_bad_credential_is_told_so_and_rubbish_is_hung_up_on(opening: Opening) -> None:
    door = opening()
    client = await door.connect()
    client.writer.write(packing.record(rpc.pack_call(1, 7, 1, ECHO)[4:28] + packing.u32(6) + bytes(12)))
    assert await client.hear(1) == {1: b"auth_stat 2"}
    client.writer.write(packing.record(b"rubbish"))
    assert await client.ended()
    for stream in (packing.u32(0x80000000 | (RECORD_LIMIT + 1)), packing.record(packing.u32(1) * 12)):
        client = await door.connect()
        client.writer.write(stream)
        client.say(1, ECHO)
        assert await client.ended()
    client = await door.connect()
    client.say(1, ECHO)
    assert await client.hear(1) == {1: b""}


@on_uvloop
async def test_no_more_calls_are_worked_on_than_may_be(opening: Opening) -> None:
    door = opening(calls=10)
    client, other = await door.connect(), await door.connect()
    for xid in range(100):
        client.say(xid, HELD if xid % 2 else ECHO)
    await wait_for(lambda: door.program.running == 10)
    other.say(1, ECHO, b"not held up")
    assert await other.hear(1) == {1: b"not held up"}
    door.program.gate.set()
    assert len(await client.hear(100)) == 100
    assert door.program.most == 10


@on_uvloop
async def test_calls_hold_no_more_memory_than_they_may(opening: Opening) -> None:
    """Large calls wait their turn; small ones of others don't."""
    door = opening(memory_bytes=16 * 1024 * 1024)
    client, second, other = [await door.connect() for _ in range(3)]
    data = bytes(1024 * 1024)
    sending = asyncio.create_task(_say_many(client, 40, data))
    sending_too = asyncio.create_task(_say_many(second, 40, data))
    await wait_for(lambda: door.program.running >= 8)
    await asyncio.sleep(0.2)
    assert door.listener.held <= 16 * 1024 * 1024 + 2 * RECORD_LIMIT
    assert door.program.running <= 12
    other.say(1, ECHO, b"not held up")
    assert await other.hear(1) == {1: b"not held up"}
    door.program.gate.set()
    assert len(await client.hear(40)) == len(await second.hear(40)) == 40
    await asyncio.gather(sending, sending_too)
    assert door.listener.held == 0


async def _say_many(client: Client, count: int, data: bytes) -> None:
    for xid in range(count):
        client.say(xid, HELD, data)
        await client.writer.drain()


@on_uvloop
async def test_a_client_that_takes_no_replies_is_asked_no_more_and_then_hung_up_on(opening: Opening) -> None:
    door = opening(stall_seconds=1.0)
    client = await door.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for xid in range(400):
        client.say(xid, PIECES, packing.u32(256 * 1024))
    await wait_for(lambda: bool(door.listener.connections))
    (connection,) = door.listener.connections
    await wait_for(lambda: connection._unsent_bytes() > UNSENT)
    assert connection._unsent_bytes() < UNSENT + 1024 * 1024
    assert door.listener.calls < 100
    await wait_for(lambda: not door.listener.connections)


@on_uvloop
async def test_a_client_that_takes_its_replies_late_gets_them_all(opening: Opening) -> None:
    client = await opening().connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for xid in range(100):
        client.say(xid, PIECES, packing.u32(256 * 1024))
    await asyncio.sleep(0.3)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    heard = await client.hear(100)
    assert heard == {xid: pattern(xid, 256 * 1024) for xid in range(100)}


@on_uvloop
async def test_who_says_nothing_or_half_a_call_is_hung_up_on(opening: Opening) -> None:
    door = opening(idle_seconds=0.4, stall_seconds=0.4)
    silent, half, busy = [await door.connect() for _ in range(3)]
    half.writer.write(packing.u32(0x80000100) + bytes(5))
    busy.say(1, HELD)
    assert await silent.ended()
    assert await half.ended()
    door.program.gate.set()
    assert await busy.hear(1) == {1: b""}, "who waits for us isn't idle"
    assert await busy.ended()


@on_uvloop
async def test_no_more_clients_come_in_than_may(opening: Opening) -> None:
    door = opening(connections=2)
    clients = [await door.connect() for _ in range(2)]
    for client in clients:
        client.say(1, ECHO)
        await client.hear(1)
    assert await (await door.connect()).ended()
    clients[0].writer.close()
    await wait_for(lambda: len(door.listener.connections) == 1)
    client = await door.connect()
    client.say(1, ECHO)
    assert await client.hear(1) == {1: b""}


@on_uvloop
async def test_who_isnt_welcome_is_not_heard(opening: Opening) -> None:
    door = opening(welcome=lambda peer: peer.host != "127.0.0.1")
    client = await door.connect()
    client.say(1, ECHO)
    assert await client.ended()
    assert door.program.peers == []
