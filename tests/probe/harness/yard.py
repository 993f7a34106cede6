"""The machines: a master, nodes with a disk each, and clients, on links of their own; and their processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from argosy import config
from argosy.cli.ask import ask
from argosy.errors import Refused
from argosy.net import pki
from argosy.net.pki import Authority
from argosy.wire import link
from network import Machine, Network
from probe.harness.disks import Disk
from probe.harness.plan import MASTER
from running import ARGOSY, PASSWORD, USER, needs, write_master
from soak.visitor import Visitor, Way

MASTER_SETTINGS: Mapping[str, Mapping[str, object]] = {
    "link": {"beat_seconds": 1.0, "lost_seconds": 6.0, "request_seconds": 10.0},
    "ftp": {"connect_seconds": 6.0, "stall_seconds": 8.0, "failure_pause_seconds": 0.1},
    "catalogue": {"partial_seconds": 20.0, "upkeep_seconds": 0.5},
    "repair": {
        "audit_seconds": 30.0,
        "retry_first_seconds": 0.5,
        "retry_most_seconds": 5.0,
        "part_seconds": 20.0,
        "seconds": 60.0,
        "acknowledge_seconds": 10.0,
    },
    "placement": {"reserve_bytes": 16 << 20},
    "findings": {"quarantine_seconds": 5.0},
}
"""So that what takes minutes or a day in life takes seconds here."""

NODE_SETTINGS: Mapping[str, object] = {
    "lost_seconds": 6.0,
    "outcome_seconds": 60.0,
    "request_seconds": 10.0,
    "retry_first_seconds": 0.1,
    "retry_most_seconds": 1.0,
    "scan_seconds": 10.0,
    "stop_seconds": 0.5,
    "trash_seconds": 5.0,
}

SCRUB: Mapping[str, object] = {
    "days": 15 / 86_400,
    "first_seconds": 5.0,
    "busy_share": 0.5,
    "sent_seconds": 0.0,  # bits turn over all the time here
}

_CLOCK = Path(__file__).with_name("clock")
"""On a node's way of modules: its clock can be set."""

REPAIR_DELAY = 4.0

RULES: Mapping[str, Mapping[str, int]] = {
    "/": {"copies": 2},
    "/both": {"copies": 2, "acknowledged": 2},
    "/three": {"copies": 3},
    "/all": {"copies": 3, "acknowledged": 3},
    "/one": {"copies": 1},
}
"""Directories, and what is wanted of the files below them."""


def acknowledged(path: str) -> int:
    """Say how many copies of a path's file there are before 226."""
    return RULES[ruled_by(path)].get("acknowledged", 1)


def ruled_by(path: str) -> str:
    """Give the directory whose rule holds for a path."""
    first = f"/{path.split('/')[1]}"
    return first if first in RULES else "/"


class Yard:
    """All that runs."""

    host, port = "10.9.0.1", 2121

    def __init__(self, directory: Path, *, nodes: int, clients: int, megabits: int, megabytes: int) -> None:
        """Make machines and disks; `start` starts the site.

        Args:
            directory: Where everything lies.
            nodes: How many.
            clients: How many machines with clients.
            megabits: What a link carries in a second, in each direction.
            megabytes: A disk's size.
        """
        self.directory = directory
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.network = Network()
        self.machines: dict[str, Machine] = {
            MASTER: self.network.machine(MASTER, self.host),
            **{
                name: self.network.machine(name, f"10.9.1.{number}", megabits=megabits)
                for number, name in enumerate(self.names, 1)
            },
        }
        self.clients = [
            self.network.machine(f"client{number}", f"10.9.2.{number}") for number in range(1, clients + 1)
        ]
        self.by_address = {self.machines[name].address: name for name in self.names}
        self.disks = {name: Disk(directory / name, megabytes) for name in self.names}
        self._master_file = write_master(
            directory,
            {
                **MASTER_SETTINGS,
                "link": {**MASTER_SETTINGS["link"], "listen": f"{self.host}:2122"},
                "ftp": {**MASTER_SETTINGS["ftp"], "listen": f"{self.host}:{self.port}"},
            },
        )
        self.config = config.load_master(self._master_file)
        self._words: dict[str, tuple[str, ...]] = {
            MASTER: ("master", "--config", str(self._master_file)),
            **{name: ("node", "--config", str(directory / name / "node.toml")) for name in self.names},
        }
        self.logs = directory / "log"
        self.logs.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.network.close()
        for disk in self.disks.values():
            disk.close()

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self.directory / "keys" / "authority.pem"

    def start(self) -> None:
        """Found the site, start all processes, and wait until every node is ready."""
        authority = Authority.open(self.directory / "keys")
        for name in self.names:
            self._found_node(authority, name)
        self.argosy("user", "add", USER, said=f"{PASSWORD}\n")
        for name in (MASTER, *self.names):
            self.spawn(name)
        self.wait_for("all nodes to be ready", lambda: set(self.ready()) == set(self.names), 60)

    def _found_node(self, authority: Authority, name: str) -> None:
        home = self.directory / name
        request = pki.make_request(home / f"{name}.key", name)
        (home / f"{name}.pem").write_bytes(authority.sign_node(request, name, 90))
        (home / "authority.pem").write_bytes(authority.pem)
        keys: dict[str, object] = {
            "name": name,
            "master": f"{self.host}:2122",
            "roots": ["files"],
            "keys": ".",
            **NODE_SETTINGS,
        }
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in keys.items()]
        lines += ["[scrub]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in SCRUB.items())]
        (home / "node.toml").write_text("".join(lines))
        self.set_clock(name, 0)
        self.prepare(name)

    def prepare(self, name: str) -> None:
        """Have a node's disk, which is empty, join."""
        from argosy.node.disk import roots  # noqa: PLC0415 - as `argosy node join` does

        roots.prepare(self.disks[name].root)

    def make_directories(self) -> None:
        """Make the directories that have rules, and set those."""

        def make() -> None:
            with Visitor(self, Way.RELAYED) as visitor:
                for directory in RULES:
                    if directory != "/":
                        visitor.want(f"MKD {directory}", 257)

        self.clients[0].inside(make)
        for directory, rule in RULES.items():
            words = [word for name, value in rule.items() for word in (f"--{name}", str(value))]
            self.argosy("rule", "set", directory, *words, "--repair-delay", str(REPAIR_DELAY))

    # --- processes

    def spawn(self, name: str) -> None:
        """Start the master or a node."""
        enter = (needs("nsenter"), f"--net=/run/netns/{self.machines[name].namespace}", "--")
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*enter, *ARGOSY, *self._words[name]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(name),
            )

    def set_clock(self, name: str, days: float) -> None:
        """Set a node's clock ahead, or back, of what it should be."""
        self._clock(name).write_text(f"{days * 86_400:+.0f}\n")

    def _clock(self, name: str) -> Path:
        return self.directory / name / "clock"

    def _environment(self, name: str) -> dict[str, str]:
        """Have a node look at a clock that can be set; what it measures durations by stays as it is."""
        if name == MASTER:
            return {**os.environ}
        path = f"{_CLOCK}{os.pathsep}{os.environ['PYTHONPATH']}"
        return {**os.environ, "PYTHONPATH": path, "ARGOSY_HARNESS_CLOCK": str(self._clock(name))}

    def kill(self, name: str) -> None:
        """Kill it as a crash would."""
        self.processes[name].kill()
        self.processes[name].wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send it a signal."""
        self.processes[name].send_signal(number)

    def log_of(self, name: str) -> str:
        """Give what a process has written."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    # --- links

    def others(self, name: str) -> list[Machine]:
        """Give all machines but one."""
        return [*(machine for other, machine in self.machines.items() if other != name), *self.clients]

    # --- asking

    def argosy(self, *words: str, said: str = "") -> str:
        """Run a command of the administrator's, and give what it says."""
        done = subprocess.run(
            [*ARGOSY, *words, "--config", str(self._master_file)],
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"argosy {' '.join(words)}: {done.stderr}"
        return done.stdout

    def ask(self, question: link.Body) -> Any:
        """Put a question to the running master."""
        return asyncio.run(ask(self.config, question, seconds=15))

    def nodes(self) -> dict[str, Any]:
        """Give what the master says of its nodes, by name."""
        return {node["name"]: node for node in self.ask(link.AskNodes())["nodes"]}

    def ready(self) -> list[str]:
        """Name the nodes that are there with all their files known."""
        try:
            return [name for name, node in self.nodes().items() if node["state"] == "ready"]
        except (Refused, OSError):
            return []

    def status(self) -> Any:
        """Give `argosy status`; nothing when the master doesn't answer."""
        try:
            return self.ask(link.AskStatus())
        except (Refused, OSError):
            return {}

    def tombstones(self) -> int:
        """Count the deletions that disks owe; one that is gone for good owes them for ever."""
        with contextlib.closing(sqlite3.connect(self.directory / "catalogue" / "argosy.db")) as record:
            owed = "SELECT count(*) FROM tomb JOIN volume ON number = volume WHERE standing < 2"
            return int(record.execute(owed).fetchone()[0])

    def why(self, path: str) -> Any:
        """Give `argosy why`."""
        return self.ask(link.AskWhy(os.fsencode(path)))

    def wait_for(self, what: str, true: Callable[[], object], seconds: float) -> float:
        """Wait until something holds, and give how long that took.

        Raises:
            AssertionError: It doesn't in time.
        """
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(0.1)
        return time.monotonic() - began
