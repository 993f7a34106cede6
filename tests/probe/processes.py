"""A site whose processes a test starts itself: killed ones are back at once, without the pauses of `up`."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from argosy import config
from argosy.cli import site as cli
from argosy.cli.founding import found
from argosy.errors import Refused
from argosy.net import pki
from argosy.net.pki import Authority
from argosy.wire import link
from running import ARGOSY, PASSWORD, START_SECONDS, STOP_SECONDS, USER, Settings, Site

TRACER = Path(__file__).with_name("tracer.py")

MASTER: Settings = {
    "link": {"beat_seconds": 1.0, "lost_seconds": 5.0},
    "ftp": {"connect_seconds": 5.0, "stall_seconds": 20.0},
    "catalogue": {"upkeep_seconds": 0.5},
}
"""So that what takes seconds in life takes less here."""

NODE = {"retry_first_seconds": 0.05, "retry_most_seconds": 0.2, "stop_seconds": 0.5, "lost_seconds": 5.0}


class Processes(Site):
    """A master and nodes that are children of the test."""

    def __init__(self, directory: Path, *, nodes: int = 2, settings: Settings = MASTER) -> None:
        """Prepare; `start` starts.

        Args:
            directory: The site's own.
            nodes: How many: n1, n2, ...
            settings: For the master.
        """
        super().__init__(directory, settings=settings)
        self._wanted = argparse.Namespace(host=None, port=0, link_port=0, nodes=nodes, user=(USER, PASSWORD))
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make the site as `argosy up` would, and start its processes."""
        place = cli.Site(self.directory)
        place.make()
        settings, _ = found(place, self._wanted)
        authority = Authority.open(place.keys)
        for name in self.names:
            request = pki.make_request(place.keys / f"{name}.key", name)
            pki.write_public(place.keys / f"{name}.pem", authority.sign_node(request, name, 90))
            file = place.node_config(name)
            file.write_text("".join(f"{key} = {value}\n" for key, value in NODE.items()) + file.read_text())
        for name in ("master", *self.names):
            self.spawn(name)
        self.host, self.port = config.split_address("ftp.listen", settings.ftp.listen)
        self.wait_until_ready(START_SECONDS)

    def stop(self) -> int:
        """Stop the children."""
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        for child in self.children.values():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return 0

    def spawn(self, name: str) -> None:
        """Start a process."""
        word = "master" if name == "master" else "node"
        file = self.directory / "config" / f"{name}.toml"
        with (self.directory / "log" / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                [*ARGOSY, word, "--config", str(file), "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def pid(self, name: str) -> int:
        """Give a child's pid."""
        return self.children[name].pid

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would, and wait until it is gone."""
        self.children[name].kill()
        self.children[name].wait(STOP_SECONDS)

    def end(self, name: str) -> None:
        """End a process as an administrator would."""
        self.children[name].terminate()
        self.children[name].wait(STOP_SECONDS)

    def root(self, name: str) -> Path:
        """Where a node's files lie."""
        return self.directory / "nodes" / name

    def why(self, path: str) -> Any:
        """Give `argosy why`."""
        return self.ask(link.AskWhy(path.encode()))

    def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Wait until all nodes have merged."""
        self.wait_for("all nodes ready", self._is_ready, seconds)

    def _is_ready(self) -> bool:
        nodes = self.nodes()
        return all(name in nodes and nodes[name]["state"] == "ready" for name in self.names)

    def bring_back(self, name: str) -> None:
        """Start a dead process and wait until the site is whole again."""
        if name == "master":
            self.spawn(name)
        else:
            before = self.nodes()[name]["epoch"]
            self.spawn(name)
            self.wait_for(f"{name} to join", lambda: self.nodes()[name]["epoch"] > before)
        self.wait_until_ready()

    def wait_for(self, what: str, true: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until something holds; a master that is away means that it doesn't."""

        def holds() -> bool:
            try:
                return bool(true())
            except Refused:
                return False

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(AssertionError, OSError, KeyError):
                if holds():
                    return
            time.sleep(0.03)
        raise AssertionError(f"waited {seconds} s in vain for: {what}\n{self.logs()}")


class Tracer:
    """`tracer.py` at a process of a site."""

    def __init__(
        self, site: Processes, name: str, action: str = "kill", count: int = 0, *, only: str = ""
    ) -> None:
        """Attach.

        Args:
            site: Whose process.
            name: Of the process.
            action: `kill` or `hold` at step `count`.
            count: 0 only watches.
            only: Count steps of this name only.
        """
        master = site.settings()
        ports = [
            f"{address.rpartition(':')[2]}={word}"
            for address, word in ((master.ftp.listen, "control"), (master.link.listen, "link"))
        ]
        self.steps: list[str] = []
        self._acted = threading.Event()
        self._attached = threading.Event()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-S", "-E", str(TRACER), "--only", only),
                *(str(site.pid(name)), str(site.directory), action, str(count), *ports),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._attached.wait(10), "the tracer attaches"
        assert self._process.poll() is None, "the tracer lives"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the process."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def acted(self, seconds: float) -> bool:
        """Wait until the process was killed or held; whether it was."""
        return self._acted.wait(seconds)

    def quiet(self, seconds: float, limit: float = 10.0) -> None:
        """Wait until the process has taken no step for a while."""
        until, before = time.monotonic() + limit, -1
        while len(self.steps) != before and time.monotonic() < until:
            before = len(self.steps)
            time.sleep(seconds)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            match line.strip():
                case "attached":
                    self._attached.set()
                case "killed" | "held":
                    self._acted.set()
                case step:
                    self.steps.append(step)
        self._attached.set()


def runs(steps: list[str]) -> Iterator[tuple[int, int]]:
    """Cut steps into runs that leave one thing behind: a run ends with a flush, or where the next differs.

    Gives the numbers of the first and the last step of each, counted from 1.
    """
    first = 1
    for number, step in enumerate(steps, 1):
        after = steps[number] if number < len(steps) else ""
        if step.endswith("sync") or after.split()[:1] != step.split()[:1]:
            yield first, number
            first = number + 1
