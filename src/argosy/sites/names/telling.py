"""What clients are told of a file: what the site says, and what it can't say filled in. Pure.

FTP's times are of seconds, minutes or days, and many sites keep none that we set. So what clients were told
after a change of theirs is held on to, for as long as the site doesn't say anything else.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import NamedTuple

from argosy.sites.model import Attributes, Facts, FileId, Kind
from argosy.sites.names.record import Row

SECOND = 1_000_000_000
_MINUTE = 60 * SECOND
_DAY = 24 * 60 * _MINUTE

DIRECTORY_SIZE = 4096
"""A site tells no sensible one."""

_USUAL_MODE: Mapping[Kind, int] = {Kind.FILE: 0o644, Kind.DIRECTORY: 0o755, Kind.LINK: 0o777}
"""Where the site tells none."""

_SPREAD = 2_654_435_761
"""Knuth's multiplier: sizes that are near each other give numbers that aren't."""


class Teller(NamedTuple):
    """Whose a mount's files are."""

    uid: int
    gid: int
    """Of who mounted, and so of what our login has on the site."""
    ours: frozenset[bytes]
    """What the site's listings call our login."""
    born_ns: int
    """The time of what has none."""
    find_uid: Callable[[bytes], int | None]
    """Find a user's number by name, on this machine."""
    find_gid: Callable[[bytes], int | None]

    def tell(
        self, facts: Facts, file: FileId, parent: FileId, row: Row | None = None, changed_ns: int = 0
    ) -> Attributes:
        """Say what a file is.

        Args:
            facts: What the site says.
            file: Which file it is.
            parent: Where it is.
            row: What was told of it before.
            changed_ns: When we changed, or saw changed, what a directory holds; 0: never.
        """
        mode = _USUAL_MODE[facts.kind] if facts.mode is None else facts.mode
        size = _size(facts)
        mtime_ns = self.born_ns if facts.mtime_ns is None else facts.mtime_ns
        ctime_ns = _ctime(mtime_ns, size, mode)
        if row is not None and row.told_ns is not None and row.changed_ns is not None and _holds(row, facts):
            mtime_ns, ctime_ns = row.told_ns, max(ctime_ns, row.changed_ns)
        if changed_ns > ctime_ns:
            mtime_ns = ctime_ns = changed_ns
        uid, gid = self._owner(facts)
        return Attributes(
            file=file,
            parent=parent,
            kind=facts.kind,
            size=size,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime_ns=mtime_ns,
            ctime_ns=ctime_ns,
            perm=facts.perm,
        )

    def _owner(self, facts: Facts) -> tuple[int, int]:
        """Give user and group: ours for what our login has, else the site's if known here."""
        if facts.owner is None or facts.owner in self.ours:
            return self.uid, self.gid
        uid = int(facts.owner) if facts.owner.isdigit() else self.find_uid(facts.owner)
        if uid is None:
            return self.uid, self.gid
        if facts.group is None:
            return uid, self.gid
        gid = int(facts.group) if facts.group.isdigit() else self.find_gid(facts.group)
        return uid, self.gid if gid is None else gid


def same_moment(one_ns: int, precise: bool, other_ns: int, other_precise: bool) -> bool:
    """Whether two times that a site told may be the same one, told by MLSD or MDTM and by `ls -l`.

    A precise time is to the second, the other to the minute, or to the day for what is old.
    """
    if precise == other_precise:
        return one_ns // SECOND == other_ns // SECOND
    fine, coarse = (one_ns, other_ns) if precise else (other_ns, one_ns)
    return 0 <= fine - coarse < (_DAY if coarse % _DAY == 0 else _MINUTE)


def as_seen_from(directory: bytes, target: bytes, home: bytes) -> bytes:
    """Give where a symbolic link leads, so that it leads there in a mount, too.

    Args:
        directory: Where the link is, absolute on the site.
        target: What the site says. Where that is absolute, the mount's root isn't the site's.
        home: Where the mount begins. What is outside of it can't be reached in the mount.
    """
    if not target.startswith(home.rstrip(b"/") + b"/") and target != home:
        return target
    return posixpath.relpath(target, directory)


def _size(facts: Facts) -> int:
    if facts.kind is Kind.DIRECTORY:
        return DIRECTORY_SIZE
    if facts.kind is Kind.LINK and facts.target is not None:
        return len(facts.target)
    return facts.size


def _ctime(mtime_ns: int, size: int, mode: int) -> int:
    """Make a time that is another one when anything else is: clients go by it to see a change.

    The same for the same facts, whenever and by whichever gateway they are told.
    """
    return mtime_ns - mtime_ns % SECOND + (size * _SPREAD + mode) % SECOND


def _holds(row: Row, facts: Facts) -> bool:
    """Whether the site still says what it said when clients were told these times."""
    if facts.kind is Kind.FILE and row.seen_size != facts.size:
        return False
    if row.seen_ns is None or facts.mtime_ns is None:
        return row.seen_ns is facts.mtime_ns
    return same_moment(row.seen_ns, True, facts.mtime_ns, facts.precise)
