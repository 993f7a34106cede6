"""Several machines on one: network namespaces on a bridge, with addresses and counters of their own.

Only root can make them. The bridge lies in a namespace, too, so this machine's own network stays as it is.
Names begin with a random word, so several networks can be there at once; what was begun in them is ended by
its number.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

from running import ARGOSY, USER, Settings, Site, needs, write_master

_T = TypeVar("_T")

_CLONE_NEWNET = 0x40000000  # setns(2)
_NAMESPACES = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)

_BURST, _QUEUE = "128k", "50ms"
"""Of a link with a limit: what may go at once after a pause, and how long a packet waits at the most."""

_NOBODY = "02:00:00:00:00:00"
"""An Ethernet address that no machine has."""


class Machine:
    """One machine of the network."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address
        self.prefix = (needs("ip"), "netns", "exec", namespace)
        """Before a command line: runs it there."""

    def traffic(self) -> int:
        """Give the bytes that went in and out so far."""
        counters = ("rx_bytes", "tx_bytes")
        files = [f"/sys/class/net/eth0/statistics/{counter}" for counter in counters]
        done = subprocess.run(
            [*self.prefix, "cat", *files], capture_output=True, check=True, text=True, timeout=20
        )
        return sum(map(int, done.stdout.split()))

    def enter(self) -> None:
        """Put the calling thread on this machine for good; sockets that it makes from now on are there."""
        _enter(_NAMESPACES / self.namespace)

    def inside(self, work: Callable[[], _T]) -> _T:
        """Do something in a thread that is on this machine; sockets made there stay there."""
        outcome: Future[_T] = Future()

        def there() -> None:
            try:
                self.enter()
                outcome.set_result(work())
            except BaseException as failure:  # noqa: BLE001 - handed over to the test
                outcome.set_exception(failure)

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        return outcome.result()


def _enter(namespace: Path) -> None:
    with namespace.open() as file:
        if _libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class Network:
    """A hub, and the machines on it."""

    def __init__(self) -> None:
        """Make the hub. Without the rights for it the test is skipped."""
        self._ip = needs("ip")
        self._prefix = f"argosy-{secrets.token_hex(3)}"
        self._hub = f"{self._prefix}-hub"
        self._namespaces: list[str] = []
        self._lost: Counter[tuple[Machine, Machine]] = Counter()
        if os.geteuid() != 0:
            pytest.skip("needs root, for network namespaces")
        try:
            self._add(self._hub)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"needs network namespaces: {error.stderr}")
        self._run("-n", self._hub, "link", "add", "hub", "type", "bridge", "forward_delay", "0")
        self._run("-n", self._hub, "link", "set", "hub", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def machine(self, name: str, address: str, *, megabits: int = 0) -> Machine:
        """Add a machine.

        Args:
            name: Few letters.
            address: In 10.0.0.0/8; all machines are in one /16.
            megabits: What its link carries in a second, in each direction; 0: as much as can be.
        """
        namespace, port = f"{self._prefix}-{name}", f"to-{name}"
        self._add(namespace)
        self._run("-n", self._hub, "link", "add", port, "type", "veth", "peer", "eth0", "netns", namespace)
        self._run("-n", self._hub, "link", "set", port, "master", "hub", "up")
        self._run("-n", namespace, "address", "add", f"{address}/16", "dev", "eth0")
        for interface in ("lo", "eth0"):
            self._run("-n", namespace, "link", "set", interface, "up")
        if megabits:
            # What it sends is held back at its own end, what it gets at the hub's.
            self._hold_back(namespace, "eth0", megabits)
            self._hold_back(self._hub, port, megabits)
        return Machine(namespace, address)

    def _hold_back(self, namespace: str, interface: str, megabits: int) -> None:
        limit = ("rate", f"{megabits}mbit", "burst", _BURST, "latency", _QUEUE)
        discipline = (needs("tc"), "qdisc", "replace", "dev", interface, "root", "tbf")
        self._run("netns", "exec", namespace, *discipline, *limit)

    def lose(self, sender: Machine, *receivers: Machine) -> None:
        """Have all packets from one machine to others get lost, until `heal`; nobody is told.

        They are sent to an Ethernet address that nobody has. What is lost twice must be healed twice.
        """
        how = ("lladdr", _NOBODY, "nud", "permanent")
        self._lost.update((sender, receiver) for receiver in receivers)
        self._neighbours(sender, "replace", receivers, *how)

    def heal(self, sender: Machine, *receivers: Machine) -> None:
        """Let packets from one machine reach others again; those of before are gone."""
        self._lost.subtract((sender, receiver) for receiver in receivers)
        self._neighbours(sender, "delete", [one for one in receivers if not self._lost[sender, one]])

    def _neighbours(self, sender: Machine, verb: str, receivers: Sequence[Machine], *how: str) -> None:
        lines = [" ".join(("neighbour", verb, other.address, *how, "dev", "eth0")) for other in receivers]
        subprocess.run(
            [self._ip, "-n", sender.namespace, "-batch", "-"],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )

    def close(self) -> None:
        """End what still runs in the namespaces, and remove them."""
        for namespace in reversed(self._namespaces):
            left = subprocess.run(
                [self._ip, "netns", "pids", namespace],
                capture_output=True,
                text=True,
                check=False,
                timeout=20,
            )
            for pid in map(int, left.stdout.split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run([self._ip, "netns", "delete", namespace], check=False, timeout=20)
        self._namespaces.clear()

    def _add(self, namespace: str) -> None:
        self._run("netns", "add", namespace)
        self._namespaces.append(namespace)

    def _run(self, *words: str) -> None:
        subprocess.run([self._ip, *words], check=True, capture_output=True, text=True, timeout=20)


class WideSite(Site):
    """A master on a machine of its own. Nodes come from elsewhere, by `join`."""

    def __init__(self, directory: Path, machine: Machine, settings: Settings | None = None) -> None:
        """Prepare; `start` starts.

        Args:
            directory: The master's.
            machine: Where it runs.
            settings: For the master, where they differ from the defaults.
        """
        super().__init__(directory, prefix=machine.prefix)
        self.host, self.port = machine.address, 2121
        places = {"ftp": f"{machine.address}:2121", "link": f"{machine.address}:2122"}
        tables = {name: {**keys} for name, keys in (settings or {}).items()}
        for name, listen in places.items():
            tables.setdefault(name, {})["listen"] = listen
        self.config = write_master(directory, tables)

    def start(self) -> None:
        """Start the master, and wait until it answers."""
        self.add_user(USER)
        logs = self.directory / "log"
        logs.mkdir(exist_ok=True)
        with (logs / "master.log").open("w") as log:
            self._process = subprocess.Popen(
                [*self.prefix, *ARGOSY, "master", "--config", str(self.config)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_for("the master to answer", lambda: self.status()["ftp"])

    @property
    def master(self) -> subprocess.Popen[bytes]:
        """The master's process."""
        assert self._process is not None, "started"
        return self._process
