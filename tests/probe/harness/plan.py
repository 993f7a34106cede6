"""Which fault comes when, for how long, and to whom: all of it out of one seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

MASTER = "master"


class Kind(NamedTuple):
    """One kind of fault."""

    what: str
    shortest: float
    """Seconds that it lasts, at the least."""
    longest: float
    master: bool = False
    """It hits the master; else a node."""
    felt: bool = True
    """Clients may hear of it. What is not felt excuses no error."""


KINDS: Mapping[str, Kind] = {
    "kill": Kind("killed, and started again", 0.1, 15.0),
    "stop": Kind("stopped, and continued", 0.5, 12.0),
    "cut": Kind("cut off from all", 0.5, 15.0),
    "deaf": Kind("hears nobody", 0.5, 15.0),
    "mute": Kind("heard by nobody", 0.5, 15.0),
    "apart": Kind("cut off from the master alone", 1.0, 15.0),
    "split": Kind("cut off from half of the nodes and clients", 1.0, 15.0),
    "kill-master": Kind("the master is killed, and started again", 0.1, 3.0, master=True),
    "stop-master": Kind("the master is stopped, and continued", 0.3, 4.0, master=True),
    "full-disk": Kind("the disk is full", 2.0, 12.0),
    "lost-mount": Kind("the mount of its root is gone, and comes back", 1.0, 12.0),
    "kill-unmount": Kind("killed, and its root isn't mounted when it starts", 1.0, 12.0),
    "new-disk": Kind("killed; an empty disk takes the place of its own for good", 1.0, 6.0),
    "flip": Kind("a bit of a stored file turns over", 0.1, 0.1, felt=False),
    "clock": Kind("its clock jumps, and is set right", 2.0, 15.0, felt=False),
}

AT_ONCE = 2
"""So many machines are hit at the same time, at the most."""

GAP_SECONDS = 3.0
"""Between the beginnings of two faults, on the average."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    number: int
    at: float
    """Seconds after the beginning of its round."""
    kind: str
    target: str
    seconds: float
    chance: int
    """Seed for what else there is to choose."""

    def __str__(self) -> str:
        return f"#{self.number} {self.kind} {self.target} at {self.at:.1f} s for {self.seconds:.1f} s"


def rounds(seed: int, nodes: Sequence[str], kinds: Sequence[str], seconds: float) -> Iterator[list[Fault]]:
    """Give the faults of one round after the other, for ever.

    Args:
        seed: The same one gives the same faults.
        nodes: Their names.
        kinds: Those that may come; each comes once before one comes again.
        seconds: How long a round's trouble lasts; all faults are over then.
    """
    chance = random.Random(seed)
    deck: list[str] = []
    number = 0
    while True:
        begun: list[Fault] = []
        at = 0.0
        while (at := at + chance.expovariate(1 / GAP_SECONDS)) < seconds * 0.9:
            at = max(at, _free_at(begun))
            if not deck:
                deck = chance.sample(list(kinds), len(kinds))
            kind = deck.pop()
            running = {one.target for one in begun if one.at + one.seconds > at}
            free = [name for name in ([MASTER] if KINDS[kind].master else nodes) if name not in running]
            lasts = chance.uniform(KINDS[kind].shortest, KINDS[kind].longest)
            if not free or at >= seconds * 0.9:
                deck.append(kind)
                deck.insert(0, deck.pop())
                continue
            number += 1
            fault = Fault(number, at, kind, chance.choice(free), lasts, chance.getrandbits(32))
            begun.append(replace(fault, seconds=min(lasts, seconds - at)))
        yield begun


def _free_at(faults: Sequence[Fault]) -> float:
    """When one more machine may be hit."""
    ends = sorted((one.at + one.seconds for one in faults), reverse=True)
    return ends[AT_ONCE - 1] if len(ends) >= AT_ONCE else 0.0
