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

_WHOLE = struct.Struct(">QBI16s")
_HAS_CRC32, _HAS_DIGEST = 1, 2

WHOLE_BYTES = _WHOLE.size
"""What a file of which nobody knew the size has become."""


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
    WHOLE = 4
    """A file of which nobody knew the size is whole: how large it is, and its checksums."""


class Piece(NamedTuple):
    """One head."""

    ver: int
    length: int
    mark: Mark


END = Piece(0, 0, Mark.END)


def pack_into(buffer: bytearray | memoryview, at: int, piece: Piece) -> None:
    """Write a head's `HEAD_BYTES` into a buffer."""
    _HEAD.pack_into(buffer, at, *piece)


def whole(size: int, crc32: int | None, digest: bytes | None) -> bytes:
    """Give the bytes that say what a file has become, and which of its checksums are known."""
    known = (crc32 is not None) * _HAS_CRC32 | (digest is not None) * _HAS_DIGEST
    return _WHOLE.pack(size, known, crc32 or 0, digest or b"")


def said_whole(said: bytes) -> tuple[int, int | None, bytes | None]:
    """Give size and checksums out of these `WHOLE_BYTES`."""
    size, known, crc32, digest = _WHOLE.unpack(said)
    return size, crc32 if known & _HAS_CRC32 else None, digest if known & _HAS_DIGEST else None


def words(refusal: str, subject: str) -> bytes:
    """Give the bytes of a refusal."""
    return f"{refusal} {subject}".encode(errors="replace")[:WORDS_LIMIT]


def refused(said: bytes) -> tuple[str, str]:
    """Give the class name and the subject of a refusal."""
    name, _, subject = said.decode(errors="replace").partition(" ")
    return name, subject


_OF_SIZE = (Mark.MORE, Mark.LAST, Mark.REFUSED)
_OF_NONE = (Mark.MORE, Mark.WHOLE, Mark.REFUSED)
"""What may come of a file whose size is known, and of one whose size isn't."""


class Coming:
    """Which pieces may come: those of the wanted files in their order, just as long as these are."""

    def __init__(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Begin before the first file.

        Args:
            wanted: Each file's version, and how many bytes of it shall come; -1: as many as there will be.
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
        self._check(piece, left)
        if piece.mark is Mark.MORE:
            self._wanted[0] = wanted, left if left < 0 else left - length
        else:
            self._wanted.popleft()
        return piece

    def _check(self, piece: Piece, left: int) -> None:
        """See that a piece of a file that lacks so many bytes, or nobody knows how many, makes sense.

        Raises:
            LinkError: It doesn't.
        """
        ver, length, mark = piece
        if mark not in (_OF_SIZE if left >= 0 else _OF_NONE):
            raise LinkError(f"a piece {mark.name} of {ver:x}, which lacks {left}")
        most = min(left, PIECE_LIMIT) if left >= 0 else PIECE_LIMIT
        if length > {Mark.REFUSED: WORDS_LIMIT, Mark.WHOLE: WHOLE_BYTES}.get(mark, most):
            raise LinkError(f"a piece of {length} bytes of {ver:x}, which lacks {left}")
        if mark is Mark.MORE and not length:
            raise LinkError(f"a piece of nothing of {ver:x}")
        if (mark is Mark.LAST and length != left) or (mark is Mark.WHOLE and length != WHOLE_BYTES):
            raise LinkError(f"{ver:x} ends {left - length} bytes too early")
