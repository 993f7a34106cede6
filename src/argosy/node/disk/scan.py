"""Read a disk and journal how it differs from what the journal says: files put, changed or taken by hand.

The walk and the journal come in the same order, by loc as `memcmp` has it, so one pass beside each other
finds all differences in little memory. Losses are held back until the end, and altogether when they are too
many.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from argosy.node.disk.journal import Row
from argosy.node.disk.roots import OURS
from argosy.node.disk.volume import Volume

log = logging.getLogger("argosy.node")

_BATCH = 4_000
"""Differences journalled at once."""

_YOUNG_SECONDS = 2.0
"""A file changed so lately may still be growing: it is looked at again before it counts."""


class Limits(NamedTuple):
    """How much a scan may lose before a person should look."""

    share: float
    files: int
    ignored: int

    def held(self, losses: int, known: int) -> bool:
        """Whether so many losses of so many files are held back."""
        return losses > self.ignored and (losses > self.files or losses > self.share * known)


@dataclass(slots=True)
class Outcome:
    """What a scan found."""

    files: int = 0
    changes: int = 0
    held_losses: int = 0


@dataclass(slots=True)
class _Walk:
    """The files below a root in order of loc."""

    root: bytes
    stop: Callable[[], bool]
    unreadable: list[bytes] = field(default_factory=list)
    """Directories that couldn't be read, with a slash at the end: what was in them isn't lost."""

    def files(self, directory: bytes = b"") -> Iterator[Row]:
        """Walk below a directory, given with a slash at the end; nothing that is linked or special counts."""
        stack = [self._entries(directory)]
        while stack:
            for key, entry in stack[-1]:
                if key.endswith(b"/"):
                    stack.append(self._entries(key))
                    break
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone since; if the disk is failing the directory says so
                yield Row(key, found.st_size, found.st_mtime_ns)
            else:
                stack.pop()

    def _entries(self, directory: bytes) -> Iterator[tuple[bytes, os.DirEntry[bytes]]]:
        """Give the files and directories in a directory by loc; the latter with a slash at the end."""
        if self.stop():
            raise InterruptedError
        if directory == OURS + b"/":
            directory += b"unplaced/"  # committed files wait there; the rest isn't for anybody to list
        try:
            with os.scandir(self.root + b"/" + directory) as listing:
                found = [
                    (directory + entry.name + (b"/" if entry.is_dir(follow_symlinks=False) else b""), entry)
                    for entry in listing
                    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            found = []
        except OSError as error:
            log.warning("%r can't be read, its files stay as they were known: %s", directory, error.strerror)
            self.unreadable.append(directory)
            found = []
        found.sort(key=lambda pair: pair[0])
        return iter(found)


class Scanner:
    """Scans one volume, one scan at a time; call it from a thread."""

    def __init__(self, volume: Volume, limits: Limits) -> None:
        self._volume = volume
        self._limits = limits
        self._stopping = threading.Event()
        self._changes = 0
        self._batch: list[Row] = []
        self._young: list[Row] = []
        self._versions: set[int] = set()

    def stop(self) -> None:
        """End a running scan soon: it raises `InterruptedError`."""
        self._stopping.set()

    def scan(self, *, accept_losses: bool = False) -> Outcome:
        """Read the whole disk and journal what changed.

        Raises:
            Failed: The disk isn't there any more; nothing was journalled.
            InterruptedError: `stop` was called.
        """
        with self._volume.watched():
            return self._scan(accept_losses=accept_losses)

    def _scan(self, *, accept_losses: bool) -> Outcome:
        volume = self._volume
        volume.root.check()
        self._changes, self._batch, self._young, self._versions = 0, [], [], set()
        known = volume.journal.files
        walk = _Walk(volume.root.path, self._stopping.is_set)
        outcome = Outcome()
        losses = [
            row for row in self._compare(walk, outcome) if not row.loc.startswith(tuple(walk.unreadable))
        ]
        self._flush()
        self._look_again()
        volume.root.check()  # a disk unmounted meanwhile looks empty from somewhere on
        if losses and not accept_losses and self._limits.held(len(losses), known):
            outcome.held_losses = len(losses)
        else:
            for start in range(0, len(losses), _BATCH):
                self._changes += volume.lose(losses[start : start + _BATCH])
        outcome.changes = self._changes
        return outcome

    def _compare(self, walk: _Walk, outcome: Outcome) -> Iterator[Row]:
        """Note what is new or changed; give what the journal has and the walk didn't find."""
        journal: Iterator[Row] = self._volume.journal.present()
        known = next(journal, None)
        for found in walk.files():
            outcome.files += 1
            while known is not None and known.loc < found.loc:
                yield known
                known = next(journal, None)
            if known is not None and known.loc == found.loc:
                if (known.size, known.mtime_ns) != (found.size, found.mtime_ns):
                    self._note(found)
                known = next(journal, None)
            else:
                self._note(found)
        while known is not None:
            yield known
            known = next(journal, None)

    def _note(self, found: Row) -> None:
        if -_YOUNG_SECONDS < time.time() - found.mtime_ns / 1e9 < _YOUNG_SECONDS:
            self._young.append(found)
            return
        self._batch.append(self._adopted(found))
        if len(self._batch) >= _BATCH:
            self._flush()

    def _adopted(self, found: Row) -> Row:
        row = self._volume.adopted(found)
        if row.ver in self._versions:
            return found  # a copy of one that we took already
        if row.ver:
            self._versions.add(row.ver)
        return row

    def _flush(self) -> None:
        if self._batch:
            self._changes += self._volume.note(self._batch)
            self._batch = []

    def _look_again(self) -> None:
        """Take the young files that stand still; the others are for the next scan."""
        if self._young and self._stopping.wait(_YOUNG_SECONDS):
            raise InterruptedError
        self._batch = [self._adopted(row) for row in self._unchanged(self._young)]
        self._flush()

    def _unchanged(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            found = self._volume.root.file(row.loc)
            if found and (found.st_size, found.st_mtime_ns) == (row.size, row.mtime_ns):
                yield row
