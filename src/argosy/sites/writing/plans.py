"""How a changed file gets to a site, out of what FTP can do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from argosy.sites.writing.extents import Extents, Run

AT_ONCE_BYTES = 256 * 1024
"""A new file of no more is stored where it belongs: nothing old is at risk, and it is there at once."""
_RUN_BYTES = 1024 * 1024
"""What a STOR costs beyond its bytes, as bytes: three round trips and a data connection."""


class Patches(Enum):
    """What REST and STOR do in the middle of a file, as a trial showed."""

    UNKNOWN = "unknown"
    KEEP = "keep"
    """What lies behind the bytes that are sent stays."""
    CUT = "cut"
    """The file ends behind the bytes that are sent."""
    NONE = "none"


@dataclass(slots=True)
class Ways:
    """What was seen of a site that it can; all of a mount's uploads learn from each other."""

    temporary: bool = True
    """Files can be stored by another name, and renamed."""
    in_place: set[bytes] = field(default_factory=set)
    """Directories in which it refused a name of ours, and took a file's own."""
    mode_as_made: int | None = None
    """The permission bits that a file had there before we set any, the last time that the site told."""
    modes: bool = True
    """Permission bits can be set; false once that was refused before it ever went well."""
    sets_modes: bool = False
    """It went well."""
    appends: bool = True
    patches: Patches = Patches.UNKNOWN


class Nothing(NamedTuple):
    """The site has the content."""


class Append(NamedTuple):
    """APPE: everything from `offset` on, behind what the site has."""

    offset: int
    resumed: bool
    """It goes on with an append that was cut."""


class Patch(NamedTuple):
    """REST and STOR for each run."""

    runs: list[Run]


class Whole(NamedTuple):
    """STOR of everything."""

    fetch: list[Run]
    """What has to be read from the site first."""
    temporary: bool
    """By a temporary name, renamed into place."""


class Trial(NamedTuple):
    """See first what REST and STOR do here."""


Plan = Nothing | Append | Patch | Whole | Trial


class Change(NamedTuple):
    """A changed file, as far as plans go by it."""

    size: int
    kept: int
    """So many of the site's first bytes count, where no run is."""
    runs: Extents
    """What was written."""
    appending: int | None
    """What the site has from here on is of an append that was cut."""


def choose(change: Change, site: int | None, ways: Ways, *, whole_bytes: int) -> Plan:
    """Choose how a file gets to the site.

    Args:
        change: What it is to become.
        site: How many bytes the site has; None: it has no such file.
        ways: What the site can.
        whole_bytes: A file of no more is replaced rather than changed in the middle: nobody ever sees it
            half changed.
    """
    size, kept, runs = change.size, change.kept, change.runs
    if site is None:
        return Whole([], temporary=ways.temporary and size > AT_ONCE_BYTES)
    if not runs.total and size == site == kept:
        return Nothing()
    if ways.appends and (offset := _appends(change, site)) is not None:
        return Append(offset, resumed=change.appending is not None)
    fetch = runs.missing(0, min(kept, site, size))
    whole = Whole(fetch, temporary=ways.temporary and (site > 0 or size > AT_ONCE_BYTES))
    if not fetch or size < site or kept < site or size <= whole_bytes:
        return whole
    middle = _in_the_middle(change, site, ways)
    return whole if middle is None else middle


def _in_the_middle(change: Change, site: int, ways: Ways) -> Patch | Trial | None:
    """Say whether the changed bytes alone can be sent, and are less work than all of them."""
    sent = Extents(change.runs)
    sent.add(site, change.size)  # what was never written there is zeros
    through = sum(end - start for start, end in sent.missing(0, site)) + change.size
    if sent.holds(0, 1):  # a STOR from the beginning, REST 0 or none, throws the old content away
        return None
    if sent.total + len(sent) * _RUN_BYTES >= through or ways.patches is Patches.NONE:
        return None
    if ways.patches is Patches.UNKNOWN:
        return Trial()
    to_the_end = len(sent) == 1 and sent.holds(change.size - 1, change.size)
    return Patch(list(sent)) if to_the_end or ways.patches is Patches.KEEP else None


def _appends(change: Change, site: int) -> int | None:
    """Say where an append would begin, if one does it."""
    if change.appending is not None:
        ours = change.appending <= site <= change.size and change.kept >= change.appending
        return site if ours and not change.runs.within(0, change.appending) else None
    if 0 < site < change.size and change.kept >= site and not change.runs.within(0, site):
        return site
    return None
