"""Keeps a few processes running: starts them, starts them again when they die, and stops them all."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import Failed

STOP_SECONDS = 10.0
"""From TERM to KILL. A node gives its running transfers a few seconds of these."""

FIRST_PAUSE_SECONDS = 0.5
MOST_PAUSE_SECONDS = 30.0
"""Pauses before starting a dead process again: they double from the first to the most."""

SETTLED_SECONDS = 60.0
"""Who lived so long begins again at the first pause."""

LOG_LIMIT = 10 * 1024 * 1024
"""Bytes after which a log is put aside as NAME.log.1 when its process starts."""

_ROUTINE = re.compile(r"\S+Z \S+ (debug|info) ")
"""A line of the log, and no cause of anything."""

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def next_pause(last: float, lived: float) -> float:
    """Give the pause before the next start, in seconds.

    Args:
        last: The pause before this start; 0 for the first.
        lived: How long the process was alive.
    """
    if lived >= SETTLED_SECONDS or not last:
        return FIRST_PAUSE_SECONDS
    return min(last * 2, MOST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Job:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    mark: str
    """Stands in the command line; by it a process of an earlier life is known again."""
    pid: Path
    """The file for its number."""
    log: Path
    """Where what it says goes."""


class Supervisor:
    """Owns the processes that it starts, and the tasks that watch them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin with nothing running.

        Args:
            say: Told in a sentence when a process dies.
        """
        self._say = say
        self._tasks: list[asyncio.Task[None]] = []
        self._deaths: dict[str, str] = {}

    def start(self, job: Job) -> None:
        """Start a process and keep it running until `stop`."""
        self._tasks.append(asyncio.create_task(self._keep(job)))

    def check(self, job: Job) -> None:
        """Make sure that a process that has just been started didn't die at once.

        Raises:
            Failed: It did; the sentence says how, and holds its last words.
        """
        if job.name in self._deaths:
            raise DidNotStart(f"{job.name} {self._deaths[job.name]}")

    def died(self, name: str) -> bool:
        """Whether a process has died since we started it, once at least."""
        return name in self._deaths

    async def stop(self) -> None:
        """Stop all processes at once: TERM, and KILL for those that don't hear."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, job: Job) -> None:
        pause = 0.0
        while True:
            began = time.monotonic()
            end = await self._live(job)
            self._deaths[job.name] = end
            pause = next_pause(pause, time.monotonic() - began)
            self._say(f"{job.name} {end}; starting it again in {pause:g} s ({job.log})")
            await asyncio.sleep(pause)

    async def _live(self, job: Job) -> str:
        """Run the process once; give how it ended."""
        await asyncio.to_thread(stop_stale, job)
        put_aside(job.log)
        try:
            with job.log.open("ab") as log:
                begin = log.tell()
                process = await asyncio.create_subprocess_exec(
                    *job.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C reaches us only; we stop it
                )
        except OSError as error:
            return f"can't be started ({error})"
        try:
            job.pid.write_text(f"{process.pid}\n")
            status = await process.wait()
        finally:
            await _end(process)
            job.pid.unlink(missing_ok=True)
        if status < 0:  # then nothing that it said is why
            return f"was killed by signal {-status}"
        return f"ended with status {status}: {last_words(job.log, since=begin)}"


class DidNotStart(Failed):
    """It doesn't start."""


def tie_to_parent(parent: int) -> None:
    """Have the kernel send us TERM when our parent dies, however it dies; end at once if it has already.

    Args:
        parent: The process number that started us.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def stop_stale(job: Job, seconds: float = STOP_SECONDS) -> None:
    """Stop a process that an earlier supervisor left behind, if its number is still that process's.

    Args:
        job: Whose.
        seconds: How long it may take before it is killed.
    """
    try:
        pid = parse_pid(job.pid.read_text())
        process = os.pidfd_open(pid) if pid else None
    except OSError:
        process = None
    if process is not None:
        try:
            _stop_held(process, pid, job.mark, seconds)
        finally:
            os.close(process)
    job.pid.unlink(missing_ok=True)


def parse_pid(text: str) -> int:
    """Give the process number in a pid file, 0 if there is none.

    Never a number below 2: to kill(2), 0 is our own group, -1 every process there is, and 1 is init.
    """
    words = text.strip()
    number = int(words) if words.isascii() and words.isdecimal() else 0
    return number if number > 1 else 0


def _stop_held(process: int, pid: int, mark: str, seconds: float) -> None:
    # By descriptor: between our look and the signal the number can't become another process's.
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _is_ours(pid, mark):
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)
        select.select([process], [], [], seconds)  # readable once it has ended


def last_words(log: Path, *, since: int = 0) -> str:
    """Give the last line of a log that says something, and isn't routine.

    Args:
        log: Which.
        since: Where it begins, in bytes: what is before is another life's.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "no log"
    telling = (line.strip() for line in reversed(lines) if line.strip() and not _ROUTINE.match(line))
    return next(telling, "it didn't say why")


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()


def _is_ours(pid: int, mark: str) -> bool:
    # Numbers are used again: only a living process with our mark in its command line may be stopped.
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(mark) in words


def put_aside(log: Path) -> None:
    """Give a log that has grown long another name, so that a new one begins."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
