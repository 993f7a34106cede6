"""What it costs a client to have its upload on two nodes when 226 comes, all links being equally fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from table import Row, Table
from transfers import fill
from wide import Settings, Wide

ONE, LATER, BOTH = "copies = 1", "copies = 2", "copies = 2, acknowledged = 2"

FOLDERS = {ONE: "one", LATER: "later", BOTH: "both"}

_SETTINGS: Settings = {
    "sections.one": {"path": "/one", "copies": 1},
    "sections.later": {"path": "/later", "copies": 2},
    "sections.both": {"path": "/both", "copies": 2, "acknowledged": 2},
}

_SMALL_BYTES = 1024
_NOTE = (
    "Three nodes, one client. From the first command to the 226; with `acknowledged = 2` the bytes are "
    "flushed on two nodes then, else on one, and the second copy follows."
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    megabits: int
    sizes: Sequence[int]
    small_files: int


def large(size: int) -> Row:
    """The time for one file."""
    return Row(f"a file of {size >> 20} MiB", "s")


def measure(directory: Path, effort: Effort) -> Table:
    """Upload the same files below three rules, in rounds taken in turn.

    Raises:
        Missing: There are no network namespaces here.
    """
    title = f"Uploads to nodes on links of {effort.megabits} Mbit, from a client on such a link"
    table = Table(f"{title}, medians of {effort.rounds}", list(FOLDERS), ONE)
    table.notes = [_NOTE]
    contents = {size: directory / f"content{size}" for size in (*effort.sizes, _SMALL_BYTES)}
    for size, path in contents.items():
        fill(path, size)
    with Wide(
        directory / "wide",
        nodes=3,
        megabits=effort.megabits,
        client_megabits=effort.megabits,
        settings=_SETTINGS,
    ) as wide:
        wide.at_once([partial(_prepare, wide)])
        for number in range(effort.rounds):
            for column, folder in FOLDERS.items():
                for size in effort.sizes:
                    took = wide.at_once([partial(_storing, wide, folder, contents[size], size, 1, number)])
                    table.add(large(size), column, took.seconds)
                    _rest(wide)
                files = effort.small_files
                took = wide.at_once(
                    [partial(_storing, wide, folder, contents[_SMALL_BYTES], _SMALL_BYTES, files, number)]
                )
                table.add(
                    Row("1 KiB files one after the other", "ms a file", 1),
                    column,
                    1000 * took.seconds / files,
                )
                _rest(wide)
    for path in contents.values():
        path.unlink()
    return table


def _prepare(wide: Wide) -> Callable[[], int]:
    session = wide.session()

    def work() -> int:
        with session:
            for folder in FOLDERS.values():
                session.say(f"MKD /{folder}", "2")
        return 0

    return work


def _storing(wide: Wide, folder: str, content: Path, size: int, files: int, number: int) -> Callable[[], int]:
    session = wide.session(f"/{folder}")

    def work() -> int:
        with session, content.open("rb") as file:
            for one in range(files):
                session.upload(f"{size}-{number}-{one}", file.fileno(), size)
        return size * files

    return work


def _rest(wide: Wide) -> None:
    """Wait until second copies don't take the links from the next measurement."""
    wide.until("the second copies", lambda status: not status["copies"]["lacking"], 300.0)
