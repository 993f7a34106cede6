"""Names of ours on a site that stand for no file yet: uploads under way, and files moved aside for a moment.

They are hidden from the mount, and swept when they are old.
"""

from __future__ import annotations

import posixpath
import secrets

_BEGINS, _ENDS = b".argosy-", b".part"


def is_temporary(name: bytes) -> bool:
    """Whether a name is one of ours that stand for no file yet."""
    return name.startswith(_BEGINS) and name.endswith(_ENDS)


def temporary_beside(path: bytes) -> bytes:
    """Make up a name that nobody has, in the directory of a file."""
    return posixpath.join(posixpath.dirname(path), _BEGINS + secrets.token_hex(8).encode() + _ENDS)
