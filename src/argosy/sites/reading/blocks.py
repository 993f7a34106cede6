"""What was read of sites' files, kept in memory: pieces of any length, within a bound for all mounts.

A piece is a bytearray that a data connection fills and that an NFS reply is sent from: between them nothing
is copied. Bytes belong to a `Version`; when a file's size or time changes, its pieces are forgotten. What
leaves the memory goes to disk, if there is one for it (`sites.spill`).

Lookups are quick enough for an event loop. Making room may write to a disk: that is for threads.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from argosy import config
from argosy.sites.model import FileId, Version
from argosy.sites.reading.spill import Spill

log = logging.getLogger(__name__)

_SPARE = 16
"""How many buffers of pieces that had to go are kept for new ones: making one costs as much as filling it."""
_SPARE_LEAST = 128 * 1024
"""Smaller ones aren't worth it."""


class Piece:
    """Bytes of one file, being received or whole. Who fills it says how far in `filled`."""

    __slots__ = ("busy", "charged", "data", "filled", "kept", "shelf", "start", "version", "view")

    def __init__(self, shelf: Shelf, version: Version, start: int, data: bytearray) -> None:
        self.shelf = shelf
        self.version = version
        self.start = start
        self.data: bytearray | bytes = data
        self.view = memoryview(self.data)
        self.filled = 0
        self.charged = len(data)
        """Bytes that count for the bound."""
        self.busy = True
        """Is still being filled."""
        self.kept = False
        """Is on disk as it is here."""

    @property
    def end(self) -> int:
        """Where it ends in the file, as far as it is filled."""
        return self.start + self.filled


class _Held:
    """The pieces of one file, by where they start; none begins in what another has."""

    __slots__ = ("pieces", "starts", "version")

    def __init__(self, version: Version) -> None:
        self.version = version
        self.starts: list[int] = []
        self.pieces: list[Piece] = []


class CacheReport(NamedTuple):
    """How full the cache is, in bytes."""

    memory_bytes: int
    disk_bytes: int


class BlockCache:
    """The room that all mounts share. What is in it they don't: each has a `Shelf`."""

    def __init__(self, settings: config.Cache, directory: Path | None = None) -> None:
        """Begin, with what the disk still has.

        Args:
            settings: The bounds.
            directory: Where files may lie; None: all is kept in memory.

        Raises:
            OSError: The directory can't be written to.
        """
        self.limit = settings.memory_bytes
        self.disk: Spill | None = None
        """Where pieces go when there is no room here."""
        if directory is not None and settings.disk_bytes:
            self.disk = Spill(directory / "cache", settings.disk_bytes)
        self._spool_at = directory / "spool" if directory is not None and settings.spool_bytes else None
        self._spool_bytes = settings.spool_bytes
        self._spool: Spill | None = None
        self.lock = threading.Lock()
        self._used = 0
        self._by_use: OrderedDict[Piece, None] = OrderedDict()
        """The longest unused first."""
        self._spare: list[bytearray] = []

    def shelf(self, owner: str) -> Shelf:
        """Give a mount its part.

        Args:
            owner: Its name on disk, the same after a restart; no two mounts have the same.
        """
        return Shelf(self, owner)

    def spool(self) -> Spill | None:
        """Give the place for files of sites that send them from the beginning only; None: there is none."""
        with self.lock:
            if self._spool is None and self._spool_at is not None:
                try:
                    self._spool = Spill(self._spool_at, self._spool_bytes)
                except OSError as error:
                    log.warning("files of sites without REST can't be kept: %s", error)
                    self._spool_at = None
            return self._spool

    def close(self) -> None:
        """Write down what is on disk, for the next time."""
        for disk in filter(None, (self.disk, self._spool)):
            disk.close()

    def report(self) -> CacheReport:
        """Say how full it is."""
        return CacheReport(self._used, sum(disk.used for disk in (self.disk, self._spool) if disk))

    # --- for shelves, who have the lock

    def touch(self, piece: Piece) -> None:
        """Note that it was used."""
        if piece in self._by_use:
            self._by_use.move_to_end(piece)

    def add(self, piece: Piece) -> list[Piece]:
        """Count a new piece. Gives those that had to go."""
        self._by_use[piece] = None
        self._used += piece.charged
        gone = []
        for old in self._by_use:
            if self._used <= self.limit:
                break
            if not old.busy:
                gone.append(old)
                self._used -= old.charged
        for old in gone:
            del self._by_use[old]
        return gone

    def buffer(self, size: int) -> bytearray:
        """Give a buffer, perhaps with old bytes in it."""
        for at, spare in enumerate(self._spare):
            if len(spare) == size:
                return self._spare.pop(at)
        return bytearray(size)

    def recycle(self, piece: Piece) -> None:
        """Keep the buffer of a piece that is gone, if nobody sends from it any more."""
        data = piece.data
        if isinstance(data, bytearray) and len(data) >= _SPARE_LEAST and len(self._spare) < _SPARE:
            piece.view.release()
            try:
                data.pop()  # refused while there is a view of it
                data.append(0)
            except BufferError:
                return
            self._spare.append(data)

    def drop(self, piece: Piece) -> None:
        """Count a piece no more."""
        if piece in self._by_use:
            del self._by_use[piece]
            self._used -= piece.charged

    def shrink(self, piece: Piece) -> None:
        """Count a piece as what it holds."""
        if piece in self._by_use:
            self._used -= piece.charged - piece.filled
            piece.charged = piece.filled


class Shelf:
    """One mount's part of the cache."""

    def __init__(self, cache: BlockCache, owner: str) -> None:
        self._cache = cache
        self._owner = owner
        self._files: dict[FileId, _Held] = {}
        self.spool: Spill | None = None
        """Where all that is received goes at once, for a site whose files can't be read from the middle."""

    def keep_all(self) -> None:
        """Have all that is received kept on disk, from now on."""
        self.spool = self._cache.spool()

    @property
    def limit(self) -> int:
        """The bytes that all mounts may have in memory."""
        return self._cache.limit

    def known(self, version: Version, offset: int, count: int) -> list[memoryview] | None:
        """Give bytes that are here, up to the file's end; None: not all of them are.

        They are views of what is kept: to be sent, not to be changed.
        """
        end = min(offset + count, version.size)
        if offset >= end:
            return []
        pieces: list[memoryview] = []
        return pieces if self.collect(version, offset, end, pieces) == end else None

    def collect(self, version: Version, offset: int, end: int, into: list[memoryview]) -> int:
        """Add what is here, from `offset` on without a gap, to a list. Gives how far it reaches."""
        with self._cache.lock:
            held = self._files.get(version.file)
            if held is None or held.version != version:
                return offset
            at = bisect_right(held.starts, offset) - 1
            while offset < end and 0 <= at < len(held.pieces):
                piece = held.pieces[at]
                skip = offset - piece.start
                take = min(piece.filled - skip, end - offset)
                if skip < 0 or take <= 0:
                    break
                into.append(piece.view[skip : skip + take])
                offset += take
                at += 1
                self._cache.touch(piece)
        return offset

    def missing(self, version: Version, offset: int, end: int) -> list[tuple[int, int]]:
        """Give the ranges of `offset` to `end` that aren't in memory."""
        gaps = []
        with self._cache.lock:
            held = self._files.get(version.file)
            if held is not None and held.version == version:
                for at in range(max(0, bisect_right(held.starts, offset) - 1), len(held.pieces)):
                    piece = held.pieces[at]
                    if piece.start >= end:
                        break
                    if piece.start > offset:
                        gaps.append((offset, piece.start))
                    offset = max(offset, piece.end)
        if offset < end:
            gaps.append((offset, end))
        return gaps

    def begin(self, version: Version, offset: int, end: int, most: int) -> Piece | int:
        """Make room for bytes that are about to be received.

        Args:
            version: Whose bytes.
            offset: Where they begin.
            end: Where they end at the latest.
            most: How many there are at the most.

        Returns:
            A piece to be filled, no further than what is known already; or how many bytes from `offset` on
            are known.
        """
        with self._cache.lock:
            held = self._held(version)
            at = bisect_right(held.starts, offset)
            if at and held.pieces[at - 1].end > offset:
                return held.pieces[at - 1].end - offset
            following = held.starts[at] if at < len(held.starts) else end
            room = min(end, following, offset + most) - offset
            piece = Piece(self, version, offset, self._cache.buffer(room))
            if at and held.starts[at - 1] == offset:  # one that was begun, and got nothing
                self._cache.drop(held.pieces[at - 1])
                held.pieces[at - 1] = piece
            else:
                held.starts.insert(at, offset)
                held.pieces.insert(at, piece)
            gone = self._cache.add(piece)
            for old in gone:
                old.shelf._remove(old)  # noqa: SLF001 - a shelf of the same cache
        for old in gone:
            old.shelf._keep(old, self._cache.disk)  # noqa: SLF001
        with self._cache.lock:
            for old in gone:
                self._cache.recycle(old)
        return piece

    def end(self, piece: Piece) -> None:
        """Say that a piece won't get more bytes."""
        if self.spool is not None:
            self._keep(piece, self.spool)  # before it may have to go
        with self._cache.lock:
            piece.busy = False
            if not piece.filled:
                self._cache.drop(piece)
                self._remove(piece)
            elif piece.filled < len(piece.data) // 2:
                piece.data = bytes(piece.view[: piece.filled])
                piece.view = memoryview(piece.data)
                self._cache.shrink(piece)

    def restore(self, version: Version, offset: int, end: int) -> memoryview | None:
        """Bring the bytes at `offset` back from disk, as many as are there. For threads.

        Returns:
            What was brought back; empty if it is in memory already; None: nothing is on disk.
        """
        for disk in filter(None, (self.spool, self._cache.disk)):
            there = disk.known(self._owner, version, offset, end)
            if not there:
                continue
            piece = self.begin(version, offset, offset + there, there)
            if isinstance(piece, int):
                return memoryview(b"")
            piece.filled = disk.read_into(self._owner, version, offset, piece.view)
            piece.kept = True
            found = piece.view[: piece.filled]
            self.end(piece)
            if found:
                return found
        return None

    def kept(self, version: Version, offset: int, end: int) -> int:
        """Give how many bytes from `offset` on are on disk."""
        disks = filter(None, (self.spool, self._cache.disk))
        return max((disk.known(self._owner, version, offset, end) for disk in disks), default=0)

    def forget(self, file: FileId) -> None:
        """Forget a file's bytes."""
        with self._cache.lock:
            self._drop(self._files.pop(file, None))

    def clear(self) -> None:
        """Forget all in memory: the mount is closed."""
        with self._cache.lock:
            for held in self._files.values():
                self._drop(held)
            self._files.clear()

    def _held(self, version: Version) -> _Held:
        held = self._files.get(version.file)
        if held is None or held.version != version:
            self._drop(held)
            held = self._files[version.file] = _Held(version)
        return held

    def _drop(self, held: _Held | None) -> None:
        for piece in held.pieces if held else ():
            self._cache.drop(piece)

    def _remove(self, piece: Piece) -> None:
        held = self._files.get(piece.version.file)
        if held is None or held.version != piece.version:
            return
        at = bisect_right(held.starts, piece.start) - 1
        if at >= 0 and held.pieces[at] is piece:
            del held.starts[at], held.pieces[at]
            if not held.pieces:
                del self._files[piece.version.file]

    def _keep(self, piece: Piece, disk: Spill | None) -> None:
        if disk is not None and not piece.kept:
            disk.write(self._owner, piece.version, piece.start, piece.view[: piece.filled])
            piece.kept = True
