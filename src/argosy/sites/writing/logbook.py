"""The log of a changed file: records in frames with a sum, so that a torn end is seen."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterator

import msgspec

from argosy.errors import Failed, NoSpace
from argosy.sites.writing.extents import Run

_FRAME = struct.Struct(">II")
"""Length and CRC-32 of a log's record."""


class State(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """All of a draft: how a log begins."""

    boot: str
    base: tuple[int, int, int] | None
    size: int
    kept: int
    mtime_ns: int
    given: bool
    mode: int | None
    runs: list[Run]
    temporary: bytes | None
    appending: int | None


class Wrote(msgspec.Struct, frozen=True, array_like=True, tag="wrote"):
    """Bytes were written."""

    offset: int
    length: int
    mtime_ns: int


class Resized(msgspec.Struct, frozen=True, array_like=True, tag="resized"):
    """The file was cut or lengthened."""

    size: int
    mtime_ns: int


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag="wanted"):
    """A time or permission bits were set."""

    mtime_ns: int | None
    mode: int | None


class Sent(msgspec.Struct, frozen=True, array_like=True, tag="sent"):
    """Where an upload goes: a temporary name, or behind what the site has."""

    temporary: bytes | None
    appending: int | None


Record = State | Wrote | Resized | Wanted | Sent
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def framed(record: Record) -> bytes:
    """Give a record as it stands in the log."""
    body = _encoder.encode(record)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def records(log: bytes) -> Iterator[Record]:
    """Give a log's records up to the first that isn't whole."""
    at = 0
    while at + _FRAME.size <= len(log):
        length, sum_ = _FRAME.unpack_from(log, at)
        body = log[at + _FRAME.size : at + _FRAME.size + length]
        if len(body) < length or zlib.crc32(body) != sum_:
            return
        try:
            yield _decoder.decode(body)
        except msgspec.ValidationError:
            return
        at += _FRAME.size + length


@contextlib.contextmanager
def opened(path: bytes, flags: int) -> Iterator[int]:
    """Lend a file's descriptor; a file that is to be read and isn't there is an empty one."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        if flags != os.O_RDONLY:
            raise
        descriptor = os.memfd_create("nothing")  # never written: it reads as nothing
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk(what: str) -> Iterator[None]:
    """Turn what the disk says into a refusal."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise (NoSpace if full else Failed)(f"journal: {what}: {error.strerror}") from error
    except OverflowError as error:
        raise NoSpace(f"journal: {what}: no disk has so much") from error


def write_all(descriptor: int, data: bytes | bytearray | memoryview, offset: int | None = None) -> None:
    """Write at an offset, or where the descriptor stands."""
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while view:
        wrote = os.write(descriptor, view) if offset is None else os.pwrite(descriptor, view, offset)
        view = view[wrote:]
        offset = None if offset is None else offset + wrote


def read_all(descriptor: int) -> bytes:
    """Read up to the end."""
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def sync_directory(path: bytes) -> None:
    """Have new names in a directory outlast a power cut."""
    with opened(path, os.O_RDONLY | os.O_DIRECTORY) as directory:
        os.fsync(directory)
