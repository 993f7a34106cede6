"""Listings of one large directory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from peers import FOLDER, Contestant
from table import Row, Table
from took import timed

NAME = "many"

_OLD_SECONDS = 3600.0
"""How long ago the files were written: what is younger could be growing, and a node would wait with it."""


def plant(root: Path, entries: int) -> None:
    """Make a directory of empty files where a server keeps its files."""
    directory = root / FOLDER.lstrip("/") / NAME
    directory.mkdir(parents=True)
    then = time.time() - _OLD_SECONDS
    for number in range(entries):
        path = directory / f"entry-{number:06}.dat"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        os.utime(path, (then, then))


def measure(contestants: Sequence[Contestant], *, entries: int, rounds: int, baseline: str) -> Table:
    """List it, for people and for programs, in rounds taken in turn."""
    title = f"Listing a directory of {entries:,} entries, medians of {rounds}"
    table = Table(title, [one.name for one in contestants], baseline)
    for _ in range(rounds):
        for one in contestants:
            with one.session() as session:
                for verb in ("LIST", "MLSD"):
                    if verb == "MLSD" and not one.has_mlsd:
                        continue
                    took = timed(one, lambda verb=verb: session.fetch(f"{verb} {NAME}"))  # type: ignore[misc]
                    if took.moved < entries * len("entry-000000.dat"):
                        raise RuntimeError(f"{one.name}: {took.moved} bytes can't be {entries} entries")
                    table.add(Row(verb, "s", 3), one.name, took.seconds)
                    table.add(Row(f"{verb}, server CPU", "s", 3), one.name, took.cpu_seconds)
    return table
