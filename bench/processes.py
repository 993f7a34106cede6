"""What processes cost: processor time, memory, and when they began."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

STOP_SECONDS = 20.0
REST_SECONDS = 10.0

_LOOK_SECONDS = 0.1
_IDLE_SHARE = 0.1

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Give a process and all that came from it and still live."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process and all its children took so far."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            # Of the process itself to the nanosecond, of children that ended to the tick.
            total += time.clock_gettime((~one << 3) | 2)
            fields = _stat(one)
            total += (int(fields[13]) + int(fields[14])) / _TICKS
    return total


def rest(pid: int) -> None:
    """Wait until a process and its children do next to nothing, but not for ever."""
    until = time.monotonic() + REST_SECONDS
    before = cpu_seconds(pid)
    while time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        now = cpu_seconds(pid)
        if now - before < _IDLE_SHARE * _LOOK_SECONDS:
            return
        before = now


def age_seconds(pid: int) -> float:
    """Give how long ago a process began.

    Raises:
        OSError: There is no such process.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(_stat(pid)[19]) / _TICKS


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process has had.

    Raises:
        OSError: There is no such process.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def pss_bytes(pid: int) -> int:
    """Give the memory of a process and all its children; what they share counts once. proc_pid_smaps(5)."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """End a process that we started; kill it when it won't."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(what: str, seconds: float, pause: float) -> Iterator[None]:
    """Go round until the caller has what it waits for.

    Raises:
        TimeoutError: It took too long.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(pause)
    raise TimeoutError(f"waited {seconds:g} s in vain for {what}")


def _stat(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat behind the name, from the state on. proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
