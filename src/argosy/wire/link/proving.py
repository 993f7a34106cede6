"""What lies on a disk is read and compared: "Scrubbing" of `docs/link-protocol.md`."""

from __future__ import annotations

from argosy.wire.link.message import Message


class Scrub(Message, tag="scrub"):
    """Begin to read all files of a volume, or go on with that. Safe to repeat; answered by `Ok` at once."""

    store_id: str
    hurry: bool
    """As fast as the disk can, whoever else wants it."""


class Pass(Message, tag="pass"):
    """How far a volume's scrub is."""

    running: bool
    hurried: bool
    begun_ns: int
    """When the last one began; 0: none has."""
    ended_ns: int
    """When the last whole one ended; 0: none has."""
    files: int
    """Read in it so far."""
    bytes: int
    of_bytes: int
    """All that there were when it began."""
    bad: int
    """Files of which it has told."""
    trouble: str = ""
    """Why it doesn't go on, as where the disk fails; it is tried again. Empty: nothing is in its way."""


class Doubt(Message, tag="doubt"):
    """A file that was read twice, past all memory, and isn't what its journal says."""

    loc: bytes
    ver: int
    size: int
    crc32: int | None
    digest: bytes | None
    trouble: str
    """Empty, or why there are no checksums: `unreadable`."""
    known_crc32: int | None
    """What the journal says."""
    known_digest: bytes | None


class Doubted(Message, tag="doubted"):
    """Judge these files of a volume. Answered by `Judged`; by `Busy` until its list is merged."""

    store_id: str
    files: list[Doubt]


class Judged(Message, tag="judged"):
    """What each of them is: `good`, so the journal was wrong; `bad`; or `stale`, of which nothing follows."""

    verdicts: list[str]


class AskVerify(Message, tag="ask-verify"):
    """Have all copies of what lies at and below a path read now, or say how far that is. By `Report`."""

    path: bytes
    begin: bool


class AskScrub(Message, tag="ask-scrub"):
    """Have a node read all that it has now, as fast as its disks can. Answered by `Report`."""

    node: str
    """Empty: every node that is here."""
    begin: bool
    """Else only say how far they are."""


Body = Scrub | Doubted | Judged | AskVerify | AskScrub
"""Those of these messages that are a frame's body; the others are parts of them."""
