"""Data connections: made in the background on the event loop, then lent to a thread.

A connection is accepted (or dialled) and its TLS shaken as soon as it is there: some clients shake hands
before they send their command, and both sides would wait for each other if we waited for it. The bytes
are moved by a thread on a blocking socket, where `sendfile` costs least.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import functools
import ipaddress
import os
import random
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self

from argosy.errors import NoDataConnection

_BACKLOG = 16
"""One client is expected; the rest is room for strangers until they are turned away."""

_FREE_TRIES = 16
"""How often the kernel is asked for a free port before we say that there is none."""

_TIMEVAL = struct.Struct("@ll")
_LINGER_NOT = struct.pack("@ii", 1, 0)
_NOBODY = struct.pack("=H14x", socket.AF_UNSPEC)

_libc = ctypes.CDLL(None, use_errno=True)


def open_listener(host: str, ports: tuple[int, int]) -> socket.socket:
    """Open a port for one data connection.

    It is ours from here on, so the reply that names it can't race another session for it. In a range the
    search begins at random, so that ports can't be foretold (RFC 2577 section 8).

    Args:
        host: Local address; empty: every address, of IPv4 and IPv6 alike.
        ports: First and last port to try; (0, 0): any free one.

    Raises:
        NoDataConnection: Every port is taken, or the address isn't this machine's.
    """
    reason = "no port is free"
    for port in _order(ports):
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = _reason(error)
                break
    raise NoDataConnection(reason)


def accept_now(listener: socket.socket, peer: str) -> socket.socket | None:
    """Take a connection that waits at a port already; None: nobody has come.

    Args:
        listener: From `open_listener`; it stays open.
        peer: As for `DataConnection.expect`.
    """
    admitted = _admission(peer)
    while True:
        try:
            made, address = listener.accept()
        except OSError:  # nobody, or somebody who went again
            return None
        if admitted(address[0]):
            return made
        _reset(made)
        made.close()


def is_local(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


class DataConnection:
    """One data connection, being accepted or dialled in the background.

    Who awaits `ready` borrows the socket and ends with `close`, from any thread. Who never does ends with
    `cut`, on the event loop. Both may be repeated.
    """

    def __init__(
        self,
        arrive: Callable[[], Coroutine[Any, Any, socket.socket]] | None,
        connect_seconds: float,
        stall_seconds: float,
    ) -> None:
        """Start the background work; use `expect`, `dial` or `adopt` instead."""
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds
        self._limit: asyncio.Timeout | None = None
        self._guard = (
            threading.Lock()
        )  # between a thread that closes and the loop that cuts: no fd is used twice
        self._socket: socket.socket | None = None
        self._lent = False
        self._cut = False
        self._task: asyncio.Task[NoDataConnection | None] | None = None
        if arrive:
            self._task = asyncio.get_running_loop().create_task(self._make(arrive))

    @classmethod
    def expect(
        cls,
        listener: socket.socket,
        *,
        peer: str,
        tls: ssl.SSLContext | None,
        connect_seconds: float,
        stall_seconds: float,
    ) -> Self:
        """Take a listener over and accept one connection on it; then, or at the end, the port is closed.

        Anyone else than `peer` is turned away and waited on further (RFC 2577 section 3.1). When `peer` is
        an address of this machine, all its addresses count as one.

        Args:
            listener: From `open_listener`; ours from now on.
            peer: The only address that may connect; empty: anyone.
            tls: Shake hands as the server; None: plain.
            connect_seconds: How long to wait, handshake included; counted anew from `ready`.
            stall_seconds: How long the connection may stand still once it is there.
        """

        async def arrive() -> socket.socket:
            with listener:
                made = await _accept(listener, _admission(peer))
            return await _shaken(made, tls, server_side=True)

        self = cls(arrive, connect_seconds, stall_seconds)
        assert self._task is not None, "just begun"
        self._task.add_done_callback(lambda _: listener.close())  # also when it never began
        return self

    @classmethod
    def dial(
        cls,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        server_side: bool,
        connect_seconds: float,
        stall_seconds: float,
        source: str = "",
    ) -> Self:
        """Connect to an address, as for PORT and EPRT.

        Args:
            host: Address or name.
            port: Its port.
            tls: None: plain.
            server_side: Be the TLS server although we dialled, as FTP wants it (RFC 4217 section 7).
            connect_seconds: How long to try, handshake included; counted anew from `ready`.
            stall_seconds: How long the connection may stand still once it is there.
            source: Local address to come from, where it is of the same family; empty: the kernel's choice.
        """

        async def arrive() -> socket.socket:
            made = await _connect(host, port, source)
            return await _shaken(made, tls, server_side=server_side)

        return cls(arrive, connect_seconds, stall_seconds)

    @classmethod
    def adopt(cls, made: socket.socket, *, stall_seconds: float) -> Self:
        """Take over a connection that is there already.

        Args:
            made: From `accept_now` or `release`; ours from now on.
            stall_seconds: How long the connection may stand still.
        """
        self = cls(None, stall_seconds, stall_seconds)
        self._socket = self._prepared(made)
        return self

    async def ready(self) -> socket.socket:
        """Wait until the connection is there, and lend its socket to the caller.

        It is blocking, with the stall limit set: a plain one raises `BlockingIOError` when it stood still for
        so long, an `ssl.SSLSocket` raises `TimeoutError`.

        Raises:
            NoDataConnection: Nobody came, the peer refused, the handshake failed, or `cut` was called.
        """
        failure: NoDataConnection | None = None
        if self._task is not None:
            if self._limit is not None and not self._task.done() and not self._limit.expired():
                self._limit.reschedule(asyncio.get_running_loop().time() + self._connect_seconds)
            await asyncio.wait({self._task})  # ends by itself: `_limit`
            if self._task.cancelled():
                self.cut()
                raise NoDataConnection("given up")
            failure = self._task.result()
        with self._guard:
            if failure is not None or self._socket is None:
                raise failure or NoDataConnection("given up")
            self._lent = True
            return self._socket

    def cut(self) -> None:
        """End it at once with a reset, so that the peer can't take the end for the end of the file.

        A thread that is at work on the socket wakes with an `OSError`; it still has to `close`. Call it on
        the event loop.
        """
        if self._task is not None:
            self._task.cancel()
        with self._guard:
            self._cut = True
            if self._socket is not None:
                _reset(self._socket)
                if not self._lent:
                    self._socket.close()
                    self._socket = None

    def close(self) -> None:
        """End it in order: what was sent still arrives, TLS says close_notify, then FIN.

        May wait for room in the socket for `stall_seconds`; call it on a thread when something was sent.
        After `cut` it only frees the socket.
        """
        with self._guard:
            made, was_cut = self._socket, self._cut
        if made is None:
            return
        if not was_cut:
            self._say_goodbye(made)
        with self._guard:
            self._socket = None
            made.close()

    def release(self) -> socket.socket | None:
        """Give the socket away by which nothing moves any more, to be adopted anew; None: it was cut."""
        with self._guard:
            if self._cut:
                return None
            made, self._socket = self._socket, None
            return made

    def abort(self) -> None:
        """Reset it and free the socket: `cut` for the thread that borrowed it."""
        with self._guard:
            if self._socket is not None:
                _reset(self._socket)
                self._socket.close()
                self._socket = None

    def _say_goodbye(self, made: socket.socket) -> None:
        try:
            if isinstance(made, ssl.SSLSocket):
                room = select.poll()
                room.register(made, select.POLLOUT)
                room.poll(self._stall_seconds * 1000)
                made.settimeout(0)  # send ours, don't wait for theirs: many clients never send one
                made.unwrap()
        except (OSError, ValueError):
            pass  # the peer may be gone already, and is owed nothing more
        with contextlib.suppress(OSError):
            made.shutdown(socket.SHUT_WR)

    async def _make(
        self, arrive: Callable[[], Coroutine[Any, Any, socket.socket]]
    ) -> NoDataConnection | None:
        try:
            async with asyncio.timeout(self._connect_seconds) as self._limit:
                made = await arrive()
        except TimeoutError:
            return NoDataConnection(f"nobody came for {self._connect_seconds:g} seconds")
        except OSError as error:
            return NoDataConnection(_reason(error))
        with self._guard:
            if self._cut:
                made.close()
                return NoDataConnection("given up")
            self._socket = self._prepared(made)
        return None

    def _prepared(self, made: socket.socket) -> socket.socket:
        if isinstance(made, ssl.SSLSocket):
            made.settimeout(self._stall_seconds)
        else:
            made.setblocking(True)
            limit = _TIMEVAL.pack(int(self._stall_seconds), int(self._stall_seconds % 1 * 1e6))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return made


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _order(ports: tuple[int, int]) -> Iterator[int]:
    first, last = ports
    if last == 0:
        yield from (0,) * _FREE_TRIES
        return
    count = last - first + 1
    start = random.randrange(count)  # noqa: S311 - spreads, and guards nothing: the peer's address is checked
    yield from (first + (start + step) % count for step in range(count))


@functools.cache
def _has_dualstack() -> bool:
    return socket.has_dualstack_ipv6()  # opens a socket to find out


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host or (not host and _has_dualstack()) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # For ports whose old connections are in TIME_WAIT; two listeners stay impossible (Linux).
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if host else 0)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _plain(address: str) -> str:
    """Give an address without scope, an IPv4 one in IPv6 dress as IPv4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _admission(peer: str) -> Callable[[str], bool]:
    if not peer:
        return lambda _: True

    def admitted(address: str) -> bool:
        if address == peer:  # nearly always, and parsing addresses costs more than all the rest here
            return True
        wanted = _plain(peer)
        return _plain(address) == wanted or (is_local(_plain(address)) and is_local(wanted))

    return admitted


async def _accept(listener: socket.socket, admitted: Callable[[str], bool]) -> socket.socket:
    while True:
        try:  # not `loop.sock_accept`: cancelled in the moment that somebody comes, it loses the connection
            made, address = listener.accept()
        except (BlockingIOError, InterruptedError):
            await _until_ready(listener, writing=False)
            continue
        made.setblocking(False)
        if admitted(address[0]):
            return made
        _reset(made)
        made.close()


async def _connect(host: str, port: int, source: str) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            if source and (":" in source) == (family == socket.AF_INET6):
                made.bind((source, 0))
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failure


async def _shaken(made: socket.socket, tls: ssl.SSLContext | None, *, server_side: bool) -> socket.socket:
    """Set the socket's options and shake hands; the socket is closed when that fails."""
    wrapped = made
    try:
        if tls is None:
            return made  # with Nagle's algorithm: without it sendfile's pieces don't join to full segments
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped = tls.wrap_socket(
            made,
            server_side=server_side,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # whether a bare FIN is an end, the context knows
        )
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                await _until_ready(wrapped, writing=False)
            except ssl.SSLWantWriteError:
                await _until_ready(wrapped, writing=True)
            else:
                return wrapped
    except BaseException:
        wrapped.close()
        made.close()
        raise


async def _until_ready(made: socket.socket, *, writing: bool) -> None:
    """Wait until a socket can be read or written; the caller's time limit ends it."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = made.fileno()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(descriptor)


def _reset(made: socket.socket) -> None:
    """Have the kernel send RST now and wake whoever waits on the socket; its descriptor stays open.

    On Linux a TCP socket that is connected to "nobody" does both. Where it can't, the reset comes when the
    socket is closed.
    """
    if _libc.connect(made.fileno(), _NOBODY, len(_NOBODY)) == 0:
        return
    with contextlib.suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        made.shutdown(socket.SHUT_RDWR)
