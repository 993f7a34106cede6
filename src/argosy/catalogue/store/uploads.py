"""Uploads: from the name that is taken to the content that is committed.

A content version is an upload's id. New content is seen only once it is committed; until then an
overwritten file is read as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.keeping import Bin, Wants
from argosy.catalogue.model import (
    Companion,
    Discard,
    Doubt,
    Entry,
    Kind,
    PartName,
    Placement,
    Replica,
    Sealed,
    Standing,
    State,
    TreePath,
    Upload,
    Verdict,
)
from argosy.catalogue.store import companions, jobs, members, replicas, trash, tree

OPEN, PARTIAL = range(2)

_COLUMNS = "id, file, volume, node, epoch, received"


def begin(
    db: sqlite3.Connection,
    path: TreePath,
    *,
    number: int,
    file: int,
    volume: int,
    node: str,
    epoch: int,
    user: str,
    group: str,
    mode: int,
    resume: bool,
    offset: int | None = None,
    along: Sequence[Companion] = (),
    now_ns: int,
) -> Upload:
    """Take the name for an upload, or the file that it shall replace.

    Args:
        db: Inside a transaction.
        path: Where the file shall be.
        number: The upload's id, unless it goes on with a part.
        file: The FileId for a new name.
        volume: Where the bytes will arrive, on `node` in its `epoch`.
        node: See `volume`.
        epoch: See `volume`.
        user: Who owns a new name.
        group: Of a new name.
        mode: Of a new name.
        resume: Go on with the part, or with the content, that lies on `volume`.
        offset: Where the next byte goes then; None: behind the last one there.
        along: The volumes that take it along.
        now_ns: The time.

    Raises:
        Busy: Another upload is open on this entry.
        IsADirectory: A directory has the name.
        NotFound: The directory is missing.
        NotADirectory: A file stands where the path needs a directory.
        NameNotAllowed: Nothing may be called so.
        Unavailable: The node isn't in this epoch, or what `resume` needs isn't on this volume.
        Denied: To `resume` would mix two contents: a replacement was cut, and the old one stayed.
    """
    model.check_path(path)
    check_epoch(db, volume, node, epoch)
    parent = tree.directory(db, path[:-1])
    entry = tree.child(db, parent.id, path[-1])
    if entry is None:
        facts = Kind.FILE, State.UPLOADING, 0, 0, now_ns, now_ns, user, group, mode
        entry = Entry(file, parent.id, path[-1], *facts)
        tree.insert(db, entry)
        tree.touch(db, parent.id, now_ns)
        placeholder = True
    elif entry.is_directory:
        raise errors.IsADirectory(model.shown(path))
    elif entry.kind is Kind.LINK:
        raise errors.Exists(model.shown(path))
    else:
        placeholder = entry.state is State.PARTIAL
    upload = Upload(number, entry.id, volume, node, epoch, 0)
    old = _row_of(db, entry.id)
    if old is not None:
        if old[-1] == OPEN:
            raise errors.Busy(model.shown(path))
        if resume:
            return _accompany(db, _go_on(db, old, volume, node, epoch), along, offset)
        upload = replace(upload, forgotten=_drop_row(db, old))
        _set_state(db, entry.id, State.UPLOADING, 0)
    elif resume and not placeholder:
        if db.execute("SELECT 1 FROM torn WHERE file = ?", (entry.id,)).fetchone():
            raise errors.Denied(f"{model.shown(path)} was cut while it was being replaced; send it whole")
        upload = replace(upload, base=_base(db, entry, volume))
    base_ver = upload.base.ver if upload.base else 0
    db.execute(
        "INSERT INTO upload(id, file, placeholder, base_ver, volume, node, epoch, usr, state, received,"
        " started_ns) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (number, entry.id, placeholder, base_ver, volume, node, epoch, user, OPEN, now_ns),
    )
    return _accompany(db, upload, along) if along else upload


def _accompany(
    db: sqlite3.Connection, upload: Upload, along: Sequence[Companion], offset: int | None = None
) -> Upload:
    """Enter who takes an upload along, from the byte at `offset` on; None: behind the last one.

    Raises:
        Unavailable: One of the nodes isn't in this epoch.
    """
    for one in along:
        check_epoch(db, one.volume, one.node, one.epoch)
    base_ver = upload.base.ver if upload.base else 0
    start = upload.received if offset is None else offset
    found, left = companions.choose(db, upload.id, upload.file, along, base_ver=base_ver, offset=start)
    return replace(upload, companions=found, forgotten=(*upload.forgotten, *left))


def check_epoch(db: sqlite3.Connection, volume: int, node: str, epoch: int) -> None:
    """Make sure that a node with a volume is in this epoch, and may bring bytes.

    Raises:
        Unavailable: It isn't.
    """
    row = db.execute(
        "SELECT n.epoch FROM node n JOIN volume v ON v.node = n.name"
        " WHERE v.number = ? AND n.name = ? AND n.revoked = 0",
        (volume, node),
    ).fetchone()
    if row is None or row[0] != epoch:
        raise errors.Unavailable(node)


def _row_of(db: sqlite3.Connection, file: int) -> Any:
    """Read `_COLUMNS` and the state of the upload on a file."""
    return db.execute(
        f"SELECT {_COLUMNS}, state FROM upload WHERE file = ?",  # noqa: S608 - constant
        (file,),
    ).fetchone()


def _drop_row(db: sqlite3.Connection, row: Any) -> tuple[PartName, ...]:
    parts = companions.parts(db, row[0])
    db.execute("DELETE FROM upload WHERE id = ?", (row[0],))
    return ((row[2], row[0]), *parts)


def _set_state(db: sqlite3.Connection, file: int, state: State, size: int) -> None:
    db.execute("UPDATE ent SET state = ?, size = ? WHERE id = ?", (tree.STATE_CODES[state], size, file))


def _go_on(db: sqlite3.Connection, row: Any, volume: int, node: str, epoch: int) -> Upload:
    number, file, at, _, _, received, _ = row
    if at != volume:
        raise errors.Unavailable(node)
    db.execute("UPDATE upload SET state = ?, node = ?, epoch = ? WHERE id = ?", (OPEN, node, epoch, number))
    _set_state(db, file, State.UPLOADING, received)
    return Upload(number, file, volume, node, epoch, received)


def _base(db: sqlite3.Connection, entry: Entry, volume: int) -> Replica:
    """Find the copy on this volume of the content that everybody reads."""
    for replica in replicas.of(db, entry.id):
        if replica.volume == volume and replica.standing is Standing.GOOD and replica.ver == entry.ver:
            return replica
    raise errors.Unavailable(entry.name)


def partial(db: sqlite3.Connection, file: int) -> Upload | None:
    """Give the cut upload that a file's name is kept for, if there is one, and who else has a part of it."""
    row = _row_of(db, file)
    if row is None or row[-1] != PARTIAL:
        return None
    return replace(Upload(*row[:-1]), companions=tuple(companions.of(db, row[0])))


def commit(
    db: sqlite3.Connection,
    number: int,
    sealed: Sealed,
    *,
    epoch: int,
    along: Sequence[Companion] = (),
    wants: Wants | None,
    into: Bin,
) -> tuple[Entry, Replica, list[Discard]]:
    """Make what has arrived the file's content, wherever its name is by now.

    Gives the entry, the replica with the loc where the node shall put it, and the deletions of the old
    content, which are owed from now on unless it goes into the trash. What was gone on with doesn't: it is
    there still. Each of those that took it `along` has a replica, too.

    Raises:
        Failed: The upload is gone, or its node has been registered anew since: its bytes count no more.
        Unavailable: Likewise the node of one that took it along.
    """
    row = db.execute(
        f"SELECT {_COLUMNS}, base_ver, usr FROM upload u WHERE id = ? AND state = 0 AND epoch = ? AND EXISTS"  # noqa: S608
        " (SELECT 1 FROM node n WHERE n.name = u.node AND n.epoch = u.epoch AND n.revoked = 0)",
        (number, epoch),
    ).fetchone()
    if row is None:
        raise errors.Failed("the node was away in between")
    _, file, volume, node, _, _, base_ver, usr = row
    now_ns = into.now_ns
    for one in along:
        check_epoch(db, one.volume, one.node, one.epoch)
    db.execute("DELETE FROM upload WHERE id = ?", (number,))
    db.execute("DELETE FROM torn WHERE file = ?", (file,))
    if into.spares is None or base_ver:
        discards = replicas.bury(db, file, now_ns)
    else:
        discards = trash.supersede(db, tree.by_id(db, file), replace(into, by=usr))
    db.execute(
        "UPDATE ent SET state = 0, ver = ?, size = ?, mtime_ns = ?, crc32 = ?, digest = ? WHERE id = ?",
        (number, sealed.size, sealed.mtime_ns, sealed.crc32, sealed.digest, file),
    )
    entry = tree.by_id(db, file)
    replica = place(db, entry, volume=volume, node=node, now_ns=now_ns)
    for one in along:
        place(db, entry, volume=one.volume, node=one.node, now_ns=now_ns)
    jobs.note(db, [file], wants, now_ns)
    return entry, replica, discards


def place(db: sqlite3.Connection, entry: Entry, *, volume: int, node: str, now_ns: int) -> Replica:
    """Write a replica at its file's path, or aside for a while when another file lies there."""
    trashed = entry.state is State.TRASHED
    loc = model.unplaced(entry.ver) if trashed else b"/".join(tree.path_of(db, entry.id))
    if not trashed and replicas.held_by(db, volume, loc) is not None:
        loc = model.unplaced(entry.ver)
        replicas.owe(db, entry.id, directory=False, now_ns=now_ns)
    replica = Replica(entry.id, volume, node, entry.ver, Standing.GOOD, loc, entry.size, entry.mtime_ns)
    replicas.insert(db, replica, listed=False)
    return replica


def accompany(db: sqlite3.Connection, number: int, companion: Companion) -> Companion:
    """Have one volume more take an upload along; gives it with what it has of it.

    Raises:
        Failed: The upload is over.
        Unavailable: The node isn't in this epoch.
    """
    if db.execute("SELECT 1 FROM upload WHERE id = ? AND state = ?", (number, OPEN)).fetchone() is None:
        raise errors.Failed("the upload is over")
    check_epoch(db, companion.volume, companion.node, companion.epoch)
    companions.add(db, number, companion)
    return next(one for one in companions.of(db, number) if one.volume == companion.volume)


def cut(
    db: sqlite3.Connection,
    number: int,
    received: int | None,
    now_ns: int,
    along: Mapping[int, int | None] | None = None,
) -> bool:
    """End an upload that nobody was told had worked. True: its parts are worth nothing, forget them.

    The part of a new file is kept for REST and APPE under the name that it had; an overwritten file
    stays as it was, without, and from now on it can't be gone on with, only be sent whole.

    Args:
        db: Inside a transaction.
        number: The upload.
        received: Bytes in the part; None: nobody knows yet, the node will tell when it is back.
        now_ns: The time.
        along: Likewise of the volumes that took it along. With the largest of these parts the upload goes
            on, if nobody knows what the first one has.
    """
    row = db.execute(
        "SELECT file, placeholder, received, base_ver FROM upload WHERE id = ?", (number,)
    ).fetchone()
    if row is None:
        return holder_of(db, number) is None
    file, placeholder, before, base_ver = row
    if not placeholder and not base_ver and received != 0:
        db.execute("INSERT INTO torn(file) VALUES(?) ON CONFLICT(file) DO NOTHING", (file,))
    if not placeholder or received == 0:
        _abolish(db, number, file, placeholder=bool(placeholder), now_ns=now_ns)
        return True
    if along:
        companions.cut(db, number, along)
        if received is None:
            received = companions.lead(db, number) or None
    size = before if received is None else received
    db.execute(
        "UPDATE upload SET state = ?, received = ?,"
        " started_ns = CASE WHEN state = 0 THEN ? ELSE started_ns END WHERE id = ?",
        (PARTIAL, size, now_ns, number),
    )
    _set_state(db, file, State.PARTIAL, size)
    return False


def _abolish(db: sqlite3.Connection, number: int, file: int, *, placeholder: bool, now_ns: int) -> None:
    """Remove an upload, and the name if it was made for it."""
    db.execute("DELETE FROM upload WHERE id = ?", (number,))
    if placeholder:
        (parent,) = db.execute("SELECT parent FROM ent WHERE id = ?", (file,)).fetchone()
        db.execute("DELETE FROM ent WHERE id = ?", (file,))
        tree.touch(db, parent, now_ns)


def holder_of(db: sqlite3.Connection, ver: int) -> int | None:
    """Find the file whose content this upload has become."""
    row = db.execute("SELECT id FROM ent WHERE ver = ? AND ver <> 0", (ver,)).fetchone()
    return None if row is None else row[0]


def forget_expired(db: sqlite3.Connection, before_ns: int, now_ns: int) -> list[PartName]:
    """Drop cut uploads that nobody went on with; give their parts, wherever they are."""
    rows = db.execute(
        "SELECT id, file, volume, placeholder FROM upload WHERE state = ? AND started_ns < ?",
        (PARTIAL, before_ns),
    ).fetchall()
    found = []
    for number, file, volume, placeholder in rows:
        found += [(volume, number), *companions.parts(db, number)]
        _abolish(db, number, file, placeholder=bool(placeholder), now_ns=now_ns)
    return found


def recover(db: sqlite3.Connection, now_ns: int) -> None:
    """Cut every upload that is open: the master that took it is no more."""
    for (number,) in db.execute("SELECT id FROM upload WHERE state = ?", (OPEN,)).fetchall():
        cut(db, number, None, now_ns)


def reconcile(
    db: sqlite3.Connection,
    volume: int,
    parts: Sequence[tuple[int, int, bool]],
    running: Collection[int],
    now_ns: int,
) -> list[PartName]:
    """Bring the catalogue's uploads in line with the parts that a volume came back with.

    Before anything new begins on the volume: of what was cut since they were listed they say nothing, or less
    than its client was told. `verdict` says what becomes of the parts. Gives the parts on other volumes with
    which nobody goes on any more.

    Args:
        db: Inside a transaction.
        volume: Whose parts.
        parts: Upload, bytes, and whether it is sealed, of every part on the volume.
        running: Uploads that go on right now; they are left alone.
        now_ns: The time.
    """
    there = {number for number, _, _ in parts}
    (node,) = db.execute("SELECT node FROM volume WHERE number = ?", (volume,)).fetchone()
    under_way = {*running, *_of_this_life(db, volume, node)}
    for number, received, _ in parts:
        if number not in under_way and _volume_of(db, number) == volume:
            cut(db, number, received, now_ns)
    companions.reconcile(db, volume, {number: received for number, received, _ in parts}, under_way)
    forgotten: list[PartName] = []
    for number, file, placeholder, partial in db.execute(
        "SELECT id, file, placeholder, state FROM upload WHERE volume = ?", (volume,)
    ).fetchall():
        if number in there or number in under_way:
            continue
        if partial and (received := companions.lead(db, number)):
            companions.cut(db, number, {volume: 0})
            _set_state(db, file, State.PARTIAL, received)
        else:
            forgotten += companions.parts(db, number)
            _abolish(db, number, file, placeholder=bool(placeholder), now_ns=now_ns)
    expect_listed(db, volume, there)
    return forgotten


def verdict(
    db: sqlite3.Connection, volume: int, parts: Iterable[tuple[int, int, bool]], now_ns: int
) -> Verdict:
    """Say what becomes of the parts that a volume came back with, as things are now: see `reconcile`."""
    (node,) = db.execute("SELECT node FROM volume WHERE number = ?", (volume,)).fetchone()
    commit: list[Placement] = []
    forget: list[int] = []
    copies: list[tuple[int, int]] = []
    ahead = members.doubt(db, volume) is Doubt.AHEAD
    for number, received, sealed in parts:
        at = _volume_of(db, number)
        if sealed and (where := _committed(db, volume, node, number, now_ns)) is not None:
            commit.append(where)
        elif sealed and at is None and ahead and holder_of(db, number) is None:
            commit.append(_recovered(db, (volume, node), number, received, now_ns))
        elif at is None and (wanted := _is_copy_wanted(db, volume, number)) is not None:
            if wanted and not sealed:
                copies.append((number, received))
            elif not wanted:
                forget.append(number)
        elif at not in (None, volume) and not companions.takes(db, number, volume):
            forget.append(number)
    return Verdict(tuple(commit), tuple(forget), tuple(copies))


def _recovered(db: sqlite3.Connection, at: tuple[int, str], number: int, size: int, now_ns: int) -> Placement:
    """Keep an upload aside of which this record knows nothing: a lost one may have acknowledged it.

    If another volume has it in its place, it gets its name from there.
    """
    volume, node = at
    name = b"recovered-%016x.conflict-%s" % (number, node.encode())
    entry = Entry(
        *(number, model.ROOT_ID, name, Kind.FILE, State.CONFLICT, number, size, now_ns, now_ns),
        *("argosy", "argosy", 0o644),
    )
    tree.insert(db, entry)
    tree.touch(db, model.ROOT_ID, now_ns)
    replica = place(db, entry, volume=volume, node=node, now_ns=now_ns)
    return placement(db, volume, number, (replica.loc, replica.mtime_ns, entry.id), 0)


def _is_copy_wanted(db: sqlite3.Connection, volume: int, number: int) -> bool | None:
    """Whether the part of no upload may become a copy of a file. None: it is one, on its way to its place."""
    file = holder_of(db, number)
    if file is None:
        return False
    row = db.execute(
        "SELECT ver, listed FROM replica WHERE file = ? AND volume = ?", (file, volume)
    ).fetchone()
    if row is None:
        return True
    return None if row[0] == number and not row[1] else False


def _of_this_life(db: sqlite3.Connection, volume: int, node: str) -> list[int]:
    """List open uploads that began since the node was registered last: whoever began them ends them."""
    rows = db.execute(
        "SELECT u.id FROM upload u JOIN node n ON n.name = u.node AND n.epoch = u.epoch"
        " WHERE u.volume = ? AND u.node = ? AND u.state = ?",
        (volume, node, OPEN),
    )
    return [number for (number,) in rows.fetchall()]


def _volume_of(db: sqlite3.Connection, number: int) -> int | None:
    """Say on which volume an upload arrives, or was cut: a part on any other is a stray."""
    row = db.execute("SELECT volume FROM upload WHERE id = ?", (number,)).fetchone()
    return None if row is None else row[0]


def _committed(db: sqlite3.Connection, volume: int, node: str, number: int, now_ns: int) -> Placement | None:
    """Say where a sealed part belongs, if the catalogue has committed it."""
    row = db.execute(
        "SELECT r.loc, r.mtime_ns, r.file FROM replica r JOIN ent e ON e.id = r.file AND e.ver = r.ver"
        " WHERE r.volume = ? AND e.ver = ?",
        (volume, number),
    ).fetchone()
    if row is not None:
        return placement(db, volume, number, row, now_ns)
    file = holder_of(db, number)
    if file is None:
        return None
    # The catalogue thought that this copy was lost, and here it is.
    entry = tree.by_id(db, file)
    if any(replica.volume == volume for replica in replicas.of(db, file)):
        return None
    replica = place(db, entry, volume=volume, node=node, now_ns=now_ns)
    return placement(db, volume, number, (replica.loc, replica.mtime_ns, file), now_ns)


def placement(
    db: sqlite3.Connection, volume: int, number: int, where: tuple[bytes, int, int], now_ns: int
) -> Placement:
    """Say where an upload shall lie, and what a node shall remember of its file.

    Args:
        db: The database.
        volume: Which volume.
        number: The upload.
        where: Its loc, its time there, and its file.
        now_ns: As of when the file is called as it is.
    """
    loc, mtime_ns, file = where
    row = db.execute(  # of several that lay there one after the other the last one does now
        "SELECT ver FROM tomb WHERE volume = ? AND loc = ? ORDER BY ver DESC LIMIT 1", (volume, loc)
    ).fetchone()
    replaces = 0 if row is None else row[0]
    path = tree.path_or_none(db, file)
    if path is None:  # it is in the trash, and has no name
        return Placement(number, loc, mtime_ns, file, 0, replaces=replaces)
    whole = b"/".join(path)
    return Placement(number, loc, mtime_ns, file, now_ns, b"" if whole == loc else whole, replaces)


def placed(db: sqlite3.Connection, volume: int, numbers: Iterable[int]) -> None:
    """Note that a volume has put uploads in place: what its list doesn't show from now on is lost."""
    db.executemany(
        "UPDATE replica SET listed = 1 WHERE volume = ? AND ver = ?",
        [(volume, number) for number in numbers],
    )


def expect_listed(db: sqlite3.Connection, volume: int, parts: Iterable[int]) -> None:
    """From now on the volume's list must show every replica that isn't still a part."""
    waiting = set(parts)
    rows = db.execute("SELECT loc, ver FROM replica WHERE listed = 0 AND volume = ?", (volume,)).fetchall()
    db.executemany(
        "UPDATE replica SET listed = 1 WHERE volume = ? AND loc = ?",
        [(volume, loc) for loc, ver in rows if ver not in waiting],
    )
