"""A changed file: sparse local data, and a log that says which of its bytes count.

The log is written behind the data, so a killed gateway loses nothing that it has acknowledged.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from argosy.errors import TransferCut
from argosy.sites.model import FileId, Version
from argosy.sites.writing.extents import Extents
from argosy.sites.writing.logbook import (
    Record,
    Resized,
    Sent,
    State,
    Wanted,
    Wrote,
    disk,
    framed,
    opened,
    read_all,
    records,
    sync_directory,
    write_all,
)

_log = logging.getLogger(__name__)

_FILLED_SECONDS = 0.2
"""A client that writes in order has its requests come in any order; a hole that stays so long is one."""
_CROWDED = 4096
"""Records after which a log is written anew, if runs are a fourth of them or fewer."""


class Dirty(NamedTuple):
    """What a file is to become."""

    size: int
    mtime_ns: int
    mode: int | None
    """Permission bits that were asked for; None: as they are."""
    base: Version | None
    """What the site has; None: it has no such file yet."""
    kept: int
    """So many of the site's first bytes still count, where nothing was written over them."""


class Piece(NamedTuple):
    """A part of a file that is read: from the journal, from nowhere, or from the site."""

    start: int
    end: int
    data: bytes | None
    """None: the site has it."""


class Sending:
    """One upload of a draft, while it lasts."""

    __slots__ = ("at", "cut", "end", "generation", "later", "redo")

    def __init__(self, at: int) -> None:
        self.at = at
        """What comes before is sent, or about to be."""
        self.redo = Extents()
        """Written again after it was sent, before `end` was known."""
        self.later = Extents()
        """Written after `end` was known."""
        self.cut: int | None = None
        """The smallest size that the file had after `end` was known."""
        self.end: int | None = None
        """The size that the upload will have; None: it goes along with who writes."""
        self.generation = -1
        """The changes up to this one are in it."""


class Draft:
    """A changed file. Every method may be called from any thread; none but the properties from the loop."""

    def __init__(self, path: bytes, file: FileId, base: Version | None, *, size: int, boot: str) -> None:
        self.file = file
        self.called = b""
        """Where it was on the site when it was uploaded last; for people."""
        self.changed = threading.Condition()
        """Held around every change; told of each."""
        self.base = base
        self.size = size
        self.kept = size if base else 0
        self.mtime_ns = base.mtime_ns if base else time.time_ns()
        self.given = False
        """The time was set, and isn't that of the last write."""
        self.mode: int | None = None
        self.runs = Extents()
        """The bytes that are in the journal."""
        self.generation = 0
        """Counts changes."""
        self.placed = -1
        """The site has the changes up to this one."""
        self.touched = time.monotonic()
        """When the last change came."""
        self.temporary: bytes | None = None
        """Where the beginning of what is to become the file lies on the site."""
        self.appending: int | None = None
        """What the site has from here on is of an append of ours that was cut."""
        self.sending: Sending | None = None
        self.ending = False
        """Somebody waits for the upload: it takes what is there, and ends."""
        self.given_up = False
        """The file is gone: the upload stops."""
        self._path = path
        self._boot = boot
        self._before: str | None = None
        """The run of the machine that it is from, if that is over and its writer hasn't come back since."""
        self._records = 0

    # --- what is told

    @property
    def dirty(self) -> Dirty:
        """Say what the file is to become."""
        return Dirty(self.size, self.mtime_ns, self.mode, self.base, self.kept)

    @property
    def held(self) -> int:
        """How many bytes lie in the journal for it."""
        return self.runs.total

    @property
    def doubtful(self) -> bool:
        """Whether the machine went down, and what wasn't on the site is lost; its writer may come back."""
        return self._before is not None

    @property
    def removed(self) -> bool:
        """Whether nothing of it lies on the disk."""
        return not self._records

    @property
    def clean(self) -> bool:
        """Whether the site has all of it."""
        base = self.base
        if base is None or self.given or self.mode is not None:
            return False
        return not self.runs.total and self.kept == self.size == base.size

    def read(self, start: int, end: int) -> list[Piece]:
        """Give a part of the file, as far as it isn't on the site; all of it, up to the file's end.

        Raises:
            Failed: The journal can't be read.
        """
        with self.changed, disk("read"):
            end = min(end, self.size)
            if start >= end:
                return []
            pieces: list[Piece] = []
            at = start
            with opened(self._path + b".data", os.O_RDONLY) as data:
                for first, last in [*self.runs.within(start, end), (end, end)]:
                    if at < (theirs := min(first, self.kept)):
                        pieces.append(Piece(at, theirs, None))
                        at = theirs
                    if at < first:
                        pieces.append(Piece(at, first, bytes(first - at)))
                    if first < last:
                        pieces.append(Piece(first, last, os.pread(data, last - first, first)))
                    at = last
        return pieces

    # --- changes

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> int:
        """Take written bytes.

        Returns:
            How many more bytes lie in the journal.

        Raises:
            NoSpace: The disk is full.
            Failed: The disk fails.
        """
        end = offset + len(data)
        with self.changed, disk("write"), opened(self._path + b".data", os.O_RDWR | os.O_CREAT) as local:
            if self.runs.holds(offset, end) and os.pread(local, len(data), offset) == data:
                return 0  # sent again, by a client that hasn't heard that we have it
            write_all(local, data, offset)
            self._believe()
            now = time.time_ns()
            self._append(Wrote(offset, len(data), now))
            return self._wrote(offset, end, now)

    def resize(self, size: int) -> int:
        """Cut or lengthen the file.

        Returns:
            How many bytes fewer lie in the journal.

        Raises:
            NoSpace: The disk can't hold a file of that size; all is as it was.
        """
        with self.changed, disk("truncate"):
            now = time.time_ns()
            if size > self.size:
                with opened(self._path + b".data", os.O_RDWR | os.O_CREAT) as local:
                    os.ftruncate(local, size)
            self._believe()
            self._append(Resized(size, now), lasting=self.base is not None and size < self.kept)
            freed = self._resized(size, now)
            if os.path.exists(self._path + b".data"):
                os.truncate(self._path + b".data", size)
            return freed

    def want(self, mtime_ns: int | None = None, mode: int | None = None) -> None:
        """Have a time and permission bits go along with the content."""
        with self.changed, disk("log"):
            self._append(Wanted(mtime_ns, mode))
            self._wanted(mtime_ns, mode)

    def _wrote(self, offset: int, end: int, mtime_ns: int) -> int:
        if self.runs.within(offset, end):
            self._unsure()
        more = self.runs.add(offset, end)
        self.size = max(self.size, end)
        self.mtime_ns, self.given = mtime_ns, False
        if (sending := self.sending) is not None:
            if sending.end is not None:
                sending.later.add(offset, end)
            elif offset < sending.at:
                sending.redo.add(offset, min(end, sending.at))
        self._moved()
        return more

    def _resized(self, size: int, mtime_ns: int) -> int:
        if size < self.size:
            self._unsure()
        freed = self.runs.cut(size)
        if (sending := self.sending) is not None:
            if sending.end is not None:
                sending.cut = size if sending.cut is None else min(size, sending.cut)
                sending.later.cut(size)
            elif size < sending.at:
                sending.redo.add(size, sending.at)
        self.size, self.kept = size, min(self.kept, size)
        self.mtime_ns, self.given = mtime_ns, False
        self._moved()
        return freed

    def _wanted(self, mtime_ns: int | None, mode: int | None) -> None:
        if mtime_ns is not None:
            self.mtime_ns, self.given = mtime_ns, True
        if mode is not None:
            self.mode = mode
        self._moved()

    def _unsure(self) -> None:
        """Forget what lies on the site of an upload: nobody will know if it was sent before or after."""
        self.temporary = self.appending = None

    def _moved(self) -> None:
        self.generation += 1
        self.touched = time.monotonic()
        self.changed.notify_all()

    # --- uploads

    def start(self, at: int, *, temporary: bytes | None = None, appending: int | None = None) -> Sending:
        """Begin an upload at an offset; where it goes is kept in the log, for who comes after a crash."""
        with self.changed:
            self.sending = Sending(at)
            if (temporary, appending) != (self.temporary, self.appending):
                self._note(temporary, appending)
            return self.sending

    def claim(self, sending: Sending, most: int, *, lag: int, quiet_seconds: float) -> int:
        """Wait for bytes to send, and count them as sent.

        Args:
            sending: The upload.
            most: How many at once.
            lag: As long as nobody waits for the upload, the last bytes are held back: they may be written
                again soon.
            quiet_seconds: When nothing was written for so long the upload takes what is there, and ends.

        Returns:
            How many bytes from `sending.at` (as it was before) are to be sent; 0: all is sent.

        Raises:
            TransferCut: The file is gone.
        """
        with self.changed:
            while True:
                if self.given_up:
                    raise TransferCut("the file was removed")
                rest = self.touched + quiet_seconds - time.monotonic()
                if sending.end is None and (rest <= 0 or self._due(sending)):
                    self.fix(sending)
                end = self.runs.reach(sending.at) - lag if sending.end is None else sending.end
                if (count := min(most, end - sending.at)) > 0:
                    sending.at += count
                    return count
                if sending.end is not None:
                    return 0
                self.changed.wait(min(rest, 0.05) if self.ending else rest)

    def claim_whole(self, sending: Sending, most: int) -> bytes | None:
        """Give all of the file, if it is small and nothing is awaited any more, and count it as sent.

        Returns:
            None: It goes to the site as `claim` gives it.
        """
        with self.changed:
            if self.given_up or sending.at or self.size > most or not self._due(sending):
                return None
            sending.at = end = self.fix(sending)
        with self.data() as local:
            return os.pread(local, end, 0)

    def _due(self, sending: Sending) -> bool:
        """Whether an upload that somebody waits for can end: a hole is given a moment to be filled."""
        if not self.ending:
            return False
        hole = self.runs.reach(max(sending.at, self.kept)) < self.size
        return not hole or time.monotonic() > self.touched + _FILLED_SECONDS

    def fix(self, sending: Sending) -> int:
        """Settle which changes an upload has: those made up to now.

        Returns:
            The size that it will have.
        """
        with self.changed:
            if sending.end is None:
                sending.end, sending.generation = self.size, self.generation
                if self.runs.reach(sending.at) < self.size and (self.temporary or self.appending is not None):
                    self._note(None, None)  # zeros are sent, and somebody may write there
            return sending.end

    def _note(self, temporary: bytes | None, appending: int | None) -> None:
        """Keep where an upload goes; under the lock. A full disk is no reason not to upload."""
        self.temporary, self.appending = temporary, appending
        try:
            self._append(Sent(temporary, appending))
        except OSError as error:
            _log.warning("the journal can't be written to: %s", error)

    def stop(self) -> None:
        """End an upload that brought nothing, or all of it before `settle`; what it sent stays dirty."""
        with self.changed:
            self.sending = None

    def settle(self, sending: Sending, base: Version) -> None:
        """Note that an upload has succeeded.

        Args:
            sending: The upload.
            base: What the site has now.
        """
        with self.changed:
            end = base.size
            self.base, self.sending = base, None
            self.placed = self.placed if sending.redo.total else sending.generation
            self.kept = min(end, end if sending.cut is None else sending.cut, self.size)
            self.runs = Extents([*sending.redo, *sending.later])
            self.runs.cut(self.size)
            self.temporary = self.appending = None
            self.given = self.given and self.generation > sending.generation
            self.mode = self.mode if self.generation > sending.generation else None
            self.changed.notify_all()
            try:
                if self.clean:
                    self.remove()
                else:
                    self._rewrite()
                    self._release()
            except OSError as error:  # the old log says more than is left to do
                _log.warning("the journal can't be written to: %s", error)

    def end(self) -> None:
        """Have a running upload take what is there, and end."""
        with self.changed:
            self.ending = True
            self.changed.notify_all()

    def give_up(self) -> None:
        """Have a running upload stop."""
        with self.changed:
            self.given_up = True
            self.changed.notify_all()

    @contextlib.contextmanager
    def data(self) -> Iterator[int]:
        """Lend the local data, as long as the file is: what was never written reads as zeros."""
        with disk("open"), opened(self._path + b".data", os.O_RDWR | os.O_CREAT) as local:
            with self.changed:
                if os.fstat(local).st_size < self.size:
                    os.ftruncate(local, self.size)
            yield local

    def fill(self, local: int, offset: int, data: memoryview, *, adopt: bool) -> None:
        """Put bytes that came from the site where nothing was written since.

        Args:
            local: The local data.
            offset: Where they are in the file.
            data: The bytes.
            adopt: They count as written: the site's own are about to go.
        """
        with self.changed, disk("write"):
            for first, last in self.runs.missing(offset, min(offset + len(data), self.kept)):
                write_all(local, data[first - offset : last - offset], first)
                if adopt:
                    self._append(Wrote(first, last - first, self.mtime_ns))
                    self.runs.add(first, last)

    # --- the log

    def save(self) -> None:
        """Write the draft down, as a new one."""
        with self.changed, disk("log"):
            self._rewrite()

    def begin(self, mtime_ns: int | None, mode: int | None) -> None:
        """Write the draft down, as one of a new file, with the time and the permission bits it is to have."""
        with self.changed, disk("log"):
            self._wanted(mtime_ns, mode)
            self._rewrite()

    def remove(self) -> None:
        """Take the draft off the disk; the next change puts it there again."""
        with self.changed:
            for ending in (b".log", b".data"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path + ending)
            self._records = 0

    def _append(self, record: Record, *, lasting: bool = False) -> None:
        """Add to the log; under the lock."""
        if not self._records:
            self._rewrite()
        self._records += 1
        if self._records > _CROWDED and self._records > 4 * len(self.runs):
            self._rewrite()
        with opened(self._path + b".log", os.O_WRONLY | os.O_APPEND) as log:
            before = os.fstat(log).st_size
            try:
                write_all(log, framed(record))
            except OSError:
                os.ftruncate(log, before)  # what comes behind half a record would never be read
                raise
            if lasting:
                os.fdatasync(log)
        if lasting:
            sync_directory(os.path.dirname(self._path))

    def _rewrite(self) -> None:
        """Write the log anew, as one record; under the lock."""
        state = State(
            self._boot if self._before is None else self._before,
            self.base,
            self.size,
            self.kept,
            self.mtime_ns,
            self.given,
            self.mode,
            list(self.runs),
            self.temporary,
            self.appending,
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with opened(self._path + b".new", flags) as log:
            write_all(log, framed(state))
        os.rename(self._path + b".new", self._path + b".log")
        self._records = 1

    def _release(self) -> None:
        """Give the disk back what the site has; under the lock."""
        if not os.path.exists(self._path + b".data"):
            return
        with opened(self._path + b".data", os.O_RDWR) as local:
            for first, last in self.runs.missing(0, os.fstat(local).st_size):
                _punch(local, first, last - first)

    @classmethod
    def read_log(cls, path: bytes, file: FileId, boot: str) -> Draft | None:
        """Take up what a process before us left; None: there is nothing to go on with."""
        with opened(path + b".log", os.O_RDONLY) as log:
            told = list(records(read_all(log)))
        if not told or not isinstance(state := told[0], State):
            return None
        base = Version(*state.base) if state.base else None
        draft = cls(path, file, base, size=state.size, boot=boot)
        draft.kept, draft.mtime_ns, draft.given = state.kept, state.mtime_ns, state.given
        draft.mode, draft.runs = state.mode, Extents(state.runs)
        draft.temporary, draft.appending = state.temporary, state.appending
        with draft.changed:
            for record in told[1:]:
                draft._replay(record)
            if state.boot != boot:
                draft._doubt(state.boot)
            draft._rewrite()
        if os.path.exists(path + b".data"):
            os.truncate(path + b".data", draft.size)
        return draft

    def _replay(self, record: Record) -> None:
        match record:
            case Wrote(offset, length, mtime_ns):
                self._wrote(offset, offset + length, mtime_ns)
            case Resized(size, mtime_ns):
                self._resized(size, mtime_ns)
            case Wanted(mtime_ns, mode):
                self._wanted(mtime_ns, mode)
            case Sent(temporary, appending):
                self.temporary, self.appending = temporary, appending

    def _doubt(self, boot: str) -> None:
        """Forget what may not have reached the disk when the run of the machine ended that it is from."""
        self._unsure()
        self.runs, self.size = Extents(), self.kept
        self._before = boot

    def _believe(self) -> None:
        """Have it be as good as any other, from now on: its writer has come back."""
        if self._before is not None:
            self._before = None
            self._rewrite()


def _punch(descriptor: int, offset: int, length: int) -> None:
    """Make a hole, as far as the file system can; Python has no word for it."""
    if hasattr(_libc, "fallocate"):
        _libc.fallocate(
            descriptor, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_longlong(offset), ctypes.c_longlong(length)
        )


_libc = ctypes.CDLL(None)
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
"""`linux/falloc.h`."""
