"""A ticket's data connection, what moves over it, how it ends: "Transfers" of `docs/link-protocol.md`."""

from __future__ import annotations

from argosy.wire.link.message import Message


class Ports(Message, tag="ports"):
    """A note: these ports listen from now on and wait for an `Expect`."""

    ports: list[int]


class Expect(Message, tag="expect"):
    """A client will connect to this listening port. A note, where TLS is to be shaken as soon as it does."""

    ticket: int
    port: int
    peer: str
    """The only address that may connect; empty for any (FXP)."""
    tls: bool


class Dial(Message, tag="dial"):
    """Connect to an address (PORT, EPRT), or to the master's relay.

    For a relay `host` is empty: the node dials the host where its link goes to, and with `tls` shows its
    own certificate and wants the master's. For a client `tls` makes the node the TLS server.
    """

    ticket: int
    host: str
    port: int
    tls: bool


Meet = Expect | Dial
"""How a ticket's data connection comes about."""

ARRIVING = -1
"""A `Send.size`: as much as there is when the upload ends."""


class Send(Message, tag="send"):
    """A note: send a file over this ticket's data connection. Its outcome is `Done`.

    With `size` -1 (`ARRIVING`) the file is the upload `ver`, which may still be arriving: send what is
    there, and what comes, until it ends. `loc` means nothing then.
    """

    ticket: int
    store_id: str
    loc: bytes
    ver: int
    size: int
    offset: int
    ascii: bool
    meet: Meet | None = None
    """The data connection, where it wasn't told of before."""
    unproved: bool = False
    """It is known to be bad, and wanted all the same: don't hold it against its checksum."""


class Base(Message, tag="base"):
    """The live file whose first `offset` bytes a new version begins with."""

    loc: bytes
    ver: int
    size: int


class Receive(Message, tag="receive"):
    """A note: take a file from this ticket's data connection into a part. Its outcome is `Done`."""

    ticket: int
    store_id: str
    upload: int
    offset: int
    """Write from here on; what lies behind goes. The part so far, or `base`, holds the bytes before."""
    base: Base | None
    ascii: bool
    announced: int
    """Bytes that ALLO announced; -1: unknown. Fewer is a failure."""
    flush: bool
    """Flush to the disk before sealing."""
    meet: Meet | None = None
    """As in `Send`."""
    room: int = -1
    """The file may become so long and no longer, else `OverQuota`; -1: as long as it likes."""


class Pace(Message, tag="pace"):
    """A note: move this ticket's bytes no faster from now on. The last one counts."""

    ticket: int
    bytes_per_second: int
    """0: as fast as can be."""


class Cancel(Message, tag="cancel"):
    """A note: end this ticket's transfer or wait; if a transfer ran, `Done` says `TransferCut`."""

    ticket: int


class HowFar(Message, tag="how-far"):
    """How far is this ticket's transfer? Answered by `Running`."""

    ticket: int


class Done(Message, tag="done"):
    """A transfer's outcome; repeated after a reconnect until the master answers `Ok`."""

    ticket: int
    moved: int
    """Bytes over the data connection in this transfer."""
    refusal: str
    """Empty: all went well. Else a refusal's class name in `argosy.errors`."""
    subject: str
    size: int = 0
    """For `Receive`: the part's size now, sealed or not; -1: unknown."""
    mtime_ns: int = 0
    crc32: int | None = None
    digest: bytes | None = None
    met: bool = True
    """Whether the client, or the relay, may have seen a connection of the node's."""
    seconds: float = 0.0
    """How long the bytes took; 0: it isn't said."""
    held: float = 0.0
    """For how much of that the node waited for its own disk."""
    store_id: str = ""
    """For `Receive`: the volume."""
    upload: int = 0
    """For `Receive`: which upload it was, for a master that doesn't know the ticket; 0: it isn't said."""


Body = Ports | Expect | Dial | Send | Receive | Pace | Cancel | HowFar | Done
"""Those of these messages that are a frame's body; the others are parts of them."""
