"""Searching: SQLite goes through the tree itself, and gives only what matches.

A page goes on where the one before it ended, so no statement stays open between them: a reader that takes
its time doesn't keep the log of changes from being folded into the database.
"""

from __future__ import annotations

import sqlite3
import time

from argosy.catalogue import model
from argosy.catalogue.query import Hit, Hits, Mark, Query
from argosy.catalogue.store import replicas, tree
from argosy.catalogue.store.tree import KIND_CODES

STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""

_BELOW = (
    "WITH RECURSIVE below(id) AS (VALUES(:top) UNION ALL"
    " SELECT e.id FROM below b JOIN ent e ON e.parent = b.id WHERE e.kind = 0 AND e.id <> b.id),"
    " ordered(id) AS MATERIALIZED (SELECT id FROM below WHERE id >= :directory ORDER BY id LIMIT 1 << 62)"
)
"""The directories in question. There is an index of directories alone; the root is its own parent. Without
the limit SQLite would take the order for idle and drop it, and pages go on by it."""

_FROM = (
    # Directory by directory, and by name in each, so that the page's end is a place to go on from. Names
    # stand in the index; only rows of names that match are read.
    " FROM ordered o CROSS JOIN ent e ON e.parent = o.id"
    " AND e.name > CASE WHEN o.id = :directory THEN :name ELSE x'' END"
)

_CONDITIONS = {
    "smallest": "e.kind = 1 AND e.size >= :smallest",
    "largest": "e.kind = 1 AND e.size <= :largest",
    "after_ns": "e.mtime_ns >= :after_ns",
    "before_ns": "e.mtime_ns <= :before_ns",
    "owner": "e.owner = :owner",
    "group": "e.grp = :group",
    "node": "EXISTS (SELECT 1 FROM replica r JOIN volume v ON v.number = r.volume"
    " WHERE r.file = e.id AND r.standing = 0 AND v.node = :node)",
    "kind": "e.kind = :kind",
}


def search(db: sqlite3.Connection, top: int, query: Query, *, after: Mark, limit: int, until: float) -> Hits:
    """Look below a directory for a page of what is asked for.

    Args:
        db: The thread's own connection.
        top: The directory.
        query: What is asked for.
        after: Where the page before this one ended.
        limit: Entries in the page.
        until: By `time.monotonic`; then what was found so far must do.
    """
    wanted = {
        name: value for name in _CONDITIONS if (value := getattr(query, name)) is not None and value != ""
    }
    patterns = {f"pattern{number}": pattern for number, pattern in enumerate(query.names)}
    conditions = [f"CAST(e.name AS TEXT) GLOB CAST(:{name} AS TEXT)" for name in patterns]
    conditions += [_CONDITIONS[name] for name in wanted]
    values = {**wanted, **patterns, "top": top, "directory": after.directory, "name": after.name}
    if query.kind is not None:
        values["kind"] = KIND_CODES[query.kind]
    where = " AND ".join(["1", *conditions])
    rows: list[tuple[object, ...]] = []
    late = False
    db.set_progress_handler(lambda: time.monotonic() > until, STEPS)
    try:
        cursor = db.execute(
            f"{_BELOW} SELECT {tree.EVERYTHING_OF_E}{_FROM} WHERE {where} LIMIT {limit:d}",
            values,
        )
        while page := cursor.fetchmany(100):
            rows += page
    except sqlite3.OperationalError:
        if time.monotonic() <= until:
            raise
        late = True
    finally:
        db.set_progress_handler(None, 0)
    full = len(rows) == limit
    last = tree.to_entry(rows[-1]) if rows else None
    goes_on = Mark(last.parent, last.name) if last and (full or late) else None
    return Hits(_to_hits(db, rows), goes_on, late)


def _to_hits(db: sqlite3.Connection, rows: list[tuple[object, ...]]) -> list[Hit]:
    """Find out the paths, and who has copies; a directory that has gone meanwhile takes its hits along."""
    entries = [tree.to_entry(row) for row in rows]
    paths: dict[int, model.TreePath | None] = {}
    for entry in entries:
        if entry.parent not in paths:
            paths[entry.parent] = tree.path_or_none(db, entry.parent)
    files = [entry.id for entry in entries if entry.kind is model.Kind.FILE]
    holders = replicas.holders_of(db, files)
    return [
        Hit((*above, entry.name), entry, tuple(sorted(holders.get(entry.id, ()))))
        for entry in entries
        if (above := paths[entry.parent]) is not None
    ]
