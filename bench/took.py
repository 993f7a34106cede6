"""What some work took: time, and the servers' processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import processes

_SETTLE_SECONDS = 0.2
"""For what a server does after its last reply, before its processor time is read."""


class Running(Protocol):
    """A server that runs."""

    @property
    def pid(self) -> int:
        """The process that all others of it come from."""


@dataclass(frozen=True, slots=True)
class Took:
    """What something took."""

    seconds: float
    cpu_seconds: float
    """Of all the server's processes."""
    moved: int
    """What the work gave: bytes, or how often it was done."""


def timed(one: Running, work: Callable[[], int]) -> Took:
    """Do some work with a server that is at rest, and look what it took.

    What it does after its last reply, as giving the pages of a deleted file back, isn't part of the next.
    """
    processes.rest(one.pid)
    before, start = processes.cpu_seconds(one.pid), time.monotonic()
    moved = work()
    seconds = time.monotonic() - start
    time.sleep(_SETTLE_SECONDS)
    return Took(seconds, processes.cpu_seconds(one.pid) - before, moved)
