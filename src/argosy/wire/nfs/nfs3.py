"""The words of NFS version 3, RFC 1813: procedures, statuses, limits, and the pieces of results.

Attributes travel packed: a file's `fattr3` is 84 bytes, made once and put into every result that tells them.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

PROGRAM = 100_003
VERSION = 3
"""RFC 1813 section 2."""

HANDLE_LIMIT = 64
"""NFS3_FHSIZE. RFC 1813 section 2.4."""
VERIFIER_SIZE = 8
"""Of cookies, of EXCLUSIVE creates and of writes. RFC 1813 section 2.4."""
NAME_LIMIT = 255
PATH_LIMIT = 4096
"""The RFC sets none for either. These are the limits of Linux; the door answers NAMETOOLONG for a name."""
LONGEST_NAME = 4096
"""What we read of a name, before we say that it is too long."""
DATA_LIMIT = 1024 * 1024
"""Bytes in one READ or WRITE: our rtmax and wtmax, and the most that Linux asks for."""


class Procedure(IntEnum):
    """RFC 1813 section 3.3."""

    NULL = 0
    GETATTR = 1
    SETATTR = 2
    LOOKUP = 3
    ACCESS = 4
    READLINK = 5
    READ = 6
    WRITE = 7
    CREATE = 8
    MKDIR = 9
    SYMLINK = 10
    MKNOD = 11
    REMOVE = 12
    RMDIR = 13
    RENAME = 14
    LINK = 15
    READDIR = 16
    READDIRPLUS = 17
    FSSTAT = 18
    FSINFO = 19
    PATHCONF = 20
    COMMIT = 21


class Status(IntEnum):
    """`nfsstat3`, RFC 1813 section 2.6."""

    OK = 0
    PERM = 1
    NOENT = 2
    IO = 5
    NXIO = 6
    ACCES = 13
    EXIST = 17
    XDEV = 18
    NODEV = 19
    NOTDIR = 20
    ISDIR = 21
    INVAL = 22
    FBIG = 27
    NOSPC = 28
    ROFS = 30
    MLINK = 31
    NAMETOOLONG = 63
    NOTEMPTY = 66
    DQUOT = 69
    STALE = 70
    REMOTE = 71
    BADHANDLE = 10001
    NOT_SYNC = 10002
    BAD_COOKIE = 10003
    NOTSUPP = 10004
    TOOSMALL = 10005
    SERVERFAULT = 10006
    BADTYPE = 10007
    JUKEBOX = 10008


class FileType(IntEnum):
    """`ftype3`, RFC 1813 section 2.6."""

    REGULAR = 1
    DIRECTORY = 2
    BLOCK = 3
    CHARACTER = 4
    LINK = 5
    SOCKET = 6
    FIFO = 7


class Access(IntFlag):
    """What ACCESS asks for. RFC 1813 section 3.3.4."""

    READ = 0x01
    LOOKUP = 0x02
    MODIFY = 0x04
    EXTEND = 0x08
    DELETE = 0x10
    EXECUTE = 0x20


class Stable(IntEnum):
    """How durable a WRITE is. RFC 1813 section 3.3.7."""

    UNSTABLE = 0
    DATA_SYNC = 1
    FILE_SYNC = 2


class CreateMode(IntEnum):
    """What CREATE does when the name is there. RFC 1813 section 3.3.8."""

    UNCHECKED = 0
    GUARDED = 1
    EXCLUSIVE = 2


class Properties(IntFlag):
    """What FSINFO says of a file system. RFC 1813 section 3.3.19."""

    LINK = 0x01
    SYMLINK = 0x02
    HOMOGENEOUS = 0x08
    CANSETTIME = 0x10


SECOND = 1_000_000_000
"""Nanoseconds in one."""
_LATEST = 2**32 - 1

_ATTRIBUTES = struct.Struct(">5IQQ2IQQ6I")
"""`fattr3`: type, mode, nlink, uid, gid, size, used, rdev, fsid, fileid, atime, mtime, ctime."""
_BEFORE = struct.Struct(">Q4I")
"""`wcc_attr`: size, mtime, ctime."""
ATTRIBUTES_SIZE = _ATTRIBUTES.size

FOLLOWS = b"\0\0\0\1"
NOTHING = b"\0\0\0\0"
"""Before what is optional, and instead of it. RFC 4506 section 4.19."""


def pack_attributes(
    *,
    kind: int,
    mode: int,
    links: int,
    uid: int,
    gid: int,
    size: int,
    used: int,
    filesystem: int,
    file: int,
    atime_ns: int,
    mtime_ns: int,
    ctime_ns: int,
) -> bytes:
    """Pack `fattr3`, 84 bytes. RFC 1813 section 2.6.

    Args:
        kind: A `FileType`; devices aren't told.
        mode: Permission bits.
        links: How many names it has.
        uid: Its owner.
        gid: Its group.
        size: Bytes.
        used: Bytes that it takes of the disk.
        filesystem: The same for all files of one mount.
        file: Its number there.
        atime_ns: Times, in nanoseconds since 1970; what can't be told in 32 bits of seconds is told as the
            nearest that can.
        mtime_ns: Of its content.
        ctime_ns: Of its content or its attributes.
    """
    return _ATTRIBUTES.pack(
        *(kind, mode, links, uid, gid, size, used, 0, 0, filesystem, file),
        *_time(atime_ns),
        *_time(mtime_ns),
        *_time(ctime_ns),
    )


def _time(ns: int) -> tuple[int, int]:
    """Give `nfstime3`."""
    seconds = ns // SECOND
    if 0 <= seconds <= _LATEST:
        return seconds, ns - seconds * SECOND
    return (0, 0) if ns < 0 else (_LATEST, SECOND - 1)


def pack_before(size: int, mtime_ns: int, ctime_ns: int) -> bytes:
    """Pack `wcc_attr`: what a file was before an operation. RFC 1813 section 2.6."""
    return _BEFORE.pack(size, *_time(mtime_ns), *_time(ctime_ns))


def post_op(attributes: bytes | None) -> bytes:
    """Pack `post_op_attr`: a file's attributes, or that they aren't told. RFC 1813 section 2.6."""
    return NOTHING if attributes is None else FOLLOWS + attributes


def wcc(before: bytes | None, after: bytes | None) -> bytes:
    """Pack `wcc_data`: a file before and after an operation, or that it isn't told. RFC 1813 section 2.6.

    Args:
        before: From `pack_before`; only if nothing else happened to the file in between.
        after: From `pack_attributes`.
    """
    return (NOTHING if before is None else FOLLOWS + before) + (NOTHING if after is None else FOLLOWS + after)
