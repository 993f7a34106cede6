"""One volume: a root directory with its journal; what is read there, arrives there and is ordered there."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from argosy.errors import (
    BadArgument,
    Busy,
    ConfigError,
    Damaged,
    Failed,
    NoSpace,
    NotFound,
    Refused,
    TransferCut,
)
from argosy.node.disk import marks, reserve, roots, syscalls
from argosy.node.disk.checksums import Sums
from argosy.node.disk.extension import Extensions
from argosy.node.disk.journal import DoubtRow, Journal, PartRow, Row
from argosy.node.disk.placing import REFUSED_BY_DISK, Placing
from argosy.node.disk.roots import Root, check_loc, part_loc
from argosy.node.disk.sealing import finish
from argosy.wire import link

log = logging.getLogger("argosy.node")

PLACED_SECONDS = 1.0
"""An append waits so long for what it goes on from to be put in place; then it begins with a copy."""

_AT_ONCE = 64
"""Orders that are carried out under one lock, in one transaction of the journal: some milliseconds."""


class Volume:
    """One root directory of this node. Call it from threads only: everything here may wait for the disk.

    The journal's lock is held around each change of disk and journal. Every order may be repeated.
    """

    def __init__(self, root: Root, journal: Journal, *, trash_seconds: float) -> None:
        self.root = root
        self.journal = journal
        self.store_id = root.store_id
        self._trash_seconds = trash_seconds
        self._extensions = Extensions(root, journal)
        self._receiving: set[int] = set()
        self._touched: set[bytes] | None = None
        self.doubted: Callable[[bytes], object] = len  # until somebody looks
        """Told the loc of a file that was read wrong. For any thread."""
        self.unsummed: Callable[[bytes], object] = len
        """Told the loc of a file that came without checksums. Likewise."""
        self._placing = Placing(
            *(root, journal, self._extensions),
            trash=trash_seconds > 0,
            touch=self._touch,
            unsummed=self._came_unsummed,
        )

    @classmethod
    def open(cls, path: str | Path, *, trash_seconds: float) -> Self:
        """Open a root that has joined, and heal what a crash left.

        Raises:
            ConfigError: The root has no store id, or another process holds it, or its disk refuses.
        """
        root = Root(path)
        try:
            self = cls(root, _journal(root.journal_path), trash_seconds=trash_seconds)
            with self.journal.lock:
                self._placing.heal()
        except (Failed, NoSpace, OSError) as error:
            root.close()
            raise ConfigError(f"root {path}: {error}") from error
        return self

    def close(self) -> None:
        """Close the journal and let go of the root."""
        self.journal.close()
        self.root.close()

    def state(self) -> link.VolumeState:
        """Say how the volume is, for a master.

        Raises:
            Failed, OSError: The disk isn't there, or doesn't answer.
        """
        self.root.check()
        total, free = self.root.space()
        with self.journal.lock:
            parts = [
                link.Part(
                    row.upload, row.size if row.sealed else self.part_size(row.upload), bool(row.sealed)
                )
                for row in self.journal.parts()
            ]
            seq, generation = self.journal.reported, self.root.generation
            return link.VolumeState(self.store_id, seq, total, free, parts, generation)

    def remember(self, generation: int) -> None:
        """Write down on the disk which attachment this is.

        Raises:
            Failed: The disk refuses.
        """
        try:
            self.root.remember(generation)
        except OSError as error:
            raise roots.refusal(error) from error

    def space(self) -> link.Space:
        """Give the volume's figures.

        Raises:
            Failed, OSError: The disk isn't there, or doesn't answer.
        """
        self.root.check()
        return link.Space(self.store_id, *self.root.space(), self.journal.files)

    def empty_trash(self) -> None:
        """Delete for good what has been in the trash long enough."""
        self.root.empty_trash(self._trash_seconds)

    def keep_room(self, floor: int) -> int:
        """Delete for good what has been in the trash longest, until so many bytes are free; say how many.

        Raises:
            Failed, OSError: The disk isn't there, or doesn't answer.
        """
        self.root.check()
        return self.root.squeeze_trash(floor)

    # --- reading

    def read(self, loc: bytes, ver: int, size: int) -> int:
        """Open a version of a file: its part as long as it isn't in place, else the file.

        Returns:
            A descriptor; the caller closes it.

        Raises:
            Damaged: It isn't there, or it is shorter than `size`.
            Busy: Another version lies there: the caller was overtaken by an overwrite, and looks again.
            Failed: The disk refuses.
            BadArgument: Not a loc.
        """
        check_loc(loc)
        with self.journal.lock:
            try:
                descriptor = self.root.open(part_loc(ver) if self._waits(ver) else self._where(loc, ver))
            except NotFound as error:
                raise Damaged(loc) from error
            except OSError as error:
                raise roots.refusal(error) from error
        if os.fstat(descriptor).st_size < size:
            os.close(descriptor)
            raise Damaged(loc)
        return descriptor

    def is_rewritten(self, loc: bytes, ver: int) -> bool:
        """Whether a file has another size or time than the journal says: somebody wrote into it."""
        with self.journal.lock:
            row = self.journal.find_version(ver) if ver else self.journal.find(loc)
            if row is None or self._waits(ver) or self._extensions.on(row.loc) is not None:
                return False
            found = self.root.file(row.loc)
        return found is not None and (found.st_size, found.st_mtime_ns) != (row.size, row.mtime_ns)

    def holds(self, loc: bytes, ver: int, size: int) -> Row | None:
        """Give the row of a version that lies in its place, wherever that is by now."""
        with self.journal.lock:
            row = (self.journal.find_version(ver) if ver else None) or self.journal.find(loc)
        return row if row and row.size == size and (row.ver in (ver, 0) or not ver) else None

    def read_upload(self, upload: int) -> int:
        """Open an upload that is arriving, or has just arrived.

        Returns:
            A descriptor; the caller closes it.

        Raises:
            TransferCut: It was given up.
        """
        with self.journal.lock:
            part, row = self.journal.part(upload), self.journal.find_version(upload)
            here = upload in self._receiving or (part is not None and part.sealed)
            try:
                if here and self.root.file(part_loc(upload)):
                    return self.root.open(part_loc(upload))
                if row:
                    return self.root.open(row.loc)
            except NotFound:
                pass  # taken away by hand
        raise TransferCut("the upload of this file was cut")

    def become(self, upload: int) -> tuple[int, int | None, bytes | None]:
        """Give size and checksums of an upload that is sealed.

        Raises:
            TransferCut: It isn't.
        """
        with self.journal.lock:
            part, row = self.journal.part(upload), self.journal.find_version(upload)
            if part is not None and part.sealed:
                return part.size, part.crc32, part.digest
            if row is not None:
                return row.size, row.crc32, row.digest
        raise TransferCut("the upload of this file was cut")

    def _waits(self, ver: int) -> bool:
        """Whether a version is whole and not in its place yet."""
        with self.journal.lock:
            part = self.journal.part(ver) if ver else None
            return part is not None and bool(part.sealed) and self.root.file(part_loc(ver)) is not None

    def _where(self, loc: bytes, ver: int) -> bytes:
        """Find a version that may have been moved since the master knew where it is."""
        row = self.journal.find(loc)
        if row and (row.ver == ver or not ver):
            return loc
        if moved := self.journal.find_version(ver):
            return moved.loc  # first, for what was put there by hand may be in its way
        if row and not row.ver:
            return loc
        if row:
            raise Busy(loc)  # another version lies there
        return loc

    # --- arriving

    def receive(
        self, upload: int, offset: int, base: link.Base | None, *, flush: bool, noted: bool = True
    ) -> int:
        """Open an upload's part to be written from `offset` on; end with `release`.

        Args:
            upload: Which.
            offset: Where the first byte goes.
            base: See `link.Base`.
            flush: See `link.Receive`.
            noted: Journal it before it is sealed or kept: else a crash in between takes it away.

        Returns:
            A descriptor that stands at `offset`; the caller closes it.

        Raises:
            Busy: The part is being written already.
            BadArgument: There are fewer bytes before `offset`.
            Damaged: `base` isn't as it should be.
            NoSpace: No room for the bytes before `offset`.
        """
        with self.journal.lock:
            if upload in self._receiving:
                raise Busy(f"{upload:x}")
            self._receiving.add(upload)
        try:
            end = time.monotonic() + PLACED_SECONDS
            while base and self._waits(base.ver) and time.monotonic() < end:
                time.sleep(PLACED_SECONDS / 200)  # its order is here, or on its way
            return self._open_part(upload, offset, base, flush=flush, noted=noted)
        except OSError as error:
            self.release(upload)
            raise roots.refusal(error) from error
        except BaseException:
            self.release(upload)
            raise

    def _open_part(
        self, upload: int, offset: int, base: link.Base | None, *, flush: bool, noted: bool
    ) -> int:
        loc = part_loc(upload)
        with self.journal.lock:
            if noted:
                self.journal.put_part(PartRow(upload, sealed=0, flush=int(flush)))
            if base and offset == base.size and (extending := self._extend(upload, base)) is not None:
                return extending
            descriptor = self.root.open(loc, os.O_RDWR | os.O_CREAT)
        try:
            if base is not None:
                self._begin_with(descriptor, base, offset)
            _check_reaches(descriptor, offset)
            os.ftruncate(descriptor, offset)
            os.lseek(descriptor, offset, os.SEEK_SET)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _extend(self, upload: int, base: link.Base) -> int | None:
        """Have an upload go on in the file that it begins with; None: it must be copied."""
        if self._waits(base.ver):
            return None
        row = self.journal.find(self._where(base.loc, base.ver))
        if row is None or row.size != base.size or self.root.file(part_loc(upload)):
            return None
        return self._extensions.begin(upload, row)

    def _begin_with(self, descriptor: int, base: link.Base, count: int) -> None:
        source = self.read(base.loc, base.ver, base.size)
        try:
            if count > base.size:
                raise BadArgument(f"offset {count} behind the end at {base.size}")
            syscalls.copy(source, descriptor, count)
        finally:
            os.close(source)

    def appends_to(self, upload: int, offset: int) -> int | None:
        """Give the CRC-32 of the version that an upload extends from `offset` on; None: none, or unknown."""
        with self.journal.lock:
            return self._extensions.base_crc32(upload, offset)

    def _came_unsummed(self, loc: bytes) -> None:
        self.unsummed(loc)

    def keep(self, upload: int) -> int:
        """Give the bytes that a cut upload leaves, journalled: a client is told that it may go on there."""
        with self.journal.lock:
            size = self.part_size(upload)
            if size and self.journal.part(upload) is None:
                try:
                    self.journal.put_part(PartRow(upload, sealed=0, flush=0))
                except (Failed, NoSpace) as refused:
                    log.warning("%s: part %x isn't kept: %s", self.store_id, upload, refused)
                    self.root.remove(part_loc(upload))
                    return 0
        return size

    def part_size(self, upload: int) -> int:
        """Give the bytes of a part; 0 when there is none."""
        found = self.root.file(part_loc(upload))
        return found.st_size if found else 0

    def release(self, upload: int) -> None:
        """Say that nobody writes to the part any more. An append that wasn't sealed is undone."""
        with self.journal.lock:
            self._receiving.discard(upload)
            if upload in self._extensions:
                part = self.journal.part(upload)
                if part is None or not part.sealed:
                    self._extensions.undo(upload)
            self._placing.released(upload)

    def seal(
        self, upload: int, descriptor: int, *, flush: bool, crc32: int | None, digest: bytes | None
    ) -> PartRow:
        """Declare a part whole: from here on it outlasts a crash, and with `flush` a power cut.

        Raises:
            Failed: It was forgotten meanwhile, or the disk failed.
        """
        row = finish(upload, descriptor, flush=flush, crc32=crc32, digest=digest)
        if upload in self._extensions:
            self._seal_extension(row)
        else:
            self.journal.put_part(row)
        return row

    def seal_all(self, finished: Sequence[PartRow]) -> None:
        """Declare several parts whole, with the rows that `finish` gave: they share one flush of the journal.

        Raises:
            Failed: The journal fails, and with it all of them.
        """
        self.journal.put_parts(finished)

    def _seal_extension(self, row: PartRow) -> None:
        with self.journal.lock:  # a given up one keeps a name, and `release` is going to undo it
            if self.journal.part(row.upload) is None:
                raise Failed(f"part {row.upload:x} was given up")
            self.journal.put_part(row)

    # --- orders

    def commit(self, parts: Sequence[link.CommitPart]) -> None:
        """Put sealed parts in place; one that the disk refuses doesn't keep the others from theirs.

        What lies there and is known goes to the trash, it is the version replaced; what is unknown is kept
        in the quarantine. Where the place can't be had the file waits in a room of ours, and the journal says
        so. A part that is lost is journalled as gone: so the master hears of it. One that can't wait in that
        room either stays a part: it is read from there, and the next join commits it again.

        Raises:
            Failed: The disk is gone, or the journal fails. Ask again.
        """
        for start in range(0, len(parts), _AT_ONCE):
            with self.journal.together():
                for order in parts[start : start + _AT_ONCE]:
                    check_loc(order.loc)
                    with contextlib.suppress(*REFUSED_BY_DISK), self._one_refused("placed", order.loc):
                        self._placing.commit(order)
                self._placing.flush()

    def forget(self, uploads: Sequence[int]) -> None:
        """Remove parts; an append goes on to be undone when nobody writes to it any more."""
        with self.journal.lock:
            extensions = [upload for upload in uploads if upload in self._extensions]
            for upload in uploads:
                if upload not in extensions:
                    self.root.remove(part_loc(upload))  # first, for on a full disk the journal needs the room
            self.journal.drop_parts(uploads)
            for upload in extensions:
                if upload not in self._receiving:
                    self._extensions.undo(upload)

    def discard(self, files: Sequence[link.Doomed]) -> list[link.Left]:
        """Move files to the trash, or to the quarantine, each only if it is the version meant.

        Returns:
            Those that can't be moved, and stay.

        Raises:
            Failed: The disk is gone, or the journal fails. Ask again.
        """
        left: list[link.Left] = []
        for start in range(0, len(files), _AT_ONCE):
            with self.journal.together():
                for place, doomed in enumerate(files[start : start + _AT_ONCE], start):
                    check_loc(doomed.loc)
                    try:
                        with self._one_refused("discarded", doomed.loc):
                            self._placing.discard(doomed)
                    except REFUSED_BY_DISK as error:
                        refused = error if isinstance(error, Refused) else roots.refusal(error)
                        left.append(link.Left(place, type(refused).__name__, str(refused)))
                self._placing.flush()
        return left

    def purge(self, findings: Sequence[int]) -> None:
        """Delete for good what is kept in the quarantine under these numbers.

        Raises:
            Failed: The disk refuses.
        """
        try:
            for finding in findings:
                self.root.purge(finding)
        except OSError as error:
            raise roots.refusal(error) from error

    def settle(self, order: link.Settle) -> None:
        """Move a file to where the tree has it, and give it its time.

        Raises:
            Exists: Something is in the way. Ask later.
            NotFound: The file isn't there.
            Failed: The disk refuses. Ask later.
        """
        check_loc(order.loc)
        check_loc(order.to)
        try:
            with self.journal.lock:
                self._placing.settle(order)
        except OSError as error:
            raise roots.refusal(error) from error

    # --- what reading shows

    def open_as(self, row: Row) -> int | None:
        """Open a file that is as its row says; None: it isn't, or it is being appended to.

        Returns:
            A descriptor of its own; the caller closes it.

        Raises:
            Failed: The disk refuses.
        """
        if not self.is_as(row):
            return None
        try:
            return self.root.open(row.loc)
        except NotFound:
            return None
        except OSError as error:
            raise roots.refusal(error) from error

    def is_as(self, row: Row) -> bool:
        """Whether a file is on the disk as a row says, and that is what the journal says still."""
        with self.journal.lock:
            if self._extensions.on(row.loc) is not None:
                return False
            found, now = self.root.file(row.loc), self.journal.find(row.loc)
        return (
            (found is not None and now is not None)
            and (found.st_size, found.st_mtime_ns) == (row.size, row.mtime_ns)
            and (now.size, now.mtime_ns, now.ver) == (row.size, row.mtime_ns, row.ver)
        )

    def learn(self, read: Sequence[tuple[Row, Sums]]) -> None:
        """Journal the checksums of files, as far as they are what they were when they were read."""
        with self.journal.together():
            for row, sums in read:
                now = self.journal.find(row.loc)
                if now is not None and self.is_as(row):
                    self.journal.write([now._replace(crc32=sums.crc32, digest=sums.digest)])

    def judged(self, doubts: Sequence[DoubtRow], verdicts: Sequence[str]) -> None:
        """Take a master's verdicts: where the file was right, it was the journal that was wrong."""
        for doubt, verdict in zip(doubts, verdicts, strict=False):
            row = self.journal.find(doubt.loc)
            same = row is not None and (row.ver, row.size) == (doubt.ver, doubt.size)
            if verdict == "good" and row is not None and same and not doubt.trouble:
                self.learn([(row, Sums(doubt.crc32, doubt.digest))])
        self.journal.drop_doubts(doubt.loc for doubt in doubts)

    # --- what a scan finds

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Around a scan: remember what orders touch meanwhile, for the scan may have seen it before."""
        with self.journal.lock:
            self._touched = set()
        try:
            yield
        finally:
            self._touched = None

    def note(self, rows: Sequence[Row]) -> int:
        """Journal files that a scan found new or changed. Gives how many."""
        with self.journal.lock:
            if self._touched or self._extensions:
                rows = [row for row in rows if not self._is_touched(row.loc)]
            self.journal.write(rows)
        return len(rows)

    def lose(self, rows: Sequence[Row]) -> int:
        """Journal files that a scan didn't find, and that aren't there. Gives how many."""
        with self.journal.lock:
            rows = [row for row in rows if not self._is_touched(row.loc) and self.root.file(row.loc) is None]
            self.journal.write([row._replace(gone=1) for row in rows])
        return len(rows)

    def adopted(self, found: Row) -> Row:
        """Say which upload a found file is, if it is one that the journal has lost; else it came by hand."""
        mark = marks.read(self.root.path + b"/" + found.loc, found.size, found.mtime_ns)
        if mark is None:
            return found
        with self.journal.lock:
            known = self.journal.find_version(mark.ver)
            if known and known.loc != found.loc and self.root.file(known.loc):
                return found  # a copy, attributes and all
        return found._replace(ver=mark.ver, crc32=mark.crc32, digest=mark.digest, file=mark.file)

    @contextlib.contextmanager
    def _one_refused(self, what: str, loc: bytes) -> Iterator[None]:
        """Log that the disk refuses one file; raise another refusal if the disk itself is gone."""
        try:
            yield
        except REFUSED_BY_DISK as error:
            self.root.check()
            log.warning("%s: %r can't be %s: %s", self.store_id, loc, what, error)
            raise

    # --- inside, under the lock

    def _touch(self, *locs: bytes) -> None:
        if self._touched is not None:
            self._touched.update(locs)

    def _is_touched(self, loc: bytes) -> bool:
        return (self._touched is not None and loc in self._touched) or self._extensions.on(loc) is not None


def _journal(path: bytes) -> Journal:
    """Open a journal, be it that the disk is full.

    Raises:
        Failed, NoSpace: The disk refuses.
    """
    try:
        journal = Journal(path)
    except NoSpace:
        if not reserve.give_up(path):
            raise
        return Journal(path)
    reserve.keep(path)
    return journal


def _check_reaches(descriptor: int, offset: int) -> None:
    size = os.fstat(descriptor).st_size
    if size < offset:
        raise BadArgument(f"offset {offset}, the part has {size} bytes")
