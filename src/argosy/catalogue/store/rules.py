"""What was set at run time for directories, as rows: JSON, so that a new field needs no step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from argosy import errors
from argosy.catalogue.keeping import NOTHING_SAID, Way, Wish
from argosy.catalogue.model import ROOT_ID, TreePath
from argosy.catalogue.store import tree

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
    db.execute(
        "INSERT INTO sweep(dir, asked_ns) VALUES(?, ?)"
        " ON CONFLICT(dir) DO UPDATE SET asked_ns = excluded.asked_ns",
        (directory, now_ns),
    )
    return wish


def way(db: sqlite3.Connection, path: TreePath) -> Way:
    """Give the directories on the way to a path, as far as they are there."""
    at, found = ROOT_ID, [(ROOT_ID, b"")]
    for name in path:
        entry = tree.child(db, at, name) if at else None
        at = entry.id if entry is not None and entry.is_directory else 0
        found.append((at, name))
    return found


def way_to(db: sqlite3.Connection, directory: int) -> Way:
    """Give the directories from the root down to one.

    Raises:
        NotFound: It is gone.
    """
    found: list[tuple[int, bytes]] = []
    at = directory
    while at != ROOT_ID:
        row = db.execute("SELECT parent, name FROM ent WHERE id = ?", (at,)).fetchone()
        if row is None:
            raise errors.NotFound(f"directory {directory:x}")
        found.append((at, row[1]))
        at = row[0]
    return [(ROOT_ID, b""), *reversed(found)]
