"""Names that stand for no file of anybody's, and are swept when they are old.

Ours are uploads under way, and files moved aside for a moment; they are hidden from the mount. An NFS
client's are files that were deleted while they were open.
"""

from __future__ import annotations

import posixpath
import re
import secrets

_BEGINS, _ENDS = b".argosy-", b".part"


def is_temporary(name: bytes) -> bool:
    """Whether a name is one of ours that stand for no file yet."""
    return name.startswith(_BEGINS) and name.endswith(_ENDS)


_LEFTOVER = re.compile(rb"\.nfs[0-9A-Fa-f.]{8,40}")


def is_leftover(name: bytes) -> bool:
    """Whether a name is one that a client gives to an open file which is deleted: `.nfs`, and a number.

    The client removes it when the file is closed, unless it crashes. RFC 1813 section 4.2, "silly rename".
    """
    return _LEFTOVER.fullmatch(name) is not None


def temporary_beside(path: bytes) -> bytes:
    """Make up a name that nobody has, in the directory of a file."""
    return posixpath.join(posixpath.dirname(path), _BEGINS + secrets.token_hex(8).encode() + _ENDS)
