"""How nodes have behaved of late: the refusals and silence that somebody met with. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_TROUBLE = 3.0
"""More of it counts no more, so that it is forgotten in good time."""


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


class Conduct:
    """What is remembered of nodes and their volumes."""

    def __init__(self, *, trouble_seconds: float) -> None:
        """Begin without prejudice.

        Args:
            trouble_seconds: After so long trouble counts half.
        """
        self._half = trouble_seconds
        self._troubles: dict[tuple[str, int | None], _Trouble] = {}

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

    def _faded(self, trouble: _Trouble, now: float) -> float:
        return trouble.amount * math.exp2(-max(0.0, now - trouble.at) / self._half)
