"""What lies on a volume, found by scans and told in batches: "File list" of `docs/link-protocol.md`."""

from __future__ import annotations

from argosy.wire.link.message import Message


class Feed(Message, tag="feed"):
    """Begin to send this volume's changes after `since`, and go on with new ones as they come.

    `whole`: send first the whole file list in order of loc (batches with `upto`), once the scan at the
    node's start is over. Answered by `Ok` at once.
    """

    store_id: str
    since: int
    whole: bool


class File(Message, tag="f", gc=False):
    """One file of a `Group`."""

    name: bytes
    size: int
    mtime_ns: int
    ver: int = 0
    crc32: int | None = None
    digest: bytes | None = None
    gone: bool = False
    file: int = 0
    """What the node was told of it by `CommitPart` or `Settle`; 0: nothing."""
    named_ns: int = 0
    path: bytes = b""


class Group(Message, tag="g"):
    """Files of one directory, in order."""

    directory: bytes
    """Below the root, without slashes at the ends; empty for the root itself."""
    files: list[File]


class Changes(Message, tag="changes"):
    """A batch of a volume's file list. Answered by `Merged` once it is in the catalogue.

    With `whole` the batch holds every file with `after < loc <= upto` (the last: no `upto`), in order of
    loc; what isn't in it is gone. Without, it holds changes in order of `seq`; files that one step of
    the journal touched stand in the same batch.
    """

    store_id: str
    seq: int
    """The newest change covered; while a whole list runs, unchanged until its last batch."""
    whole: bool
    after: bytes
    upto: bytes | None
    groups: list[Group]


class Merged(Message, tag="merged"):
    """The master has it; the node may forget deletions up to this change."""

    seq: int


class Scan(Message, tag="scan"):
    """Read the disk now and journal what changed. Answered by `Scanned` when done."""

    store_id: str
    accept_losses: bool


class Scanned(Message, tag="scanned"):
    """What a scan found: files, changes journalled, and losses held back for the administrator."""

    files: int
    changes: int
    held_losses: int
    seq: int = 0
    """The journal's newest change now: once it is merged, so is the scan."""


class Held(Message, tag="held"):
    """A note: a scan would lose so many of a volume's files that a person should look first."""

    store_id: str
    losses: int
    files: int


Body = Feed | Changes | Merged | Scan | Scanned | Held
"""Those of these messages that are a frame's body; the others are parts of them."""
