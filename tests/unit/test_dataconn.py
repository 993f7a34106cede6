from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from argosy.errors import NoDataConnection
from argosy.net import pki, tls
from argosy.net.dataconn import DataConnection, is_local, open_listener


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    keys = tmp_path / "keys"
    pki.Authority.open(keys).issue_ftp(["127.0.0.1"])
    server = tls.data_server((keys / "ftp.pem").read_bytes(), (keys / "ftp.key").read_bytes())
    client = ssl.create_default_context(cafile=str(keys / "authority.pem"))
    client.check_hostname = False
    return server, client


def expecting(
    peer: str = "", context: ssl.SSLContext | None = None, connect: float = 5.0, stall: float = 5.0
) -> tuple[DataConnection, int]:
    listener = open_listener("", (0, 0))
    port = listener.getsockname()[1]
    return (
        DataConnection.expect(listener, peer=peer, tls=context, connect_seconds=connect, stall_seconds=stall),
        port,
    )


async def dialled(port: int, host: str = "127.0.0.1") -> socket.socket:
    client = await asyncio.to_thread(socket.create_connection, (host, port), 5)
    client.settimeout(5)
    return client


def rest_of(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


@pytest.mark.parametrize("sent", [0, 3, 500_000])
async def test_a_broken_tls_connection_is_no_end_of_a_file(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], sent: int
) -> None:
    server, client = contexts
    connection, port = expecting("127.0.0.1", server)
    with await dialled(port) as plain:
        secure = await asyncio.to_thread(client.wrap_socket, plain)
        made = await connection.ready()
        await asyncio.to_thread(secure.sendall, bytes(sent))
        secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        secure.close()
        with pytest.raises(OSError, match=r"EOF occurred|reset by peer"):
            await asyncio.to_thread(rest_of, made)
        await asyncio.to_thread(connection.close)


@pytest.mark.parametrize("polite", [False, True])
async def test_an_end_without_close_notify_is_the_end_of_a_file(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], polite: bool
) -> None:
    server, client = contexts
    connection, port = expecting("127.0.0.1", server)
    with await dialled(port) as plain:
        secure = await asyncio.to_thread(client.wrap_socket, plain)
        made = await connection.ready()
        await asyncio.to_thread(secure.sendall, b"hello")
        if polite:
            secure.settimeout(0)
            with suppress(OSError):
                secure.unwrap()
        secure.close()
        assert await asyncio.to_thread(rest_of, made) == b"hello"
        await asyncio.to_thread(connection.close)


async def test_a_client_gets_what_was_sent_and_then_the_end() -> None:
    connection, port = expecting("127.0.0.1")
    with await dialled(port) as client:
        made = await connection.ready()
        await asyncio.to_thread(made.sendall, b"hello")
        await asyncio.to_thread(connection.close)
        assert await asyncio.to_thread(rest_of, client) == b"hello"


async def test_the_port_is_shut_once_the_client_is_there() -> None:
    connection, port = expecting()
    with await dialled(port):
        await connection.ready()
        with pytest.raises(OSError, match="refused"):
            await dialled(port)
        connection.close()


async def test_a_stranger_is_turned_away_and_the_client_waited_on_further() -> None:
    connection, port = expecting("192.0.2.77")  # TEST-NET: not this machine's, so we're strangers
    with pytest.raises(ConnectionResetError), await dialled(port) as client:
        await asyncio.to_thread(client.recv, 1)
    assert connection._task is not None
    assert not connection._task.done()
    connection.cut()


async def test_any_address_of_this_machine_is_as_good_as_another() -> None:
    connection, port = expecting("::1")
    with await dialled(port) as client:
        made = await connection.ready()
        await asyncio.to_thread(made.sendall, b"x")
        connection.close()
        assert await asyncio.to_thread(rest_of, client) == b"x"
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.77")


async def test_nobody_comes_and_we_hear_of_it_in_time() -> None:
    connection, port = expecting(connect=0.1)
    with pytest.raises(NoDataConnection, match="nobody came"):
        await connection.ready()
    with pytest.raises(OSError, match="refused"):
        await dialled(port)


async def test_the_wait_begins_anew_when_the_transfer_is_asked_for() -> None:
    connection, port = expecting(connect=0.4)
    await asyncio.sleep(0.3)
    waiting = asyncio.ensure_future(connection.ready())
    await asyncio.sleep(0.25)
    with await dialled(port):
        await waiting
        connection.close()


async def test_giving_up_before_the_client_came_shuts_the_port() -> None:
    for wait in (0.0, 0.05):
        connection, port = expecting()
        await asyncio.sleep(wait)
        connection.cut()
        with pytest.raises(NoDataConnection):
            await connection.ready()
        with pytest.raises(OSError, match="refused"):
            await dialled(port)


async def test_giving_up_resets_a_client_that_came_early() -> None:
    connection, port = expecting()
    assert connection._task is not None
    with await dialled(port) as client:
        await asyncio.wait_for(asyncio.shield(connection._task), 5)
        connection.cut()
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(client.recv, 1)


async def test_giving_up_in_the_moment_a_client_comes_is_a_reset_and_no_end() -> None:
    for turns in range(6):
        connection, port = expecting()
        await asyncio.sleep(0.01)
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            connection.cut()
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(client.recv, 1)


async def test_cutting_wakes_a_sending_thread_and_the_client_sees_a_reset_not_an_end() -> None:
    connection, port = expecting(stall=30.0)
    with await dialled(port) as client:
        made = await connection.ready()

        def fill() -> None:
            while True:
                made.send(b"x" * 65536)

        sending = asyncio.ensure_future(asyncio.to_thread(fill))
        await asyncio.sleep(0.2)
        connection.cut()
        with pytest.raises(OSError, match=r"reset|pipe"):
            await asyncio.wait_for(sending, 3)
        connection.close()
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(rest_of, client)


async def test_cutting_wakes_a_receiving_thread() -> None:
    connection, port = expecting(stall=30.0)
    with await dialled(port):
        made = await connection.ready()
        reading = asyncio.ensure_future(asyncio.to_thread(made.recv, 1))
        await asyncio.sleep(0.1)
        connection.cut()
        with pytest.raises(OSError, match=r"pipe|reset|aborted"):
            await asyncio.wait_for(reading, 3)
        connection.close()


async def test_a_connection_that_stands_still_is_noticed(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client_context = contexts
    for context in (None, server):
        connection, port = expecting(context=context, stall=0.2)
        client = await dialled(port)
        if context:
            client = await asyncio.to_thread(client_context.wrap_socket, client)
        with client:
            made = await connection.ready()
            begin = time.monotonic()
            with pytest.raises((BlockingIOError, TimeoutError)):
                await asyncio.to_thread(made.recv, 1)
            assert 0.1 < time.monotonic() - begin < 2
            connection.close()


async def test_hands_are_shaken_before_the_transfer_is_asked_for(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client_context = contexts
    connection, port = expecting(context=server)
    client = await asyncio.to_thread(client_context.wrap_socket, await dialled(port))
    with client:
        made = await connection.ready()
        await asyncio.to_thread(made.sendall, b"secret")
        await asyncio.to_thread(connection.close)
        client.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # the end must be a close_notify
        assert await asyncio.to_thread(rest_of, client) == b"secret"


async def test_a_client_that_does_not_speak_tls_is_no_data_connection(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    connection, port = expecting(context=contexts[0])
    with await dialled(port) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(NoDataConnection):
            await connection.ready()


@pytest.mark.parametrize("server_side", [True, False])
async def test_we_dial_as_the_tls_server_or_client(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], server_side: bool
) -> None:
    server, client = contexts
    ours, theirs = (server, client) if server_side else (client, server)
    with open_listener("127.0.0.1", (0, 0)) as listener:
        listener.settimeout(5)
        connection = DataConnection.dial(
            "127.0.0.1",
            listener.getsockname()[1],
            tls=ours,
            server_side=server_side,
            connect_seconds=5,
            stall_seconds=5,
        )
        far, _ = await asyncio.to_thread(listener.accept)
        with await asyncio.to_thread(theirs.wrap_socket, far, server_side=not server_side) as wrapped:
            made = await connection.ready()
            await asyncio.to_thread(wrapped.sendall, b"up")
            assert await asyncio.to_thread(made.recv, 10) == b"up"
            connection.close()


async def test_a_closed_port_is_no_data_connection() -> None:
    with open_listener("127.0.0.1", (0, 0)) as listener:
        port = listener.getsockname()[1]
    connection = DataConnection.dial(
        "127.0.0.1", port, tls=None, server_side=True, connect_seconds=5, stall_seconds=5
    )
    with pytest.raises(NoDataConnection, match="refused"):
        await connection.ready()


async def test_a_range_is_used_up_and_free_again() -> None:
    with open_listener("127.0.0.1", (0, 0)) as probe:
        port = probe.getsockname()[1]
    first = open_listener("127.0.0.1", (port, port))
    with pytest.raises(NoDataConnection, match="no port is free"):
        open_listener("127.0.0.1", (port, port))
    first.close()
    open_listener("127.0.0.1", (port, port)).close()
    with pytest.raises(NoDataConnection, match="assign"):
        open_listener("192.0.2.77", (0, 0))


ON_UVLOOP = (
    test_a_client_gets_what_was_sent_and_then_the_end,
    test_nobody_comes_and_we_hear_of_it_in_time,
    test_giving_up_before_the_client_came_shuts_the_port,
    test_giving_up_resets_a_client_that_came_early,
    test_giving_up_in_the_moment_a_client_comes_is_a_reset_and_no_end,
    test_cutting_wakes_a_sending_thread_and_the_client_sees_a_reset_not_an_end,
    test_a_closed_port_is_no_data_connection,
)


@pytest.mark.parametrize("case", ON_UVLOOP)
def test_it_is_the_same_on_the_loop_that_master_and_node_run_on(
    case: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    uvloop.run(case())
