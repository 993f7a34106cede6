"""What the administrator should know of and nobody asked: kept until it is said to be dealt with."""

from __future__ import annotations

import sqlite3

from argosy.catalogue.model import Matter


def note(db: sqlite3.Connection, topic: str, sentence: str, now_ns: int) -> None:
    """Write a matter down; one that is known already has come up once more."""
    db.execute(
        "INSERT INTO matter(topic, first_ns, last_ns, times, sentence) VALUES(?, ?, ?, 1, ?)"
        " ON CONFLICT(topic) DO UPDATE SET last_ns = excluded.last_ns, times = matter.times + 1,"
        " sentence = excluded.sentence",
        (topic, now_ns, now_ns, sentence),
    )


def matters(db: sqlite3.Connection) -> list[Matter]:
    """List them, the newest first."""
    rows = db.execute("SELECT topic, first_ns, last_ns, times, sentence FROM matter ORDER BY last_ns DESC")
    return [Matter(*row) for row in rows.fetchall()]


def settle(db: sqlite3.Connection, topic: str) -> int:
    """Forget a matter, or all with an empty topic; how many went."""
    return db.execute("DELETE FROM matter WHERE topic = ?1 OR ?1 = ''", (topic,)).rowcount
