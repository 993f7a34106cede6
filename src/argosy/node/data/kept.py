"""Connections to other nodes that are kept for a while: the next upload needs no handshake."""

from __future__ import annotations

import asyncio
import socket


class Kept:
    """Connections over which nothing moves, by the number that the master gave them.

    There are never more than uploads that ran at once. Everything here is called on the event loop.
    """

    def __init__(self, seconds: float) -> None:
        """Begin with none.

        Args:
            seconds: How long one is kept that isn't used.
        """
        self._seconds = seconds
        self._waiting: dict[int, tuple[socket.socket, asyncio.TimerHandle]] = {}
        self._closed = False

    def put(self, number: int, made: socket.socket) -> None:
        """Keep a connection; it is ours from now on."""
        self._drop(number)
        if self._closed:
            made.close()
            return
        timer = asyncio.get_running_loop().call_later(self._seconds, self._drop, number)
        self._waiting[number] = made, timer

    def take(self, number: int) -> socket.socket | None:
        """Give a connection away; None: it isn't here any more."""
        made, timer = self._waiting.pop(number, (None, None))
        if timer:
            timer.cancel()
        return made

    def close(self) -> None:
        """Close them all, and keep no more."""
        self._closed = True
        for number in list(self._waiting):
            self._drop(number)

    def _drop(self, number: int) -> None:
        if made := self.take(number):
            made.close()
