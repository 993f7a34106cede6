"""The volumes that take an upload along with the first: so several copies are there when it is acknowledged.

Their parts are known here as long as the upload isn't over: a volume that joins meanwhile keeps its own, and
if the first goes away, the upload goes on with one of these.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from argosy.catalogue.model import Companion, PartName, Standing
from argosy.catalogue.store import replicas

_MIXED = -1
"""Stands for the bytes of a part while an upload is gone on with that may reach behind where it goes on: from
there on it may have what an earlier try brought, until its node has told of this one."""

_INSERT = (
    "INSERT INTO companion(upload, volume, node, epoch, received) VALUES(?, ?, ?, ?, ?)"
    " ON CONFLICT(upload, volume) DO UPDATE SET node = excluded.node, epoch = excluded.epoch"
)


def parts(db: sqlite3.Connection, upload: int) -> list[PartName]:
    """List the parts that an upload has beside its first."""
    rows = db.execute("SELECT volume, upload FROM companion WHERE upload = ?", (upload,))
    return [(volume, number) for volume, number in rows.fetchall()]


def of(db: sqlite3.Connection, upload: int) -> list[Companion]:
    """List who takes an upload along, or has a part of it."""
    rows = db.execute(
        "SELECT volume, node, epoch, max(received, 0) FROM companion WHERE upload = ? ORDER BY volume",
        (upload,),
    )
    return [Companion(*row) for row in rows.fetchall()]


def choose(
    db: sqlite3.Connection,
    upload: int,
    file: int,
    chosen: Sequence[Companion],
    *,
    base_ver: int,
    offset: int = 0,
) -> tuple[tuple[Companion, ...], tuple[PartName, ...]]:
    """Enter the volumes that take an upload along from now on; the parts on others are worth nothing then.

    Gives them with what they have of it, and the parts that nobody goes on with. Should the master die before
    they tell of this try, parts that may have more than `offset` from an earlier one are worth nothing.

    Args:
        db: Inside a transaction.
        upload: Which.
        file: Whose content it will be.
        chosen: The volumes.
        base_ver: The version that the upload goes on from; 0: none.
        offset: Where its next byte goes.
    """
    taking = {one.volume for one in chosen}
    had = dict(db.execute("SELECT volume, received FROM companion WHERE upload = ?", (upload,)).fetchall())
    left = had.keys() - taking
    db.executemany(
        "DELETE FROM companion WHERE upload = ? AND volume = ?", [(upload, volume) for volume in left]
    )
    bases = {}
    if base_ver and chosen:
        bases = {
            copy.volume: copy
            for copy in replicas.of(db, file)
            if copy.standing is Standing.GOOD and copy.ver == base_ver
        }
    for one in chosen:
        add(db, upload, one)
    mixed = [volume for volume in had.keys() & taking if not 0 < had[volume] <= offset]
    db.executemany(
        "UPDATE companion SET received = ? WHERE upload = ? AND volume = ?",
        [(_MIXED, upload, volume) for volume in mixed],
    )
    found = (
        replace(one, received=max(0, had.get(one.volume, 0)), base=bases.get(one.volume)) for one in chosen
    )
    return tuple(found), tuple((volume, upload) for volume in left)


def add(db: sqlite3.Connection, upload: int, companion: Companion) -> None:
    """Enter one more, or another life of the node of one."""
    db.execute(_INSERT, (upload, companion.volume, companion.node, companion.epoch, 0))


def cut(db: sqlite3.Connection, upload: int, received: Mapping[int, int | None]) -> None:
    """Note what companions have of an upload that was cut; one that has nothing is none any more.

    Args:
        db: Inside a transaction.
        upload: Which.
        received: By volume, the bytes; None: nobody knows yet, the node will tell when it is back.
    """
    for volume, size in received.items():
        if size:
            db.execute(
                "UPDATE companion SET received = ? WHERE upload = ? AND volume = ?", (size, upload, volume)
            )
        elif size is not None:
            db.execute("DELETE FROM companion WHERE upload = ? AND volume = ?", (upload, volume))


def lead(db: sqlite3.Connection, upload: int) -> int:
    """Have an upload that was cut go on with the largest part of a companion, if there is one.

    The first becomes a companion: what it has nobody knows.

    Returns:
        The bytes of the part with which it goes on; 0: nothing was changed.
    """
    row = db.execute(
        "SELECT volume, node, epoch, received FROM companion WHERE upload = ? AND received > 0"
        " ORDER BY received DESC, volume LIMIT 1",
        (upload,),
    ).fetchone()
    if row is None:
        return 0
    volume, node, epoch, received = row
    db.execute("DELETE FROM companion WHERE upload = ? AND volume = ?", (upload, volume))
    db.execute(
        "INSERT INTO companion(upload, volume, node, epoch, received)"
        " SELECT id, volume, node, epoch, 0 FROM upload WHERE id = ?",
        (upload,),
    )
    db.execute(
        "UPDATE upload SET volume = ?, node = ?, epoch = ?, received = ? WHERE id = ?",
        (volume, node, epoch, received, upload),
    )
    return int(received)


def takes(db: sqlite3.Connection, upload: int, volume: int) -> bool:
    """Say whether a volume has a part of an upload beside the first."""
    question = "SELECT 1 FROM companion WHERE upload = ? AND volume = ?"
    return db.execute(question, (upload, volume)).fetchone() is not None


def reconcile(
    db: sqlite3.Connection, volume: int, there: Mapping[int, int], running: Collection[int]
) -> None:
    """Bring what is known of a volume's parts in line with those that it came back with.

    Args:
        db: Inside a transaction.
        volume: Whose parts.
        there: Their bytes, by upload.
        running: Uploads that go on right now.
    """
    rows = db.execute(
        "SELECT c.upload, c.received, u.state = 0 AND n.epoch = c.epoch FROM companion c"
        " JOIN upload u ON u.id = c.upload JOIN node n ON n.name = c.node WHERE c.volume = ?",
        (volume,),
    ).fetchall()
    for upload, received, goes_on in rows:
        if not goes_on and upload not in running:
            cut(db, upload, {volume: 0 if received == _MIXED else there.get(upload, 0)})
