"""Reading files of a site in any order: from the cache, or by reading heads, which run ahead of the reader.

`known` answers at once, on the event loop. All else happens in threads of the reader's own, one for each head
that is at work; who waits for bytes gets them when the last of them has come.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from argosy import config
from argosy.errors import (
    Busy,
    Changed,
    Failed,
    NoDataConnection,
    Refused,
    TransferCut,
    Unavailable,
)
from argosy.sites.model import FileId, Version
from argosy.sites.reading import ahead
from argosy.sites.reading.blocks import Shelf
from argosy.sites.reading.heads import PIECE_BYTES, SKIP_BYTES, Connection, EndsEarly, Head, NoRestart, Source
from argosy.sites.session.pool import Pool

log = logging.getLogger(__name__)

_TRIES = 4
"""How often a head begins anew without a byte in between."""
_FIRST_PAUSE_SECONDS = 0.05
"""Before it does so; each is four times the one before."""

_STRIPE_BYTES = 4 * 1024 * 1024
"""What one of several heads fetches at a time."""
_FAST = 100_000_000
"""Bytes per second. A head that brings so much isn't held up by the distance: a second one wouldn't help."""

_FRESH_SECONDS = 1.0
"""A head that was used so lately will be again."""

_FILES = 1000
"""How many files' patterns of reading are remembered."""

_PASSING = (Busy, Failed, NoDataConnection, TransferCut, Unavailable)
"""Troubles that another try may not have."""


class ReadingReport(NamedTuple):
    """What was read, in bytes, and how."""

    asked: int
    """What the mount was asked for."""
    from_cache: int
    """Of that, what was there at once."""
    fetched: int
    """What came from the site, in vain or not."""
    heads: int
    """Open now."""
    opened: int
    """How many RETRs were begun."""


class _Waiter:
    """Somebody who wants bytes."""

    __slots__ = ("cursor", "end", "future", "pieces", "run")

    def __init__(self, run: ahead.Run, offset: int, end: int) -> None:
        self.run = run
        self.cursor = offset
        """As far as there are pieces."""
        self.end = end
        self.pieces: list[memoryview] = []
        self.future: Future[list[memoryview]] = Future()


class _File:
    """One file that is being read."""

    def __init__(self, version: Version, path: Callable[[], bytes], most_ahead: int) -> None:
        self.version = version
        self.path = path
        self.pattern = ahead.Pattern(most_ahead)
        self.heads: list[Head] = []
        self.waiters: list[_Waiter] = []


class Reader:
    """Reads the files of one storage."""

    def __init__(self, pool: Pool[Source], shelf: Shelf, settings: config.Remote) -> None:
        """Begin.

        Args:
            pool: The storage's connections.
            shelf: Where bytes are kept.
            settings: Limits.
        """
        self._pool = pool
        self._shelf = shelf
        self._settings = settings
        self._most_ahead = min(settings.read_ahead_bytes, shelf.limit // 8)
        self._restarts = True
        self._lock = threading.RLock()
        self._files: dict[FileId, _File] = {}
        self._executor = ThreadPoolExecutor(settings.connections, "read")
        # Apart: who waits for a connection in the others would wait for one that is to be given back there.
        self._leaving = ThreadPoolExecutor(2, "leave")
        self._closed = False
        self._asked = self._from_cache = self._fetched = self._opened = 0
        pool.lend(self._lend)

    def known(self, version: Version, offset: int, count: int) -> list[memoryview] | None:
        """Give bytes that are in memory, up to the file's end; None: not all are, `read` them."""
        pieces = self._shelf.known(version, offset, count)
        if pieces is None:
            return None
        with self._lock:
            end = min(offset + count, version.size)
            self._asked += max(0, end - offset)
            self._from_cache += max(0, end - offset)
            file = self._files.get(version.file)
            if file is not None and file.version == version:
                run = file.pattern.find(offset, end)
                if run is not None and run.planned < min(version.size, run.next + run.window // 2):
                    self._plan_ahead(file, run, run.next)
        return pieces

    async def read(
        self, version: Version, path: Callable[[], bytes], offset: int, count: int
    ) -> list[memoryview]:
        """Read bytes, up to the file's end.

        Args:
            version: What the file was seen to be.
            path: Gives where it is now, whenever a head begins.
            offset: Where to begin.
            count: How many.

        Raises:
            Changed: The file ends earlier than `version` says: ask the site anew.
            NotFound, Denied: As it is there.
            TransferCut, Unavailable: The site is in trouble, for longer than is borne.
        """
        return await asyncio.wrap_future(self.begin(version, path, offset, count))

    def fetch(self, version: Version, path: Callable[[], bytes], offset: int, count: int) -> list[memoryview]:
        """Do what `read` does, in a thread that waits."""
        return self.begin(version, path, offset, count).result()

    def begin(
        self, version: Version, path: Callable[[], bytes], offset: int, count: int
    ) -> Future[list[memoryview]]:
        """Begin to read; the rest as `read`."""
        end = max(offset, min(offset + count, version.size))
        with self._lock:
            self._asked += end - offset
            if self._closed:
                raise Unavailable("the mount is closed")
            file = self._file(version, path)
            waiter = _Waiter(file.pattern.note(offset, end), offset, end)
            file.waiters.append(waiter)
            self._progress(file)
            if waiter in file.waiters:
                self._plan(file, waiter)
            else:
                self._from_cache += end - offset
        return waiter.future

    def forget(self, file: FileId) -> None:
        """Forget a file's bytes: it was changed, or is gone. Who waits for some hears so."""
        with self._lock:
            known = self._files.pop(file, None)
            if known is not None:
                self._disperse(known)
        self._shelf.forget(file)

    def give_way(self, file: FileId) -> None:
        """End a file's heads for which nobody waits: some sites lock a file that is being read."""
        with self._lock:
            if (known := self._files.get(file)) is None:
                return
            for head in list(known.heads):
                if not self._waited_for(known, head):
                    self._retire(known, head)

    def tend(self) -> None:
        """Give back what heads hold without need. To be called each few seconds, in a thread."""
        before = time.monotonic() - self._settings.park_seconds
        while self._release(lambda head: head.used_at < before):
            pass

    def close(self) -> None:
        """End all heads. Who waits hears that the mount is closed. Waits for threads."""
        with self._lock:
            self._closed = True
            for file in self._files.values():
                self._fail(file, Unavailable("the mount is closed"))
                for head in file.heads:
                    head.dropped = True
        while self._release(lambda _: True):
            pass
        self._executor.shutdown(wait=True)
        self._leaving.shutdown(wait=True)
        self._shelf.clear()

    def report(self) -> ReadingReport:
        """Say what was read."""
        with self._lock:
            heads = sum(head.open for file in self._files.values() for head in file.heads)
            return ReadingReport(self._asked, self._from_cache, self._fetched, heads, self._opened)

    # --- plans, with the lock held

    def _file(self, version: Version, path: Callable[[], bytes]) -> _File:
        file = self._files.get(version.file)
        if file is None or file.version != version:
            if file is not None:
                self._disperse(file)
            file = self._files[version.file] = _File(version, path, self._most_ahead)
            if len(self._files) > _FILES:
                for old in [one for one, it in self._files.items() if not it.heads and not it.waiters][:100]:
                    del self._files[old]
        file.path = path
        return file

    def _plan(self, file: _File, waiter: _Waiter) -> None:
        """See that somebody fetches what a waiter lacks, and what comes after it."""
        if self._shelf.kept(file.version, waiter.cursor, waiter.end):
            self._executor.submit(self._restore, file, waiter)
            return
        if waiter.run.window >= self._most_ahead:
            waiter.run.waits += 1
        self._plan_ahead(file, waiter.run, waiter.cursor, waiter.end)

    def _plan_ahead(self, file: _File, run: ahead.Run, start: int, needed: int = 0) -> None:
        """Have bytes fetched: those that are needed, and what a run wants ahead of it."""
        end = min(file.version.size, max(needed, run.next + run.window))
        gaps = []
        for begin, stop in self._shelf.missing(file.version, start, end):
            there = 0 if begin < needed else self._shelf.kept(file.version, begin, stop)
            if begin + there < stop:
                gaps.append((begin + there, stop))
        parallel = self._parallel(file, run)
        stray = not run.window and file.pattern.strays > 1
        for gap in ahead.joined(gaps, SKIP_BYTES):
            for begin, stop in ahead.striped(*gap, _STRIPE_BYTES) if parallel > 1 else (gap,):
                if not self._assign(file, begin, stop, parallel, stray=stray):
                    return
                run.planned = max(run.planned, stop)
        run.planned = max(run.planned, end)

    def _parallel(self, file: _File, run: ahead.Run) -> int:
        """Give how many heads share a run: several, if its reader has to wait and one head isn't fast."""
        fastest = max((head.bytes_per_second for head in file.heads), default=0.0)
        if not self._restarts or fastest > _FAST:
            return 1
        return min(1 + run.waits // 4, self._settings.heads)

    def _assign(self, file: _File, start: int, end: int, parallel: int, *, stray: bool) -> bool:
        """Have a head fetch a range: one that comes by, or a new one. False: enough are at work."""
        near = [head for head in file.heads if not head.dropped and self._reaches(head, start, parallel)]
        if near:
            head = max(near, key=lambda one: (start < one.target, one.begun))
        else:
            if parallel > 1 and len(file.heads) >= parallel:
                idle = [head for head in file.heads if not head.active]
                if not idle:
                    return False
                self._retire(file, idle[0])
            head = Head(file.version, file.path, start if self._restarts else 0, end)
            file.heads.append(head)
        head.stray = stray
        head.target = max(head.target, end if self._restarts else file.version.size)
        head.used_at = time.monotonic()
        if not head.active:
            head.active = True
            self._executor.submit(self._work, file, head)
        return True

    def _reaches(self, head: Head, start: int, parallel: int) -> bool:
        """Say whether a head comes by a place, or nearly."""
        if head.begun > start:
            return False
        if start < head.target or head.begun == start or not self._restarts:
            return True
        same = parallel == 1 or start // _STRIPE_BYTES == head.begun // _STRIPE_BYTES
        return same and start - head.target <= SKIP_BYTES

    def _retire(self, file: _File, head: Head) -> None:
        head.dropped = True
        if not head.active:
            file.heads.remove(head)
            if connection := head.detach():
                self._leaving.submit(self._leave, connection)

    def _disperse(self, file: _File) -> None:
        """Have no more to do with a file as it was."""
        self._fail(file, Changed())
        for head in list(file.heads):
            self._retire(file, head)

    def _progress(self, file: _File, upto: int | None = None) -> None:
        """Give waiters what has come."""
        for waiter in list(file.waiters):
            if upto is None or waiter.cursor <= upto:
                waiter.cursor = self._shelf.collect(file.version, waiter.cursor, waiter.end, waiter.pieces)
                if waiter.cursor >= waiter.end:
                    file.waiters.remove(waiter)
                    if waiter.future.set_running_or_notify_cancel():
                        waiter.future.set_result(waiter.pieces)

    def _fail(self, file: _File, trouble: Refused, head: Head | None = None) -> None:
        """Tell those who wait for a head, or for any, that it's of no use."""
        for waiter in list(file.waiters):
            if head is None or head.begun <= waiter.cursor < head.target:
                file.waiters.remove(waiter)
                if waiter.future.set_running_or_notify_cancel():
                    waiter.future.set_exception(trouble)

    def _waited_for(self, file: _File, head: Head) -> bool:
        return any(
            head.begun <= waiter.cursor < head.target and not waiter.future.cancelled()
            for waiter in file.waiters
        )

    def _see_to_all(self, file: _File) -> None:
        """Plan anew for those whom no head will reach."""
        if self._files.get(file.version.file) is not file:
            return
        for waiter in list(file.waiters):
            if waiter.future.cancelled():
                file.waiters.remove(waiter)
            elif not any(
                head.active and not head.dropped and head.begun <= waiter.cursor < head.target
                for head in file.heads
            ):
                self._plan(file, waiter)

    # --- in threads

    def _restore(self, file: _File, waiter: _Waiter) -> None:
        """Bring bytes back from disk."""
        tries = 0
        while tries < _TRIES:
            cursor = waiter.cursor
            end = min(file.version.size, max(waiter.end, cursor + PIECE_BYTES))
            found = self._shelf.restore(file.version, cursor, end)
            with self._lock:
                if found and waiter.cursor == cursor:
                    waiter.pieces.append(found[: waiter.end - cursor])
                    waiter.cursor = min(waiter.end, cursor + len(found))
                self._progress(file)
                if waiter not in file.waiters:
                    return
                if found is None:
                    break
                tries = tries + 1 if waiter.cursor == cursor else 0
        with self._lock:
            if waiter in file.waiters:
                self._plan_ahead(file, waiter.run, waiter.cursor, waiter.end)

    def _work(self, file: _File, head: Head) -> None:
        """Have a head fetch what it is to fetch, then park it or end it."""
        with self._lock:
            head.working = True
        try:
            while self._goes_on(file, head):
                self._step(file, head)
        except Exception as accident:
            log.exception("accident while reading %r", file.path())
            with self._lock:
                self._fail(file, Failed(str(accident)), head)
                self._stop(file, head)
        if head.position >= file.version.size:
            head.conclude(self._pool)
        elif head not in file.heads:
            head.release(self._pool)
        with self._lock:
            self._fetched += head.vain
            head.vain = 0

    def _goes_on(self, file: _File, head: Head) -> bool:
        """Say whether there is more to do; if not, the head is no longer at work."""
        with self._lock:
            head.begun = head.position
            if not head.dropped and head.wants > 0:
                if not (self._pool.wanted and self._restarts) or self._waited_for(file, head):
                    return True
                head.dropped = True  # somebody else needs the connection more than we what is ahead
            gone = self._files.get(file.version.file) is not file
            if gone or head.dropped or head.stray or self._pool.wanted or head.position >= file.version.size:
                self._stop(file, head)
            else:
                head.active = head.working = False
                head.used_at = time.monotonic()
                self._see_to_all(file)
            return False

    def _stop(self, file: _File, head: Head) -> None:
        """Take a head out of the plans."""
        head.active = head.working = False
        if head in file.heads:
            file.heads.remove(head)
        self._see_to_all(file)

    def _step(self, file: _File, head: Head) -> None:
        """Open a head if need be, and fetch a piece."""
        try:
            if head.start(self._pool, self._settings.away_seconds, restarts=self._restarts):
                with self._lock:
                    self._opened += 1
            head.fill(self._pool, self._shelf, lambda count: self._came(file, head, count))
        except Refused as trouble:
            head.release(self._pool)
            if isinstance(trouble, NoRestart):
                self._restart_no_more(file, head, trouble)
            else:
                self._suffer(file, head, trouble)

    def _came(self, file: _File, head: Head, count: int) -> None:
        with self._lock:
            self._fetched += count
            self._progress(file, head.position)

    def _restart_no_more(self, file: _File, head: Head, trouble: Refused) -> None:
        """Remember that this site sends files from their beginning only: each is fetched once, and kept."""
        with self._lock:
            if self._restarts:
                log.info(
                    "files can't be read from the middle, so they are fetched whole: %s", trouble.subject
                )
            self._restarts = False
            self._shelf.keep_all()
            head.position = head.begun = 0
            head.target, head.stray = file.version.size, False

    def _suffer(self, file: _File, head: Head, trouble: Refused) -> None:
        """Let a head try again, or tell those who wait for it why there is nothing."""
        ended = isinstance(trouble, EndsEarly)
        sure = head.ended_at == head.position and (ended or not isinstance(trouble, _PASSING))
        head.ended_at = head.position if ended else None
        with self._lock:
            waited = self._waited_for(file, head)
            head.tries += 1
            head.troubled_at = head.troubled_at if head.tries > 1 else time.monotonic()
            borne = time.monotonic() - head.troubled_at <= self._settings.away_seconds
            passing = isinstance(trouble, _PASSING) and borne and head.tries < _TRIES
            if sure or not passing or not waited or self._closed:
                head.dropped = True
                if sure or (ended and waited):  # it ended here before, or all tries ended early
                    self._shelf.forget(file.version.file)
                    self._fail(file, Changed(trouble.subject))
                self._fail(file, trouble, head)
                return
            pause = _FIRST_PAUSE_SECONDS * 4 ** (head.tries - 1)
        time.sleep(pause)

    # --- who has connections that aren't needed

    def _lend(self, urgent: bool) -> bool:
        before = time.monotonic() - _FRESH_SECONDS
        return self._release(lambda head: urgent or head.stray or head.narrow or head.used_at < before)

    def _release(self, which: Callable[[Head], bool]) -> bool:
        """End the longest unused head that isn't at work, of those that are meant."""
        with self._lock:
            resting = [
                (head.used_at, file, head)
                for file in self._files.values()
                for head in file.heads
                if head.open and not head.working and which(head)
            ]
            if not resting:
                return False
            _, file, head = min(resting, key=lambda one: one[0])
            connection = head.detach()
            if not head.active:
                file.heads.remove(head)
        if connection is not None:
            self._leave(connection)
        return True

    def _leave(self, connection: Connection) -> None:
        vain = connection.leave(self._pool)
        with self._lock:
            self._fetched += vain
