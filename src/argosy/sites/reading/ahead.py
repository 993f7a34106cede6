"""How far to read ahead: decisions alone, no IO.

A file is read by one program or several, each in order or here and there. Reads that go on where one ended
make a `Run`; the further it gets, the more is fetched ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FIRST_WINDOW = 128 * 1024
"""What is fetched ahead of who reads on, or begins at the beginning."""

_IN_FLIGHT = 8
"""How many reads of the same length may overtake each other: NFS clients send several at once."""

_RUNS = 8
"""How many places of one file may be read in order at once."""


@dataclass(slots=True)
class Run:
    """One reading in order."""

    next: int
    """Where it has got to."""
    window: int = 0
    """How many bytes to fetch ahead; 0: it has only just begun, perhaps it's one read here and there."""
    grow_at: int = 0
    """From where on the window is doubled."""
    planned: int = 0
    """How far fetching was planned."""
    waits: int = 0
    """How often the reader had to wait with the window as large as it gets."""

    def follows(self, offset: int, end: int) -> bool:
        """Say whether a read belongs here."""
        slack = (_IN_FLIGHT - 1) * (end - offset)
        return self.next - slack <= offset <= self.next + slack

    def go_on(self, offset: int, end: int, most: int) -> None:
        """Note a read that belongs here."""
        if end <= self.next:
            return
        self.next = end
        if not self.window:
            self.window = min(most, max(FIRST_WINDOW, 2 * (end - offset)))
            self.grow_at = end + self.window // 2
        elif end >= self.grow_at:
            self.window = min(most, 2 * self.window)
            self.grow_at = end + self.window // 2


class Pattern:
    """How one file is read."""

    def __init__(self, most: int) -> None:
        """Begin.

        Args:
            most: Bytes to fetch ahead, at the most.
        """
        self._most = most
        self._runs: list[Run] = []
        """The last one used is the last."""
        self.strays = 0
        """Reads in a row that went on from nowhere."""

    def find(self, offset: int, end: int) -> Run | None:
        """Give the run that a read belongs to, and note it there; None: it belongs to none."""
        for at in range(len(self._runs) - 1, -1, -1):
            run = self._runs[at]
            if run.follows(offset, end):
                run.go_on(offset, end, self._most)
                self._runs.append(self._runs.pop(at))
                self.strays = 0
                return run
        return None

    def note(self, offset: int, end: int) -> Run:
        """Give the run that a read belongs to, a new one if need be."""
        run = self.find(offset, end)
        if run is None:
            run = Run(next=end)
            if offset == 0:
                run.window = min(self._most, max(FIRST_WINDOW, end))
                run.grow_at = end + run.window // 2
            else:
                self.strays += 1
            self._runs.append(run)
            del self._runs[:-_RUNS]
        return run


def joined(gaps: Iterable[tuple[int, int]], skip: int) -> Iterator[tuple[int, int]]:
    """Make one range of those that are so close that reading over what is between costs less than a new head.

    >>> list(joined([(0, 10), (12, 20), (90, 99)], 5))
    [(0, 20), (90, 99)]
    """
    current: tuple[int, int] | None = None
    for start, end in gaps:
        if current is not None and start - current[1] <= skip:
            current = (current[0], end)
            continue
        if current is not None:
            yield current
        current = (start, end)
    if current is not None:
        yield current


def striped(start: int, end: int, stripe: int) -> Iterator[tuple[int, int]]:
    """Cut a range where several heads share it: at the multiples of a stripe.

    >>> list(striped(5, 25, 10))
    [(5, 10), (10, 20), (20, 25)]
    """
    while start < end:
        cut = min(end, (start // stripe + 1) * stripe)
        yield start, cut
        start = cut
