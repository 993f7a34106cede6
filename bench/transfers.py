"""Transfers: large files by one stream and by several, with TLS and without; small ones by the thousand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ours
from client import Session, Unexpected
from peers import FOLDER, Contestant
from table import Row, Table
from together import together
from took import Took, timed

GIB = 1 << 30
STREAMS = (1, 4, 16)

_STORED_STREAMS = 4
"""That many large files are written at once at the most; more write smaller ones, for want of room."""

_RESIDENT = "large"
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

    def __init__(
        self, contestants: Sequence[Contestant], effort: Effort, directory: Path, baseline: str
    ) -> None:
        """Prepare: every server gets the large file.

        Args:
            contestants: In the order of the columns.
            effort: How much.
            directory: For the files that are uploaded.
            baseline: The column that the others are compared with.
        """
        self._contestants = contestants
        self.effort = effort
        self._baseline = baseline
        self._large = directory / "large"
        self._small = directory / "small"
        fill(self._large, effort.large_bytes)
        fill(self._small, _SMALL_BYTES)
        for one in {one.pid: one for one in contestants}.values():
            with one.session() as session:
                self._upload(session, _RESIDENT, effort.large_bytes)

    def close(self) -> None:
        """Give the room back."""
        for one in {one.pid: one for one in self._contestants}.values():
            with one.session() as session:
                session.say(f"DELE {_RESIDENT}", "2")
        self._large.unlink()

    def large(self, site: ours.Site | None, title: str) -> Table:
        """Measure large files, and what of them went through the master."""
        table = Table(title, [one.name for one in self._contestants], self._baseline)
        for _ in range(self.effort.rounds):
            for one in self._contestants:
                mine = site is not None and one.pid == site.pid
                before = site.status()["relayed_bytes"] if site and mine else 0
                carried = self._large_round(one, table)
                if site and mine:
                    through = site.status()["relayed_bytes"] - before
                    row = Row("share of the bytes that went through the master", "%", 1)
                    table.add(row, one.name, 100 * through / carried)
        return table

    def secure(self, title: str) -> Table:
        """Measure large files with TLS on both connections."""
        table = Table(title, [one.name for one in self._contestants], self._baseline)
        size = self.effort.large_bytes
        for _ in range(self.effort.rounds):
            for one in self._contestants:
                with one.session(secure=True) as session:
                    _enter(table, "RETR", timed(one, partial(_download, session, _RESIDENT, size)), one.name)
                    _enter(table, "STOR", timed(one, partial(self._upload, session, "new", size)), one.name)
                    session.say("DELE new", "2")
        return table

    def small(self, title: str) -> Table:
        """Measure small files, all in one session."""
        table = Table(title, [one.name for one in self._contestants], self._baseline)
        for _ in range(self.effort.rounds):
            for one in self._contestants:
                self._small_round(one, table)
        return table

    def _large_round(self, one: Contestant, table: Table) -> int:
        size, carried = self.effort.large_bytes, 0
        with ExitStack() as stack:
            sessions = [stack.enter_context(one.session()) for _ in range(max(STREAMS))]
            for count in STREAMS:
                works = [partial(_download, session, _RESIDENT, size) for session in sessions[:count]]
                carried += _enter(
                    table, f"RETR, {streams(count)}", timed(one, partial(_at_once, works)), one.name
                )
            for count in STREAMS:
                each = size if count <= _STORED_STREAMS else size * _STORED_STREAMS // count
                works = [
                    partial(self._upload, session, f"new{number}", each)
                    for number, session in enumerate(sessions[:count])
                ]
                carried += _enter(
                    table, f"STOR, {streams(count)}", timed(one, partial(_at_once, works)), one.name
                )
                for number in range(count):
                    sessions[number].say(f"DELE new{number}", "2")
            if one.login == ours.LOGIN:
                sessions[0].say(f"CWD {ours.UNFLUSHED}", "2")
                took = timed(one, partial(self._upload, sessions[0], "new", size))
                carried += _enter(table, "STOR, 1 stream, flush = false", took, one.name)
                sessions[0].say("DELE new", "2")
        return carried

    def _small_round(self, one: Contestant, table: Table) -> None:
        names = [f"small{number}" for number in range(self.effort.small_files)]
        with one.session() as session, self._small.open("rb") as file:
            steps: dict[str, Callable[[str], object]] = {
                "1 KiB files written": lambda name: session.upload(name, file.fileno(), _SMALL_BYTES),
                "1 KiB files read": lambda name: _download(session, name, _SMALL_BYTES),
                "files deleted": lambda name: session.say(f"DELE {name}", "2"),
            }
            for what, step in steps.items():
                took = timed(one, partial(_each, step, names))
                table.add(Row(what, "files/s", 0), one.name, len(names) / took.seconds)
                table.add(Row(what, "server CPU ms a file"), one.name, 1000 * took.cpu_seconds / len(names))

    def _upload(self, session: Session, name: str, size: int) -> int:
        with self._large.open("rb") as file:
            session.upload(name, file.fileno(), size)
        return size


def prepare(site: ours.Site) -> None:
    """Make the directories on a site of ours that the contestants use."""
    with Session(site.address, login=ours.LOGIN, direct=False, folder="/") as session:
        for folder in (FOLDER, ours.UNFLUSHED):
            with contextlib.suppress(Unexpected):  # it's there already when a directory was planted in it
                session.say(f"MKD {folder}", "2")
            session.say(f"CWD {folder}", "2")


def streams(count: int) -> str:
    """Say how many."""
    return f"{count} stream{'s' * (count > 1)}"


def _enter(table: Table, what: str, took: Took, column: str) -> int:
    """Enter what moving some bytes took, and give how many they were."""
    gibibytes = took.moved / GIB
    table.add(Row(what, "GiB/s"), column, gibibytes / took.seconds)
    table.add(Row(what, "server CPU s per GiB"), column, took.cpu_seconds / gibibytes)
    return took.moved


def _at_once(works: Sequence[Callable[[], int]]) -> int:
    moved: list[int] = []
    together([lambda work=work: moved.append(work()) for work in works])  # type: ignore[misc]
    return sum(moved)


def _each(step: Callable[[str], object], names: Sequence[str]) -> int:
    for name in names:
        step(name)
    return len(names)


def _download(session: Session, name: str, size: int) -> int:
    moved = session.download(name)
    if moved != size:
        raise RuntimeError(f"{moved} bytes came, not {size}")
    return moved


def fill(path: Path, size: int) -> None:
    """Make a file of so many bytes."""
    block = bytes(range(256)) * (_BLOCK_BYTES // 256)
    with path.open("wb") as file:
        while size > 0:
            size -= file.write(block[:size])
