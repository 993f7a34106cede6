"""Bringing the disks in line with the tree after renames: who is to move what, page by page.

A row of `settle` is a debt. A directory's row stands for all that is below it and turns, a page at a time,
into rows of its subdirectories and of those files that lie elsewhere than the tree says. It is never urgent:
a replica is read where it lies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence

from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.keeping import Wants
from argosy.catalogue.model import Settlement
from argosy.catalogue.store import merging, replicas, tree

TRIES = 8
"""After so many refusals a file stays where it is, which is as good a place as any."""

CIRCLE_TRIES = 2
"""After so many refusals two files that want each other's places are told apart."""


def settlements(
    db: sqlite3.Connection, limit: int, online: Collection[int], now_ns: int, pause_ns: int
) -> list[Settlement]:
    """Take what is due for volumes that are online; it isn't due again for a while.

    Args:
        db: Inside a transaction.
        limit: Files at the most.
        online: Numbers of volumes that can be told now.
        now_ns: The time.
        pause_ns: When to ask again what was handed out here, if nobody says how it ended.
    """
    _expand(db, limit, now_ns)
    due = db.execute(
        "SELECT file FROM settle WHERE directory = 0 AND due_ns <= ? ORDER BY due_ns LIMIT ?",
        (now_ns, limit),
    ).fetchall()
    found: list[Settlement] = []
    for (file,) in due:
        owed = _owed(db, file, now_ns)
        if not owed:
            db.execute("DELETE FROM settle WHERE file = ?", (file,))
            continue
        db.execute("UPDATE settle SET due_ns = ? WHERE file = ?", (now_ns + pause_ns, file))
        for settlement in owed:
            if settlement.volume in online:
                found += [*_clearing(db, settlement), settlement]
    return found


def _clearing(db: sqlite3.Connection, settlement: Settlement) -> list[Settlement]:
    """Have a trashed file go aside that lies where this one shall: only now anybody wants the place."""
    if settlement.to == settlement.loc:
        return []
    row = db.execute(
        "SELECT r.file, r.ver, r.size, r.mtime_ns, t.path FROM replica r JOIN trash t ON t.file = r.file"
        " WHERE r.volume = ? AND r.loc = ?",
        (settlement.volume, settlement.to),
    ).fetchone()
    if row is None:
        return []
    file, ver, size, mtime_ns, path = row
    where = (file, settlement.volume, settlement.node, settlement.to)
    # Named at no time: whoever makes the record anew from the disks takes it for older than what is there.
    return [Settlement(*where, ver, size, model.unplaced(ver), mtime_ns, 0, path)]


def _owed(db: sqlite3.Connection, file: int, now_ns: int) -> list[Settlement]:
    """Say where each good replica of a file should be and isn't."""
    try:
        entry = tree.by_id(db, file)
        loc = b"/".join(tree.path_of(db, file))
    except errors.NotFound:
        return []
    owed = []
    for replica in replicas.of(db, file):
        there = replica.loc == loc and replica.mtime_ns == entry.mtime_ns
        if replica.standing is model.Standing.GOOD and not there:
            to = _way_out(db, replica, loc)
            owed.append(
                Settlement(
                    *(file, replica.volume, replica.node, replica.loc, replica.ver, replica.size),
                    *(to, entry.mtime_ns, now_ns, b"" if to == loc else loc),
                )
            )
    return owed


def _way_out(db: sqlite3.Connection, replica: model.Replica, loc: bytes) -> bytes:
    """Give the place to go to: aside first when it is held by a file that waits for another place itself."""
    if replica.loc == loc or replica.loc == model.unplaced(replica.ver):
        return loc
    row = db.execute(
        "SELECT 1 FROM settle mine, replica r JOIN settle s ON s.file = r.file"
        " WHERE mine.file = ? AND mine.tries >= ? AND r.volume = ? AND r.loc = ?",
        (replica.file, CIRCLE_TRIES, replica.volume, loc),
    ).fetchone()
    return loc if row is None else model.unplaced(replica.ver)


def _expand(db: sqlite3.Connection, limit: int, now_ns: int) -> None:
    """Turn directories' rows into their children's, until there is enough to do."""
    (ready,) = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM settle WHERE directory = 0 AND due_ns <= ? LIMIT ?) due",
        (now_ns, limit),
    ).fetchone()
    looked = 0
    while ready < limit and looked < 4 * limit:
        row = db.execute(
            "SELECT file, after FROM settle WHERE directory = 1 ORDER BY due_ns LIMIT 1"
        ).fetchone()
        if row is None:
            return
        folder, after = row
        page = tree.children(db, folder, after, limit)
        looked += 1 + len(page)
        ready += _owe_children(db, folder, page, now_ns)
        if len(page) < limit:
            db.execute("DELETE FROM settle WHERE file = ?", (folder,))
        else:
            db.execute("UPDATE settle SET after = ? WHERE file = ?", (page[-1].name, folder))


def _owe_children(db: sqlite3.Connection, folder: int, page: Sequence[model.Entry], now_ns: int) -> int:
    """Note each child that isn't in its place. How many files that was."""
    if not page:
        return 0
    path = tree.path_of(db, folder)
    for entry in page:
        if entry.is_directory:
            replicas.owe(db, entry.id, directory=True, now_ns=now_ns)
    rows = db.execute(
        "SELECT DISTINCT e.id, e.name, r.loc FROM ent e JOIN replica r ON r.file = e.id"
        " WHERE e.parent = ? AND e.name >= ? AND e.name <= ? AND e.kind = 1 AND r.standing = 0",
        (folder, page[0].name, page[-1].name),
    ).fetchall()
    astray = {file for file, name, loc in rows if loc != b"/".join((*path, name))}
    for file in sorted(astray):
        replicas.owe(db, file, directory=False, now_ns=now_ns)
    return len(astray)


def settled(
    db: sqlite3.Connection,
    done: Sequence[Settlement],
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None = None,
) -> None:
    """Note that files lie where they were to go."""
    for settlement in done:
        where = (settlement.volume, settlement.file)
        row = db.execute("SELECT loc FROM replica WHERE volume = ? AND file = ?", where).fetchone()
        if row is None or row[0] not in (settlement.loc, settlement.to):
            continue  # a later list of the volume knew better
        if row[0] != settlement.to:
            _clear(db, settlement, mint, now_ns, wants)
        db.execute(
            "UPDATE replica SET listed = CASE WHEN loc = ? THEN listed ELSE 0 END, loc = ?, mtime_ns = ?"
            " WHERE volume = ? AND file = ? AND ver = ?",
            (settlement.to, settlement.to, settlement.mtime_ns, *where, settlement.ver),
        )
        if not _owed(db, settlement.file, now_ns):
            db.execute("DELETE FROM settle WHERE file = ?", (settlement.file,))


def _clear(
    db: sqlite3.Connection,
    settlement: Settlement,
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None,
) -> None:
    """Drop whom we believed at the place where the node has just put this file, taking it from nobody."""
    other = replicas.held_by(db, settlement.volume, settlement.to)
    if other is not None:
        merging.lose(db, settlement.volume, other, mint=mint, now_ns=now_ns, wants=wants)


def postponed(db: sqlite3.Connection, refused: Sequence[Settlement], now_ns: int, pause_ns: int) -> None:
    """Note that a node couldn't: ask again later and later, and at last no more."""
    for settlement in refused:
        db.execute(
            "UPDATE settle SET tries = tries + 1, due_ns = ? + ? * (1 << tries) WHERE file = ?",
            (now_ns, pause_ns, settlement.file),
        )
        db.execute("DELETE FROM settle WHERE file = ? AND tries >= ?", (settlement.file, TRIES))
