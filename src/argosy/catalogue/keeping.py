"""The words for keeping files: what a directory wants, which copies somebody should look at, the trash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from argosy.catalogue.model import Entry, Replica, TreePath
from argosy.config import Spread

Way = Sequence[tuple[int, bytes]]
"""Directories from the root down, each with its name; the root is first, and its name empty. FileId 0: there
is no such directory yet."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was set at run time for a directory and all below it. None: as what is above it says."""

    copies: int | None = None
    """On so many volumes each file shall lie."""
    acknowledged: int | None = None
    """So many copies there must be before 226."""
    spread: Spread | None = None
    """What no two copies shall share, as far as there are enough of them."""
    require: tuple[str, ...] | None = None
    """Labels: all of them a node must have."""
    prefer: tuple[str, ...] | None = None
    """Labels: nodes that have one come first."""
    avoid: tuple[str, ...] | None = None
    """Labels: nodes that have one come last."""
    only: tuple[str, ...] | None = None
    """Labels or names of nodes: one of them a node must have or be, and files leave those that don't."""
    archive_after_days: float | None = None
    """Files that haven't changed for so long go to `archive_to`."""
    archive_to: tuple[str, ...] | None = None
    """Labels or names of nodes."""
    retention_days: float | None = None
    """Files that haven't changed for so long are deleted."""
    repair_delay_seconds: float | None = None
    """A node away for longer isn't reckoned with."""
    flush: bool | None = None
    """Flush to the disk before 226."""
    trash_days: float | None = None
    """What is deleted or overwritten is kept for so long; 0: not at all."""
    make_room: bool | None = None
    """Files may leave a disk that is nearly full."""

    def said(self) -> dict[str, object]:
        """Give the fields that are set, with their values."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None}


NOTHING_SAID = Wish()


Wants = Callable[[Way], int]
"""Says how many copies are wanted of the files of a directory; 0: nobody has said."""

Spares = Callable[[Way], float]
"""Says for how many days the trash keeps what goes from a directory; 0: not at all."""


class Why(StrEnum):
    """How something got into the trash."""

    DELETED = "deleted"
    OVERWRITTEN = "overwritten"
    REPLACED = "replaced"
    """Something was renamed onto it."""
    RETIRED = "retired"
    """It was too old, by its section's rule."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Who throws something away, and what becomes of it."""

    by: str
    """A user's name; empty: the site itself."""
    now_ns: int
    mint: Callable[[], int]
    spares: Spares | None = None
    """None: nothing is kept anywhere, and to ask costs nothing."""


@dataclass(frozen=True, slots=True)
class Trashed:
    """A file in the trash, or the content that one had."""

    entry: Entry
    path: TreePath
    """Where it was."""
    gone_ns: int
    until_ns: int
    """Then it goes for good."""
    by: str
    why: Why
    copies: int
    """Good ones. 0: it can't be restored, unless a volume comes back."""


TrashMark = tuple[bytes, int]
"""Where a page of the trash ends: a path, components joined by a slash, and a FileId."""


@dataclass(frozen=True, slots=True)
class Emptied:
    """What went out of the trash for good."""

    files: int = 0
    bytes: int = 0
    more: bool = False
    """There may be more of what was asked for."""


class Job(msgspec.Struct, frozen=True, gc=False):
    """A file whose copies somebody should look at. What is to be done is found out when it is taken."""

    file: int
    danger: int
    """Good copies left; `SAFE`: as many as are wanted, or more."""
    bytes: int
    due_ns: int
    tries: int = 0
    why: str = ""
    """What stood in the way the last time; empty: nothing."""


SAFE = 8
"""The danger of a file that has copies enough, but not where they should be, or too many."""


@dataclass(frozen=True, slots=True)
class Stock:
    """A file and all its copies."""

    entry: Entry
    copies: tuple[Replica, ...]
    shift: tuple[int, int] | None = None
    """From which volume to which one of them shall go."""
    owed: frozenset[int] = frozenset()
    """Volumes from whose place a bad one is still to be moved aside: until then no other can come there."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """A copy that shall go, as long as others are there."""

    file: int
    ver: int
    volume: int
    keep: tuple[int, ...]
    """Volumes that must have a good copy still, and be here, when it goes."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that the administrator has ordered and that takes long; kept until it is struck off."""

    name: str
    begun_ns: int
    files: int
    """To be done when it began."""
    bytes: int
    settings: str
    """How it shall be done, JSON."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A file of which a copy shall go from one volume to another."""

    file: int
    source: int
    target: int
    bytes: int
    arrived: bool = False
    """There is a copy on the target."""
    gone: bool = False
    """There is none on the source any more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A file that has outlived its retention and will go."""

    file: int
    ver: int
    noted_ns: int
    """Since when that is known."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How much has outlived its retention and will go."""

    files: int
    bytes: int
    first_ns: int
    """Since when that is known of the first of them; 0: there are none."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is still on some volumes."""

    files: int
    bytes: int
    arriving: int
    """Uploads that run there."""
    partial: int
    """Cut uploads whose parts are there."""
    by_why: dict[str, tuple[int, int]]
    """Files and bytes by what stands in the way of their leaving."""


@dataclass(frozen=True, slots=True)
class Wanting:
    """What there is to do, counted."""

    by_danger: dict[int, tuple[int, int]]
    """Files and bytes by the number of good copies left."""
    by_why: dict[str, tuple[int, int]]
    """Files and bytes by what stands in the way."""
