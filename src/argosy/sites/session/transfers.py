"""How a transfer begins: the way to a data connection, PRET, REST, the command, and TLS on the data."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import NamedTuple

from argosy import errors
from argosy.config import Remote
from argosy.sites.session import refusals
from argosy.sites.session.control import Control
from argosy.sites.session.data import Ahead, Dialled, dial
from argosy.sites.session.dialect import Dialect, Opening
from argosy.wire.ftp import addresses, answers
from argosy.wire.ftp.answers import Answer

log = logging.getLogger(__name__)

_NOT_SO = frozenset({202, 500, 501, 502, 504, 522})
"""The site opens no data connection in this way. RFC 959 section 4.2.2, RFC 2428 section 2."""

_LAST_WORD_SECONDS = 2.0
"""How long a site may take to say why TLS failed."""

_OPENED = {Opening.PASV: 227, Opening.EPSV: 229}
"""No other command has these replies. RFC 959 section 5.4, RFC 2428 section 3."""

_NOT_READY = frozenset({425, 426, 503})
"""The data connection that was opened beforehand is none to the site any more."""

Refusing = Callable[[Answer], errors.Refused]
"""Gives what a "no" to the command means."""


class _Ready(NamedTuple):
    """A data connection that was opened before it was needed."""

    socket: socket.socket
    window: int | None
    words: tuple[str | bytes, ...] | None
    """The one command that it is good for; None: any."""
    since: float

    def suits(self, words: tuple[str | bytes, ...], window: int | None, seconds: float) -> bool:
        """Whether it is good for a command, not too old, and not closed by the site."""
        if (
            self.words not in (None, words)
            or self.window != window
            or time.monotonic() - self.since > seconds
        ):
            return False
        looking = select.poll()
        looking.register(self.socket, select.POLLIN | select.POLLRDHUP)
        return not looking.poll(0)


class Transfers:
    """Begins the transfers of one control connection, one after the other."""

    def __init__(self, control: Control, dialect: Dialect, settings: Remote, host: str) -> None:
        self._control = control
        self._dialect = dialect
        self._settings = settings
        self._host = host
        self.protected = False
        """Data is encrypted: PROT P."""
        self._ready: _Ready | None = None

    def prepare(self, words: tuple[str | bytes, ...] | None = None, window: int | None = None) -> None:
        """Open the next transfer's data connection beforehand, which saves it two round trips.

        To be called when nothing else is to be done here. It isn't kept for long, for a site may have few
        ports. Nothing is raised: what can't be had now is seen to when it's needed.

        Args:
            words: The command that is likely to come, for sites that want to hear it first (PRET).
            window: As `begin` takes it.
        """
        dialect, control = self._dialect, self._control
        planned = bool(dialect.pret)
        if self._settings.ready_seconds <= 0 or dialect.readies is False or not control.usable:
            return
        if dialect.opening not in (Opening.EPSV, Opening.PASV) or (planned and words is None):
            return
        self.rest()
        with contextlib.suppress(errors.Refused):
            if planned and not control.ask("PRET", *words or ()).good:
                return
            opening = Opening.PASV if planned else dialect.opening
            opened = self._opened(opening, window, planned=planned)
            assert not isinstance(opened, Dialled), "PORT isn't prepared"
            self._ready = _Ready(opened, window, words if planned else None, time.monotonic())

    def rest(self) -> None:
        """Close what was opened beforehand."""
        if self._ready is not None:
            self._ready.socket.close()
            self._ready = None

    def begin(
        self,
        verb: str,
        path: bytes | None,
        refusing: Refusing,
        *,
        offset: int = 0,
        window: int | None = None,
        ahead: Ahead | None = None,
    ) -> socket.socket:
        """Open a data connection, say the command, and return when the site begins.

        Args:
            verb: RETR, STOR, APPE, LIST or MLSD.
            path: What follows it; None: nothing.
            refusing: Says what a "no" means.
            offset: For REST.
            window: How many bytes the site may send ahead of us.
            ahead: What STOR brings, if it is small: sent at once where the connection is there and not
                encrypted.

        Raises:
            Refused: What `refusing` gave.
            Unsupported: The site can't begin in the middle.
            NoDataConnection: None comes about.
            Unavailable: The control connection is lost.
        """
        words: tuple[str | bytes, ...] = (verb,) if path is None else (verb, path)
        if offset and verb == "RETR" and self._dialect.restarts is False:
            raise errors.Unsupported("the site can't begin in the middle of a file")
        made = self._begin_ready(words, refusing, offset, window, ahead)
        if made is None:
            made = self._begin_new(words, refusing, offset, window, ahead)
        return self._protect(made) if self.protected else made

    def _begin_ready(
        self,
        words: tuple[str | bytes, ...],
        refusing: Refusing,
        offset: int,
        window: int | None,
        ahead: Ahead | None,
    ) -> socket.socket | None:
        """Begin on the data connection that was opened beforehand; None: there is none that serves."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        reads = words[0] not in ("STOR", "APPE")
        try:
            if not ready.suits(words, window if reads else ready.window, self._settings.ready_seconds):
                ready.socket.close()
                return None
            self._command(words, offset, partial(self._unready, refusing), ready.socket, ahead)
        except errors.NoDataConnection:
            ready.socket.close()
            if ahead is not None:
                ahead.take_back()
            return None
        except BaseException:
            ready.socket.close()
            raise
        self._dialect.learn(readies=True)
        return ready.socket

    def _unready(self, refusing: Refusing, answer: Answer) -> errors.Refused:
        """Learn that this site wants its data connections fresh, if its "no" says so."""
        if answer.code not in _NOT_READY:
            return refusing(answer)
        self._dialect.learn(readies=False)
        return errors.NoDataConnection(answer.text)

    def _begin_new(
        self,
        words: tuple[str | bytes, ...],
        refusing: Refusing,
        offset: int,
        window: int | None,
        ahead: Ahead | None,
    ) -> socket.socket:
        opened = self._open(words, refusing, window)
        try:
            self._command(words, offset, refusing, opened, ahead)
            made = opened.accept() if isinstance(opened, Dialled) else opened
        except errors.NoDataConnection:
            opened.close()
            if self._control.usable:
                self._control.abort(self._settings.reply_seconds)
            raise
        except BaseException:
            opened.close()
            raise
        if isinstance(opened, Dialled):
            opened.close()
        return made

    def _command(
        self,
        words: tuple[str | bytes, ...],
        offset: int,
        refusing: Refusing,
        opened: socket.socket | Dialled,
        ahead: Ahead | None,
    ) -> None:
        reads = words[0] == "RETR"
        if offset and reads and self._dialect.restarts and self._dialect.pipelines is not False:
            answer = self._restarted(words, offset, opened)
        else:
            if offset:  # a STOR after a REST that was refused would empty the file
                answer = self._control.ask("REST", str(offset))
                if answer.code != 350:
                    raise self._cannot_restart(answer, reads=reads)
                if reads:
                    self._dialect.learn(restarts=True)
            self._control.say(words)
            if ahead is not None and not self.protected and isinstance(opened, socket.socket):
                ahead.send(opened)
            answer = self._control.hear()
        if not answer.preliminary:
            raise refusing(answer)

    def _restarted(
        self, words: tuple[str | bytes, ...], offset: int, opened: socket.socket | Dialled
    ) -> Answer:
        """Say REST and RETR in one piece, a round trip less, and give the reply to the second.

        Whether a site takes them so is learned from it, too.
        """
        try:
            self._control.say(("REST", str(offset)), words)
            rested = self._control.hear()
            answer = self._control.hear()
        except errors.Unavailable:
            if self._dialect.pipelines is None:  # perhaps it threw the second one away
                self._dialect.learn(pipelines=False)
            raise
        if rested.code != 350:
            if answer.preliminary:
                opened.close()  # else it sends until nothing more fits, and hears nothing meanwhile
                self._control.catch_up(self._settings.reply_seconds)
            raise self._cannot_restart(rested, reads=True)
        self._dialect.learn(pipelines=True)
        return answer

    def _cannot_restart(self, answer: Answer, *, reads: bool) -> errors.Unsupported:
        if reads:
            self._dialect.learn(restarts=False)
        return errors.Unsupported(f"the site can't begin in the middle of a file: {answer.text}")

    def _open(
        self, words: tuple[str | bytes, ...], refusing: Refusing, window: int | None
    ) -> socket.socket | Dialled:
        """Try the ways to a data connection until one works, and begin with that one next time."""
        trouble: errors.Refused = errors.NoDataConnection("the site knows no way to open one")
        planned = bool(self._dialect.pret)
        for opening in self._dialect.openings(planned=planned and ":" not in self._control.peer):
            if planned and opening is not Opening.PORT:  # draft-dd-pret-00: it covers one transfer
                answer = self._control.ask("PRET", *words)
                if answer.code in (500, 502):
                    self._dialect.learn(pret=False)
                    planned = False
                elif not answer.good:
                    raise refusing(answer)
            try:
                opened = self._opened(opening, window, planned=planned)
            except errors.Unsupported:
                self._dialect.refuse(opening)
            except errors.NoDataConnection as error:
                log.info("%s by %s: %s", self._host, opening.value, error)
                trouble = error
            else:
                self._dialect.learn(opening=opening)
                return opened
        raise trouble

    def _opened(self, opening: Opening, window: int | None, *, planned: bool) -> socket.socket | Dialled:
        """Open a data connection in one way.

        Raises:
            Unsupported: The site knows no such verb.
            NoDataConnection: It doesn't come about so.
        """
        peer = self._control.peer
        if opening is Opening.PORT:
            dialled = Dialled(self._control, self._settings, window)
            try:
                self._agreed(self._control.ask(*_port_words(dialled.host, dialled.port)))
            except BaseException:
                dialled.close()
                raise
            return dialled
        answer = self._agreed(self._control.ask(opening.value))
        if answer.code != _OPENED[opening]:  # another command's: whatever comes next would be one off, too
            raise self._control.lost(ConnectionError(f"{opening.value} was answered by {answer.text}"))
        if opening is Opening.EPSV:
            return dial(peer, answers.extended_passive(answer), self._settings, window)
        host, port = answers.passive(answer)
        return dial(host if planned and may_dial(host, peer) else peer, port, self._settings, window)

    def _agreed(self, answer: Answer) -> Answer:
        if answer.code in _NOT_SO:
            raise errors.Unsupported(answer.text)
        if not answer.good:
            raise refusals.refusal(answer)
        return answer

    def _protect(self, made: socket.socket) -> socket.socket:
        """Encrypt a data connection: the control connection's session goes on, as sites ask for."""
        control = self._control.socket
        assert isinstance(control, ssl.SSLSocket), "PROT P comes after AUTH TLS"
        try:
            made.settimeout(self._settings.connect_seconds)
            return control.context.wrap_socket(
                made, server_hostname=self._host, session=self._control.session
            )
        except OSError as error:
            made.close()
            why = str(error)
            answer = self._control.heard(_LAST_WORD_SECONDS)
            if answer is None:
                self._control.abort(self._settings.reply_seconds)
            else:
                why = f"{answer.text} ({why})"
            raise errors.NoDataConnection(f"TLS: {why}") from error


def may_dial(host: str, peer: str) -> bool:
    """Whether an address that a site told may be dialled: if it's as public, or as private, as the site's.

    Args:
        host: What 227 told.
        peer: The site's own address.
    """
    try:
        told, known = ip_address(host), ip_address(peer)
    except ValueError:
        return False
    if told.is_unspecified or told.is_multicast:
        return False
    return (told.is_private, told.is_loopback) == (known.is_private, known.is_loopback)


def client_context(settings: Remote) -> ssl.SSLContext:
    """Give the TLS context for sites, as the settings want certificates to be looked at.

    Raises:
        ConfigError: `remote.trust_file` can't be read.
    """
    return _context(settings.certificates, settings.trust_file)


@lru_cache(maxsize=16)
def _context(certificates: str, trust_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if trust_file:
        try:
            context.load_verify_locations(trust_file)
        except (OSError, ssl.SSLError) as error:
            raise errors.ConfigError(f"remote.trust_file: {trust_file}: {error}") from error
    if certificates == "any":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _port_words(host: str, port: int) -> tuple[str, str]:
    """PORT for IPv4, EPRT for IPv6. RFC 2428 section 2."""
    if ":" in host:
        return "EPRT", f"|2|{host}|{port}|"
    return "PORT", addresses.format_port(host, port)
