"""How a node is, every few seconds."""

from __future__ import annotations

from argosy.wire.link.message import Message
from argosy.wire.link.proving import Pass


class Running(Message, tag="running"):
    """How far a transfer is."""

    ticket: int
    moved: int
    seconds: float = 0.0
    """As in `Done`, so far."""
    held: float = 0.0


class Space(Message, tag="space"):
    """A volume's room in bytes."""

    store_id: str
    total: int
    free: int
    files: int
    scrub: Pass | None = None
    """How far its scrub is."""


class Beat(Message, tag="beat"):
    """A note, at `beat_seconds`: alive, with figures."""

    load: float
    """One-minute load average over the number of processors."""
    in_rate: float
    """Bytes per second received over the last beat."""
    out_rate: float
    volumes: list[Space]
    running: list[Running]


Body = Beat | Running
"""Those of these messages that are a frame's body; the others are parts of them."""
