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
    replaces: int = 0
    """The version that may lie there, and goes. Any other stays, and this upload waits aside."""


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
    finding: int = 0
    """Not 0: its bytes are bad. It is kept in the quarantine, under this number, until `Purge`."""
    keep: bool = True
    """False: it has been in the site's trash for its time, and is deleted at once."""


class Discard(Message, tag="discard"):
    """Move files to the volume's trash, or delete them. Safe to repeat; answered by `Ok` or `Discarded`."""

    store_id: str
    files: list[Doomed]


class Left(Message, tag="left"):
    """A file of a `Discard` that stays where it is."""

    place: int
    """Its place in the order's list, from 0."""
    refusal: str
    """`NotFound`, of one with a finding: it isn't there, and needs no other try. Else: ask again later."""
    subject: str


class Discarded(Message, tag="discarded"):
    """All files of a `Discard` went but for these."""

    left: list[Left]


class Purge(Message, tag="purge"):
    """Delete what the quarantine keeps under these numbers. Safe to repeat; answered by `Ok`."""

    store_id: str
    findings: list[int]


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


class Peek(Message, tag="peek"):
    """Open a version of a file and read a byte at `offset`: can it be sent? Answered by `Ok`."""

    store_id: str
    loc: bytes
    ver: int
    size: int
    offset: int


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
    fresh: bool = False
    """Read it from the disk, whatever the memory has of it."""


class Checksums(Message, tag="checksums"):
    """Hex digits by algorithm."""

    values: dict[str, str]


CONTENT_LIMIT = 256 * 1024
"""Bytes in one `Bytes`."""


class Content(Message, tag="content"):
    """Give some bytes of a small file, for the master itself: a list of checksums. Answered by `Bytes`."""

    store_id: str
    loc: bytes
    ver: int
    size: int
    offset: int
    length: int
    """At most `CONTENT_LIMIT`."""


class Bytes(Message, tag="bytes"):
    """Bytes of a file, as many as were asked for."""

    data: bytes


Body = Commit | Forget | Discard | Discarded | Purge | Settle | Peek | Checksum | Checksums | Content | Bytes
"""Those of these messages that are a frame's body; the others are parts of them."""
