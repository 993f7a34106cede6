"""Which changes were under way when a gateway was killed, for the client asks for them again.

The killed one may have made a directory and never said so. Then the same MKDIR says EXIST, and `cp -r` ends.
A gateway that knows what was begun can say that it is done. Nothing is flushed: what was written outlives the
process, if not the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from hashlib import blake2s
from pathlib import Path

from argosy.doors.nfs.replies import Key

_BEGUN, _ENDED = b"+", b"-"
_DIGEST_SIZE = 16
_LINE = 1 + _DIGEST_SIZE

COMPACT_BYTES = 1024 * 1024
"""When the file has grown to this it is written anew."""


class Begun:
    """A file of changes begun and ended."""

    def __init__(self, path: Path | None) -> None:
        """Read what the last gateway left, and go on. None: nothing is kept."""
        self._running: set[bytes] = set()
        self._file = -1
        self._size = 0
        if path is None:
            return
        with contextlib.suppress(FileNotFoundError):
            said = path.read_bytes()
            for at in range(0, len(said) - _LINE + 1, _LINE):
                change = said[at + 1 : at + _LINE]
                (self._running.add if said[at : at + 1] == _BEGUN else self._running.discard)(change)
        self.left = frozenset(self._running)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._compact()

    left: frozenset[bytes] = frozenset()
    """What was under way when the last one ended."""

    @contextlib.contextmanager
    def under_way(self, which: Key) -> Iterator[bool]:
        """Hold that a change is under way; give whether it was when the last gateway ended."""
        change = blake2s(repr(which).encode(), digest_size=_DIGEST_SIZE).digest()
        self._running.add(change)
        self._write(_BEGUN + change)
        with contextlib.ExitStack() as ending:
            ending.callback(self._end, change)
            try:
                yield change in self.left
            except asyncio.CancelledError:
                ending.pop_all()  # we are being stopped, and a thread of the storage may still finish it
                raise

    def _end(self, change: bytes) -> None:
        self._running.discard(change)
        self._write(_ENDED + change)
        if self._size > COMPACT_BYTES:
            self._compact()

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _compact(self) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
        self._size = 0
        self._write(b"".join(_BEGUN + change for change in self._running))

    def _write(self, lines: bytes) -> None:
        if self._file >= 0 and lines:
            with contextlib.suppress(OSError):  # a full disk: then a client may hear EXIST after a kill
                self._size += os.write(self._file, lines)
