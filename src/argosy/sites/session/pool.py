"""The control connections of one storage: lent, kept, replaced.

Who reads and writes bulk bytes never has all of them, so that a listing needn't wait for an upload's end. A
site that is away is tried again with growing pauses, by one thread at a time; the others wait for its news.
All of it is called in threads, and waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from argosy import config
from argosy.errors import Busy, Failed, Refused, TooMany, TransferCut, Unavailable

log = logging.getLogger(__name__)

_TRUST_SECONDS = 1.0
"""Who was idle for longer is asked whether it is still there, which costs a round trip."""
_LEAST_PATIENCE_SECONDS, _PATIENCE_SECONDS = 0.02, 0.2
"""Before one more login is made so long is waited for one that comes back, as most do soon: about as long as
the last login took, within these."""
_LOGINS = 2
"""Logins made at the same time while there are others: hashing passwords keeps a small site busy."""


class Purpose(Enum):
    """What a connection is wanted for."""

    META = "listings and changes"
    READ = "reading"
    WRITE = "writing"

    __hash__ = object.__hash__  # an enum's own is slow, and each transfer counts by purposes


class Session(Protocol):
    """What is asked of a connection here: `sites.client.Client`."""

    @property
    def usable(self) -> bool:
        """False once its conversation can't go on."""
        ...

    def is_alive(self) -> bool:
        """Ask the site. Doesn't raise."""
        ...

    def rest(self) -> None:
        """Let go of what was held ready. Doesn't raise, and doesn't wait."""
        ...

    def close(self) -> None:
        """Hang up. Doesn't raise."""
        ...


class PoolReport(NamedTuple):
    """How a storage's connections are."""

    connections: int
    busy: int
    limit: int
    logins: int
    away_seconds: float
    """Since when no connection could be made; 0: one could."""
    trouble: str
    """The last one; empty: none yet."""


C_co = TypeVar("C_co", bound=Session, covariant=True)
T = TypeVar("T")


class _Away(NamedTuple):
    """The site lets nobody in."""

    since: float
    retry_at: float
    pause: float
    trouble: Refused


class Pool(Generic[C_co]):
    """The control connections of one storage."""

    def __init__(
        self,
        connect: Callable[[], C_co],
        settings: config.Remote,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without a connection.

        Args:
            connect: Makes one, logged in. Raises TooMany, LoginFailed, Unavailable.
            settings: Limits.
            clock: Seconds, rising.
        """
        self._connect = connect
        self._settings = settings
        self._clock = clock
        self._changed = threading.Condition()
        self._idle: list[tuple[C_co, float]] = []
        """The last one given back is the last, and taken first."""
        self._busy: dict[Session, Purpose] = {}
        self._opening: Counter[Purpose] = Counter()
        self._waiting: Counter[Purpose] = Counter()
        self._limit = settings.connections
        self._raise_limit_at = 0.0
        self._doubted = 0.0
        """Who is idle since before then has to show that it lives."""
        self._away: _Away | None = None
        self._trouble = ""
        self._logins = 0
        self._login_seconds = 0.0
        """What the last one took."""
        self._closed = False
        self._lenders: list[Callable[[bool], bool]] = []

    def lend(self, lender: Callable[[bool], bool]) -> None:
        """Register somebody who holds connections without need.

        Args:
            lender: Called when one is wanted; gives one back by `give` and says True, or False. Its argument:
                it is urgent, no other can be made. If it isn't, give up only what won't be needed.
        """
        self._lenders.append(lender)

    @property
    def wanted(self) -> bool:
        """Somebody waits for a connection: who holds one idly gives it back."""
        return any(self._waiting.values())

    @property
    def busy(self) -> bool:
        """Somebody has a connection, or wants one."""
        return bool(self._busy) or self.wanted

    @contextmanager
    def borrow(self, purpose: Purpose, seconds: float) -> Iterator[C_co]:
        """Lend a connection. One that is broken afterwards is dropped.

        Raises:
            Unavailable: None could be had within `seconds`, or the site is away.
            LoginFailed: The site refuses our login.
        """
        client = self.take(purpose, seconds)
        try:
            yield client
        finally:
            self.give(client)

    def ask(self, purpose: Purpose, work: Callable[[C_co], T], seconds: float) -> T:
        """Do what may be done twice: once more on another connection, if the first was dead.

        Raises:
            Unavailable, LoginFailed: As `borrow` does.
            Refused: What `work` raises.
        """
        with self.borrow(purpose, seconds) as client:
            try:
                return work(client)
            except (Unavailable, TransferCut):
                if client.usable:
                    raise
        with self.borrow(purpose, seconds) as client:
            return work(client)

    def take(self, purpose: Purpose, seconds: float) -> C_co:
        """Take a connection for long; `give` it back.

        Raises:
            Unavailable: None could be had within `seconds`, or the site has been away for longer.
            LoginFailed: The site refuses our login.
        """
        until = self._clock() + seconds
        patience = max(_LEAST_PATIENCE_SECONDS, min(_PATIENCE_SECONDS, self._login_seconds))
        patient = time.monotonic() + patience
        with self._changed:
            self._waiting[purpose] += 1
        try:
            while True:
                client = self._try(purpose, until, seconds, patient)
                if client is not None:
                    return client
        finally:
            with self._changed:
                self._waiting[purpose] -= 1
                self._changed.notify_all()

    def give(self, client: Session) -> None:
        """Give a connection back, one of ours."""
        usable = client.usable
        with self._changed:
            self._busy.pop(client, None)
            keep = usable and not self._closed
            if keep:
                self._idle.append((cast("C_co", client), self._clock()))
            elif not usable:
                self._doubted = self._clock()
            self._changed.notify_all()
        if not keep:
            client.close()

    def tend(self) -> None:
        """Close what is idle for too long. To be called each few seconds."""
        with self._changed:
            before = self._clock() - self._settings.idle_seconds
            old = [client for client, since in self._idle if since <= before]
            self._idle = [(client, since) for client, since in self._idle if since > before]
            before = self._clock() - self._settings.ready_seconds
            for client, since in self._idle:
                if since <= before:
                    client.rest()
        for client in old:
            client.close()

    def close(self) -> None:
        """Hang up on all that are idle; the others as they are given back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for client, _ in idle:
            client.close()

    def report(self) -> PoolReport:
        """Say how the connections are."""
        with self._changed:
            away = self._clock() - self._away.since if self._away else 0.0
            busy = len(self._busy)
            return PoolReport(busy + len(self._idle), busy, self._limit, self._logins, away, self._trouble)

    def _try(self, purpose: Purpose, until: float, seconds: float, patient: float) -> C_co | None:
        """Get an idle connection or make one; if there can't be one, wait for news. None: try again."""
        with self._changed:
            if self._closed:
                raise Unavailable("the mount is closed")
            free = self._may_have(purpose)
            found = self._idle.pop() if free and self._idle else None
            if found:
                self._busy[found[0]] = purpose
        if found:
            return self._seen_alive(found)
        if any(lender(not free) for lender in self._lenders):
            return None
        with self._changed:
            free = self._may_have(purpose)
            if free and self._idle:
                return None
            if not free or not self._may_connect():
                self._wait(until, seconds)
                return None
            if self._busy and (left := patient - time.monotonic()) > 0:
                self._wait_patiently(purpose, left)
                return None
            self._opening[purpose] += 1
        return self._open(purpose)

    def _may_have(self, purpose: Purpose) -> bool:
        """Say whether one more for this purpose leaves the others what they need."""
        self._recover_limit()
        if purpose is not Purpose.META:
            held = [*self._busy.values(), *self._opening.elements()]
            if self._limit == 1 and self._waiting[Purpose.META]:
                return False
            if len(held) - held.count(Purpose.META) >= max(1, self._limit - 1):
                return False
            if purpose is Purpose.WRITE and held.count(purpose) >= max(1, self._limit - 2):
                return False
        return bool(self._idle) or self._count() < self._limit

    def _count(self) -> int:
        return len(self._idle) + len(self._busy) + self._opening.total()

    def _recover_limit(self) -> None:
        """Believe again, bit by bit, in what the site refused a while ago."""
        if self._limit < self._settings.connections and self._clock() >= self._raise_limit_at:
            self._limit += 1
            self._raise_limit_at = self._clock() + self._settings.limit_seconds

    def _may_connect(self) -> bool:
        """While the site lets nobody in one thread tries it, each pause."""
        if self._away is None:
            return not self._busy or self._opening.total() < _LOGINS
        return not self._opening.total() and self._clock() >= self._away.retry_at

    def _wait(self, until: float, seconds: float) -> None:
        """Wait for something to change."""
        now, away = self._clock(), self._away
        if away is not None:
            if _lasts(away.trouble):
                raise type(away.trouble)(away.trouble.subject)
            if now >= until or now - away.since >= seconds:
                raise Unavailable(f"the site is away since {now - away.since:.0f} s: {_reason(away.trouble)}")
            if not self._opening.total():
                until = min(until, away.retry_at)
        elif now >= until:
            raise Unavailable(f"all {self._limit} connections to the site are busy")
        self._changed.wait(max(0.001, until - now))

    def _wait_patiently(self, purpose: Purpose, seconds: float) -> None:
        """Wait for one that comes back by itself: nobody has to give one up for us."""
        self._waiting[purpose] -= 1
        try:
            self._changed.wait_for(lambda: self._closed or (self._may_have(purpose) and self._idle), seconds)
        finally:
            self._waiting[purpose] += 1

    def _seen_alive(self, found: tuple[C_co, float]) -> C_co | None:
        """Give a connection that was idle, if it isn't dead."""
        client, since = found
        sure = since > self._doubted and self._clock() - since < _TRUST_SECONDS
        if client.usable and (sure or client.is_alive()):
            return client
        with self._changed:
            self._busy.pop(client, None)
            self._doubted = self._clock()
            self._changed.notify_all()
        client.close()
        return None

    def _open(self, purpose: Purpose) -> C_co | None:
        """Make a connection. None: the site doesn't want one now, which is noted."""
        client, began = None, time.monotonic()
        try:
            client = self._connect()
            self._login_seconds = time.monotonic() - began
        except Refused as trouble:
            with self._changed:
                self._refused(trouble)
            if _lasts(trouble):
                raise
        finally:
            with self._changed:
                self._opening[purpose] -= 1
                if client is not None:
                    self._busy[client] = purpose
                    self._logins += 1
                    if self._away:
                        log.info("the site is back after %.0f s", self._clock() - self._away.since)
                    self._away = None
                self._changed.notify_all()
        return client

    def _refused(self, trouble: Refused) -> None:
        """Remember that no connection could be made."""
        now = self._clock()
        self._trouble = _reason(trouble)
        others = self._count() - 1
        if isinstance(trouble, TooMany) and others:
            self._limit = min(self._limit, others)
            self._raise_limit_at = now + self._settings.limit_seconds
            log.info("the site allows %d connections at once: %s", self._limit, trouble)
            return
        first, most = self._settings.retry_first_seconds, self._settings.retry_most_seconds
        pause = min(most, 2 * self._away.pause) if self._away else first
        since = self._away.since if self._away else now
        if self._away is None:
            log.warning("no connection to the site: %s", _reason(trouble))
        self._away = _Away(since, now + pause, pause, trouble)


def _reason(trouble: Refused) -> str:
    """Say why there is no connection; that the site is out of reach goes without saying."""
    return str(trouble.subject if type(trouble) is Unavailable and trouble.subject else trouble)


def _lasts(trouble: Refused) -> bool:
    """Say whether waiting won't help: the login is wrong, the directory isn't there."""
    return not isinstance(trouble, TooMany | Unavailable | TransferCut | Failed | Busy)
