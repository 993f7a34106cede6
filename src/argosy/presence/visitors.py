"""Sessions: who is here and from where, what each does, and how much one may have at once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from argosy import errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.cluster.nodes import pacing
from argosy.cluster.nodes.transfers import Transfer
from argosy.net.origin import origin

log = logging.getLogger("argosy.presence")

KICKED = "An administrator hung up"
"""What is told to who is hung up on without a reason."""


class Direction(StrEnum):
    """Where a file goes, as the user sees it."""

    UP = "up"
    DOWN = "down"


@dataclass(slots=True)
class Total:
    """What a user has moved since the master started."""

    uploads: int = 0
    downloads: int = 0
    received: int = 0
    """Bytes."""
    sent: int = 0

    def add(self, direction: Direction, moved: int) -> None:
        """Count a transfer that is through, whole or not."""
        if direction is Direction.UP:
            self.uploads += 1
            self.received += moved
        else:
            self.downloads += 1
            self.sent += moved


class Movement:
    """A file on its way, from the command to its last reply."""

    __slots__ = ("_pace", "direction", "transfer", "visitor")

    def __init__(self, visitor: Visitor, direction: Direction, pace: Callable[[], None]) -> None:
        self.visitor = visitor
        self.direction = direction
        self.transfer: Transfer | None = None
        self._pace = pace

    def paced(self, start: Callable[[Transfer], None]) -> Callable[[Transfer], None]:
        """Have a transfer begin at the pace that the user's limit leaves for it."""

        def begin(transfer: Transfer) -> None:
            self.transfer = transfer
            transfer.client = self.visitor.origin
            self._pace()
            start(transfer)

        return begin


class Visitor:
    """One session at a door, from its first byte to its last."""

    __slots__ = (
        *("address", "doing", "door", "hang_up", "heard", "id", "login", "movements", "origin"),
        *("program", "secure", "since", "total"),
    )

    def __init__(self, number: int, door: str, address: str, hang_up: Callable[[str], None]) -> None:
        """Begin a session.

        Args:
            number: Its id; none is used twice in a master's life.
            door: Which door, as `ftp`.
            address: Where it comes from.
            hang_up: Ends it, with a sentence for the user.
        """
        self.id = number
        self.door = door
        self.address = address
        self.origin = origin(address)
        self.hang_up = hang_up
        self.login: Login | None = None
        """None: not logged in."""
        self.program = ""
        """What the client says that it is."""
        self.secure = False
        self.since = self.heard = time.monotonic()
        self.doing: object = None
        """What runs, for `str`; None: nothing."""
        self.movements: list[Movement] = []
        self.total = Total()
        """Of the files that are through."""

    @property
    def account(self) -> Account | None:
        """What is in force for the user now; None: not logged in."""
        return self.login.account if self.login else None

    @property
    def idle_seconds(self) -> float:
        """For how long it has done nothing."""
        return 0.0 if self.doing is not None else time.monotonic() - self.heard

    def begins(self, doing: object) -> None:
        """Note what it does now."""
        self.doing = doing

    def rests(self) -> None:
        """Note that it is done."""
        self.doing = None
        self.heard = time.monotonic()


class Visitors:
    """Everybody who is here."""

    def __init__(self, *, sessions_per_address: int = 0) -> None:
        """Begin with nobody.

        Args:
            sessions_per_address: As many may come from one origin; 0: any number.
        """
        self._per_address = sessions_per_address
        self._numbers = itertools.count(1)
        self._here: dict[int, Visitor] = {}
        self._from: Counter[str] = Counter()
        self._named: dict[str, set[Visitor]] = {}
        self.totals: dict[str, Total] = {}
        """By user, of those who moved anything since the master started."""
        self._moving: dict[tuple[str, Direction], list[Movement]] = {}

    def __iter__(self) -> Iterator[Visitor]:
        """Go through them, the first who came first."""
        return iter(list(self._here.values()))

    def __len__(self) -> int:
        """Count them."""
        return len(self._here)

    def arrive(self, door: str, address: str, hang_up: Callable[[str], None]) -> Visitor:
        """Let somebody in; the arguments are `Visitor`'s.

        Raises:
            TooMany: As many as may be are here from that address.
        """
        place = origin(address)
        if self._per_address and self._from[place] >= self._per_address:
            raise errors.TooMany(f"{self._from[place]} sessions from {place}")
        visitor = Visitor(next(self._numbers), door, address, hang_up)
        self._here[visitor.id] = visitor
        self._from[place] += 1
        return visitor

    def leave(self, visitor: Visitor) -> None:
        """Note that somebody is gone."""
        self.log_out(visitor)
        if self._here.pop(visitor.id, None):
            self._from[visitor.origin] -= 1
            if not self._from[visitor.origin]:
                del self._from[visitor.origin]

    def log_in(self, visitor: Visitor, login: Login) -> None:
        """Note who it is; it is hung up on when its login may not go on.

        Raises:
            TooMany: The account has as many sessions as it may.
        """
        self.log_out(visitor)
        account = login.account
        others = self._named.setdefault(account.name, set())
        if account.sessions and len(others) >= account.sessions:
            raise errors.TooMany(f"{account.name} has {len(others)} sessions")
        others.add(visitor)
        login.at_end = visitor.hang_up
        visitor.login = login

    def log_out(self, visitor: Visitor) -> None:
        """Note that it is nobody now."""
        login, visitor.login = visitor.login, None
        if login:
            login.at_end = lambda _: None  # it is no business of who comes after
            name = login.account.name
            self._named[name].discard(visitor)
            if not self._named[name]:
                del self._named[name]

    def named(self, name: str) -> list[Visitor]:
        """Give the sessions of an account, the oldest first."""
        return sorted(self._named.get(name, ()), key=lambda visitor: visitor.id)

    def hang_up(self, who: str, sentence: str) -> list[Visitor]:
        """End a session by its id, or all of an account by its name, and give them.

        Args:
            who: A number, or a name.
            sentence: What the user is told.

        Raises:
            NoSuchAccount: Nobody of that id or name is here.
        """
        one = self._here.get(int(who)) if who.isdecimal() and who.isascii() else None
        found = [one] if one else self.named(who)
        if not found:
            raise errors.NoSuchAccount(f"nobody called {who} is logged in")
        for visitor in found:
            log.info("session %d of %s is hung up on: %s", visitor.id, visitor.address, sentence)
            visitor.hang_up(sentence)
        return found

    # --- transfers

    @contextmanager
    def moving(self, visitor: Visitor, direction: Direction) -> Iterator[Movement]:
        """Count a transfer while it runs, and divide the user's rate anew when it begins and when it ends.

        Raises:
            TooMany: The account has as many transfers in this direction as it may.
        """
        account = visitor.account
        assert account is not None, "logged in"
        most = account.uploads if direction is Direction.UP else account.downloads
        key = account.name, direction
        running = self._moving.setdefault(key, [])
        if most and len(running) >= most:
            raise errors.TooMany(f"{account.name} has {len(running)} transfers {direction}")
        movement = Movement(visitor, direction, lambda: _share_out(running))
        running.append(movement)
        visitor.movements.append(movement)
        try:
            yield movement
        finally:
            running.remove(movement)
            visitor.movements.remove(movement)
            if not running:
                self._moving.pop(key, None)
            if movement.transfer:
                for total in (visitor.total, self.totals.setdefault(account.name, Total())):
                    total.add(direction, movement.transfer.moved)
            _share_out(running)

    async def run(self, seconds: float) -> None:
        """Divide the rates anew every so often, by what the beats have told, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            for running in self._moving.values():
                _share_out(running)


def _share_out(running: list[Movement]) -> None:
    """Divide a user's rate in one direction over its transfers."""
    paced = [(one, one.transfer) for one in running if one.transfer]
    if not paced:
        return
    movement = paced[-1][0]
    account = movement.visitor.account
    limit = 0
    if account:
        up = movement.direction is Direction.UP
        limit = account.up_bytes_per_second if up else account.down_bytes_per_second
    transfers = [transfer for _, transfer in paced]
    paces = pacing.divide(limit, [one.want for one in transfers]) if limit else [0] * len(transfers)
    for transfer, pace in zip(transfers, paces, strict=True):
        transfer.keep_pace(pace)
