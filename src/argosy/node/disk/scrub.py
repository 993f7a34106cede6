"""A volume's files are read and compared with their checksums, all of them once in some days.

It goes by loc, past the page cache, at a pace, and lets everybody else who wants the disk go first. How far
it is stands in the journal, so a restart goes on. A file without checksums gets them. One that isn't as it
should be is read a second time before it is told of; what is to be told waits in the journal until a master
has judged it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from argosy import config
from argosy.errors import Damaged, Failed, NoSpace
from argosy.node.disk.checksums import Summing, Sums
from argosy.node.disk.journal import DoubtRow, PassRow, Row
from argosy.node.disk.pace import Pace
from argosy.node.disk.reading import DiskReader, give_way
from argosy.node.disk.volume import Volume

log = logging.getLogger("argosy.node")

_DAY_NS = 86_400 * 1_000_000_000

_PAGE = 500
"""Rows taken from the journal at once."""

_LEARNT = 100
"""Files whose first checksums are journalled together."""

_NOTE_SECONDS = 2.0
"""How often it is journalled how far it is."""

_SEEK_BYTES = 64 * 1024
"""What a file costs at the least: to find it on a disk takes as long as to read so much."""

_LOOK_SECONDS = 1.0
"""How often it is looked whether transfers run."""

_BUSY_BYTES_PER_SECOND = 1_000_000
"""Transfers that move more than this shall not be disturbed."""

_MOST_PAUSE_SECONDS = 1.0
"""While they run, the longest pause after a block: a pass goes on, if slowly."""


class Read(NamedTuple):
    """What reading a file has shown."""

    sums: Sums
    trouble: str = ""


class _Own(threading.local):
    """What each thread that reads has for itself."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.pace = Pace(sleep=sleep)


class Scrubber:
    """One volume's passes, one at a time, in a thread of their own."""

    def __init__(self, volume: Volume, settings: config.Scrub, scanned: asyncio.Event) -> None:
        """Make it; nothing is read yet.

        Args:
            volume: What to read.
            settings: How often, and how fast.
            scanned: Set once the journal has what lies on the disk: no pass begins by itself before.
        """
        self.traffic: Callable[[], int] = int
        """Gives the bytes that transfers have moved since the node's start."""
        self.news = asyncio.Event()
        """Set when there is something to tell a master."""
        self.trouble = ""
        """Why the pass that is due doesn't go on; empty: it does, or none is."""
        self._volume = volume
        self._settings = settings
        self._scanned = scanned
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scrub", initializer=give_way)
        self._looker, self._learner = (
            ThreadPoolExecutor(1, thread_name_prefix=name, initializer=give_way) for name in ("look", "learn")
        )
        self._stopping = threading.Event()
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own = _Own(self._sleep)
        self._stand = volume.journal.scrub_pass()
        self._hurry = bool(self._stand.running and self._stand.hurried)
        self._ordered = False
        self._started = time.monotonic()
        self._looked_at, self._moved, self._busy = 0.0, 0, False
        self._looking: set[tuple[ThreadPoolExecutor, bytes]] = set()

    @property
    def stand(self) -> PassRow:
        """How far it is."""
        return self._stand

    async def run(self) -> None:
        """Make a pass whenever one is due, until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._volume.doubted = partial(self.look_at, self._looker)
        self._volume.unsummed = partial(self.look_at, self._learner)
        self.news.set()  # what was to be told when the node stopped
        try:
            while True:
                self._asked.clear()
                if self._is_due():
                    await self._once()
                await self._wait()
        finally:
            self._stop()

    def begin(self, *, hurry: bool) -> None:
        """Begin a pass now, or go on with the one that runs; `hurry`: as fast as the disk can."""
        self._hurry = self._hurry or hurry
        self._ordered = True
        self.trouble = ""
        self._asked.set()

    def look_at(self, thread: ThreadPoolExecutor, loc: bytes) -> None:
        """Read one file soon: it was found wrong, or nobody knows its checksums yet. For any thread.

        Args:
            thread: Reads it. Who doubts a file that is served doesn't wait for long ones that just came.
            loc: Where it is.
        """
        if self._stopping.is_set() or (thread, loc) in self._looking:
            return
        self._looking.add((thread, loc))
        with contextlib.suppress(RuntimeError):  # we stop this moment
            thread.submit(self._look_at, thread, loc)

    def close(self) -> None:
        """End what runs, soon."""
        self._stop()
        for thread in (self._looker, self._learner, self._thread):
            thread.shutdown(wait=False, cancel_futures=True)

    # --- when

    def _is_due(self) -> bool:
        if self._stand.running or self._ordered:
            return True
        return self._settings.days > 0 and self._scanned.is_set() and self._seconds_left() <= 0

    def _seconds_left(self) -> float:
        if not self._stand.begun_ns:
            return self._settings.first_seconds - (time.monotonic() - self._started)
        now_ns = time.time_ns()
        if self._stand.begun_ns > now_ns:
            return 0.0  # the clock was wrong and has been set back: who knows when it was
        due_ns = self._stand.begun_ns + int(self._settings.days * _DAY_NS)
        return (due_ns - now_ns) / 1e9

    async def _wait(self) -> None:
        seconds = max(1.0, self._seconds_left()) if self._settings.days else None
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            pass

    async def _once(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._pass)
        except InterruptedError:
            return
        except (Failed, NoSpace) as refused:
            log.error("volume %s isn't scrubbed: %s", self._volume.store_id, refused)  # noqa: TRY400
            await self._put_off(str(refused))
        except Exception as accident:  # an accident on one disk mustn't take the others along
            log.exception("volume %s can't be scrubbed", self._volume.store_id)
            await self._put_off(repr(accident))

    async def _put_off(self, trouble: str) -> None:
        """Wait until it is tried again: that is soon when somebody orders it."""
        self.trouble = trouble
        self._asked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.retry_seconds):
                await self._asked.wait()

    def _stop(self) -> None:
        self._stopping.set()

    def _fresh(self) -> PassRow:
        return PassRow(
            running=1,
            hurried=int(self._hurry),
            begun_ns=time.time_ns(),
            ended_ns=self._stand.ended_ns,
            of_bytes=self._volume.journal.held_bytes(),
        )

    # --- in the thread

    def _pass(self) -> None:
        """Read what is left.

        Raises:
            InterruptedError: We are to stop.
            Failed: The disk is gone, or the journal fails.
        """
        volume, journal = self._volume, self._volume.journal
        volume.root.check()
        if not self._stand.running:
            self._stand = self._fresh()
        noted = time.monotonic()
        learnt: list[tuple[Row, Sums]] = []
        with DiskReader(polite=True) as reader:
            try:
                while rows := journal.page(self._stand.after, _PAGE):
                    for row in rows:
                        if (sums := self._check(reader, row)) is not None:
                            learnt.append((row, sums))
                        self._stand = self._stand._replace(
                            after=row.loc, files=self._stand.files + 1, bytes=self._stand.bytes + row.size
                        )
                        if len(learnt) >= _LEARNT or time.monotonic() - noted > _NOTE_SECONDS:
                            noted, learnt = time.monotonic(), self._note(learnt)
            finally:
                self._note(learnt)
        self._hurry = self._ordered = False
        self.trouble = ""
        self._stand = self._stand._replace(after=b"", running=0, hurried=0, ended_ns=time.time_ns())
        journal.put_scrub_pass(self._stand)
        stand = self._stand
        log.info("volume %s: scrubbed %d files, %d bad", volume.store_id, stand.files, stand.bad)

    def _note(self, learnt: list[tuple[Row, Sums]]) -> list[tuple[Row, Sums]]:
        if learnt:
            self._volume.learn(learnt)
        self._stand = self._stand._replace(hurried=int(self._hurry))
        self._volume.journal.put_scrub_pass(self._stand)
        return []

    def _check(self, reader: DiskReader, row: Row) -> Sums | None:
        """Read a file; give its checksums if it lacked one. What is wrong with it is put down to be told."""
        first = self._read(reader, row)
        if first is None:
            return None
        if not _differ(row, first):
            return first.sums if None in (row.crc32, row.digest) else None
        second = self._read(reader, row)
        if second is None:
            return None
        if not _differ(row, second):
            log.warning("%s: %r was read wrong once, and right then", self._volume.store_id, row.loc)
            return None
        self._doubt(row, second)
        return None

    def _read(self, reader: DiskReader, row: Row) -> Read | None:
        """Read a file from its disk; None: it isn't what the journal has there, which is a scan's business.

        Raises:
            InterruptedError: We are to stop.
            Failed: The disk is gone.
        """
        descriptor = self._volume.open_as(row)
        if descriptor is None:
            return None
        summing = Summing()
        try:
            begin = time.monotonic()
            for block in reader.blocks(descriptor, row.size):
                summing.add(block)
                self._spend(len(block), time.monotonic() - begin)
                begin = time.monotonic()
            if row.size < _SEEK_BYTES:
                self._spend(_SEEK_BYTES - row.size, 0.0)
            read = Read(summing.sums())
        except (Failed, Damaged) as refused:
            self._volume.root.check()
            if isinstance(refused, Damaged):
                return None
            read = Read(Sums(None, None), "unreadable")
        finally:
            os.close(descriptor)
        return read if self._volume.is_as(row) else None

    def _doubt(self, row: Row, read: Read) -> None:
        log.error("%s: %r is bad: %s", self._volume.store_id, row.loc, read.trouble or "another checksum")
        self._volume.journal.put_doubt(
            DoubtRow(row.loc, row.ver, row.size, *read.sums, read.trouble, row.crc32, row.digest)
        )
        self._stand = self._stand._replace(bad=self._stand.bad + 1)
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.news.set)

    def _look_at(self, thread: ThreadPoolExecutor, loc: bytes) -> None:
        self._looking.discard((thread, loc))  # what comes in its place while it is read is read, too
        try:
            row = self._volume.journal.find(loc)
            if row:
                with DiskReader() as reader:
                    sums = self._check(reader, row)
                if sums:
                    self._volume.learn([(row, sums)])
        except InterruptedError:
            pass
        except Exception:
            log.exception("%s: %r can't be looked at", self._volume.store_id, loc)

    # --- how fast

    def _spend(self, count: int, took: float) -> None:
        """Note bytes that were read, and wait as long as is polite.

        Raises:
            InterruptedError: We are to stop.
        """
        if self._stopping.is_set():
            raise InterruptedError
        pace = self._own.pace
        if self._hurry:
            pace.bytes_per_second = 0
        else:
            pace.bytes_per_second = int(self._settings.bytes_per_second)
            if self._is_busy() and took:
                pause = took * (1 / self._settings.busy_share - 1)
                self._stopping.wait(min(pause, _MOST_PAUSE_SECONDS))
        pace.spend(count)

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise InterruptedError

    def _is_busy(self) -> bool:
        now = time.monotonic()
        if (seconds := now - self._looked_at) >= _LOOK_SECONDS:
            moved = self.traffic()
            self._busy = (moved - self._moved) / seconds > _BUSY_BYTES_PER_SECOND
            self._looked_at, self._moved = now, moved
        return self._busy


def _differ(row: Row, read: Read) -> bool:
    """Whether a file isn't what its row says, as far as that says anything."""
    if read.trouble:
        return True
    pairs = ((row.crc32, read.sums.crc32), (row.digest, read.sums.digest))
    return any(known is not None and known != found for known, found in pairs)
