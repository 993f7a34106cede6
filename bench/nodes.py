"""The headline: nodes on links of 100 Mbit, as many clients at once, and nothing of it through the master."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from argosy.wire import link
from table import Row, Table
from together import together
from transfers import GIB, fill
from wide import LINK_SHARE, Took, Wide

ARGOSY, PLAIN = "argosy", "plain TCP"

DOWN, UP, BOTH_DOWN, BOTH_UP = "download", "upload", "both at once, down", "both at once, up"

_SECONDS = 120.0
_BLOCK = 1 << 20

_RATES = "Rates are payload, from the first command to the last 226."
_PLAIN_NOTE = (
    "Plain TCP: a stream between the client's machine and each node in the same network, sent by sendfile "
    "and thrown away unread, as by the clients of the other column."
)
_MASTER_NOTE = (
    "The master has a link without a limit, whose bytes are counted, all of them: the control connections "
    "and the link to the nodes."
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    nodes: int
    megabits: int
    size: int
    """Bytes of each file."""


def rate(what: str) -> Row:
    """What all clients move together."""
    return _rate(f"{what}, all clients")


def _rate(what: str) -> Row:
    return Row(what, "Mbit/s", 1)


LINKS = Row("all links on the wire, in each direction", "Mbit/s", 0)
MASTERS_SHARE = Row("the master's share of the bytes on the wire", "%", 2)


def measure(directory: Path, effort: Effort) -> Table:
    """Have as many clients as nodes upload, download, and do both at once, in rounds taken in turn.

    Raises:
        Missing: There are no network namespaces here.
    """
    nodes, megabits, size = effort.nodes, effort.megabits, effort.size
    title = f"{nodes} nodes on links of {megabits} Mbit each, {nodes} clients, medians of {effort.rounds}"
    table = Table(title, [ARGOSY, PLAIN], PLAIN)
    table.notes = [
        f"Each client moves a file of {size / (1 << 20):,.0f} MiB, all from the same moment on. {_RATES}",
        f"{nodes * megabits} Mbit on the wire are {nodes * megabits * LINK_SHARE:,.0f} of TCP's payload.",
        _PLAIN_NOTE,
        _MASTER_NOTE,
    ]
    content = directory / "content"
    fill(content, size)
    with Wide(directory / "wide", nodes=nodes, megabits=megabits) as wide:
        plain = _Plain(wide, content, size)
        for column in table.columns:
            table.add(LINKS, column, nodes * megabits)
        for number in range(effort.rounds):
            _ours(wide, content, size, number, table)
            plain.round(table)
    content.unlink()
    return table


def _ours(wide: Wide, content: Path, size: int, number: int, table: Table) -> None:
    names = [f"{number}-{one}" for one in range(len(wide.names))]
    new = [f"new{name}" for name in names]
    before, cpu = wide.master.traffic(), wide.cpu_seconds()
    up = wide.at_once([partial(_uploading, wide, content, name, size) for name in names])
    _enter(table, ARGOSY, UP, up)
    used = {copy["node"] for name in names for copy in wide.ask(link.AskWhy(name.encode()))["replicas"]}
    down = wide.at_once([partial(_downloading, wide, name, size) for name in names])
    _enter(table, ARGOSY, DOWN, down)
    both = wide.at_once(
        [partial(_downloading, wide, name, size) for name in names]
        + [partial(_uploading, wide, content, name, size) for name in new]
    )
    _enter_both(table, ARGOSY, both)
    moved = sum(map(sum, (up.moved, down.moved, both.moved)))
    after = wide.cpu_seconds()
    table.add(Row("nodes that the uploads went to", "of them", 0), ARGOSY, len(used))
    table.add(MASTERS_SHARE, ARGOSY, 100 * (wide.master.traffic() - before) / moved)
    for whose, one, other in zip(("master", "nodes"), cpu, after, strict=True):
        table.add(Row(f"CPU of the {whose}", "s per GiB", 3), ARGOSY, (other - one) * GIB / moved)
    wide.at_once([partial(_deleting, wide, [*names, *new])])


def _uploading(wide: Wide, content: Path, name: str, size: int) -> Callable[[], int]:
    session = wide.session()

    def work() -> int:
        with session, content.open("rb") as file:
            session.upload(name, file.fileno(), size)
        return size

    return work


def _downloading(wide: Wide, name: str, size: int) -> Callable[[], int]:
    session = wide.session()

    def work() -> int:
        with session:
            moved = session.download(name)
        if moved != size:
            raise RuntimeError(f"{moved} bytes of {name} came, not {size}")
        return moved

    return work


def _deleting(wide: Wide, names: Sequence[str]) -> Callable[[], int]:
    session = wide.session()

    def work() -> int:
        with session:
            for name in names:
                session.say(f"DELE {name}", "2")
        return 0

    return work


class _Plain:
    """What the links carry without any of ours: a stream between the client's machine and each node."""

    def __init__(self, wide: Wide, content: Path, size: int) -> None:
        self._wide, self._content, self._size = wide, content, size

    def round(self, table: Table) -> None:
        """Do what the clients do."""
        down = [(name, self._send, self._take) for name in self._wide.names]
        up = [(name, self._take, self._send) for name in self._wide.names]
        _enter(table, PLAIN, UP, self._move(up))
        _enter(table, PLAIN, DOWN, self._move(down))
        _enter_both(table, PLAIN, self._move(down + up))

    def _move(self, streams: Sequence[tuple[str, _End, _End]]) -> Took:
        """Have both ends of some streams move bytes; it is over when who takes them has all."""
        listeners = [
            self._wide.machines[name].inside(lambda: socket.create_server(("0.0.0.0", 0)))
            for name, _, _ in streams
        ]
        found: list[Took] = []
        clients = [
            partial(self._client, listener, name, ours)
            for listener, (name, _, ours) in zip(listeners, streams, strict=True)
        ]
        servers = [
            partial(_serve, listener, theirs)
            for listener, (_, theirs, _) in zip(listeners, streams, strict=True)
        ]
        together([*servers, lambda: found.append(self._wide.at_once(clients))])
        return found[0]

    def _client(self, listener: socket.socket, name: str, end: _End) -> Callable[[], int]:
        address = self._wide.machines[name].address, listener.getsockname()[1]

        def work() -> int:
            with socket.create_connection(address, _SECONDS) as stream:
                stream.setblocking(True)
                moved = end(stream)
                stream.shutdown(socket.SHUT_WR)
                stream.recv(1)  # the other end has it all
            return moved

        return work

    def _send(self, stream: socket.socket) -> int:
        sent = 0
        with self._content.open("rb") as file:
            while sent < self._size:
                sent += os.sendfile(stream.fileno(), file.fileno(), sent, self._size - sent)
        return sent

    def _take(self, stream: socket.socket) -> int:
        moved, sink = 0, bytearray(_BLOCK)
        while moved < self._size and (count := stream.recv_into(sink, _BLOCK, socket.MSG_TRUNC)):
            moved += count
        if moved != self._size:
            raise RuntimeError(f"{moved} bytes came, not {self._size}")
        return moved


_End = Callable[[socket.socket], int]


def _serve(listener: socket.socket, end: _End) -> None:
    listener.settimeout(_SECONDS)
    with listener:
        stream, _ = listener.accept()
    with stream:
        stream.setblocking(True)
        end(stream)


def _enter(table: Table, column: str, what: str, took: Took) -> None:
    table.add(rate(what), column, took.megabits)
    table.add(_rate(f"{what}, the slowest client"), column, min(took.each))
    table.add(_rate(f"{what}, the fastest client"), column, max(took.each))


def _enter_both(table: Table, column: str, took: Took) -> None:
    half = len(took.moved) // 2
    for what, part in ((BOTH_DOWN, slice(0, half)), (BOTH_UP, slice(half, None))):
        _enter(table, column, what, Took(took.moved[part], took.spans[part]))
