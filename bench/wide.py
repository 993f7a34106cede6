"""A site on a network of its own: a master, nodes on links of so many Mbit, and a client's machine.

Master and client have links without a limit, and what passes each is counted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import loopback
import processes
from argosy import config
from argosy.cli.ask import ask
from argosy.wire import link
from client import Session
from others import Missing
from together import together

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # the network is that of the tests

from network import Machine, Network, WideSite
from running import PASSWORD, USER

LINK_SHARE = 1448 / 1514
"""Of what a link carries is payload: 1,448 bytes of TCP in an Ethernet frame of 1,514."""

START_SECONDS = 300.0
_LOOK_SECONDS = 0.1
_OLD_SECONDS = 3600.0
"""How long ago planted files were written; what is younger could be growing, and a node would wait."""

Settings = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Took:
    """What several did at once."""

    moved: Sequence[int]
    """Bytes, of each."""
    spans: Sequence[tuple[float, float]]
    """When each began and ended, on the monotonic clock."""

    @property
    def seconds(self) -> float:
        """From the first one's beginning to the last one's end."""
        return max(end for _, end in self.spans) - min(begin for begin, _ in self.spans)

    @property
    def megabits(self) -> float:
        """All of them, in a second."""
        return sum(self.moved) * 8e-6 / self.seconds

    @property
    def each(self) -> list[float]:
        """Of each, in its own time."""
        return [
            moved * 8e-6 / (end - begin) for moved, (begin, end) in zip(self.moved, self.spans, strict=True)
        ]


class Wide:
    """A site whose machines have links of their own."""

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int,
        megabits: int,
        client_megabits: int = 0,
        settings: Settings | None = None,
    ) -> None:
        """Lay it out; entering it starts it.

        Args:
            directory: For all that it keeps; it must not be there yet.
            nodes: How many.
            megabits: What each node's link carries in a second, in each direction.
            client_megabits: Likewise of the client's; 0: as much as can be.
            settings: For the master, where they differ from the defaults.

        Raises:
            Missing: It can't be had here.
        """
        if os.geteuid() != 0 or not loopback.has_accounts():
            raise Missing("network namespaces, which need root")
        for program in ("ip", "tc"):
            if shutil.which(program) is None:
                raise Missing(f"the program {program}")
        directory.mkdir(mode=0o755)
        self.directory = directory
        self.megabits, self._client_megabits = megabits, client_megabits
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._settings = settings
        self._stack = ExitStack()
        self._config: config.Master | None = None
        self.machines: dict[str, Machine] = {}
        self.client: Machine
        self.master: Machine
        self.site: WideSite

    @property
    def link_bytes(self) -> float:
        """What a node's link can carry of payload in a second, in one direction."""
        return self.megabits * 1e6 / 8 * LINK_SHARE

    def root(self, name: str) -> Path:
        """Where a node keeps its files."""
        return self.directory / name / "files"

    def plant(self, name: str, loc: str, size: int, *, content: bytes = b"") -> None:
        """Have a file on a node's disk before it joins; what `content` lacks of `size` takes no room."""
        path = self.root(name) / loc
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.truncate(path, size)
        then = time.time() // 1 - _OLD_SECONDS
        os.utime(path, (then, then))

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        network = self._stack.enter_context(Network())
        self.master = network.machine("master", "10.84.0.1")
        self.client = network.machine("client", "10.84.0.2", megabits=self._client_megabits)
        for number, name in enumerate(self.names, start=1):
            self.machines[name] = network.machine(name, f"10.84.1.{number}", megabits=self.megabits)
        for machine in (self.master, self.client, *self.machines.values()):
            _choose_congestion_control(machine)
        self.site = WideSite(self.directory / "site", self.master, self._settings)
        self._stack.callback(self.site.stop)
        self.site.start()
        for name in self.names:
            home = self.directory / name
            self.nodes[name] = self.site.enrol(name, home, prefix=self.machines[name].prefix)
        self.until("the nodes", lambda status: status["nodes"]["ready"] == len(self.names), START_SECONDS)

    def kill(self, name: str) -> None:
        """Kill a node as a power cut would."""
        self.nodes[name].send_signal(signal.SIGKILL)
        self.nodes[name].wait()

    def cpu_seconds(self) -> tuple[float, float]:
        """Give the processor time that the master took so far, and that all nodes did."""
        nodes = sum(processes.cpu_seconds(node.pid) for node in self.nodes.values() if node.poll() is None)
        return processes.cpu_seconds(self.site.master.pid), nodes

    def ask(self, question: link.Body) -> dict[str, Any]:
        """Ask the running master."""
        # Not by the command line: starting it would take the processor from what is measured.
        if self._config is None:
            self._config = config.load_master(self.site.config)
        return asyncio.run(ask(self._config, question))

    def nodes_told(self) -> list[dict[str, Any]]:
        """Give what `argosy nodes` says of each."""
        told: list[dict[str, Any]] = self.ask(link.AskNodes())["nodes"]
        return told

    def status(self) -> dict[str, Any]:
        """Give what `argosy status` says."""
        return self.ask(link.AskStatus())

    def until(
        self, what: str, true: Callable[[dict[str, Any]], bool], seconds: float
    ) -> tuple[dict[str, Any], float]:
        """Wait until something holds of the status; give that status, and when, on the monotonic clock.

        Raises:
            TimeoutError: It took too long.
        """
        for _ in processes.until(what, seconds, _LOOK_SECONDS):
            status = self.status()
            if true(status):
                break
        return status, time.monotonic()

    def session(self, folder: str = "/") -> Session:
        """Log in by PRET; only on the client's machine, see `at_once`."""
        return Session((self.site.host, self.site.port), login=(USER, PASSWORD), direct=True, folder=folder)

    def at_once(self, clients: Sequence[Client]) -> Took:
        """Have several clients work on the client's machine, all from the same moment on."""
        gate = threading.Barrier(len(clients))
        took: dict[int, tuple[int, tuple[float, float]]] = {}

        def run(number: int, client: Client) -> None:
            try:
                work = client()
                gate.wait(START_SECONDS)
            except BaseException:
                gate.abort()
                raise
            begin = time.monotonic()
            moved = work()
            took[number] = moved, (begin, time.monotonic())

        works = [partial(run, number, client) for number, client in enumerate(clients)]
        together([partial(self.client.inside, work) for work in works])
        ordered = [took[number] for number in range(len(clients))]
        return Took([moved for moved, _ in ordered], [span for _, span in ordered])


Client = Callable[[], Callable[[], int]]
"""Prepares, as by logging in, and gives the work; that moves bytes, and says how many."""


def _choose_congestion_control(machine: Machine) -> None:
    """Have a machine use what all use here, whatever the kernel has for a default."""
    route = ("10.84.0.0/16", "dev", "eth0", "proto", "kernel", "scope", "link", "src", machine.address)
    words = [*machine.prefix, "ip", "route", "replace", *route, "congctl", loopback.WANTED]
    subprocess.run(words, capture_output=True, check=True)
