"""A real site for tests: `argosy up` in a directory of its own, on free ports, stopped by pid."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from argosy import config
from argosy.cli.ask import ask
from argosy.errors import Refused
from argosy.wire import link

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ARGOSY = (sys.executable, "-m", "argosy.cli.main")
USER, PASSWORD = "ann", "secret word"

Settings = Mapping[str, Mapping[str, object]]
"""Tables of the master's config file, and their keys."""


def needs(program: str) -> str:
    """Give the path of a program; without it the test is skipped."""
    path = _which(program)
    if path is None:
        pytest.skip(f"needs {program}")
    return path


def missing(*programs: str) -> list[str]:
    """Give those programs that aren't there, each once."""
    return [program for program in dict.fromkeys(programs) if _which(program) is None]


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def begin(command: Sequence[str], log: Path, *, said: str, seconds: float) -> subprocess.Popen[bytes]:
    """Start a program, and wait until it says that it's ready.

    Args:
        command: Its command line.
        log: Where it writes, behind what is there.
        said: Pattern of what it says then.
        seconds: How long it may take.

    Raises:
        AssertionError: It doesn't get ready.
    """
    with log.open("ab") as out:
        old = out.tell()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        if re.search(said.encode(), log.read_bytes()[old:], re.MULTILINE):
            return process
        time.sleep(0.02)
    end(process)
    raise AssertionError(f"{' '.join(command)} didn't get ready:\n{log.read_text()[old:]}")


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """End a program by a signal, and give its exit status.

    Raises:
        subprocess.TimeoutExpired: It didn't end, and was killed.
    """
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


class Site:
    """A master and its nodes, run by `argosy up` as a user would."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        prefix: Sequence[str] = (),
        settings: Settings | None = None,
    ) -> None:
        """Prepare; `start` starts.

        Args:
            directory: The site's own.
            options: More words for `argosy up`.
            prefix: Command before it, as `ip netns exec NAME`.
            settings: For the master, where they differ from the defaults.
        """
        self.directory = directory
        self.options = options
        self.prefix = tuple(prefix)
        self.output = ""
        self.host, self.port = "127.0.0.1", 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guests: list[subprocess.Popen[Any]] = []
        if settings:
            write_master(directory, settings)

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self.directory / "keys" / "authority.pem"

    def start(self) -> None:
        """Start, and wait until a client can log in."""
        log = self.directory.parent / f"{self.directory.name}.up.log"
        log.unlink(missing_ok=True)
        command = (
            *(*self.prefix, *ARGOSY, "up", "--dir", str(self.directory), "--port", "0"),
            *("--link-port", "0", "--user", f"{USER}:{PASSWORD}", *self.options),
        )
        try:
            self._process = begin(command, log, said="^ready", seconds=START_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        self.output = log.read_text()
        self.host, self.port = config.split_address("ftp.listen", self.settings().ftp.listen)

    def stop(self) -> int:
        """Stop it as Ctrl-C would, and give its exit status."""
        for guest in self._guests:
            with guest:
                guest.kill()
        return end(self._process, signal.SIGINT) if self._process else 0

    def logs(self) -> str:
        """Give what the processes wrote."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-4000:]}"
            for path in sorted((self.directory / "log").glob("*.log"))
        )

    def argosy(self, *words: str) -> Any:
        """Ask the command line, and give its JSON."""
        done = subprocess.run(
            [*self.prefix, *ARGOSY, *words, "--dir", str(self.directory), "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Begin a word as somebody at a terminal would; `stop` ends what still runs."""
        command = [*self.prefix, *ARGOSY, *words, "--dir", str(self.directory)]
        begun = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._guests.append(begun)
        return begun

    def add_user(self, name: str, *options: str) -> None:
        """Add an account with the password that all have here."""
        done = subprocess.run(
            [*self.prefix, *ARGOSY, "user", "add", name, *options, "--dir", str(self.directory)],
            input=f"{PASSWORD}\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def join(self, name: str, home: Path, *, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Have another machine's node join, and wait until it is ready. See `enrol`."""
        node = self.enrol(name, home, prefix=prefix)

        def ready() -> bool:
            if node.poll() is not None:
                raise ChildProcessError(f"{name} ended with {node.returncode}:\n{(home / 'log').read_text()}")
            return bool(self.node(name)["state"] == "ready")

        self.wait_for(f"{name} to be ready", ready)
        return node

    def enrol(self, name: str, home: Path, *, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start another machine's node that joins: nobody starts it again when it dies.

        Args:
            name: What to call it.
            home: Its machine's directory; the files lie in `home/files`.
            prefix: Command before it, as `ip netns exec NAME`.
        """
        token = self.argosy("token")
        home.mkdir(exist_ok=True)
        with (home / "log").open("w") as log:
            node = subprocess.Popen(
                [
                    *(*prefix, *ARGOSY, "node", "join", token["link"], "--token", token["token"]),
                    *("--name", name, "--root", str(home / "files"), "--create", "--dir", str(home / "site")),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._guests.append(node)
        return node

    def settings(self) -> config.Master:
        """Read the master's settings."""
        return config.load_master(self.directory / "config" / "master.toml")

    def ask(self, question: link.Body) -> Any:
        """Put a question to the master, without the half second that the command line takes to start.

        In a thread, for the caller may have a loop that runs.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(ask(self.settings(), question))).result()

    def status(self) -> Any:
        """Give what `argosy status --json` does."""
        return self.ask(link.AskStatus())

    def nodes(self) -> dict[str, Any]:
        """Give what the master says of its nodes, by name."""
        return {node["name"]: node for node in self.ask(link.AskNodes())["nodes"]}

    def node(self, name: str) -> Any:
        """Give what `argosy nodes --json` says of one."""
        return self.nodes()[name]

    def pid(self, name: str) -> int:
        """Give the pid of `master`, `n1`, ..."""
        return int((self.directory / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would."""
        os.kill(self.pid(name), signal.SIGKILL)

    def wait_for(self, what: str, true: Any, seconds: float = 30.0) -> None:
        """Wait until something holds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if true():
                    return
            except ChildProcessError:
                raise
            except (AssertionError, OSError, KeyError, StopIteration, Refused):
                pass
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s in vain for: {what}\n{self.logs()}")

    def wait_until_ready(self) -> None:
        """Wait until every node has merged."""
        self.wait_for(
            "all nodes ready",
            lambda: all(node["state"] == "ready" for node in self.nodes().values()),
        )


def write_master(directory: Path, settings: Settings) -> Path:
    """Write a master's config file as `argosy up` lays a site out, and give its path."""
    tables: dict[str, dict[str, object]] = {
        "paths": {"keys": "../keys", "run": "../run"},
        "catalogue": {"directory": "../catalogue"},
        "link": {"listen": "127.0.0.1:0"},
        "ftp": {"listen": "127.0.0.1:0"},
    }
    for name, keys in settings.items():
        tables.setdefault(name, {}).update(keys)
    file = directory / "config" / "master.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for name, keys in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    file.write_text("\n".join(lines) + "\n")
    return file


async def run(
    *words: str,
    seconds: float = 120.0,
    cwd: Path | None = None,
    said: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> tuple[int, bytes, str]:
    """Run a client to its end, and give its exit status, its output and its complaints.

    Args:
        words: Its command line.
        seconds: How long it may take.
        cwd: Where it runs.
        said: What it reads from stdin.
        env: The environment, where it differs from ours.
    """
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=subprocess.PIPE if said else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(said or None)
    except asyncio.CancelledError:
        process.send_signal(signal.SIGINT)  # as Ctrl-C would
        await process.communicate()
        raise
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out, err.decode(errors="replace")
