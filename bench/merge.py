"""Merging: a node that brings many files, and one that comes back with them unchanged."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import ours
import processes
from table import Row, Table

COLUMN = "argosy"

_PER_DIRECTORY = 500
_LIMIT_SECONDS = 300.0
_LOOK_SECONDS = 0.02
_YOUNG_SECONDS = 2.5
"""A node lets files alone that changed so lately that they may still be growing."""


def measure(directory: Path, *, files: int, rounds: int, rejoins: int) -> Table:
    """Have a new node bring `files` files to a new master, then kill and restart it."""
    table = Table(f"{files:,} files brought by a node, and brought again", [COLUMN])
    table.notes = [
        "Adoption: from the start of the node's process until the catalogue has all and the node is ready.",
        "Rejoin: the node is killed and started again; nothing on its disk has changed.",
    ]
    tree = directory / "tree"
    plant(tree, files)
    for number in range(rounds):
        site = ours.Site(directory / f"merge{number}")
        site.root.mkdir(parents=True)
        tree.rename(site.root / "tree")
        try:
            with site:
                _adopt(site, files, table)
                for _ in range(rejoins):
                    _rejoin(site, files, table)
        finally:
            (site.root / "tree").rename(tree)
            shutil.rmtree(site.directory)
    return table


def _adopt(site: ours.Site, files: int, table: Table) -> None:
    seconds = _ready(site, files, merges=1)
    cpu = processes.cpu_seconds(site.process("n1")), processes.cpu_seconds(site.process("master"))
    table.add(Row("adoption", "s"), COLUMN, seconds)
    table.add(Row("adoption", "files/s", 0), COLUMN, files / seconds)
    table.add(Row("adoption, the node's CPU", "us a file", 1), COLUMN, 1e6 * cpu[0] / files)
    table.add(Row("adoption, the master's CPU", "us a file", 1), COLUMN, 1e6 * cpu[1] / files)
    peak = processes.peak_bytes(site.process("master")) / (1 << 20)
    table.add(Row("the master's memory at its height", "MiB", 0), COLUMN, peak)
    table.add(
        Row("the catalogue on disk", "bytes a file", 0), COLUMN, _size(site.directory / "catalogue") / files
    )


def _rejoin(site: ours.Site, files: int, table: Table) -> None:
    merges = (site.directory / "log" / "master.log").read_text().count(" is merged")
    killed = time.monotonic()
    os.kill(site.process("n1"), signal.SIGKILL)
    seconds = _ready(site, files, merges=merges + 1)
    table.add(Row("rejoin, from the node's start until it is ready", "s"), COLUMN, seconds)
    table.add(Row("rejoin, from its death", "s"), COLUMN, time.monotonic() - killed)


def _ready(site: ours.Site, files: int, *, merges: int) -> float:
    """Wait until the node is ready with all its files; give the seconds since its process began.

    Args:
        site: Whose node.
        files: How many it has.
        merges: How often it has been ready by then, in the master's life.
    """
    log = site.directory / "log" / "master.log"
    # Asking the master each time would cost it more than the merging does.
    for _ in processes.until(f"{files} files", _LIMIT_SECONDS, _LOOK_SECONDS):
        if log.exists() and log.read_text().count(" is merged") >= merges:
            break
    seconds = processes.age_seconds(site.process("n1"))
    node = site.node()
    if node["state"] != "ready" or sum(volume["files"] for volume in node["volumes"]) != files:
        raise RuntimeError(f"not all of the {files} files are there: {node}")
    return seconds


def plant(tree: Path, files: int) -> None:
    """Make files of one byte, in directories of some hundred."""
    for number in range(files):
        if number % _PER_DIRECTORY == 0:
            directory = tree / f"{number // _PER_DIRECTORY // 20:03}" / f"{number // _PER_DIRECTORY % 20:02}"
            directory.mkdir(parents=True)
        descriptor = os.open(directory / f"file-{number:07}.dat", os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(descriptor, b"x")
        os.close(descriptor)
    time.sleep(_YOUNG_SECONDS)


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
