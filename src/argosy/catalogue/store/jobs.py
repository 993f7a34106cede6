"""Files whose copies somebody should look at: noted where copies come and go, taken by danger.

A job says that something may be to be done, never what. So noting a file twice does no harm, nor does
noting one that has all it wants.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from argosy.catalogue.keeping import SAFE, Job, Stock, Surplus, Wanting, Wants
from argosy.catalogue.model import ROOT_ID, Discard, Entry, Replica, TreePath
from argosy.catalogue.store import replicas, tree
from argosy.catalogue.store.replicas import CHUNK

_COLUMNS = "file, danger, bytes, due_ns, tries, why"

_INSERT = f"INSERT INTO job({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(file) DO"

_KEPT = (
    "SELECT count(*) FROM replica r JOIN volume v ON v.number = r.volume"
    " WHERE r.file = ? AND r.ver = ? AND r.standing = 0 AND v.away_ns IS NULL AND v.standing = 0"
    " AND r.volume IN"
)


def note(db: sqlite3.Connection, files: Iterable[int], wants: Wants | None, now_ns: int) -> None:
    """Note those of some files that have other than as many copies as are wanted.

    Args:
        db: In the transaction in which copies came or went.
        files: Any; those that are gone are left out.
        wants: None: nobody wants copies of anything, and this costs nothing.
        now_ns: The time.
    """
    if wants is None:
        return
    wanted: dict[int, int] = {}
    found: list[tuple[object, ...]] = []
    question = (
        "SELECT e.id, e.parent, e.size,"
        " (SELECT count(*) FROM replica r WHERE r.file = e.id AND r.standing = 0)"
        " FROM ent e WHERE e.kind = 1 AND e.ver <> 0 AND e.state <> 4 AND e.id IN"
    )
    for file, parent, size, copies in _chunked(db, question, sorted(files)):
        if parent not in wanted:
            wanted[parent] = wants(tree.way_to(db, parent))
        if wanted[parent] and copies != wanted[parent]:
            danger = copies if copies < min(wanted[parent], SAFE) else SAFE
            found.append((file, danger, size, now_ns, 0, ""))
    db.executemany(
        f"{_INSERT} UPDATE SET danger = excluded.danger, bytes = excluded.bytes, due_ns = excluded.due_ns,"
        " tries = 0, why = ''",
        found,
    )


def renamed(db: sqlite3.Connection, path: TreePath, wants: Wants | None, now_ns: int) -> None:
    """Note what has another path now, for other rules may hold there."""
    entry = tree.lookup(db, path) if wants is not None else None
    if entry is not None and entry.is_directory:
        sweep(db, entry.id, now_ns)
    elif entry is not None and entry.ver:
        note(db, [entry.id], wants, now_ns)
        # As many as before may be wanted, but elsewhere.
        db.execute(f"{_INSERT} NOTHING", (entry.id, SAFE, entry.size, now_ns, 0, ""))


def add(db: sqlite3.Connection, jobs: Sequence[Job]) -> None:
    """Add jobs; what a file has one for already is due at the sooner of both times.

    Who found them looked a moment ago: a file that was deleted since needs none.
    """
    db.executemany(
        f"INSERT INTO job({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6"  # noqa: S608
        " WHERE EXISTS (SELECT 1 FROM ent WHERE id = ?1) ON CONFLICT(file) DO"
        " UPDATE SET danger = excluded.danger, due_ns ="
        " CASE WHEN job.due_ns < excluded.due_ns THEN job.due_ns ELSE excluded.due_ns END",
        [_to_row(job) for job in jobs],
    )


def due(db: sqlite3.Connection, now_ns: int, limit: int, skip: Collection[int]) -> list[Job]:
    """List jobs that are due, those of the most endangered files first.

    Args:
        db: The database.
        now_ns: The time.
        limit: How many at the most.
        skip: Files that are seen to already.
    """
    found: list[Job] = []
    for danger in range(SAFE + 1):
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM job WHERE danger = ? AND due_ns <= ? ORDER BY due_ns LIMIT ?",  # noqa: S608
            (danger, now_ns, limit - len(found) + len(skip)),
        ).fetchall()
        found += [Job(*row) for row in rows if row[0] not in skip]
        if len(found) >= limit:
            break
    return found[:limit]


def conclude(
    db: sqlite3.Connection,
    done: Sequence[Job],
    later: Sequence[tuple[Job, Job]],
    stay: Sequence[int] = (),
) -> None:
    """Drop jobs that are done, and put others off, unless they were noted anew since they were read.

    Args:
        db: In a transaction.
        done: As they were read.
        later: As they were read, and as they shall be.
        stay: Files of which no copy shall go from one volume to another any more.
    """
    db.executemany("DELETE FROM shift WHERE file = ?", [(file,) for file in stay])
    db.executemany("DELETE FROM job WHERE file = ? AND due_ns = ?", [(job.file, job.due_ns) for job in done])
    db.executemany(
        "UPDATE job SET danger = ?, bytes = ?, due_ns = ?, tries = ?, why = ? WHERE file = ? AND due_ns = ?",
        [(*_to_row(after)[1:], before.file, before.due_ns) for before, after in later],
    )


def hurry(db: sqlite3.Connection, after: int, limit: int, now_ns: int) -> int:
    """Make a page of the jobs that something stood in the way of due now; give where it ends, or 0."""
    page = [
        file
        for (file,) in db.execute(
            "SELECT file FROM job WHERE file > ? AND why <> '' ORDER BY file LIMIT ?", (after, limit)
        ).fetchall()
    ]
    db.executemany("UPDATE job SET due_ns = ?, tries = 0 WHERE file = ?", [(now_ns, file) for file in page])
    return page[-1] if len(page) == limit else 0


def wanting(db: sqlite3.Connection, now_ns: int) -> Wanting:
    """Count the jobs but for those that only wait; reads the whole table."""
    dangers = db.execute(
        "SELECT danger, count(*), sum(bytes) FROM job WHERE due_ns <= ? OR why <> '' GROUP BY danger",
        (now_ns,),
    ).fetchall()
    whys = db.execute(
        "SELECT why, count(*), sum(bytes) FROM job WHERE why <> '' GROUP BY why ORDER BY 2 DESC, 1"
    ).fetchall()
    return Wanting(
        {danger: (files, size) for danger, files, size in dangers},
        {why: (files, size) for why, files, size in whys},
    )


# --- what there is ----


def stocks(db: sqlite3.Connection, files: Sequence[int]) -> list[Stock]:
    """Give files with their copies; those that are gone are left out."""
    question = f"SELECT {tree.EVERYTHING} FROM ent WHERE kind = 1 AND id IN"  # noqa: S608 - constant
    return stocked(db, [tree.to_entry(row) for row in _chunked(db, question, files)])


def stocked(db: sqlite3.Connection, entries: Sequence[Entry]) -> list[Stock]:
    """Give the copies of some files."""
    held: dict[int, list[Replica]] = {entry.id: [] for entry in entries}
    for row in _chunked(db, f"{replicas.SELECT} WHERE r.file IN", sorted(held)):
        held[row[0]].append(replicas.to_replica(row))
    shifts = {
        file: (source, target)
        for file, source, target in _chunked(
            db, "SELECT file, source, target FROM shift WHERE file IN", sorted(held)
        )
    }
    question = "SELECT file, ver, volume FROM finding WHERE became < 3 AND became = 1 AND file IN"
    owed: dict[tuple[int, int], set[int]] = defaultdict(set)
    for file, ver, volume in _chunked(db, question, sorted(held)):
        owed[file, ver].add(volume)
    return [
        Stock(
            entry,
            tuple(held[entry.id]),
            shifts.get(entry.id),
            owed=frozenset(owed.get((entry.id, entry.ver), ())),
        )
        for entry in entries
    ]


def held(db: sqlite3.Connection, volume: int, after: bytes, limit: int) -> tuple[list[int], bytes]:
    """Give a page of the files that a volume has a copy of, and where it ends; empty: it was the last."""
    rows = db.execute(
        "SELECT loc, file FROM replica WHERE volume = ? AND loc > ? ORDER BY loc LIMIT ?",
        (volume, after, limit),
    ).fetchall()
    return [file for _, file in rows], rows[-1][0] if len(rows) == limit else b""


def drop(db: sqlite3.Connection, surplus: Sequence[Surplus], now_ns: int) -> list[Discard]:
    """Take copies away that are too many: tombstones from now on. What isn't so any more stays."""
    discards: list[Discard] = []
    for one in surplus:
        marks = ", ".join("?" * len(one.keep))
        (kept,) = db.execute(f"{_KEPT} ({marks})", (one.file, one.ver, *one.keep)).fetchone()
        row = db.execute(
            "SELECT r.volume, r.loc, r.ver, r.size, r.mtime_ns FROM replica r JOIN ent e ON e.id = r.file"
            " WHERE r.file = ? AND r.volume = ? AND r.ver = ? AND e.ver = r.ver AND r.standing = 0"
            # Who appends goes on from a copy that is there.
            " AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.file = r.file)",
            (one.file, one.volume, one.ver),
        ).fetchone()
        if row is None or kept < len(one.keep) or one.volume in one.keep:
            continue
        discards.append(replicas.bury_one(db, one.file, Discard(*row), now_ns))
    return discards


# --- sweeps ----


def sweep(db: sqlite3.Connection, directory: int, now_ns: int) -> None:
    """Have all files below a directory looked at."""
    db.execute(
        "INSERT INTO sweep(dir, asked_ns) VALUES(?, ?)"
        " ON CONFLICT(dir) DO UPDATE SET asked_ns = excluded.asked_ns",
        (directory, now_ns),
    )


def sweeps(db: sqlite3.Connection) -> list[tuple[int, int]]:
    """List directories below which all files are to be looked at, and when that was asked for."""
    return db.execute("SELECT dir, asked_ns FROM sweep ORDER BY asked_ns").fetchall()


def swept(db: sqlite3.Connection, directory: int, asked_ns: int) -> None:
    """Note that they were, unless it was asked for once more since."""
    db.execute("DELETE FROM sweep WHERE dir = ? AND asked_ns = ?", (directory, asked_ns))


def sweep_all(db: sqlite3.Connection, before_ns: int, now_ns: int) -> bool:
    """Have all files looked at, if that was asked for before some time the last time; say whether it is."""
    row = db.execute("SELECT value FROM meta WHERE key = 'audited_ns'").fetchone()
    if row is not None and row[0] > before_ns:
        return False
    db.execute(
        "INSERT INTO meta(key, value) VALUES('audited_ns', ?)"
        " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
        (now_ns,),
    )
    sweep(db, ROOT_ID, now_ns)
    return True


def _to_row(job: Job) -> tuple[object, ...]:
    return job.file, job.danger, job.bytes, job.due_ns, job.tries, job.why


def _chunked(db: sqlite3.Connection, question: str, values: Sequence[int]) -> Iterable[Any]:
    """Ask about many values, with so many in one statement."""
    for first in range(0, len(values), CHUNK):
        chunk = values[first : first + CHUNK]
        yield from db.execute(f"{question} ({', '.join('?' * len(chunk))})", chunk).fetchall()
