"""Files read from the disk itself, past the page cache: what memory has of them proves nothing.

By O_DIRECT, which leaves the cache as it is for those who are served from it. While one block is added up a
thread reads the next, so the disk doesn't wait for the processor.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from argosy.errors import Damaged, Failed

BLOCK_BYTES = 4 << 20
"""Read at once: enough for a disk to be at its full speed."""

_ALIGNED = 4096
"""Direct reads begin and end at multiples of this; every disk's sectors are no larger."""

_IOPRIO_SET = {
    "x86_64": 251,
    "i686": 289,
    "aarch64": 30,
    "riscv64": 30,
    "armv7l": 314,
    "ppc64le": 273,
    "s390x": 282,
}
"""The number of ioprio_set(2), which libc has no function for, by machine."""

_THIS_THREAD, _IDLE = 1, 3 << 13  # IOPRIO_WHO_PROCESS, and IOPRIO_CLASS_IDLE in its place

_libc = ctypes.CDLL(None, use_errno=True)


def give_way() -> None:
    """Have the disk serve this thread only when nobody else wants it, where the kernel knows how."""
    if number := _IOPRIO_SET.get(platform.machine()):
        _libc.syscall(number, _THIS_THREAD, 0, _IDLE)


class DiskReader:
    """Reads files block by block. For one thread; close it at the end."""

    def __init__(self, *, polite: bool = False) -> None:
        """Make one.

        Args:
            polite: Let everybody else who wants the disk go first. The calling thread sees to itself.
        """
        self._buffers = [memoryview(mmap.mmap(-1, BLOCK_BYTES)) for _ in range(2)]
        self._ahead = ThreadPoolExecutor(
            1, thread_name_prefix="ahead", initializer=give_way if polite else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its thread."""
        self._ahead.shutdown(cancel_futures=True)

    def blocks(self, descriptor: int, size: int) -> Iterator[memoryview]:
        """Read a file from its beginning on.

        Args:
            descriptor: The file. Whoever has it shouldn't read it otherwise meanwhile.
            size: How many bytes.

        Yields:
            A block's bytes, good until the next is asked for.

        Raises:
            Damaged: It is shorter.
            Failed: The disk can't read it.
        """
        if not size:
            return
        direct = _set_direct(descriptor)
        if not direct:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        done, turn = 0, 0
        count = _fill(descriptor, self._buffers[0], 0, size)
        while True:
            end = done + count
            coming = None
            if end < size:
                coming = self._ahead.submit(_fill, descriptor, self._buffers[1 - turn], end, size)
            try:
                yield self._buffers[turn][:count]
            finally:
                if coming:
                    coming.exception()  # it writes to our buffer: wait for it, whatever befell us
                if not direct:
                    os.posix_fadvise(descriptor, done, count, os.POSIX_FADV_DONTNEED)
            if coming is None:
                return
            done, count, turn = end, coming.result(), 1 - turn


def _fill(descriptor: int, buffer: memoryview, offset: int, size: int) -> int:
    """Read the bytes from `offset` on, up to a buffer's size or the end; give how many.

    Raises:
        Damaged: There are fewer.
        Failed: The disk can't read them.
    """
    wanted = min(len(buffer), size - offset)
    done = 0
    while done < wanted:
        if (offset + done) % _ALIGNED:
            _set_buffered(descriptor)  # a short read: what follows isn't where direct reads may begin
        most = min(len(buffer), -(-wanted // _ALIGNED) * _ALIGNED)
        try:
            count = os.preadv(descriptor, [buffer[done:most]], offset + done)
        except OSError as error:
            if error.errno == errno.EINVAL and _set_buffered(descriptor):
                continue
            raise Failed(error.strerror or str(error)) from error
        if not count:
            raise Damaged("the file became shorter")
        done += count
    return wanted


def _set_direct(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_DIRECT)
    except OSError:
        return False  # this file system knows no such thing
    return True


def _set_buffered(descriptor: int) -> bool:
    """Read through the cache from now on; False: that was so already."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if not flags & os.O_DIRECT:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    return True
