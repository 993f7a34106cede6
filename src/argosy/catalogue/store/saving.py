"""The database as a whole: copied while it is in use, looked through, and told that it was put back."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from argosy.catalogue.store import members, schema
from argosy.errors import BadArgument, ConfigError, Failed

STEP_BYTES = 4 * 1024 * 1024
"""What is copied at once; in between we rest as the pace wants, and tell how far we are."""


def save(
    path: Path,
    target: Path,
    *,
    pace: int,
    busy_seconds: float,
    told: Callable[[int, int], None] | None = None,
) -> None:
    """Copy a database as it is now, whoever writes to it meanwhile; for a thread, or a process of its own.

    One read transaction is held to the end: what is committed meanwhile isn't in the copy, and SQLite has no
    reason to begin anew. As long the write-ahead log isn't folded in, and grows.

    Args:
        path: The database.
        target: The copy; it isn't there yet.
        pace: Bytes in a second; 0: as fast as can be.
        busy_seconds: How long to wait for whoever opens or closes it.
        told: Called with the bytes that are copied, and those in all.

    Raises:
        ConfigError: There is no database.
        Failed: It can't be read, or the copy not be written.
    """
    if not path.exists():
        raise ConfigError(f"there is no catalogue at {path}")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with (
            contextlib.closing(sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)) as source,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            source.execute("PRAGMA query_only = ON")
            (page,) = source.execute("PRAGMA page_size").fetchone()
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM meta").fetchone()  # from here on it stands still for us
            begin = time.monotonic()

            def step(_status: int, remaining: int, total: int) -> None:
                done = (total - remaining) * page
                if told:
                    told(done, total * page)
                if pace and remaining:
                    time.sleep(max(0.0, done / pace - (time.monotonic() - begin)))

            source.backup(copy, pages=max(1, STEP_BYTES // page), progress=step)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    except sqlite3.Error as error:
        raise Failed(f"{path}: {error}") from error


def check(path: Path) -> int:
    """Look through a database that nobody has open. Gives its version.

    Raises:
        BadArgument: It is damaged, or no catalogue.
        ConfigError: A later version of this program made it.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise BadArgument(f"the catalogue in it is damaged: {found}")
            (version,) = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise BadArgument(f"there is no catalogue in it: {error}") from error
    if version > schema.VERSION:
        raise ConfigError(f"the catalogue in it is of version {version}, this program knows {schema.VERSION}")
    return int(version)


def put_back(path: Path, now_ns: int) -> None:
    """Have a database that was put back heed that it is older than its disks; it is brought up to date, too.

    Raises:
        ConfigError: A later version of this program made it.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        schema.lay(db, now_ns)
        members.restored(db, now_ns)
        db.execute("COMMIT")
