"""A file that is still arriving, for those who read it meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from argosy.errors import OverQuota, TransferCut
from argosy.node.data.transfer import Progress


class Arrival:
    """How far one upload has come on the disk.

    The receiving thread moves it on and never waits for a reader. Readers sleep until there is more.
    """

    def __init__(self) -> None:
        self._stored = -1
        self._whole: bool | None = None
        self._changed = threading.Condition()
        self._readers = 0

    def reach(self, stored: int) -> None:
        """Say that the file has its first `stored` bytes now; the first time, that it can be opened."""
        self._stored = stored
        if self._readers:  # a reader counts itself before it looks at `_stored`, so none is missed
            self.wake()

    def end(self, *, whole: bool) -> None:
        """Say that no more will come."""
        with self._changed:
            self._whole = whole
            self._changed.notify_all()

    def wake(self) -> None:
        """Have the readers look again: at the bytes, or at whether they were cancelled."""
        with self._changed:
            self._changed.notify_all()

    def beyond(self, offset: int, *, seconds: float, progress: Progress) -> int:
        """Wait until there is more than `offset` bytes, and give how many.

        Args:
            offset: What the reader has; -1: wait until the file is there.
            seconds: How long the upload may stand still.
            progress: The reader's own: when that is cancelled, it waits no longer.

        Returns:
            The bytes that are there; no more than `offset` when the upload has ended whole.

        Raises:
            TransferCut: The upload was cut or stood still, or the reader was cancelled.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._readers += 1
            try:
                while self._stored <= offset and self._whole is None and not progress.cancelled:
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise TransferCut("the upload of this file stood still for too long")
            finally:
                self._readers -= 1
        if progress.cancelled:
            raise TransferCut("cancelled")
        if self._whole is False:
            raise TransferCut("the upload of this file was cut")
        return self._stored


class Following:
    """The extent of an arriving file, for `transfer.send`."""

    def __init__(self, arrival: Arrival, *, stall_seconds: float, progress: Progress) -> None:
        self._arrival = arrival
        self._stall_seconds = stall_seconds
        self._progress = progress

    def beyond(self, offset: int) -> int:
        """See `transfer.Extent`."""
        return self._arrival.beyond(offset, seconds=self._stall_seconds, progress=self._progress)


def within(room: int, reach: Callable[[int], None]) -> Callable[[int], None]:
    """Have an upload cut when it reaches beyond its room; -1: it has no end.

    Raises:
        OverQuota: From what is given back, in the thread that writes.
    """
    if room < 0:
        return reach

    def checked(stored: int) -> None:
        if stored > room:
            raise OverQuota(f"there is room for {room} bytes")
        reach(stored)

    return checked
