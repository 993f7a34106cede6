"""The gateway's record: which mounts there are, and which file each handle means. SQLite, in one file.

A file handle outlives the gateway and a rename, so what it stands for is written down before it is given
away. What a site can't keep is written down beside it: times to the nanosecond, the verifier of an exclusive
creation. Passwords of mounts lie in here, so nobody else may read the file.

Every method blocks, and may be called from any thread but the event loop's.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from argosy.errors import ConfigError, Failed, NoSpace, Stale
from argosy.sites.model import FileId, Kind

ROOT: FileId = 3
"""The directory that was mounted. An id is a place in a directory too (`Named.cookie`): those begin at 3."""

VERSION = 2
"""Of the tables."""

KEY_BYTES = 32

_PAGE = 4_096
"""Rows asked for or written at once: between two pages others get their turn."""

_DEEPEST = 4_096
"""Directories between a file and the root: the record's own mistakes shall end, too."""

TABLES = (
    "CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # told: address, password and all. home: the start directory on the site. owner: who we are in its
    # listings. next: the id of the next file; none is used twice, or an old handle could mean a new file.
    # held: somebody has it mounted; else it is forgotten as soon as its site has all that was written.
    """CREATE TABLE mount(
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, told BLOB NOT NULL UNIQUE,
        home BLOB, owner BLOB, born_ns INTEGER NOT NULL, next INTEGER NOT NULL,
        held INTEGER NOT NULL DEFAULT 1
    )""",
    # told_ns, changed_ns: the times that clients were told, true while the site says seen_size and seen_ns.
    # renamed_ns: when we gave it its name.
    """CREATE TABLE file(
        mount INTEGER NOT NULL REFERENCES mount(id), id INTEGER NOT NULL, parent INTEGER NOT NULL,
        name BLOB NOT NULL, kind INTEGER NOT NULL, exclusive BLOB,
        told_ns INTEGER, changed_ns INTEGER, seen_size INTEGER, seen_ns INTEGER, renamed_ns INTEGER,
        PRIMARY KEY(mount, id), UNIQUE(mount, parent, name)
    ) WITHOUT ROWID""",
)


def _to_2(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE mount ADD COLUMN held INTEGER NOT NULL DEFAULT 1")
    db.execute("ALTER TABLE file ADD COLUMN renamed_ns INTEGER")


STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {2: _to_2}
"""How a record of an older version becomes one of this, by the version that a step leads to."""

_FILE = (
    "SELECT id, parent, name, kind, exclusive, told_ns, changed_ns, seen_size, seen_ns, renamed_ns FROM file "
)

_WAY_UP = """
    WITH RECURSIVE up(id, parent, name, depth) AS (
        SELECT id, parent, name, 0 FROM file WHERE mount = ?1 AND id = ?2
        UNION ALL
        SELECT file.id, file.parent, file.name, depth + 1 FROM up JOIN file
        ON file.mount = ?1 AND file.id = up.parent WHERE up.parent <> ?3 AND depth < ?4
    ) SELECT id, parent, name FROM up ORDER BY depth DESC
"""

_ALL_BELOW = """
    WITH RECURSIVE below(id) AS (
        SELECT ?2 UNION ALL SELECT file.id FROM below JOIN file ON file.mount = ?1 AND file.parent = below.id
    ) SELECT id FROM below
"""


class Learned(NamedTuple):
    """What a mount's site told of itself."""

    home: bytes | None
    """The start directory, absolute on the site; None: it was never reached."""
    owner: bytes | None
    """What its listings call the owner of what we make."""
    born_ns: int
    """When it was first mounted: the time of a root whose site tells none."""


class Row(NamedTuple):
    """A file that a client may hold a handle of."""

    id: FileId
    parent: FileId
    name: bytes
    kind: int
    """`Kind`'s value."""
    exclusive: bytes | None = None
    """Which creation made it: the client's verifier, RFC 1813 section 3.3.8."""
    told_ns: int | None = None
    """The time of change that clients were told, while the site says what is seen."""
    changed_ns: int | None = None
    """The `ctime` that clients were told."""
    seen_size: int | None = None
    seen_ns: int | None = None
    renamed_ns: int | None = None
    """When we gave it its name; None: it always had it."""


_WAYS = 10_000
"""Ways that are remembered."""


class Claim(NamedTuple):
    """The times that clients are told of a file, for as long as the site says what was seen."""

    file: FileId
    told_ns: int
    changed_ns: int
    seen_size: int
    seen_ns: int | None


class Record:
    """All mounts of a gateway and their files."""

    def __init__(self, path: Path) -> None:
        """Open the record, making it at first use.

        Raises:
            ConfigError: It is of a later version of this program, or no record.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._ways: dict[tuple[int, FileId], list[tuple[FileId, bytes]]] = {}
        """Ways that were asked for; each transfer needs one."""
        self._moves = 0
        """How often a way may have become another."""
        self._moved = False
        """One may have in the transaction that runs."""
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA secure_delete = ON")
            with self._transaction():
                self._lay()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error | Failed):
                raise ConfigError(f"{path}: {error}") from error
            raise
        self._reader = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._reader.execute("PRAGMA query_only = ON")
        self.key: bytes
        (self.key,) = self._ask("SELECT value FROM meta WHERE key = 'key'")[0]
        """The secret of this gateway's file handles."""

    def close(self) -> None:
        """Close the file; its write-ahead log is folded in."""
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()

    def _lay(self) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            for table in TABLES:
                self._db.execute(table)
            meta = [("schema", VERSION), ("key", secrets.token_bytes(KEY_BYTES))]
            self._db.executemany("INSERT INTO meta(key, value) VALUES(?, ?)", meta)
            return
        (version,) = self._db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if version > VERSION:
            raise ConfigError(f"the record is of version {version}, this program knows {VERSION}")
        for number in range(version + 1, VERSION + 1):
            STEPS[number](self._db)
        self._db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (VERSION,))

    # --- mounts

    def mount(self, told: bytes) -> int:
        """Give the number of a mount, making it at first use; its files keep their ids from then on.

        A new one isn't held yet.

        Args:
            told: All that tells it from others, and all that is needed to mount it again.
        """
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO mount(told, born_ns, next, held) VALUES(?, ?, ?, 0)",
                (told, time.time_ns(), ROOT + 1),
            )
        (number,) = self._ask("SELECT id FROM mount WHERE told = ?", told)[0]
        return int(number)

    def mounts(self) -> dict[int, tuple[bytes, bool]]:
        """Give all mounts that weren't forgotten: what each stands for, and whether it is held."""
        rows = self._ask("SELECT id, told, held FROM mount ORDER BY id")
        return {number: (told, bool(held)) for number, told, held in rows}

    def hold(self, mount: int, *, held: bool) -> None:
        """Write down whether somebody has it mounted."""
        with self._transaction():
            self._db.execute("UPDATE mount SET held = ? WHERE id = ?", (held, mount))

    def learned(self, mount: int) -> Learned:
        """Give what is known of a mount's site.

        Raises:
            Stale: No such mount.
        """
        rows = self._ask("SELECT home, owner, born_ns FROM mount WHERE id = ?", mount)
        if not rows:
            raise Stale
        return Learned._make(rows[0])

    def learn(self, mount: int, *, home: bytes | None = None, owner: bytes | None = None) -> None:
        """Write down what the site told of itself; None: nothing new."""
        with self._transaction():
            self._db.execute(
                "UPDATE mount SET home = coalesce(?, home), owner = coalesce(?, owner) WHERE id = ?",
                (home, owner, mount),
            )

    def forget(self, mount: int) -> None:
        """Forget a mount, its password and its files; their handles are stale from now on.

        Nothing of them stays in the file, nor in what SQLite keeps beside it.
        """
        with self._transaction():
            self._db.execute("DELETE FROM file WHERE mount = ?", (mount,))
            self._db.execute("DELETE FROM mount WHERE id = ?", (mount,))
            self._moved = True
        with self._lock, self._reading, _as_refusals():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # --- files

    def find(self, mount: int, file: FileId) -> Row | None:
        """Give what a handle means; None: its file is gone. The root has no row."""
        rows = self._ask(_FILE + "WHERE mount = ? AND id = ?", mount, file)
        return Row._make(rows[0]) if rows else None

    def way(self, mount: int, file: FileId) -> list[tuple[FileId, bytes]]:
        """Give the ids and names that lead from below the root to a file; none for the root.

        Raises:
            Stale: The file is gone, or a directory above it.
        """
        if file == ROOT:
            return []
        with self._reading:
            known, moves = self._ways.get((mount, file)), self._moves
        if known is not None:
            return known
        rows = self._ask(_WAY_UP, mount, file, ROOT, _DEEPEST)
        if not rows or rows[0][1] != ROOT:
            raise Stale
        way = [(row[0], row[2]) for row in rows]
        with self._reading:
            if moves == self._moves:
                if len(self._ways) >= _WAYS:
                    self._ways.clear()
                self._ways[mount, file] = way
        return way

    def children(self, mount: int, directory: FileId) -> dict[bytes, Row]:
        """Give the files of a directory that are known, by name."""
        found: dict[bytes, Row] = {}
        after = b""
        question = _FILE + "WHERE mount = ? AND parent = ? AND name > ? ORDER BY name LIMIT ?"
        while rows := self._ask(question, mount, directory, after, _PAGE):
            found.update((row[2], Row._make(row)) for row in rows)
            after = rows[-1][2]
        return found

    def mint(
        self,
        mount: int,
        directory: FileId,
        names: Sequence[tuple[bytes, Kind]],
        exclusive: bytes | None = None,
    ) -> dict[bytes, FileId]:
        """Give new files their ids, in the order given; one of another kind that had the name goes.

        A name that has an id already, and the kind, keeps it.
        """
        minted: dict[bytes, FileId] = {}
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            with self._transaction():
                minted.update(self._mint_all(mount, directory, page, exclusive))
        return minted

    def _mint_all(
        self, mount: int, directory: FileId, names: Sequence[tuple[bytes, Kind]], exclusive: bytes | None
    ) -> Iterable[tuple[bytes, FileId]]:
        first = self._next_ids(mount, len(names))
        before = self._db.total_changes
        self._db.executemany(
            "INSERT OR IGNORE INTO file(mount, id, parent, name, kind, exclusive) VALUES(?, ?, ?, ?, ?, ?)",
            [
                (mount, first + at, directory, name, kind.value, exclusive)
                for at, (name, kind) in enumerate(names)
            ],
        )
        if self._db.total_changes - before == len(names):
            return [(name, first + at) for at, (name, _) in enumerate(names)]
        return [(name, self._mint(mount, directory, name, kind.value, exclusive)) for name, kind in names]

    def _next_ids(self, mount: int, count: int) -> FileId:
        (first,) = self._db.execute(
            "UPDATE mount SET next = next + ?2 WHERE id = ?1 RETURNING next - ?2", (mount, count)
        ).fetchone()
        return int(first)

    def _mint(self, mount: int, directory: FileId, name: bytes, kind: int, exclusive: bytes | None) -> FileId:
        where = (mount, directory, name)
        found = self._db.execute(
            "SELECT id, kind FROM file WHERE mount = ? AND parent = ? AND name = ?", where
        ).fetchone()
        if found and found[1] == kind:
            if exclusive is not None:
                self._db.execute(
                    "UPDATE file SET exclusive = ? WHERE mount = ? AND id = ?", (exclusive, mount, found[0])
                )
            return int(found[0])
        if found:
            self._drop(mount, found[0])
        number = self._next_ids(mount, 1)
        self._db.execute(
            "INSERT INTO file(mount, id, parent, name, kind, exclusive) VALUES(?, ?, ?, ?, ?, ?)",
            (mount, number, directory, name, kind, exclusive),
        )
        return number

    def move(self, mount: int, file: FileId, directory: FileId, name: bytes) -> None:
        """Give a file another name, and perhaps another directory; who had that name goes, and all below it.

        Raises:
            Stale: The file is gone.
        """
        with self._transaction():
            for (other,) in self._db.execute(
                "SELECT id FROM file WHERE mount = ? AND parent = ? AND name = ? AND id <> ?",
                (mount, directory, name, file),
            ).fetchall():
                self._drop(mount, other)
            done = self._db.execute(
                "UPDATE file SET parent = ?, name = ?, renamed_ns = ? WHERE mount = ? AND id = ?",
                (directory, name, time.time_ns(), mount, file),
            )
            if not done.rowcount:
                raise Stale
            self._moved = True

    def drop(self, mount: int, gone: Iterable[tuple[FileId, FileId, bytes]]) -> None:
        """Forget files that are gone, and all below them: their handles are stale.

        Args:
            mount: Whose.
            gone: Id, directory and name of each; one that has moved on since is left alone.
        """
        with self._transaction():
            for file, directory, name in gone:
                if self._db.execute(
                    "SELECT 1 FROM file WHERE mount = ? AND id = ? AND parent = ? AND name = ?",
                    (mount, file, directory, name),
                ).fetchone():
                    self._drop(mount, file)

    def _ways_change(self) -> None:
        """Forget ways that may lead elsewhere now, or nowhere."""
        with self._reading:
            self._moves += 1
            self._ways.clear()

    def _drop(self, mount: int, file: FileId) -> None:
        self._moved = True
        below = self._db.execute(_ALL_BELOW, (mount, file)).fetchall()
        self._db.executemany(
            "DELETE FROM file WHERE mount = ? AND id = ?", [(mount, row[0]) for row in below]
        )

    def claim(self, mount: int, claims: Iterable[Claim]) -> None:
        """Write down what clients are told of files of a mount."""
        with self._transaction():
            self._db.executemany(
                "UPDATE file SET told_ns = ?, changed_ns = ?, seen_size = ?, seen_ns = ?"
                " WHERE mount = ? AND id = ?",
                [(*claim[1:], mount, claim.file) for claim in claims],
            )

    # --- inside

    def _ask(self, question: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._reading, _as_refusals():
            return self._reader.execute(question, arguments).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """BEGIN and COMMIT: a killed gateway has all of it or nothing."""
        with self._lock, _as_refusals():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
                if self._moved:
                    self._moved = False
                    self._ways_change()
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


@contextlib.contextmanager
def _as_refusals() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # Python's own have none
        raise (NoSpace if full else Failed)(f"record: {error}") from error
