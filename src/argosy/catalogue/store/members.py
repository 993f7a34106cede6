"""Nodes, their volumes, and the tokens by which new ones join."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Collection
from typing import Any

from argosy import errors
from argosy.catalogue.model import Doubt, Membership, NodeRecord, Volume
from argosy.catalogue.store import replicas

MEMBERSHIPS = (Membership.MEMBER, Membership.DRAINING, Membership.LOST, Membership.REMOVED)
"""What the numbers in the table mean, by place."""

DOUBTS = (Doubt.NONE, Doubt.AHEAD, Doubt.BEHIND)
"""Likewise."""

LEAP = 1 << 20
"""Epochs and generations that are left out when a backup is put back: the lost record may have used them."""

_VOLUME = "number, store_id, node, acked, away_ns, standing, pending, doubt"


def add_token(db: sqlite3.Connection, token: str, secret: str, expires_ns: int, now_ns: int) -> None:
    """Write a token; of its secret only a hash. Those that are over go."""
    db.execute("DELETE FROM token WHERE expires_ns < ?", (now_ns,))
    db.execute(
        "INSERT INTO token(id, secret, expires_ns, used) VALUES(?, ?, ?, 0)",
        (token, _hashed(secret), expires_ns),
    )


def use_token(db: sqlite3.Connection, token: str, secret: str, now_ns: int) -> None:
    """Use a token up.

    Raises:
        Denied: Unknown, used or over; which of these isn't told.
    """
    row = db.execute("SELECT secret, expires_ns, used FROM token WHERE id = ?", (token,)).fetchone()
    expected, expires_ns, used = row or (b"", 0, 1)
    same = hmac.compare_digest(bytes(expected), _hashed(secret))
    if not same or used or expires_ns < now_ns:
        raise errors.Denied("this token is unknown, used or over")
    db.execute("UPDATE token SET used = 1 WHERE id = ?", (token,))


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()


def register(db: sqlite3.Connection, node: str, boot: str, now_ns: int) -> int:
    """Note that a node is there, and give its epoch: another one for another life of its process.

    Raises:
        Denied: Its right to be one was revoked.
    """
    row = db.execute("SELECT epoch, boot, revoked FROM node WHERE name = ?", (node,)).fetchone()
    if row is None:
        db.execute(
            "INSERT INTO node(name, epoch, boot, revoked, seen_ns) VALUES(?, 1, ?, 0, ?)",
            (node, boot, now_ns),
        )
        return 1
    epoch, last, revoked = row
    if revoked:
        raise errors.Denied(node)
    if boot != last:
        epoch += 1
    db.execute("UPDATE node SET epoch = ?, boot = ?, seen_ns = ? WHERE name = ?", (epoch, boot, now_ns, node))
    return int(epoch)


def revoke(db: sqlite3.Connection, node: str, *, revoked: bool) -> None:
    """Take a node's right to join away, or give it back.

    Raises:
        NotFound: No such node was ever here.
    """
    if not db.execute("UPDATE node SET revoked = ? WHERE name = ?", (revoked, node)).rowcount:
        raise errors.NotFound(node)


def seen(db: sqlite3.Connection, node: str, now_ns: int) -> None:
    """Note when a node was last heard of."""
    db.execute("UPDATE node SET seen_ns = ? WHERE name = ?", (now_ns, node))


def nodes(db: sqlite3.Connection) -> list[NodeRecord]:
    """List every node that ever joined."""
    rows = db.execute("SELECT name, epoch, boot, revoked, seen_ns FROM node ORDER BY name").fetchall()
    return [
        NodeRecord(name, epoch, boot, bool(revoked), seen_ns) for name, epoch, boot, revoked, seen_ns in rows
    ]


def attach(db: sqlite3.Connection, store_id: str, node: str, *, seq: int = 0, generation: int = 0) -> Volume:
    """Say that a volume is at a node; it is made at first sight, and moves with its disk.

    Args:
        db: Inside a transaction.
        store_id: The disk's.
        node: Where it is.
        seq: Its newest journal number; 0: no master has ever taken anything from it.
        generation: Which attachment it remembers; 0: none.
    """
    last = db.execute(
        "SELECT generation, pending, doubt FROM volume WHERE store_id = ? AND standing <> 3", (store_id,)
    ).fetchone()
    known, pending, doubt = last or (0, 0, DOUBTS.index(Doubt.AHEAD if seq else Doubt.NONE))
    if generation > max(known, pending):
        doubt = DOUBTS.index(Doubt.AHEAD)
    elif generation < known:
        doubt = DOUBTS.index(Doubt.BEHIND)
    following = max(generation, known, pending) + 1
    db.execute(
        "INSERT INTO volume(number, store_id, node, acked, pending, doubt)"
        " SELECT coalesce(max(number), 0) + 1, ?, ?, 0, ?, ? FROM volume WHERE true"
        " ON CONFLICT(store_id) DO UPDATE SET node = excluded.node, away_ns = NULL,"
        " pending = excluded.pending, doubt = excluded.doubt,"
        " standing = CASE WHEN volume.standing IN (2, 3) THEN 0 ELSE volume.standing END",
        (store_id, node, following, doubt),
    )
    row = db.execute(f"SELECT {_VOLUME} FROM volume WHERE store_id = ?", (store_id,)).fetchone()  # noqa: S608
    volume = _to_volume(row)
    if volume.doubt is Doubt.AHEAD:
        replicas.reprieve(db, volume.number)
    return volume


def remembered(db: sqlite3.Connection, number: int, generation: int) -> None:
    """Note that a disk has written down which attachment this is: older states of it are known by that."""
    db.execute("UPDATE volume SET generation = ? WHERE number = ?", (generation, number))


def doubt(db: sqlite3.Connection, number: int) -> Doubt:
    """Say whether a volume and the record agree on what was."""
    (code,) = db.execute("SELECT doubt FROM volume WHERE number = ?", (number,)).fetchone()
    return DOUBTS[code]


def restored(db: sqlite3.Connection, now_ns: int) -> None:
    """After a backup was put back: every disk may know more, and no epoch comes a second time.

    What is in the trash has its whole time once more: some of it may have been taken out again since.
    """
    db.execute("UPDATE node SET epoch = epoch + ?, boot = ''", (LEAP,))
    db.execute(
        "UPDATE volume SET doubt = ?, pending = max(generation, pending) + ?",
        (DOUBTS.index(Doubt.AHEAD), LEAP),
    )
    db.execute("UPDATE trash SET until_ns = max(until_ns, ? + until_ns - gone_ns)", (now_ns,))


def _to_volume(row: Any) -> Volume:
    number, store_id, node, acked, away_ns, standing, pending, doubted = row
    return Volume(number, store_id, node, acked, away_ns, MEMBERSHIPS[standing], pending, DOUBTS[doubted])


def departed(db: sqlite3.Connection, numbers: Collection[int], now_ns: int) -> None:
    """Note that volumes are away from now on, if they weren't before."""
    db.executemany(
        "UPDATE volume SET away_ns = ? WHERE number = ? AND away_ns IS NULL",
        [(now_ns, number) for number in numbers],
    )


def returned(db: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Note that volumes are here."""
    db.executemany("UPDATE volume SET away_ns = NULL WHERE number = ?", [(number,) for number in numbers])


def all_departed(db: sqlite3.Connection, now_ns: int) -> None:
    """Note that no volume is here, now that the master starts; who was away before is so since then."""
    db.execute("UPDATE volume SET away_ns = ? WHERE away_ns IS NULL", (now_ns,))


def enlist(db: sqlite3.Connection, numbers: Collection[int], membership: Membership) -> None:
    """Say of volumes whether they are reckoned with."""
    db.executemany(
        "UPDATE volume SET standing = ? WHERE number = ?",
        [(MEMBERSHIPS.index(membership), number) for number in numbers],
    )


def is_lost(db: sqlite3.Connection, number: int) -> bool:
    """Say whether a volume's disk is gone for good."""
    question = "SELECT 1 FROM volume WHERE number = ? AND standing IN (?, ?)"
    gone = [MEMBERSHIPS.index(one) for one in (Membership.LOST, Membership.REMOVED)]
    return db.execute(question, (number, *gone)).fetchone() is not None


def volumes(db: sqlite3.Connection, node: str | None) -> list[Volume]:
    """List the volumes of a node, or all."""
    rows = db.execute(
        f"SELECT {_VOLUME} FROM volume WHERE node = ?1 OR ?1 IS NULL ORDER BY number",  # noqa: S608 - constant
        (node,),
    )
    return [_to_volume(row) for row in rows.fetchall()]
