"""One control connection's course: which reply makes sense when, and who may send what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, IntEnum, auto

from argosy.wire.ftp.commands import NOT_IMPLEMENTED, PLANNABLE, VERBS, Argument, Command, Verb
from argosy.wire.ftp.replies import Reply


class State(IntEnum):
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


AFTER_REPLY: Mapping[tuple[State, bool], State] = {
    (State.GREETING, False): State.IDLE,
    (State.ANSWERING, True): State.TRANSFER,
    (State.ANSWERING, False): State.IDLE,
    (State.TRANSFER, False): State.IDLE,
}
"""By the state and whether the reply is preliminary: every reply that makes sense, but 421, which may always
come. Any other is our own bug, and raises."""


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

TEACHING = frozenset(
    {*LOGIN_AFTER, ("RNFR", 350), ("QUIT", 221), ("EPSV", 200), ("PBSZ", 200), ("PROT", 200)}
)
"""Verbs and final replies that change what may come next; most don't, and cost nothing."""


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
        preliminary = reply.code < 200
        after = AFTER_REPLY.get((self.state, preliminary))
        if after is None:
            raise RuntimeError(f"nobody asked for {reply.code} in {self.state.name}")
        if not preliminary:
            self._owed -= 1
        if preliminary or not self._owed:
            self.state = after
        if self.state is State.IDLE:
            self.renaming = False
            if (event := (self._command.verb, reply.code)) in TEACHING:
                self._learn(*event)
        return reply.encode()

    def _learn(self, verb: str, code: int) -> None:
        self.login = LOGIN_AFTER.get((verb, code), self.login)
        match verb, code:
            case "RNFR", 350:
                self.renaming = True
            case "QUIT", 221:
                self.state = State.CLOSED
            case "EPSV", 200:
                self.extended_only = True
            case "PBSZ", 200:
                self.buffered = True
            case "PROT", 200:
                self.protected = self._command.argument.upper() == b"P"
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
    early, refusal = ORDER.get(verb, _ANYTIME)
    return refusal if early(session) else None


ORDER: Mapping[str, tuple[Callable[[Session], bool], Reply]] = {
    "USER": (
        lambda session: session.require_tls and not session.secure,
        Reply.of(530, "AUTH TLS first: passwords aren't taken in clear here"),
    ),
    "PASS": (lambda session: session.login is not Login.NAMED, Reply.of(503, "USER first")),
    "HOST": (
        lambda session: session.login is Login.LOGGED_IN,
        Reply.of(503, "HOST comes before the login, say REIN"),
    ),
    "AUTH": (lambda session: session.secure, Reply.of(503, "This connection is encrypted already")),
    # RFC 4217 section 5
    "CCC": (lambda session: not session.secure, Reply.of(533, "This connection is in clear already")),
    **dict.fromkeys(
        ("PBSZ", "MIC", "CONF", "ENC"), (lambda session: not session.secure, Reply.of(503, "AUTH first"))
    ),
    "PROT": (lambda session: not session.buffered, Reply.of(503, "PBSZ first")),
    "RNTO": (lambda session: not session.renaming, Reply.of(503, "RNFR first")),
    **dict.fromkeys(
        ("PORT", "EPRT", "PASV"),
        (
            lambda session: session.extended_only,
            Reply.of(503, "You said EPSV ALL, so only EPSV is left"),
        ),
    ),
}
"""By verb, when it may not come now, and what is said then."""

_ANYTIME = (lambda _: False, Reply.of(500, "Command not understood"))
