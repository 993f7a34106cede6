"""System calls of Linux that Python's `os` doesn't have, or not whole."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os

from argosy.errors import Damaged

_FICLONE = 0x40049409
"""ioctl_ficlone(2): share the blocks of another file."""

_COPY_BYTES = 1 << 20

_NO_REPLACE = 1  # RENAME_NOREPLACE of renameat2(2)
_libc = ctypes.CDLL(None, use_errno=True)

_OPENAT2 = 437
"""Its number on every architecture, see openat2(2)."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH, _CACHED = 0x02, 0x04, 0x08, 0x20
_HOW_NOW = _OpenHow(
    os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW,
    0,
    _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH | _CACHED,
)
_IN_MEMORY = (0x01021994, 0x858458F6)
"""What statfs(2) calls tmpfs and ramfs: they know no RWF_NOWAIT, and nobody ever waits for them."""


def open_now(directory: int, loc: bytes) -> int | None:
    """Open a file below a directory if the kernel has its name in memory; no link on the way is followed.

    None: it hasn't, or it can't say (openat2(2) with RESOLVE_CACHED came with Linux 5.12), or it refuses.
    """
    descriptor = _libc.syscall(_OPENAT2, directory, loc, ctypes.byref(_HOW_NOW), ctypes.sizeof(_HOW_NOW))
    return None if descriptor < 0 else int(descriptor)


def rename(source: int, name: bytes, target: int, new: bytes) -> None:
    """Rename within a file system, refusing to replace: renameat2(2), or a look first where it can't."""
    if _libc.renameat2(source, name, target, new, _NO_REPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    with contextlib.suppress(FileNotFoundError):
        os.stat(new, dir_fd=target, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)


def copy(source: int, target: int, count: int) -> None:
    """Copy the first bytes of a file; blocks are shared where the file system can.

    Raises:
        Damaged: It is shorter.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        os.lseek(source, 0, os.SEEK_SET)
        os.lseek(target, 0, os.SEEK_SET)
        _copy_bytes(source, target, count)


def _copy_bytes(source: int, target: int, count: int) -> None:
    within = True  # the kernel copies, until it says that it can't between these two
    while count > 0:
        if within:
            try:
                copied = os.copy_file_range(source, target, min(count, 1 << 30))
            except OSError:
                within = False
                continue
        else:
            copied = os.write(target, os.read(source, min(count, _COPY_BYTES)))
        if copied == 0:
            raise Damaged("the file became shorter")
        count -= copied


def is_memory(path: bytes) -> bool:
    """Whether a path lies in a file system that is memory alone."""
    figures = (ctypes.c_long * 32)()  # struct statfs is shorter; f_type stands first
    return _libc.statfs(path, figures) == 0 and figures[0] & 0xFFFFFFFF in _IN_MEMORY
