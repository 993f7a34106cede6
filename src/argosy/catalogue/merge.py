"""Merging: what a volume's file list means for the tree. Pure decisions, one step at a time.

The one who asks carries out each step before taking the next, so a step sees what those before it did.
Nothing that was found is lost: it becomes a file, a copy of one, or is kept aside under a name of its own.
The exceptions are what is about to be deleted anyway, and old versions of what is known better. Those are
told apart only where record and disk disagree on what was (`Doubt`): versions are ids, and these rise with
time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count

import msgspec

from argosy import errors
from argosy.catalogue import model
from argosy.catalogue.model import Doubt, Found, Kind, Standing, State
from argosy.catalogue.steps import (
    Add,
    Bury,
    Change,
    Compare,
    Copy,
    Create,
    Displace,
    Drop,
    Holder,
    Known,
    Learn,
    MakeDirectory,
    Mistrust,
    Move,
    Owe,
    Promote,
    Refresh,
    Remove,
    Rename,
    Stale,
    Step,
    Tree,
)


class _Folder(msgspec.Struct, frozen=True):
    """Where the files of one directory of the volume belong."""

    at: int
    """The directory, or the nearest there is."""
    reached: bool
    """False: something is in the way, and what was found is kept aside in `at`."""


def merge(tree: Tree, found: Sequence[Found], expected: Iterable[bytes] = ()) -> Iterator[Step]:
    """Compare a batch of a volume's list with what is known.

    Args:
        tree: The catalogue; it must reflect each step before the next is asked for.
        found: The batch, each loc once, and each version at one loc.
        expected: Locs that the batch must show, because it is the whole list of a range.

    Yields:
        Steps. Merging the same batch again after them yields none but `Compare`.
    """
    present = {file.loc: file.ver for file in found if not file.gone}
    merging = _Merging(tree, present)
    waiting: list[Found] = []
    for file in found:
        if not file.gone:
            if step := merging.take_new(file):  # nearly all at a first merge, so by the shortest way
                yield step
            elif merging.ousts(file):
                waiting.append(file)  # what lay there may be told of elsewhere in this batch
            else:
                yield from merging.take(file)
    for file in waiting:
        yield from merging.oust(file)
    # What is there counts before what is gone: so a move inside a batch is a move.
    gone = ((file.loc, file.ver) for file in found if file.gone)
    for loc, ver in chain(gone, ((loc, 0) for loc in expected)):
        known = None if loc in present else tree.known(loc)
        # A copy that was never listed may be on its way still; unless its own version is told to be gone.
        if known is not None and (known.listed or (ver and ver == known.ver)) and not merging.shows(known):
            yield from lose(tree, known.file)


def lose(tree: Tree, file: int) -> Iterator[Step]:
    """Take this volume's copy of a file away, and see what the others are worth without it."""
    yield Drop(file)
    left = tree.copies(file)
    if not left:
        if tree.entry(file).state is State.CONFLICT:
            yield Remove(file)
    elif not _has_good(left):
        suspects = [volume for volume, copy in left.items() if copy.standing is Standing.SUSPECT]
        if suspects:
            yield Promote(file, min(suspects))
        if len(suspects) > 1:
            yield Compare(file)


class _Merging:
    """One batch under way."""

    def __init__(self, tree: Tree, present: Mapping[bytes, int]) -> None:
        self._tree = tree
        self._present = present
        self._doubt = tree.doubt
        self._versions = {*present.values()} - {0}
        self._folders: dict[bytes, _Folder] = {b"": _Folder(model.ROOT_ID, reached=True)}

    def take_new(self, found: Found) -> Create | None:
        """Give the one step that a file needs which nobody knew, in a directory that was reached before.

        None: it isn't one, or something has its name; `take` finds its place.
        """
        tree = self._tree
        if found.ver or tree.known(found.loc) is not None or tree.doomed(found):
            return None
        directory, _, name = found.loc.rpartition(b"/")
        folder = self._folders.get(directory)
        if folder is None or not folder.reached:
            return None
        if not _allowed(folder.at, name) or tree.child(folder.at, name) is not None:
            return None
        return Create(folder.at, name, State.LIVE, found)

    def take(self, found: Found) -> Iterator[Step]:
        """Find the place of a file that is there."""
        tree = self._tree
        known = tree.known(found.loc)
        if known is not None:
            if _same(known, found):
                yield from self._confirm(known, found)
                yield from self._call(known.file, found)
                return
            if not known.listed or tree.doomed(found):
                return
            if self._doubt is Doubt.NONE or not found.ver:
                yield from self._replaced(tree.entry(known.file), found)
                return
            yield from lose(tree, known.file)
        if tree.doomed(found):
            return
        owner = tree.version(found.ver) if found.ver else None
        if owner is not None:
            here = tree.copies(owner.id).get(tree.volume)
            if here is None or (
                here.standing is not Standing.SUSPECT and not self._shown(here.loc, found.ver)
            ):
                yield Add(owner.id, Standing.GOOD, found) if here is None else Move(owner.id, found)
                if here is None or here.standing is Standing.GOOD:
                    yield from _mistrust(owner.id, (owner.crc32, owner.digest), found)
                yield from _learn(owner, found)
                yield from self._call(owner.id, found)
                return
            found = msgspec.structs.replace(found, ver=0, file=0, named_ns=0)  # a version is one file's
        elif found.ver and self._doubt is not Doubt.NONE and (yield from self._doubted(found)):
            return
        yield from self._place(found)

    def _shown(self, loc: bytes, ver: int) -> bool:
        """Whether the batch has the file that was known at a place there still."""
        there = self._present.get(loc)
        return there in (ver, 0)

    def shows(self, known: Known) -> bool:
        """Whether the batch has the version that a replica is of: so it isn't lost, wherever it lies."""
        return known.ver in self._versions

    def ousts(self, found: Found) -> bool:
        """Whether another file's content lies where we believe one to be: moves of which we heard nothing."""
        known = self._tree.known(found.loc) if found.ver else None
        if known is None or found.ver == known.ver:
            return False
        owner = self._tree.version(found.ver)
        if owner is None or owner.id == known.file:
            return False
        here = self._tree.copies(owner.id).get(self._tree.volume)
        return here is None or not self._shown(here.loc, found.ver)  # else this is a copy made by hand

    def oust(self, found: Found) -> Iterator[Step]:
        """Take such a one, once all others are in their places."""
        known = self._tree.known(found.loc)
        if known is not None and self.ousts(found):
            if not known.listed:
                return  # what we believe may be newer than this list
            yield from lose(self._tree, known.file)
        yield from self.take(found)

    # --- where record and disk disagree ----

    def _doubted(self, found: Found) -> Generator[Step, None, bool]:
        """Take a version that nobody knows, if it is another one of a known file, or an old state's.

        False: it is neither.
        """
        tree = self._tree
        holder = tree.file(found.file) if found.file else None
        if holder is not None and holder.kind is Kind.FILE and holder.ver:
            if found.ver < holder.ver:
                if self._is_all_that_is_left(holder):
                    directory, _, name = _path(found).rpartition(b"/")
                    yield from self._keep_aside(self._nearest(directory), name, found)
                    return True
                yield Stale(found)
            else:
                yield Bury(holder.id)
                yield Change(holder.id, found.ver, found)
            yield from self._call(holder.id, found)
            return True
        if self._doubt is Doubt.BEHIND and not tree.lapsed(found.ver):
            yield Stale(found)
            return True
        return False

    def _is_all_that_is_left(self, holder: Holder) -> bool:
        """Whether an old version is all that there is of a file, for nobody has a copy of the newer one."""
        if holder.state not in (State.LIVE, State.CONFLICT) or holder.ver in self._versions:
            return False  # what was deleted may go
        copies = dict(self._tree.copies(holder.id))
        here = copies.pop(self._tree.volume, None)
        if any(
            copy.standing is not Standing.BAD and not self._tree.lost(volume)
            for volume, copy in copies.items()
        ):
            return False
        return here is None or not self._shown(here.loc, holder.ver)

    def _call(self, file: int, found: Found) -> Iterator[Step]:
        """Give a file the name that the node was told of, if that is a later one than ours."""
        if self._doubt is not Doubt.AHEAD or not found.named_ns:
            return
        entry = self._tree.entry(file)
        if entry.state is State.TRASHED:  # it has no name, and gets none by a list
            return
        directory, _, name = _path(found).rpartition(b"/")
        folder = self._folders.get(directory)
        if folder is None:
            folder = yield from self._reach(directory, found.mtime_ns)
        if not folder.reached or not _allowed(folder.at, name):
            return
        newer = found.named_ns > self._tree.named_ns(file)
        if (entry.parent, entry.name) == (folder.at, name):
            if newer:
                yield Rename(file, folder.at, name, found.named_ns)
        elif not newer:
            yield Owe(file)
        elif (yield from self._make_way(folder.at, name, found)):
            yield Rename(file, folder.at, name, found.named_ns)
            yield Owe(file)

    def _make_way(self, parent: int, name: bytes, found: Found) -> Generator[Step, None, bool]:
        """Have an older file give up its name; whether the name is free now."""
        holder = self._tree.child(parent, name)
        if holder is None:
            return True
        settled = holder.kind is Kind.FILE and holder.state in (State.LIVE, State.CONFLICT)
        if not settled or not self._is_newer(found, holder):
            return False
        yield Displace(holder.id, aside_name(self._tree, parent, name))
        if not self._tree.copies(holder.id):
            yield Remove(holder.id)
        return True

    def _is_newer(self, found: Found, holder: Holder) -> bool:
        """Say which of two files had the name they share later: by when they were told it, or by version."""
        named = self._tree.named_ns(holder.id)
        if found.named_ns and named:
            return found.named_ns > named
        return found.ver > holder.ver

    # --- where they agree ----

    def _confirm(self, known: Known, found: Found) -> Iterator[Step]:
        """Take what the list says of a replica that is what it was."""
        if known.standing is Standing.SUSPECT:
            yield from self._weigh(self._tree.entry(known.file), found, known)
            return
        if not known.listed or known.mtime_ns != found.mtime_ns:
            yield Refresh(known.file, found)
        if known.standing is Standing.BAD:
            return
        yield from _mistrust(known.file, (known.crc32, known.digest), found)
        lacking = found.digest is not None or (known.crc32 is None and found.crc32 is not None)
        if known.digest is None and lacking:
            yield from _learn(self._tree.entry(known.file), found)

    def _weigh(self, entry: Holder, found: Found, known: Known) -> Iterator[Step]:
        """Look whether by now a suspect can be told from the good copies."""
        alike = _alike(entry, found)
        claims = known.ver != 0 and known.ver == entry.ver  # then it is read before anything is made of it
        if alike or (alike is False and not claims):
            yield from self._change(entry, found)
            return
        if not known.listed or known.mtime_ns != found.mtime_ns:
            yield Refresh(known.file, found)
        yield Compare(known.file)

    def _replaced(self, entry: Holder, found: Found) -> Iterator[Step]:
        """Something else lies where a replica was."""
        if entry.state is State.TRASHED:  # nobody knows by its path what lay there, so this is a new file
            yield Drop(entry.id)
            yield from self._place(msgspec.structs.replace(found, ver=self._version_for(found)))
        else:
            yield from self._change(entry, found)

    def _change(self, entry: Holder, found: Found) -> Iterator[Step]:
        """Somebody wrote into a file on the disk."""
        others = dict(self._tree.copies(entry.id))
        others.pop(self._tree.volume, None)
        alike = _alike(entry, found)
        if alike:
            yield Add(entry.id, Standing.GOOD, found)
        elif not _has_good(others):
            yield Change(entry.id, self._version_for(found), found)
            if others:
                yield Compare(entry.id)
        elif alike is None:
            yield Add(entry.id, Standing.SUSPECT, found)
            yield Compare(entry.id)
        else:
            yield Drop(entry.id)
            directory, _, name = found.loc.rpartition(b"/")
            yield from self._keep_aside(self._nearest(directory), name, found)

    def _place(self, found: Found) -> Iterator[Step]:
        """Put a file that nobody knew at its path or, where that is taken, aside."""
        directory, _, name = _path(found).rpartition(b"/")
        folder = self._folders.get(directory)
        if folder is None:
            folder = yield from self._reach(directory, found.mtime_ns)
        if not folder.reached or not _allowed(folder.at, name):
            yield from self._keep_aside(folder.at, name, found)
            return
        holder = self._tree.child(folder.at, name)
        if holder is None:
            yield Create(folder.at, name, State.LIVE, found, self._id_for(found))
        elif holder.kind is not Kind.FILE or holder.state in (State.UPLOADING, State.PARTIAL):
            yield from self._keep_aside(folder.at, name, found)
        else:
            yield from self._meet(holder, found)

    def _meet(self, holder: Holder, found: Found) -> Iterator[Step]:
        """Hold a file against the one that has its path."""
        copies = self._tree.copies(holder.id)
        alike = _alike(holder, found)
        if self._doubt is Doubt.AHEAD and found.ver and alike is False:
            if (yield from self._make_way(holder.parent, holder.name, found)):
                yield Create(holder.parent, holder.name, State.LIVE, found, self._id_for(found))
            else:
                yield from self._keep_aside(holder.parent, holder.name, found)
        elif self._tree.volume in copies:  # one copy on a volume: this is another file
            yield from self._keep_aside(holder.parent, holder.name, found)
        elif alike:
            yield Add(holder.id, Standing.GOOD, found)
        elif not _has_good(copies):
            yield Change(holder.id, self._version_for(found), found)
        elif alike is None:
            yield Add(holder.id, Standing.SUSPECT, found)
            yield Compare(holder.id)
        else:
            yield from self._keep_aside(holder.parent, holder.name, found)

    def _version_for(self, found: Found) -> int:
        """Give the version that changed content comes with, if no other file has it."""
        return found.ver if found.ver and self._tree.version(found.ver) is None else 0

    def _id_for(self, found: Found) -> int:
        """Give the FileId that a file had, if this record has lost it; else 0."""
        lost = self._doubt is Doubt.AHEAD and found.file and self._tree.file(found.file) is None
        return found.file if lost else 0

    def _keep_aside(self, parent: int, name: bytes, found: Found) -> Iterator[Step]:
        if found.ver != (ver := self._version_for(found)):
            found = msgspec.structs.replace(found, ver=ver)
        free = aside_name(self._tree, parent, name)
        yield Create(parent, free, State.CONFLICT, found, self._id_for(found))

    def _nearest(self, directory: bytes) -> int:
        """Give the deepest directory there is on the way, without making any."""
        at = model.ROOT_ID
        for name in directory.split(b"/"):
            holder = self._tree.child(at, name)
            if holder is None or holder.kind is not Kind.DIRECTORY:
                break
            at = holder.id
        return at

    def _reach(self, directory: bytes, mtime_ns: int) -> Generator[Step, None, _Folder]:
        """Go to a directory and make what is missing on the way."""
        folder = self._folders[b""]
        names = directory.split(b"/")
        for depth in range(1, len(names) + 1):
            path = b"/".join(names[:depth])
            below = self._folders.get(path)
            if below is None:
                below = yield from self._step_into(folder, names[depth - 1], mtime_ns)
                self._folders[path] = below
            folder = below
        return folder

    def _step_into(self, folder: _Folder, name: bytes, mtime_ns: int) -> Generator[Step, None, _Folder]:
        if not folder.reached or not _allowed(folder.at, name):
            return _Folder(folder.at, reached=False)
        holder = self._tree.child(folder.at, name)
        if holder is None:
            yield MakeDirectory(folder.at, name, mtime_ns)
            holder = self._tree.child(folder.at, name)
            assert holder is not None, "the step was not carried out"
        if holder.kind is not Kind.DIRECTORY:
            return _Folder(folder.at, reached=False)
        return _Folder(holder.id, reached=True)


def aside_name(tree: Tree, parent: int, name: bytes) -> bytes:
    """Give a free name for what can't have its own: `NAME.conflict-NODE`, then `-2` and so on."""
    clean = name.translate(_UNFIT) or b"_"
    mark = b".conflict-" + tree.node.encode()
    for number in count(1):
        suffix = mark if number == 1 else b"%s-%d" % (mark, number)
        free = _cut(clean, model.NAME_LIMIT - len(suffix)) + suffix
        if tree.child(parent, free) is None:
            break
    return free


_UNFIT = bytes.maketrans(b"\0\r\n/", b"____")


def _cut(name: bytes, limit: int) -> bytes:
    """Shorten a name, not inside a character of UTF-8."""
    if len(name) <= limit:
        return name
    while limit > 0 and name[limit] & 0xC0 == 0x80:
        limit -= 1
    return name[:limit]


def _allowed(parent: int, name: bytes) -> bool:
    """Whether the tree can have this name; a disk takes more."""
    try:
        model.check_name(name)
    except errors.NameNotAllowed:
        return False
    return parent != model.ROOT_ID or name != model.RESERVED


def _path(found: Found) -> bytes:
    """Give the path that a file was told to have, or the one where it lies."""
    return found.path or found.loc


def _same(known: Known, found: Found) -> bool:
    """Whether a replica is what it was: by its version, or by its time where the version says nothing."""
    if found.size != known.size:
        return False
    return found.mtime_ns == known.mtime_ns or (found.ver != 0 and found.ver == known.ver)


def _alike(entry: Holder, found: Found) -> bool | None:
    """Whether contents are the same, as far as can be told without reading them."""
    if entry.size != found.size:
        return False
    if entry.digest is not None and found.digest is not None:
        return entry.digest == found.digest
    if entry.crc32 is not None and found.crc32 is not None and entry.crc32 != found.crc32:
        return False
    return None


def _learn(entry: Holder, found: Found) -> Iterator[Step]:
    """Take the checksums that a list brings, as far as we have none, and those that we have fit."""
    if entry.digest is not None or entry.crc32 not in (None, found.crc32):
        return
    if found.digest is not None or (entry.crc32 is None and found.crc32 is not None):
        yield Learn(entry.id, found)


def _mistrust(file: int, wanted: tuple[int | None, bytes | None], found: Found) -> Iterator[Step]:
    """Believe a copy no longer that has the file's version and another checksum."""
    pairs = zip(wanted, (found.crc32, found.digest), strict=True)
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        yield Mistrust(file)
        yield Compare(file)


def _has_good(copies: Mapping[int, Copy]) -> bool:
    return any(copy.standing is Standing.GOOD for copy in copies.values())
