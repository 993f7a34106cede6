"""One ticket of the master's: leave for one data connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from argosy.net.dataconn import DataConnection
from argosy.node.data import transfer
from argosy.node.data.arrival import Arrival
from argosy.node.data.whole import Whole
from argosy.node.disk.volume import Volume
from argosy.wire import link


@dataclass(slots=True, eq=False)
class Ticket:
    """Leave for one data connection."""

    number: int
    connection: DataConnection | None
    connect: Callable[[], DataConnection] | None = None
    """Makes it, where we dial: for a file that is sent once that is known to be there."""
    far: str = ""
    """Who the far end must be, by its certificate: the master for a relay, another node; else anybody."""
    part: tuple[Volume, int] | None = None
    """The upload that it brings."""
    arrival: Arrival | None = None
    """That upload for those who read it meanwhile; or the one that this ticket reads."""
    incoming: bool = False
    """Whether it brings bytes."""
    reports: list[link.Gathered] = field(default_factory=list)
    """What came to be known on the way; owed to the master like the outcome, and before it."""
    met: bool = True
    """Whether the far end may have seen a connection of ours."""
    begun: bool = False
    moving: bool = False
    progress: transfer.Progress = field(default_factory=transfer.Progress)
    outcome: link.Done | None = None
    """How it ended; owed to the master until it says that it has heard."""
    whole: Whole | None = None
    """Waits for a small upload."""
    expiry: asyncio.TimerHandle | None = None
