"""The control connection's end of the event loop: bytes in, commands out, replies back."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

from argosy import errors
from argosy.config import FtpDoor
from argosy.wire.ftp import commands
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.lines import LineReader, TooLong
from argosy.wire.ftp.replies import Reply
from argosy.wire.ftp.session import Session


class Dismissed(Exception):  # noqa: N818 - not a mistake of anybody's
    """The session is to end now; the text says why."""


Heard = Command | Reply
"""A command, or the reply that a line which is none deserves."""


class Control(asyncio.Protocol):
    """One client's control connection.

    Commands are read while others are answered, up to `pipeline_limit`; then the socket isn't read, and the
    client feels it.
    """

    def __init__(self, config: FtpDoor, connected: Callable[[Control], None]) -> None:
        self.session = Session(require_tls=config.require_tls)
        self.local: tuple[str, int] = ("", 0)
        self.remote: tuple[str, int] = ("", 0)
        self.interrupt: Callable[[Command], bool] = lambda _: False
        """Offered each command as it is read; true: it was dealt with at once."""
        self.hung_up: Callable[[], None] = lambda: None
        """Told when the client is gone."""
        self._config = config
        self._connected = connected
        self._lines = LineReader(config.line_limit)
        self._heard: deque[Heard] = deque()
        self._woken = asyncio.Event()
        self._writable = asyncio.Event()
        self._paused = False
        self._gone = False
        self._dismissed = ""
        self._transport: asyncio.Transport | None = None

    @property
    def writable(self) -> bool:
        """Whether the client reads what we say."""
        return self._writable.is_set()

    @property
    def gone(self) -> bool:
        """Whether the client has hung up."""
        return self._gone

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; the second time, after AUTH TLS, the encrypted one."""
        first, self._transport = self._transport is None, cast("asyncio.Transport", transport)
        self._writable.set()
        if first:
            self.local = transport.get_extra_info("sockname")[:2]
            self.remote = transport.get_extra_info("peername")[:2]
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        """Cut bytes into commands and queue them."""
        for line in self._lines.feed(data):
            heard = _read(line)
            if isinstance(heard, Command) and self.interrupt(heard):
                continue
            self._heard.append(heard)
        if len(self._heard) >= self._config.pipeline_limit and self._transport:
            self._paused = True
            self._transport.pause_reading()
        self._woken.set()

    def pause_writing(self) -> None:
        """Hold replies back until the client reads."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let replies go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        del exc
        self._gone = True
        self._woken.set()
        self._writable.set()
        self.hung_up()

    # --- for the door

    async def next(self, seconds: float) -> Heard | None:
        """Wait for the next command; None: the client has hung up.

        Args:
            seconds: How long to wait.

        Raises:
            TimeoutError: Nothing came. Answer 421.
            Dismissed: The client has to go. Answer 421.
        """
        async with asyncio.timeout(seconds):
            while not self._heard or self._dismissed:
                if self._gone:
                    return None
                if self._dismissed:
                    raise Dismissed(self._dismissed)
                self._woken.clear()
                await self._woken.wait()
            await self._writable.wait()  # who doesn't read our replies gets no more of them
        heard = self._heard.popleft()
        if self._paused and self._transport and not self._gone:
            self._paused = False
            self._transport.resume_reading()
        return heard

    def dismiss(self, why: str) -> None:
        """Have `next` raise `Dismissed`, at once if it waits."""
        self._dismissed = why
        self._woken.set()

    def say(self, reply: Reply) -> None:
        """Send a reply."""
        self._write(self.session.reply(reply))

    async def say_page(self, page: bytes) -> None:
        """Send whole lines of a long reply, when the client has read enough of what came before."""
        self._write(page.replace(b"\xff", b"\xff\xff"))  # Telnet's escape, RFC 854
        if self._gone:
            raise ConnectionResetError
        await asyncio.sleep(0)  # others want the loop, too, and a client that reads fast never makes us wait
        async with asyncio.timeout(self._config.stall_seconds):
            await self._writable.wait()

    async def encrypt(self, context: ssl.SSLContext) -> None:
        """Begin TLS, after 234 was said; whatever came in clear after AUTH TLS is forgotten.

        Raises:
            OSError: The handshake failed; the connection is of no more use.
        """
        assert self._transport is not None, "connected"
        self._transport.pause_reading()
        self._lines.forget()
        self._heard.clear()
        self._transport = await asyncio.get_running_loop().start_tls(
            self._transport,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=self._config.login_seconds,
        )

    def close(self) -> None:
        """Hang up, after what was said is sent."""
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Hang up now."""
        if self._transport:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        # A TLS transport that the peer aborted takes writes in silence for ever.
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)


_TOO_LONG = Reply.of(500, "Line too long")
_NOT_UNDERSTOOD = Reply.of(500, "Command not understood")


def _read(line: bytes | TooLong) -> Heard:
    if isinstance(line, TooLong):
        return _TOO_LONG
    try:
        return commands.parse(line)
    except errors.BadArgument:
        return _NOT_UNDERSTOOD
