"""FTP sites as directories: ours, and rclone's ways, on the same servers of FTP.

Ours and `rclone serve nfs` are used through libnfs, one call after the other; `rclone mount` through the
kernel's FUSE, which reads ahead and writes behind.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import exports
import loopback
import processes
from exports import Served, free_ports
from others import Missing
from peers import FOLDER, Contestant
from table import Row, Table
from took import Took, timed
from transfers import fill

MIB = 1 << 20
OURS, FUSE, FUSE_CACHED, SERVED = "argosy", "rclone mount", "rclone mount, full cache", "rclone serve nfs"

PIECES, CARRIED = "4 KiB read here and there", "carried over the network for a byte asked"

_FOLDERS = 10
_PIECE = 4096
_ARRIVE_SECONDS = 60.0
_PIECES_SECONDS = 10.0
_LARGE, _SMALL, _MANY = "large", "small", "many"
_SITE = "site:"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    large_bytes: int
    small_files: int
    entries: int
    pieces: int


class Directory(Protocol):
    """A site's files, whichever way they came to be a directory."""

    def read(self, path: str, pieces: Iterator[tuple[int, int]]) -> int:
        """Read pieces of a file, (offset, count), in turn; give how many bytes came."""

    def write(self, path: str, blocks: Iterator[bytes]) -> int:
        """Write a file anew, and return when it is said to be safe."""

    def make_folder(self, path: str) -> None:
        """Make a directory."""

    def look(self, path: str) -> Mapping[str, int]:
        """List a directory as `ls -l` does; give the sizes of all in it, -1 for a directory's."""


class Mounted:
    """What the kernel has mounted."""

    def __init__(self, root: Path) -> None:
        """Take it at its root."""
        self._root = root

    def read(self, path: str, pieces: Iterator[tuple[int, int]]) -> int:
        """Read."""
        moved = 0
        with open(f"{self._root}{path}", "rb", buffering=0) as file:
            for offset, count in pieces:
                moved += len(os.pread(file.fileno(), count, offset))
        return moved

    def write(self, path: str, blocks: Iterator[bytes]) -> int:
        """Write."""
        moved = 0
        with open(f"{self._root}{path}", "wb", buffering=0) as file:
            for block in blocks:
                moved += file.write(block)
            os.fsync(file.fileno())
        return moved

    def make_folder(self, path: str) -> None:
        """Make a directory."""
        os.mkdir(f"{self._root}{path}")

    def look(self, path: str) -> Mapping[str, int]:
        """List."""
        with os.scandir(f"{self._root}{path}") as found:
            return {entry.name: -1 if entry.is_dir() else entry.stat().st_size for entry in found}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have a site as a directory, that runs."""

    name: str
    pid: int
    directory: Directory


def plant(root: Path, effort: Effort) -> None:
    """Make what is read, where a server keeps its files."""
    top = root / FOLDER.lstrip("/")
    top.mkdir(parents=True, exist_ok=True)
    fill(top / _LARGE, effort.large_bytes)
    for folder, files, size in (
        *((f"{_MANY}/{number}", effort.entries // _FOLDERS, 0) for number in range(_FOLDERS)),
        (_SMALL, effort.small_files, 1024),
    ):
        (top / folder).mkdir(parents=True)
        for number in range(files):
            (top / folder / f"file-{number:05}").write_bytes(b"x" * size)


def measure(sites: Mapping[str, tuple[Contestant, Path]], effort: Effort, directory: Path) -> Table:
    """Measure each way on each site, in rounds taken in turn.

    Args:
        sites: By name the server, and where its files lie.
        effort: How much.
        directory: For what the ways keep on disk.
    """
    table = Table(
        f"FTP sites as directories: files of {effort.large_bytes // MIB:,} MiB and of 1 KiB, one round"
        if effort.rounds == 1
        else f"medians of {effort.rounds}",
        [*WAYS],
        FUSE,
    )
    missing: dict[str, str] = {}
    for number in range(effort.rounds):
        for site, (server, root) in sites.items():
            for name, start in WAYS.items():
                own = directory / f"{site}-{name.replace(' ', '-').replace(',', '')}-{number}"
                try:
                    with start(own, server) as way:
                        _Course(table, effort, site, way, root).run()
                except Missing as error:
                    missing[name] = str(error)
    table.notes += [f"{name} is missing here: {why}" for name, why in missing.items()]
    return table


class _Course:
    """What each way runs through on each site."""

    def __init__(self, table: Table, effort: Effort, site: str, way: Way, root: Path) -> None:
        self._table, self._effort, self._site, self._way = table, effort, site, way
        self._root = root

    def run(self) -> None:
        effort, it = self._effort, self._way.directory
        size = effort.large_bytes
        for state in ("cold", "warm"):
            took = self._timed(partial(_walk, it, f"/{_MANY}"))
            if took.moved != effort.entries + _FOLDERS:
                raise RuntimeError(f"{self._way.name}: {took.moved} names, not {effort.entries + _FOLDERS}")
            self._enter(f"ls -lR of {effort.entries:,} files, {state}", "s", took.seconds)
        self._pieces()
        took = self._timed(partial(it.read, f"/{_LARGE}", _in_order(size)))
        if took.moved != size:
            raise RuntimeError(f"{self._way.name}: {took.moved} bytes came, not {size}")
        self._enter("large file read", "MiB/s", size / MIB / took.seconds, 0)
        self._enter("large file read", "CPU s per GiB", took.cpu_seconds * 1024 * MIB / size)
        self._write()
        self._small()

    def _pieces(self) -> None:
        """Read here and there, as a database does, and see what went over the network for it."""
        chance, until = random.Random(self._site), time.monotonic() + _PIECES_SECONDS
        places = (chance.randrange(self._effort.large_bytes // _PIECE) * _PIECE for _ in iter(int, 1))
        numbered = zip(range(self._effort.pieces), places, strict=False)
        asked = ((place, _PIECE) for _, place in numbered if time.monotonic() < until)
        before = _carried()
        took = self._timed(partial(self._way.directory.read, f"/{_LARGE}", asked))
        self._enter(PIECES, "reads/s", took.moved / _PIECE / took.seconds, 0)
        if loopback.private():
            self._enter(CARRIED, "bytes", (_carried() - before) / took.moved, 1)

    def _write(self) -> None:
        size, file = self._effort.large_bytes, self._root / "written"
        said, had = self._written(partial(self._way.directory.write, "/written", _blocks(size)), [file], size)
        self._enter("large file written", "MiB/s", size / MIB / said, 0)
        self._enter("... until the site has it", "MiB/s", size / MIB / had, 0)
        file.unlink()

    def _small(self) -> None:
        it, files = self._way.directory, self._effort.small_files
        names = [f"file-{number:05}" for number in range(files)]
        took = self._timed(
            lambda: sum(it.read(f"/{_SMALL}/{name}", iter([(0, 1024)])) for name in names) // 1024
        )
        self._enter("1 KiB files copied out", "files/s", took.moved / took.seconds, 0)
        it.make_folder("/new")
        came = [self._root / "new" / name for name in names]
        said, had = self._written(
            lambda: sum(it.write(f"/new/{name}", iter([b"x" * 1024])) for name in names), came, 1024
        )
        self._enter("1 KiB files copied in", "files/s", files / said, 0)
        self._enter("... until the site has them", "files/s", files / had, 0)
        for file in came:
            file.unlink()
        came[0].parent.rmdir()

    def _written(self, work: Callable[[], int], files: list[Path], size: int) -> tuple[float, float]:
        """Write; give after how many seconds it was said to be done, and after how many the site had it."""
        said = 0.0

        def until_there() -> int:
            nonlocal said
            begin = time.monotonic()
            moved = work()
            said = time.monotonic() - begin
            waiting = list(files)
            for _ in processes.until("the site to have it", _ARRIVE_SECONDS, 0.002):
                while waiting and waiting[-1].exists() and waiting[-1].stat().st_size == size:
                    waiting.pop()
                if not waiting:
                    break
            return moved

        had = self._timed(until_there).seconds
        return said, had

    def _timed(self, work: Callable[[], int]) -> Took:
        return timed(self._way, work)

    def _enter(self, what: str, unit: str, value: float, digits: int = 2) -> None:
        self._table.add(Row(f"{self._site}: {what}", unit, digits), self._way.name, value)


def _carried() -> int:
    """Give how many bytes have gone over loopback."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == "lo":
            return int(figures.split()[0])
    return 0


def _walk(directory: Directory, path: str) -> int:
    found = directory.look(path)
    return len(found) + sum(_walk(directory, f"{path}/{name}") for name, size in found.items() if size < 0)


def _in_order(size: int) -> Iterator[tuple[int, int]]:
    return ((offset, min(MIB, size - offset)) for offset in range(0, size, MIB))


def _blocks(size: int) -> Iterator[bytes]:
    block = bytes(range(256)) * (MIB // 256)
    return (block for _ in range(size // MIB))


# The ways


@contextlib.contextmanager
def ours(directory: Path, site: Contestant) -> Iterator[Way]:
    """Run our gateway."""
    with exports.ours(directory, site, FOLDER) as served, exports.mounted(served) as export:
        yield Way(OURS, served.pid, export)


@contextlib.contextmanager
def rclone_serve(directory: Path, site: Contestant) -> Iterator[Way]:
    """Have what `rclone serve nfs` serves."""
    with rclone_served(directory, site) as served, exports.mounted(served) as export:
        yield Way(SERVED, served.pid, export)


@contextlib.contextmanager
def rclone_served(directory: Path, site: Contestant) -> Iterator[Served]:
    """Run `rclone serve nfs`; it wants its full cache, or it can't write.

    Raises:
        Missing: There is no rclone that can.
    """
    program, environment = _rclone(directory, site)
    (port,) = free_ports(1)
    command = [program, "serve", "nfs", f"{_SITE}{FOLDER}", "--addr", f"127.0.0.1:{port}"]
    command += ["--vfs-cache-mode", "full", "--cache-dir", str(directory / "cache")]
    with exports.running(command, directory / "log", port, environment) as pid:
        yield Served(SERVED, "", port, "/", pid)


@contextlib.contextmanager
def rclone_mount(mode: str, name: str, directory: Path, site: Contestant) -> Iterator[Way]:
    """Run `rclone mount`.

    Raises:
        Missing: There is no rclone, or no FUSE.
    """
    program, environment = _rclone(directory, site)
    root = directory / "mount"
    root.mkdir()
    command = [program, "mount", f"{_SITE}{FOLDER}", str(root), "--vfs-cache-mode", mode]
    command += ["--cache-dir", str(directory / "cache"), "--allow-non-empty"]
    with (directory / "log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        for _ in processes.until("rclone mount", exports.START_SECONDS, 0.05):
            if process.poll() is not None:
                raise Missing(f"doesn't start: {(directory / 'log').read_text().strip()[-300:]}")
            if root.is_mount():
                break
        yield Way(name, process.pid, Mounted(root))
    finally:
        processes.stop(process)


def _rclone(directory: Path, site: Contestant) -> tuple[str, dict[str, str]]:
    program = exports.found("rclone")
    if program is None:
        raise Missing("not installed")
    directory.mkdir()
    user, password = site.login
    said = subprocess.run([program, "obscure", password], capture_output=True, text=True, check=True)
    settings = {
        "TYPE": "ftp",
        "HOST": site.address[0],
        "PORT": str(site.address[1]),
        "USER": user,
        "PASS": said.stdout.strip(),
    }
    environment = {f"RCLONE_CONFIG_SITE_{key}": value for key, value in settings.items()}
    return program, {**os.environ, **environment, "RCLONE_CONFIG": str(directory / "rclone.conf")}


WAYS: Mapping[str, Callable[[Path, Contestant], contextlib.AbstractContextManager[Way]]] = {
    OURS: ours,
    FUSE: partial(rclone_mount, "off", FUSE),
    FUSE_CACHED: partial(rclone_mount, "full", FUSE_CACHED),
    SERVED: rclone_serve,
}
