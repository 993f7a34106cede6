"""A volume's journal: what lies on the disk and in which order it came to be known, in SQLite.

Each change gets a number; a master that was away asks for what came after the last number that it has.
The disk is the truth and the journal its memory: what a crash takes from the journal the next scan finds
again. Only that a part is sealed must outlast a power cut, for a client is told so.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, count, repeat
from typing import Any, NamedTuple

from argosy.errors import Failed, NoSpace

_CHUNK = 500
"""Values in one statement: old SQLite takes 999."""

_LEAP = 1 << 20
"""Numbers left out at each start: a power cut may take back numbers that a master has seen already."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file(
    loc BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ver INTEGER NOT NULL,
    crc32 INTEGER, digest BLOB, seq INTEGER NOT NULL, gone INTEGER NOT NULL,
    file INTEGER NOT NULL DEFAULT 0, named_ns INTEGER NOT NULL DEFAULT 0, path BLOB NOT NULL DEFAULT x'')
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS file_seq ON file(seq);
CREATE INDEX IF NOT EXISTS file_gone ON file(seq) WHERE gone = 1;
CREATE INDEX IF NOT EXISTS file_ver ON file(ver) WHERE ver > 0;
CREATE TABLE IF NOT EXISTS part(
    upload INTEGER PRIMARY KEY, sealed INTEGER NOT NULL, flush INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, crc32 INTEGER, digest BLOB);
CREATE TABLE IF NOT EXISTS move(
    loc BLOB PRIMARY KEY, dest BLOB NOT NULL, mtime_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS extension(
    upload INTEGER PRIMARY KEY, inode INTEGER NOT NULL, loc BLOB NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ver INTEGER NOT NULL, crc32 INTEGER, digest BLOB);
CREATE TABLE IF NOT EXISTS scrub(
    one INTEGER PRIMARY KEY CHECK(one = 1), after BLOB NOT NULL, running INTEGER NOT NULL,
    hurried INTEGER NOT NULL, begun_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, files INTEGER NOT NULL,
    bytes INTEGER NOT NULL, of_bytes INTEGER NOT NULL, bad INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS doubt(
    loc BLOB PRIMARY KEY, ver INTEGER NOT NULL, size INTEGER NOT NULL, crc32 INTEGER, digest BLOB,
    trouble TEXT NOT NULL, known_crc32 INTEGER, known_digest BLOB) WITHOUT ROWID;
"""

_LATER = (
    "file INTEGER NOT NULL DEFAULT 0",
    "named_ns INTEGER NOT NULL DEFAULT 0",
    "path BLOB NOT NULL DEFAULT x''",
)
"""Columns of `file` that journals of before haven't."""

_COLUMNS = "loc, size, mtime_ns, ver, crc32, digest, seq, gone, file, named_ns, path"
_SELECT = f"SELECT {_COLUMNS} FROM file "  # noqa: S608 - constant
_GLANCE = "SELECT ver, size, mtime_ns, crc32, digest FROM file WHERE loc = ? AND gone = 0"
_GLANCE_VERSION = "SELECT 1 FROM file WHERE ver = ? AND ver > 0 AND gone = 0 LIMIT 1"
_INSERT = f"INSERT OR REPLACE INTO file({_COLUMNS}) VALUES "  # noqa: S608 - constant
_VALUES = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_TOGETHER = 32
"""Rows in one statement: it lets other threads run at each step, and steps once for all of them."""


class Row(NamedTuple):
    """A file as the journal has it."""

    loc: bytes
    size: int
    mtime_ns: int
    ver: int = 0
    crc32: int | None = None
    digest: bytes | None = None
    seq: int = 0
    gone: int = 0
    file: int = 0
    """Whose content it is, as a master said; 0: none did."""
    named_ns: int = 0
    """At this time that file was called `path`, or `loc` where that is empty."""
    path: bytes = b""


_ROW: Callable[[tuple[Any, ...]], Row] = partial(tuple.__new__, Row)
"""Makes a row of its values, three times as fast as `_make`: a scan has hundreds of thousands."""


class PartRow(NamedTuple):
    """An upload that isn't committed yet."""

    upload: int
    sealed: int
    flush: int
    size: int = 0
    mtime_ns: int = 0
    crc32: int | None = None
    digest: bytes | None = None


class Extension(NamedTuple):
    """A file to which an upload is being appended in place, as it was before."""

    upload: int
    inode: int
    loc: bytes
    size: int
    mtime_ns: int
    ver: int
    crc32: int | None
    digest: bytes | None


class PassRow(NamedTuple):
    """How far the scrub of a volume is."""

    after: bytes = b""
    """The loc of the last file that was read in a pass that runs."""
    running: int = 0
    hurried: int = 0
    begun_ns: int = 0
    ended_ns: int = 0
    files: int = 0
    bytes: int = 0
    of_bytes: int = 0
    bad: int = 0


class DoubtRow(NamedTuple):
    """A file that was read, isn't what it should be, and of which the master shall be told."""

    loc: bytes
    ver: int
    size: int
    crc32: int | None
    digest: bytes | None
    trouble: str
    known_crc32: int | None
    known_digest: bytes | None


class Journal:
    """One volume's journal. Every method may be called from any thread; none from the event loop.

    `lock` is the volume's: who changes the disk and the journal together holds it around both.
    """

    def __init__(self, path: bytes | str) -> None:
        """Open it, and make it if it isn't there.

        Raises:
            Failed: The disk refuses, or it isn't a journal any more.
            NoSpace: The disk is full.
        """
        self.lock = threading.RLock()
        self._durable = True
        self._together = False
        with self._reading():
            self._db, self._glances = _opened(path)
            meta: dict[str, int] = dict(self._db.execute("SELECT key, value FROM meta"))
            (files,) = self._db.execute("SELECT count(*) FROM file WHERE gone = 0").fetchone()
        self._listeners: list[Callable[[], None]] = []
        self._sealing: list[tuple[PartRow, threading.Event]] = []
        self._sealing_lock = threading.Lock()
        self.fresh = not meta.get("merged", 0)
        """Whether no master has taken anything from this journal yet."""
        self.seq = meta.get("seq", 0) + (0 if self.fresh else _LEAP)
        """The newest change."""
        self.files: int = files
        """Files that are there."""
        self.write([], durable=True)

    @property
    def reported(self) -> int:
        """The number to tell a master: 0 as long as none took anything, so that it asks for all."""
        return 0 if self.fresh else self.seq

    def close(self) -> None:
        """Close the database; its write-ahead log is folded in."""
        with self.lock:
            self._glances.close()
            self._db.close()

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after each commit that changed files, on the thread that changed them.

        Returns:
            What to call to have it no more.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # --- files

    def find(self, loc: bytes) -> Row | None:
        """Give the file that is at a loc."""
        rows = self._rows("WHERE loc = ? AND gone = 0", loc)
        return rows[0] if rows else None

    def find_version(self, ver: int) -> Row | None:
        """Give a file that is there and holds a version of an upload; None for 0."""
        rows = self._rows("WHERE ver = ? AND ver > 0 AND gone = 0 LIMIT 1", ver)
        return rows[0] if rows else None

    def glance(self, loc: bytes, ver: int) -> tuple[int, int, int | None, bytes | None] | None:
        """Say which size, time, CRC-32 and XXH3 a version has at a loc, without waiting for who is writing.

        For the event loop, and for it alone. None: it isn't known there; ask `find` and `part`.
        """
        try:
            row = self._glances.execute(_GLANCE, (loc,)).fetchone()
        except sqlite3.Error:
            return None
        if row is None or (ver and row[0] != ver and (row[0] or self._has_version(ver))):
            return None
        return row[1], row[2], row[3], row[4]

    def _has_version(self, ver: int) -> bool:
        """Say whether a version lies somewhere: then what was put by hand at its place isn't it."""
        try:
            return self._glances.execute(_GLANCE_VERSION, (ver,)).fetchone() is not None
        except sqlite3.Error:
            return True

    def page(self, after: bytes, limit: int) -> list[Row]:
        """Give files that are there, in order of loc."""
        return self._rows("WHERE loc > ? AND gone = 0 ORDER BY loc LIMIT ?", after, limit)

    def present(self, limit: int = 8192) -> Iterator[Row]:
        """Walk over the files that are there in order of loc; changes behind the page at hand are seen."""
        after = b""
        while rows := self.page(after, limit):
            yield from rows
            after = rows[-1].loc

    def changes(self, since: int, limit: int) -> list[Row]:
        """Give changes in order of their numbers, never a part of those that share one."""
        rows = self._rows("WHERE seq > ? ORDER BY seq LIMIT ?", since, limit + 1)
        if len(rows) <= limit:
            return rows
        split = rows[-1].seq  # perhaps: so all of it comes in the next batch
        whole = [row for row in rows if row.seq < split]
        return whole or self._rows("WHERE seq = ? LIMIT ?", split, -1)

    def write(
        self,
        rows: Sequence[Row],
        *,
        together: bool = False,
        drop: int | None = None,
        moved: bytes | None = None,
        durable: bool = False,
    ) -> None:
        """Write files' new states down, each under a new number (`seq` in them is ignored).

        Args:
            rows: The new states; a file that went has `gone` 1.
            together: One number for all of them: a move.
            drop: A part that became one of these files.
            moved: The loc of a move that was begun and is done with this.
            durable: Outlast a power cut.
        """
        with self.lock:
            first = self.seq + 1
            numbers = repeat(first) if together else count(first)
            numbered = [(*row[:6], number, *row[7:]) for row, number in zip(rows, numbers, strict=False)]
            seq = numbered[-1][6] if numbered else self.seq
            with self._transaction(durable=durable):
                before = self._count(rows)
                self._insert(numbered)
                if drop is not None:
                    self._db.execute("DELETE FROM part WHERE upload = ?", (drop,))
                if moved is not None:
                    self._db.execute("DELETE FROM move WHERE loc = ?", (moved,))
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('seq', ?)", (seq,))
            self.files += sum(not row.gone for row in rows) - before
            self.seq = seq
        if rows and not self._together:
            self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Around changes of several files: one transaction for all, under the lock; it isn't durable.

        When it fails the disk is ahead of the journal for all of them, as it is after a crash.
        """
        with self.lock:
            before = self.seq, self.files
            self._together = True
            try:
                with self._transaction(durable=False, begins=True):
                    yield
            except BaseException:
                self.seq, self.files = before
                raise
            finally:
                self._together = False
        if self.seq != before[0]:
            self._tell()

    def prune(self, seq: int) -> None:
        """Forget files that went, up to a number that the master has."""
        with self.lock, self._transaction(durable=False):
            self._db.execute("DELETE FROM file WHERE gone = 1 AND seq <= ?", (seq,))
            if self.fresh:
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('merged', 1)")
                self.fresh = False

    # --- parts

    def parts(self) -> list[PartRow]:
        """Give all parts."""
        with self._reading():
            return [PartRow._make(row) for row in self._db.execute("SELECT * FROM part ORDER BY upload")]

    def part(self, upload: int) -> PartRow | None:
        """Give one part."""
        with self._reading():
            found = self._db.execute("SELECT * FROM part WHERE upload = ?", (upload,)).fetchone()
        return PartRow._make(found) if found else None

    def put_part(self, part: PartRow) -> None:
        """Write a part down; when sealed, durably. Threads that seal at the same time share one flush."""
        if not part.sealed or not part.flush:
            with self.lock, self._transaction(durable=False):
                self._insert_parts([part])
            return
        ours = (part, threading.Event())
        with self._sealing_lock:
            self._sealing.append(ours)
        with self.lock:
            if ours[1].is_set():
                return  # whoever had the lock before us took ours along
            with self._sealing_lock:
                batch, self._sealing = self._sealing, []
            if ours not in batch:
                batch.append(ours)  # it was taken along, and that failed
            with self._transaction(durable=True):
                self._insert_parts(row for row, _ in batch)
            for _, event in batch:
                event.set()

    def put_parts(self, parts: Sequence[PartRow]) -> None:
        """Write several parts down at once; durably, when one of them shall be flushed."""
        with self.lock, self._transaction(durable=any(part.flush for part in parts)):
            self._insert_parts(parts)

    def drop_parts(self, uploads: Iterable[int]) -> None:
        """Forget parts."""
        with self.lock, self._transaction(durable=False):
            self._db.executemany("DELETE FROM part WHERE upload = ?", [(upload,) for upload in uploads])

    # --- files that are appended to in place

    def put_extension(self, extension: Extension) -> None:
        """Write down that a file is being extended; it outlasts a power cut, as the bytes may."""
        with self.lock, self._transaction(durable=True):
            self._db.execute("INSERT OR REPLACE INTO extension VALUES (?, ?, ?, ?, ?, ?, ?, ?)", extension)

    def drop_extension(self, upload: int) -> None:
        """Forget one that is committed or undone."""
        with self.lock, self._transaction(durable=False):
            self._db.execute("DELETE FROM extension WHERE upload = ?", (upload,))

    def extensions(self) -> list[Extension]:
        """Give all that are open."""
        with self._reading():
            return list(map(Extension._make, self._db.execute("SELECT * FROM extension ORDER BY upload")))

    # --- what reading the files has shown

    def held_bytes(self) -> int:
        """Count the bytes of the files that are there. Reads a whole table."""
        with self._reading():
            question = "SELECT coalesce(sum(size), 0) FROM file WHERE gone = 0"
            return int(self._db.execute(question).fetchone()[0])

    def scrub_pass(self) -> PassRow:
        """Give how far the scrub is."""
        with self._reading():
            row = self._db.execute("SELECT * FROM scrub").fetchone()
        return PassRow._make(row[1:]) if row else PassRow()

    def put_scrub_pass(self, stand: PassRow) -> None:
        """Write down how far the scrub is."""
        with self.lock, self._transaction(durable=False):
            self._db.execute("INSERT OR REPLACE INTO scrub VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)", stand)

    def doubts(self, limit: int) -> list[DoubtRow]:
        """Give files of which a master is to be told."""
        with self._reading():
            rows = self._db.execute("SELECT * FROM doubt ORDER BY loc LIMIT ?", (limit,))
            return [DoubtRow._make(row) for row in rows]

    def put_doubt(self, doubt: DoubtRow) -> None:
        """Write down that a master is to be told of a file."""
        with self.lock, self._transaction(durable=False):
            self._db.execute("INSERT OR REPLACE INTO doubt VALUES (?, ?, ?, ?, ?, ?, ?, ?)", doubt)

    def drop_doubts(self, locs: Iterable[bytes]) -> None:
        """Forget them: a master has judged."""
        with self.lock, self._transaction(durable=False):
            self._db.executemany("DELETE FROM doubt WHERE loc = ?", [(loc,) for loc in locs])

    # --- moves that have begun

    def begin_move(self, loc: bytes, to: bytes, mtime_ns: int) -> None:
        """Write down where a file will be, and its time there, before it is moved: no crash hides it."""
        with self.lock, self._transaction(durable=False):
            self._db.execute("INSERT OR REPLACE INTO move VALUES (?, ?, ?)", (loc, to, mtime_ns))

    def drop_move(self, loc: bytes) -> None:
        """Forget a move that didn't come about."""
        with self.lock, self._transaction(durable=False):
            self._db.execute("DELETE FROM move WHERE loc = ?", (loc,))

    def moves(self) -> list[tuple[bytes, bytes, int]]:
        """Give the moves that were begun: loc, where to, the time to set there."""
        with self._reading():
            return list(self._db.execute("SELECT loc, dest, mtime_ns FROM move ORDER BY loc"))

    # --- inside

    def _rows(self, where: str, *arguments: object) -> list[Row]:
        with self._reading():
            return list(map(_ROW, self._db.execute(_SELECT + where, arguments)))

    def _insert(self, numbered: Sequence[tuple[object, ...]]) -> None:
        whole = len(numbered) - len(numbered) % _TOGETHER
        statement = _INSERT + ", ".join([_VALUES] * _TOGETHER)
        for start in range(0, whole, _TOGETHER):
            self._db.execute(statement, tuple(chain.from_iterable(numbered[start : start + _TOGETHER])))
        self._db.executemany(_INSERT + _VALUES, numbered[whole:])

    def _count(self, rows: Sequence[Row]) -> int:
        """Count those of `rows` whose locs hold a file now."""
        if len(rows) > _CHUNK and not self._holds_between([row.loc for row in rows]):
            return 0
        total = 0
        for start in range(0, len(rows), _CHUNK):
            locs = [row.loc for row in rows[start : start + _CHUNK]]
            marks = ", ".join("?" * len(locs))
            question = f"SELECT count(*) FROM file WHERE gone = 0 AND loc IN ({marks})"  # noqa: S608
            total += self._db.execute(question, locs).fetchone()[0]
        return total

    def _holds_between(self, locs: Sequence[bytes]) -> bool:
        """Whether anything lies among these locs: at a first scan nothing does."""
        question = "SELECT 1 FROM file WHERE loc >= ? AND loc <= ? LIMIT 1"
        return self._db.execute(question, (min(locs), max(locs))).fetchone() is not None

    def _insert_parts(self, parts: Iterable[PartRow]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?, ?)", parts)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold the lock around a question; what goes wrong is a refusal."""
        with self.lock:
            try:
                yield
            except sqlite3.Error as error:
                raise _refusal(error) from error

    @contextlib.contextmanager
    def _transaction(self, *, durable: bool, begins: bool = False) -> Iterator[None]:
        """BEGIN and COMMIT, flushed to the disk or not, or part of what goes `together`; under the lock."""
        if self._together and not begins:
            yield
            return
        try:
            if self._durable != durable:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _refusal(error) from error


def _opened(path: bytes | str) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Connect to a journal, with the tables and columns that it has today: for changes, and for glances."""
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, cached_statements=64)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(_SCHEMA)
    columns = {row[1] for row in db.execute("PRAGMA table_info(file)")}
    for column in _LATER:
        if column.partition(" ")[0] not in columns:
            db.execute(f"ALTER TABLE file ADD COLUMN {column}")
    glances = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0)
    glances.execute("PRAGMA query_only = ON")
    return db, glances


def _refusal(error: sqlite3.Error) -> NoSpace | Failed:
    """Say what the journal's "no" means for whoever wanted something written or read."""
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # Python's own have none
    return (NoSpace if full else Failed)(f"journal: {error}")
