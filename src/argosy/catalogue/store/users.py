"""Accounts, as rows."""

from __future__ import annotations

import sqlite3
from typing import Any

from argosy import errors
from argosy.catalogue.model import User

_COLUMNS = "name, password, home, admin, may_write, may_fxp"


def _to_user(row: Any) -> User:
    name, password, home, *rights = row
    return User(name, password, home, *map(bool, rights))


def user(db: sqlite3.Connection, name: str) -> User | None:
    """Find an account."""
    row = db.execute(f"SELECT {_COLUMNS} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608
    return None if row is None else _to_user(row)


def users(db: sqlite3.Connection) -> list[User]:
    """List the accounts by name."""
    return [
        _to_user(row)
        for row in db.execute(f"SELECT {_COLUMNS} FROM users ORDER BY name").fetchall()  # noqa: S608
    ]


def put(db: sqlite3.Connection, account: User, *, new: bool) -> None:
    """Write an account.

    Raises:
        Exists: It shall be new, and isn't.
    """
    if new and user(db, account.name) is not None:
        raise errors.Exists(account.name)
    db.execute(
        "INSERT INTO users(name, password, home, admin, may_write, may_fxp) VALUES(?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(name) DO UPDATE SET password = excluded.password, home = excluded.home,"
        " admin = excluded.admin, may_write = excluded.may_write, may_fxp = excluded.may_fxp",
        (
            *(account.name, account.password, account.home),
            *(account.admin, account.may_write, account.may_fxp),
        ),
    )


def drop(db: sqlite3.Connection, name: str) -> None:
    """Remove an account.

    Raises:
        NotFound: There is none of this name.
    """
    if not db.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount:
        raise errors.NotFound(name)
