"""Merging, the part that reads and writes: a batch's page of the tables, prefetched and written in bulk.

`merge` decides, one step at a time; a `Page` answers what it asks and carries the steps out. A batch of
thousands of files costs a few statements, not thousands: what it can touch is read in advance, and new rows
wait in lists until something has to see them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from argosy.catalogue import merge as merging
from argosy.catalogue import model, steps
from argosy.catalogue.keeping import Wants
from argosy.catalogue.model import Doubt, Found, Kind, MergeReport, Standing, State, minted_ns
from argosy.catalogue.steps import Copy, Holder, Known, Step
from argosy.catalogue.store import bulk, ids, jobs, members, replicas, tree
from argosy.catalogue.store.replicas import STANDINGS
from argosy.catalogue.store.tree import KINDS, STATE_CODES, STATES

CHUNK = 256
"""Values in one `IN`: few enough for every engine, and every chunk but the last is the same statement."""

BIGGEST = 2**63 - 1
"""What a BIGINT holds. A disk can have times beyond, after the year 2262; they count as the last."""

_ADOPTED = ("argosy", "argosy")
"""Owner and group of what was found on a disk."""

_REPLICA = "volume, loc, file, ver, standing, size, mtime_ns, listed"

_ENTRY = f"{tree.COLUMNS}, named_ns"

_HOLDERS = "SELECT e.id, e.parent, e.name, e.kind, e.state, e.ver, e.size, e.crc32, e.digest FROM ent e WHERE"
_KNOWN = (
    "SELECT r.loc, r.file, r.ver, r.standing, r.size, r.mtime_ns, r.listed, e.crc32, e.digest"
    " FROM replica r JOIN ent e ON e.id = r.file WHERE r.volume = ?"
)


def _to_holder(row: Any) -> Holder:
    file, parent, name, kind, state, ver, size, crc32, digest = row
    return Holder(file, parent, name, KINDS[kind], STATES[state], ver, size, crc32, digest)


def _is(held: Any, file: int) -> bool:
    """Whether what is remembered of a name, an entry or the row of a new one, is this file."""
    return held is not None and (held[0] if type(held) is tuple else held.id) == file


def _to_known(row: Any) -> Known:
    loc, file, ver, standing, size, mtime_ns, listed, crc32, digest = row
    return Known(loc, file, ver, STANDINGS[standing], size, mtime_ns, bool(listed), crc32, digest)


def merge(
    db: sqlite3.Connection,
    volume: int,
    changes: Sequence[Found],
    *,
    seq: int,
    between: tuple[bytes, bytes | None] | None,
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None = None,
) -> MergeReport:
    """Bring a batch of a volume's list into the tables; `between` says of which range it is the whole."""
    page = Page(db, volume, mint=mint, now_ns=now_ns, wants=wants)
    found = [_within_limits(file) for file in changes]
    expected = page.prefetch(found, between)
    page.carry_out(merging.merge(page, found, expected))
    over = between is not None and between[1] is None
    db.execute(
        "UPDATE volume SET acked = ?, doubt = CASE WHEN ? THEN 0 ELSE doubt END WHERE number = ?",
        (seq, over, volume),
    )
    return page.report


def lose(
    db: sqlite3.Connection,
    volume: int,
    file: int,
    *,
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None = None,
) -> None:
    """Drop a volume's replica of a file, with what follows for the file."""
    page = Page(db, volume, mint=mint, now_ns=now_ns, wants=wants)
    page.carry_out(merging.lose(page, file))


def _within_limits(found: Found) -> Found:
    if -BIGGEST <= found.mtime_ns <= BIGGEST and 0 <= found.ver <= BIGGEST:
        return found
    mtime_ns = max(-BIGGEST, min(found.mtime_ns, BIGGEST))
    ver = found.ver if 0 <= found.ver <= BIGGEST else 0
    return msgspec.structs.replace(found, mtime_ns=mtime_ns, ver=ver)


class Page:
    """What one batch can touch. It is a `steps.Tree`, and carries steps out."""

    def __init__(
        self,
        db: sqlite3.Connection,
        volume: int,
        *,
        mint: Callable[[], int],
        now_ns: int,
        wants: Wants | None = None,
    ) -> None:
        (self.node,) = db.execute("SELECT node FROM volume WHERE number = ?", (volume,)).fetchone()
        self.volume = volume
        self.doubt = members.doubt(db, volume)
        self.report = MergeReport()
        self._db = db
        self._mint = mint
        self._now_ns = now_ns
        self._wants = wants
        self._touched: set[int] = set()  # files whose copies came or went, if anybody wants to know
        self._known: dict[bytes, Known | None] = {}
        self._children: dict[tuple[int, bytes], Any] = {}
        self._names: dict[int, tuple[int, bytes]] = {}
        self._versions: dict[int, Holder | None] = {}
        self._named: dict[int, int] = {}  # names that are confirmed, and as of when
        self._files: dict[int, Holder | None] = {}  # by FileId, as nodes told them; in doubt alone
        self._copies: dict[int, dict[int, Copy]] = {}
        self._doomed: set[tuple[bytes, int, int]] = set()
        self._doomed_versions: set[int] = set()
        self._new_entries: list[tuple[object, ...]] = []
        self._new_replicas: list[tuple[object, ...]] = []
        self._grown: set[int] = set()
        self._fresh: set[int] = set()  # directories of this batch: all that is in them is in `_children`

    # --- answers ----

    def known(self, loc: bytes) -> Known | None:
        """Find what we believe to lie at a place of this volume."""
        if loc not in self._known:
            row = self._ask(f"{_KNOWN} AND r.loc = ?", self.volume, loc).fetchone()
            self._known[loc] = None if row is None else _to_known(row)
        return self._known[loc]

    def child(self, parent: int, name: bytes) -> Holder | None:
        """Find a name in a directory."""
        held: Holder | None
        key = (parent, name)
        if key not in self._children:
            if parent in self._fresh:
                return None
            self._hold_children(parent, [name])
        held = self._children[key]
        if type(held) is tuple:  # a row that has just been written: seldom asked for, so not unpacked before
            held = _to_holder((*held[:7], *held[12:14]))
            self._hold(held)
        return held

    def entry(self, file: int) -> Holder:
        """Give what is known of a replica's file."""
        key = self._names.get(file)
        held: Holder | None = None if key is None else self.child(*key)
        if held is None:
            held = _to_holder(self._ask(f"{_HOLDERS} e.id = ?", file).fetchone())
            self._hold(held)
        return held

    def version(self, ver: int) -> Holder | None:
        """Find the file whose content this upload became."""
        if ver not in self._versions:
            row = self._ask(f"{_HOLDERS} e.ver = ? AND e.ver <> 0 ORDER BY e.id", ver).fetchone()
            self._versions[ver] = None if row is None else _to_holder(row)
        return self._versions[ver]

    def copies(self, file: int) -> Mapping[int, Copy]:
        """Give a file's replicas by volume."""
        if file not in self._copies:
            self._hold_copies([file])
        return self._copies[file]

    def doomed(self, found: Found) -> bool:
        """Whether a deletion of just this content is owed to the volume."""
        if found.ver:
            return found.ver in self._doomed_versions
        return (found.loc, found.size, found.mtime_ns) in self._doomed

    def file(self, file: int) -> Holder | None:
        """Find what has a FileId."""
        if file not in self._files:
            row = self._ask(f"{_HOLDERS} e.id = ?", file).fetchone()
            self._files[file] = None if row is None else _to_holder(row)
        return self._files[file]

    def named_ns(self, file: int) -> int:
        """Say since when an entry has its path, as far as that is known; else 0."""
        if self._new_entries:
            self._flush()
        return max(tree.named_ns(self._db, file), self._named.get(file, 0))

    def lapsed(self, ver: int) -> bool:
        """Whether a version may have been brought while another state of this catalogue counted."""
        return ids.lapsed(self._db, ver)

    def lost(self, volume: int) -> bool:
        """Whether a volume's copies are out of reach for good."""
        return members.is_lost(self._db, volume)

    # --- reading in advance ----

    def prefetch(self, found: Sequence[Found], between: tuple[bytes, bytes | None] | None) -> list[bytes]:
        """Read what a batch will ask for. Gives the locs that a whole list must show."""
        expected: list[bytes] = []
        if between is None:
            locs = [file.loc for file in found]
            if self._holds_between(locs):
                rows = self._chunked(f"{_KNOWN} AND r.loc IN", (self.volume,), locs)
                self._known = {row[0]: _to_known(row) for row in rows}
        else:
            after, upto = between
            end, bounds = ("", (after,)) if upto is None else (" AND r.loc <= ?", (after, upto))
            rows = self._ask(f"{_KNOWN} AND r.loc > ?{end} ORDER BY r.loc", self.volume, *bounds)
            self._known = {row[0]: _to_known(row) for row in rows}
            expected = list(self._known)
        known = self._known
        for file in found:
            known.setdefault(file.loc)
        self._hold_tombs(found)
        strangers = [file for file in found if not file.gone and known[file.loc] is None]
        self._hold_versions([file.ver for file in strangers if file.ver])
        lost = [file for file in strangers if not file.ver or self._versions[file.ver] is None]
        self._hold_paths([file.path or file.loc for file in lost])
        if self.doubt is not Doubt.NONE:
            self._hold_files([file.file for file in lost if file.file])
        return expected

    def _hold_files(self, files: Sequence[int]) -> None:
        self._files = dict.fromkeys(files)
        rows = list(self._chunked(f"{_HOLDERS} e.id IN", (), files))
        self._files.update((row[0], _to_holder(row)) for row in rows)
        self._hold_copies([row[0] for row in rows])

    def _holds_between(self, locs: Sequence[bytes]) -> bool:
        """Whether anything lies among these locs: at a volume's first merge nothing does."""
        if not locs:
            return False
        question = "SELECT 1 FROM replica WHERE volume = ? AND loc >= ? AND loc <= ? LIMIT 1"
        return self._ask(question, self.volume, min(locs), max(locs)).fetchone() is not None

    def _hold_tombs(self, found: Sequence[Found]) -> None:
        owed = self._ask("SELECT 1 FROM tomb WHERE volume = ? LIMIT 1", self.volume).fetchone()
        if owed is None:
            return
        rows = self._chunked(
            "SELECT loc, size, mtime_ns FROM tomb WHERE volume = ? AND loc IN",
            (self.volume,),
            [file.loc for file in found],
        )
        self._doomed.update(rows)
        versions = self._chunked(
            "SELECT ver FROM tomb WHERE volume = ? AND ver IN",
            (self.volume,),
            [file.ver for file in found if file.ver],
        )
        self._doomed_versions.update(ver for (ver,) in versions)

    def _hold_versions(self, versions: Sequence[int]) -> None:
        rows = list(self._chunked(f"{_HOLDERS} e.ver <> 0 AND e.ver IN", (), versions))
        self._versions = dict.fromkeys(versions)
        self._versions.update({row[5]: _to_holder(row) for row in rows})
        self._hold_copies([row[0] for row in rows])

    def _hold_paths(self, locs: Sequence[bytes]) -> None:
        """Read what has the paths of files that nobody knows, a directory at a time."""
        by_directory: dict[bytes, list[bytes]] = {}
        for loc in locs:
            directory, _, name = loc.rpartition(b"/")
            by_directory.setdefault(directory, []).append(name)
        files: list[int] = []
        for directory, names in by_directory.items():
            parent = self._directory(directory)
            if parent is not None:
                files += self._hold_children(parent, names)
        self._hold_copies(files)

    def _directory(self, path: bytes) -> int | None:
        at = model.ROOT_ID
        for name in path.split(b"/") if path else ():
            holder = self.child(at, name)
            if holder is None:
                return None
            at = holder.id
        return at

    def _hold_children(self, parent: int, names: Sequence[bytes]) -> list[int]:
        """Read names of a directory; give the FileIds of those that are there."""
        rows = list(self._chunked(f"{_HOLDERS} e.parent = ? AND e.name IN", (parent,), names))
        for name in names:
            self._children[parent, name] = None
        for row in rows:
            self._hold(_to_holder(row))
        return [row[0] for row in rows]

    def _hold(self, holder: Holder) -> None:
        key = (holder.parent, holder.name)
        self._children[key] = holder
        self._names[holder.id] = key

    def _hold_copies(self, files: Sequence[int]) -> None:
        for file in files:
            self._copies[file] = {}
        rows = self._chunked("SELECT file, volume, loc, standing FROM replica WHERE file IN", (), files)
        for file, volume, loc, standing in rows:
            self._copies[file][volume] = Copy(loc, STANDINGS[standing])

    def _ask(self, question: str, *values: object) -> sqlite3.Cursor:
        self._flush()
        return self._db.execute(question, values)

    def _chunked(
        self, question: str, before: tuple[object, ...], values: Sequence[object]
    ) -> Iterator[tuple[Any, ...]]:
        """Ask about many values, with so many in one statement."""
        self._flush()
        for first in range(0, len(values), CHUNK):
            chunk = values[first : first + CHUNK]
            marks = ", ".join("?" * len(chunk))
            yield from self._db.execute(f"{question} ({marks})", (*before, *chunk)).fetchall()

    # --- carrying out ----

    def carry_out(self, decided: Iterator[Step]) -> None:
        """Carry out step after step; each sees those before it."""
        for step in decided:
            self._carriers[type(step)](self, step)
        self._flush()
        self._db.executemany(
            "UPDATE ent SET mtime_ns = ? WHERE id = ?", [(self._now_ns, folder) for folder in self._grown]
        )
        self._db.executemany(
            "UPDATE ent SET named_ns = max(named_ns, ?) WHERE id = ?",
            [(named_ns, file) for file, named_ns in self._named.items()],
        )
        jobs.note(self._db, self._touched, self._wants, self._now_ns)

    def _flush(self) -> None:
        """Write the rows that wait."""
        if self._new_entries:
            bulk.insert(self._db, "ent", _ENTRY, self._new_entries)
            self._new_entries = []
        if self._new_replicas:
            bulk.insert(self._db, "replica", _REPLICA, self._new_replicas)
            self._new_replicas = []

    def _make_directory(self, step: steps.MakeDirectory) -> None:
        number, parent, name = self._mint(), step.parent, step.name
        self._fresh.add(number)
        self._new_entries.append(
            (number, parent, name, 0, 0, 0, 0, step.mtime_ns, self._now_ns, *_ADOPTED, 0o755, None, None, 0)
        )
        self._hold(Holder(number, parent, name, Kind.DIRECTORY, State.LIVE, 0, 0, None, None))

    def _create(self, step: steps.Create) -> None:
        found, parent, name = step.found, step.parent, step.name
        number = step.file or self._mint()
        ver = found.ver or number
        code = STATE_CODES[step.state]
        created_ns = minted_ns(number) if step.file else self._now_ns
        row = (
            number, parent, name, 1, code, ver, found.size, found.mtime_ns, created_ns,
            *_ADOPTED, 0o644, found.crc32, found.digest, found.named_ns if step.file else 0,
        )  # fmt: skip
        self._new_entries.append(row)
        self._children[parent, name] = row
        self._grown.add(parent)
        if found.ver:
            self._versions.pop(ver, None)
        if found.file:
            self._files.pop(number, None)
        self._write_replica(number, ver, Standing.GOOD, found)
        if step.state is State.LIVE:
            self.report.created += 1
        else:
            self._flush()
            self.report.conflicts.append(model.shown(tree.path_of(self._db, number)))

    def _write_replica(self, file: int, ver: int, standing: Standing, found: Found) -> None:
        loc = found.loc
        code = STANDINGS.index(standing)
        self._new_replicas.append((self.volume, loc, file, ver, code, found.size, found.mtime_ns, 1))
        self._known.pop(loc, None)
        self._copies.pop(file, None)
        if self._wants:
            self._touched.add(file)
        if (
            loc.startswith(model.RESERVED) or found.path
        ):  # there because its place was taken: it may be free by now
            self._flush()
            replicas.owe(self._db, file, directory=False, now_ns=self._now_ns)

    def _drop_replica(self, file: int) -> None:
        row = self._ask(
            "DELETE FROM replica WHERE file = ? AND volume = ? RETURNING loc", file, self.volume
        ).fetchone()
        if row is not None:
            self._known[row[0]] = None
            self._touched.add(file)
        if file in self._copies:
            self._copies[file].pop(self.volume, None)

    def _add(self, step: steps.Add) -> None:
        if self.volume in self.copies(step.file):
            self._drop_replica(step.file)
        ver = self.entry(step.file).ver if step.standing is Standing.GOOD else 0
        self._write_replica(step.file, ver, step.standing, step.found)
        self.report.added += 1

    def _move(self, step: steps.Move) -> None:
        standing = self.copies(step.file)[self.volume].standing
        self._drop_replica(step.file)
        self._write_replica(step.file, self.entry(step.file).ver, standing, step.found)
        self.report.changed += 1

    def _refresh(self, step: steps.Refresh) -> None:
        found = step.found
        known = self.known(found.loc)
        assert known is not None
        self._ask(
            "UPDATE replica SET mtime_ns = ?, listed = 1 WHERE volume = ? AND loc = ?",
            *(found.mtime_ns, self.volume, found.loc),
        )
        self._known[found.loc] = Known(
            *(known.loc, known.file, known.ver, known.standing, known.size, found.mtime_ns),
            listed=True,
            crc32=known.crc32,
            digest=known.digest,
        )

    def _learn(self, step: steps.Learn) -> None:
        self._ask(
            "UPDATE ent SET crc32 = ?, digest = ? WHERE id = ?",
            *(step.found.crc32, step.found.digest, step.file),
        )
        self._forget_entry(step.file)

    def _change(self, step: steps.Change) -> None:
        found = step.found
        ver = step.ver or self._mint()
        self._ask(
            "UPDATE ent SET ver = ?, size = ?, mtime_ns = ?, crc32 = ?, digest = ? WHERE id = ?",
            *(ver, found.size, found.mtime_ns, found.crc32, found.digest, step.file),
        )
        self._forget_entry(step.file)
        self._drop_replica(step.file)
        self._write_replica(step.file, ver, Standing.GOOD, found)
        self.report.changed += 1

    def _mistrust(self, step: steps.Mistrust) -> None:
        row = self._ask(
            "UPDATE replica SET standing = 1 WHERE file = ? AND volume = ? RETURNING loc",
            *(step.file, self.volume),
        ).fetchone()
        self._known.pop(row[0], None)
        self._copies.pop(step.file, None)
        self._touched.add(step.file)

    def _drop(self, step: steps.Drop) -> None:
        self._drop_replica(step.file)
        self.report.dropped += 1

    def _promote(self, step: steps.Promote) -> None:
        ver = self._mint()
        self._ask(
            "UPDATE replica SET standing = 0, ver = ? WHERE file = ? AND volume = ?",
            *(ver, step.file, step.volume),
        )
        self._ask(
            "UPDATE ent SET ver = ?, crc32 = NULL, digest = NULL, (size, mtime_ns) ="
            " (SELECT size, mtime_ns FROM replica WHERE file = ? AND volume = ?) WHERE id = ?",
            *(ver, step.file, step.volume, step.file),
        )
        self._copies.pop(step.file, None)
        self._forget_entry(step.file)
        self.report.changed += 1

    def _remove(self, step: steps.Remove) -> None:
        # An upload that overwrites it right now gives it a content again.
        self._ask(
            "DELETE FROM ent WHERE id = ? AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.file = ent.id)",
            step.file,
        )
        self._forget_entry(step.file)

    def _stale(self, step: steps.Stale) -> None:
        found = step.found
        discard = model.Discard(self.volume, found.loc, found.ver, found.size, found.mtime_ns)
        replicas.bury_found(self._db, discard, found.file, self._now_ns)
        self._doomed_versions.add(found.ver)
        self.report.stale += 1

    def _bury(self, step: steps.Bury) -> None:
        self._flush()
        replicas.bury(self._db, step.file, self._now_ns)
        self._copies.pop(step.file, None)
        for loc in [loc for loc, known in self._known.items() if known and known.file == step.file]:
            self._known[loc] = None

    def _rename(self, step: steps.Rename) -> None:
        entry = self.entry(step.file)
        if (entry.parent, entry.name, entry.state) == (step.parent, step.name, State.LIVE):
            self._named[step.file] = step.named_ns
            return
        self._ask(
            "UPDATE ent SET parent = ?, name = ?, named_ns = ?,"
            " state = CASE state WHEN 3 THEN 0 ELSE state END WHERE id = ?",
            *(step.parent, step.name, step.named_ns, step.file),
        )
        self._moved(step.file, step.parent, step.name)

    def _displace(self, step: steps.Displace) -> None:
        entry = self.entry(step.file)
        self._ask(
            "UPDATE ent SET name = ?, state = ? WHERE id = ?",
            *(step.name, STATE_CODES[State.CONFLICT], step.file),
        )
        self._moved(step.file, entry.parent, step.name)
        replicas.owe(self._db, step.file, directory=False, now_ns=self._now_ns)
        self.report.conflicts.append(model.shown(tree.path_of(self._db, step.file)))

    def _moved(self, file: int, parent: int, name: bytes) -> None:
        """An entry has another name: what is remembered of the old one and the new one is over."""
        for key in [key for key, held in self._children.items() if _is(held, file)]:
            self._children[key] = None
        self._forget_entry(file)
        self._children.pop((parent, name), None)
        self._fresh.discard(parent)

    def _owe(self, step: steps.Owe) -> None:
        self._flush()
        replicas.owe(self._db, step.file, directory=False, now_ns=self._now_ns)

    def _compare(self, step: steps.Compare) -> None:
        self.report.compare.append(step.file)

    def _forget_entry(self, file: int) -> None:
        """Read it anew when it is asked for again."""
        key = self._names.pop(file, None)
        if key is not None:
            self._children.pop(key, None)
        self._versions.clear()
        self._files.clear()

    _carriers: ClassVar[Mapping[type, Callable[[Page, Any], None]]] = {
        steps.MakeDirectory: _make_directory,
        steps.Create: _create,
        steps.Add: _add,
        steps.Move: _move,
        steps.Refresh: _refresh,
        steps.Learn: _learn,
        steps.Change: _change,
        steps.Mistrust: _mistrust,
        steps.Drop: _drop,
        steps.Promote: _promote,
        steps.Remove: _remove,
        steps.Compare: _compare,
        steps.Stale: _stale,
        steps.Bury: _bury,
        steps.Rename: _rename,
        steps.Displace: _displace,
        steps.Owe: _owe,
    }
