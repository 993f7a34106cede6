"""A node dies while clients use the site: what they meet, and how soon all is as it was."""

from __future__ import annotations

import filecmp
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from client import Session, Unexpected
from table import Row, Table
from transfers import GIB, fill
from wide import Settings, Wide

COLUMN = "argosy"

RUNNING = Row("transfers that ran on it and failed", "errors", 0)
LATER = Row("anything else that failed", "errors", 0)
WRONG = Row("acknowledged, and without two whole copies in the end", "files", 0)

_DELAY_SECONDS = 1.0
_LIMIT_SECONDS = 600.0
_PAUSE_SECONDS = 0.5
"""After an error, before a client tries again."""

_CLIENTS = (
    "Each has a session, and uploads and downloads one file after the other; an upload has two copies "
    "before its 226. In the end each is compared on the disks of the nodes that are left."
)
_DELAY = f"The rule's repair_delay_seconds is {_DELAY_SECONDS:g}."

_SETTINGS: Settings = {
    "sections.all": {
        "path": "/",
        "copies": 2,
        "acknowledged": 2,
        "repair_delay_seconds": _DELAY_SECONDS,
    },
    "repair": {"retry_first_seconds": 1.0},
}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    nodes: int
    megabits: int
    clients: int
    files: int
    """There before the load begins."""
    size: int
    before_seconds: float
    """Under load, until the node dies."""
    after_seconds: float
    """Under load, from its death on, at the least."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a client met."""

    begun: float
    """When its transfer began."""
    at: float
    peer: str
    """Where its data connection went; empty: there was none."""
    error: str


@dataclass(slots=True)
class _Load:
    """What clients did, and what they met."""

    wide: Wide
    content: Path
    size: int
    until: float = float("inf")
    stored: list[str] = field(default_factory=list)
    """Acknowledged."""
    moved: list[tuple[float, int]] = field(default_factory=list)
    """When, and bytes."""
    failed: list[Failure] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, number: int) -> Callable[[], int]:
        """Give a client that uploads or downloads one file after the other."""
        draw = random.Random(number)

        def work() -> int:
            session: Session | None = None
            files = 0
            while time.monotonic() < self.until:
                begin = time.monotonic()
                try:
                    session = session or self.wide.session()
                    self._once(session, draw, f"load-{number}-{files}")
                    files += 1
                except (Unexpected, OSError, RuntimeError) as error:
                    peer = session.peer if session else ""
                    with self._lock:
                        self.failed.append(Failure(begin, time.monotonic(), peer, str(error)))
                    if session:
                        session.__exit__(None, None, None)
                    session = None
                    time.sleep(_PAUSE_SECONDS)
            if session:
                session.__exit__(None, None, None)
            return files

        return work

    def _once(self, session: Session, draw: random.Random, new: str) -> None:
        if draw.random() < 0.5:
            with self.content.open("rb") as file:
                session.upload(new, file.fileno(), self.size)
            with self._lock:
                self.stored.append(new)
        else:
            with self._lock:
                name = draw.choice(self.stored)
            if (moved := session.download(name)) != self.size:
                raise RuntimeError(f"{moved} bytes of {name} came")
        with self._lock:
            self.moved.append((time.monotonic(), self.size))


def measure(directory: Path, effort: Effort) -> Table:
    """Have clients upload and download all the time, and kill a node.

    Raises:
        Missing: There are no network namespaces here.
    """
    title = f"One of {effort.nodes} nodes is killed under load, links of {effort.megabits} Mbit"
    table = Table(f"{title}, copies = 2, acknowledged = 2", [COLUMN])
    content = directory / "content"
    fill(content, effort.size)
    with Wide(directory / "wide", nodes=effort.nodes, megabits=effort.megabits, settings=_SETTINGS) as wide:
        load = _Load(wide, content, effort.size)
        each = effort.files // effort.clients
        wide.at_once([partial(_planted, load, number, each) for number in range(effort.clients)])
        wide.until("second copies", _is_whole, _LIMIT_SECONDS)
        clients = [partial(load.client, number) for number in range(effort.clients)]
        running = threading.Thread(target=wide.at_once, args=(clients,))
        running.start()
        time.sleep(effort.before_seconds)
        held = _bytes_on(wide, wide.names[-1])
        died = time.monotonic()
        wide.kill(wide.names[-1])
        wide.until("it to be missed", lambda status: status["copies"]["batches"] > 0, _LIMIT_SECONDS)
        begun = time.monotonic()
        wide.until("all copies", _is_whole, _LIMIT_SECONDS)
        whole = time.monotonic()
        time.sleep(max(0.0, died + effort.after_seconds - whole))
        load.until = time.monotonic()
        running.join()
        wide.until("the last copies", _is_whole, _LIMIT_SECONDS)
        dead = str(wide.machines[wide.names[-1]].address)
        on_it = sum(one.begun <= died or one.peer == dead for one in load.failed)
        table.add(RUNNING, COLUMN, on_it)
        table.add(LATER, COLUMN, len(load.failed) - on_it)
        table.add(WRONG, COLUMN, sum(not _has_copies(wide, content, name) for name in load.stored))
        table.add(Row("acknowledged", "files", 0), COLUMN, len(load.stored))
        table.add(Row("on the node when it died", "GiB"), COLUMN, held / GIB)
        table.add(Row("from its death until the first copy begins", "s", 1), COLUMN, begun - died)
        table.add(Row("from its death until no file lacks a copy", "s", 1), COLUMN, whole - died)
        table.add(Row("repair meanwhile, at the least", "MB/s", 1), COLUMN, held / (whole - begun) / 1e6)
        before = died - effort.before_seconds
        for what, first, last in (("before", before, died), ("during repair", died, whole)):
            moved = sum(size for when, size in load.moved if first < when <= last)
            table.add(Row(f"clients' transfers {what}", "MB/s", 1), COLUMN, moved / (last - first) / 1e6)
    size = effort.size >> 20
    who = f"{effort.clients} clients with files of {size} MiB. {_CLIENTS}"
    table.notes = [who, _DELAY, *_told(load, died, dead)]
    content.unlink()
    return table


def _told(load: _Load, died: float, dead: str) -> list[str]:
    """Say which errors clients met."""
    found = []
    for one in load.failed[:10]:
        when = "before it died" if one.begun <= died else f"{one.begun - died:.1f} s after it died"
        whose = "its" if one.peer == dead else "no" if not one.peer else "another's"
        how = f"began {when}, with {whose} data connection"
        found.append(f"Error of a transfer that {how}, {one.at - died:.1f} s after: {one.error}")
    return found


def _planted(load: _Load, number: int, files: int) -> Callable[[], int]:
    session = load.wide.session()

    def work() -> int:
        with session, load.content.open("rb") as file:
            for one in range(files):
                session.upload(f"old-{number}-{one}", file.fileno(), load.size)
                load.stored.append(f"old-{number}-{one}")
        return files

    return work


def _is_whole(status: dict[str, object]) -> bool:
    copies = status["copies"]
    assert isinstance(copies, dict)
    return not copies["lacking"] and not copies["batches"]


def _bytes_on(wide: Wide, name: str) -> int:
    return sum(path.stat().st_size for path in wide.root(name).glob("*") if path.is_file())


def _has_copies(wide: Wide, content: Path, name: str) -> bool:
    """Whether two nodes that live have the file, whole, on their disks."""
    paths = [wide.root(node) / name for node in wide.names[:-1]]
    return sum(path.exists() and filecmp.cmp(path, content, shallow=False) for path in paths) == 2
