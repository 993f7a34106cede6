"""Who may do what with a file. Pure.

The site has its own rights, and the login is all that it sees: `perm` tells what it will refuse. Beyond that,
whoever mounted it, root and a file's owner may do everything here, and others what the mode's group and other
bits say: a mount made with one user's password is no open door for all users of the machine. RFC 1813 section
4.4.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache, reduce

from argosy.sites.model import Attributes, Kind
from argosy.wire.nfs.nfs3 import Access
from argosy.wire.nfs.rpc import Credential

ALL = Access.READ | Access.LOOKUP | Access.MODIFY | Access.EXTEND | Access.DELETE | Access.EXECUTE
NONE = Access(0)
EXECUTABLE = 0o111
NOBODY = Credential(65_534, 65_534)
"""Who says nothing (AUTH_NONE)."""

_CHANGING = Access.MODIFY | Access.EXTEND | Access.DELETE

_BY_MODE: Mapping[Kind, tuple[tuple[int, Access], ...]] = {
    Kind.FILE: ((4, Access.READ), (2, Access.MODIFY | Access.EXTEND), (1, Access.EXECUTE)),
    Kind.DIRECTORY: ((4, Access.READ), (2, _CHANGING), (1, Access.LOOKUP)),
    Kind.LINK: ((0, Access.READ),),
}
"""What each bit of a class of the mode lets do; a link's are without meaning."""

_BY_PERM: Mapping[Kind, Mapping[str, Access]] = {
    Kind.FILE: {
        "r": Access.READ | Access.EXECUTE,
        "w": Access.MODIFY | Access.EXTEND,
        "a": Access.EXTEND,
    },
    Kind.DIRECTORY: {
        "l": Access.READ,
        "e": Access.LOOKUP,
        "c": Access.MODIFY | Access.EXTEND,
        "m": Access.MODIFY | Access.EXTEND,
        "p": Access.MODIFY | Access.DELETE,
    },
    Kind.LINK: {},
}
"""What each letter of the fact `perm` means. RFC 3659 section 7.5.5."""


class Standing(Enum):
    """What somebody is to a file."""

    OWNER = 6
    """Or whose login it is, or root."""
    GROUP = 3
    OTHER = 0


def allowed(attributes: Attributes, who: Credential | None, *, ours: bool) -> int:
    """Give all that somebody may do with a file, as bits of `Access`.

    Args:
        attributes: The file's.
        who: Asks; None: said nothing.
        ours: It is root, or whose login at the site it is.
    """
    who = who or NOBODY
    if ours or who.uid == attributes.uid:
        standing = Standing.OWNER
    elif attributes.gid == who.gid or attributes.gid in who.gids:
        standing = Standing.GROUP
    else:
        standing = Standing.OTHER
    return _allowed(attributes.kind, attributes.mode, attributes.perm, standing)


@lru_cache(1024)
def _allowed(kind: Kind, mode: int, perm: str | None, standing: Standing) -> int:
    """Do the sums, once for files of the same kind."""
    may = ALL
    if perm is not None and kind is not Kind.LINK:
        may = reduce(operator.or_, (_BY_PERM[kind].get(letter, NONE) for letter in perm.lower()), NONE)
    if standing is not Standing.OWNER:
        bits = mode >> standing.value
        may &= reduce(operator.or_, (access for bit, access in _BY_MODE[kind] if bits & bit == bit), NONE)
    elif kind is Kind.FILE and not mode & EXECUTABLE:
        may &= ~Access.EXECUTE
    return int(may)
