"""Taking files from another node, one after the other over one connection, into parts.

Small files are sealed several at a time, for a flush of the journal costs the same for one as for many. What
is whole is told as soon as it is sealed. A cut leaves the part of a large file, to be gone on with.

An upload that is still arriving at the supplier is taken likewise; how large it is comes at its end.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from argosy.errors import BadArgument, Busy, Damaged, Failed, NoSpace, Refused, TransferCut
from argosy.net.peer import refusal
from argosy.node.data.arrival import Arrival
from argosy.node.data.transfer import Progress, cut_by, write
from argosy.node.disk import roots
from argosy.node.disk.checksums import Summing, Sums
from argosy.node.disk.journal import PartRow
from argosy.node.disk.sealing import finish
from argosy.node.disk.volume import Volume
from argosy.wire import link
from argosy.wire.link import pieces
from argosy.wire.link.pieces import HEAD_BYTES, PIECE_LIMIT, Mark

RESUME_BYTES = 1 << 20
"""A part that has so much is worth keeping when it is cut."""

_SEAL_FILES, _SEAL_BYTES, _SEAL_SECONDS = 64, 16 << 20, 0.5
"""So many files, or bytes, or so long a time are sealed together."""

_FLUSHERS = 8
"""Threads that flush files: the disk writes several together, one after the other it has to wait for each."""

Report = Callable[[list[link.Arrived]], None]
"""Tells the master what became of files."""


def gather(
    made: socket.socket,
    order: link.Gather,
    volume: Volume,
    progress: Progress,
    report: Report,
    *,
    arrival: Arrival | None = None,
) -> None:
    """Take the files of an order.

    Args:
        made: The connection.
        order: Which, and how large they are.
        volume: Where to.
        progress: Counted up.
        report: Called for each file once, whole or not, as long as the connection holds.
        arrival: Of the one upload among them, for those who take it from here while it comes.

    Raises:
        TransferCut: The supplier went, stood still for too long, or sent what makes no sense.
        NoSpace: The disk is full, or will be: there is no room for all of them.
        Failed: The disk failed.
    """
    try:
        _, free = volume.root.space()
    except OSError as error:
        raise roots.refusal(error) from error
    known = [item for item in order.items if item.size != link.ARRIVING]
    if (lacking := sum(item.size - item.offset for item in known) - free) > 0:
        raise NoSpace(f"{lacking} bytes too many")
    with ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="flush") as flushers:
        gathering = _Gathering(
            made, order, volume, progress=progress, report=report, flushers=flushers, arrival=arrival
        )
        try:
            for wanted in order.items:
                gathering.take(wanted)
            gathering.end()
        finally:
            gathering.seal()


class _Finished(NamedTuple):
    """A file that is whole and not sealed yet."""

    wanted: link.Wanted
    descriptor: int
    sums: Sums


class _Gathering:
    """The files of one order on their way in."""

    def __init__(
        self,
        made: socket.socket,
        order: link.Gather,
        volume: Volume,
        *,
        progress: Progress,
        report: Report,
        flushers: ThreadPoolExecutor,
        arrival: Arrival | None,
    ) -> None:
        self._made = made
        self._flush = order.flush
        self._volume = volume
        self._progress = progress
        self._report = report
        self._flushers = flushers
        self._arrival = arrival or Arrival()
        self._coming = pieces.Coming(
            (item.ver, -1 if item.size == link.ARRIVING else item.size - item.offset) for item in order.items
        )
        self._head = memoryview(bytearray(HEAD_BYTES))
        self._buffer = memoryview(bytearray(PIECE_LIMIT))
        self._finished: list[_Finished] = []
        self._since, self._bytes = 0.0, 0

    def take(self, wanted: link.Wanted) -> None:
        """Take one file, whole or refused.

        Raises:
            TransferCut: See `gather`; the part of a large file stays.
            NoSpace: Likewise.
            Failed: Likewise.
        """
        if self._finished and not 0 <= wanted.size < RESUME_BYTES:
            self.seal()  # the others needn't wait for it
        try:
            descriptor = self._volume.receive(
                wanted.ver, wanted.offset, wanted.base, flush=self._flush, noted=self._is_noted(wanted)
            )
        except (Busy, BadArgument) as refused:
            if wanted.size == link.ARRIVING:  # nobody knows when it ends, and the master has to begin anew
                self._report([_refused(wanted.ver, refused)])
                raise
            self._skip()
            self._report([_refused(wanted.ver, refused)])
            return
        try:
            came = self._fill(wanted, descriptor)
        except Refused as refused:
            self._let_go(wanted, descriptor, refused, came=os.lseek(descriptor, 0, os.SEEK_CUR))
            raise
        except BaseException:
            self._let_go(wanted, descriptor, Failed("accident"))
            raise
        if isinstance(came, Refused):
            self._let_go(wanted, descriptor, came, came=os.lseek(descriptor, 0, os.SEEK_CUR))
            return
        if wanted.size == link.ARRIVING:
            self._seal_upload(_Finished(wanted, descriptor, came))
            return
        self._since = self._since or time.monotonic()
        self._bytes += wanted.size
        self._finished.append(_Finished(wanted, descriptor, came))
        if (
            len(self._finished) >= _SEAL_FILES
            or self._bytes >= _SEAL_BYTES
            or time.monotonic() - self._since >= _SEAL_SECONDS
        ):
            self.seal()

    def end(self) -> None:
        """Hear that this was all.

        Raises:
            TransferCut: It wasn't.
        """
        self._next()

    def seal(self) -> None:
        """Seal what is whole, and tell of it."""
        finished, self._finished, self._since, self._bytes = self._finished, [], 0.0, 0
        each = (self._flushers.map if len(finished) > 1 else map)(self._finish, finished)
        outcomes = list(zip(finished, each, strict=True))
        rows = [row for _, row in outcomes if isinstance(row, PartRow)]
        told = [_refused(one.wanted.ver, why) for one, why in outcomes if isinstance(why, Refused)]
        try:
            self._volume.seal_all(rows)
        except Refused as refused:
            told += [_refused(row.upload, refused) for row in rows]
        else:
            told += [
                link.Arrived(row.upload, "", "", row.size, row.mtime_ns, row.crc32, row.digest)
                for row in rows
            ]
        self._over([one.wanted.ver for one in finished], [one.ver for one in told if one.refusal])
        if told:
            self._report(told)

    # --- inside

    def _is_noted(self, wanted: link.Wanted) -> bool:
        """Whether a part is journalled before it is whole; a new upload's is, once it is large."""
        if wanted.size != link.ARRIVING:
            return wanted.size >= RESUME_BYTES
        with self._volume.journal.lock:
            return wanted.offset > 0 or self._volume.journal.part(wanted.ver) is not None

    def _seal_upload(self, one: _Finished) -> None:
        ver = one.wanted.ver
        try:
            row = self._volume.seal(
                ver, one.descriptor, flush=self._flush, crc32=one.sums.crc32, digest=one.sums.digest
            )
        except Refused as refused:
            self._let_go(one.wanted, one.descriptor, refused)
            return
        os.close(one.descriptor)
        self._over([ver], [])
        self._report([link.Arrived(ver, "", "", row.size, row.mtime_ns, row.crc32, row.digest)])

    def _finish(self, one: _Finished) -> PartRow | Refused:
        sums = one.sums
        try:
            return finish(
                one.wanted.ver, one.descriptor, flush=self._flush, crc32=sums.crc32, digest=sums.digest
            )
        except Refused as refused:
            return refused
        finally:
            os.close(one.descriptor)

    def _fill(self, wanted: link.Wanted, descriptor: int) -> Sums | Refused:
        """Write a file's pieces. Gives its checksums, or why it is worth nothing.

        Raises:
            TransferCut: See `gather`.
            NoSpace: Likewise.
            Failed: Likewise.
        """
        if wanted.size == link.ARRIVING:
            return self._fill_upload(wanted, descriptor)
        summing = Summing()
        self._add_part(summing, descriptor, wanted.offset)
        while True:
            piece = self._next()
            content = self._buffer[: piece.length]
            self._read(content)
            if piece.mark is Mark.REFUSED:
                return refusal(*pieces.refused(bytes(content)))
            write(descriptor, content)
            summing.add(content)
            if piece.mark is Mark.LAST:
                sums = summing.sums()
                return _compared(sums, wanted.crc32, wanted.digest)

    def _fill_upload(self, wanted: link.Wanted, descriptor: int) -> Sums | Refused:
        """Likewise of an upload: it is summed where it comes from its beginning on, as its first part is.

        An append's sums are those that its first part has: should what it goes on from have rotted here, the
        scrub will find that.
        """
        summing = None if wanted.offset else Summing()
        stored, kept = wanted.offset, self._is_noted(wanted)
        self._arrival.reach(stored)
        while True:
            piece = self._next()
            content = self._buffer[: piece.length]
            self._read(content)
            if piece.mark is Mark.REFUSED:
                return refusal(*pieces.refused(bytes(content)))
            if piece.mark is Mark.WHOLE:
                break
            write(descriptor, content)
            if summing:
                summing.add(content)
            stored += piece.length
            self._arrival.reach(stored)
            if not kept and stored >= RESUME_BYTES:
                kept = bool(self._volume.keep(wanted.ver))
        size, crc32, digest = pieces.said_whole(bytes(content))
        if size != stored:
            return Damaged(f"{stored} bytes came of {size}")
        sums = summing.sums() if summing else Sums(None, None)
        found = _compared(sums, crc32, digest)
        if isinstance(found, Refused):
            return found
        self._arrival.complete(size, Sums(crc32, digest))
        return found if summing else Sums(crc32, digest)

    def _add_part(self, summing: Summing, descriptor: int, size: int) -> None:
        """Sum up what the part has already."""
        done = 0
        while done < size:
            try:
                count = os.preadv(descriptor, [self._buffer[: size - done]], done)
            except OSError as error:
                raise roots.refusal(error) from error
            if not count:
                raise Failed("the part became shorter")
            summing.add(self._buffer[:count])
            done += count

    def _skip(self) -> None:
        """Pass over a file that can't be written."""
        while True:
            piece = self._next()
            self._read(self._buffer[: piece.length])
            if piece.mark is not Mark.MORE:
                return

    def _next(self) -> pieces.Piece:
        self._read(self._head)
        try:
            return self._coming.take(self._head)
        except link.LinkError as error:
            raise TransferCut(str(error)) from error

    def _read(self, into: memoryview) -> None:
        while into:
            try:
                count = self._made.recv_into(into, self._progress.pace.portion(len(into)))
            except OSError as error:
                raise cut_by(error, self._progress) from error
            if not count:
                raise TransferCut("it ended too early")
            self._progress.count(count)
            into = into[count:]

    def _let_go(self, wanted: link.Wanted, descriptor: int, refused: Refused, *, came: int = 0) -> None:
        """End a file that isn't whole; its part stays if it was cut late enough."""
        os.close(descriptor)
        kept = came if isinstance(refused, TransferCut) and came >= RESUME_BYTES else 0
        self._over([wanted.ver], [] if kept else [wanted.ver])
        self._report([_refused(wanted.ver, refused, kept)])

    def _over(self, vers: Sequence[int], forgotten: Sequence[int]) -> None:
        """Give parts free that nobody writes to any more, and drop those that are worth nothing."""
        try:
            if forgotten:
                self._volume.forget(forgotten)
        finally:
            for ver in vers:
                self._volume.release(ver)


def _compared(sums: Sums, crc32: int | None, digest: bytes | None) -> Sums | Damaged:
    """Give checksums back if they are those that are known, as far as both are."""
    pairs = ((crc32, sums.crc32), (digest, sums.digest))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return Damaged("the checksum is wrong")
    return sums


def _refused(ver: int, refused: Refused, received: int = 0) -> link.Arrived:
    subject = refused.subject
    text = subject.decode(errors="replace") if isinstance(subject, bytes) else str(subject)
    return link.Arrived(ver, type(refused).__name__, text, received)
