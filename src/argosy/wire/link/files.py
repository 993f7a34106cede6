"""Orders for files that lie on a volume: they get to their places, go, move and are summed.

"Uploads", "Joining" and "Checksums" of `docs/link-protocol.md`.
"""

from __future__ import annotations

from argosy.wire.link.message import Message


class CommitPart(Message, tag="commit-part"):
    """One upload that the catalogue has committed, and where it shall lie."""

    upload: int
    loc: bytes
    mtime_ns: int
    file: int = 0
    """Whose content it is. The node remembers it, as the next two, for a master that has lost its record."""
    named_ns: int = 0
    """At this time the file was called `path`."""
    path: bytes = b""
    """Empty: as `loc`."""


class Commit(Message, tag="commit"):
    """Put sealed uploads in place. Safe to repeat; answered by `Ok`."""

    store_id: str
    parts: list[CommitPart]


class Forget(Message, tag="forget"):
    """Remove parts that nobody will go on with. Safe to repeat; answered by `Ok`."""

    store_id: str
    uploads: list[int]


class Doomed(Message, tag="doomed"):
    """One file to delete, only if it has just this size and time."""

    loc: bytes
    ver: int
    size: int
    mtime_ns: int


class Discard(Message, tag="discard"):
    """Move files to the volume's trash. Safe to repeat; answered by `Ok`."""

    store_id: str
    files: list[Doomed]


class Settle(Message, tag="settle"):
    """Bring a file's place and time on the disk in line with the tree. Answered by `Ok`.

    The place is never taken from another file: then the refusal is `Exists`, and the master asks later.
    """

    store_id: str
    loc: bytes
    ver: int
    size: int
    to: bytes
    mtime_ns: int
    file: int = 0
    """As in `CommitPart`."""
    named_ns: int = 0
    path: bytes = b""
    """Empty: as `to`."""


class Checksum(Message, tag="checksum"):
    """Read a file and give its checksums. Answered by `Checksums`."""

    store_id: str
    loc: bytes
    ver: int
    size: int
    algorithms: list[str]
    """Of `crc32`, `xxh3`, `md5`, `sha1`, `sha256`, `sha512`."""
    offset: int = 0
    length: int = -1
    """Bytes from `offset` on; -1: to the end."""


class Checksums(Message, tag="checksums"):
    """Hex digits by algorithm."""

    values: dict[str, str]


Body = Commit | Forget | Discard | Settle | Checksum | Checksums
"""Those of these messages that are a frame's body; the others are parts of them."""
