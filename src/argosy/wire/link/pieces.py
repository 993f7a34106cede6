"""The bytes that one node sends another: files cut into pieces, each behind a head of fixed size.

A head is a big-endian u64, the file's version; a u32, the bytes that follow; and a byte, what they are. So
many small files follow each other without a word between them, and a file that can't be read on is given up
in its middle without an end to the others.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from argosy.wire.link.frames import LinkError

PIECE_LIMIT = 1 << 20
"""Bytes in one piece: who reads has one buffer of this size."""

WORDS_LIMIT = 4096
"""Bytes in a refusal."""

_HEAD = struct.Struct(">QIB")

HEAD_BYTES = _HEAD.size


class Mark(IntEnum):
    """What follows a head."""

    MORE = 0
    """Bytes of the file, and more pieces of it will come."""
    LAST = 1
    """The file's last bytes; it is whole."""
    REFUSED = 2
    """A refusal, `Name subject` in UTF-8: no more of this file will come."""
    END = 3
    """Nothing: all files are over. The version is 0."""


class Piece(NamedTuple):
    """One head."""

    ver: int
    length: int
    mark: Mark


END = Piece(0, 0, Mark.END)


def pack_into(buffer: bytearray | memoryview, at: int, piece: Piece) -> None:
    """Write a head's `HEAD_BYTES` into a buffer."""
    _HEAD.pack_into(buffer, at, *piece)


def words(refusal: str, subject: str) -> bytes:
    """Give the bytes of a refusal."""
    return f"{refusal} {subject}".encode(errors="replace")[:WORDS_LIMIT]


def refused(said: bytes) -> tuple[str, str]:
    """Give the class name and the subject of a refusal."""
    name, _, subject = said.decode(errors="replace").partition(" ")
    return name, subject


class Coming:
    """Which pieces may come: those of the wanted files in their order, just as long as these are."""

    def __init__(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Begin before the first file.

        Args:
            wanted: Each file's version, and how many bytes of it shall come.
        """
        self._wanted = deque(wanted)

    def take(self, head: bytes | bytearray | memoryview) -> Piece:
        """Read the next head.

        Raises:
            LinkError: It makes no sense here: another file, too many bytes or too few, or none that there is.
                Cut the connection.
        """
        ver, length, code = _HEAD.unpack(head)
        try:
            piece = Piece(ver, length, Mark(code))
        except ValueError:
            raise LinkError(f"a piece of kind {code}") from None
        if not self._wanted:
            if piece != END:
                raise LinkError(f"a piece of {ver:x} behind the last file")
            return piece
        wanted, left = self._wanted[0]
        if ver != wanted or piece.mark is Mark.END:
            raise LinkError(f"a piece of {ver:x} instead of {wanted:x}")
        if length > (WORDS_LIMIT if piece.mark is Mark.REFUSED else min(left, PIECE_LIMIT)):
            raise LinkError(f"a piece of {length} bytes of {ver:x}, which lacks {left}")
        if piece.mark is Mark.MORE:
            if not length:
                raise LinkError(f"a piece of nothing of {ver:x}")
            self._wanted[0] = wanted, left - length
        else:
            if piece.mark is Mark.LAST and length != left:
                raise LinkError(f"{ver:x} ends {left - length} bytes too early")
            self._wanted.popleft()
        return piece
