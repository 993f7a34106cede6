"""Replicas and tombstones: what lies on the volumes, and what shall not lie there any longer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from argosy.catalogue.model import Counts, Discard, Replica, Standing

STANDINGS = (Standing.GOOD, Standing.SUSPECT, Standing.BAD)
"""What the numbers in the table mean, by place."""

CHUNK = 256
"""Values in one `IN`: few enough for every engine."""

GOOD, SUSPECT, BAD = range(len(STANDINGS))

SELECT = (
    "SELECT r.file, r.volume, v.node, r.ver, r.standing, r.loc, r.size, r.mtime_ns"
    " FROM replica r JOIN volume v ON v.number = r.volume"
)


def to_replica(row: Any) -> Replica:
    """Make a replica of a row of `SELECT`."""
    file, volume, node, ver, standing, loc, size, mtime_ns = row
    return Replica(file, volume, node, ver, STANDINGS[standing], loc, size, mtime_ns)


def of(db: sqlite3.Connection, file: int) -> list[Replica]:
    """List the replicas of a file, by volume."""
    rows = db.execute(f"{SELECT} WHERE r.file = ? ORDER BY r.volume", (file,))
    return [to_replica(row) for row in rows.fetchall()]


def holders(db: sqlite3.Connection, folder: int, after: bytes, upto: bytes) -> dict[int, list[str]]:
    """Name the nodes with a good copy of each file of a directory with `after < name <= upto`."""
    # Both questions are answered from indexes alone: the standing is in one of those that aren't good.
    asked = (
        "SELECT r.file, r.volume FROM replica r JOIN ent e ON e.id = r.file"
        " WHERE e.parent = ? AND e.name > ? AND e.name <= ?"
    )
    bounds = (folder, after, upto)
    suspect = set(db.execute(f"{asked} AND r.standing <> 0", bounds))
    nodes = dict(db.execute("SELECT number, node FROM volume"))
    held: dict[int, list[str]] = {}
    for copy in db.execute(asked, bounds).fetchall():
        if copy not in suspect:
            held.setdefault(copy[0], []).append(nodes[copy[1]])
    return held


def holders_of(db: sqlite3.Connection, files: Sequence[int]) -> dict[int, list[str]]:
    """Name the nodes with a good copy of each of some files."""
    held: dict[int, list[str]] = {}
    for first in range(0, len(files), CHUNK):
        chunk = files[first : first + CHUNK]
        marks = ", ".join("?" * len(chunk))
        rows = db.execute(
            "SELECT r.file, v.node FROM replica r JOIN volume v ON v.number = r.volume"  # noqa: S608 - marks
            f" WHERE r.standing = 0 AND r.file IN ({marks})",
            chunk,
        )
        for file, node in rows.fetchall():
            held.setdefault(file, []).append(node)
    return held


def insert(db: sqlite3.Connection, replica: Replica, *, listed: bool) -> None:
    """Write a replica whose place nobody has."""
    db.execute(
        "INSERT INTO replica(volume, loc, file, ver, standing, size, mtime_ns, listed)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(replica.volume, replica.loc, replica.file, replica.ver),
            *(STANDINGS.index(replica.standing), replica.size, replica.mtime_ns, listed),
        ),
    )


def held_by(db: sqlite3.Connection, volume: int, loc: bytes) -> int | None:
    """Say which file lies at a place, if any does."""
    row = db.execute("SELECT file FROM replica WHERE volume = ? AND loc = ?", (volume, loc)).fetchone()
    return None if row is None else row[0]


def bury(db: sqlite3.Connection, file: int, now_ns: int, *, keep: bool = True) -> list[Discard]:
    """Turn all replicas of a file into tombstones; see `Discard` for `keep`."""
    db.execute(
        "INSERT INTO tomb(volume, loc, ver, size, mtime_ns, file, due_ns, keep)"
        " SELECT volume, loc, ver, size, mtime_ns, file, ?, ? FROM replica WHERE file = ?"
        " ON CONFLICT(volume, loc, ver) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns",
        (now_ns, keep, file),
    )
    rows = db.execute(
        "SELECT volume, loc, ver, size, mtime_ns, 0, ? FROM replica WHERE file = ?", (keep, file)
    )
    discards = [_to_discard(row) for row in rows.fetchall()]
    db.execute("DELETE FROM replica WHERE file = ?", (file,))
    return discards


def bury_one(db: sqlite3.Connection, file: int, discard: Discard, now_ns: int) -> Discard:
    """Turn one replica of a file into a tombstone, and give the deletion that is owed."""
    bury_found(db, discard, file, now_ns)
    db.execute("DELETE FROM replica WHERE file = ? AND volume = ?", (file, discard.volume))
    return discard


def bury_found(db: sqlite3.Connection, discard: Discard, file: int, now_ns: int) -> None:
    """Owe a volume the deletion of what lies there and is no replica."""
    db.execute(
        "INSERT INTO tomb(volume, loc, ver, size, mtime_ns, file, due_ns, finding)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(volume, loc, ver) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " due_ns = excluded.due_ns, finding = excluded.finding",
        (
            *(discard.volume, discard.loc, discard.ver, discard.size, discard.mtime_ns),
            *(file, now_ns, discard.finding),
        ),
    )


def owe(db: sqlite3.Connection, file: int, *, directory: bool, now_ns: int) -> None:
    """Note that the disks are behind the tree for this file, or for all that is below this directory."""
    db.execute(
        "INSERT INTO settle(file, directory, after, due_ns, tries) VALUES(?, ?, x'', ?, 0)"
        " ON CONFLICT(file) DO UPDATE SET after = x'', due_ns = excluded.due_ns, tries = 0",
        (file, directory, now_ns),
    )


def tombs(db: sqlite3.Connection, volume: int, limit: int, now_ns: int) -> list[Discard]:
    """List deletions that a volume is still owed, but for those that were put off."""
    rows = db.execute(
        "SELECT volume, loc, ver, size, mtime_ns, finding, keep FROM tomb WHERE volume = ? AND due_ns <= ?"
        " ORDER BY loc, ver LIMIT ?",
        (volume, now_ns, limit),
    )
    return [_to_discard(row) for row in rows.fetchall()]


def _to_discard(row: Any) -> Discard:
    volume, loc, ver, size, mtime_ns, finding, keep = row
    return Discard(volume, loc, ver, size, mtime_ns, finding, bool(keep))


_TOMB = "volume = ? AND loc = ? AND ver = ? AND size = ? AND mtime_ns = ?"


def _tomb(volume: int, discard: Discard) -> tuple[object, ...]:
    return volume, discard.loc, discard.ver, discard.size, discard.mtime_ns


def buried(db: sqlite3.Connection, volume: int, done: Sequence[Discard]) -> None:
    """Drop the tombstones of deletions that the volume has carried out."""
    db.executemany(f"DELETE FROM tomb WHERE {_TOMB}", [_tomb(volume, discard) for discard in done])  # noqa: S608


def refused(
    db: sqlite3.Connection, left: Sequence[Discard], now_ns: int, first_ns: int, most_ns: int
) -> None:
    """Put deletions off that nodes refused, each time twice as long.

    Args:
        db: In a transaction.
        left: The deletions.
        now_ns: The time.
        first_ns: The first pause.
        most_ns: The longest.
    """
    pause = "CASE WHEN tries < 30 THEN ? << tries ELSE ? END"
    db.executemany(
        f"UPDATE tomb SET due_ns = ? + CASE WHEN {pause} < ? THEN {pause} ELSE ? END, tries = tries + 1"  # noqa: S608
        f" WHERE {_TOMB}",
        [
            (now_ns, first_ns, most_ns, most_ns, first_ns, most_ns, most_ns, *_tomb(one.volume, one))
            for one in left
        ],
    )


def retry(db: sqlite3.Connection, volume: int) -> None:
    """Have all that a volume is owed tried now: its disk may be another one, or mounted again."""
    db.execute("UPDATE tomb SET due_ns = 0, tries = 0 WHERE volume = ? AND tries <> 0", (volume,))


def reprieve(db: sqlite3.Connection, volume: int) -> None:
    """Owe a volume no deletion of what counts as a file's content still: what we know is old.

    The deletion may have been carried out since, and the copy that lies there now be a later one, and the
    last. What is too many is found again; and a bad one is bad here until it has been read once more.
    """
    counts = "EXISTS (SELECT 1 FROM ent e WHERE e.ver = tomb.ver AND e.ver <> 0)"
    db.execute(
        "INSERT INTO replica(volume, loc, file, ver, standing, size, mtime_ns, listed)"
        " SELECT t.volume, t.loc, e.id, t.ver, ?, t.size, t.mtime_ns, 1 FROM tomb t"
        " JOIN ent e ON e.ver = t.ver AND e.ver <> 0 WHERE t.volume = ? AND t.finding <> 0"
        " ON CONFLICT DO NOTHING",
        (BAD, volume),
    )
    db.execute(
        "UPDATE finding SET became = 0 WHERE became < 3 AND became = 1 AND id IN"  # noqa: S608 - constant
        f" (SELECT finding FROM tomb WHERE volume = ? AND finding <> 0 AND {counts})",
        (volume,),
    )
    db.execute(f"DELETE FROM tomb WHERE volume = ? AND {counts}", (volume,))  # noqa: S608 - constant


def suspects(db: sqlite3.Connection, after: int, limit: int) -> list[int]:
    """List files with a copy whose content nobody has compared, in order of FileIds from behind `after`."""
    rows = db.execute(
        "SELECT DISTINCT file FROM replica WHERE standing <> 0 AND standing = 1 AND file > ?"
        " ORDER BY file LIMIT ?",
        (after, limit),
    )
    return [file for (file,) in rows.fetchall()]


_DAMAGED = (
    "ent e WHERE kind = 1 AND state IN (0, 3)"
    " AND NOT EXISTS (SELECT 1 FROM replica r WHERE r.file = e.id AND r.standing = 0)"
)


def damaged(db: sqlite3.Connection, limit: int) -> list[int]:
    """List files without a good copy; reads whole tables."""
    rows = db.execute(f"SELECT e.id FROM {_DAMAGED} ORDER BY e.id LIMIT ?", (limit,))  # noqa: S608 - constant
    return [file for (file,) in rows.fetchall()]


def counts(db: sqlite3.Connection) -> Counts:
    """Count everything; reads whole tables, so seconds for millions of files."""
    kinds = {
        kind: (number, size)
        for kind, number, size in db.execute(
            "SELECT kind, count(*), sum(size) FROM ent WHERE state <> 4 GROUP BY kind"
        )
    }
    trashed, trashed_bytes = db.execute(
        "SELECT count(*), coalesce(sum(e.size), 0) FROM trash t JOIN ent e ON e.id = t.file"
    ).fetchone()
    states = dict(db.execute("SELECT state, count(*) FROM ent WHERE state <> 0 GROUP BY state").fetchall())
    files, size = kinds.get(1, (0, 0))
    return Counts(
        files=files,
        directories=kinds[0][0] - 1,
        links=kinds.get(2, (0, 0))[0],
        bytes=size,
        damaged=_count(db, _DAMAGED),
        partial=states.get(2, 0),
        conflicts=states.get(3, 0),
        suspects=_count(db, "replica WHERE standing <> 0 AND standing = 1"),
        tombstones=_count(db, "tomb"),
        trashed=trashed,
        trashed_bytes=trashed_bytes,
        by_volume={
            volume: (number, held)
            for volume, number, held in db.execute(
                "SELECT volume, count(*), sum(size) FROM replica GROUP BY volume"
            )
        },
    )


def _count(db: sqlite3.Connection, what: str) -> int:
    (number,) = db.execute(f"SELECT count(*) FROM {what}").fetchone()  # noqa: S608 - our own constants
    return int(number)
