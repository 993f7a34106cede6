"""Lists of checksums (SFV and the like) that were read: what is in them, so that no node is asked again.

A list counts as long as its file has the content that was read and lies where it did. The row of one that was
replaced or moved says nothing until it is kept anew, and that of a deleted one goes with it.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class Kept(NamedTuple):
    """A list that was read."""

    file: int
    ver: int
    name: bytes


def of_directory(db: sqlite3.Connection, directory: int) -> list[Kept]:
    """Give the lists of a directory, by name."""
    rows = db.execute(
        "SELECT s.file, s.ver, e.name FROM sumlist s CROSS JOIN ent e ON e.id = s.file"
        " WHERE s.dir = ? AND e.parent = s.dir AND e.ver = s.ver AND e.state IN (0, 3) ORDER BY e.name",
        (directory,),
    )
    return [Kept(*row) for row in rows.fetchall()]


def content(db: sqlite3.Connection, file: int, ver: int) -> bytes | None:
    """Give the bytes of a list, wherever it lies now; None: this version wasn't read."""
    row = db.execute("SELECT content FROM sumlist WHERE file = ? AND ver = ?", (file, ver)).fetchone()
    return bytes(row[0]) if row else None


def keep(db: sqlite3.Connection, file: int, ver: int, directory: int, data: bytes) -> None:
    """Keep what a list says, read in a directory; nothing happens if its file is gone by now."""
    db.execute(
        "INSERT INTO sumlist(file, ver, dir, content) SELECT id, ?, ?, ? FROM ent WHERE id = ?"
        " ON CONFLICT(file) DO UPDATE SET ver = excluded.ver, dir = excluded.dir, content = excluded.content",
        (ver, directory, data, file),
    )
