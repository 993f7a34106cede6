"""Files that have outlived their retention: told of first, and gone a while later."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from argosy.catalogue.keeping import Leaving, Mark


def mark(db: sqlite3.Connection, found: Sequence[tuple[int, int]], now_ns: int) -> None:
    """Note files, by FileId and version; one that is noted already stays so, another version begins anew."""
    db.executemany(
        "INSERT INTO expiry(file, ver, noted_ns) SELECT id, ver, ? FROM ent WHERE id = ? AND ver = ?"
        " ON CONFLICT(file) DO UPDATE SET noted_ns ="
        " CASE WHEN expiry.ver = excluded.ver THEN expiry.noted_ns ELSE excluded.noted_ns END,"
        " ver = excluded.ver",
        [(now_ns, file, ver) for file, ver in found],
    )


def unmark(db: sqlite3.Connection, files: Sequence[int]) -> None:
    """Note no longer that files will go."""
    db.executemany("DELETE FROM expiry WHERE file = ?", [(file,) for file in files])


def marked(db: sqlite3.Connection, after: int, limit: int) -> list[Mark]:
    """Give a page of the files that will go, in order of FileIds from behind one."""
    rows = db.execute(
        "SELECT file, ver, noted_ns FROM expiry WHERE file > ? ORDER BY file LIMIT ?", (after, limit)
    )
    return [Mark(*row) for row in rows.fetchall()]


def leaving(db: sqlite3.Connection) -> Leaving:
    """Count the files that will go."""
    row = db.execute(
        "SELECT count(*), coalesce(sum(e.size), 0), coalesce(min(x.noted_ns), 0)"
        " FROM expiry x JOIN ent e ON e.id = x.file"
    ).fetchone()
    return Leaving(*row)
