"""Ports held open in advance, so that a client can be told one without asking the node first."""

from __future__ import annotations

import logging
import socket

from argosy.errors import NoDataConnection
from argosy.net.dataconn import accept_now, open_listener

log = logging.getLogger("argosy.node")


class Listeners:
    """The ports that listen and wait to be used. A client may come before we hear that it will."""

    def __init__(self, host: str, ports: tuple[int, int], count: int) -> None:
        self._host = host
        self._range = ports
        self._count = count
        self._waiting: dict[int, socket.socket] = {}
        self._short = False
        self._closed = False

    def ports(self) -> list[int]:
        """Give the ports that wait."""
        return list(self._waiting)

    def fill(self) -> list[int]:
        """Open ports until enough wait, once half of them are used; so few messages tell of many ports.

        When the range is used up, later calls go on. Gives the new ones.
        """
        fresh: list[int] = []
        if self._closed or len(self._waiting) > self._count // 2:
            return fresh
        while len(self._waiting) < self._count:
            try:
                listener = open_listener(self._host, self._range)
            except NoDataConnection as error:
                if not self._short:
                    log.warning("only %d of %d ports wait: %s", len(self._waiting), self._count, error)
                self._short = True
                return fresh
            port: int = listener.getsockname()[1]
            self._waiting[port] = listener
            fresh.append(port)
        self._short = False
        return fresh

    def take(self, port: int) -> socket.socket | None:
        """Give a port's listener away; None when it isn't ours (any more)."""
        return self._waiting.pop(port, None)

    def accept(self, port: int, peer: str) -> socket.socket | None:
        """Take the connection that waits at a port, and close that; None: the port stays as it is.

        Args:
            port: Which.
            peer: The only address that may connect; empty for any.
        """
        listener = self._waiting.get(port)
        made = accept_now(listener, peer) if listener else None
        if listener and made:
            del self._waiting[port]
            listener.close()
        return made

    def renew(self) -> list[int]:
        """Open other ports in place of those that wait: who is on the way to one has lost its master."""
        self._shut()
        return self.fill()

    def close(self) -> None:
        """Close them all, and open no more."""
        self._closed = True
        self._shut()

    def _shut(self) -> None:
        for listener in self._waiting.values():
            listener.close()
        self._waiting.clear()
