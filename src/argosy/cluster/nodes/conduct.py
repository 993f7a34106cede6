"""How nodes have behaved of late: the refusals and silence that somebody met with, and their speed. Pure.

That a transfer was slow says nothing of its node: the client may be slow, or the way to it. It is held
against the node only where others did much better: at sending to the same client; or, where the node says
that it waited for its own disk, at sending to anybody.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

MOST_TROUBLE = 3.0
"""More of it counts no more, so that it is forgotten in good time."""


LEAST_BYTES = 1 << 20
"""With less than that it is the round trips that take the time."""

SLOW = 0.25
"""Who does no less than this share of what others do isn't slow: disks and caches differ."""

PRIOR_SECONDS = 5.0
"""A node is believed to be as fast as others until it was seen for as long as this, or longer."""

MOST_SECONDS = 10.0
"""A single observation counts for no more."""

HELD = 0.5
"""Who waited for its own disk for so great a share of the time was held up by that."""

CLIENTS = 1_000
"""Remembered at the most, those that came last."""


@dataclass(slots=True)
class _Trouble:
    amount: float
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What somebody met with, of late."""

    amount: float
    """Refusals and silences, each counting for less as it gets older."""
    why: str
    """The last one."""


@dataclass(slots=True)
class _Mean:
    """A mean over seconds; what is older counts for less."""

    amount: float = 0.0
    seconds: float = 0.0
    at: float = 0.0

    def fade(self, now: float, half: float) -> None:
        """Let time pass."""
        share = math.exp2(-max(0.0, now - self.at) / half)
        self.amount, self.seconds, self.at = self.amount * share, self.seconds * share, now

    def add(self, amount: float, seconds: float) -> None:
        """Count something that took so long."""
        self.amount += amount
        self.seconds += seconds


@dataclass(slots=True)
class _Pace:
    """How fast a node was."""

    all: _Mean
    """Bytes, over the seconds that they took."""
    against: _Mean
    """For each second of evidence the share of what others did, 1 for as good as any."""
    rate: float = 0.0
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Slow:
    """A node that was slower than others."""

    share: float
    """From 0, as fast as others, to 1."""
    rate: float
    """Bytes per second, when it was last found to be slow."""
    others: float
    """What others did."""


class Conduct:
    """What is remembered of nodes and their volumes."""

    def __init__(self, *, trouble_seconds: float, slow_seconds: float, fast: float) -> None:
        """Begin without prejudice.

        Args:
            trouble_seconds: After so long trouble counts half.
            slow_seconds: After so long slowness counts half.
            fast: Bytes per second that nobody needs to exceed.
        """
        self._half = trouble_seconds
        self._slow_half = slow_seconds
        self._fast = fast
        self._troubles: dict[tuple[str, int | None], _Trouble] = {}
        self._unwritable: dict[int, float] = {}
        """When an upload was last refused, by volume."""
        self._paces: dict[str, _Pace] = {}
        self._clients: OrderedDict[str, dict[str, tuple[float, float]]] = OrderedDict()
        """By client and node: the rate, and when."""

    def moved(self, node: str, client: str, count: int, seconds: float, *, held: float, now: float) -> None:
        """Note what a transfer did without being paced.

        Args:
            node: Whose.
            client: The other end, and which way: only like is compared.
            count: Bytes.
            seconds: How long they took.
            held: For how much of that the node waited for its own disk.
            now: On the monotonic clock.
        """
        if count < LEAST_BYTES or seconds <= 0:
            return
        rate = min(count / seconds, self._fast)
        others = self._others(node, client, now, disk=held >= HELD * seconds)
        pace = self._paces.setdefault(node, _Pace(_Mean(at=now), _Mean(at=now)))
        for mean in (pace.all, pace.against):
            mean.fade(now, self._slow_half)
        pace.all.add(rate * seconds, seconds)
        if others:
            weight = min(seconds, MOST_SECONDS)
            share = rate / others
            if share < SLOW:
                pace.rate, pace.others = rate, others
            pace.against.add(weight * (share / SLOW if share < SLOW else 1.0), weight)
        known = self._clients.setdefault(client, {})
        known[node] = rate, now
        self._clients.move_to_end(client)
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)

    def slow(self, node: str, now: float) -> Slow | None:
        """Say by how much a node was slower than others; None: by next to nothing."""
        if (pace := self._paces.get(node)) is None:
            return None
        pace.against.fade(now, self._slow_half)
        seen = pace.against
        share = 1.0 - (seen.amount + PRIOR_SECONDS) / (seen.seconds + PRIOR_SECONDS)
        return Slow(share, pace.rate, pace.others) if share >= 0.05 else None

    def _others(self, node: str, client: str, now: float, *, disk: bool) -> float:
        """Give the best that other nodes did: for this client, or for anybody; 0: nothing is known."""
        if disk:
            paces = [one.all for name, one in self._paces.items() if name != node]
            return max((one.amount / one.seconds for one in paces if one.seconds), default=0.0)
        known = self._clients.get(client, {})
        return max(
            (rate for name, (rate, at) in known.items() if name != node and now - at <= self._slow_half),
            default=0.0,
        )

    def trouble(self, node: str, volume: int | None, why: str, now: float) -> None:
        """Note a refusal, or a silence.

        Args:
            node: Whose.
            volume: Only this volume of it is concerned; None: all of the node.
            why: In words.
            now: On the monotonic clock.
        """
        known = self._troubles.get((node, volume))
        before = self._faded(known, now) if known else 0.0
        self._troubles[node, volume] = _Trouble(min(before + 1.0, MOST_TROUBLE), now, why)

    def troubles(self, node: str, volume: int, now: float) -> Trouble | None:
        """Give the trouble with a volume, its node's included; None: next to none."""
        known = [one for at in (None, volume) if (one := self._troubles.get((node, at)))]
        amount = sum(self._faded(one, now) for one in known)
        if amount < 0.1:
            return None
        return Trouble(min(amount, MOST_TROUBLE), max(known, key=lambda one: one.at).why)

    def refused_upload(self, volume: int, now: float) -> None:
        """Note that a disk couldn't be written."""
        self._unwritable[volume] = now

    def refuses_uploads(self, volume: int, now: float) -> bool:
        """Say whether a disk couldn't be written of late."""
        return now - self._unwritable.get(volume, -math.inf) < self._half

    def _faded(self, trouble: _Trouble, now: float) -> float:
        return trouble.amount * math.exp2(-max(0.0, now - trouble.at) / self._half)
