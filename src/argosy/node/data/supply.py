"""Sending files to another node, one after the other over one connection.

Each file is cut into pieces behind heads (`wire/link/pieces`). A piece is read from the disk right behind the
place of its head, and what has gathered is sent when the buffer is full: a thousand small files cost a few
writes, and a large one isn't copied twice.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence

from argosy.errors import Changed, Damaged, Failed, Refused
from argosy.node.data.transfer import Progress, send_all
from argosy.node.disk.volume import Volume
from argosy.wire import link
from argosy.wire.link import pieces
from argosy.wire.link.pieces import HEAD_BYTES, Mark, Piece

BUFFER_BYTES = 512 * 1024
"""Sent at once. A piece is never longer, so it keeps `PIECE_LIMIT`."""

_WORTH_BYTES = 16 * 1024
"""With less room left the buffer is sent first: pieces that are too small cost more than a write."""


def supply(
    made: socket.socket, items: Sequence[link.Item], volumes: Mapping[str, Volume], progress: Progress
) -> None:
    """Send files. One that can't be read is refused in its place, and the others go on.

    Args:
        made: The connection.
        items: What to send, in order.
        volumes: By store id.
        progress: Counted up.

    Raises:
        TransferCut: The gatherer went, or stood still for too long.
    """
    outlet = _Outlet(made, progress)
    for item in items:
        try:
            with _opened(item, volumes) as descriptor:
                _send(outlet, item, descriptor)
        except Refused as refused:
            if outlet.broken:
                raise
            outlet.refuse(item.ver, refused)
    outlet.end()


@contextlib.contextmanager
def _opened(item: link.Item, volumes: Mapping[str, Volume]) -> Iterator[int]:
    """Lend a file's descriptor.

    Raises:
        Damaged: It isn't there, or it is shorter.
        Busy: Another version lies there.
        Failed: The disk refuses.
    """
    volume = volumes.get(item.store_id)
    if volume is None:
        raise Damaged(f"no volume {item.store_id} here")
    try:
        descriptor = volume.read(item.loc, item.ver, item.size)
    except OSError as error:
        raise Failed(error.strerror or str(error)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _send(outlet: _Outlet, item: link.Item, descriptor: int) -> None:
    """Send a file from its offset on, and say that it is whole only when it was the same all the time."""
    if item.mtime_ns is not None and os.fstat(descriptor).st_mtime_ns != item.mtime_ns:
        raise Changed(item.loc)
    offset = item.offset
    while True:
        room = outlet.room()
        count = min(len(room), item.size - offset)
        _read(descriptor, room[:count], offset)
        offset += count
        if offset < item.size:
            outlet.add(Piece(item.ver, count, Mark.MORE))
            continue
        if item.mtime_ns is not None and os.fstat(descriptor).st_mtime_ns != item.mtime_ns:
            raise Changed(item.loc)
        outlet.add(Piece(item.ver, count, Mark.LAST))
        return


def _read(descriptor: int, into: memoryview, offset: int) -> None:
    while into:
        try:
            count = os.preadv(descriptor, [into], offset)
        except OSError as error:
            raise Failed(error.strerror or str(error)) from error
        if not count:
            raise Damaged("the file became shorter")
        into, offset = into[count:], offset + count


class _Outlet:
    """Gathers pieces until a write is worth it."""

    def __init__(self, made: socket.socket, progress: Progress) -> None:
        self.broken = False
        """Whether the connection is no more."""
        self._made = made
        self._progress = progress
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._filled = 0

    def room(self) -> memoryview:
        """Lend the place of the next piece's bytes; `add` follows."""
        if len(self._buffer) - self._filled < HEAD_BYTES + _WORTH_BYTES:
            self._send()
        return self._buffer[self._filled + HEAD_BYTES :]

    def add(self, piece: Piece) -> None:
        """Add a piece whose bytes are in their place."""
        pieces.pack_into(self._buffer, self._filled, piece)
        self._filled += HEAD_BYTES + piece.length

    def refuse(self, ver: int, refused: Refused) -> None:
        """Give up a file, begun or not."""
        subject = refused.subject
        text = subject.decode(errors="replace") if isinstance(subject, bytes) else str(subject)
        said = pieces.words(type(refused).__name__, text)
        self.room()[: len(said)] = said
        self.add(Piece(ver, len(said), Mark.REFUSED))

    def end(self) -> None:
        """Say that this was all."""
        self.room()
        self.add(pieces.END)
        self._send()

    def _send(self) -> None:
        try:
            send_all(self._made, self._buffer[: self._filled], self._progress)
        except BaseException:
            self.broken = True
            raise
        self._filled = 0
