"""One SQLite database: a writer thread that commits in groups, and reads on the caller's own thread.

A read takes microseconds, less than handing it to another thread would. Writes come from many tasks, and
what costs is the flush at a commit, so those that wait share one. Each change runs in a savepoint: one
that is refused takes back only itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from argosy.catalogue.store import schema

_T = TypeVar("_T")

Connection = sqlite3.Connection
"""For those who compose changes and speak no SQL themselves."""

GROUP_SECONDS = 0.05
"""A group that has taken so long is committed, however few its changes: merge batches are long, and an
upload's commit mustn't wait for all of them."""

STATEMENTS = 512
"""Prepared statements kept for each connection."""


LISTING_CACHE_BYTES = 2 * 1024 * 1024
"""Page cache of a reader that isn't the event loop."""


class _Change:
    """A change that waits for its turn."""

    __slots__ = ("durable", "error", "future", "loop", "run", "value")

    def __init__(self, run: Callable[[sqlite3.Connection], Any], *, durable: bool) -> None:
        self.run = run
        self.durable = durable
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.value: Any = None
        self.error: Exception | None = None


class _Reader:
    """A thread's own connection; it closes when the thread is gone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.at_work = threading.RLock()
        """Held while it is asked: to close it in the middle of a question would crash the process."""

    def __del__(self) -> None:
        self.db.close()


class Engine:
    """The database file and the threads that touch it."""

    def __init__(self, path: Path, *, cache_bytes: int, batch_limit: int, busy_seconds: float) -> None:
        self._path = path
        self._cache_bytes = cache_bytes
        self._batch_limit = batch_limit
        self._busy_seconds = busy_seconds
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._writer: threading.Thread | None = None
        self._full = True
        self._closing = False

    def open(self, now_ns: int) -> None:
        """Open the database, making it at first use, and start the writer. Blocks.

        Raises:
            ConfigError: The database is of a later version of this program.
        """
        # Password hashes lie in here: nobody else's business.
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = self._connect()
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            schema.lay(db, now_ns)
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        self._full, self._closing = True, False
        # A process that fails before it closes shall end all the same; what was committed is kept.
        self._writer = threading.Thread(
            target=self._write_on, args=(db,), name="catalogue-writer", daemon=True
        )
        self._writer.start()

    def close(self) -> None:
        """Let the changes that wait be committed, and questions be answered, then close. Blocks."""
        if self._writer is not None:
            self._changes.put(None)
            self._writer.join()
            self._writer = None
        for reader in list(self._readers):
            with reader.at_work:
                reader.db.close()
        self._local = threading.local()

    def read(self, question: Callable[..., _T], *arguments: object) -> _T:
        """Ask on this thread; what is committed is seen, by whichever process."""
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = _Reader(self._connect())
            reader.db.execute("PRAGMA query_only = ON")
            if threading.current_thread() is not threading.main_thread():
                # Listings come in hundreds of threads, and each reads its pages once.
                reader.db.execute(f"PRAGMA cache_size = -{LISTING_CACHE_BYTES // 1024}")
            self._local.reader = reader
            self._readers.add(reader)
        with reader.at_work:
            return question(reader.db, *arguments)

    def read_together(self, question: Callable[..., _T], *arguments: object) -> _T:
        """Ask several things of one and the same state."""

        def together(db: sqlite3.Connection) -> _T:
            db.execute("BEGIN")
            try:
                return question(db, *arguments)
            finally:
                db.execute("COMMIT")

        return self.read(together)

    def version(self) -> int:
        """Give a number that is another one after each commit, by whoever; on one thread: others have others.

        SQLite's `PRAGMA data_version`.
        """
        return self.read(_version)

    async def write(self, change: Callable[..., _T], *arguments: object, durable: bool = False) -> _T:
        """Run a change in the writer's next transaction; it is committed when this returns.

        A task that is cancelled meanwhile doesn't take its change back.

        Args:
            change: Called with the connection, then `arguments`. Only what it refuses or fails at is undone.
            arguments: Handed to `change`.
            durable: Flushed to the disk, so that a power cut can't take it back.
        """
        waiting = _Change(lambda db: change(db, *arguments), durable=durable)
        self._changes.put(waiting)
        value: _T = await waiting.future
        return value

    def write_unheard(self, change: Callable[..., object]) -> None:
        """Have a change run after those that wait already; nobody waits for it."""
        self._changes.put(_Change(change, durable=False))

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path,
            timeout=self._busy_seconds,
            isolation_level=None,  # transactions are begun here, in the open
            check_same_thread=False,  # each thread has its own; only closing comes from another
            cached_statements=STATEMENTS,
        )
        db.execute(f"PRAGMA cache_size = -{max(self._cache_bytes // 1024, 64)}")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def _write_on(self, db: sqlite3.Connection) -> None:
        """Commit group after group until the queue says that it was the last."""
        waiting: deque[_Change] = deque()
        with contextlib.closing(db):
            while self._gather(waiting):
                group: list[_Change] = []
                try:
                    self._commit(db, waiting, group)
                except Exception as error:  # noqa: BLE001 - the waiting tasks hear it, the writer lives on
                    _abandon(db)
                    for change in group:
                        change.error = error
                _answer(group)

    def _gather(self, waiting: deque[_Change]) -> bool:
        """Wait for a change, and take those that have come with it. False: there was the last."""
        while not self._closing and len(waiting) < self._batch_limit:
            try:
                change = self._changes.get(block=not waiting)
            except queue.Empty:
                break
            if change is None:
                self._closing = True
            else:
                waiting.append(change)
        return bool(waiting)

    def _commit(self, db: sqlite3.Connection, waiting: deque[_Change], group: list[_Change]) -> None:
        """Run changes in one transaction until none waits or it has taken long enough.

        Each is moved into `group` before anything can fail, so that somebody hears of it.
        """
        full = any(change.durable for change in waiting)
        end = time.monotonic() + GROUP_SECONDS
        group.append(waiting.popleft())
        if full != self._full:
            db.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._full = full
        db.execute("BEGIN IMMEDIATE")
        _run(db, group[-1])
        while waiting and time.monotonic() < end:
            group.append(waiting.popleft())
            _run(db, group[-1])
        db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    number: int = db.execute("PRAGMA data_version").fetchone()[0]
    return number


def _run(db: sqlite3.Connection, change: _Change) -> None:
    """Run one change in a savepoint; what it raises is kept for who waits."""
    db.execute("SAVEPOINT change")
    try:
        change.value = change.run(db)
    except Exception as error:
        if not db.in_transaction:
            raise  # a full disk, for one, ends the whole transaction
        change.error = error
        db.execute("ROLLBACK TO change")
    db.execute("RELEASE change")


def _abandon(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def _answer(group: list[_Change]) -> None:
    """Wake the tasks of a group, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Change]] = {}
    for change in group:
        by_loop.setdefault(change.loop, []).append(change)
    for loop, changes in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, changes)


def _resolve(changes: list[_Change]) -> None:
    for change in changes:
        if change.future.done():
            continue
        if change.error is not None:
            change.future.set_exception(change.error)
        else:
            change.future.set_result(change.value)
