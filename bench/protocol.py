"""NFS itself: bare calls that a server answers from its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import exports
import processes
from exports import Served
from nfsclient import Export
from table import Row, Table
from took import timed

KIB = 1 << 10
MIB = 1 << 20
NAMES = 100
CACHED = 64 * MIB
"""How large the file is that is read: it fits in anyone's cache."""

_WINDOW = 16
"""Calls at once; of large reads a quarter."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    calls: int


def plant(folder: Path) -> None:
    """Make the files that are asked for, in a directory that all serve."""
    folder.mkdir(parents=True, exist_ok=True)
    block = bytes(range(256)) * 4096
    with (folder / "cached").open("wb") as file:
        for _ in range(CACHED // len(block)):
            file.write(block)
    for number in range(NAMES):
        (folder / f"name-{number:03}").write_bytes(b"x" * KIB)


def measure(servers: Sequence[Served], effort: Effort, baseline: str) -> Table:
    """Measure calls a second, and calls for a second of the server's processor, in rounds taken in turn."""
    title = f"NFS calls answered from the server's memory, through libnfs, medians of {effort.rounds}"
    table = Table(title, [one.name for one in servers], baseline)
    names = [f"name-{number:03}" for number in range(NAMES)]
    for _ in range(effort.rounds):
        for one in servers:
            with exports.mounted(one) as export:
                file = export.handle("cached")
                export.reads(file, MIB, CACHED, CACHED // MIB, 4)
                export.lookups(names, NAMES, _WINDOW)
                works: dict[str, Callable[[Export], int]] = {
                    "GETATTR": lambda it, file=file: it.getattrs(file, effort.calls, _WINDOW),  # type: ignore[misc]
                    "LOOKUP": lambda it: it.lookups(names, effort.calls, _WINDOW),
                    "READ of 64 KiB": lambda it, file=file: it.reads(  # type: ignore[misc]
                        file, 64 * KIB, CACHED, effort.calls // 2, _WINDOW
                    ),
                    "READ of 1 MiB": lambda it, file=file: it.reads(  # type: ignore[misc]
                        file, MIB, CACHED, effort.calls // 20, _WINDOW // 4
                    ),
                }
                for what, work in works.items():
                    took = timed(one, lambda work=work, export=export: work(export))  # type: ignore[misc]
                    table.add(Row(what, "calls/s", 0), one.name, took.moved / took.seconds)
                    table.add(
                        Row(what, "calls a second of the server's CPU", 0),
                        one.name,
                        took.moved / max(took.cpu_seconds, 1e-6),
                    )
    for one in servers:
        peak = max(processes.peak_bytes(pid) for pid in processes.family(one.pid))
        table.notes.append(f"{one.name}'s memory at its most: {peak / MIB:,.0f} MiB")
    return table
