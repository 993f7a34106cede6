"""Bad copies: what is read of a copy is held against the entry, and what was found of it is kept.

The catalogue is right about the content, a node's journal may be stale. A bad copy isn't good from that
moment on. It goes to its disk's quarantine, by a tombstone, once another good copy can be reached; the last
one stays where it is.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from argosy.catalogue.keeping import Wants
from argosy.catalogue.model import Discard, Replica
from argosy.catalogue.proof import Became, Cause, Finding, Observed, Verdict
from argosy.catalogue.store import jobs, replicas, tree

BECAME = tuple(Became)
"""What the numbers in the table mean, by place."""

FOUND, OWED, QUARANTINED, PURGED, GONE, HEALED, OVERTAKEN = range(len(BECAME))

_COLUMNS = (
    "id, found_ns, node, volume, loc, path, file, ver, size, cause, trouble,"
    " wanted_crc32, wanted_digest, found_crc32, found_digest, became, became_ns"
)

_ANOTHER = (
    "EXISTS (SELECT 1 FROM replica g JOIN volume v ON v.number = g.volume JOIN ent e ON e.id = g.file"
    " WHERE g.file = {file} AND g.ver = e.ver AND g.standing = 0 AND v.away_ns IS NULL AND v.standing < 2)"
)
"""Whether a file has a good copy on a volume that is here."""

_OVER = (
    "NOT EXISTS (SELECT 1 FROM replica r WHERE r.file = finding.file AND r.volume = finding.volume"
    " AND r.standing = 2)"
)
"""Whether the bad copy isn't the file's any more."""

Sums = tuple[int | None, bytes | None]

_NEWS_NS = 1_000_000_000
"""After so long a volume's list has told that a copy went. One that came before would be taken for it."""


def judge(
    db: sqlite3.Connection,
    seen: Sequence[Observed],
    cause: Cause,
    *,
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None,
) -> list[Verdict]:
    """Hold copies that were read against what they should be, and note what follows.

    Args:
        db: In a transaction.
        seen: What was read.
        cause: Why.
        mint: Gives a finding its number. A node keeps the copy under it, so it must never come twice.
        now_ns: The time.
        wants: What is wanted of files, for jobs.
    """
    touched: set[int] = set()
    verdicts = [_judge_one(db, one, cause, mint=mint, now_ns=now_ns, touched=touched) for one in seen]
    quarantine(db, touched, now_ns)
    jobs.note(db, touched, wants, now_ns)
    return verdicts


def _judge_one(
    db: sqlite3.Connection,
    seen: Observed,
    cause: Cause,
    *,
    mint: Callable[[], int],
    now_ns: int,
    touched: set[int],
) -> Verdict:
    row = db.execute(
        "SELECT r.file, r.ver, r.standing, r.size, e.ver, e.crc32, e.digest"
        " FROM replica r JOIN ent e ON e.id = r.file WHERE r.volume = ? AND r.loc = ?",
        (seen.volume, seen.loc),
    ).fetchone()
    if row is None:
        return Verdict.STALE
    file, ver, standing, size, entry_ver, *known = row
    if ver != entry_ver or seen.ver not in (0, ver) or seen.size != size:
        return Verdict.STALE
    wanted: Sums = seen.journal if known == [None, None] else (known[0], known[1])
    alike = False if seen.trouble else _alike(wanted, (seen.crc32, seen.digest))
    if alike is False:
        if standing != replicas.BAD:
            _stand(db, file, seen.volume, replicas.BAD)
            _find(db, mint(), seen, file, ver, wanted=wanted, cause=cause, now_ns=now_ns)
            touched.add(file)
        return Verdict.BAD
    if alike is None and (known != [None, None] or seen.digest is None):
        return Verdict.STALE
    if None in known:
        db.execute(
            "UPDATE ent SET crc32 = coalesce(crc32, ?), digest = coalesce(digest, ?) WHERE id = ?",
            (seen.crc32, seen.digest, file),
        )
    if standing != replicas.GOOD:
        _stand(db, file, seen.volume, replicas.GOOD)
        _close(db, file, seen.volume, HEALED, now_ns)
        touched.add(file)
    return Verdict.GOOD


def _alike(wanted: Sums, found: Sums) -> bool | None:
    """Whether checksums are those that should be; None: there are none to tell by."""
    for one, other in reversed(list(zip(wanted, found, strict=True))):
        if one is not None and other is not None:
            return one == other
    return None


def _stand(db: sqlite3.Connection, file: int, volume: int, standing: int) -> None:
    db.execute("UPDATE replica SET standing = ? WHERE file = ? AND volume = ?", (standing, file, volume))


def _find(
    db: sqlite3.Connection,
    number: int,
    seen: Observed,
    file: int,
    ver: int,
    *,
    wanted: Sums,
    cause: Cause,
    now_ns: int,
) -> None:
    (node,) = db.execute("SELECT node FROM volume WHERE number = ?", (seen.volume,)).fetchone()
    path = b"/" + _last_path(db, file)
    db.execute(
        f"INSERT INTO finding({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(number, now_ns, node, seen.volume, seen.loc, path, file, ver, seen.size, cause, seen.trouble),
            *(*wanted, seen.crc32, seen.digest, FOUND, now_ns),
        ),
    )


def _last_path(db: sqlite3.Connection, file: int) -> bytes:
    """Give the path that a file has, or had before it went into the trash."""
    if (path := tree.path_or_none(db, file)) is not None:
        return b"/".join(path)
    row = db.execute("SELECT path FROM trash WHERE file = ?", (file,)).fetchone()
    return row[0] if row else b""


def _close(db: sqlite3.Connection, file: int, volume: int, became: int, now_ns: int) -> None:
    db.execute(
        "UPDATE finding SET became = ?, became_ns = ?"
        " WHERE file = ? AND volume = ? AND became < 3 AND became = ?",
        (became, now_ns, file, volume, FOUND),
    )


# --- the quarantine ----


def quarantine(db: sqlite3.Connection, files: Iterable[int], now_ns: int) -> int:
    """Have the bad copies of some files moved aside of which a good one is here. Gives how many."""
    count = 0
    for file in sorted(files):
        rows = db.execute(
            "SELECT r.volume, r.loc, r.ver, r.size, r.mtime_ns FROM replica r"  # noqa: S608 - constant
            " WHERE r.file = ? AND r.standing <> 0 AND r.standing = 2"
            " AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.file = r.file)"  # it may go on from a copy
            f" AND {_ANOTHER.format(file='r.file')}",
            (file,),
        ).fetchall()
        for volume, loc, ver, size, mtime_ns in rows:
            found = db.execute(
                "SELECT id FROM finding WHERE file = ? AND volume = ? AND became < 3 AND became = ?"
                " ORDER BY id DESC",
                (file, volume, FOUND),
            ).fetchone()
            if found is not None:
                discard = Discard(volume, loc, ver, size, mtime_ns, found[0])
                replicas.bury_one(db, file, discard, now_ns)
                _become(db, [found[0]], OWED, now_ns)
                count += 1
    return count


def review(db: sqlite3.Connection, now_ns: int) -> int:
    """See what can be done by now for findings that are open. Gives how many copies are to be moved."""
    db.execute(
        f"UPDATE finding SET became = ?, became_ns = ? WHERE became < 3 AND became = ? AND {_OVER}",  # noqa: S608
        (OVERTAKEN, now_ns, FOUND),
    )
    rows = db.execute("SELECT DISTINCT file FROM finding WHERE became < 3 AND became = ?", (FOUND,))
    return quarantine(db, [file for (file,) in rows.fetchall()], now_ns)


def moved(
    db: sqlite3.Connection,
    done: Sequence[Discard],
    absent: Sequence[Discard],
    now_ns: int,
    wants: Wants | None,
) -> None:
    """Note that bad copies were moved to the quarantine, or weren't there: their places are free."""
    found = [discard.finding for discard in done if discard.finding]
    gone = [discard.finding for discard in absent if discard.finding]
    _become(db, found, QUARANTINED, now_ns)
    _become(db, gone, GONE, now_ns)
    numbers = [*found, *gone]
    files = {
        db.execute("SELECT file FROM finding WHERE id = ?", (number,)).fetchone()[0] for number in numbers
    }
    jobs.note(db, files, wants, now_ns + _NEWS_NS)


def struck(db: sqlite3.Connection, volume: int, now_ns: int) -> None:
    """Note that what was found on a volume is out of reach with it: nobody will move it, or empty it out."""
    db.execute(
        "UPDATE finding SET became = ?, became_ns = ? WHERE volume = ? AND became < 3", (GONE, now_ns, volume)
    )


def _become(db: sqlite3.Connection, numbers: Sequence[int], became: int, now_ns: int) -> None:
    db.executemany(
        "UPDATE finding SET became = ?, became_ns = ? WHERE id = ?",
        [(became, now_ns, number) for number in numbers],
    )


def overdue(db: sqlite3.Connection, volume: int, before_ns: int, room: int) -> list[int]:
    """List findings whose bytes may go from a volume's quarantine: old ones; where room is short, the oldest.

    Bytes of which no good copy can be reached stay, as long as the tree has that content.

    Args:
        db: The database.
        volume: Its number.
        before_ns: What was moved there before is old.
        room: Bytes that may lie there; 0: any number.
    """
    rows = db.execute(
        "SELECT f.id, f.size, f.became_ns FROM finding f WHERE f.volume = ? AND f.became = 2"  # noqa: S608
        " AND f.became < 3 AND (NOT EXISTS (SELECT 1 FROM ent e WHERE e.id = f.file AND e.ver = f.ver)"
        f" OR {_ANOTHER.format(file='f.file')}) ORDER BY f.became_ns DESC, f.id DESC",
        (volume,),
    ).fetchall()
    held, found = 0, []
    for number, size, since_ns in rows:
        held += size
        if since_ns < before_ns or (room and held > room):
            found.append(number)
    return found


def purged(db: sqlite3.Connection, numbers: Sequence[int], now_ns: int) -> None:
    """Note that they went."""
    _become(db, numbers, PURGED, now_ns)


def holding(db: sqlite3.Connection) -> list[int]:
    """List volumes in whose quarantine there is something that was found."""
    rows = db.execute(
        "SELECT DISTINCT volume FROM finding WHERE became < 3 AND became = ?", (QUARANTINED,)
    ).fetchall()
    return [volume for (volume,) in rows]


def forget(db: sqlite3.Connection, before_ns: int) -> None:
    """Forget findings that are closed since long."""
    db.execute("DELETE FROM finding WHERE became >= 3 AND became_ns < ?", (before_ns,))


# --- told ----


def bad(db: sqlite3.Connection, after: int, limit: int) -> list[Replica]:
    """List bad copies that lie where they were, in order of FileIds from behind `after`."""
    rows = db.execute(
        f"{replicas.SELECT} WHERE r.standing <> 0 AND r.standing = 2 AND r.file > ?"
        " ORDER BY r.file, r.volume LIMIT ?",
        (after, limit),
    )
    return [replicas.to_replica(row) for row in rows.fetchall()]


def listed(db: sqlite3.Connection, since_ns: int, limit: int) -> list[Finding]:
    """List findings, the newest first: those since some time, and those that are open."""
    rows = db.execute(
        f"SELECT {_COLUMNS}, became = {FOUND} AND {_OVER} FROM finding"  # noqa: S608 - constants
        " WHERE found_ns >= ? OR became < 2 ORDER BY id DESC LIMIT ?",
        (since_ns, limit),
    )
    found = []
    for *row, over in rows.fetchall():
        one = _to_finding(row)
        found.append(dataclasses.replace(one, became=Became.OVERTAKEN) if over else one)
    return found


def counted(db: sqlite3.Connection, since_ns: int) -> dict[str, int]:
    """Count findings by what became of them: those since some time, and those that are open."""
    rows = db.execute(
        "SELECT became, count(*) FROM finding WHERE found_ns >= ? OR became < 2 GROUP BY became", (since_ns,)
    )
    return {str(BECAME[became]): number for became, number in rows.fetchall()}


def _to_finding(row: Any) -> Finding:
    values = list(row)
    values[-2] = BECAME[values[-2]]
    return Finding(*values)
