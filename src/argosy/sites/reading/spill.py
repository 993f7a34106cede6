"""Bytes of sites' files on disk, within a bound: what left the memory, or comes from sites without REST.

A file's bytes lie in chunks, files of their own with holes in them; which bytes of a chunk are there is known
here, and written down by `close`. After a crash nothing is believed and all begins empty: these are copies.
Whoever is longest unused goes first. All of it is called in threads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from pathlib import Path

import msgspec

from argosy.sites.model import Version

log = logging.getLogger(__name__)

CHUNK_BYTES = 16 * 1024 * 1024
_INDEX = "index"

_Key = tuple[str, Version, int]
"""Whose, of which content, and the number of the chunk in the file."""

_Kept = list[tuple[str, int, int, int, int, list[tuple[int, int]]]]
"""The index: owner, file, size, time, number, ranges; the longest unused first."""


class Spill:
    """A directory of chunks."""

    def __init__(self, directory: Path, limit: int) -> None:
        """Open it, and take what the index knows; all else in it is removed.

        Args:
            directory: Ours alone; made if it isn't there.
            limit: Bytes in it, at the most.

        Raises:
            OSError: It can't be written to.
        """
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        self._chunks: OrderedDict[_Key, list[tuple[int, int]]] = OrderedDict()
        """Ranges in a chunk, in order, none touching the next; the longest unused first."""
        self.used = 0
        self._failed = False
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._recall()

    def known(self, owner: str, version: Version, offset: int, end: int) -> int:
        """Give how many bytes from `offset` on are here, up to the chunk's end."""
        number, inside = divmod(offset, CHUNK_BYTES)
        with self._lock:
            ranges = self._chunks.get((owner, version, number), ())
            at = bisect_right(ranges, (inside, CHUNK_BYTES)) - 1
            if at < 0 or ranges[at][1] <= inside:
                return 0
            return max(0, min(ranges[at][1] - inside, end - offset))

    def read_into(self, owner: str, version: Version, offset: int, view: memoryview) -> int:
        """Fill a view with bytes that are known. Gives how many; 0: they have gone meanwhile."""
        number, inside = divmod(offset, CHUNK_BYTES)
        key = (owner, version, number)
        with self._lock:
            if key not in self._chunks:
                return 0
            self._chunks.move_to_end(key)
        try:
            with self._path(key).open("rb", buffering=0) as file:
                done = os.preadv(file.fileno(), [view], inside)
        except OSError as error:
            self._fail(error)
            done = 0
        if done < len(view):
            with self._lock:
                self._drop(key)
        return done if done == len(view) else 0

    def write(self, owner: str, version: Version, offset: int, data: memoryview) -> None:
        """Keep bytes, if there is room. A disk that fails loses them, and says so in the log."""
        while data and not self._failed:
            number, inside = divmod(offset, CHUNK_BYTES)
            part = data[: CHUNK_BYTES - inside]
            self._write((owner, version, number), inside, part)
            offset += len(part)
            data = data[len(part) :]

    def close(self) -> None:
        """Write down what is here, for the next time."""
        with self._lock:
            kept: _Kept = [
                (owner, *version, number, ranges) for (owner, version, number), ranges in self._chunks.items()
            ]
            with contextlib.suppress(OSError):
                (self._directory / _INDEX).write_bytes(msgspec.msgpack.encode(kept))

    def _write(self, key: _Key, inside: int, part: memoryview) -> None:
        try:
            fd = os.open(self._path(key), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                done = os.pwrite(fd, part, inside)
            finally:
                os.close(fd)
        except OSError as error:
            self._fail(error)
            return
        with self._lock:
            ranges = self._chunks.setdefault(key, [])
            self._chunks.move_to_end(key)
            self.used += add_range(ranges, inside, inside + done)
            while self.used > self._limit:
                self._drop(next(iter(self._chunks)))

    def _drop(self, key: _Key) -> None:
        ranges = self._chunks.pop(key, None)
        if ranges is not None:
            self.used -= sum(end - start for start, end in ranges)
            with contextlib.suppress(OSError):
                self._path(key).unlink()

    def _fail(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self._failed = True
            log.warning("the cache on disk is used no more: %s", error)

    def _path(self, key: _Key) -> Path:
        owner, version, number = key
        return self._directory / f"{owner}.{version.file}.{version.size}.{version.mtime_ns}.{number}"

    def _recall(self) -> None:
        index = self._directory / _INDEX
        kept: _Kept = []
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            kept = msgspec.msgpack.decode(index.read_bytes(), type=_Kept)
        index.unlink(missing_ok=True)
        for owner, file, size, mtime_ns, number, ranges in kept:
            key = (owner, Version(file, size, mtime_ns), number)
            if self._path(key).exists():
                self._chunks[key] = ranges
                self.used += sum(end - start for start, end in ranges)
        known = {self._path(key) for key in self._chunks}
        for path in self._directory.iterdir():
            if path not in known:
                path.unlink()
        while self.used > self._limit:
            self._drop(next(iter(self._chunks)))


def add_range(ranges: list[tuple[int, int]], start: int, end: int) -> int:
    """Add a range to others that are in order and don't touch. Gives how many numbers are new.

    >>> ranges = [(0, 10), (20, 30)]
    >>> add_range(ranges, 5, 20), ranges
    (10, [(0, 30)])
    """
    if start >= end:
        return 0
    first = bisect_left(ranges, start, key=lambda one: one[1])
    after = bisect_right(ranges, end, key=lambda one: one[0])
    old = ranges[first:after]
    if old:
        start, end = min(start, old[0][0]), max(end, old[-1][1])
    ranges[first:after] = [(start, end)]
    return end - start - sum(stop - begin for begin, stop in old)
