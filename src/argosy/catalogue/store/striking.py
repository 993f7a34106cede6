"""Volumes that won't come back: what only they had, and the record without them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from argosy.catalogue import model
from argosy.catalogue.keeping import Wants
from argosy.catalogue.model import Losses, Membership
from argosy.catalogue.store import findings, members, merging, tree, uploads


def losses(db: sqlite3.Connection, volumes: Sequence[int], limit: int) -> Losses:
    """Say which files of the tree have no good copy but on these volumes; reads all of their rows."""
    among = f"IN ({', '.join('?' * len(volumes))})"
    only_there = (
        f"ent e WHERE e.parent <> {model.TRASH_ID} AND e.id IN"  # noqa: S608 - question marks
        f" (SELECT r.file FROM replica r WHERE r.volume {among} AND NOT EXISTS"
        f" (SELECT 1 FROM replica o WHERE o.file = r.file AND o.standing = 0 AND NOT o.volume {among}))"
    )
    numbers = (*volumes, *volumes)
    files, size = db.execute(
        f"SELECT count(*), coalesce(sum(e.size), 0) FROM {only_there}",  # noqa: S608 - question marks
        numbers,
    ).fetchone()
    rows = db.execute(f"SELECT e.id FROM {only_there} ORDER BY e.id LIMIT ?", (*numbers, limit))  # noqa: S608
    return Losses(files, size, tuple(tree.path_of(db, file) for (file,) in rows.fetchall()))


def begin(db: sqlite3.Connection, volume: int) -> None:
    """Reckon with it no more."""
    members.enlist(db, [volume], Membership.REMOVED)


def strike(
    db: sqlite3.Connection,
    volume: int,
    limit: int,
    *,
    accept_losses: bool,
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None,
) -> int:
    """Take some of its copies out of the record; how many. A file that was only there goes, if it may."""
    if not _is_struck(db, volume):
        return 0  # its disk came back meanwhile, and tells what it has
    rows = db.execute("SELECT file FROM replica WHERE volume = ? ORDER BY loc LIMIT ?", (volume, limit))
    files = [file for (file,) in rows.fetchall()]
    for file in files:
        merging.lose(db, volume, file, mint=mint, now_ns=now_ns, wants=wants)
        if accept_losses:
            db.execute(
                "DELETE FROM ent WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM replica r WHERE r.file = ?1)"
                " AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.file = ?1)",
                (file,),
            )
    return len(files)


def finish(db: sqlite3.Connection, volume: int, now_ns: int) -> None:
    """Drop what was owed to it, and the cut uploads on it. If its disk comes back it is new here."""
    if not _is_struck(db, volume):
        return
    uploads.reconcile(db, volume, (), (), now_ns)
    db.execute("DELETE FROM tomb WHERE volume = ?", (volume,))
    findings.struck(db, volume, now_ns)
    db.execute("UPDATE volume SET acked = 0 WHERE number = ?", (volume,))


def _is_struck(db: sqlite3.Connection, volume: int) -> bool:
    (standing,) = db.execute("SELECT standing FROM volume WHERE number = ?", (volume,)).fetchone()
    return members.MEMBERSHIPS[standing] is Membership.REMOVED


def forget(db: sqlite3.Connection, node: str) -> None:
    """Forget a node whose volumes are all struck."""
    db.execute("DELETE FROM node WHERE name = ?", (node,))
