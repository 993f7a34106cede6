"""What a thread does with a ticket's data connection: it sends a file, or takes one into a part."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from argosy import errors
from argosy.node.data import transfer
from argosy.node.data.arrival import Following, within
from argosy.node.data.compared import Compared
from argosy.node.data.ticket import Ticket
from argosy.node.disk.checksums import Expected, Sums, appended
from argosy.node.disk.journal import Row
from argosy.node.disk.volume import Volume
from argosy.wire import link


class Carrying:
    """Carries out transfers, each in a thread of its own, and gives their outcomes."""

    def __init__(
        self, volumes: Mapping[str, Volume], *, block_bytes: int, stall_seconds: float, sent_seconds: float
    ) -> None:
        """Take what all transfers need.

        Args:
            volumes: By store id.
            block_bytes: What the kernel doesn't move is copied in blocks of this size.
            stall_seconds: How long a file that is sent while it arrives may stand still.
            sent_seconds: For how long a large file that was compared while it was sent isn't compared again.
        """
        self._volumes = volumes
        self._block_bytes = block_bytes
        self._compared = Compared(sent_seconds)
        self.stall_seconds = stall_seconds
        """The master says it anew in each welcome."""

    def send(self, ticket: Ticket, order: link.Send, made: socket.socket) -> link.Done:
        """Send a file; the connection ends with a reset unless all of it went.

        Raises:
            Refused: Anything went wrong.
        """
        connection = ticket.connection
        assert connection is not None
        row: Row | None = None
        try:
            row = self._known(order)
            expected = self._expected(order, row)
            descriptor, extent = self._opened(ticket, order)
            if order.size != link.ARRIVING:
                ticket.progress.begin()
            try:
                transfer.send(
                    made,
                    descriptor,
                    offset=order.offset,
                    extent=extent,
                    as_text=order.ascii,
                    block_bytes=self._block_bytes,
                    progress=ticket.progress,
                    expected=expected,
                )
            finally:
                os.close(descriptor)
        except BaseException as error:
            connection.abort()  # the client mustn't take it for a whole file
            if row and isinstance(error, errors.Failed):
                self._volumes[order.store_id].doubted(row.loc)
            raise
        if expected and order.size > self._block_bytes:
            self._compared.note((order.store_id, order.loc, order.ver))
        connection.close()
        return link.Done(ticket.number, ticket.progress.moved, "", "")

    def _expected(self, order: link.Send, row: Row | None) -> Expected | None:
        """Say what a file sent whole must add up to; None: nobody knows, or it was compared of late."""
        if row is None or order.offset or (row.crc32 is None and row.digest is None):
            return None
        if order.size > self._block_bytes and self._compared.of_late((order.store_id, order.loc, order.ver)):
            return None
        if self._volumes[order.store_id].is_rewritten(order.loc, order.ver):
            return None  # by hand, as a scan will tell: it is another content, and no bad one
        return Expected(Sums(row.crc32, row.digest))

    def _known(self, order: link.Send) -> Row | None:
        """Say what the journal has of a file that is whole."""
        volume = self._volumes.get(order.store_id)
        if volume is None or order.size == link.ARRIVING or order.unproved:
            return None
        return volume.holds(order.loc, order.ver, order.size)

    def peek(self, order: link.Send | link.Peek) -> None:
        """Read the first byte of what is to be sent: now it can still come from elsewhere.

        Raises:
            Damaged: The file isn't there, or it is shorter.
            Failed: The disk can't read it.
        """
        descriptor = self._volume(order.store_id).read(order.loc, order.ver, order.size)
        try:
            if order.offset < order.size and not os.pread(descriptor, 1, order.offset):
                raise errors.Damaged("the file became shorter")
        except OSError as error:
            raise errors.Failed(error.strerror or str(error)) from error
        finally:
            os.close(descriptor)

    def _opened(self, ticket: Ticket, order: link.Send) -> tuple[int, transfer.Extent]:
        volume = self._volume(order.store_id)
        if order.size != link.ARRIVING:
            return volume.read(order.loc, order.ver, order.size), transfer.Whole(order.size)
        if ticket.arrival is None:  # it has ended since the master chose us
            descriptor = volume.read_upload(order.ver)
            return descriptor, transfer.Whole(os.fstat(descriptor).st_size)
        following = Following(ticket.arrival, stall_seconds=self.stall_seconds, progress=ticket.progress)
        if following.beyond(-1) < order.offset:
            raise errors.BadArgument(f"REST {order.offset} is behind what has arrived")
        return volume.read_upload(order.ver), following

    def receive(
        self, ticket: Ticket, order: link.Receive, made: socket.socket, *, content: bytes | None = None
    ) -> link.Done:
        """Take a file into a part, and seal that; the connection ends with a reset unless it is.

        Args:
            ticket: Whose connection.
            order: What for.
            made: The connection.
            content: All of the file, where it has been read from there already.

        Raises:
            Refused: Anything went wrong.
        """
        connection = ticket.connection
        assert connection is not None
        try:
            done = self._receive_part(ticket, order, self._volume(order.store_id), made, content)
        except BaseException:
            connection.abort()
            raise
        connection.close()
        return done

    def _receive_part(
        self,
        ticket: Ticket,
        order: link.Receive,
        volume: Volume,
        made: socket.socket,
        content: bytes | None,
    ) -> link.Done:
        assert ticket.arrival is not None, "made with the part"
        descriptor = volume.receive(
            order.upload, order.offset, order.base, flush=order.flush, noted=content is None
        )
        before = volume.appends_to(order.upload, order.offset)
        try:
            ticket.arrival.reach(order.offset)
            if content is None:
                ticket.progress.begin()
                sums = transfer.receive(
                    made,
                    descriptor,
                    sums=order.offset == 0 or before is not None,
                    as_text=order.ascii,
                    block_bytes=self._block_bytes,
                    progress=ticket.progress,
                    reach=within(order.room, ticket.arrival.reach),
                )
            else:
                sums = transfer.keep(descriptor, content, ticket.progress)
                ticket.arrival.reach(len(content))
            size = os.fstat(descriptor).st_size
            came = max(size, ticket.progress.moved)
            if came < order.announced:
                raise errors.Incomplete(f"{came} of {order.announced}")
            if order.offset:
                sums = appended(before, sums, size - order.offset)
            ticket.arrival.complete(size, sums)
            with ticket.progress.disk():
                part = volume.seal(
                    order.upload, descriptor, flush=order.flush, crc32=sums.crc32, digest=sums.digest
                )
        finally:
            os.close(descriptor)
            volume.release(order.upload)
        return link.Done(
            *(ticket.number, ticket.progress.moved, "", ""),
            size=part.size,
            mtime_ns=part.mtime_ns,
            crc32=part.crc32,
            digest=part.digest,
            store_id=order.store_id,
            upload=order.upload,
        )

    def _volume(self, store_id: str) -> Volume:
        try:
            return self._volumes[store_id]
        except KeyError:
            raise errors.Damaged(f"no volume {store_id} here") from None


def refused(ticket: Ticket, refusal: errors.Refused) -> link.Done:
    """Word the outcome of a transfer that came to nothing; with the size of its part, which may go on."""
    subject = refusal.subject
    text = subject.decode(errors="replace") if isinstance(subject, bytes) else str(subject)
    done = link.Done(ticket.number, ticket.progress.moved, type(refusal).__name__, text)
    if ticket.part:
        volume, upload = ticket.part
        done.size, done.store_id, done.upload = volume.keep(upload), volume.store_id, upload
    return done
