"""Write archives in the form that the kernel unpacks at its start: cpio's "newc".

The form is told in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from types import TracebackType
from typing import BinaryIO, Self

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


class Archive:
    """An archive that grows; all in it belongs to root."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin one; leaving the context ends it.

        Args:
            file: Where it goes; stays open.
        """
        self._file = file
        self._number = 0
        self._folders: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._entry(_TRAILER, 0, b"")

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a directory, and those above it; once."""
        if not name or name in self._folders:
            return
        self.folder(name.rpartition("/")[0])
        self._folders.add(name)
        self._entry(name, stat.S_IFDIR | mode, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self.folder(name.rpartition("/")[0])
        self._folders.add(name)  # nothing is made below it but through it
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        self._number += 1
        path = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, two devices of two each, length of the name, checksum
        fields = (self._number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        head = _MAGIC + b"".join(b"%08X" % field for field in fields) + path
        self._file.write(_padded(head) + _padded(content))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
