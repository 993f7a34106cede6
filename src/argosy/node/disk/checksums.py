"""Checksums of files that lie here, by request."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Protocol

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


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = isal_zlib.crc32(data, self._value)

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


def checksums(descriptor: int, algorithms: Iterable[str], *, offset: int, length: int) -> Mapping[str, str]:
    """Read a file and sum it up.

    Args:
        descriptor: The file.
        algorithms: Of `crc32`, `xxh3` (of 128 bits), `md5`, `sha1`, `sha256`, `sha512`.
        offset: The first byte that counts.
        length: How many count.

    Returns:
        Hex digits by algorithm.

    Raises:
        Unsupported: An algorithm that isn't one of those.
        Damaged: The file is shorter.
        Failed: The disk can't read it.
    """
    sums = {algorithm: _sum(algorithm) for algorithm in algorithms}
    buffer = memoryview(bytearray(_BLOCK))
    while length > 0:
        try:
            count = os.preadv(descriptor, [buffer[: min(length, _BLOCK)]], offset)
        except OSError as error:
            raise Failed(error.strerror or str(error)) from error
        if not count:
            raise Damaged("the file became shorter")
        for each in sums.values():
            each.update(buffer[:count])
        offset += count
        length -= count
    return {algorithm: each.hexdigest() for algorithm, each in sums.items()}
