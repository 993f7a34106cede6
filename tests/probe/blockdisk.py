"""A disk of its own for a test: ext4 on a loop device, which can be made to fail as disks do.

What comes back then are the kernel's own errors: nothing between the program and the disk pretends anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from running import needs

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNS = 0x00020000  # unshare(2)

_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN: from then on a file system answers each reading and writing with EIO."""

_ALL_KEPT, _LAST_LOST = 0, 2
"""Whether what wasn't flushed yet gets to the disk before that."""

_FIEMAP = 0xC020660B
_FIEMAP_HEAD = struct.Struct("=QQLLLL")
_FIEMAP_EXTENT = struct.Struct("=QQQQQLLLL")


def mount_in_private() -> None:
    """Have the calling thread, and what it starts, see mounts of its own from now on.

    Others can't get hold of a disk then, and a disk that somebody else has mounted, too, stays dead; and
    whatever becomes of us, our mounts go with us.
    """
    if _libc.unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _run("mount", "--make-rprivate", "/")


class BlockDisk:
    """One disk, mounted at a directory."""

    def __init__(self, image: Path, at: Path, megabytes: int) -> None:
        """Make it, empty, and mount it. Only root can.

        Args:
            image: The file that holds what is on it.
            at: Where it is mounted; made if it isn't there.
            megabytes: Its size.
        """
        self.at = at
        self._image = image
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run(needs("mkfs.ext4"), "-q", "-F", "-m", "0", "-b", "4096", "-O", "^metadata_csum", str(image))
        at.mkdir(parents=True, exist_ok=True)
        self.mount()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unmount(lazy=True)

    def mount(self) -> None:
        """Mount it; its loop device goes when it is unmounted and nobody has a file open on it."""
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.at))

    def unmount(self, *, lazy: bool = False) -> None:
        """Take it away; nobody may have anything open there, but for `lazy`, who keeps that."""
        _run("umount", *(("--lazy",) if lazy else ()), str(self.at))

    def die(self) -> None:
        """Have it answer everything with EIO, for good: only a new mount, when nobody has it open, helps."""
        self._shut(_ALL_KEPT)

    def lose_power(self) -> None:
        """Likewise, and what nobody has flushed is lost: as a machine without power leaves it."""
        self._shut(_LAST_LOST)

    def write_protect(self) -> None:
        """Have the kernel find an error on it: from then on it can only be read."""
        device = Path(_run("findmnt", "-n", "-o", "SOURCE", str(self.at)).strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("broken by a test\n")

    def fill(self) -> None:
        """Leave no room on it, not a block."""
        with (self.at / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))
                        os.fsync(filler.fileno())

    def spoil(self, path: Path) -> None:
        """Have the disk end before a file's first block: that one and what lies behind can't be read."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            first = min(_extents(descriptor))
            os.sync()
            os.truncate(self._image, first)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def _shut(self, how: int) -> None:
        root = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(root, _SHUTDOWN, struct.pack("I", how))
        finally:
            os.close(root)


def _extents(descriptor: int) -> list[int]:
    """Give where on the disk the pieces of a file begin. Linux's Documentation/filesystems/fiemap.rst."""
    most = 64
    asked = bytearray(_FIEMAP_HEAD.pack(0, (1 << 64) - 1, 1, 0, most, 0) + bytes(_FIEMAP_EXTENT.size * most))
    fcntl.ioctl(descriptor, _FIEMAP, asked)
    count = _FIEMAP_HEAD.unpack_from(asked)[3]
    return [
        _FIEMAP_EXTENT.unpack_from(asked, _FIEMAP_HEAD.size + _FIEMAP_EXTENT.size * number)[1]
        for number in range(count)
    ]


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout
