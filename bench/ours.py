"""A site of ours: `argosy up` with a master and one node, in a directory of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import processes
from argosy import config
from argosy.cli.ask import ask
from argosy.errors import Refused
from argosy.wire import link

LOGIN = ("ann", "secret")
START_SECONDS = 120.0

UNFLUSHED = "/unflushed"
"""A section whose uploads aren't flushed to the disk before 226."""

_MASTER = f"""
[paths]
keys = "../keys"
run = "../run"
[catalogue]
directory = "../catalogue"
[ftp]
listen = "127.0.0.1:0"
[link]
listen = "127.0.0.1:0"
[sections.unflushed]
path = "{UNFLUSHED}"
flush = false
"""

_NODE = """
name = "n1"
master = "127.0.0.1:1"
roots = ["../nodes/n1"]
keys = "../keys"
trash_seconds = 0
"""


class Site:
    """A master and a node that run."""

    def __init__(self, directory: Path) -> None:
        """Lay it out; entering it starts it."""
        self.directory = directory
        self.address = ("", 0)
        self._config: config.Master | None = None
        self._up: subprocess.Popen[bytes] | None = None
        (directory / "config").mkdir(parents=True)
        (directory / "config" / "master.toml").write_text(_MASTER)
        (directory / "config" / "n1.toml").write_text(_NODE)

    @property
    def root(self) -> Path:
        """Where the node keeps its files."""
        return self.directory / "nodes" / "n1"

    @property
    def pid(self) -> int:
        """The process that all others come from."""
        assert self._up is not None, "entered"
        return self._up.pid

    def __enter__(self) -> Self:
        log = self.directory / "up.json"
        command = [sys.executable, "-m", "argosy.cli.main", "up", "--dir", str(self.directory), "--json"]
        options = ["--port", "0", "--link-port", "0", "--nodes", "1", "--user", ":".join(LOGIN)]
        with log.open("wb") as out, (self.directory / "up.log").open("wb") as errors:
            self._up = subprocess.Popen([*command, *options], stdout=out, stderr=errors)
        try:
            for _ in processes.until("argosy up", START_SECONDS, 0.02):
                if self._up.poll() is not None or log.read_text().endswith("}\n"):
                    break
        except BaseException:
            processes.stop(self._up, signal.SIGINT)
            raise
        if self._up.poll() is not None:
            raise RuntimeError((self.directory / "up.log").read_text())
        host, port = json.loads(log.read_text())["ftp"].rsplit(":", 1)
        self.address = (host, int(port))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._up is not None:
            processes.stop(self._up, signal.SIGINT)

    def process(self, name: str) -> int:
        """Give the pid of `master` or `n1`.

        Raises:
            OSError: It isn't started yet.
            ValueError: Its pid is being written.
        """
        return int((self.directory / "run" / f"{name}.pid").read_text())

    def status(self) -> dict[str, Any]:
        """Give what `argosy status` says."""
        return self._ask(link.AskStatus())

    def node(self) -> dict[str, Any]:
        """Give what `argosy nodes` says of the node; nothing while the master isn't there."""
        try:
            found: list[dict[str, Any]] = self._ask(link.AskNodes())["nodes"]
        except (Refused, OSError):
            return {}
        return found[0] if found else {}

    def _ask(self, question: link.Body) -> dict[str, Any]:
        # Not by the command line: starting it would take the processor from what is measured.
        if self._config is None:
            self._config = config.load_master(self.directory / "config" / "master.toml")
        return asyncio.run(ask(self._config, question))
