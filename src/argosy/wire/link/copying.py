"""Copies from node to node: "Copying" of `docs/link-protocol.md`. The bytes' own form is in `pieces`."""

from __future__ import annotations

from argosy.wire.link.message import Message
from argosy.wire.link.transfers import Base


class Offer(Message, tag="offer"):
    """A node will come to this listening port, by TLS with the link's certificates on both sides."""

    ticket: int
    port: int
    to: str
    """Its name: nobody else gets a byte."""
    line: int = 0
    """Keep the connection under this number if all goes well; 0: no. With port 0 it is one that was kept."""


class Visit(Message, tag="visit"):
    """Connect to the node that made the `Offer`, likewise."""

    ticket: int
    host: str
    port: int
    of: str
    """Its name: from nobody else a byte is taken."""
    line: int = 0
    """As in `Offer`."""


class Item(Message, tag="item"):
    """One file that a supplier sends.

    With `size` -1 (`ARRIVING`) it is the upload `ver`, which is still arriving, or sealed: what is there is
    sent, and what comes, to its end. `loc` means nothing then.
    """

    store_id: str
    loc: bytes
    ver: int
    size: int
    offset: int
    """The first byte to send."""
    mtime_ns: int | None = None
    """Send it only if the disk gives it this time, for nobody knows its checksums; None: they will tell."""


class Supply(Message, tag="supply"):
    """A note: send files, one after the other, over one connection. Its outcome is `Done`."""

    ticket: int
    items: list[Item]
    meet: Offer


class Wanted(Message, tag="wanted"):
    """One file that a gatherer takes."""

    ver: int
    """The part's upload id."""
    size: int
    """-1 (`ARRIVING`): the supplier says at its end what it has become, size and checksums."""
    offset: int
    """The part so far, or `base`, has the bytes before."""
    crc32: int | None
    digest: bytes | None
    base: Base | None = None
    """As in `Receive`."""


class Gather(Message, tag="gather"):
    """A note: take files, in this order, into parts of a volume. Its outcome is `Done`, after `Gathered`."""

    ticket: int
    store_id: str
    items: list[Wanted]
    flush: bool
    """Flush to the disk before sealing."""
    meet: Visit


class Arrived(Message, tag="arrived"):
    """What became of one file: a sealed part, or nothing."""

    ver: int
    refusal: str
    """Empty: it is sealed. Else a refusal's class name in `argosy.errors`."""
    subject: str
    received: int
    """Bytes in the part; without a seal: from where it can be gone on with, 0 for not at all."""
    mtime_ns: int = 0
    crc32: int | None = None
    digest: bytes | None = None


class Gathered(Message, tag="gathered"):
    """These files of a `Gather` are over. Answered by `Ok`; repeated over the next link until then."""

    ticket: int
    store_id: str
    files: list[Arrived]


Body = Supply | Gather | Gathered
"""Those of these messages that are a frame's body; the others are parts of them."""
