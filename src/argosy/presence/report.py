"""Who is here, told: as documents for scripts, and as a table for people."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from argosy import tables
from argosy.presence.visitors import Direction, Movement, Visitor

Document = Mapping[str, Any]


def describe(visitor: Visitor) -> Document:
    """Tell of one session; times are seconds, sizes bytes, as the nodes' last beats told."""
    running = [_transfer(movement) for movement in visitor.movements]
    moved = {
        way: sum(one["moved"] for one in running if one["direction"] == way)
        for way in (Direction.UP, Direction.DOWN)
    }
    return {
        "id": visitor.id,
        "user": visitor.account.name if visitor.account else "",
        "door": visitor.door,
        "address": visitor.address,
        "secure": visitor.secure,
        "program": visitor.program,
        "since_seconds": round(time.monotonic() - visitor.since, 1),
        "idle_seconds": round(visitor.idle_seconds, 1),
        "doing": "" if visitor.doing is None else str(visitor.doing),
        "received": visitor.total.received + moved[Direction.UP],
        "sent": visitor.total.sent + moved[Direction.DOWN],
        "transfers": running,
    }


def _transfer(movement: Movement) -> Document:
    transfer = movement.transfer
    return {
        "direction": str(movement.direction),
        "node": transfer.node.name if transfer else "",
        "moved": transfer.moved if transfer else 0,
        "bytes_per_second": round(transfer.rate) if transfer else 0,
        "pace": transfer.pace if transfer else 0,
    }


HEAD = ("id", "user", "address", "for", "idle", "up", "down", "speed", "node", "doing")


def table(visitors: Iterable[Document]) -> str:
    """Give sessions as a table.

    Args:
        visitors: As `describe` gives them.
    """
    return tables.aligned(HEAD, [_row(one) for one in visitors], right=("id", "up", "down", "speed"))


def _row(one: Document) -> Sequence[object]:
    speed = sum(each["bytes_per_second"] for each in one["transfers"])
    nodes = " ".join(sorted({each["node"] for each in one["transfers"]} - {""}))
    return (
        *(one["id"], one["user"] or "-", one["address"]),
        *(tables.span(one["since_seconds"]), tables.span(one["idle_seconds"])),
        *(tables.size(one["received"]), tables.size(one["sent"])),
        *(f"{tables.size(speed)}/s" if one["transfers"] else "-", nodes or "-", one["doing"] or "-"),
    )
