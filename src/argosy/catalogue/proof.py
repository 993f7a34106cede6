"""The words for proof: what reading a copy has shown, what was found of it, and what became of that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Cause = Literal["scrub", "verify", "copy", "compared", "recheck"]
"""Where it turned up: in the node's own rounds, by order, as a source of copies, in a comparison, when it was
read once more."""

Trouble = Literal["", "missing", "unreadable"]
"""Why there are no checksums: the file isn't there or too short, or the disk can't read it."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What reading a copy has shown."""

    volume: int
    loc: bytes
    ver: int
    """As the node has it; 0: it came by hand, and the node doesn't know."""
    size: int
    crc32: int | None = None
    digest: bytes | None = None
    trouble: Trouble = ""
    journal: tuple[int | None, bytes | None] = (None, None)
    """The checksums that the node has had before; they count where the entry has none."""


class Verdict(StrEnum):
    """What a copy that was read is."""

    GOOD = "good"
    """It has the bytes that the catalogue knows; or that it knows from now on."""
    BAD = "bad"
    STALE = "stale"
    """It isn't what the catalogue has there, or there is nothing to hold it against: nothing follows."""


class Became(StrEnum):
    """What became of a bad copy. The order is that of the numbers in the table."""

    FOUND = "found"
    """It lies where it was: it is the last one, or the others are away."""
    OWED = "owed"
    """Its node shall move it to the quarantine."""
    QUARANTINED = "quarantined"
    PURGED = "purged"
    """It was in the quarantine for long enough."""
    GONE = "gone"
    """It wasn't there any more when it should be moved; or its volume was struck."""
    HEALED = "healed"
    """Read again it was as it should be."""
    OVERTAKEN = "overtaken"
    """The file was replaced or deleted, or somebody changed it on the disk."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One copy whose bytes weren't what they should be."""

    id: int
    found_ns: int
    node: str
    volume: int
    loc: bytes
    path: bytes
    """The file's in the tree, as it was when that was found."""
    file: int
    ver: int
    size: int
    cause: str
    trouble: str
    wanted_crc32: int | None
    wanted_digest: bytes | None
    found_crc32: int | None
    found_digest: bytes | None
    became: Became
    became_ns: int
    """Since when."""
