"""XDR, RFC 4506: how RPC writes numbers and bytes. Big-endian, everything in steps of four bytes.

Arguments are read from records by `Reader`, which lets no length pass unchecked. What we answer is packed by
one `struct` for each run of fields that has a fixed size, where it is used.
"""

from __future__ import annotations

import struct
from typing import Any

Record = bytes | bytearray
"""One RPC message, without its marks. Nobody changes it, and it lives as long as somebody looks at it."""

U32_LIMIT = 2**32 - 1
U64_LIMIT = 2**64 - 1

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_PADS = (b"", b"\0\0\0", b"\0\0", b"\0")
_OPAQUE = tuple(struct.Struct(f">I{size}s{-size % 4}x") for size in range(256))
"""By length: a name or a handle with its length and its pad, in one call."""


class GarbageArguments(Exception):  # noqa: N818 - the protocol's own word, RFC 5531 section 9
    """The bytes aren't what the procedure takes."""


class Reader:
    """Take a record apart, from one place on.

    Every method raises `GarbageArguments` when the record ends too early, or when a length is over its limit:
    nothing is allocated before that is known.
    """

    __slots__ = ("_record", "at")

    def __init__(self, record: Record, at: int = 0) -> None:
        self._record = record
        self.at = at
        """Where the next field begins."""

    def u32(self) -> int:
        """Read an unsigned int. RFC 4506 section 4.2."""
        return int(self.run(_U32)[0])

    def u64(self) -> int:
        """Read an unsigned hyper. RFC 4506 section 4.5."""
        return int(self.run(_U64)[0])

    def boolean(self) -> bool:
        """Read a bool, which is 0 or 1. RFC 4506 section 4.4."""
        value = self.u32()
        if value > 1:
            raise GarbageArguments("a bool is 0 or 1")
        return value == 1

    def run(self, fields: struct.Struct) -> tuple[Any, ...]:
        """Read a run of fields of a fixed size."""
        at = self.at
        try:
            values = fields.unpack_from(self._record, at)
        except struct.error:
            raise GarbageArguments("it ends too early") from None
        self.at = at + fields.size
        return values

    def opaque(self, limit: int) -> bytes:
        """Read bytes of a variable length, or a string. RFC 4506 sections 4.10, 4.11.

        Args:
            limit: The most bytes that there may be.
        """
        record, at = self._record, self.at + 4
        try:
            (length,) = _U32.unpack_from(record, self.at)
        except struct.error:
            raise GarbageArguments("it ends too early") from None
        end = at + length
        after = end + (-length & 3)
        if length > limit or after > len(record):
            raise GarbageArguments(f"{length} bytes, at most {limit}, and as many as there are")
        self.at = after
        return bytes(record[at:end])

    def view(self, limit: int) -> memoryview:
        """Read bytes of a variable length without a copy: the record stays alive with them."""
        length = self.u32()
        at, end = self.at, self.at + length
        after = end + (-length & 3)
        if length > limit or after > len(self._record):
            raise GarbageArguments(f"{length} bytes, at most {limit}, and as many as there are")
        self.at = after
        return memoryview(self._record)[at:end]

    def end(self) -> None:
        """Make sure that nothing is left: who sends more means another procedure than we do."""
        if self.at != len(self._record):
            raise GarbageArguments(f"{len(self._record) - self.at} bytes too many")


def opaque(data: bytes) -> bytes:
    """Pack bytes of a variable length, or a string: length, bytes, pad."""
    size = len(data)
    if size < len(_OPAQUE):
        return _OPAQUE[size].pack(size, data)
    return b"".join((_U32.pack(size), data, _PADS[size & 3]))


def pad(size: int) -> bytes:
    """Give the zeros that follow so many bytes."""
    return _PADS[size & 3]
