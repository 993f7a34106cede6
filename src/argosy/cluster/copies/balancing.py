"""How much has to move so that volumes are filled alike: as little as can be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HALVINGS = 60
"""Steps of the search for the level: more than a float has digits."""


@dataclass(frozen=True, slots=True)
class Level:
    """How full a volume is, by what the catalogue says of it; what lies in its trash doesn't count."""

    volume: int
    held: int
    """Bytes of the site's files."""
    total: int
    """The disk's size in bytes; more than 0."""

    @property
    def share(self) -> float:
        """Which part of the disk the site's files take."""
        return self.held / self.total


def spread(levels: Iterable[Level]) -> float:
    """Say how far apart the fullest and the emptiest are, as a share; 0.0 where there are none."""
    shares = [level.share for level in levels]
    return max(shares) - min(shares) if shares else 0.0


def amounts(levels: Sequence[Level], spare: float) -> dict[int, int]:
    """Say how many bytes each volume has to give (more than 0) or to take (less), none where all is even.

    Volumes above a band give down to its upper end, those below take up to its lower end, and who is in it
    stays as it is: no other way moves fewer bytes.

    Args:
        levels: The volumes.
        spare: The band's width, as a share: differences of so much stay.
    """
    if spread(levels) <= spare:
        return {}
    low, high = min(level.share for level in levels), max(level.share for level in levels)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        taken = sum(max(0.0, middle - level.share) * level.total for level in levels)
        given = sum(max(0.0, level.share - middle - spare) * level.total for level in levels)
        low, high = (low, middle) if taken > given else (middle, high)
    found = {
        level.volume: int(max(0.0, level.share - low - spare) * level.total)
        - int(max(0.0, low - level.share) * level.total)
        for level in levels
    }
    return {volume: amount for volume, amount in found.items() if amount}


class Ledger:
    """What volumes still have to give and to take, while files are chosen."""

    def __init__(self, levels: Sequence[Level], spare: float) -> None:
        """Begin with what `amounts` says of them."""
        wanted = amounts(levels, spare)
        self.give = {volume: amount for volume, amount in wanted.items() if amount > 0}
        self.take = {volume: -amount for volume, amount in wanted.items() if amount < 0}
        self._held = {level.volume: level.held for level in levels}
        self._total = {level.volume: level.total for level in levels}

    def takers(self, source: int, size: int) -> list[int]:
        """Give the volumes to which a file could go, those that lack most first.

        None that would be the fuller of both then: so every move makes the site more even than before, and
        there is an end, also where the last bytes to be moved are less than a file.
        """
        if not size or self.give.get(source, 0) <= 0:
            return []
        lacking = (volume for volume, left in self.take.items() if left > 0)
        able = (volume for volume in lacking if self._stays_below(source, volume, size))
        return sorted(able, key=lambda volume: -self.take[volume])

    def moved(self, source: int, target: int, size: int) -> None:
        """Reckon with a file that goes."""
        self.give[source] -= size
        self.take[target] -= size
        self._held[source] -= size
        self._held[target] += size

    def _stays_below(self, source: int, target: int, size: int) -> bool:
        after = (self._held[target] + size) * self._total[source]
        return after <= (self._held[source] - size) * self._total[target]
