"""Small uploads, waited for without a thread: the kernel keeps the bytes until all of them are there.

As long as it isn't known that an upload is small and whole, nothing is taken from its socket: who receives
the others finds all of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

_CLOSE_WAIT = 8
"""tcp(7)'s state of a connection whose far end has said all that it will: linux/tcp_states.h."""

_INT = struct.Struct("@i")


class Whole:
    """One upload that may turn out to be small. Everything here is called on the event loop."""

    def __init__(
        self, made: socket.socket, *, limit: int, seconds: float, then: Callable[[bytes | None], None]
    ) -> None:
        """Begin to wait.

        Args:
            made: A plain connection that is there; it stays the caller's.
            limit: The most bytes that count as small.
            seconds: How long the client may take.
            then: Called once, with all of the bytes, or with None: then none was taken.
        """
        self._made = made
        self._limit = limit
        self._then = then
        self._loop = asyncio.get_running_loop()
        # Readable from now on means: it ended, or it isn't small.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, limit + 1)
        self._loop.add_reader(made.fileno(), self._look)
        self._patience = self._loop.call_later(seconds, self.give_up)

    def give_up(self) -> None:
        """Wait no longer."""
        self._stop()
        self._then(None)

    def _look(self) -> None:
        self._stop()
        self._then(self._taken())

    def _taken(self) -> bytes | None:
        try:
            if self._made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _CLOSE_WAIT:
                return None
            (count,) = _INT.unpack(fcntl.ioctl(self._made, termios.FIONREAD, _INT.pack(0)))
            return self._made.recv(self._limit, socket.MSG_DONTWAIT) if count <= self._limit else None
        except OSError:
            return None

    def _stop(self) -> None:
        self._patience.cancel()
        self._loop.remove_reader(self._made.fileno())
        self._made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._made.setblocking(True)  # libuv has made it otherwise
