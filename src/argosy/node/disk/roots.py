"""One root directory on a disk: the only place where a loc becomes a path.

Every step down is made from directory to directory without following a symbolic link, so nothing outside the
root can be reached, whatever somebody puts below it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from argosy.errors import BadArgument, ConfigError, Exists, Failed, NoSpace, NotADirectory, NotFound
from argosy.node.disk import marks, syscalls

OURS = b".argosy"
"""The directory below the root that is ours; what else lies there are the files."""

_STAGING, _UNPLACED = OURS + b"/staging", OURS + b"/unplaced"
_TRASH, _QUARANTINE = OURS + b"/trash", OURS + b"/quarantine"
_ID, _LOCK = OURS + b"/volume.id", OURS + b"/lock"
_GENERATION = OURS + b"/generation"
_UNPLACED_LOC = re.compile(re.escape(_UNPLACED) + rb"/[0-9a-f]{16}")

_OURS_TO_BLAME = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What says nothing of a disk."""

_ASIDE = b".copy"

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def prepare(root: Path) -> str:
    """Make a directory a volume's root: give it a store id, if it has none.

    Returns:
        The store id.

    Raises:
        ConfigError: It isn't a directory that we can write to.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        ours = root / os.fsdecode(OURS)
        ours.mkdir(mode=0o700, exist_ok=True)
        for room in (_STAGING, _UNPLACED, _TRASH, _QUARANTINE):
            (root / os.fsdecode(room)).mkdir(exist_ok=True)
        name = root / os.fsdecode(_ID)
        if not name.exists():
            fresh = name.with_suffix(".new")
            with fresh.open("w") as file:
                file.write(secrets.token_hex(16) + "\n")
                file.flush()
                os.fsync(file.fileno())  # without it a root isn't ours after a power cut
            fresh.rename(name)
            directory = os.open(ours, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        return _read_id(os.fsencode(root))
    except OSError as error:
        raise ConfigError(f"root {root}: {error.strerror}") from error


def has_store_id(root: Path) -> bool:
    """Whether a directory is a volume's root already."""
    try:
        return bool(_read_id(os.fsencode(root)))
    except (OSError, ConfigError):
        return False


def check_loc(loc: bytes) -> bytes:
    """Give a loc back if it names a file below a root, outside of what is ours.

    Raises:
        BadArgument: It doesn't. Whoever sent it is mistaken.
    """
    parts = loc.split(b"/")
    if b"\0" in loc or any(part in (b"", b".", b"..") for part in parts):
        raise BadArgument(f"loc {loc!r}")
    if parts[0] == OURS and not _UNPLACED_LOC.fullmatch(loc):
        raise BadArgument(f"loc {loc!r}")
    return loc


def part_loc(upload: int) -> bytes:
    """Say where an upload's part lies."""
    return b"%s/%016x" % (_STAGING, upload)


def unplaced_loc(upload: int) -> bytes:
    """Say where a committed upload lies whose place is taken."""
    return b"%s/%016x" % (_UNPLACED, upload)


class Root:
    """A root directory, held by this process alone."""

    def __init__(self, path: str | Path) -> None:
        """Take hold of a root that `prepare` made.

        Raises:
            ConfigError: It has no store id (the disk isn't mounted?), or another process holds it.
        """
        self.path = os.fsencode(path)
        self._no_wait = 0 if syscalls.is_memory(self.path) else os.RWF_NOWAIT
        try:
            self.store_id = _read_id(self.path)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        except FileNotFoundError as error:
            what = "has no store id" if os.path.isdir(path) else "isn't there"
            raise ConfigError(f"root {path} {what}; is the disk mounted, has it joined?") from error
        except OSError as error:
            raise ConfigError(f"root {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise ConfigError(f"root {path}: another process holds it") from error

    @property
    def journal_path(self) -> bytes:
        """Where the volume's journal lies."""
        return self.path + b"/" + OURS + b"/journal.db"

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)
        os.close(self._lock)

    def check(self) -> None:
        """Look whether the disk is still there.

        Raises:
            Failed: The path leads to something else now, or can't be read. What isn't seen there isn't lost.
        """
        try:
            if _read_id(self.path) == self.store_id:
                return
        except (FileNotFoundError, ConfigError):
            pass
        except OSError as error:
            if error.errno in _OURS_TO_BLAME:
                return
            raise Failed(f"root {os.fsdecode(self.path)}: {error.strerror}") from error
        raise Failed(f"root {os.fsdecode(self.path)} has lost its store id")

    @property
    def generation(self) -> int:
        """Which attachment to a master the disk remembers; 0: none."""
        try:
            with open(self.path + b"/" + _GENERATION, "rb") as file:
                text = file.read(32).strip()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdigit() else 0

    def remember(self, generation: int) -> None:
        """Write down which attachment this is; it outlasts a power cut.

        Raises:
            OSError: The disk refuses.
        """
        fresh = self.path + b"/" + _GENERATION + b".new"
        with open(fresh, "wb") as file:
            file.write(b"%d\n" % generation)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path + b"/" + _GENERATION)
        self.flush_directory(_GENERATION)

    def space(self) -> tuple[int, int]:
        """Give the disk's size and the room for us, in bytes."""
        figures = os.fstatvfs(self._fd)
        return figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize

    # --- files

    def stat(self, loc: bytes) -> os.stat_result | None:
        """Look at what lies at a loc, a link itself and not where it leads; None: nothing."""
        try:
            with self._parent(loc) as (directory, name):
                return os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotFound, NotADirectory):
            return None

    def file(self, loc: bytes) -> os.stat_result | None:
        """Look at the plain file at a loc; None: nothing, or no plain file."""
        found = self.stat(loc)
        return found if found and stat.S_ISREG(found.st_mode) else None

    def is_directory(self, loc: bytes) -> bool:
        """Whether a directory lies at a loc."""
        found = self.stat(loc)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def open(self, loc: bytes, flags: int = os.O_RDONLY) -> int:
        """Open a plain file.

        Raises:
            NotFound: There is none.
        """
        try:
            with self._parent(loc) as (directory, name):
                flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO mustn't hold us
                descriptor = os.open(name, flags, 0o644, dir_fd=directory)
        except (FileNotFoundError, NotADirectory, NotFound) as error:
            raise NotFound(loc) from error
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise NotFound(loc) from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(loc)
        return descriptor

    def open_now(self, loc: bytes) -> int | None:
        """Open a plain file for reading if the kernel has its name in memory: this never waits for the disk.

        None: it hasn't, or the kernel can't say (openat2(2) with RESOLVE_CACHED came with Linux 5.12), or
        `open` would refuse; ask that.
        """
        return syscalls.open_now(self._fd, loc)

    def read_now(self, descriptor: int, into: memoryview, offset: int) -> bool:
        """Fill a buffer from a file if its bytes are in memory: this never waits for the disk.

        False: they aren't, or there are fewer, or the file system can't say.
        """
        try:
            return os.preadv(descriptor, [into], offset, self._no_wait) == len(into)
        except OSError:
            return False

    def move(self, loc: bytes, to: bytes) -> None:
        """Move a file; never over another. Directories on the way are made.

        Raises:
            Exists: Something lies there.
            NotADirectory: A file or a link is where a directory should be, or another disk begins there.
            NotFound: Nothing to move.
        """
        with self._parent(loc) as (source, name), self._parent(to, make=True) as (target, new):
            try:
                syscalls.rename(source, name, target, new)
            except FileExistsError as error:
                raise Exists(to) from error
            except FileNotFoundError as error:
                raise NotFound(loc) from error
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise NotADirectory(to) from error
                raise

    def link(self, loc: bytes, to: bytes) -> None:
        """Give a file a second name.

        Raises:
            OSError: It isn't there, or the file system has no such thing.
        """
        with self._parent(loc) as (source, name), self._parent(to) as (target, new):
            os.link(name, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)

    def copy_aside(self, loc: bytes) -> None:
        """Make a file of its own out of one of two names: the same bytes, time and marks, flushed."""
        self.drop_aside(loc)
        source = self.open(loc)
        try:
            target = self.open(loc + _ASIDE, os.O_RDWR | os.O_CREAT)
            try:
                syscalls.copy(source, target, os.fstat(source).st_size)
                for attribute in os.listxattr(source):
                    os.setxattr(target, attribute, os.getxattr(source, attribute))
                found = os.fstat(source)
                os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
                os.fsync(target)
            finally:
                os.close(target)
        finally:
            os.close(source)
        with self._parent(loc) as (directory, name):
            os.rename(name + _ASIDE, name, src_dir_fd=directory, dst_dir_fd=directory)

    def drop_aside(self, loc: bytes) -> None:
        """Remove what a crash left of a copy."""
        self.remove(loc + _ASIDE)

    def flush(self, loc: bytes) -> None:
        """Flush a file to the disk."""
        descriptor = self.open(loc)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, loc: bytes) -> None:
        """Delete a file, if it is there."""
        try:
            with self._parent(loc) as (directory, name):
                os.unlink(name, dir_fd=directory)
        except (FileNotFoundError, NotFound, NotADirectory):
            pass

    def set_time(self, loc: bytes, mtime_ns: int, *, file: int = 0) -> None:
        """Give a file a time, and the mark of an upload on it the same; and say in it whose content it is."""
        descriptor = self.open(loc)
        try:
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            marks.date(descriptor, file=file)
        finally:
            os.close(descriptor)

    def flush_directory(self, loc: bytes) -> None:
        """Flush the directory that holds a loc, so that a power cut can't take the name back."""
        with self._parent(loc) as (directory, _):
            descriptor = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def remove_empty_parents(self, loc: bytes) -> None:
        """Remove the directories above a loc from which we took the last file."""
        parents = loc.split(b"/")[:-1]
        if parents[:1] == [OURS]:
            return
        while parents:
            try:
                os.rmdir(b"/".join(parents), dir_fd=self._fd)
            except OSError:
                return
            parents.pop()

    # --- rooms of our own

    def parts(self) -> Iterator[tuple[int, int]]:
        """List what lies in the staging: upload ids and bytes."""
        for entry in os.scandir(self.path + b"/" + _STAGING):
            with contextlib.suppress(ValueError, FileNotFoundError):
                yield int(entry.name, 16), entry.stat(follow_symlinks=False).st_size

    def discard(self, loc: bytes, ver: int, *, keep: bool) -> None:
        """Put a file into the trash, under its path, or delete it at once."""
        if keep:
            self.move(loc, b"%s/%d-%016x/%s" % (_TRASH, time.time(), ver, loc.removeprefix(OURS + b"/")))
        else:
            self.remove(loc)

    def quarantine(self, loc: bytes) -> None:
        """Put what is in the way where nobody deletes it."""
        self.move(loc, b"%s/%d/%s" % (_QUARANTINE, time.time_ns(), loc))

    def keep_bad(self, loc: bytes, found: bytes, finding: int) -> None:
        """Put a file whose bytes are bad into the quarantine, under the number of what was found.

        Args:
            loc: Where it is.
            found: Where it was when it was found: so it is called there.
            finding: The number.

        Raises:
            NotFound: It isn't there.
        """
        kept = _kept_at(finding, found)
        self.move(loc, kept)
        with contextlib.suppress(OSError, NotFound):  # put back by hand it mustn't pass for what it was
            descriptor = self.open(kept)
            try:
                marks.erase(descriptor)
            finally:
                os.close(descriptor)

    def has_bad(self, loc: bytes, finding: int) -> bool:
        """Whether a file lies in the quarantine under the number of what was found."""
        return self.file(_kept_at(finding, loc)) is not None

    def purge(self, finding: int) -> None:
        """Delete for good what is in the quarantine under a number.

        Raises:
            OSError: The disk refuses.
        """
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path + b"/" + _QUARANTINE + b"/" + _finding(finding))

    def empty_trash(self, seconds: float) -> None:
        """Delete for good what has been in the trash for so long.

        What came later than now, for the clock was wrong and has been set back, came now.
        """
        now = time.time()
        for entry in list(os.scandir(self.path + b"/" + _TRASH)):
            when, _, ver = entry.name.partition(b"-")
            if not when.isdigit():
                continue
            if int(when) < now - seconds:
                shutil.rmtree(entry.path, ignore_errors=True)
            elif int(when) > now + 1:
                with contextlib.suppress(OSError):
                    os.rename(entry.path, self.path + b"/" + _TRASH + b"/%d-%s" % (now, ver))

    def squeeze_trash(self, floor: int) -> int:
        """Delete for good what went into the trash first, until so many bytes are free; say how many went."""
        if self.space()[1] >= floor:
            return 0
        found = [
            (int(when), entry.path)
            for entry in os.scandir(self.path + b"/" + _TRASH)
            if (when := entry.name.partition(b"-")[0]).isdigit()
        ]
        gone = 0
        for _, path in sorted(found):
            if self.space()[1] >= floor:
                break
            shutil.rmtree(path, ignore_errors=True)
            gone += 1
        return gone

    # --- inside

    @contextlib.contextmanager
    def _parent(self, loc: bytes, *, make: bool = False) -> Iterator[tuple[int, bytes]]:
        """Lend the descriptor of the directory that holds a loc, and the name in it.

        Raises:
            NotFound: A directory on the way is missing.
            NotADirectory: A file or a link is where a directory should be.
        """
        *parents, name = loc.split(b"/")
        current = self._fd
        try:
            for parent in parents:
                below = self._step(current, parent, make=make)
                if current != self._fd:
                    os.close(current)
                current = below
            yield current, name
        finally:
            if current != self._fd:
                os.close(current)

    def _step(self, directory: int, name: bytes, *, make: bool) -> int:
        try:
            try:
                return os.open(name, _STEP, dir_fd=directory)
            except FileNotFoundError:
                if not make:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=directory)
                return os.open(name, _STEP, dir_fd=directory)
        except FileNotFoundError as error:
            raise NotFound(name) from error
        except NotADirectoryError as error:
            raise NotADirectory(name) from error


def _finding(number: int) -> bytes:
    return b"finding-%016x" % number


def _kept_at(finding: int, loc: bytes) -> bytes:
    return b"%s/%s/%s" % (_QUARANTINE, _finding(finding), loc.removeprefix(OURS + b"/"))


def refusal(error: OSError) -> NoSpace | Failed:
    """Say what the disk's "no" means for whoever wanted something written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoSpace(error.strerror)
    return Failed(error.strerror or str(error))


def _read_id(root: bytes) -> str:
    with open(root + b"/" + _ID, "rb") as file:
        text = file.read(64).strip()
    if not re.fullmatch(rb"[0-9a-f]{32}", text):
        raise ConfigError(f"root {os.fsdecode(root)}: volume.id holds no store id")
    return text.decode()
