"""What a client was told, and so what has to be there: one possible content for each path, or some."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

_BLOB = random.Random(1).randbytes(40 << 20)
_STAMP = 16


class Piece(NamedTuple):
    """Bytes that nobody else has: a stamp, and a stretch of what all share."""

    stamp: bytes
    start: int
    size: int

    @property
    def content(self) -> bytes:
        """The bytes."""
        return (self.stamp + _BLOB[self.start : self.start + self.size])[: self.size]


@dataclass(frozen=True)
class Content:
    """What a file holds. It is made anew when it is asked for: thousands of files fit into memory."""

    pieces: tuple[Piece, ...]

    @classmethod
    def some(cls, chance: random.Random, size: int) -> Content:
        """Draw one of so many bytes."""
        start = chance.randrange(len(_BLOB) - size)
        return cls((Piece(chance.randbytes(_STAMP), start, size),))

    def then(self, more: Content) -> Content:
        """Give this, and that behind it."""
        return Content(self.pieces + more.pieces)

    @property
    def content(self) -> bytes:
        """All the bytes."""
        return b"".join(piece.content for piece in self.pieces)

    @property
    def size(self) -> int:
        """How many they are."""
        return sum(piece.size for piece in self.pieces)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of them."""
        return digest(self.content)


def digest(content: bytes) -> str:
    """Give the SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


Possible = Content | None
"""None: no such file."""


@dataclass(slots=True)
class Known:
    """What is known of one path."""

    possible: list[Possible]
    """More than one where a deed was answered with an error, or not at all."""
    part: Content | None = None
    """What was on its way when an upload was cut: how much of it is there, the site says."""
    cut: bool = False
    """An overwrite of it was cut: whoever appends is asked to send it whole first."""
    lost: str = ""
    """Which fault took all copies that there were; then it may be damaged, but never hold anything else."""

    @property
    def certain(self) -> Content | None:
        """What is there for certain."""
        return self.possible[0] if len(self.possible) == 1 and not self.lost else None


@dataclass
class Tree:
    """One client's files. Only the client changes them; others look, under the lock."""

    files: dict[str, Known] = field(default_factory=dict)
    former: dict[str, str] = field(default_factory=dict)
    """Digests of what was overwritten or deleted, and where that was."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stored(self, path: str, content: Content) -> None:
        """226: that is the content now."""
        with self.lock:
            self._bury(path, keep=content)
            self.files[path] = Known([content])

    def doubtful(self, path: str, content: Content, *, resumable: bool = False) -> None:
        """An upload failed: it is as it was, or perhaps as it was to become."""
        with self.lock:
            known = self.files.setdefault(path, Known([None]))
            if content not in known.possible:
                known.possible.append(content)
            if None in known.possible and resumable:
                known.part = content
            known.cut = True

    def seen(self, path: str, content: Possible) -> None:
        """It was looked at: that is what is there."""
        with self.lock:
            known = self.files[path]
            for other in known.possible:
                if other is not None and other != content:
                    self.former[other.digest] = path
            if content is None:
                del self.files[path]
            else:
                self.files[path] = Known([content], cut=known.cut)

    def deleted(self, path: str) -> None:
        """It is gone."""
        with self.lock:
            self._bury(path)
            self.files.pop(path, None)

    def perhaps_deleted(self, path: str) -> None:
        """It may be gone."""
        with self.lock:
            known = self.files[path]
            if None not in known.possible:
                known.possible.append(None)

    def moved(self, old: str, new: str) -> None:
        """A file, or a directory with all below it, has another name."""
        with self.lock:
            for path in list(self.files):
                if path == old or path.startswith(f"{old}/"):
                    target = new + path[len(old) :]
                    self._bury(target)
                    self.files[target] = self.files.pop(path)

    def below(self, directory: str) -> list[str]:
        """List the paths below a directory."""
        return [path for path in self.files if path.startswith(f"{directory}/")]

    def known(self) -> Iterator[tuple[str, Known]]:
        """Give all that is known, as it is now."""
        with self.lock:
            found = list(self.files.items())
        yield from found

    def _bury(self, path: str, keep: Possible = None) -> None:
        known = self.files.get(path)
        for other in known.possible if known else ():
            if other is not None and other != keep:
                self.former[other.digest] = path
