"""The tree of names: finding, listing, making."""

from __future__ import annotations

import functools
import sqlite3
from typing import Any

from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.keeping import Way
from argosy.catalogue.model import ROOT_ID, TRASH_ID, Attributes, Entry, Kind, State, TreePath
from argosy.catalogue.store import replicas

COLUMNS = "id, parent, name, kind, state, ver, size, mtime_ns, created_ns, owner, grp, mode, crc32, digest"
"""What files and directories have."""

EVERYTHING = f"{COLUMNS}, target"
"""What `to_entry` reads, and `to_row` writes."""

EVERYTHING_OF_E = ", ".join(f"e.{column}" for column in EVERYTHING.split(", "))

KINDS = (Kind.DIRECTORY, Kind.FILE, Kind.LINK)
STATES = (State.LIVE, State.UPLOADING, State.PARTIAL, State.CONFLICT, State.TRASHED)
"""What the numbers in the tables mean, by place."""

KIND_CODES = {kind: code for code, kind in enumerate(KINDS)}
STATE_CODES = {state: code for code, state in enumerate(STATES)}

CHAIN = 8
"""Components of a path that one statement goes down."""

HOPS = 40
"""Symbolic links that a path may lead through: as many as Linux follows."""


def to_entry(row: Any) -> Entry:
    """Make an entry of a row of `EVERYTHING`."""
    return Entry(row[0], row[1], row[2], KINDS[row[3]], STATES[row[4]], *row[5:])


def lookup(db: sqlite3.Connection, path: TreePath) -> Entry | None:
    """Find what has this path, or nothing."""
    at: int = ROOT_ID
    row = None
    if not path:
        return by_id(db, ROOT_ID)
    for first in range(0, len(path), CHAIN):
        names = path[first : first + CHAIN]
        row = db.execute(_down(len(names)), (at, *names)).fetchone()
        if row is None:
            return None
        at = row[0]
    return to_entry(row)


@functools.cache
def _down(steps: int) -> str:
    """Write the statement that goes down so many names in one go."""
    joins = "".join(
        f" JOIN ent {'e' if step == steps else f's{step}'} ON {'e' if step == steps else f's{step}'}.parent"
        f" = s{step - 1}.id AND {'e' if step == steps else f's{step}'}.name = ?{step + 1}"
        for step in range(2, steps + 1)
    )
    first = "e" if steps == 1 else "s1"
    return (  # only numbers are put into the text
        f"SELECT {EVERYTHING_OF_E} FROM ent {first}{joins} WHERE {first}.parent = ?1 AND {first}.name = ?2"  # noqa: S608
    )


def find(db: sqlite3.Connection, path: TreePath) -> Entry:
    """Find what has this path.

    Raises:
        NotFound: Nothing has.
        NotADirectory: A file stands where the path needs a directory.
    """
    entry = lookup(db, path)
    if entry is None:
        for length in range(1, len(path)):
            above = lookup(db, path[:length])
            if above is None:
                break
            if not above.is_directory:
                raise errors.NotADirectory(model.shown(path[:length]))
        raise errors.NotFound(model.shown(path))
    return entry


def resolve(db: sqlite3.Connection, path: TreePath, follow: bool) -> tuple[TreePath, Entry | None]:
    """Give the path without symbolic links on its way, and what has it, which may be nothing.

    What a plain look finds was reached through directories alone, so a site without links pays for none.
    A link never leads out of the tree: `..` in its target stays at the root.

    Args:
        db: The database.
        path: As it was asked for.
        follow: Also follow the link that has the path itself.

    Raises:
        LinkLoop: More than `HOPS` links, maybe in a circle.
        NotFound: There is nothing already where a directory should be.
        NotADirectory: A file stands where the path needs a directory.
    """
    entry = lookup(db, path)
    if entry is not None and (entry.kind is not Kind.LINK or not follow):
        return path, entry
    if entry is None:
        above = lookup(db, path[:-1])
        if above is not None and above.is_directory:
            return path, None
    return _walk(db, path, follow)


def _walk(db: sqlite3.Connection, path: TreePath, follow: bool) -> tuple[TreePath, Entry | None]:
    """Go step by step, by the way of each link."""
    way = [by_id(db, ROOT_ID)]
    ahead = list(reversed(path))
    hops = 0
    while ahead:
        name = ahead.pop()
        if name == b"..":
            del way[max(1, len(way) - 1) :]
            continue
        found = child(db, way[-1].id, name)
        if found is None:
            if ahead:
                raise errors.NotFound(model.shown(path))
            return (*(entry.name for entry in way[1:]), name), None
        if found.target is not None and (ahead or follow):
            hops += 1
            if hops > HOPS:
                raise errors.LinkLoop(model.shown(path))
            if found.target.startswith(b"/"):
                del way[1:]
            ahead += [part for part in reversed(found.target.split(b"/")) if part not in (b"", b".")]
        elif ahead and not found.is_directory:
            raise errors.NotADirectory(model.shown((*(entry.name for entry in way[1:]), name)))
        else:
            way.append(found)
    return tuple(entry.name for entry in way[1:]), way[-1]


def directory(db: sqlite3.Connection, path: TreePath) -> Entry:
    """Find a directory.

    Raises:
        NotFound: Nothing has this path.
        NotADirectory: It, or what should be above it, is a file.
    """
    entry = find(db, path)
    if not entry.is_directory:
        raise errors.NotADirectory(model.shown(path))
    return entry


def by_id(db: sqlite3.Connection, file: int) -> Entry:
    """Find by FileId.

    Raises:
        NotFound: It is gone.
    """
    row = db.execute(f"SELECT {EVERYTHING} FROM ent WHERE id = ?", (file,)).fetchone()  # noqa: S608 - constant
    if row is None:
        raise errors.NotFound(f"file {file:x}")
    return to_entry(row)


def child(db: sqlite3.Connection, parent: int, name: bytes) -> Entry | None:
    """Find a name in a directory."""
    row = db.execute(
        f"SELECT {EVERYTHING} FROM ent WHERE parent = ? AND name = ?",  # noqa: S608 - constant
        (parent, name),
    ).fetchone()
    return None if row is None else to_entry(row)


def children(db: sqlite3.Connection, parent: int, after: bytes, limit: int) -> list[Entry]:
    """List a directory from behind `after`, in order of names."""
    rows = db.execute(
        f"SELECT {EVERYTHING} FROM ent WHERE parent = ? AND name > ? ORDER BY name LIMIT ?",  # noqa: S608 - constant
        (parent, after, limit),
    ).fetchall()
    return [to_entry(row) for row in rows]


def path_of(db: sqlite3.Connection, file: int) -> TreePath:
    """Give the path that an entry has now.

    Raises:
        NotFound: It is gone, be it into the trash.
    """
    names: list[bytes] = []
    at = file
    while at != ROOT_ID:
        row = db.execute("SELECT parent, name FROM ent WHERE id = ?", (at,)).fetchone()
        if row is None or row[0] == TRASH_ID:
            raise errors.NotFound(f"file {file:x}")
        at = row[0]
        names.append(row[1])
    return tuple(reversed(names))


def path_or_none(db: sqlite3.Connection, file: int) -> TreePath | None:
    """Give the path that an entry has now, or nothing if it is gone."""
    try:
        return path_of(db, file)
    except errors.NotFound:
        return None


def way(db: sqlite3.Connection, path: TreePath) -> Way:
    """Give the directories on the way to a path, as far as they are there."""
    at, found = ROOT_ID, [(ROOT_ID, b"")]
    for name in path:
        entry = child(db, at, name) if at else None
        at = entry.id if entry is not None and entry.is_directory else 0
        found.append((at, name))
    return found


def way_to(db: sqlite3.Connection, directory: int) -> Way:
    """Give the directories from the root down to one.

    Raises:
        NotFound: It is gone, or it is the trash.
    """
    found: list[tuple[int, bytes]] = []
    at = directory
    while at != ROOT_ID:
        row = db.execute("SELECT parent, name FROM ent WHERE id = ?", (at,)).fetchone()
        if row is None or row[0] == TRASH_ID:
            raise errors.NotFound(f"directory {directory:x}")
        found.append((at, row[1]))
        at = row[0]
    return [(ROOT_ID, b""), *reversed(found)]


def conflicts(db: sqlite3.Connection, limit: int) -> list[TreePath]:
    """Give paths of entries that were kept aside."""
    rows = db.execute(
        "SELECT id FROM ent WHERE state = ? ORDER BY id LIMIT ?", (STATE_CODES[State.CONFLICT], limit)
    )
    return [path_of(db, file) for (file,) in rows.fetchall()]


def insert(db: sqlite3.Connection, entry: Entry) -> Entry:
    """Write a new entry; its parent and its name have been looked at."""
    db.execute(
        f"INSERT INTO ent({EVERYTHING}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        to_row(entry),
    )
    return entry


def to_row(entry: Entry) -> tuple[object, ...]:
    """Make a row of `EVERYTHING` of an entry."""
    return (
        *(entry.id, entry.parent, entry.name, KIND_CODES[entry.kind], STATE_CODES[entry.state]),
        *(entry.ver, entry.size, entry.mtime_ns, entry.created_ns, entry.owner, entry.group),
        *(entry.mode, entry.crc32, entry.digest, entry.target),
    )


def touch(db: sqlite3.Connection, folder: int, now_ns: int) -> None:
    """A directory changes when a name in it comes or goes."""
    db.execute("UPDATE ent SET mtime_ns = ? WHERE id = ?", (now_ns, folder))


def make_directory(
    db: sqlite3.Connection, path: TreePath, *, file: int, owner: str, group: str, mode: int, now_ns: int
) -> Entry:
    """Make a directory whose parent is there.

    Raises:
        Exists: The name is taken.
        NotFound: The parent is missing.
        NotADirectory: The parent is a file.
        NameNotAllowed: Nothing may be called so.
    """
    if path:
        model.check_path(path)
    if lookup(db, path) is not None:
        raise errors.Exists(model.shown(path))
    parent = directory(db, path[:-1])
    made = Entry(
        file, parent.id, path[-1], Kind.DIRECTORY, State.LIVE, 0, 0, now_ns, now_ns, owner, group, mode
    )
    touch(db, parent.id, now_ns)
    return insert(db, made)


def make_link(
    db: sqlite3.Connection,
    path: TreePath,
    target: bytes,
    *,
    file: int,
    owner: str,
    group: str,
    now_ns: int,
) -> Entry:
    """Make a symbolic link; its target needn't be there.

    Raises:
        Exists: The name is taken.
        NotFound: The parent is missing.
        NotADirectory: The parent is a file.
        NameNotAllowed: Nothing may be called so, or no target be that.
    """
    model.check_path(path)
    model.check_target(target)
    if lookup(db, path) is not None:
        raise errors.Exists(model.shown(path))
    parent = directory(db, path[:-1])
    made = Entry(
        *(file, parent.id, path[-1], Kind.LINK, State.LIVE, 0, len(target), now_ns, now_ns),
        *(owner, group, 0o777),
        target=target,
    )
    touch(db, parent.id, now_ns)
    return insert(db, made)


def remove_directory(db: sqlite3.Connection, path: TreePath, now_ns: int) -> None:
    """Remove an empty directory.

    Raises:
        NotEmpty: There is something in it, be it an upload that has just begun.
        NotADirectory: It is a file.
        NotFound: Nothing has this path.
        Denied: It is the root.
    """
    entry = directory(db, path)
    if entry.id == ROOT_ID:
        raise errors.Denied("/")
    if not empty(db, entry.id):
        raise errors.NotEmpty(model.shown(path))
    db.execute("DELETE FROM ent WHERE id = ?", (entry.id,))
    touch(db, entry.parent, now_ns)


def empty(db: sqlite3.Connection, folder: int) -> bool:
    """Whether a directory holds no name. The root is its own child, by the empty name."""
    found = db.execute("SELECT 1 FROM ent WHERE parent = ? AND name > x'' LIMIT 1", (folder,)).fetchone()
    return found is None


def named_ns(db: sqlite3.Connection, file: int) -> int:
    """Say since when an entry has the path that it has, as far as that is known; else 0."""
    newest = at = 0
    while at not in (ROOT_ID, TRASH_ID):
        parent, named = db.execute("SELECT parent, named_ns FROM ent WHERE id = ?", (at or file,)).fetchone()
        newest, at = max(newest, named), parent
    return newest


def set_attributes(db: sqlite3.Connection, path: TreePath, wish: Attributes, now_ns: int) -> None:
    """Set times and permissions, where given.

    Raises:
        NotFound: Nothing has this path.
        NotADirectory: A file stands where the path needs a directory.
    """
    entry = find(db, path)
    if wish.mode is not None:
        db.execute("UPDATE ent SET mode = ? WHERE id = ?", (wish.mode, entry.id))
    if wish.created_ns is not None:
        db.execute("UPDATE ent SET created_ns = ? WHERE id = ?", (wish.created_ns, entry.id))
    if wish.mtime_ns is not None:
        db.execute("UPDATE ent SET mtime_ns = ? WHERE id = ?", (wish.mtime_ns, entry.id))
        if entry.kind is Kind.FILE:
            replicas.owe(db, entry.id, directory=False, now_ns=now_ns)
