"""A client's session that remembers what was said, and which node it had to do with."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque

from soak.visitor import Turned, Visitor, Way
from talking import Answer, Server, address

CONNECT_SECONDS = 8.0
"""For a data connection to a node."""

DATA_SECONDS = 120.0
"""For all the bytes of a transfer."""

REPLY_SECONDS = 90.0
"""For a reply: longer than any fault of the master's lasts."""

REMEMBERED = 60
"""Lines of a conversation."""


class Caller(Visitor):
    """A session of FTP."""

    def __init__(self, site: Server, way: Way, context: ssl.SSLContext | None) -> None:
        """Connect and log in.

        Args:
            site: Where.
            way: Of data connections.
            context: For TLS; None: in clear.
        """
        self.conversation: deque[str] = deque(maxlen=REMEMBERED)
        self.met = ""
        """The address in the last 227."""
        super().__init__(site, way, context)
        self.socket.settimeout(REPLY_SECONDS)

    def say(self, *lines: str | bytes) -> None:
        """Send lines, all at once."""
        self.conversation.extend(f"> {line!s}" for line in lines)
        super().say(*lines)

    def hear(self) -> Answer:
        """Wait for one whole reply."""
        answer = super().hear()
        self.conversation.append(f"< {answer.text.decode(errors='replace').strip()}")
        return answer

    def _passive(self, stack: contextlib.ExitStack, line: str) -> socket.socket:
        self.met = ""
        if self.way is Way.DIRECT:
            self.want(f"PRET {line}", 200)
        answer = self.ask("PASV")
        if answer.code != 227:
            raise Turned(answer.code, f"{line}: {answer.text.decode(errors='replace').strip()}")
        at = address(answer, self._at)
        self.met = at[0]
        try:
            data = stack.enter_context(socket.create_connection(at, CONNECT_SECONDS))
        except OSError as error:
            self.conversation.append(f"  {at[0]}: {error}")
            raise Turned(425, f"{line}: {error}") from error
        data.settimeout(DATA_SECONDS)
        return data
