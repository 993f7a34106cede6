"""What an upload leaves in a file's extended attributes: which version it is, whose content, and its sums.

With it a disk tells what its files are even where the journal is lost. A mark counts while the file has the
size and time that stand in it.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

_VER, _AS_OF = "user.argosy.ver", "user.argosy.as-of"
_CRC32, _XXH3 = "user.argosy.crc32", "user.argosy.xxh3"
_FILE = "user.argosy.file"


class Mark(NamedTuple):
    """What an upload left in a file's extended attributes."""

    ver: int
    crc32: int | None
    digest: bytes | None
    file: int = 0


def write(descriptor: int, ver: int, crc32: int | None, digest: bytes | None) -> None:
    """Write on a file which upload it is, where the file system has extended attributes.

    What isn't known is taken off: a file that was appended to has the sums of what it was.
    """
    values = (
        (_CRC32, None if crc32 is None else b"%08x" % crc32),
        (_XXH3, None if digest is None else digest.hex().encode()),
    )
    for name, value in values:
        with contextlib.suppress(OSError):  # there is none, or no such thing at all
            os.removexattr(descriptor, name) if value is None else os.setxattr(descriptor, name, value)
    with contextlib.suppress(OSError):
        os.setxattr(descriptor, _VER, b"%016x" % ver)


def date(descriptor: int, *, file: int = 0) -> None:
    """Say in a file's mark that it is of the size and time it has now, and whose content it is.

    Without a mark, or without extended attributes, there is nothing to keep in line.
    """
    with contextlib.suppress(OSError):
        os.getxattr(descriptor, _VER)
        found = os.fstat(descriptor)
        os.setxattr(descriptor, _AS_OF, b"%d %d" % (found.st_size, found.st_mtime_ns))
        if file:
            os.setxattr(descriptor, _FILE, b"%016x" % file)


def erase(descriptor: int) -> None:
    """Take the marks of an upload off a file."""
    for name in (_VER, _CRC32, _XXH3, _AS_OF, _FILE):
        with contextlib.suppress(OSError):
            os.removexattr(descriptor, name)


def read(path: bytes, size: int, mtime_ns: int) -> Mark | None:
    """Read which upload a file is; None when nothing says so, or it was changed since."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        if _VER not in names or _AS_OF not in names:
            return None
        if os.getxattr(path, _AS_OF, follow_symlinks=False) != b"%d %d" % (size, mtime_ns):
            return None
        texts = {
            name: os.getxattr(path, name, follow_symlinks=False).decode()
            for name in names
            if "argosy" in name
        }
        crc32, digest = texts.get(_CRC32), texts.get(_XXH3)
        return Mark(
            int(texts[_VER], 16),
            int(crc32, 16) if crc32 else None,
            bytes.fromhex(digest) if digest else None,
            int(texts.get(_FILE, "0"), 16),
        )
    except (OSError, ValueError):
        return None
