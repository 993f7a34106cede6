"""Checksums: of all that a file holds, added up block by block; or those that somebody asks for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import xxhash
from isal import isal_zlib

from argosy.errors import Damaged, Failed, Unsupported

_BLOCK = 1 << 20


class Sum(Protocol):
    """What adds bytes up."""

    def update(self, data: memoryview, /) -> None:
        """Add some."""
        ...

    def hexdigest(self) -> str:
        """Give the sum of all."""
        ...


class Sums(NamedTuple):
    """A file's checksums; None where nobody knows them."""

    crc32: int | None
    digest: bytes | None


class Summing:
    """CRC-32 and XXH3-128, under way."""

    def __init__(self) -> None:
        self._crc32 = 0
        self._digest = xxhash.xxh3_128()

    def add(self, block: bytes | memoryview) -> None:
        """Add the next bytes."""
        self._crc32 = isal_zlib.crc32(block, self._crc32)
        self._digest.update(block)

    def sums(self) -> Sums:
        """Give the sums of all bytes so far."""
        return Sums(self._crc32, self._digest.digest())


def is_as(content: memoryview, wanted: Sums) -> bool:
    """Whether some bytes are what they should be, by the better checksum that is known; without one, yes."""
    if wanted.digest is not None:
        return xxhash.xxh3_128_digest(content) == wanted.digest
    return wanted.crc32 is None or isal_zlib.crc32(content) == wanted.crc32


def appended(before: int | None, added: Sums, count: int) -> Sums:
    """Give the sums of a file that was appended to, without reading what it was.

    Args:
        before: The CRC-32 of what it was.
        added: The sums of what was added.
        count: How many bytes that are.

    Returns:
        The CRC-32, if both are known: it can be put together of those of the parts; XXH3 can't.
    """
    if before is None or added.crc32 is None:
        return Sums(None, None)
    return Sums(isal_zlib.crc32_combine(before, added.crc32, count), None)


class Expected:
    """What the bytes of a file must add up to, while they are sent."""

    def __init__(self, wanted: Sums) -> None:
        """Begin with nothing.

        Args:
            wanted: The sums of all bytes; the CRC-32 counts where nobody knows the other, and one is known.
        """
        self._wanted = wanted.digest if wanted.digest is not None else wanted.crc32
        self._found = xxhash.xxh3_128() if wanted.digest is not None else _Crc32()

    def add(self, block: memoryview, *, last: bool) -> None:
        """Add the next bytes, before they are sent: nobody gets the last ones of a file that is bad.

        Raises:
            Failed: These are the last, and it is.
        """
        self._found.update(block)
        if last and self._found.digest() != self._wanted:
            raise Failed("its checksum is wrong")


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = isal_zlib.crc32(data, self._value)

    def digest(self) -> int:
        return self._value

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _sum(algorithm: str) -> Sum:
    match algorithm:
        case "crc32":
            return _Crc32()
        case "xxh3":
            return xxhash.xxh3_128()
        case "md5" | "sha1" | "sha256" | "sha512":
            return hashlib.new(algorithm, usedforsecurity=False)
    raise Unsupported(algorithm)


def checksums(blocks: Iterable[memoryview], algorithms: Iterable[str]) -> Mapping[str, str]:
    """Sum bytes up.

    Args:
        blocks: The bytes; each is good until the next is asked for.
        algorithms: Of `crc32`, `xxh3` (of 128 bits), `md5`, `sha1`, `sha256`, `sha512`.

    Returns:
        Hex digits by algorithm.

    Raises:
        Unsupported: An algorithm that isn't one of those.
    """
    sums = {algorithm: _sum(algorithm) for algorithm in algorithms}
    for block in blocks:
        for each in sums.values():
            each.update(block)
    return {algorithm: each.hexdigest() for algorithm, each in sums.items()}


def part_of(descriptor: int, offset: int, length: int) -> Iterator[memoryview]:
    """Read some bytes of a file, block by block.

    Raises:
        Damaged: The file is shorter.
        Failed: The disk can't read it.
    """
    buffer = memoryview(bytearray(_BLOCK))
    while length > 0:
        try:
            count = os.preadv(descriptor, [buffer[: min(length, _BLOCK)]], offset)
        except OSError as error:
            raise Failed(error.strerror or str(error)) from error
        if not count:
            raise Damaged("the file became shorter")
        yield buffer[:count]
        offset += count
        length -= count
