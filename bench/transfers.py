"""Transfers: large files by one stream and by several, small ones by the thousand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ours
import processes
from client import Session
from peers import FOLDER, Contestant
from table import Row, Table

GIB = 1 << 30
STREAMS = 4

_SETTLE_SECONDS = 0.2
"""For what a server does after its last reply, before its processor time is read."""

_SMALL_BYTES = 1024
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    large_bytes: int
    small_files: int


class Course:
    """What each contestant runs through, round by round."""

    def __init__(self, contestants: Sequence[Contestant], effort: Effort, directory: Path) -> None:
        """Prepare; `run` measures.

        Args:
            contestants: In the order of the columns.
            effort: How much.
            directory: For the files that are uploaded.
        """
        self._contestants = contestants
        self._effort = effort
        self._large = directory / "large"
        self._small = directory / "small"
        _fill(self._large, effort.large_bytes)
        _fill(self._small, _SMALL_BYTES)

    def large(self, site: ours.Site, title: str, baseline: str) -> Table:
        """Measure large files, and what of them went through the master."""
        table = Table(title, [one.name for one in self._contestants], baseline)
        for one in self._contestants:
            with one.session() as session:
                self._upload(session, _resident(one))
        for _ in range(self._effort.rounds):
            for one in self._contestants:
                before = site.status()["relayed_bytes"]
                carried = self._large_round(one, table)
                if one.pid == site.pid:
                    through = site.status()["relayed_bytes"] - before
                    row = Row("share of the bytes that went through the master", "%", 1)
                    table.add(row, one.name, 100 * through / carried)
        for one in self._contestants:
            with one.session() as session:
                session.say(f"DELE {_resident(one)}", "2")
        return table

    def small(self, title: str, baseline: str) -> Table:
        """Measure small files, all in one session."""
        table = Table(title, [one.name for one in self._contestants], baseline)
        for _ in range(self._effort.rounds):
            for one in self._contestants:
                self._small_round(one, table)
        return table

    def _large_round(self, one: Contestant, table: Table) -> int:
        size, name = self._effort.large_bytes, _resident(one)
        with ExitStack() as stack:
            sessions = [stack.enter_context(one.session()) for _ in range(STREAMS)]
            speed = _timed(one, partial(_download, sessions[0], name, size))
            _enter(table, one, "RETR, 1 stream", size, speed)
            speed = _timed(one, lambda: _together([partial(_download, s, name, size) for s in sessions]))
            _enter(table, one, f"RETR, {STREAMS} streams", size * STREAMS, speed)
            speed = _timed(one, lambda: self._upload(sessions[0], "new"))
            _enter(table, one, "STOR, 1 stream", size, speed)
            sessions[0].say("DELE new", "2")
            carried = size * (2 + STREAMS)
            if one.login == ours.LOGIN:
                sessions[0].say(f"CWD {ours.UNFLUSHED}", "2")
                speed = _timed(one, lambda: self._upload(sessions[0], "new"))
                _enter(table, one, "STOR, 1 stream, flush = false", size, speed)
                sessions[0].say("DELE new", "2")
                carried += size
        return carried

    def _small_round(self, one: Contestant, table: Table) -> None:
        names = [f"small{number}" for number in range(self._effort.small_files)]
        with one.session() as session, self._small.open("rb") as file:
            steps: dict[str, Callable[[str], object]] = {
                "1 KiB files written": lambda name: session.upload(name, file.fileno(), _SMALL_BYTES),
                "1 KiB files read": lambda name: _download(session, name, _SMALL_BYTES),
                "files deleted": lambda name: session.say(f"DELE {name}", "2"),
            }
            for what, step in steps.items():
                took = _timed(one, partial(_each, step, names))
                table.add(Row(what, "files/s", 0), one.name, len(names) / took.seconds)
                table.add(Row(what, "server CPU ms a file"), one.name, 1000 * took.cpu_seconds / len(names))

    def _upload(self, session: Session, name: str) -> None:
        with self._large.open("rb") as file:
            session.upload(name, file.fileno(), self._effort.large_bytes)


@dataclass(frozen=True, slots=True)
class Took:
    """What something took."""

    seconds: float
    cpu_seconds: float
    """Of all the server's processes."""


def prepare(site: ours.Site) -> None:
    """Make the directories on a site of ours that the contestants use."""
    with Session(site.address, login=ours.LOGIN, direct=False, folder="/") as session:
        for folder in (FOLDER, ours.UNFLUSHED):
            session.say(f"MKD {folder}", "2")


def _timed(one: Contestant, work: Callable[[], object]) -> Took:
    before, start = processes.cpu_seconds(one.pid), time.monotonic()
    work()
    seconds = time.monotonic() - start
    time.sleep(_SETTLE_SECONDS)
    return Took(seconds, processes.cpu_seconds(one.pid) - before)


def _enter(table: Table, one: Contestant, what: str, size: int, took: Took) -> None:
    table.add(Row(what, "GiB/s"), one.name, size / GIB / took.seconds)
    table.add(Row(what, "server CPU s per GiB"), one.name, took.cpu_seconds / (size / GIB))


def _together(works: Sequence[Callable[[], object]]) -> None:
    """Run each in a thread; one that fails fails all."""
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _resident(one: Contestant) -> str:
    """Name the file that is there to be read: ways of using one server share its directory."""
    return f"large-{'direct' if one.direct else 'plain'}"


def _each(step: Callable[[str], object], names: Sequence[str]) -> None:
    for name in names:
        step(name)


def _download(session: Session, name: str, size: int) -> None:
    moved = session.download(name)
    if moved != size:
        raise RuntimeError(f"{moved} bytes came, not {size}")


def _fill(path: Path, size: int) -> None:
    block = bytes(range(256)) * (_BLOCK_BYTES // 256)
    with path.open("wb") as file:
        while size > 0:
            size -= file.write(block[:size])
