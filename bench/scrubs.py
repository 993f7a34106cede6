"""Scrubbing: how much of the disk's speed it reaches, beside a plain program that reads and sums as much."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from argosy import config
from argosy.node.disk import roots
from argosy.node.disk.checksums import Summing
from argosy.node.disk.journal import Row
from argosy.node.disk.scrub import Scrubber
from argosy.node.disk.volume import Volume
from table import Row as Line
from table import Table

OURS, SUMMING, READING = "argosy", "reads and sums", "reads only"

LARGE, SMALL = Line("large files", "MB/s", 0), Line("small files", "files/s", 0)

_DISK = Path("/var/tmp")
_BLOCK = 4 << 20
_SMALL_BYTES = 16 << 10
_LIMIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    large_files: int
    large_bytes: int
    small_files: int


def measure(effort: Effort) -> Table:
    """Read the same files three ways, in rounds taken in turn, each time from the disk itself."""
    size = effort.large_bytes >> 20
    table = Table(f"Reading a volume through, medians of {effort.rounds}", [OURS, SUMMING, READING], SUMMING)
    table.notes = [
        f"{effort.large_files} files of {size} MiB, and {effort.small_files:,} of 16 KiB, below {_DISK}.",
        "What memory has of them is dropped before each. Ours in a hurry, as `argosy scrub` has it.",
    ]
    for row, files, each in (
        (LARGE, effort.large_files, effort.large_bytes),
        (SMALL, effort.small_files, _SMALL_BYTES),
    ):
        with _volume(files, each) as (volume, paths):
            for _ in range(effort.rounds):
                for column, work in _ways(volume, paths).items():
                    _forget(paths)
                    begin = time.monotonic()
                    work()
                    seconds = time.monotonic() - begin
                    speed = files * each / seconds / 1e6 if row is LARGE else files / seconds
                    table.add(row, column, speed)
    return table


def _ways(volume: Volume, paths: list[Path]) -> dict[str, Callable[[], None]]:
    return {
        OURS: lambda: asyncio.run(_scrub(volume)),
        SUMMING: lambda: _read(paths, sums=True),
        READING: lambda: _read(paths, sums=False),
    }


@contextmanager
def _volume(files: int, size: int) -> Iterator[tuple[Volume, list[Path]]]:
    """Lay a volume out whose journal has the files with their sums."""
    root = Path(tempfile.mkdtemp(prefix="argosy-bench-", dir=_DISK))
    try:
        roots.prepare(root)
        volume = Volume.open(root, trash_seconds=0)
        paths, rows = [], []
        block = os.urandom(min(size, _BLOCK))
        for number in range(files):
            path = root / f"{number // 500:03}" / f"{number:06}"
            path.parent.mkdir(exist_ok=True)
            summing = Summing()
            with path.open("wb") as file:
                for _ in range(size // len(block)):
                    file.write(block)
                    summing.add(memoryview(block))
                file.flush()
                os.fdatasync(file.fileno())
                status = os.fstat(file.fileno())
            paths.append(path)
            sums = summing.sums()
            rows.append(
                Row(
                    *(bytes(path.relative_to(root)), size, status.st_mtime_ns, number + 1),
                    *(sums.crc32, sums.digest),
                )
            )
        volume.note(rows)
        try:
            yield volume, paths
        finally:
            volume.close()
    finally:
        shutil.rmtree(root)


def _forget(paths: list[Path]) -> None:
    """Have the kernel drop what it remembers of the files."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


async def _scrub(volume: Volume) -> None:
    """Make one pass, as a node does when it is told to hurry.

    Raises:
        RuntimeError: It found something wrong.
    """
    scrubber = Scrubber(volume, config.Scrub(), asyncio.Event())
    before = scrubber.stand.ended_ns
    scrubber.begin(hurry=True)
    running = asyncio.create_task(scrubber.run())
    begin = time.monotonic()
    while scrubber.stand.ended_ns == before and time.monotonic() < begin + _LIMIT_SECONDS:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # nobody says so when it is over
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    scrubber.close()
    if scrubber.stand.bad or scrubber.stand.ended_ns == before:
        raise RuntimeError(f"it didn't end well: {scrubber.stand}")


def _read(paths: list[Path], *, sums: bool) -> None:
    """Read as a plain program would."""
    buffer = memoryview(bytearray(_BLOCK))
    for path in paths:
        summing = Summing()
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                if sums:
                    summing.add(buffer[:count])
        summing.sums()
