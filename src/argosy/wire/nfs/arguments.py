"""What each procedure of NFS version 3 takes, read in the RFC's order. RFC 1813 section 3.3.

Every `unpack` raises `GarbageArguments` for what isn't of the procedure's form. Names come as the client
said them: which ones may be is the door's to say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Literal, Protocol, Self

import msgspec

from argosy.wire.nfs import xdr
from argosy.wire.nfs.nfs3 import (
    DATA_LIMIT,
    HANDLE_LIMIT,
    LONGEST_NAME,
    PATH_LIMIT,
    SECOND,
    VERIFIER_SIZE,
    CreateMode,
    FileType,
    Procedure,
    Stable,
)

_U32 = struct.Struct(">I")
_TIME = struct.Struct(">2I")
_RANGE = struct.Struct(">QI")
_WRITE = struct.Struct(">QII")
_COOKIE = struct.Struct(f">Q{VERIFIER_SIZE}sI")
_COOKIE_PLUS = struct.Struct(f">Q{VERIFIER_SIZE}sII")
_VERIFIER = struct.Struct(f">{VERIFIER_SIZE}s")

Time = int | Literal["now"] | None
"""Nanoseconds since 1970; `now`: the server's clock; None: not to be changed. `set_atime`, `set_mtime`."""


class Arguments(Protocol):
    """What all of them can."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read them."""
        ...


class SetAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """`sattr3`: what is to be set; None: nothing. RFC 1813 section 2.6."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime_ns: Time = None
    mtime_ns: Time = None

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the six, each with a word before it that says whether it is there."""
        return cls(
            mode=source.u32() if source.boolean() else None,
            uid=source.u32() if source.boolean() else None,
            gid=source.u32() if source.boolean() else None,
            size=source.u64() if source.boolean() else None,
            atime_ns=_time(source),
            mtime_ns=_time(source),
        )


def _time(source: xdr.Reader) -> Time:
    """Read `time_how` and what it wants. RFC 1813 section 2.6."""
    match source.u32():
        case 0:
            return None
        case 1:
            return "now"
        case 2:
            seconds, ns = source.run(_TIME)
            return int(seconds) * SECOND + int(ns)
        case how:
            raise xdr.GarbageArguments(f"time_how {how}")


class Nothing(msgspec.Struct, frozen=True, gc=False):
    """NULL. RFC 1813 section 3.3.0."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read nothing."""
        source.end()
        return cls()


class Handle(msgspec.Struct, frozen=True, gc=False):
    """GETATTR, READLINK, FSSTAT, FSINFO, PATHCONF. RFC 1813 sections 3.3.1, 3.3.5, 3.3.18 to 3.3.20."""

    handle: bytes

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read it."""
        arguments = cls(source.opaque(HANDLE_LIMIT))
        source.end()
        return arguments


class SetattrArguments(msgspec.Struct, frozen=True):
    """SETATTR. RFC 1813 section 3.3.2."""

    handle: bytes
    changes: SetAttributes
    guard_ctime_ns: int | None
    """Only if the file's ctime is this, else NOT_SYNC."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the file, what to set, and the guard."""
        handle = source.opaque(HANDLE_LIMIT)
        changes = SetAttributes.unpack(source)
        guard = None
        if source.boolean():
            seconds, ns = source.run(_TIME)
            guard = int(seconds) * SECOND + int(ns)
        source.end()
        return cls(handle, changes, guard)


class Name(msgspec.Struct, frozen=True, gc=False):
    """LOOKUP, REMOVE, RMDIR: `diropargs3`. RFC 1813 sections 3.3.3, 3.3.12, 3.3.13."""

    directory: bytes
    name: bytes

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read both."""
        arguments = cls(source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME))
        source.end()
        return arguments


class AccessArguments(msgspec.Struct, frozen=True, gc=False):
    """ACCESS. RFC 1813 section 3.3.4."""

    handle: bytes
    access: int
    """Bits of `Access`."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the file and what is asked."""
        arguments = cls(source.opaque(HANDLE_LIMIT), source.run(_U32)[0])
        source.end()
        return arguments


class ReadArguments(msgspec.Struct, frozen=True, gc=False):
    """READ. RFC 1813 section 3.3.6."""

    handle: bytes
    offset: int
    count: int
    """Bytes wanted. May be over `DATA_LIMIT`: then less is given."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the three fields."""
        arguments = cls(source.opaque(HANDLE_LIMIT), *source.run(_RANGE))
        source.end()
        return arguments


class WriteArguments(msgspec.Struct, frozen=True):
    """WRITE. RFC 1813 section 3.3.7."""

    handle: bytes
    offset: int
    count: int
    """Bytes that shall be written: those of `data`, or fewer."""
    stable: Stable
    data: memoryview
    """A part of the record."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read four fields and the bytes, which aren't copied."""
        handle = source.opaque(HANDLE_LIMIT)
        offset, count, stable = source.run(_WRITE)
        data = source.view(DATA_LIMIT)
        source.end()
        if count > len(data) or stable > Stable.FILE_SYNC:
            raise xdr.GarbageArguments(f"WRITE of {count} bytes with {len(data)}, stable {stable}")
        return cls(handle, offset, count, Stable(stable), data[:count])


class CreateArguments(msgspec.Struct, frozen=True):
    """CREATE. RFC 1813 section 3.3.8."""

    directory: bytes
    name: bytes
    mode: CreateMode
    changes: SetAttributes
    """Nothing for EXCLUSIVE."""
    verifier: bytes
    """Of EXCLUSIVE, else empty."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read where, and how."""
        directory, name = source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME)
        mode = source.u32()
        if mode > CreateMode.EXCLUSIVE:
            raise xdr.GarbageArguments(f"createmode3 {mode}")
        changes, verifier = SetAttributes(), b""
        if mode == CreateMode.EXCLUSIVE:
            (verifier,) = source.run(_VERIFIER)
        else:
            changes = SetAttributes.unpack(source)
        source.end()
        return cls(directory, name, CreateMode(mode), changes, verifier)


class MkdirArguments(msgspec.Struct, frozen=True):
    """MKDIR. RFC 1813 section 3.3.9."""

    directory: bytes
    name: bytes
    changes: SetAttributes

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read where, and what it shall be like."""
        directory, name = source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME)
        arguments = cls(directory, name, SetAttributes.unpack(source))
        source.end()
        return arguments


class SymlinkArguments(msgspec.Struct, frozen=True):
    """SYMLINK. RFC 1813 section 3.3.10."""

    directory: bytes
    name: bytes
    changes: SetAttributes
    target: bytes

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read where, what it shall be like, and where it leads."""
        directory, name = source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME)
        changes = SetAttributes.unpack(source)
        arguments = cls(directory, name, changes, source.opaque(PATH_LIMIT))
        source.end()
        return arguments


class MknodArguments(msgspec.Struct, frozen=True):
    """MKNOD. RFC 1813 section 3.3.11."""

    directory: bytes
    name: bytes
    kind: FileType
    changes: SetAttributes
    device: tuple[int, int] | None
    """Major and minor number, of BLOCK and CHARACTER."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read where, and what kind of thing."""
        directory, name = source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME)
        kind = source.u32()
        if not FileType.REGULAR <= kind <= FileType.FIFO:
            raise xdr.GarbageArguments(f"ftype3 {kind}")
        changes, device = SetAttributes(), None
        if kind in (FileType.CHARACTER, FileType.BLOCK, FileType.SOCKET, FileType.FIFO):
            changes = SetAttributes.unpack(source)
        if kind in (FileType.CHARACTER, FileType.BLOCK):
            device = source.u32(), source.u32()
        source.end()
        return cls(directory, name, FileType(kind), changes, device)


class RenameArguments(msgspec.Struct, frozen=True, gc=False):
    """RENAME. RFC 1813 section 3.3.14."""

    directory: bytes
    name: bytes
    to_directory: bytes
    to_name: bytes

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read from where, and to where."""
        old = source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME)
        new = source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME)
        source.end()
        return cls(*old, *new)


class LinkArguments(msgspec.Struct, frozen=True, gc=False):
    """LINK. RFC 1813 section 3.3.15."""

    handle: bytes
    directory: bytes
    name: bytes

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the file, and its new name."""
        arguments = cls(source.opaque(HANDLE_LIMIT), source.opaque(HANDLE_LIMIT), source.opaque(LONGEST_NAME))
        source.end()
        return arguments


class ReaddirArguments(msgspec.Struct, frozen=True, gc=False):
    """READDIR. RFC 1813 section 3.3.16."""

    directory: bytes
    cookie: int
    verifier: bytes
    count: int
    """The most bytes of the result, status left out."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the directory, where to go on, and how much."""
        arguments = cls(source.opaque(HANDLE_LIMIT), *source.run(_COOKIE))
        source.end()
        return arguments


class ReaddirplusArguments(msgspec.Struct, frozen=True, gc=False):
    """READDIRPLUS. RFC 1813 section 3.3.17."""

    directory: bytes
    cookie: int
    verifier: bytes
    dircount: int
    """The most bytes of numbers, names and cookies."""
    maxcount: int
    """The most bytes of the result, status left out."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the directory, where to go on, and how much of both."""
        arguments = cls(source.opaque(HANDLE_LIMIT), *source.run(_COOKIE_PLUS))
        source.end()
        return arguments


class CommitArguments(msgspec.Struct, frozen=True, gc=False):
    """COMMIT. RFC 1813 section 3.3.21."""

    handle: bytes
    offset: int
    count: int
    """0: to the end of the file."""

    @classmethod
    def unpack(cls, source: xdr.Reader) -> Self:
        """Read the three fields."""
        arguments = cls(source.opaque(HANDLE_LIMIT), *source.run(_RANGE))
        source.end()
        return arguments


ARGUMENTS: Mapping[Procedure, type[Arguments]] = {
    Procedure.NULL: Nothing,
    Procedure.GETATTR: Handle,
    Procedure.SETATTR: SetattrArguments,
    Procedure.LOOKUP: Name,
    Procedure.ACCESS: AccessArguments,
    Procedure.READLINK: Handle,
    Procedure.READ: ReadArguments,
    Procedure.WRITE: WriteArguments,
    Procedure.CREATE: CreateArguments,
    Procedure.MKDIR: MkdirArguments,
    Procedure.SYMLINK: SymlinkArguments,
    Procedure.MKNOD: MknodArguments,
    Procedure.REMOVE: Name,
    Procedure.RMDIR: Name,
    Procedure.RENAME: RenameArguments,
    Procedure.LINK: LinkArguments,
    Procedure.READDIR: ReaddirArguments,
    Procedure.READDIRPLUS: ReaddirplusArguments,
    Procedure.FSSTAT: Handle,
    Procedure.FSINFO: Handle,
    Procedure.PATHCONF: Handle,
    Procedure.COMMIT: CommitArguments,
}
"""Which arguments a procedure takes."""
