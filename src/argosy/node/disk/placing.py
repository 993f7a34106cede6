"""What changes the files of a volume that are in place: parts get there, files go to the trash or move."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from argosy.errors import Exists, NotADirectory, NotFound
from argosy.node.disk.extension import Extensions
from argosy.node.disk.journal import Journal, PartRow, Row
from argosy.node.disk.roots import Root, part_loc, unplaced_loc
from argosy.wire import link

log = logging.getLogger("argosy.node")

REFUSED_BY_DISK = (OSError, Exists, NotADirectory, NotFound)
"""How the disk says no to one file. The journal's no is `Failed`, and that one is for all."""


class Placing:
    """The files in place of one volume. Every method is called under the journal's lock.

    Args:
        root: The directory.
        journal: Its journal, changed together with it.
        extensions: The open ones.
        trash: Keep what is deleted for a while.
        touch: Called with each loc that changes.
        unsummed: Called with the loc of each file whose checksums nobody knows.
    """

    def __init__(
        self,
        root: Root,
        journal: Journal,
        extensions: Extensions,
        *,
        trash: bool,
        touch: Callable[..., None],
        unsummed: Callable[[bytes], object],
    ) -> None:
        self._root = root
        self._journal = journal
        self._extensions = extensions
        self._trash = trash
        self._touch = touch
        self._unsummed = unsummed
        self._unflushed: dict[bytes, bytes] = {}
        """A loc in each directory into which files were moved that shall be flushed."""
        self._doomed: dict[int, link.Doomed] = {}
        """Files to delete, by the upload that is still being appended to each."""

    def heal(self) -> None:
        """Bring the disk and the journal together after a crash."""
        self._heal_extensions()
        self._heal_parts()
        self._heal_moves()
        self.flush()

    def flush(self) -> None:
        """Flush the directories of files that were put in place, each once; before the journal's commit."""
        unflushed, self._unflushed = self._unflushed, {}
        for loc in unflushed.values():
            try:
                self._root.flush_directory(loc)
            except REFUSED_BY_DISK as error:  # it is there all the same; a power cut's damage is healed
                log.warning("%s: %r isn't flushed: %s", self._root.store_id, loc, error)

    def commit(self, order: link.CommitPart) -> None:
        """Put a sealed part in its place. See `Volume.commit`."""
        row = self._journal.part(order.upload)
        if row is None or not row.sealed or self._root.file(part_loc(order.upload)) is None:
            self._commit_again(order, row)
            return
        self._root.set_time(part_loc(order.upload), order.mtime_ns, file=order.file)
        if order.upload in self._extensions and self._extensions.close(order.upload, order.loc):
            self._journal_commit(order.loc, row, order)
        else:
            self._journal_commit(self._place(order), row, order)

    def discard(self, doomed: link.Doomed) -> None:
        """Move a file to the trash if it is the version meant; one that is appended to, later.

        One with a finding goes to the quarantine.

        Raises:
            NotFound: One with a finding isn't there, nor in the quarantine.
        """
        if (upload := self._extensions.free(doomed)) is not None:
            self._journal.drop_parts([upload])  # it goes on from what the tree has given up
            self._doomed[upload] = doomed
            return
        if doomed.finding and self._root.has_bad(doomed.loc, doomed.finding):
            return  # what is here by now is another copy
        part = self._journal.part(doomed.ver) if doomed.ver else None
        if part and (placed := self._placed(part, doomed.loc, doomed.mtime_ns)):
            self._journal_commit(placed, part)
        elif part and part.sealed:
            placed_before = self._journal.find_version(doomed.ver) is not None
            if not (doomed.finding and placed_before):  # else the part is the copy that shall take its place
                if self._root.file(part_loc(doomed.ver)):
                    self._put_away(part_loc(doomed.ver), doomed)
                self._journal.drop_parts([doomed.ver])
            if not placed_before:
                return
        row = self._journal.find(doomed.loc)
        if row is None or (row.ver and row.ver != doomed.ver):
            row = self._journal.find_version(doomed.ver) or row
        loc = row.loc if row else doomed.loc
        found = self._root.file(loc)
        if found is None or not _is_meant(doomed, row, found):
            if doomed.finding:
                raise NotFound(doomed.loc)
            return
        self._put_away(loc, doomed)
        self._touch(loc)
        self._journal.write([Row(loc, found.st_size, found.st_mtime_ns, doomed.ver, gone=1)])
        self._root.remove_empty_parents(loc)

    def _put_away(self, loc: bytes, doomed: link.Doomed) -> None:
        if doomed.finding:
            self._root.keep_bad(loc, doomed.loc, doomed.finding)
            log.warning("%s: %r is bad, kept in the quarantine", self._root.store_id, loc)
        else:
            self._root.discard(loc, doomed.ver, keep=self._trash and doomed.keep)

    def released(self, upload: int) -> None:
        """Delete the file that only waited for its writer to end."""
        if doomed := self._doomed.pop(upload, None):
            self.discard(doomed)
            self.flush()

    def settle(self, order: link.Settle) -> None:
        """Move a file to where the tree has it, and give it its time. See `Volume.settle`."""
        row = self._journal.find(order.loc)
        if row is None or (order.ver and row.ver != order.ver):
            row = self._journal.find_version(order.ver) or (row if row and not row.ver else None)
        found = self._root.file(row.loc) if row else None
        if row is None or found is None or found.st_size != order.size:
            raise NotFound(order.loc)
        if self._extensions.on(row.loc):
            raise Exists(row.loc)  # until what is appended is committed
        if row.loc != order.to:
            self._journal.begin_move(row.loc, order.to, order.mtime_ns)
            try:
                self._root.move(row.loc, order.to)
            except BaseException as error:
                self._journal.drop_move(row.loc)
                if isinstance(error, NotADirectory):
                    raise Exists(order.to) from error
                raise
        self._root.set_time(order.to, order.mtime_ns, file=order.file)
        if order.named_ns:
            row = row._replace(file=order.file, named_ns=order.named_ns, path=order.path)
        self._journal_move(row, order.to, order.ver)
        self._root.remove_empty_parents(row.loc)

    # --- putting in place

    def _journal_commit(self, loc: bytes, part: PartRow, order: link.CommitPart | None = None) -> None:
        if part.flush:
            self._unflushed[loc.rpartition(b"/")[0]] = loc
        found = self._root.file(loc)
        if found is None:  # somebody took it away at once, and the master has to hear of it
            row = Row(loc, part.size, part.mtime_ns, part.upload, gone=1)
        else:
            row = Row(loc, found.st_size, found.st_mtime_ns, part.upload, part.crc32, part.digest)
        if order:
            path = order.path or (b"" if loc == order.loc else order.loc)
            row = row._replace(file=order.file, named_ns=order.named_ns, path=path)
        self._touch(loc)
        self._journal.write([row], drop=part.upload)
        if part.upload in self._extensions:
            self._extensions.closed(part.upload)
        elif found and part.crc32 is None and part.digest is None:
            self._unsummed(loc)  # not one that grows: it may be long, and be appended to all the time

    def _place(self, order: link.CommitPart) -> bytes:
        """Move a part to its place, or as near as can be; say where it is."""
        for _ in range(3):  # somebody may put a file there by hand between our looks
            try:
                self._root.move(part_loc(order.upload), order.loc)
            except Exists:
                if not self._make_room(order):
                    break
            except (OSError, NotADirectory, NotFound) as error:  # not ours, or another disk begins there
                log.warning("%s: %r can't be had: %s", self._root.store_id, order.loc, error)
                break
            else:
                return order.loc
        self._root.move(part_loc(order.upload), unplaced_loc(order.upload))
        return unplaced_loc(order.upload)

    def _make_room(self, order: link.CommitPart) -> bool:
        loc = order.loc
        found, row = self._root.file(loc), self._journal.find(loc)
        if self._root.is_directory(loc):
            return False
        try:
            if found and row and _same(row, found):
                # The same once more: repair brought it while a master that came back took the part for it.
                known = row.ver == order.upload
                if not known and (not order.replaces or row.ver not in (0, order.replaces)):
                    return False  # the master hasn't heard yet that this one lies here: it has to stay
                self._root.discard(loc, row.ver, keep=self._trash)
            else:
                self._root.quarantine(loc)
                log.warning("%s: %r was in the way, kept in the quarantine", self._root.store_id, loc)
        except NotFound:
            pass  # somebody took it away by hand
        except (OSError, Exists, NotADirectory) as error:
            log.warning("%s: %r is in the way and can't be moved: %s", self._root.store_id, loc, error)
            return False
        return True

    def _commit_again(self, order: link.CommitPart, row: PartRow | None) -> None:
        """The part isn't there: it is in place already, or it is lost and the master has to hear of it."""
        if row and (placed := self._placed(row, order.loc, order.mtime_ns)):
            self._journal_commit(placed, row, order)
            return
        if self._journal.find_version(order.upload):
            return
        log.error(
            "%s: upload %x is lost, the catalogue has it at %r", self._root.store_id, order.upload, order.loc
        )
        if row and row.sealed:
            self._journal.drop_parts([order.upload])
        if self._journal.find(order.loc) is None:
            self._journal.write([Row(order.loc, 0, order.mtime_ns, order.upload, gone=1)])

    def _placed(self, part: PartRow, loc: bytes, mtime_ns: int) -> bytes | None:
        """Find a sealed part in its place, when a crash has cut that off from its journal row."""
        if not part.sealed or self._root.file(part_loc(part.upload)):
            return None
        for place in (loc, unplaced_loc(part.upload)):
            found = self._root.file(place)
            if found and (found.st_size, found.st_mtime_ns) == (part.size, mtime_ns):
                return place
        return None

    def _journal_move(self, row: Row, to: bytes, ver: int) -> None:
        if now := self._root.file(to):
            there = row._replace(loc=to, size=now.st_size, mtime_ns=now.st_mtime_ns, ver=ver)
            gone = [] if row.loc == to else [row._replace(gone=1)]
            self._touch(row.loc, to)
            self._journal.write([there, *gone], together=True, moved=row.loc)

    # --- after a crash

    def _heal_extensions(self) -> None:
        for extension in self._extensions.heal():
            part = self._journal.part(extension.upload)
            if part and (found := self._root.file(extension.loc)) and found.st_size == part.size:
                self._journal_commit(extension.loc, part)

    def _heal_parts(self) -> None:
        """Bring parts and journal together."""
        on_disk = dict(self._root.parts())
        rows = {row.upload: row for row in self._journal.parts()}
        for upload, size in on_disk.items():
            row = rows.get(upload)
            if row is None:
                self._heal_stray(upload)
            elif row.sealed and row.size != size:
                self._journal.put_part(row._replace(sealed=0))
        # A sealed part whose file is missing stays: its commit will find it in place.
        self._journal.drop_parts(up for up, row in rows.items() if not row.sealed and up not in on_disk)

    def _heal_moves(self) -> None:
        """Journal moves that a crash has cut off from it: such files are served now, not after a scan."""
        for loc, to, mtime_ns in self._journal.moves():
            row, found = self._journal.find(loc), self._root.file(to)
            if (
                row
                and found
                and self._root.file(loc) is None
                and found.st_size == row.size
                and found.st_mtime_ns in (row.mtime_ns, mtime_ns)
            ):
                self._journal_move(row, to, row.ver)
            else:
                self._journal.drop_move(loc)

    def _heal_stray(self, upload: int) -> None:
        """A part without a row: its commit is journalled and the disk lost the move, or it's rubbish."""
        known = self._journal.find_version(upload)
        if known and self._root.file(known.loc) is None:
            log.warning("%s: moving upload %x into place again", self._root.store_id, upload)
            try:
                self._root.move(part_loc(upload), known.loc)
            except REFUSED_BY_DISK as error:
                log.warning("%s: %r can't be had: %s", self._root.store_id, known.loc, error)
                self._root.move(part_loc(upload), unplaced_loc(upload))
                self._journal_move(known, unplaced_loc(upload), upload)
        self._root.remove(part_loc(upload))


def _same(row: Row, found: os.stat_result) -> bool:
    return (row.size, row.mtime_ns) == (found.st_size, found.st_mtime_ns)


def _is_meant(doomed: link.Doomed, row: Row | None, found: os.stat_result) -> bool:
    """Whether a file is the one to delete: its version says so, or it came by hand and size and time do."""
    if row and row.ver:
        return row.ver == doomed.ver and _same(row, found)
    return (found.st_size, found.st_mtime_ns) == (doomed.size, doomed.mtime_ns)
