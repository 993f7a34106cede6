"""Copies from node to node: what has arrived becomes a replica, if its file is still what was copied."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from argosy.catalogue.model import Entry, Placement, Sealed, Standing, Verdict
from argosy.catalogue.store import companions, replicas, tree, uploads


def add(
    db: sqlite3.Connection,
    volume: int,
    copies: Sequence[tuple[int, Sealed]],
    *,
    node: str,
    epoch: int,
    now_ns: int,
) -> Verdict:
    """Make sealed parts replicas of the files whose version they are.

    One whose file was replaced or deleted meanwhile, or isn't of this content, is to be forgotten: nothing
    comes back by it. To say it again of the same copy gives the same.

    Args:
        db: Inside a transaction.
        volume: Where they lie.
        copies: Each one's version, and what the node says of it.
        node: Whose volume it is, in its `epoch`.
        epoch: See `node`.
        now_ns: The time.

    Raises:
        Unavailable: The node was registered anew since: these bytes count no more. It will tell of them.
    """
    uploads.check_epoch(db, volume, node, epoch)
    commit: list[Placement] = []
    forget: list[int] = []
    for ver, sealed in copies:
        where = _add(db, volume, ver, sealed, node=node, now_ns=now_ns)
        if where is None:
            if not companions.takes(db, ver, volume):  # of an upload: as that ends, so will its part
                forget.append(ver)
        else:
            commit.append(where)
    return Verdict(tuple(commit), tuple(forget))


def _add(
    db: sqlite3.Connection, volume: int, ver: int, sealed: Sealed, *, node: str, now_ns: int
) -> Placement | None:
    """Say where a copy shall lie; None: it is of no use."""
    file = uploads.holder_of(db, ver)
    if file is None:
        return None
    for replica in replicas.of(db, file):
        if replica.volume == volume:
            is_this = (replica.ver, replica.standing) == (ver, Standing.GOOD)
            if not is_this:
                return None
            return uploads.placement(db, volume, ver, (replica.loc, replica.mtime_ns, file), now_ns)
    if db.execute("SELECT 1 FROM tomb WHERE volume = ? AND ver = ?", (volume, ver)).fetchone():
        return None  # a copy that was here before is still to be deleted, and this one would go with it
    entry = tree.by_id(db, file)
    if not _is_alike(entry, sealed):
        return None
    db.execute(
        "UPDATE ent SET crc32 = coalesce(crc32, ?), digest = coalesce(digest, ?) WHERE id = ?",
        (sealed.crc32, sealed.digest, file),
    )
    replica = uploads.place(db, entry, volume=volume, node=node, now_ns=now_ns)
    return uploads.placement(db, volume, ver, (replica.loc, replica.mtime_ns, file), now_ns)


def _is_alike(entry: Entry, sealed: Sealed) -> bool:
    """Whether size and checksums are those that are known."""
    pairs = ((entry.size, sealed.size), (entry.crc32, sealed.crc32), (entry.digest, sealed.digest))
    return all(known is None or found is None or known == found for known, found in pairs)
