"""What the site's processes hold, looked at from outside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process."""

    seconds: float
    """Since the beginning."""
    pid: int
    figures: dict[str, int]
    """By the names in `verdict.LIMITS`."""


def of_process(pid: int, seconds: float) -> Sample:
    """Look at a process.

    Raises:
        OSError: It is gone.
    """
    at = Path("/proc") / str(pid)
    rollup = dict(
        line.split(":", 1) for line in (at / "smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return Sample(
        seconds,
        pid,
        {
            "memory": int(rollup["Pss"].split()[0]) * 1024,
            "resident memory": int(rollup["Rss"].split()[0]) * 1024,
            "descriptors": len(os.listdir(at / "fd")),
            "threads": len(os.listdir(at / "task")),
        },
    )


def of_directory(directory: Path) -> int:
    """Sum the sizes of the files in a directory."""
    total = 0
    for path in directory.iterdir():
        try:
            total += path.stat().st_size
        except OSError:
            continue  # a journal of SQLite's that went just now
    return total
