"""Questions of the administrator that have files moved: "The local socket" of `docs/link-protocol.md`."""

from __future__ import annotations

from typing import Literal

from argosy.wire.link.message import Message

Do = Literal["begin", "cancel", "look"]
"""Begin, or go on with what was begun; take it back; or only say how far it is."""


class AskDrain(Message, tag="ask-drain"):
    """Have the files of a node's volumes go elsewhere. Answered by `Report`; safe to repeat."""

    node: str
    store_id: str = ""
    """The beginning of the only volume's that is meant; empty: all of the node's."""
    do: Do = "look"


class AskMove(Message, tag="ask-move"):
    """Have the files below a directory go to some nodes, and stay there. Answered by `Report`."""

    path: bytes
    to: tuple[str, ...] = ()
    """Labels or names of nodes, any of them; empty: only say how far it is."""


class AskRebalance(Message, tag="ask-rebalance"):
    """Have volumes filled alike. Answered by `Report`; safe to repeat."""

    spare: float | None = None
    """Differences of such a share are left; None: as was ordered, or as usual."""
    do: Do = "look"


Body = AskDrain | AskMove | AskRebalance
"""These messages are a frame's body."""
