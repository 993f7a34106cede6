"""MOUNT version 3: from an export's name to the first file handle. RFC 1813 section 5 (appendix I)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum

from argosy.wire.nfs import xdr
from argosy.wire.nfs.nfs3 import FOLLOWS, NOTHING

PROGRAM = 100_005
VERSION = 3
"""RFC 1813 section 5.1."""

PATH_LIMIT = 1024
"""MNTPATHLEN: bytes in an export's name. RFC 1813 section 5.1.4."""
NAME_LIMIT = 255
"""MNTNAMLEN: bytes in a host's or group's name. RFC 1813 section 5.1.4."""


class Procedure(IntEnum):
    """RFC 1813 section 5.2."""

    NULL = 0
    MNT = 1
    DUMP = 2
    UMNT = 3
    UMNTALL = 4
    EXPORT = 5


class Status(IntEnum):
    """`mountstat3`, RFC 1813 section 5.1.5."""

    OK = 0
    PERM = 1
    NOENT = 2
    IO = 5
    ACCES = 13
    NOTDIR = 20
    INVAL = 22
    NAMETOOLONG = 63
    NOTSUPP = 10004
    SERVERFAULT = 10006


_U32 = struct.Struct(">I")


def unpack_path(source: xdr.Reader) -> bytes:
    """Read the arguments of MNT and UMNT: an export's name, verbatim. RFC 1813 sections 5.2.1, 5.2.3.

    Raises:
        GarbageArguments: It is longer than `PATH_LIMIT`, or isn't all there is.
    """
    path = source.opaque(PATH_LIMIT)
    source.end()
    return path


def mounted(handle: bytes, flavors: Sequence[int]) -> bytes:
    """Answer MNT: the root's handle, and which credentials are taken there. RFC 1813 section 5.2.1."""
    return (
        _U32.pack(Status.OK)
        + xdr.opaque(handle)
        + struct.pack(f">{1 + len(flavors)}I", len(flavors), *flavors)
    )


def refused(status: Status) -> bytes:
    """Answer MNT with no."""
    return _U32.pack(status)


def mounts(known: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Answer DUMP: who has mounted what, as pairs of host and path. RFC 1813 section 5.2.2."""
    pieces = [FOLLOWS + xdr.opaque(host) + xdr.opaque(path) for host, path in known]
    return b"".join((*pieces, NOTHING))


def exports(known: Iterable[tuple[bytes, Sequence[bytes]]]) -> bytes:
    """Answer EXPORT: what can be mounted and by whom (nobody named: by all). RFC 1813 section 5.2.5."""
    pieces = []
    for path, groups in known:
        pieces.append(FOLLOWS + xdr.opaque(path))
        pieces += [FOLLOWS + xdr.opaque(group) for group in groups]
        pieces.append(NOTHING)
    return b"".join((*pieces, NOTHING))
