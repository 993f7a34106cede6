"""A guest of QEMU that runs: jobs for its shell, files in and out.

The machine is emulated in software, so that it runs wherever QEMU does: it's for what a client does, not for
how fast. The host's loopback is `gateway` in the guest.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kernel import agent
from kernel.image import Image, Missing, image

HOST = "gateway"
"""What this machine's loopback is called in the guest."""
MEGABYTES = 1536
START_SECONDS = 180.0
ASK_SECONDS = 20.0
JOB_SECONDS = 120.0
STOP_SECONDS = 10.0
_TOLD = 2000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it said."""
        return self.out.decode()


class Failed(AssertionError):  # noqa: N818 - what happened to a job
    """A job ended with another code than 0, or not in time."""


class Guest:
    """A machine with a kernel's NFS client in it."""

    def __init__(self, directory: Path, made: Image, *, capture: Path | None = None) -> None:
        """Start it; `boot` does, and waits.

        Args:
            directory: For its log.
            made: What to start.
            capture: Where to write what its network carries, for tcpdump.
        """
        qemu = shutil.which("qemu-system-x86_64")
        if qemu is None:
            raise Missing("needs qemu-system-x86_64")
        self.log = directory / "console"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port: int = probe.getsockname()[1]
        dump = ("-object", f"filter-dump,id=dump,netdev=net,file={capture}") if capture else ()
        command = [
            *(qemu, "-M", "pc", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-m", str(MEGABYTES)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-serial", f"file:{self.log}", "-kernel", str(made.kernel), "-initrd", str(made.files)),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self._port}-:{agent.PORT}", *dump),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
            *("-append", "console=ttyS0 loglevel=5 panic=-1 tsc=reliable no_timer_check mitigations=off"),
        ]
        with (directory / "qemu").open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=said)

    def wait_until_up(self) -> None:
        """Wait until it does jobs.

        Raises:
            AssertionError: It doesn't.
        """
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, f"QEMU ended with {self._process.returncode}:\n{self.tail()}"
            with contextlib.suppress(OSError, ValueError):
                if self._ask("true", b"", ASK_SECONDS).code == 0:
                    return
            time.sleep(0.2)
        raise AssertionError(f"the guest didn't come up in {START_SECONDS:g} s:\n{self.tail()}")

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, ValueError):
            self._ask(agent.QUIT, b"", 1.0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def tail(self) -> str:
        """Give the end of what its kernel said."""
        return self.log.read_text(errors="replace")[-_TOLD:] if self.log.exists() else ""

    def run(self, command: str, *, seconds: float = JOB_SECONDS, said: bytes = b"") -> Ended:
        """Do a job to its end, whatever its code.

        Args:
            command: For the shell; its directory is /tmp.
            seconds: How long it may take; after that it is killed.
            said: What it reads from stdin.

        Raises:
            Failed: It took too long.
        """
        try:
            return self._ask(command, said, seconds)
        except TimeoutError:
            raise Failed(f"took more than {seconds:g} s: {command}\n{self.tail()}") from None

    def do(self, command: str, *, seconds: float = JOB_SECONDS, said: bytes = b"") -> str:
        """Do a job that has to end well, and give what it said; `run` tells of the arguments.

        Raises:
            Failed: It didn't.
        """
        ended = self.run(f"set -e\n{command}", seconds=seconds, said=said)
        if ended.code:
            told = f"{ended.out.decode(errors='replace')[-_TOLD:]}\n{ended.err[-_TOLD:]}"
            raise Failed(f"{ended.code}: {command}\n{told}\n{self.tail()}")
        return ended.out.decode(errors="surrogateescape")

    def begin(self, command: str, *, seconds: float = JOB_SECONDS) -> Future[Ended]:
        """Begin a job that goes on while others are done; `run` tells of the arguments."""
        future: Future[Ended] = Future()

        def work() -> None:
            try:
                future.set_result(self.run(command, seconds=seconds))
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future

    def put(self, path: str, *files: Path) -> None:
        """Bring files, and directories with all in them, into a directory of the guest."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for file in files:
                archive.add(file, file.name)
        self.do(f"mkdir -p '{path}' && tar -xf - -C '{path}'", said=packed.getvalue())

    def get(self, path: str, directory: Path) -> None:
        """Bring what is in a directory of the guest into one of ours."""
        ended = self.run(f"tar -cf - -C '{path}' .")
        if ended.code:
            raise Failed(f"{path}: {ended.err}")
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-xf", "-", "-C", str(directory)], input=ended.out, check=True)

    def _ask(self, command: str, said: bytes, seconds: float) -> Ended:
        until = time.monotonic() + seconds
        asked = json.dumps({"command": command, "input": len(said)}).encode()
        address = ("127.0.0.1", self._port)
        with socket.create_connection(address, seconds) as made, made.makefile("rb") as answer:
            made.sendall(asked + b"\n" + said)
            made.settimeout(max(0.1, until - time.monotonic()))
            line = answer.readline()
            if not line:
                raise ConnectionError("the guest went away")
            sizes = json.loads(line)
            out, err = (_exactly(answer, sizes[name]) for name in ("out", "err"))
            return Ended(sizes["code"], out, err.decode(errors="replace"))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ConnectionError("the guest went away")
    return data


@contextmanager
def boot(directory: Path, *, capture: Path | None = None) -> Iterator[Guest]:
    """Run a guest; `Guest` tells of the arguments.

    Raises:
        Missing: There is no QEMU, or no image.
    """
    guest = Guest(directory, image(), capture=capture)
    try:
        guest.wait_until_up()
        yield guest
    finally:
        guest.stop()
