"""A control connection: commands out, replies in, each wait with its limit.

Blocking; for one thread at a time.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time

from argosy import errors
from argosy.config import Remote
from argosy.sites.session import refusals
from argosy.wire.ftp.answers import Answer, AnswerReader

log = logging.getLogger(__name__)

_MARK, _MARKED = "PWD", 257
"""Only its reply has this code (MKD isn't said in between), so whatever came before it is done with."""


class Control:
    """The conversation. `usable` is false once it can't go on; then every word raises `Unavailable`."""

    def __init__(self, host: str, port: int, settings: Remote) -> None:
        """Connect; the greeting is still to be heard.

        Raises:
            Unavailable: Nobody is there.
        """
        self._settings = settings
        self._where = f"{host}:{port}"
        self._host = host
        self._answers: list[Answer] = []
        self._reader = AnswerReader()
        self.usable = True
        self.doubles = True
        """The byte 255 is said twice, as Telnet has it: RFC 959 section 4.1.3."""
        self.knows_mark = True
        """The command that `catch_up` says is known; else a transfer given up ends the connection."""
        self._limit: float | None = None
        """How long the socket waits, as it was told last."""
        try:
            self.socket: socket.socket = socket.create_connection((host, port), settings.connect_seconds)
        except OSError as error:
            self.usable = False
            raise errors.Unavailable(f"{self._where}: {_said(error)}") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # While data moves for hours nothing is said here, and a translator on the way would forget us.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        idle_seconds = min(max(1, int(settings.idle_seconds)), 32_767)  # more the kernel doesn't take
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_seconds)

    @property
    def peer(self) -> str:
        """The site's address, numeric."""
        return _unmapped(self._name(self.socket.getpeername))

    @property
    def own(self) -> str:
        """Our address as the site sees it, if nothing is between us."""
        return _unmapped(self._name(self.socket.getsockname))

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, which data connections go on with; None: there is no TLS."""
        return self.socket.session if isinstance(self.socket, ssl.SSLSocket) else None

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Go over to TLS; what was heard and not read before counts as never said.

        Raises:
            Untrusted: The certificate isn't one that we trust.
            Unsupported: What the site says is no TLS, or none that we can.
            Unavailable: It doesn't come about.
        """
        self._reader.forget()
        self._answers.clear()
        try:
            self._wait(self._settings.connect_seconds)
            self.socket = context.wrap_socket(self.socket, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            self.close()
            advice = "if it is the site's own making, name it in a config: [remote] trust_file"
            raise errors.Untrusted(f"{self._where}: {error.verify_message}; {advice}") from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise self.lost(error) from error
        except ssl.SSLError as error:  # trying again would end no better
            self.close()
            raise errors.Unsupported(f"TLS with {self._where}: {error.reason or error}") from error
        except OSError as error:
            raise self.lost(error) from error

    def ask(self, *words: str | bytes, seconds: float | None = None) -> Answer:
        """Say a command and give its reply.

        Args:
            words: The verb, and what follows it, each after a blank.
            seconds: How long to wait; as the settings say.

        Raises:
            Unavailable: The connection is lost, or no reply comes in time.
            NameNotAllowed: A word can't be said in one line.
        """
        self.say(words)
        return self.hear(seconds)

    def say(self, *commands: tuple[str | bytes, ...]) -> None:
        """Say commands, all in one piece.

        Raises:
            Unavailable: The connection is lost.
            NameNotAllowed: A word can't be said in one line: with CR or LF it would be a second command.
        """
        said = b""
        for words in commands:
            line = b" ".join(word.encode() if isinstance(word, str) else word for word in words)
            if any(sign in line for sign in b"\r\n\0"):
                raise errors.NameNotAllowed("a line's end in a command")
            said += (line.replace(b"\xff", b"\xff\xff") if self.doubles else line) + b"\r\n"
        if not self.usable:
            raise errors.Unavailable(f"{self._where}: the connection is lost")
        try:
            self._wait(self._settings.reply_seconds)
            self.socket.sendall(said)
        except OSError as error:
            raise self.lost(error) from error

    def hear(self, seconds: float | None = None) -> Answer:
        """Wait for the next reply.

        Raises:
            Unavailable: The connection is lost, or no reply comes in time.
            TooMany: 421 came, for the site has as many connections as it wants.
        """
        limit = self._settings.reply_seconds if seconds is None else seconds
        left, until = limit, time.monotonic() + limit
        while not self._answers:
            if left <= 0:
                raise self.lost(TimeoutError(f"no reply within {limit:g} s"))
            self._receive(left)
            left = until - time.monotonic()
        answer = self._answers.pop(0)
        if answer.code == 421:  # RFC 959 section 4.2.2: it closes the connection
            self.close()
            raise refusals.refusal(answer, f"{self._where}: {answer.text}")
        return answer

    def heard(self, seconds: float) -> Answer | None:
        """Wait a short while for a reply; None: none came, which is no harm.

        Raises:
            Unavailable: The connection is lost.
        """
        until = time.monotonic() + seconds
        while not self._answers:
            left = until - time.monotonic()
            if left <= 0:
                return None
            try:
                self._receive(left, patient=True)
            except TimeoutError:
                return None
        return self.hear(0.0)

    def abort(self, seconds: float) -> None:
        """Stop the transfer, and read until all that is owed has been said. RFC 959 section 4.1.3.

        Some sites answer ABOR once, some twice; a command whose reply is like no other comes after it.

        Raises:
            Unavailable: The connection is lost, or the site doesn't come to an end.
        """
        try:
            if not isinstance(self.socket, ssl.SSLSocket):
                self._wait(self._settings.reply_seconds)
                self.socket.sendall(b"\xff\xf4\xff")  # Telnet's IP, and the Data Mark as urgent data
                self.socket.send(b"\xf2", socket.MSG_OOB)
        except OSError as error:
            raise self.lost(error) from error
        self.say(("ABOR",))
        self.catch_up(seconds)

    def catch_up(self, seconds: float) -> list[Answer]:
        """Read until all that is owed has been said, by a command whose reply is like no other.

        Returns:
            What was owed.

        Raises:
            Unavailable: The connection is lost, or the site doesn't come to an end.
        """
        if not self.knows_mark:
            raise self.lost(ConnectionError("a transfer was cut, and the site can't say where it is"))
        self.say((_MARK,))
        until = time.monotonic() + seconds
        owed: list[Answer] = []
        while (answer := self.hear(max(0.0, until - time.monotonic()))).code != _MARKED:
            owed.append(answer)
        return owed

    def lost(self, error: Exception) -> errors.Unavailable:
        """Give up the connection, and give the refusal that says why."""
        self.close()
        return errors.Unavailable(f"{self._where}: {_said(error)}")

    def close(self) -> None:
        """Hang up; harmless when done already."""
        self.usable = False
        with contextlib.suppress(OSError):
            self.socket.close()

    def _receive(self, seconds: float, *, patient: bool = False) -> None:
        try:
            self._wait(seconds)
            data = self.socket.recv(65_536)
        except TimeoutError as error:
            if patient:
                raise
            raise self.lost(TimeoutError(f"no reply within {seconds:g} s")) from error
        except (OSError, ValueError) as error:
            raise self.lost(error) from error
        if not data:
            raise self.lost(ConnectionError("the site hung up"))
        try:
            self._answers += self._reader.feed(data)
            if refused := self._reader.taken_refusals():
                self.socket.sendall(refused)
        except errors.Failed as error:
            raise self.lost(error) from error
        except OSError as error:
            raise self.lost(error) from error

    def _wait(self, seconds: float) -> None:
        """Have the socket wait for so long; said again it would be a call to the kernel for nothing."""
        if seconds != self._limit:
            self.socket.settimeout(seconds)
            self._limit = seconds

    def _name(self, ask: object) -> str:
        if not self.usable:
            raise errors.Unavailable(f"{self._where}: the connection is lost")
        try:
            assert callable(ask)
            return str(ask()[0])
        except OSError as error:
            raise self.lost(error) from error


def _unmapped(host: str) -> str:
    return host.removeprefix("::ffff:") if "." in host else host


def _said(error: Exception) -> str:
    if isinstance(error, errors.Refused):
        return str(error)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
