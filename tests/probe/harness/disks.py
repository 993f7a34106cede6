"""A node's disk: a small tmpfs that can be filled, taken away, replaced, and changed by hand."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from probe.harness.model import digest

OURS = ".argosy"


class Disk:
    """One disk, mounted at a node's root. It can be looked at while it isn't."""

    def __init__(self, home: Path, megabytes: int) -> None:
        """Make it, empty, and mount it.

        Args:
            home: The node's directory; the root becomes `home/files`.
            megabytes: Its size.
        """
        self.root = home / "files"
        self._home = home
        self._megabytes = megabytes
        self._shelf = Path()
        self._number = 0
        self.mounted = False
        self._known: dict[tuple[str, int, int, int], str] = {}
        """What was read already, as long as the file seems to be the same."""
        self.root.mkdir(parents=True)
        self.replace()

    @property
    def inside(self) -> Path:
        """Where it can be looked at, mounted at the root or not."""
        return self._shelf / "disk"

    def mount(self) -> None:
        """Mount it at the root."""
        if not self.mounted:
            _run("mount", "--bind", str(self.inside), str(self.root))
            self.mounted = True

    def unmount(self) -> None:
        """Take it away from the root; who has something open there keeps it."""
        if self.mounted:
            _run("umount", "--lazy", str(self.root))
            self.mounted = False

    def close(self) -> None:
        """Take it away for good, with all that is on it."""
        self.unmount()
        _run("umount", "--lazy", str(self._shelf))

    def replace(self) -> None:
        """Have a new, empty one in its place; the old one is gone for good."""
        old = self._shelf
        self.unmount()
        self._number += 1
        self._shelf = self._home / f"disk{self._number}"
        self._shelf.mkdir()
        options = f"size={self._megabytes}m,mode=755"
        _run("mount", "-t", "tmpfs", "-o", options, "none", str(self._shelf))
        self.inside.mkdir()
        self.mount()
        if old != Path():
            _run("umount", "--lazy", str(old))

    def fill(self, leave: int) -> None:
        """Fill it up, but for so many bytes; uploads that arrive meanwhile want them, too."""
        with (self._shelf / "filler").open("wb") as filler:
            while (size := self._free() - leave) > 0:
                try:
                    os.posix_fallocate(filler.fileno(), 0, size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                else:
                    return

    def _free(self) -> int:
        figures = os.statvfs(self._shelf)
        return figures.f_bavail * figures.f_frsize

    def empty(self) -> None:
        """Take away what it was filled with."""
        (self._shelf / "filler").unlink(missing_ok=True)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Give loc and path of the plain files in their places."""
        yield from self._walk(self.inside, skip=OURS)

    def room(self, name: str) -> Iterator[tuple[str, Path]]:
        """Give those in a room of Argosy's: `staging`, `trash`, `quarantine`, `unplaced`."""
        yield from self._walk(self.inside / OURS / name)

    def contents(self) -> dict[str, str]:
        """Give the SHA-256 of each plain file, by loc."""
        return dict(self._digests(self.files()))

    def look(self, loc: str) -> str:
        """Give the SHA-256 of one file; empty: it isn't there."""
        return dict(self._digests(iter([(loc, self.inside / loc)]))).get(loc, "")

    def unplaced(self) -> dict[str, str]:
        """Give the SHA-256 of the committed files that wait for their places."""
        return dict(self._digests(self.room("unplaced")))

    def arriving(self) -> set[str]:
        """Give the SHA-256 of the parts: one may be acknowledged that isn't in its place yet."""
        return {content for _, content in self._digests(self.room("staging"))}

    def flip(self, loc: str, bit: int) -> None:
        """Turn one bit of a file over; its time stays, as when a disk rots."""
        path = self.inside / loc
        found = path.stat()
        with path.open("r+b") as file:
            at = bit // 8 % found.st_size
            file.seek(at)
            old = file.read(1)[0]
            file.seek(at)
            file.write(bytes([old ^ 1 << bit % 8]))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        self._known.clear()

    def _digests(self, files: Iterator[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
        for loc, path in files:
            try:
                found = path.stat()
                key = (loc, found.st_ino, found.st_size, found.st_mtime_ns)
                if key not in self._known:
                    self._known[key] = digest(path.read_bytes())
            except FileNotFoundError:
                continue  # moved or deleted just now
            yield loc, self._known[key]

    def _walk(self, top: Path, skip: str = "") -> Iterator[tuple[str, Path]]:
        for directory, names, files in os.walk(top):
            if skip in names:
                names.remove(skip)
            for name in files:
                path = Path(directory, name)
                yield str(path.relative_to(top)), path


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)
