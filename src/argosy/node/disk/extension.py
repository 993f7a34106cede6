"""Appending in place: a new version that goes on in the file of the old one.

To append a line to a log of 50 GB mustn't copy it. So the upload's part is a second name (a hard link) of
the file itself. New bytes go behind the old end, where nobody looks: who reads the old version is told how
many bytes it has. To cut the upload is to cut the file back to its old size; to commit it, to drop the second
name.

The journal says durably what is being extended before the first byte is written, so no crash can make the
new bytes look like the old version's. Whoever needs the old version alone while an extension is open, to
delete it say, has the upload's bytes copied to a file of their own first (`part`).
"""

from __future__ import annotations

import os

from argosy.errors import Failed
from argosy.node.disk import marks
from argosy.node.disk.journal import Extension, Journal, Row
from argosy.node.disk.roots import Root, part_loc
from argosy.wire import link


class Extensions:
    """The open extensions of one volume. Every method is called under the journal's lock."""

    def __init__(self, root: Root, journal: Journal) -> None:
        """Take up those that a journal knows of; `heal` follows."""
        self._root = root
        self._journal = journal
        self._open = {extension.upload: extension for extension in journal.extensions()}

    def __contains__(self, upload: int) -> bool:
        return upload in self._open

    def __bool__(self) -> bool:
        return bool(self._open)

    def base_crc32(self, upload: int, offset: int) -> int | None:
        """Give the CRC-32 of what an upload extends from its end at `offset`; None: nothing, or unknown."""
        extension = self._open.get(upload)
        return extension.crc32 if extension and extension.size == offset else None

    def on(self, loc: bytes) -> Extension | None:
        """Give the extension of the file at a loc, if one is open."""
        return next((one for one in self._open.values() if one.loc == loc), None)

    def begin(self, upload: int, row: Row) -> int | None:
        """Begin to extend a file.

        Args:
            upload: Whose part it becomes.
            row: The file, as the journal has it.

        Returns:
            A descriptor to write with, at the file's end. None: this file has to be copied. It isn't as the
            journal says, it has other names that mustn't change with it, or the file system has no links.
        """
        found = self._root.file(row.loc)
        if (
            found is None
            or (found.st_size, found.st_mtime_ns) != (row.size, row.mtime_ns)
            or found.st_nlink != 1
            or self.on(row.loc)
        ):
            return None
        extension = Extension(upload, found.st_ino, *row[:6])
        self._journal.put_extension(extension)
        try:
            self._root.link(row.loc, part_loc(upload))
            descriptor = self._root.open(part_loc(upload), os.O_RDWR)
        except OSError:
            self._root.remove(part_loc(upload))
            self._journal.drop_extension(upload)
            return None
        self._open[upload] = extension
        os.lseek(descriptor, row.size, os.SEEK_SET)
        return descriptor

    def undo(self, upload: int) -> None:
        """Cut the file back to what it was, and drop the part.

        Raises:
            OSError: The disk refuses; the extension stays open.
        """
        extension = self._open[upload]
        self._cut_back(extension)
        self._root.remove(part_loc(upload))
        self._forget(upload)

    def close(self, upload: int, to: bytes) -> bool:
        """Make an extension the file's content, by dropping its second name.

        Returns:
            False: It belongs elsewhere (`to`), or its file has been moved: the part has become a file of its
            own, to be put in place as any other.
        """
        extension = self._open[upload]
        if extension.loc == to and self._is_same(extension, to):
            self._root.remove(part_loc(upload))
            return True
        self.part(upload)
        return False

    def closed(self, upload: int) -> None:
        """Note that the journal has the new version."""
        self._forget(upload)

    def part(self, upload: int) -> None:
        """Part the two: the upload gets a file of its own, the old version is as it was before.

        Raises:
            Failed: Its commit was begun, and has to be ordered again first. Ask later.
        """
        if self._root.file(part_loc(upload)) is None:
            raise Failed(f"upload {upload:x} is half in place")
        if self._is_same(self._open[upload], part_loc(upload)):
            self._root.copy_aside(part_loc(upload))
        self._cut_back(self._open[upload])
        self._forget(upload)

    def free(self, doomed: link.Doomed) -> int | None:
        """Let what is to be deleted, a version that is appended to or one that was, be a file of its own.

        An append to the version that has taken its place is none of this: it goes on.

        Returns:
            The upload that is still being appended to it: first its writer has to end.

        Raises:
            Failed: See `part`.
        """
        extending = {upload for upload, one in self._open.items() if _is_doomed(one, doomed)}
        for upload in (extending | {doomed.ver}) & self._open.keys():
            part = self._journal.part(upload)
            if part is None or not part.sealed:
                return upload
            self.part(upload)
        return None

    def heal(self) -> list[Extension]:
        """Bring files and journal together after a crash: what isn't sealed is cut off again.

        Returns:
            Those that the crash caught while they were closed: the file is the new version already, and the
            journal has yet to hear of it.
        """
        caught = []
        for upload, extension in tuple(self._open.items()):
            self._root.drop_aside(part_loc(upload))
            part, row = self._journal.part(upload), self._journal.find(extension.loc)
            if row and row.ver == upload:
                self._forget(upload)  # committed, and only this note was left
            elif part is None or not part.sealed:
                self.undo(upload)
            elif self._root.file(part_loc(upload)) is None:
                caught.append(extension)
            elif not self._is_same(extension, part_loc(upload)):
                self._cut_back(extension)  # the crash came while they were parted
                self._forget(upload)
        return caught

    # --- inside

    def _forget(self, upload: int) -> None:
        self._journal.drop_extension(upload)
        del self._open[upload]

    def _is_same(self, extension: Extension, loc: bytes) -> bool:
        found = self._root.file(loc)
        return found is not None and found.st_ino == extension.inode

    def _cut_back(self, extension: Extension) -> None:
        loc = next(
            (loc for loc in (extension.loc, part_loc(extension.upload)) if self._is_same(extension, loc)),
            None,
        )
        if loc is None:
            return  # taken away by hand
        descriptor = self._root.open(loc, os.O_RDWR)
        try:
            if os.fstat(descriptor).st_size > extension.size:
                os.ftruncate(descriptor, extension.size)
            marks.erase(descriptor)
            if extension.ver:
                marks.write(descriptor, extension.ver, extension.crc32, extension.digest)
        finally:
            os.close(descriptor)
        self._root.set_time(loc, extension.mtime_ns)
        self._root.flush(loc)


def _is_doomed(extension: Extension, doomed: link.Doomed) -> bool:
    """Whether the version to delete is the one that is appended to; one that came by hand has no number."""
    if extension.ver:
        return extension.ver == doomed.ver
    meant = (doomed.loc, doomed.size, doomed.mtime_ns)
    return (extension.loc, extension.size, extension.mtime_ns) == meant
