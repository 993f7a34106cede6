"""Which bytes of a file are meant: runs in order, that neither touch nor overlap. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Run = tuple[int, int]
"""From the first byte to the one behind the last."""


class Extents:
    """A set of bytes, as runs."""

    __slots__ = ("_ends", "_starts", "total")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total = 0
        """Bytes in all runs."""
        for start, end in runs:
            self.add(start, end)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extents) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Extents({list(self)})"

    def add(self, start: int, end: int) -> int:
        """Take bytes in.

        Returns:
            How many of them weren't in yet.
        """
        if start >= end:
            return 0
        if self._ends and start == self._ends[-1]:  # what is written in order
            self._ends[-1] = end
            self.total += end - start
            return end - start
        first = bisect_left(self._ends, start)  # runs that touch are joined
        last = bisect_right(self._starts, end)
        before = sum(self._ends[i] - self._starts[i] for i in range(first, last))
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        self.total += end - start - before
        return end - start - before

    def cut(self, size: int) -> int:
        """Take everything from `size` on out.

        Returns:
            How many bytes that were.
        """
        keep = bisect_left(self._starts, size)
        gone = sum(self._ends[i] - self._starts[i] for i in range(keep, len(self._starts)))
        del self._starts[keep:], self._ends[keep:]
        if self._ends and self._ends[-1] > size:
            gone += self._ends[-1] - size
            self._ends[-1] = size
        self.total -= gone
        return gone

    def reach(self, offset: int) -> int:
        """Say up to where every byte from `offset` on is in; `offset` itself if it isn't."""
        at = bisect_right(self._starts, offset) - 1
        return max(offset, self._ends[at]) if at >= 0 else offset

    def within(self, start: int, end: int) -> list[Run]:
        """Give what is in between two places."""
        if start >= end:
            return []
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        return [(max(start, self._starts[i]), min(end, self._ends[i])) for i in range(first, last)]

    def missing(self, start: int, end: int) -> list[Run]:
        """Give what isn't in between two places."""
        gaps, at = [], start
        for begin, finish in self.within(start, end):
            if begin > at:
                gaps.append((at, begin))
            at = finish
        if at < end:
            gaps.append((at, end))
        return gaps

    def holds(self, start: int, end: int) -> bool:
        """Whether all bytes between two places are in."""
        return self.reach(start) >= end
