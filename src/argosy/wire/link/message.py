"""What travels in a frame, and the answers that any request may get."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, array_like=True):
    """What travels in a frame. New fields go at the end, with a default."""


class Ok(Message, tag="ok"):
    """Done; nothing more to say."""


class No(Message, tag="no"):
    """The request was refused: the refusal's class name in `argosy.errors`, and about what."""

    refusal: str
    subject: str


Body = Ok | No
"""These messages are a frame's body."""
