"""Ids: 63 bits, minted once and never again, rising with time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from argosy.catalogue.model import MINTED_BITS, MINTED_SINCE_MS

RUN = 64
"""Ids that follow each other from one draw: a merge mints a hundred thousand a second."""

_LEAP = 60_000 << MINTED_BITS
"""A minute's: whoever gave an id gave others around it."""

_MOST = 2**63 - 2**60
"""Who tells of an id beyond is mistaken, and shall not use up all that are left."""


class Mint:
    """Where FileIds, uploads and versions come from: time above, chance below, always more than before.

    Threads may mint at once: the writer does during merges.
    """

    def __init__(self, clock_ns: Callable[[], int], draw: Callable[[int], int]) -> None:
        self._now = clock_ns
        self._draw = draw
        self._last = 1
        self._left = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Mint an id."""
        with self._lock:
            if self._left:
                self._left -= 1
                self._last += 1
                return self._last
            self._left = RUN - 1
            since_ms = self._now() // 1_000_000 - MINTED_SINCE_MS
            drawn = (max(since_ms, 0) << MINTED_BITS) | self._draw(MINTED_BITS)
            self._last = max(self._last + 1, drawn)
            return self._last

    def heed(self, number: int) -> None:
        """Mint above an id that a node tells of: a lost record gave it, and our clock may be behind."""
        with self._lock:
            if self._last < number <= _MOST:
                self._last, self._left = number + _LEAP, 0

    def resume(self, db: sqlite3.Connection) -> None:
        """Begin above every id that is written anywhere: a clock that was set back repeats none."""
        minted = db.execute("SELECT coalesce(max(value), 1) FROM meta WHERE key = 'minted'").fetchone()[0]
        self._last = max(self._last, _highest(db), minted)
        db.execute(
            "INSERT INTO meta(key, value) VALUES('minted', ?)"
            " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            (self(),),
        )


def note_lapse(db: sqlite3.Connection, mint: Mint) -> None:
    """For a master's start: what was minted between the newest id that is known and now, we may not know.

    Mostly nothing was. But a record that was put back from a backup, by whatever means, has lost what came
    after it, and what the disks hold of that is news, not an old state.
    """
    db.execute(
        "INSERT INTO lapse(after, upto) VALUES(?, ?)"
        " ON CONFLICT(after) DO UPDATE SET upto = max(lapse.upto, excluded.upto)",
        (_highest(db), mint()),
    )


def lapsed(db: sqlite3.Connection, number: int) -> bool:
    """Whether an id may have been minted by a state of this record that was lost."""
    found = db.execute("SELECT 1 FROM lapse WHERE after < ? AND upto >= ? LIMIT 1", (number, number))
    return found.fetchone() is not None


def _highest(db: sqlite3.Connection) -> int:
    """Give the newest id that is written anywhere."""
    tables = (
        ("id", "ent"),
        ("ver", "ent WHERE ver <> 0"),
        ("id", "upload"),
        ("ver", "tomb"),
        ("id", "finding"),
    )
    highest: list[int] = [
        db.execute(f"SELECT coalesce(max({what}), 1) FROM {table}").fetchone()[0]  # noqa: S608 - constants
        for what, table in tables
    ]
    return max(highest)
