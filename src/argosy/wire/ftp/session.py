"""One control connection's course: which reply makes sense when, and who may send what."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from argosy.wire.ftp.commands import NOT_IMPLEMENTED, PLANNABLE, VERBS, Argument, Command, Verb
from argosy.wire.ftp.replies import Reply


class State(Enum):
    """What the client may expect from us."""

    GREETING = auto()
    """Our 220."""
    IDLE = auto()
    """Nothing: it's the client's turn."""
    ANSWERING = auto()
    """The reply to its command."""
    TRANSFER = auto()
    """The second reply, after the data."""
    CLOSED = auto()
    """No more: 221 or 421 was said."""


class Said(Enum):
    """What kind of reply was given."""

    PRELIMINARY = auto()
    FINAL = auto()


AFTER_REPLY: Mapping[tuple[State, Said], State] = {
    (State.GREETING, Said.FINAL): State.IDLE,
    (State.ANSWERING, Said.PRELIMINARY): State.TRANSFER,
    (State.ANSWERING, Said.FINAL): State.IDLE,
    (State.TRANSFER, Said.FINAL): State.IDLE,
}
"""Every reply that makes sense, but 421, which may always come. Any other is our own bug, and raises."""


class Login(Enum):
    """How far the client has come with saying who it is."""

    NOBODY = auto()
    NAMED = auto()
    """USER was given, PASS wasn't."""
    LOGGED_IN = auto()


LOGIN_AFTER: Mapping[tuple[str, int], Login] = {
    ("USER", 230): Login.LOGGED_IN,
    ("USER", 331): Login.NAMED,
    ("USER", 530): Login.NOBODY,
    ("PASS", 230): Login.LOGGED_IN,
    ("PASS", 530): Login.NOBODY,
    ("REIN", 220): Login.NOBODY,
    ("AUTH", 234): Login.NOBODY,  # what was said in clear isn't proved: RFC 4217 section 4.2
    ("HOST", 220): Login.NOBODY,  # another host may have other users: RFC 7151 section 4
}
"""Verb and reply code to what that makes of the client."""


class Session:
    """What was said so far, as far as it decides what may be said next.

    The door calls `begin` for each command and `reply` for each reply; the rest follows from them.
    """

    def __init__(self, *, require_tls: bool, require_data_tls: bool = False, secure: bool = False) -> None:
        """Begin before the greeting.

        Args:
            require_tls: No USER without AUTH TLS.
            require_data_tls: No data without PROT P.
            secure: The connection is encrypted from its first byte on.
        """
        self.state = State.GREETING
        self.login = Login.NOBODY
        self.secure = secure
        """The control connection is encrypted."""
        self.protected = False
        """Data connections are to be encrypted."""
        self.buffered = False
        """PBSZ was given, so PROT may come."""
        self.extended_only = False
        """EPSV ALL was given, so nothing but EPSV may be asked for. RFC 2428 section 4."""
        self.renaming = False
        """RNFR was accepted just now, so RNTO may come."""
        self.require_tls = require_tls
        self.require_data_tls = require_data_tls
        self._owed = 1
        self._command = Command("", b"")

    def may_begin(self, command: Command) -> bool:
        """Whether a command may be answered now; if not, it waits for the one before it.

        While a transfer is asked for or runs, that is what RFC 959 section 4.1 lets through.
        """
        if self.state is State.IDLE:
            return True
        if self.state is State.TRANSFER or (
            self.state is State.ANSWERING and self._command.verb in PLANNABLE
        ):
            return command.verb in VERBS and VERBS[command.verb].at_once
        return False

    def begin(self, command: Command) -> None:
        """Take a command up: one more reply is owed."""
        if not self.may_begin(command):
            raise RuntimeError(f"{command.verb} begun in {self.state.name}")
        self._owed += 1
        if self.state is State.IDLE:
            self.state = State.ANSWERING
            self._command = command

    def reply(self, reply: Reply) -> bytes:
        """Record the reply to the command in hand and give its bytes."""
        if reply.code == 421:
            self.state = State.CLOSED
            return reply.encode()
        said = Said.PRELIMINARY if reply.preliminary else Said.FINAL
        try:
            after = AFTER_REPLY[self.state, said]
        except KeyError:
            raise RuntimeError(f"nobody asked for {reply.code} in {self.state.name}") from None
        if said is Said.FINAL:
            self._owed -= 1
        self.state = self.state if said is Said.FINAL and self._owed else after
        if self.state is State.IDLE:
            self._learn(self._command, reply.code)
        return reply.encode()

    def _learn(self, command: Command, code: int) -> None:
        self.login = LOGIN_AFTER.get((command.verb, code), self.login)
        self.renaming = (command.verb, code) == ("RNFR", 350)
        match command.verb, code:
            case "QUIT", 221:
                self.state = State.CLOSED
            case "EPSV", 200:
                self.extended_only = True
            case "PBSZ", 200:
                self.buffered = True
            case "PROT", 200:
                self.protected = command.argument.upper() == b"P"
            case "AUTH", 234:
                self.secure, self.buffered, self.protected, self.extended_only = True, False, False, False
            case "REIN", 220:
                self.extended_only = self.buffered = self.protected = False


def admit(command: Command, session: Session) -> Reply | None:
    """Decide what needs no look at users or files: None to go on, or the reply that ends the matter."""
    verb = VERBS.get(command.verb)
    if verb is None:
        if command.verb in NOT_IMPLEMENTED:
            return Reply.of(502, f"{command.verb} not implemented")
        return Reply.of(500, "Command not understood")
    if verb.needs_login and session.login is not Login.LOGGED_IN:
        return Reply.of(530, "Log in with USER and PASS first")
    return _unfit(verb, command) or _out_of_order(command.verb, session)


def _unfit(verb: Verb, command: Command) -> Reply | None:
    if verb.argument is Argument.REQUIRED and not command.argument:
        return Reply.of(501, f"{command.verb} needs an argument")
    if verb.argument is Argument.NONE and command.argument:
        return Reply.of(501, f"{command.verb} takes no argument")
    if b"\r" in command.argument or b"\0" in command.argument:
        # Telnet's way to send a CR, and a NUL: no name of ours holds them, nor does anything else.
        code = 553 if verb.verbatim and verb.needs_login else 501
        return Reply.of(code, f"{command.verb}: neither CR nor NUL can be in it")
    return None


def _out_of_order(verb: str, session: Session) -> Reply | None:
    if session.require_data_tls and verb in PLANNABLE and not session.protected:
        return Reply.of(521, "PROT P first: data doesn't go in clear here")
    reply = None
    match verb:
        case "USER" if session.require_tls and not session.secure:
            reply = Reply.of(530, "AUTH TLS first: passwords aren't taken in clear here")
        case "PASS" if session.login is not Login.NAMED:
            reply = Reply.of(503, "USER first")
        case "HOST" if session.login is Login.LOGGED_IN:
            reply = Reply.of(503, "HOST comes before the login, say REIN")
        case "AUTH" if session.secure:
            reply = Reply.of(503, "This connection is encrypted already")
        case "CCC" if not session.secure:
            reply = Reply.of(533, "This connection is in clear already")  # RFC 4217 section 5
        case "PBSZ" | "MIC" | "CONF" | "ENC" if not session.secure:
            reply = Reply.of(503, "AUTH first")
        case "PROT" if not session.buffered:
            reply = Reply.of(503, "PBSZ first")
        case "RNTO" if not session.renaming:
            reply = Reply.of(503, "RNFR first")
        case "PORT" | "EPRT" | "PASV" if session.extended_only:
            reply = Reply.of(503, "You said EPSV ALL, so only EPSV is left")
    return reply
