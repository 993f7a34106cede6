"""XDR by the letter of RFC 4506, slow and simple: what clients say, and how they read our answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def opaque(data: bytes) -> bytes:
    return u32(len(data)) + data + bytes(-len(data) % 4)


def optional(value: T | None, pack: Callable[[T], bytes]) -> bytes:
    return u32(0) if value is None else u32(1) + pack(value)


def time(ns: int) -> bytes:
    return u32(ns // 10**9) + u32(ns % 10**9)


def set_time(value: int | str | None) -> bytes:
    if value is None:
        return u32(0)
    return u32(1) if isinstance(value, str) else u32(2) + time(value)


def sattr3(
    *,
    mode: int | None = None,
    uid: int | None = None,
    gid: int | None = None,
    size: int | None = None,
    atime_ns: int | str | None = None,
    mtime_ns: int | str | None = None,
) -> bytes:
    """What SETATTR, CREATE, MKDIR, ... set; nothing of it by default."""
    numbers = optional(mode, u32) + optional(uid, u32) + optional(gid, u32) + optional(size, u64)
    return numbers + set_time(atime_ns) + set_time(mtime_ns)


class Unpack:
    """Read a result, field by field; `done` says that nothing is left."""

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)
        self._at = 0

    def take(self, size: int) -> bytes:
        assert self._at + size <= len(self._data), "it ends too early"
        self._at += size
        return self._data[self._at - size : self._at]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def boolean(self) -> bool:
        value = self.u32()
        assert value in (0, 1), value
        return value == 1

    def opaque(self) -> bytes:
        size = self.u32()
        data = self.take(size)
        assert self.take(-size % 4) == bytes(-size % 4), "pads are zero"
        return data

    def optional(self, read: Callable[[], T]) -> T | None:
        return read() if self.boolean() else None

    def time(self) -> int:
        return self.u32() * 10**9 + self.u32()

    def fattr3(self) -> dict[str, int]:
        names = ("kind", "mode", "links", "uid", "gid")
        told = {name: self.u32() for name in names}
        told |= {"size": self.u64(), "used": self.u64()}
        assert (self.u32(), self.u32()) == (0, 0), "no device"
        told |= {"filesystem": self.u64(), "file": self.u64()}
        return told | {"atime_ns": self.time(), "mtime_ns": self.time(), "ctime_ns": self.time()}

    def post_op(self) -> dict[str, int] | None:
        return self.optional(self.fattr3)

    def before(self) -> tuple[int, int, int]:
        return self.u64(), self.time(), self.time()

    def wcc(self) -> tuple[tuple[int, int, int] | None, dict[str, int] | None]:
        return self.optional(self.before), self.post_op()

    def handle(self) -> bytes | None:
        return self.optional(self.opaque)

    def done(self) -> None:
        assert self._at == len(self._data), f"{len(self._data) - self._at} bytes too many"


def record(message: bytes, *, cuts: Sequence[int] = ()) -> bytes:
    """Mark a message as a record, in fragments that end at these places."""
    edges = [0, *cuts, len(message)]
    *parts, last = (message[start:end] for start, end in itertools.pairwise(edges))
    return b"".join(u32(len(part)) + part for part in parts) + u32(len(last) | 0x80000000) + last
