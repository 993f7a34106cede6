"""Users and groups, as rows. Settings are one JSON column: a new one needs no migration."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from argosy import errors
from argosy.catalogue.people import Group, Settings, User

_ENCODER = msgspec.json.Encoder(order="sorted")
_SETTINGS = msgspec.json.Decoder(Settings)
_NAMES = msgspec.json.Decoder(tuple[str, ...])


def to_json(value: Settings | tuple[str, ...]) -> str:
    """Write what a column of `account` or `account_group` holds."""
    return _ENCODER.encode(value).decode()


def _to_user(row: Any) -> User:
    name, password, admin, groups, settings = row
    return User(name, password, bool(admin), _NAMES.decode(groups), _SETTINGS.decode(settings))


def user(db: sqlite3.Connection, name: str) -> User | None:
    """Find a user."""
    row = db.execute(
        "SELECT name, password, admin, groups, settings FROM account WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else _to_user(row)


def users(db: sqlite3.Connection) -> list[User]:
    """List the users by name."""
    rows = db.execute("SELECT name, password, admin, groups, settings FROM account ORDER BY name")
    return [_to_user(row) for row in rows.fetchall()]


def put_user(db: sqlite3.Connection, account: User, *, new: bool) -> None:
    """Write a user.

    Raises:
        Exists: It shall be new, and isn't.
    """
    if new and user(db, account.name) is not None:
        raise errors.Exists(account.name)
    db.execute(
        "INSERT INTO account(name, password, admin, groups, settings) VALUES(?, ?, ?, ?, ?)"
        " ON CONFLICT(name) DO UPDATE SET password = excluded.password, admin = excluded.admin,"
        " groups = excluded.groups, settings = excluded.settings",
        (
            *(account.name, account.password, account.admin),
            *(to_json(account.groups), to_json(account.settings)),
        ),
    )
    _changed(db)


def change_user(db: sqlite3.Connection, name: str, change: Callable[[User], User]) -> User:
    """Change a user, and give what it is now.

    Raises:
        NoSuchAccount: There is none of this name.
    """
    before = user(db, name)
    if before is None:
        raise errors.NoSuchAccount(name)
    after = change(before)
    put_user(db, after, new=False)
    return after


def drop_user(db: sqlite3.Connection, name: str) -> None:
    """Remove a user.

    Raises:
        NoSuchAccount: There is none of this name.
    """
    if not db.execute("DELETE FROM account WHERE name = ?", (name,)).rowcount:
        raise errors.NoSuchAccount(name)
    _changed(db)


def group(db: sqlite3.Connection, name: str) -> Group | None:
    """Find a group."""
    row = db.execute("SELECT name, settings FROM account_group WHERE name = ?", (name,)).fetchone()
    return None if row is None else Group(row[0], _SETTINGS.decode(row[1]))


def groups(db: sqlite3.Connection) -> list[Group]:
    """List the groups by name."""
    rows = db.execute("SELECT name, settings FROM account_group ORDER BY name").fetchall()
    return [Group(name, _SETTINGS.decode(settings)) for name, settings in rows]


def put_group(db: sqlite3.Connection, account: Group, *, new: bool) -> None:
    """Write a group.

    Raises:
        Exists: It shall be new, and isn't.
    """
    if new and group(db, account.name) is not None:
        raise errors.Exists(account.name)
    db.execute(
        "INSERT INTO account_group(name, settings) VALUES(?, ?)"
        " ON CONFLICT(name) DO UPDATE SET settings = excluded.settings",
        (account.name, to_json(account.settings)),
    )
    _changed(db)


def change_group(db: sqlite3.Connection, name: str, change: Callable[[Group], Group]) -> Group:
    """Change a group, and give what it is now.

    Raises:
        NoSuchAccount: There is none of this name.
    """
    before = group(db, name)
    if before is None:
        raise errors.NoSuchAccount(name)
    after = change(before)
    put_group(db, after, new=False)
    return after


def drop_group(db: sqlite3.Connection, name: str) -> None:
    """Remove a group, and take its members out of it.

    Raises:
        NoSuchAccount: There is none of this name.
    """
    if not db.execute("DELETE FROM account_group WHERE name = ?", (name,)).rowcount:
        raise errors.NoSuchAccount(name)
    for member in users(db):
        if name in member.groups:
            left = tuple(one for one in member.groups if one != name)
            db.execute("UPDATE account SET groups = ? WHERE name = ?", (to_json(left), member.name))
    _changed(db)


def generation(db: sqlite3.Connection) -> int:
    """Give a number that is another one after each change of a user or group, by whichever process."""
    number: int = db.execute("SELECT value FROM meta WHERE key = 'accounts'").fetchone()[0]
    return number


def _changed(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = value + 1 WHERE key = 'accounts'")
