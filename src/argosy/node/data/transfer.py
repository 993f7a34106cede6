"""The bytes of one transfer, moved by a thread between a data connection and a file.

A plain file leaves by `sendfile`, and what arrives is spliced once it proves to be large: both ways the bytes
stay in the kernel. Everything else is copied in blocks. What arrives is summed, and so is what leaves where
somebody says what it must add up to.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import ssl
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from argosy.errors import Damaged, Failed, TransferCut
from argosy.net import pipe
from argosy.node.data.lines import FromWire, ToWire
from argosy.node.data.summing import Follower, core_to_spare
from argosy.node.disk import roots
from argosy.node.disk.checksums import Expected, Summing, Sums
from argosy.node.disk.pace import Pace

_SENDFILE_BYTES = 4 << 20
"""Asked of one `sendfile`: between two we count, and the kernel keeps the socket full by itself."""

_SUMMED_BYTES = 1 << 20
"""Likewise of a file that is summed: what was just read is still in a cache, and little can befall it."""

_LARGE_BYTES = 4 << 20
"""An upload that has brought so much is worth a pipe, and a thread that follows it."""

_BUSY_TIME = 168
"""Where `tcpi_busy_time` stands in `struct tcp_info`, a u64 of microseconds: linux/tcp.h, since 4.10."""

_INT = struct.Struct("@i")

_PIPE_BYTES = 1 << 20
"""What an unprivileged process may have. pipe(7)"""


@dataclass(slots=True)
class Progress:
    """How far a transfer is, written by its thread, read by the loop; and how fast it may go."""

    moved: int = 0
    """Bytes over the data connection."""
    cancelled: bool = False
    seconds: float = 0.0
    """How long the bytes have taken so far."""
    held: float = 0.0
    """For how much of that the disk was waited for."""
    began: float = 0.0
    """When the first byte could move; 0: nobody takes the time, for it isn't the disk that is waited for."""
    pace: Pace = field(default_factory=Pace)

    def count(self, moved: int) -> None:
        """Count bytes that were moved, and keep the pace."""
        self.moved += moved
        self.pace.spend(moved)

    def begin(self) -> None:
        """Note that bytes are about to move."""
        self.began = time.monotonic()

    def sent(self, made: socket.socket) -> None:
        """Take the time: as long as the kernel had bytes to send the disk wasn't waited for."""
        if not self.began:
            return
        elapsed = time.monotonic() - self.began
        try:
            info = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BUSY_TIME + 8)
            (waiting,) = _INT.unpack(fcntl.ioctl(made, termios.TIOCOUTQ, _INT.pack(0)))
        except OSError:  # it was cut this moment
            return
        if len(info) == _BUSY_TIME + 8:
            self.held = max(0.0, elapsed - int.from_bytes(info[_BUSY_TIME:], sys.byteorder) / 1e6)
        gone = self.moved - waiting
        # What the kernel still has will take its time at the same rate.
        self.seconds = elapsed * self.moved / gone if gone > 0 else 0.0

    @contextlib.contextmanager
    def disk(self) -> Iterator[None]:
        """Take the time of what waits for the disk."""
        before = time.monotonic()
        try:
            yield
        finally:
            after = time.monotonic()
            self.held += after - before
            self.seconds = after - self.began if self.began else 0.0

    def cancel(self) -> None:
        """Note that nobody wants the rest."""
        self.cancelled = self.pace.given_up = True


class Extent(Protocol):
    """How far a file reaches that is being sent."""

    def beyond(self, offset: int) -> int:
        """Give the size; a file that is still arriving waits until it is more than `offset`.

        Raises:
            TransferCut: No more will come, and what came isn't all.
        """
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that has its size."""

    size: int

    def beyond(self, offset: int) -> int:
        """See `Extent`."""
        del offset
        return self.size


_buffers = threading.local()


def send(
    made: socket.socket,
    descriptor: int,
    *,
    offset: int,
    extent: Extent,
    as_text: bool,
    block_bytes: int,
    progress: Progress,
    expected: Expected | None = None,
) -> None:
    """Send a file's bytes from `offset` up to the end of its `extent`, and never more.

    Args:
        made: The data connection.
        descriptor: The file.
        offset: The first byte to send.
        extent: How far the file reaches.
        as_text: Turn LF into CRLF.
        block_bytes: Read this much at once where the kernel can't send by itself.
        progress: Counted up.
        expected: What a whole file must add up to; None: it is taken as it is.

    Raises:
        TransferCut: The client went, or stood still for too long, or the file's own upload was cut.
        Damaged: The file became shorter meanwhile. The client must not take it for whole: reset.
        Failed: The disk can't read it, or it isn't what is expected. Likewise.
    """
    small = expected is not None and extent.beyond(offset) <= block_bytes
    if as_text or small or isinstance(made, ssl.SSLSocket):
        view = _buffer(block_bytes)
        _send_blocks(
            *(made, descriptor),
            offset=offset,
            extent=extent,
            view=view,
            as_text=as_text,
            progress=progress,
            expected=expected,
        )
    else:
        summed = _Summed(descriptor, expected, _buffer(block_bytes)) if expected else None
        _send_file(made, descriptor, offset, extent, progress, summed=summed)


def send_now(made: socket.socket, content: memoryview) -> int:
    """Give a plain socket as many bytes as it takes without waiting, and say how many.

    Raises:
        TransferCut: The client is gone.
    """
    try:
        return made.send(content, socket.MSG_DONTWAIT) if content else 0
    except BlockingIOError:
        return 0
    except OSError as error:
        raise TransferCut(error.strerror or str(error)) from error


def receive(
    made: socket.socket,
    descriptor: int,
    *,
    sums: bool,
    as_text: bool,
    block_bytes: int,
    progress: Progress,
    reach: Callable[[int], None],
) -> Sums:
    """Write what arrives to a file, from where it stands, until the client ends.

    Args:
        made: The data connection.
        descriptor: The file.
        sums: Whether to add up what arrives.
        as_text: Turn CRLF into LF.
        block_bytes: Read this much at once.
        progress: Counted up.
        reach: Told the file's size after each block, for those who read it meanwhile.

    Raises:
        TransferCut: The connection broke, or stood still for too long. What came is in the file.
        NoSpace: The disk is full. Likewise.
        Failed: The disk failed.
    """
    coming = _Coming(made, descriptor, Summing() if sums else None, progress, reach)
    plain = not as_text and not isinstance(made, ssl.SSLSocket)
    ended = coming.copy(_buffer(block_bytes), as_text=as_text, most=_LARGE_BYTES if plain else None)
    if not ended and not coming.splice():
        coming.copy(_buffer(block_bytes))
    return coming.summing.sums() if coming.summing else Sums(None, None)


def keep(descriptor: int, content: bytes, progress: Progress) -> Sums:
    """Write what has arrived whole; see `receive`."""
    progress.count(len(content))
    write(descriptor, content)
    summing = Summing()
    summing.add(content)
    return summing.sums()


class _Coming:
    """A file on its way in."""

    def __init__(
        self,
        made: socket.socket,
        descriptor: int,
        summing: Summing | None,
        progress: Progress,
        reach: Callable[[int], None],
    ) -> None:
        self.summing = summing
        self._made = made
        self._descriptor = descriptor
        self._progress = progress
        self._reach = reach
        self._stored = os.lseek(descriptor, 0, os.SEEK_CUR)

    def copy(self, view: memoryview, *, as_text: bool = False, most: int | None = None) -> bool:
        """Copy what arrives, block by block, to the end or until `most` bytes are over. True: to the end."""
        turned = FromWire() if as_text else None
        while most is None or self._progress.moved < most:
            try:
                count = self._made.recv_into(view, self._progress.pace.portion(len(view)))
            except OSError as error:
                raise cut_by(error, self._progress) from error
            self._progress.count(count)
            block: bytes | memoryview = view[:count]
            if turned:
                block = turned.turn(bytes(block)) if count else turned.end()
            with self._progress.disk():
                write(self._descriptor, block)
            self._count(len(block))
            if self.summing:
                self.summing.add(block)
            if not count:
                return True
        return False

    def splice(self) -> bool:
        """Move what arrives within the kernel. True: to the end.

        False: this file system can't do it, or there is no core to spare for summing it up afterwards.
        """
        with contextlib.ExitStack() as stack:
            if self.summing and not stack.enter_context(core_to_spare()):
                return False
            through = stack.enter_context(pipe.opened(_PIPE_BYTES))
            follower: Follower | None = None
            if self.summing:
                follower = stack.enter_context(Follower(self.summing, self._descriptor, self._stored))
            able = True
            while able:
                try:
                    most = self._progress.pace.portion(through.size)
                    taken = os.splice(self._made.fileno(), through.writer, most)
                except OSError as error:
                    raise cut_by(error, self._progress) from error
                if not taken:
                    break
                with self._progress.disk():
                    able = _empty(through.reader, self._descriptor, taken)
                self._count(taken)
                if follower:
                    follower.reach(self._stored)
                self._progress.count(taken)
            return able

    def _count(self, stored: int) -> None:
        self._stored += stored
        self._reach(self._stored)


def _empty(reader: int, descriptor: int, count: int) -> bool:
    """Move what is in a pipe to a file. False: it had to be copied, for the file system can't splice."""
    try:
        while count:
            count -= os.splice(reader, descriptor, count)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise roots.refusal(error) from error
        while count:
            block = os.read(reader, count)
            write(descriptor, block)
            count -= len(block)
        return False
    return True


class _Summed:
    """A file that is summed just before the kernel sends it: by then it lies in memory."""

    def __init__(self, descriptor: int, expected: Expected, view: memoryview) -> None:
        self._descriptor = descriptor
        self._expected = expected
        self._view = view
        self._done = 0

    def reach(self, end: int, size: int) -> None:
        """Add up what comes before `end`, of `size` bytes in all.

        Raises:
            Damaged: The file became shorter.
            Failed: The disk can't read it; or that was all, and it isn't what is expected.
        """
        while self._done < end:
            count = _read(self._descriptor, self._view[: end - self._done], self._done)
            self._done += count
            self._expected.add(self._view[:count], last=self._done == size)


def _send_file(
    made: socket.socket,
    descriptor: int,
    offset: int,
    extent: Extent,
    progress: Progress,
    *,
    summed: _Summed | None,
) -> None:
    target = made.fileno()
    while (size := extent.beyond(offset)) > offset:
        most = progress.pace.portion(_SUMMED_BYTES if summed else _SENDFILE_BYTES)
        most = min(most, size - offset)
        if summed:
            summed.reach(offset + most, size)
        try:
            count = os.sendfile(target, descriptor, offset, most)
        except OSError as error:
            if error.errno == errno.EIO:
                raise Failed(os.strerror(error.errno)) from error
            raise cut_by(error, progress) from error
        if not count:
            raise Damaged("the file became shorter")
        offset += count
        progress.count(count)
        progress.sent(made)


def _send_blocks(
    made: socket.socket,
    descriptor: int,
    *,
    offset: int,
    extent: Extent,
    view: memoryview,
    as_text: bool,
    progress: Progress,
    expected: Expected | None,
) -> None:
    turned = ToWire() if as_text else None
    while (size := extent.beyond(offset)) > offset:
        count = _read(descriptor, view[: size - offset], offset)
        if expected:
            expected.add(view[:count], last=offset + count == size)
        send_all(made, memoryview(turned.turn(bytes(view[:count]))) if turned else view[:count], progress)
        offset += count
        progress.sent(made)


def send_all(made: socket.socket, data: memoryview, progress: Progress) -> None:
    """Send bytes at the transfer's pace.

    Raises:
        TransferCut: The far end went, or stood still for too long.
    """
    while data:
        try:
            count = made.send(data[: progress.pace.portion(len(data))])
        except OSError as error:
            raise cut_by(error, progress) from error
        progress.count(count)
        data = data[count:]


def _read(descriptor: int, into: memoryview, offset: int) -> int:
    try:
        count = os.preadv(descriptor, [into], offset)
    except OSError as error:
        raise Failed(error.strerror or str(error)) from error
    if not count:
        raise Damaged("the file became shorter")
    return count


def write(descriptor: int, block: bytes | memoryview) -> None:
    """Write a block to a file, from where it stands.

    Raises:
        NoSpace: The disk is full.
        Failed: The disk failed.
    """
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise roots.refusal(error) from error


def cut_by(error: OSError, progress: Progress) -> TransferCut:
    """Say what the end of a data connection means."""
    if progress.cancelled:
        return TransferCut("cancelled")
    if isinstance(error, TimeoutError | BlockingIOError):
        return TransferCut("it stood still for too long")
    return TransferCut(error.strerror or str(error))


def _buffer(size: int) -> memoryview:
    """Lend this thread's buffer: a fresh one for each transfer would cost a page fault for each 4 KiB."""
    buffer: bytearray | None = getattr(_buffers, "block", None)
    if buffer is None or len(buffer) != size:
        buffer = _buffers.block = bytearray(size)
    return memoryview(buffer)
