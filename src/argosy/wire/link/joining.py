"""The node presents itself and is welcomed: "Joining" of `docs/link-protocol.md`."""

from __future__ import annotations

from argosy.wire.link.message import Message

VERSION = 1
"""What `Hello` and `Welcome` carry. A peer of another major version is told so and hung up on."""


class Part(Message, tag="part"):
    """An unfinished or uncommitted upload that lies on a volume."""

    upload: int
    received: int
    sealed: bool


class VolumeState(Message, tag="volume"):
    """One of the node's roots."""

    store_id: str
    seq: int
    """The newest change in its journal."""
    total: int
    free: int
    parts: list[Part]
    generation: int = 0
    """What the disk was told to `Remember` last; an older state of it says less than the master expects."""


class Remember(Message, tag="remember"):
    """Write down on the disk which attachment this is, flushed. Answered by `Ok`."""

    store_id: str
    generation: int


class Hello(Message, tag="hello"):
    """The node's first request on a link with certificates on both sides."""

    version: int
    software: str
    boot: str
    """Random, of this life of the node's process: a new one raises the node's epoch."""
    advertise: str
    """The address for 227 replies; empty: the address that the link comes from."""
    labels: list[str]
    volumes: list[VolumeState]
    running: list[int]
    """Tickets of transfers that go on, or whose outcome the master hasn't heard."""
    zone: str = ""
    """What fails together with the node, as its file says."""
    floor_bytes: int = 0
    """Free space that each of its volumes shall have."""


class Welcome(Message, tag="welcome"):
    """The answer to `Hello`."""

    version: int
    epoch: int
    beat_seconds: float
    """How often the node says `Beat`."""
    window: int
    """How many `Changes` may wait for their reply at once, over all volumes."""
    connect_seconds: float
    """How long an expected data connection is waited for."""
    stall_seconds: float
    """How long a data connection may stand still."""
    certificate: bytes
    """The FTP door's certificate chain and key, PEM, for TLS on data connections."""
    key: bytes


class Certificate(Message, tag="certificate"):
    """A note: the FTP door has another certificate, for TLS on data connections from now on."""

    certificate: bytes
    key: bytes


class Farewell(Message, tag="farewell"):
    """A note of the node's: it hangs up now, and lives; what moves goes on."""


Body = Hello | Remember | Welcome | Certificate | Farewell
"""Those of these messages that are a frame's body; the others are parts of them."""
