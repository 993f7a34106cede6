"""A file that is still arriving, for those who read it meanwhile, and for the copy that is made of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from argosy.errors import OverQuota, TransferCut
from argosy.node.data.transfer import Progress
from argosy.node.disk.checksums import Sums


class Arrival:
    """How far one upload has come on the disk.

    The receiving thread moves it on and never waits for a reader. Readers sleep until there is more. Only a
    copy that has to be there before the upload is acknowledged has its thread wait for a while: so that the
    client, when all is sent, doesn't wait long for the copy's rest.
    """

    def __init__(
        self, *, lead_bytes: int = 0, lead_seconds: float = 0.0, progress: Progress | None = None
    ) -> None:
        """Begin with nothing.

        Args:
            lead_bytes: How far the upload may be ahead of its copy.
            lead_seconds: How long it waits for one that stands still.
            progress: The upload's: when that is cancelled, it doesn't wait for its copy.
        """
        self._stored = -1
        self._whole: bool | None = None
        self._become: tuple[int, Sums] | None = None
        self._changed = threading.Condition()
        self._readers = 0
        self._lead_bytes, self._lead_seconds = lead_bytes, lead_seconds
        self._progress = progress or Progress()
        self._taken: int | None = None
        self._waits = False

    def reach(self, stored: int) -> None:
        """Say that the file has its first `stored` bytes now; the first time, that it can be opened."""
        self._stored = stored
        if self._readers:  # a reader counts itself before it looks at `_stored`, so none is missed
            self.wake()
        if self._taken is not None and stored - self._taken > self._lead_bytes:
            self._wait_for_copy(stored)

    def complete(self, size: int, sums: Sums) -> None:
        """Say that all has come, though it may yet have to be flushed and sealed."""
        self._become = size, sums
        if self._readers:
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

    def beyond(self, offset: int, *, seconds: float, progress: Progress, sealed: bool = True) -> int:
        """Wait until there is more than `offset` bytes, and give how many.

        Args:
            offset: What the reader has; -1: wait until the file is there.
            seconds: How long the upload may stand still.
            progress: The reader's own: when that is cancelled, it waits no longer.
            sealed: The end is when it is sealed; False: when all has come, and `become` says what it is.

        Returns:
            The bytes that are there; no more than `offset` when the upload has ended whole.

        Raises:
            TransferCut: The upload was cut or stood still, or the reader was cancelled.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._readers += 1
            try:
                while self._stored <= offset and not self._over(sealed) and not progress.cancelled:
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise TransferCut("the upload of this file stood still for too long")
            finally:
                self._readers -= 1
        if progress.cancelled:
            raise TransferCut("cancelled")
        if self._whole is False:
            raise TransferCut("the upload of this file was cut")
        return self._stored

    @property
    def become(self) -> tuple[int, Sums]:
        """Size and checksums, once all has come.

        Raises:
            TransferCut: It never did.
        """
        if self._become is None:
            raise TransferCut("the upload of this file was cut")
        return self._become

    def taken(self, offset: int) -> None:
        """Say that the copy has so much; from the first time that it has nearly all, it is waited for."""
        if self._taken is not None or self._stored - offset <= self._lead_bytes:
            self._taken = offset
            if self._waits:
                self.wake()

    def let_go(self) -> None:
        """Say that no copy takes it any more."""
        self._taken = None
        self.wake()

    def _over(self, sealed: bool) -> bool:
        return self._whole is not None or (not sealed and self._become is not None)

    def _wait_for_copy(self, stored: int) -> None:
        """Let the copy come nearer; one that stands still is waited for no more."""
        with self._changed:
            self._waits = True
            while (at := self._taken) is not None and stored - at > self._lead_bytes:
                if self._progress.cancelled:
                    break
                if not self._changed.wait(self._lead_seconds) and self._taken == at:
                    self._taken = None
                    self._lead_bytes = -1 << 62  # nor does it begin to be
            self._waits = False


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
