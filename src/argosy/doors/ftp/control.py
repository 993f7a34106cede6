"""The control connection's end of the event loop: bytes in, commands out, replies back."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from argosy import errors
from argosy.config import FtpDoor
from argosy.wire.ftp import commands
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.lines import LineReader, TooLong
from argosy.wire.ftp.replies import Reply
from argosy.wire.ftp.session import Session

Heard = Command | Reply
"""A command, or the reply that a line which is none deserves."""

_AT_A_TIME = 32
"""Commands of one client that are answered before others have their turn."""


class Conversation(Protocol):
    """What a control connection tells the door."""

    def interrupt(self, command: Command) -> bool:
        """Hear of each command as it is read; true: it was dealt with at once."""
        ...

    def answer(self, heard: Heard) -> bool:
        """Answer what is next in turn; false: that takes its time, and `Control.go_on` will be called."""
        ...

    def hung_up(self) -> None:
        """The client is gone."""
        ...

    def fell_silent(self) -> None:
        """Nothing came for as long as `Control.expect` said."""
        ...


class Control(asyncio.Protocol):
    """One client's control connection.

    A command that needs no waiting is answered as it is read; while another is answered commands are read on,
    up to `pipeline_limit`. Then the socket isn't read, and the client feels it. A silent client costs a timer
    and nothing else.
    """

    __slots__ = (
        *("_answering", "_config", "_connected", "_drained", "_due", "_gone", "_heard", "_lines", "_loop"),
        *("_paused", "_silent_at", "_transport", "_watch", "conversation", "local", "remote", "session"),
    )

    def __init__(
        self, config: FtpDoor, connected: Callable[[Control], None], *, secure: bool = False
    ) -> None:
        self.session = Session(
            require_tls=config.require_tls, require_data_tls=config.require_data_tls, secure=secure
        )
        self.local: tuple[str, int] = ("", 0)
        self.remote: tuple[str, int] = ("", 0)
        self.conversation: Conversation | None = None
        """Who answers; None: nobody, the client is turned away."""
        self._config = config
        self._connected = connected
        self._lines = LineReader(config.line_limit)
        self._heard: deque[Heard] = deque()
        self._answering = False
        self._drained: asyncio.Future[None] | None = None
        """Done when the client has read what was said; None: it has."""
        self._paused = False
        self._gone = False
        self._loop = asyncio.get_running_loop()
        self._silent_at = self._due = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def writable(self) -> bool:
        """Whether the client reads what we say."""
        return self._drained is None

    @property
    def gone(self) -> bool:
        """Whether the client has hung up."""
        return self._gone

    @property
    def answering(self) -> bool:
        """Whether a command is being answered."""
        return self._answering

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; the second time, after AUTH TLS, the encrypted one."""
        first, self._transport = self._transport is None, cast("asyncio.Transport", transport)
        self._paused = False
        self.resume_writing()
        if first:
            local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
            if not local or not remote:  # reset before we came to take it: there is nobody to talk to
                self._transport.abort()
                return
            self.local, self.remote = local[:2], remote[:2]
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        """Cut bytes into commands, and have them answered in turn."""
        conversation = self.conversation
        if conversation is None:
            return
        for line in self._lines.feed(data):
            heard = _read(line)
            if isinstance(heard, Command) and conversation.interrupt(heard):
                continue
            self._heard.append(heard)
        if refusals := self._lines.taken_refusals():
            self._write(refusals)
        if not self._answering:
            self._take_up()
        if len(self._heard) >= self._config.pipeline_limit and self._transport and not self._gone:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Hold replies back until the client reads."""
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let replies go on."""
        drained, self._drained = self._drained, None
        if drained and not drained.done():
            drained.set_result(None)
        if not self._answering:
            self._take_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        del exc
        self._gone = True
        self._heard.clear()
        self._stop_watch()
        self.resume_writing()
        if self.conversation:
            self.conversation.hung_up()

    # --- for the door

    def go_on(self) -> None:
        """The command in hand is answered: take up the next ones."""
        self._answering = False
        self._take_up()

    def expect(self, seconds: float) -> None:
        """Wait for the next command so long; then `fell_silent` is called, unless one is being answered."""
        now = self._loop.time()
        self._silent_at = now + seconds
        if self._watch is None or self._silent_at < self._due:
            self._look_in(seconds)

    def say(self, reply: Reply) -> None:
        """Send a reply."""
        self._write(self.session.reply(reply))

    async def say_page(self, page: bytes) -> None:
        """Send whole lines of a long reply, when the client has read enough of what came before."""
        self._write(page.replace(b"\xff", b"\xff\xff"))  # Telnet's escape, RFC 854
        if self._gone:
            raise ConnectionResetError
        await asyncio.sleep(0)  # others want the loop, too, and a client that reads fast never makes us wait
        if self._drained:
            async with asyncio.timeout(self._config.stall_seconds):
                await asyncio.shield(self._drained)

    async def encrypt(self, context: ssl.SSLContext) -> None:
        """Begin TLS, after 234 was said; whatever came in clear after AUTH TLS is forgotten.

        Raises:
            OSError: The handshake failed; the connection is of no more use.
        """
        assert self._transport is not None, "connected"
        self._transport.pause_reading()
        self._lines.forget()
        self._heard.clear()
        self._transport = await self._loop.start_tls(
            self._transport,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=self._config.login_seconds,
        )

    def close(self) -> None:
        """Hang up, after what was said is sent; nobody is told of anything any more."""
        self.conversation = None
        self._heard.clear()
        self._stop_watch()
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Hang up now."""
        if self._transport:
            self._transport.abort()

    def _take_up(self) -> None:
        """Have commands answered until one takes its time, or others want the loop."""
        for _ in range(_AT_A_TIME):
            # Who doesn't read our replies gets no more of them.
            if not self._heard or self._answering or self._drained or self.conversation is None:
                break
            heard = self._heard.popleft()
            self._answering = True
            self._answering = not self.conversation.answer(heard)
        else:
            self._loop.call_soon(self._take_up)
        if self._paused and len(self._heard) < self._config.pipeline_limit and self._transport:
            self._paused = False
            if not self._gone and not self._transport.is_closing():
                self._transport.resume_reading()

    def _look_in(self, seconds: float) -> None:
        self._stop_watch()
        self._due = self._loop.time() + seconds
        self._watch = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """The timer is set once in a while and not for each command, so see whether it is time yet."""
        rest = self._silent_at - self._loop.time()
        self._watch = None
        if self._answering:
            self._look_in(self._config.idle_seconds)
        elif rest > 0:
            self._look_in(rest)
        elif self.conversation:
            self.conversation.fell_silent()

    def _stop_watch(self) -> None:
        if self._watch:
            self._watch.cancel()
            self._watch = None

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
