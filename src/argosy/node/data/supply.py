"""Sending files to another node, one after the other over one connection.

Each file is cut into pieces behind heads (`wire/link/pieces`). A piece is read from the disk right behind the
place of its head, and what has gathered is sent when the buffer is full: a thousand small files cost a few
writes, and a large one isn't copied twice.

An upload can be sent while it arrives: piece by piece as they come, and at its end what it has become.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence

from argosy.errors import Changed, Damaged, Failed, Refused
from argosy.node.data.arrival import Arrival
from argosy.node.data.transfer import Progress, send_all
from argosy.node.disk.checksums import Sums
from argosy.node.disk.volume import Volume
from argosy.wire import link
from argosy.wire.link import pieces
from argosy.wire.link.pieces import HEAD_BYTES, Mark, Piece

BUFFER_BYTES = 512 * 1024
"""Sent at once. A piece is never longer, so it keeps `PIECE_LIMIT`."""

_WORTH_BYTES = 16 * 1024
"""With less room left the buffer is sent first: pieces that are too small cost more than a write."""


def supply(
    made: socket.socket,
    items: Sequence[link.Item],
    volumes: Mapping[str, Volume],
    progress: Progress,
    *,
    arrival: Arrival | None = None,
    stall_seconds: float = 0.0,
) -> None:
    """Send files. One that can't be read is refused in its place, and the others go on.

    Args:
        made: The connection.
        items: What to send, in order.
        volumes: By store id.
        progress: Counted up.
        arrival: Of the one upload among them that is still arriving, if there is one.
        stall_seconds: How long that may stand still.

    Raises:
        TransferCut: The gatherer went, or stood still for too long.
    """
    outlet = _Outlet(made, progress)
    for item in items:
        try:
            if item.size == link.ARRIVING:
                _send_upload(outlet, item, volumes, arrival, stall_seconds)
                continue
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
    volume = _volume(item, volumes)
    try:
        if item.size == link.ARRIVING:
            descriptor = volume.read_upload(item.ver)
        else:
            descriptor = volume.read(item.loc, item.ver, item.size)
    except OSError as error:
        raise Failed(error.strerror or str(error)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _volume(item: link.Item, volumes: Mapping[str, Volume]) -> Volume:
    try:
        return volumes[item.store_id]
    except KeyError:
        raise Damaged(f"no volume {item.store_id} here") from None


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


def _send_upload(
    outlet: _Outlet,
    item: link.Item,
    volumes: Mapping[str, Volume],
    arrival: Arrival | None,
    stall_seconds: float,
) -> None:
    """Send an upload from its offset on: as it comes, or all of it, if it is sealed already."""
    if arrival is None:
        with _opened(item, volumes) as descriptor:
            size, crc32, digest = _volume(item, volumes).become(item.ver)
            _send_upto(outlet, item.ver, descriptor, item.offset, size)
    else:
        try:
            size, (crc32, digest) = _send_as_it_comes(outlet, item, volumes, arrival, stall_seconds)
        finally:
            arrival.let_go()
    said = pieces.whole(size, crc32, digest)
    outlet.room()[: len(said)] = said
    outlet.add(Piece(item.ver, len(said), Mark.WHOLE))


def _send_as_it_comes(
    outlet: _Outlet,
    item: link.Item,
    volumes: Mapping[str, Volume],
    arrival: Arrival,
    stall_seconds: float,
) -> tuple[int, Sums]:
    def beyond(offset: int) -> int:
        return arrival.beyond(offset, seconds=stall_seconds, progress=outlet.progress, sealed=False)

    beyond(-1)
    offset = item.offset
    with _opened(item, volumes) as descriptor:
        while (size := beyond(offset)) > offset:
            offset = _send_upto(outlet, item.ver, descriptor, offset, size)
            outlet.flush()
            arrival.taken(offset)
    return arrival.become


def _send_upto(outlet: _Outlet, ver: int, descriptor: int, offset: int, size: int) -> int:
    while offset < size:
        room = outlet.room()
        count = min(len(room), size - offset)
        _read(descriptor, room[:count], offset)
        outlet.add(Piece(ver, count, Mark.MORE))
        offset += count
    return offset


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
        self.progress = progress
        self._made = made
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._filled = 0

    def room(self) -> memoryview:
        """Lend the place of the next piece's bytes; `add` follows."""
        if len(self._buffer) - self._filled < HEAD_BYTES + _WORTH_BYTES:
            self.flush()
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
        self.flush()

    def flush(self) -> None:
        """Send what has gathered.

        Raises:
            TransferCut: See `supply`.
        """
        try:
            send_all(self._made, self._buffer[: self._filled], self.progress)
        except BaseException:
            self.broken = True
            raise
        self._filled = 0
