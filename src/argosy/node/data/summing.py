"""Checksums of what arrives by splice: added up by a thread that follows the file as it grows."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from argosy.errors import Damaged, Failed
from argosy.node.disk.checksums import Summing

_STEP_BYTES = 1 << 20
"""The follower is woken for so much: seldom enough to cost nothing, and still in the processor's cache."""

_LEAD_BYTES = 4 << 20
"""How far the file may be ahead of its follower: what is read back is then still in a cache."""

_BLOCK_BYTES = 1 << 18
"""Read back at once: it stays in a core's own cache while it is added up twice."""


_CORES = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
"""For followers. Receiving takes a core, and following another; where there are none left, a block is summed
up while it is at hand, which costs a tenth less processor time than to read it back."""


@contextlib.contextmanager
def core_to_spare() -> Iterator[bool]:
    """Claim a core for a follower. False: all are taken."""
    claimed = _CORES.acquire(blocking=False)
    try:
        yield claimed
    finally:
        if claimed:
            _CORES.release()


class Follower:
    """Reads back what a file has grown by and adds it up, in a thread of its own.

    Bytes that are spliced from a socket to a file pass no program, so there is nothing to add up on the way.
    Read back at once they come from memory, on another core, and the one that receives goes on meanwhile.
    """

    def __init__(self, summing: Summing, descriptor: int, position: int) -> None:
        """Follow a file; entering it starts the thread.

        Args:
            summing: Where the bytes are added; ours until the end.
            descriptor: The file, open for reading.
            position: Up to where it is added up already.
        """
        self._summing = summing
        self._descriptor = descriptor
        self._done = self._told = self._grown = position
        self._ended = False
        self._failure: Failed | Damaged | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until all is added up; after an error nobody wants the sums, so not for that.

        Raises:
            Failed: The disk couldn't read the file back.
            Damaged: Somebody made it shorter.
        """
        with self._changed:
            if error is not None:
                self._grown = self._done
            self._ended = True
            self._changed.notify_all()
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def reach(self, size: int) -> None:
        """Tell how large the file is by now; waits while the follower is far behind."""
        self._grown = size
        if size - self._told < _STEP_BYTES:
            return
        self._told = size
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: size - self._done < _LEAD_BYTES or self._failure is not None)

    def _follow(self) -> None:
        view = memoryview(bytearray(_BLOCK_BYTES))
        try:
            while self._behind():
                self._catch_up(view)
        except (Failed, Damaged) as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _behind(self) -> bool:
        """Wait for a step's worth of bytes, or the last ones. False: that was all."""
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended or self._grown - self._done >= _STEP_BYTES)
            return self._grown > self._done

    def _catch_up(self, view: memoryview) -> None:
        upto = self._grown
        while self._done < upto:
            try:
                count = os.preadv(self._descriptor, [view[: upto - self._done]], self._done)
            except OSError as error:
                raise Failed(error.strerror or str(error)) from error
            if not count:
                raise Damaged("the file became shorter")
            self._summing.add(view[:count])
            self._done += count
