"""What files are worth, held against lists of checksums, and what people are told of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from argosy.catalogue.model import Entry, Kind, State

LINES = 10_000
"""Lines about good files that are told at the most, and as many about others; all are counted."""


class Verdict(StrEnum):
    """What a file is worth, held against a list. Of several lists the last in this order counts."""

    UNKNOWN = "unknown"
    """It is there; nobody knows its checksum."""
    GOOD = "good"
    SKIPPED = "skipped"
    """Nobody looked: the lists name files in more folders than are looked into."""
    ARRIVING = "arriving"
    """Or it was cut."""
    MISSING = "missing"
    BAD = "bad"


_ORDER = tuple(Verdict)

TOLD: Mapping[Verdict, str] = {
    Verdict.BAD: "bad",
    Verdict.ARRIVING: "arriving",
    Verdict.MISSING: "missing",
    Verdict.SKIPPED: "skipped, as they are in too many folders",
    Verdict.UNKNOWN: "not checked, as nobody knows their checksums",
}
"""How many files there are of each kind, in a person's words."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of a list."""

    list: bytes
    """The list's name."""
    name: bytes
    """As the list has it."""
    algorithm: str
    digits: str
    verdict: Verdict
    file: int = 0
    """Its FileId, if it is there."""
    found: str = ""
    """The checksum that the file has."""


@dataclass(slots=True)
class Completeness:
    """A directory, held against its lists."""

    lines: list[Judged] = field(default_factory=list)
    """The first of them: see `LINES`."""
    left_off: Counter[Verdict] = field(default_factory=Counter)
    """How many lines more there are."""
    counts: Counter[Verdict] = field(default_factory=Counter)
    """How many files there are of each kind: each counts once, however many lists name it."""
    lists: list[bytes] = field(default_factory=list)
    """Names of those that were read."""
    unread: list[Entry] = field(default_factory=list)
    """Those that weren't."""
    troubles: dict[bytes, str] = field(default_factory=dict)
    """Why not, by name."""
    _worst: dict[int | bytes, Verdict] = field(default_factory=dict)
    _kept: Counter[bool] = field(default_factory=Counter)

    def add(self, line: Judged) -> None:
        """Take in what came of a line."""
        key = line.file or line.name.lower()
        before = self._worst.get(key)
        if before is None or _ORDER.index(line.verdict) > _ORDER.index(before):
            self._worst[key] = line.verdict
            self.counts[line.verdict] += 1
            if before is not None:
                self.counts[before] -= 1
        good = line.verdict is Verdict.GOOD
        if self._kept[good] < LINES:
            self._kept[good] += 1
            self.lines.append(line)
        else:
            self.left_off[line.verdict] += 1


def words(completeness: Completeness) -> str:
    """Say how complete a directory is."""
    counts = completeness.counts
    if not counts.total():
        return "the lists name no files"
    told = [f"{_here(counts)} of {counts.total()} files are here"]
    told += [f"{counts[verdict]} {word}" for verdict, word in TOLD.items() if counts[verdict]]
    return ", ".join(told)


def percent(completeness: Completeness) -> int:
    """Say how much of a directory is here, and not known to be bad; 100 only if all is."""
    counts = completeness.counts
    return 100 * _here(counts) // counts.total() if counts.total() else 100


def _here(counts: Mapping[Verdict, int]) -> int:
    return counts.get(Verdict.GOOD, 0) + counts.get(Verdict.UNKNOWN, 0)


def judge(of: bytes, name: bytes, wanted: tuple[str, str], entry: Entry | None, found: str | None) -> Judged:
    """Say what a line of a list is worth.

    Args:
        of: The list's name.
        name: As the list has it.
        wanted: Which checksum it should have: the algorithm, and hex digits.
        entry: What is there under that name, if anything is.
        found: The checksum that it has, if it is known.
    """
    if entry is None or entry.kind is not Kind.FILE:
        return Judged(of, name, *wanted, Verdict.MISSING)
    if entry.state in (State.UPLOADING, State.PARTIAL):
        return Judged(of, name, *wanted, Verdict.ARRIVING, entry.id)
    if found is None:
        return Judged(of, name, *wanted, Verdict.UNKNOWN, entry.id)
    verdict = Verdict.GOOD if found == wanted[1] else Verdict.BAD
    return Judged(of, name, *wanted, verdict, entry.id, found)


def worst(lines: Iterable[Judged]) -> Judged | None:
    """Give the line that counts, of several about one file; None: there is none."""
    return max(lines, key=lambda line: _ORDER.index(line.verdict), default=None)


def remark(line: Judged | None) -> str:
    """Say to who has just stored a file what a list says of it; empty: nothing is known."""
    if line is None or line.verdict is Verdict.UNKNOWN:
        return ""
    said = f"{line.list.decode(errors='backslashreplace')} says"
    if line.verdict is Verdict.GOOD:
        return f"as {said}"
    return f"but its {line.algorithm} is {line.found}, and {said} {line.digits}"
