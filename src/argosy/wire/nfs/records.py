"""Record marking: a stream cut into records, wherever the network cut it. RFC 5531 section 11."""

from __future__ import annotations

import struct
from collections.abc import Callable

from argosy.wire.nfs.xdr import Record

LAST_FRAGMENT = 0x8000_0000
"""The bit of a mark that says: the record ends with this fragment."""

FRAGMENTS_LIMIT = 1024
"""In one record. Kernels send one, libraries one for some kilobytes; a million empty ones are an attack."""

IN_PLACE = 8192
"""A fragment that is longer, and hasn't come whole, is received where it belongs and not copied any more."""

_MARK = struct.Struct(">I")
MARK_SIZE = _MARK.size


class RecordTooLong(Exception):  # noqa: N818 - as the refusals
    """A record over the limit, or in too many fragments. Hang up: what follows can't be found."""


class RecordReader:
    """Put records together.

    Bytes are given to `feed`. While the rest of a large record is awaited, `space` says where it belongs:
    receive it there, and tell `filled`.
    """

    def __init__(self, limit: int, make: Callable[[int], bytearray] = bytearray) -> None:
        """Begin a stream.

        Args:
            limit: The most bytes in a record, all its fragments together.
            make: Makes a buffer of so many bytes for a large record; what is in it doesn't matter.
        """
        self.limit = limit
        self._make = make
        self._tail = b""
        self._parts = bytearray()
        self._fragments = 0
        self._last = False
        self._space: memoryview | None = None

    @property
    def space(self) -> memoryview | None:
        """Where the next bytes belong; None: nowhere yet, give them to `feed`."""
        return self._space

    @property
    def held(self) -> int:
        """How many bytes are kept for a record that isn't whole; 0: none has begun."""
        return len(self._tail) + len(self._parts)

    def feed(self, data: bytes) -> list[Record]:
        """Take bytes, and give the records that are whole now.

        Raises:
            RecordTooLong: Close the connection.
        """
        if self._space is not None:
            return self._feed_space(data)
        if self._tail:
            data = self._tail + data
            self._tail = b""
        records: list[Record] = []
        at, size = 0, len(data)
        while size - at >= MARK_SIZE:
            (mark,) = _MARK.unpack_from(data, at)
            length = mark & ~LAST_FRAGMENT
            if length + len(self._parts) > self.limit or self._fragments == FRAGMENTS_LIMIT:
                raise RecordTooLong(f"{length + len(self._parts)} bytes, limit {self.limit}")
            begin, end = at + MARK_SIZE, at + MARK_SIZE + length
            if end <= size:
                if mark & LAST_FRAGMENT and not self._fragments:
                    records.append(data[begin:end])
                else:
                    self._gather(data[begin:end], mark, records)
                at = end
            elif length > IN_PLACE:
                self._make_space(data[begin:], mark, length)
                return records
            else:
                break
        self._tail = data[at:]
        return records

    def filled(self, size: int) -> list[Record]:
        """Hear that so many bytes were put at the beginning of `space`; give the record if it is whole."""
        assert self._space is not None, "there is space"
        self._space = self._space[size:]
        if self._space:
            return []
        self._space = None
        return [self._whole()] if self._last else []

    def _feed_space(self, data: bytes) -> list[Record]:
        assert self._space is not None, "there is space"
        size = min(len(self._space), len(data))
        self._space[:size] = data[:size]
        return self.filled(size) + (self.feed(data[size:]) if size < len(data) else [])

    def _gather(self, fragment: bytes, mark: int, records: list[Record]) -> None:
        self._parts += fragment
        self._fragments += 1
        if mark & LAST_FRAGMENT:
            records.append(self._whole())

    def _make_space(self, begun: bytes, mark: int, length: int) -> None:
        at = len(self._parts)
        self._parts = self._parts + bytes(length) if at else self._make(length)
        self._fragments += 1
        self._last = bool(mark & LAST_FRAGMENT)
        space = memoryview(self._parts)[at:]
        space[: len(begun)] = begun
        self._space = space[len(begun) :]

    def _whole(self) -> bytearray:
        record, self._parts = self._parts, bytearray()
        self._fragments = 0
        return record
