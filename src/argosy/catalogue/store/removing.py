"""Names that go out of the tree, or elsewhere in it: deleting and renaming."""

from __future__ import annotations

import sqlite3

from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.keeping import Bin, Why
from argosy.catalogue.model import ROOT_ID, Entry, Kind, Removal, State, TreePath
from argosy.catalogue.store import companions, replicas, trash, tree


def delete(db: sqlite3.Connection, path: TreePath, into: Bin) -> Removal:
    """Remove a file or a link: into the trash, or its replicas become tombstones at once.

    Raises:
        IsADirectory: It is one.
        Busy: Something is being uploaded there.
        NotFound: Nothing has this path.
    """
    entry = tree.find(db, path)
    if entry.is_directory:
        raise errors.IsADirectory(model.shown(path))
    removal = _remove_file(db, entry, into, Why.DELETED)
    tree.touch(db, entry.parent, into.now_ns)
    return removal


def _remove_file(db: sqlite3.Connection, entry: Entry, into: Bin, why: Why) -> Removal:
    upload = db.execute("SELECT id, volume, state FROM upload WHERE file = ?", (entry.id,)).fetchone()
    forgotten: tuple[model.PartName, ...] = ()
    if upload is not None:
        number, volume, partial = upload
        if not partial:
            raise errors.Busy(entry.name)
        forgotten = ((volume, number), *companions.parts(db, number))
        db.execute("DELETE FROM upload WHERE id = ?", (number,))
    return Removal(tuple(trash.remove(db, entry, into, why)), forgotten)


def rename(db: sqlite3.Connection, source: TreePath, target: TreePath, into: Bin) -> Removal:
    """Give an entry another path. A file that has it gives way, as POSIX says.

    Raises:
        NotFound: `source`, or the directory that `target` is to be in, is missing.
        NotADirectory: A directory onto a file, or a file stands where `target` needs a directory.
        IsADirectory: A file onto a directory.
        NotEmpty: A directory onto one that isn't empty.
        Busy: Something is being uploaded at `target`.
        BadArgument: A directory into itself.
        Denied: The root.
        NameNotAllowed: Nothing may be called so.
    """
    entry = tree.find(db, source)
    if entry.id == ROOT_ID:
        raise errors.Denied("/")
    if source == target:
        return Removal()
    model.check_path(target)
    parent = tree.directory(db, target[:-1])
    if entry.is_directory and _lies_below(db, parent.id, entry.id):
        raise errors.BadArgument(f"{model.shown(source)} into itself")
    removal = _make_way(db, entry, target, tree.child(db, parent.id, target[-1]), into)
    state = State.LIVE if entry.state is State.CONFLICT else entry.state  # a name of its own settles it
    db.execute(
        "UPDATE ent SET parent = ?, name = ?, state = ?, named_ns = ? WHERE id = ?",
        (parent.id, target[-1], tree.STATE_CODES[state], into.now_ns, entry.id),
    )
    tree.touch(db, entry.parent, into.now_ns)
    tree.touch(db, parent.id, into.now_ns)
    if entry.kind is not Kind.LINK:
        replicas.owe(db, entry.id, directory=entry.is_directory, now_ns=into.now_ns)
    return removal


def _make_way(
    db: sqlite3.Connection, entry: Entry, target: TreePath, occupant: Entry | None, into: Bin
) -> Removal:
    if occupant is None:
        return Removal()
    if not occupant.is_directory:
        if entry.is_directory:
            raise errors.NotADirectory(model.shown(target))
        return _remove_file(db, occupant, into, Why.REPLACED)
    if not entry.is_directory:
        raise errors.IsADirectory(model.shown(target))
    if not tree.empty(db, occupant.id):
        raise errors.NotEmpty(model.shown(target))
    db.execute("DELETE FROM ent WHERE id = ?", (occupant.id,))
    return Removal()


def _lies_below(db: sqlite3.Connection, folder: int, above: int) -> bool:
    """Walk up, in the very transaction that moves: otherwise two moves at once can close a circle."""
    at = folder
    while at != ROOT_ID:
        if at == above:
            return True
        (at,) = db.execute("SELECT parent FROM ent WHERE id = ?", (at,)).fetchone()
    return False
