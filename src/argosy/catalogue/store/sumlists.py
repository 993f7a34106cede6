"""Lists of checksums (SFV and the like) that were read: what is in them, so that no node is asked again.

A list counts as long as its file has the content that was read and lies where it did. The row of one that was
replaced or moved says nothing until it is kept anew, and that of a deleted one goes with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from argosy.catalogue.model import KeptList

_IDLE = (
    "FROM sumlist s CROSS JOIN ent e ON e.id = s.file"
    " WHERE (e.parent <> s.dir OR e.ver <> s.ver OR e.state NOT IN (0, 3))"
)


def of_directory(db: sqlite3.Connection, directory: int) -> list[KeptList]:
    """Give the lists of a directory, by name."""
    rows = db.execute(
        "SELECT s.file, s.ver, e.name, length(s.content) FROM sumlist s CROSS JOIN ent e ON e.id = s.file"
        " WHERE s.dir = ? AND e.parent = s.dir AND e.ver = s.ver AND e.state IN (0, 3) ORDER BY e.name",
        (directory,),
    )
    return [KeptList(*row) for row in rows.fetchall()]


def any_of(db: sqlite3.Connection, directory: int) -> bool:
    """Say whether a list was read in a directory, be it gone since."""
    return db.execute("SELECT 1 FROM sumlist WHERE dir = ? LIMIT 1", (directory,)).fetchone() is not None


def content(db: sqlite3.Connection, file: int, ver: int) -> bytes | None:
    """Give the bytes of a list, wherever it lies now; None: this version wasn't read."""
    row = db.execute("SELECT content FROM sumlist WHERE file = ? AND ver = ?", (file, ver)).fetchone()
    return bytes(row[0]) if row else None


def bytes_of(db: sqlite3.Connection, file: int) -> int:
    """Give how many bytes are kept of a list, be they of an older version."""
    row = db.execute("SELECT length(content) FROM sumlist WHERE file = ?", (file,)).fetchone()
    return int(row[0]) if row else 0


def bytes_together(db: sqlite3.Connection) -> int:
    """Give how many bytes are kept of all lists; it goes through all of them, but not through their bytes."""
    return int(db.execute("SELECT coalesce(sum(length(content)), 0) FROM sumlist").fetchone()[0])


def idle(db: sqlite3.Connection, most: int) -> list[int]:
    """Give files whose rows say nothing now: they were replaced, or moved, or are in the trash."""
    rows = db.execute(f"SELECT s.file {_IDLE} LIMIT ?", (most,))
    return [file for (file,) in rows.fetchall()]


def drop_idle(db: sqlite3.Connection, files: Iterable[int]) -> None:
    """Forget what is kept of those files whose rows say nothing."""
    drop = f"DELETE FROM sumlist WHERE file IN (SELECT s.file {_IDLE} AND s.file = ?)"  # noqa: S608 - ours
    db.executemany(drop, [(file,) for file in files])


def keep(db: sqlite3.Connection, file: int, ver: int, directory: int, data: bytes) -> None:
    """Keep what a list says, read in a directory; nothing happens if its file is gone by now."""
    db.execute(
        "INSERT INTO sumlist(file, ver, dir, content) SELECT id, ?, ?, ? FROM ent WHERE id = ?"
        " ON CONFLICT(file) DO UPDATE SET ver = excluded.ver, dir = excluded.dir, content = excluded.content",
        (ver, directory, data, file),
    )
