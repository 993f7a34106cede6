"""What each procedure of NFS version 3 answers: status and body, from packed pieces. RFC 1813 section 3.3.

`attributes` is a packed `fattr3` (`nfs3.pack_attributes`), or None where they aren't told; `wcc` is a packed
`wcc_data` (`nfs3.wcc`). What these functions give is the result of a call, for `rpc.success`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from argosy.wire.nfs import nfs3, xdr
from argosy.wire.nfs.nfs3 import FOLLOWS, NOTHING, Procedure, Status
from argosy.wire.nfs.rpc import Piece

_U32 = struct.Struct(">I")
_OK = _U32.pack(Status.OK)
_OK_TOLD = _OK + FOLLOWS
_OK_UNTOLD = _OK + NOTHING
_READ = struct.Struct(">3I")
_WRITTEN = struct.Struct(">2I8s")
_ENTRY = struct.Struct(">IQ")
_COOKIE = struct.Struct(">Q")
_ROOM = struct.Struct(">6QI")
_LIMITS = struct.Struct(">7IQ3I")
_NAMES = struct.Struct(">6I")


def _told(attributes: bytes | None) -> bytes:
    """Begin a success that tells a file's attributes first, or not."""
    return _OK_UNTOLD if attributes is None else _OK_TOLD + attributes


_NOTHING_TOLD: Mapping[Procedure, bytes] = {
    Procedure.NULL: b"",
    Procedure.GETATTR: b"",
    **dict.fromkeys(
        (
            *(Procedure.LOOKUP, Procedure.ACCESS, Procedure.READLINK, Procedure.READ, Procedure.READDIR),
            *(Procedure.READDIRPLUS, Procedure.FSSTAT, Procedure.FSINFO, Procedure.PATHCONF),
        ),
        NOTHING,
    ),
    **dict.fromkeys(
        (
            *(Procedure.SETATTR, Procedure.WRITE, Procedure.CREATE, Procedure.MKDIR, Procedure.SYMLINK),
            *(Procedure.MKNOD, Procedure.REMOVE, Procedure.RMDIR, Procedure.COMMIT),
        ),
        NOTHING * 2,
    ),
    Procedure.LINK: NOTHING * 3,
    Procedure.RENAME: NOTHING * 4,
}
"""How a failure ends when it tells no attributes: none, `post_op_attr`, `wcc_data`, or more of them."""


def refused(procedure: int, status: int, told: bytes | None = None) -> bytes:
    """Say no, in the form that the procedure has for it.

    Args:
        procedure: Of which.
        status: Why; not OK.
        told: The attributes that are known all the same, packed in the RFC's order by `nfs3.post_op` and
            `nfs3.wcc`; None: none.
    """
    return _U32.pack(status) + (_NOTHING_TOLD[Procedure(procedure)] if told is None else told)


def getattr3(attributes: bytes) -> bytes:
    """GETATTR. RFC 1813 section 3.3.1."""
    return _OK + attributes


def setattr3(wcc: bytes) -> bytes:
    """SETATTR; and REMOVE and RMDIR, whose `wcc` is the directory's. Sections 3.3.2, 3.3.12, 3.3.13."""
    return _OK + wcc


remove3 = rmdir3 = setattr3


def lookup3(handle: bytes, attributes: bytes | None, directory: bytes | None) -> bytes:
    """LOOKUP: the found file's handle and attributes, and the directory's. RFC 1813 section 3.3.3."""
    return b"".join((_OK, xdr.opaque(handle), nfs3.post_op(attributes), nfs3.post_op(directory)))


def access3(attributes: bytes | None, allowed: int) -> bytes:
    """ACCESS: bits of `nfs3.Access`. RFC 1813 section 3.3.4."""
    return _told(attributes) + _U32.pack(allowed)


def readlink3(attributes: bytes | None, target: bytes) -> bytes:
    """READLINK. RFC 1813 section 3.3.5."""
    return _told(attributes) + xdr.opaque(target)


def read3(attributes: bytes | None, count: int, data: Sequence[Piece], *, ended: bool) -> list[Piece]:
    """READ: in pieces, for the bytes aren't copied. RFC 1813 section 3.3.6.

    Args:
        attributes: The file's, after the READ.
        count: Bytes in all of `data`.
        data: What was read, in pieces.
        ended: The last byte is the file's last.
    """
    pieces = [_told(attributes) + _READ.pack(count, ended, count), *data]
    if count & 3:
        pieces.append(xdr.pad(count))
    return pieces


def write3(wcc: bytes, count: int, stable: int, verifier: bytes) -> bytes:
    """WRITE: how much was written, and how durably. RFC 1813 section 3.3.7."""
    return _OK + wcc + _WRITTEN.pack(count, stable, verifier)


def create3(handle: bytes | None, attributes: bytes | None, wcc: bytes) -> bytes:
    """CREATE, MKDIR, SYMLINK and MKNOD: what came to be, and the directory. Sections 3.3.8 to 3.3.11."""
    made = NOTHING if handle is None else FOLLOWS + xdr.opaque(handle)
    return b"".join((_OK, made, nfs3.post_op(attributes), wcc))


mkdir3 = symlink3 = mknod3 = create3


def rename3(from_wcc: bytes, to_wcc: bytes) -> bytes:
    """RENAME: both directories. RFC 1813 section 3.3.14."""
    return _OK + from_wcc + to_wcc


def link3(attributes: bytes | None, wcc: bytes) -> bytes:
    """LINK: the file, and its new directory. RFC 1813 section 3.3.15."""
    return _told(attributes) + wcc


class Readdir:
    """READDIR's result, built entry by entry until it is full. RFC 1813 section 3.3.16."""

    def __init__(self, directory: bytes | None, verifier: bytes, count: int) -> None:
        """Begin a page.

        Args:
            directory: Its attributes.
            verifier: Of the cookies.
            count: The most bytes, as the client said; counted is all but the status.
        """
        self._pieces = [_told(directory), verifier]
        self._left = count - sum(map(len, self._pieces)) + len(_OK) - len(NOTHING + FOLLOWS)
        self.empty = True
        """Nothing was added yet. If the first entry doesn't fit, answer TOOSMALL."""

    def add(self, file: int, name: bytes, cookie: int) -> bool:
        """Add an entry; False: it doesn't fit any more."""
        entry = _ENTRY.pack(1, file) + xdr.opaque(name) + _COOKIE.pack(cookie)
        self._left -= len(entry)
        if self._left < 0:
            return False
        self._pieces.append(entry)
        self.empty = False
        return True

    def finish(self, *, ended: bool) -> bytes:
        """Give the page. `ended`: no entry comes after these."""
        return b"".join((*self._pieces, NOTHING, FOLLOWS if ended else NOTHING))


class Readdirplus:
    """READDIRPLUS's result, built entry by entry until it is full. RFC 1813 section 3.3.17."""

    def __init__(self, directory: bytes | None, verifier: bytes, dircount: int, maxcount: int) -> None:
        """Begin a page.

        Args:
            directory: Its attributes.
            verifier: Of the cookies.
            dircount: The most bytes of numbers, names and cookies.
            maxcount: The most bytes of all but the status.
        """
        self._pieces = [_told(directory), verifier]
        self._left = maxcount - sum(map(len, self._pieces)) + len(_OK) - len(NOTHING + FOLLOWS)
        self._names_left = dircount
        self.empty = True
        """As in `Readdir`."""

    def add(
        self, file: int, name: bytes, cookie: int, attributes: bytes | None, handle: bytes | None
    ) -> bool:
        """Add an entry; False: it doesn't fit any more."""
        entry = _ENTRY.pack(1, file) + xdr.opaque(name) + _COOKIE.pack(cookie)
        more = nfs3.post_op(attributes) + (NOTHING if handle is None else FOLLOWS + xdr.opaque(handle))
        # A first entry is given even if `dircount` is absurdly small: it is a hint, `maxcount` is a limit.
        self._names_left -= len(entry)
        self._left -= len(entry) + len(more)
        if self._left < 0 or (self._names_left < 0 and not self.empty):
            return False
        self._pieces += (entry, more)
        self.empty = False
        return True

    def finish(self, *, ended: bool) -> bytes:
        """Give the page. `ended`: no entry comes after these."""
        return b"".join((*self._pieces, NOTHING, FOLLOWS if ended else NOTHING))


def fsstat3(
    attributes: bytes | None,
    *,
    total_bytes: int,
    free_bytes: int,
    available_bytes: int,
    total_files: int,
    free_files: int,
    available_files: int,
    steady_seconds: int = 0,
) -> bytes:
    """FSSTAT: room; `steady_seconds`: for how long it won't change. RFC 1813 section 3.3.18."""
    room = (total_bytes, free_bytes, available_bytes, total_files, free_files, available_files)
    return _told(attributes) + _ROOM.pack(*room, steady_seconds)


def fsinfo3(
    attributes: bytes | None,
    *,
    read_limit: int,
    read_preferred: int,
    read_multiple: int,
    write_limit: int,
    write_preferred: int,
    write_multiple: int,
    directory_preferred: int,
    file_limit: int,
    time_step_ns: int,
    properties: int,
) -> bytes:
    """FSINFO: sizes in bytes, the largest file, how fine times are. RFC 1813 section 3.3.19."""
    return _told(attributes) + _LIMITS.pack(
        *(read_limit, read_preferred, read_multiple, write_limit, write_preferred, write_multiple),
        *(directory_preferred, file_limit, *divmod(time_step_ns, nfs3.SECOND), properties),
    )


def pathconf3(
    attributes: bytes | None,
    *,
    link_limit: int,
    name_limit: int,
    no_truncation: bool,
    chown_restricted: bool,
    case_insensitive: bool,
    case_preserving: bool,
) -> bytes:
    """PATHCONF: what POSIX wants to know. RFC 1813 section 3.3.20."""
    return _told(attributes) + _NAMES.pack(
        *(link_limit, name_limit, no_truncation, chown_restricted, case_insensitive, case_preserving)
    )


def commit3(wcc: bytes, verifier: bytes) -> bytes:
    """COMMIT: the verifier tells whether unstable writes before a restart are lost. Section 3.3.21."""
    return _OK + wcc + verifier
