"""What was set at run time for directories, as rows: JSON, so that a new field needs no step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from argosy.catalogue.keeping import NOTHING_SAID, Wish
from argosy.catalogue.model import TreePath
from argosy.catalogue.store import jobs, tree

_ENCODER = msgspec.json.Encoder(order="sorted")
_WISH = msgspec.json.Decoder(Wish)


def wishes(db: sqlite3.Connection) -> dict[int, Wish]:
    """Give all of them, by the directory's FileId."""
    rows = db.execute("SELECT dir, settings FROM rule ORDER BY dir").fetchall()
    return {directory: _WISH.decode(settings) for directory, settings in rows}


def wishes_by_path(db: sqlite3.Connection) -> dict[TreePath, Wish]:
    """Give all of them, by the path that the directory has now, in order."""
    found = {tree.path_of(db, directory): wish for directory, wish in wishes(db).items()}
    return dict(sorted(found.items()))


def change(db: sqlite3.Connection, path: TreePath, changing: Callable[[Wish], Wish], now_ns: int) -> Wish:
    """Change what a directory wants, and have all files below it looked at; give what it wants now.

    Raises:
        NotFound: Nothing has this path.
        NotADirectory: It, or what should be above it, is a file.
    """
    directory = tree.directory(db, path).id
    row = db.execute("SELECT settings FROM rule WHERE dir = ?", (directory,)).fetchone()
    wish = changing(NOTHING_SAID if row is None else _WISH.decode(row[0]))
    if wish == NOTHING_SAID:
        db.execute("DELETE FROM rule WHERE dir = ?", (directory,))
    else:
        db.execute(
            "INSERT INTO rule(dir, settings) VALUES(?, ?)"
            " ON CONFLICT(dir) DO UPDATE SET settings = excluded.settings",
            (directory, _ENCODER.encode(wish).decode()),
        )
    jobs.sweep(db, directory, now_ns)
    return wish
