"""The trash: what was deleted or overwritten is kept as it lies, out of the tree, and comes back or goes.

A trashed file is its entry still, with its id, version, checksums and replicas; only its parent is another,
a directory that nobody gets to from the root. So throwing away and restoring are a few rows, and no disk has
anything to do until somebody wants a place where trashed content lies (`settling`). An overwritten content
becomes an entry of its own, for the name keeps its id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec

from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.keeping import Bin, Emptied, Trashed, TrashMark, Why
from argosy.catalogue.model import TRASH_ID, Discard, Entry, Kind, State, TreePath
from argosy.catalogue.store import replicas, tree

DAY_NS = 86_400 * 1_000_000_000

WHYS = tuple(Why)
"""What the numbers in the table mean, by place."""

_TRASHED = (
    f"SELECT {tree.EVERYTHING_OF_E}, t.path, t.gone_ns, t.until_ns, t.usr, t.why,"  # noqa: S608 - constant
    " (SELECT count(*) FROM replica r WHERE r.file = e.id AND r.standing = 0)"
    " FROM trash t CROSS JOIN ent e ON e.id = t.file"
)

_WIDTH = len(tree.EVERYTHING.split(", "))


def _to_trashed(row: Any) -> Trashed:
    path, gone_ns, until_ns, usr, why, copies = row[_WIDTH:]
    where = tuple(path.split(b"/"))
    return Trashed(tree.to_entry(row[:_WIDTH]), where, gone_ns, until_ns, usr, WHYS[why], copies)


# --- into it ----


def remove(db: sqlite3.Connection, entry: Entry, trash: Bin, why: Why) -> list[Discard]:
    """Take a file or link out of the tree: into the trash where there is one, else for good.

    Gives the deletions that are owed from now on. Uploads to it have been seen to.
    """
    days = _days(db, entry, trash)
    if not days:
        discards = replicas.bury(db, entry.id, trash.now_ns)
        db.execute("DELETE FROM ent WHERE id = ?", (entry.id,))
        return discards
    path = tree.path_of(db, entry.id)
    discards = _bury_worthless(db, entry, trash.now_ns)
    db.execute(
        "UPDATE ent SET parent = ?, name = ?, state = ? WHERE id = ?",
        (TRASH_ID, _name(entry.id), tree.STATE_CODES[State.TRASHED], entry.id),
    )
    db.execute("DELETE FROM settle WHERE file = ?", (entry.id,))
    db.execute("DELETE FROM expiry WHERE file = ?", (entry.id,))
    _note(db, entry.id, path, days=days, trash=trash, why=why)
    return discards


def supersede(db: sqlite3.Connection, entry: Entry, trash: Bin) -> list[Discard]:
    """Take the content away that a file has, for another follows; its name stays, and its id.

    Gives the deletions that are owed from now on.
    """
    days = _days(db, entry, trash)
    if not days:
        return replicas.bury(db, entry.id, trash.now_ns)
    discards = _bury_worthless(db, entry, trash.now_ns)
    old = msgspec.structs.replace(entry, id=trash.mint(), parent=TRASH_ID, state=State.TRASHED)
    tree.insert(db, msgspec.structs.replace(old, name=_name(old.id)))
    db.execute("UPDATE replica SET file = ? WHERE file = ?", (old.id, entry.id))
    path = tree.path_of(db, entry.id)
    _note(db, old.id, path, days=days, trash=trash, why=Why.OVERWRITTEN)
    return discards


def retire(db: sqlite3.Connection, files: Iterable[tuple[int, int]], trash: Bin) -> list[Discard]:
    """Take files away that are too old, each with the version that was looked at; others stay."""
    discards: list[Discard] = []
    for file, ver in files:
        row = db.execute(
            f"SELECT {tree.EVERYTHING} FROM ent e WHERE id = ? AND ver = ? AND kind = 1 AND state IN (0, 3)"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.file = e.id)",
            (file, ver),
        ).fetchone()
        if row is not None:
            entry = tree.to_entry(row)
            discards += remove(db, entry, trash, Why.RETIRED)
            tree.touch(db, entry.parent, trash.now_ns)
    return discards


def _days(db: sqlite3.Connection, entry: Entry, trash: Bin) -> float:
    """Say for how many days the content of an entry is kept. What a cut upload left isn't."""
    if trash.spares is None or entry.kind is not Kind.FILE or not entry.ver:
        return 0.0
    return trash.spares(tree.way_to(db, entry.parent))


def _bury_worthless(db: sqlite3.Connection, entry: Entry, now_ns: int) -> list[Discard]:
    """Turn those replicas into tombstones of which nobody knows that they are this content."""
    rows = db.execute(
        "SELECT volume, loc, ver, size, mtime_ns FROM replica WHERE file = ? AND (standing <> 0 OR ver <> ?)",
        (entry.id, entry.ver),
    ).fetchall()
    return [replicas.bury_one(db, entry.id, Discard(*row), now_ns) for row in rows]


def _note(db: sqlite3.Connection, file: int, path: TreePath, *, days: float, trash: Bin, why: Why) -> None:
    db.execute(
        "INSERT INTO trash(file, path, gone_ns, until_ns, usr, why) VALUES(?, ?, ?, ?, ?, ?)",
        (
            *(file, b"/".join(path), trash.now_ns, trash.now_ns + int(days * DAY_NS)),
            *(trash.by, WHYS.index(why)),
        ),
    )


def _name(file: int) -> bytes:
    return b"%016x" % file


# --- looking ----


def listed(db: sqlite3.Connection, path: TreePath, after: TrashMark, limit: int) -> list[Trashed]:
    """List what was at a path or below it, by path and then in the order in which it went.

    Args:
        db: The database.
        path: `()`: all of it.
        after: Where the page before this one ended; at first `(b"", 0)`.
        limit: Files in the page.
    """
    where, bounds = _below(path)
    rows = db.execute(
        f"{_TRASHED} WHERE {where} AND (t.path, t.file) > (?, ?) ORDER BY t.path, t.file LIMIT ?",
        (*bounds, *after, limit),
    )
    return [_to_trashed(row) for row in rows.fetchall()]


def _below(path: TreePath) -> tuple[str, tuple[bytes, ...]]:
    """Give the condition for what was at a path or below it. Behind the slash comes the naught."""
    if not path:
        return "1", ()
    top = b"/".join(path)
    return "(t.path = ? OR (t.path > ? AND t.path < ?))", (top, top + b"/", top + b"0")


# --- out of it ----


def restore(
    db: sqlite3.Connection, ver: int, to: TreePath | None, *, mint: Callable[[], int], now_ns: int
) -> Trashed:
    """Put a file back into the tree; the disks follow. Directories that are missing on the way are made anew.

    Args:
        db: Inside a transaction.
        ver: Which content.
        to: Where to; None: where it was.
        mint: For directories.
        now_ns: The time.

    Raises:
        NotFound: It isn't in the trash, or not any more.
        Exists: The name is taken.
        NotADirectory: A file stands where a directory was.
        NameNotAllowed: Nothing may be called so.
    """
    row = db.execute(f"{_TRASHED} WHERE e.ver = ? AND e.ver <> 0", (ver,)).fetchone()
    if row is None:
        raise errors.NotFound(f"version {ver:x} in the trash")
    trashed = _to_trashed(row)
    path = model.check_path(trashed.path if to is None else to)
    if tree.lookup(db, path) is not None:
        raise errors.Exists(model.shown(path))
    parent = _reach(db, path[:-1], trashed.entry, mint=mint, now_ns=now_ns)
    file = trashed.entry.id
    db.execute(
        "UPDATE ent SET parent = ?, name = ?, state = 0, named_ns = ? WHERE id = ?",
        (parent, path[-1], now_ns, file),
    )
    db.execute("DELETE FROM trash WHERE file = ?", (file,))
    tree.touch(db, parent, now_ns)
    replicas.owe(db, file, directory=False, now_ns=now_ns)
    return replace(trashed, entry=tree.by_id(db, file), path=path)


def _reach(
    db: sqlite3.Connection, path: TreePath, owner: Entry, *, mint: Callable[[], int], now_ns: int
) -> int:
    """Give the FileId of a directory, which is made if it is missing."""
    at = tree.by_id(db, model.ROOT_ID)
    for depth, name in enumerate(path, 1):
        below = tree.child(db, at.id, name)
        if below is None:
            below = tree.make_directory(
                db,
                path[:depth],
                file=mint(),
                owner=owner.owner,
                group=owner.group,
                mode=0o755,
                now_ns=now_ns,
            )
        elif not below.is_directory:
            raise errors.NotADirectory(model.shown(path[:depth]))
        at = below
    return at.id


def empty(db: sqlite3.Connection, path: TreePath, limit: int, now_ns: int) -> Emptied:
    """Let go for good of what was at a path or below it, so many files at the most."""
    where, bounds = _below(path)
    return _let_go(db, f"SELECT t.file FROM trash t WHERE {where} LIMIT ?", (*bounds, limit), now_ns)  # noqa: S608


def expire(db: sqlite3.Connection, limit: int, now_ns: int) -> Emptied:
    """Let go for good of what was kept long enough."""
    question = "SELECT file FROM trash WHERE until_ns <= ? ORDER BY until_ns LIMIT ?"
    return _let_go(db, question, (now_ns, limit), now_ns)


def squeeze(db: sqlite3.Connection, volume: int, room: int, limit: int, now_ns: int) -> Emptied:
    """Let go for good of what went first and lies on a volume, for so many bytes of room there."""
    rows = db.execute(
        "SELECT t.file, r.size FROM trash t CROSS JOIN replica r ON r.file = t.file AND r.volume = ?"
        " ORDER BY t.gone_ns LIMIT ?",
        (volume, limit),
    ).fetchall()
    files: list[int] = []
    for file, size in rows:
        if room <= 0:
            break
        files.append(file)
        room -= size
    return _let_go_of(db, files, now_ns, more=room > 0 and len(rows) == limit)


def to_come(db: sqlite3.Connection, volume: int) -> bool:
    """Whether a volume has yet to carry out deletions out of the trash."""
    row = db.execute("SELECT 1 FROM tomb WHERE volume = ? AND keep = 0 LIMIT 1", (volume,)).fetchone()
    return row is not None


def _let_go(db: sqlite3.Connection, question: str, values: tuple[Any, ...], now_ns: int) -> Emptied:
    """Let go of the files that a question gives; its last value is how many they are at the most."""
    files = [file for (file,) in db.execute(question, values).fetchall()]
    return _let_go_of(db, files, now_ns, more=len(files) == values[-1])


def _let_go_of(db: sqlite3.Connection, files: Iterable[int], now_ns: int, *, more: bool) -> Emptied:
    """Delete trashed files: tombstones, which need no second time of grace on the nodes."""
    count = size = 0
    for file in files:
        count += 1
        size += db.execute("SELECT size FROM ent WHERE id = ?", (file,)).fetchone()[0]
        replicas.bury(db, file, now_ns, keep=False)
        db.execute("DELETE FROM ent WHERE id = ?", (file,))
    return Emptied(count, size, more)
