"""Repair: a node is lost whose files have another copy elsewhere, and the others make them whole again."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from table import Row, Table
from transfers import GIB
from wide import Settings, Wide

COLUMN = "argosy"

SPEED = Row("bytes copied", "MB/s", 1)
SHARE = Row("share of what the links of the nodes that are left can carry", "of 1")
FEW = Row("second copies of small files", "files/s", 0)
LOST = Row("small files of a lost node", "files/s", 0)

_DELAY_SECONDS = 1.0
_LIMIT_SECONDS = 900.0
_SMALL_BYTES = 1024
_CARRY = (
    "What the links can carry: each node that is left sends and takes at the full speed of its link, TCP's "
    "payload, from the first copy's beginning until the last is entered."
)
_SECOND = "They get their second copy when a rule says so; then a node is lost."
_SETTINGS: Settings = {"catalogue": {"upkeep_seconds": 1.0}, "repair": {"retry_first_seconds": 1.0}}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    nodes: int
    megabits: int
    large_files: int
    large_bytes: int
    small_files: int


def measure(directory: Path, effort: Effort) -> Table:
    """Lose a node full of large files, and one full of small ones.

    Raises:
        Missing: There are no network namespaces here.
    """
    table = Table(
        f"Repair: one of {effort.nodes} nodes is lost, links of {effort.megabits} Mbit, copies = 2", [COLUMN]
    )
    size = effort.large_bytes >> 20
    table.notes = [
        f"Large: {effort.large_files:,} files of {size} MiB, each on two nodes, every pair of nodes alike.",
        _CARRY,
        f"Small: {effort.small_files:,} files of 1 KiB, each on one node. {_SECOND}",
        f"The rule's repair_delay_seconds is {_DELAY_SECONDS:g} here.",
    ]
    for number in range(effort.rounds):
        _large(directory / f"large{number}", effort, number, table)
        _small(directory / f"small{number}", effort, number, table)
    return table


def _large(directory: Path, effort: Effort, seed: int, table: Table) -> None:
    wide = Wide(directory, nodes=effort.nodes, megabits=effort.megabits, settings=_SETTINGS)
    lost = wide.names[seed % len(wide.names)]
    files = 0
    for number, pair in enumerate(_pairs(wide.names, effort.large_files, seed)):
        # What the disk gives back is nothing but zeros, but for the name at the beginning.
        for name in pair:
            wide.plant(name, f"{number:05}.dat", effort.large_bytes, content=b"%d" % number)
        files += lost in pair
    with wide:
        _whole(wide, effort.large_files)
        _set_rule(wide)
        wide.until("the rule to be heeded", lambda status: _lacking(status) == 0, _LIMIT_SECONDS)
        took = _lose(wide, lost)
        moved = files * effort.large_bytes
        table.add(SPEED, COLUMN, moved / took.seconds / 1e6)
        table.add(SHARE, COLUMN, moved / took.seconds / ((effort.nodes - 1) * wide.link_bytes))
        table.add(Row("bytes to be copied", "GiB"), COLUMN, moved / GIB)
        table.add(Row("from the node's death until the first copy begins", "s", 1), COLUMN, took.noticed)
        table.add(Row("from then until all is whole", "s", 1), COLUMN, took.seconds)
        table.add(Row("CPU of the master", "s per GiB", 3), COLUMN, took.cpu[0] * GIB / moved)
        table.add(Row("CPU of the nodes", "s per GiB", 3), COLUMN, took.cpu[1] * GIB / moved)
        table.add(Row("bytes through the master", "%", 3), COLUMN, 100 * took.through_master / moved)


def _small(directory: Path, effort: Effort, seed: int, table: Table) -> None:
    wide = Wide(directory, nodes=effort.nodes, megabits=effort.megabits, settings=_SETTINGS)
    draw = random.Random(seed)
    for number in range(effort.small_files):
        folder = f"{number // 500:03}"
        name = wide.names[number % len(wide.names)]
        wide.plant(name, f"{folder}/{number:06}.dat", _SMALL_BYTES, content=draw.randbytes(_SMALL_BYTES))
    with wide:
        _whole(wide, effort.small_files)
        _set_rule(wide)
        cpu = wide.cpu_seconds()
        _, begin = wide.until("files to be noted", lambda status: _lacking(status) > 0, _LIMIT_SECONDS)
        _, end = wide.until("second copies", _at_rest, _LIMIT_SECONDS)
        after = wide.cpu_seconds()
        table.add(FEW, COLUMN, effort.small_files / (end - begin))
        for whose, one, other in zip(("master", "nodes"), cpu, after, strict=True):
            row = Row(f"second copies of small files, CPU of the {whose}", "ms a file")
            table.add(row, COLUMN, 1000 * (other - one) / effort.small_files)
        lost = wide.names[seed % len(wide.names)]
        files = next(one for one in wide.nodes_told() if one["name"] == lost)["volumes"][0]["files"]
        took = _lose(wide, lost)
        table.add(LOST, COLUMN, files / took.seconds)


def _pairs(names: Sequence[str], count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Give pairs of nodes, each as often as the others, in a random order."""
    draw = random.Random(seed)
    every = list(itertools.combinations(names, 2))
    given = 0
    while given < count:
        draw.shuffle(every)
        yield from every[: count - given]
        given += len(every)


@dataclass(frozen=True, slots=True)
class _Took:
    noticed: float
    """From the death to the first copy, in seconds."""
    seconds: float
    """From the first copy to the last."""
    cpu: tuple[float, float]
    through_master: int


def _lose(wide: Wide, name: str) -> _Took:
    """Kill a node, and wait until the others have made its copies anew."""
    passed = wide.master.traffic()
    died = time.monotonic()
    wide.kill(name)
    cpu = wide.cpu_seconds()
    _, begun = wide.until("the first copy", lambda status: status["copies"]["batches"] > 0, _LIMIT_SECONDS)
    _, ended = wide.until("all copies", _at_rest, _LIMIT_SECONDS)
    after = wide.cpu_seconds()
    return _Took(
        begun - died,
        ended - begun,
        (after[0] - cpu[0], after[1] - cpu[1]),
        wide.master.traffic() - passed,
    )


def _whole(wide: Wide, files: int) -> None:
    """Wait until the catalogue has all files, and knows that copies are alike."""
    wide.until(
        "the files to be known",
        lambda status: status["files"] == files and status["suspects"] == 0,
        _LIMIT_SECONDS,
    )


def _set_rule(wide: Wide) -> None:
    wide.site.argosy("rule", "set", "/", "--copies", "2", "--repair-delay", f"{_DELAY_SECONDS:g}")


def _lacking(status: dict[str, Any]) -> int:
    """How many files have too few copies."""
    return sum(group["files"] for group in status["copies"]["lacking"])


def _at_rest(status: dict[str, Any]) -> bool:
    return _lacking(status) == 0 and status["copies"]["batches"] == 0
