"""What the administrator has ordered and that takes long, and how far it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from argosy.catalogue.keeping import SAFE, Errand, Left, Shift

_ERRAND = "name, begun_ns, files, bytes, settings"


def begin(db: sqlite3.Connection, errand: Errand) -> Errand:
    """Write an errand down; one that is there already stays as it is, and is given."""
    db.execute(
        f"INSERT INTO errand({_ERRAND}) VALUES(?, ?, ?, ?, ?) ON CONFLICT(name) DO NOTHING",
        (errand.name, errand.begun_ns, errand.files, errand.bytes, errand.settings),
    )
    return read(db, errand.name) or errand


def read(db: sqlite3.Connection, name: str) -> Errand | None:
    """Give an errand, if there is one of this name."""
    row = db.execute(f"SELECT {_ERRAND} FROM errand WHERE name = ?", (name,)).fetchone()  # noqa: S608 - constant
    return Errand(*row) if row else None


def end(db: sqlite3.Connection, name: str) -> bool:
    """Strike an errand off; say whether there was one."""
    return bool(db.execute("DELETE FROM errand WHERE name = ?", (name,)).rowcount)


def settle(db: sqlite3.Connection, name: str, settings: str) -> None:
    """Say of an errand what came of it."""
    db.execute("UPDATE errand SET settings = ? WHERE name = ?", (settings, name))


def held_bytes(db: sqlite3.Connection) -> dict[int, int]:
    """Give the bytes of all copies by volume; reads the whole table."""
    return dict(db.execute("SELECT volume, sum(size) FROM replica GROUP BY volume").fetchall())


def leaving(db: sqlite3.Connection, volume: int) -> int:
    """Give the bytes that are on their way off a volume: to be deleted there, or to go elsewhere first."""
    owed = "SELECT sum(size) FROM tomb WHERE volume = ? AND finding = 0"
    shifted = (
        "SELECT sum(r.size) FROM shift s CROSS JOIN replica r ON r.file = s.file AND r.volume = s.source"
        " WHERE s.source = ?"
    )
    return sum(db.execute(question, (volume,)).fetchone()[0] or 0 for question in (owed, shifted))


def mean_file(db: sqlite3.Connection) -> tuple[int, int]:
    """Give how many files there are among the newest, and their bytes."""
    files, size = db.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM"
        " (SELECT size FROM ent WHERE kind = 1 ORDER BY id DESC LIMIT 10000)"
    ).fetchone()
    return files, size


def shifts(db: sqlite3.Connection) -> list[Shift]:
    """List the files of which a copy shall go from one volume to another, and how far each is."""
    rows = db.execute(
        "SELECT s.file, s.source, s.target, e.size,"
        " EXISTS (SELECT 1 FROM replica r WHERE r.file = s.file AND r.volume = s.target),"
        " NOT EXISTS (SELECT 1 FROM replica r WHERE r.file = s.file AND r.volume = s.source)"
        " FROM shift s JOIN ent e ON e.id = s.file"
    ).fetchall()
    return [
        Shift(file, source, target, size, bool(arrived), bool(gone))
        for file, source, target, size, arrived, gone in rows
    ]


def shift(db: sqlite3.Connection, found: Sequence[Shift], now_ns: int) -> None:
    """Have copies go from one volume to another, each as soon as its file is looked at."""
    db.executemany(
        "INSERT INTO shift(file, source, target) SELECT id, ?, ? FROM ent WHERE id = ?"
        " ON CONFLICT(file) DO NOTHING",
        [(one.source, one.target, one.file) for one in found],
    )
    db.executemany(
        "INSERT INTO job(file, danger, bytes, due_ns, tries, why) SELECT id, ?, size, ?, 0, '' FROM ent"
        " WHERE id = ? ON CONFLICT(file) DO NOTHING",
        [(SAFE, now_ns, one.file) for one in found],
    )


def left_on(db: sqlite3.Connection, volumes: Sequence[int]) -> Left:
    """Count what lies on some volumes, what arrives there, and what stands in the way of its leaving."""
    among = f"IN ({', '.join('?' * len(volumes))})"
    files, size = db.execute(
        f"SELECT count(*), coalesce(sum(size), 0) FROM replica WHERE volume {among}",  # noqa: S608 - question marks
        volumes,
    ).fetchone()
    states = dict(
        db.execute(
            f"SELECT state, count(*) FROM upload WHERE volume {among} GROUP BY state",  # noqa: S608 - question marks
            volumes,
        ).fetchall()
    )
    whys = db.execute(
        "SELECT j.why, count(*), sum(j.bytes) FROM job j WHERE j.why <> ''"  # noqa: S608 - question marks
        f" AND EXISTS (SELECT 1 FROM replica r WHERE r.file = j.file AND r.volume {among})"
        " GROUP BY j.why ORDER BY 2 DESC, 1",
        volumes,
    ).fetchall()
    return Left(
        files=files,
        bytes=size,
        arriving=states.get(0, 0),
        partial=states.get(1, 0),
        by_why={why: (number, of) for why, number, of in whys},
    )


def left_outside(db: sqlite3.Connection, directory: int, volumes: Sequence[int], here: Sequence[int]) -> Left:
    """Count the files below a directory with a copy outside of some volumes, and what stands in their way."""
    among = f"IN ({', '.join('?' * len(volumes))})"
    reached = f"IN ({', '.join('?' * len(here))})"
    rows = db.execute(
        "WITH RECURSIVE below(id) AS ("  # noqa: S608 - question marks
        " SELECT ? UNION ALL SELECT e.id FROM below b JOIN ent e ON e.parent = b.id"
        " WHERE e.kind = 0 AND e.id <> 1"
        """ AND NOT EXISTS (SELECT 1 FROM rule r WHERE r.dir = e.id AND r.settings LIKE '%"only":%'))"""
        " SELECT coalesce((SELECT j.why FROM job j WHERE j.file = e.id), ''),"
        f" EXISTS (SELECT 1 FROM replica r WHERE r.file = e.id AND r.volume {reached}),"
        " count(*), sum(e.size) FROM below b JOIN ent e ON e.parent = b.id"
        " WHERE e.kind = 1 AND e.ver <> 0"
        f" AND EXISTS (SELECT 1 FROM replica r WHERE r.file = e.id AND NOT r.volume {among})"
        " GROUP BY 1, 2",
        (directory, *here, *volumes),
    ).fetchall()
    by_why: dict[str, tuple[int, int]] = {}
    for why, reachable, files, size in rows:
        said = why or ("" if reachable else "all copies are away")
        if said:
            had = by_why.get(said, (0, 0))
            by_why[said] = had[0] + files, had[1] + size
    return Left(sum(row[2] for row in rows), sum(row[3] for row in rows), 0, 0, by_why)


def unnoted(db: sqlite3.Connection, volume: int, after: bytes, limit: int) -> tuple[list[int], bytes]:
    """Give those of a page of a volume's files for which there is no job, and where the page ends."""
    rows = db.execute(
        "SELECT r.loc, r.file, EXISTS (SELECT 1 FROM job j WHERE j.file = r.file) FROM replica r"
        " WHERE r.volume = ? AND r.loc > ? ORDER BY r.loc LIMIT ?",
        (volume, after, limit),
    ).fetchall()
    files = [file for _, file, noted in rows if not noted]
    return files, rows[-1][0] if len(rows) == limit else b""
