"""Kill a running process exactly before its N-th lasting step: a write, a flush, a rename, a message.

Run as a program of its own, for ptrace(2) serves one thread. It attaches to all threads of a process, counts
the system calls that leave something behind, in the order of the whole process, and says each on a line:

    journal.db-wal pwrite64

At the N-th the process is killed before the call is made (`kill`), or stands still until we read a line
(`hold`). With N 0 it only watches. When this program ends, the process goes on.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import re
import signal
import sys
from typing import NamedTuple

_SYSCALL = 24
_SEIZE, _INTERRUPT, _LISTEN, _SYSCALL_INFO = 0x4206, 0x4207, 0x4208, 0x420E
_OPTIONS = 1 | 8  # PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACECLONE
_EVENT_STOP = 128
_ALL_THREADS = 0x40000000  # __WALL of waitpid(2)
_ENTRY = 1
_O_CREAT = 0o100
_PART = re.compile("[0-9a-f]{16}")

BY_DESCRIPTOR = {
    "x86_64": """write 1, writev 20, pwrite64 18, pwritev 296, sendto 44, sendmsg 46, sendfile 40, fsync 74,
        fdatasync 75, ftruncate 77, fsetxattr 190, utimensat 280""",
    "aarch64": """write 64, writev 66, pwrite64 68, pwritev 70, sendto 206, sendmsg 211, sendfile 71,
        fsync 82, fdatasync 83, ftruncate 46, fsetxattr 7, utimensat 88""",
}
"""Calls whose first argument is a descriptor that says what they are about; by machine."""

BY_NAME = {
    "x86_64": "rename 82 0, renameat 264 1, renameat2 316 1, unlink 87 0, unlinkat 263 1, rmdir 84 0, "
    "mkdir 83 0, mkdirat 258 1, link 86 0, linkat 265 1, openat 257 1",
    "aarch64": "renameat 38 1, renameat2 276 1, unlinkat 35 1, mkdirat 34 1, linkat 37 1, openat 56 1",
}
"""Calls about a name, and which argument points at it; by machine."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class _Info(ctypes.Structure):
    """The head of `struct ptrace_syscall_info`, and what it holds on entry."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("pointers", ctypes.c_uint64 * 2),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


class Watch(NamedTuple):
    """What is counted."""

    pid: int
    below: str
    """The site's directory: files elsewhere don't count, nor do its logs."""
    ports: dict[int, str]
    """Sockets that count, by either end's port."""
    calls: dict[int, tuple[str, int | None]]
    """By number: name, and the argument that points at a name; None: the first is a descriptor."""


def calls_of(machine: str) -> dict[int, tuple[str, int | None]]:
    """Read the tables for a machine."""
    calls: dict[int, tuple[str, int | None]] = {}
    for entry in BY_DESCRIPTOR[machine].split(","):
        name, number = entry.split()
        calls[int(number)] = name, None
    for entry in BY_NAME[machine].split(","):
        name, number, place = entry.split()
        calls[int(number)] = name, int(place)
    return calls


def ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> int:
    """Call ptrace(2).

    Raises:
        ProcessLookupError: The thread is gone, or dying.
    """
    result: int = _libc.ptrace(request, tid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def step(watch: Watch, tid: int) -> str:
    """Name the call that a thread is about to make; empty when it leaves nothing behind."""
    info = _Info()
    ptrace(_SYSCALL_INFO, tid, ctypes.sizeof(info), ctypes.addressof(info))
    if info.op != _ENTRY:
        return ""
    if call := watch.calls.get(info.number):
        name, place = call
        if place is None:
            about = _about(watch, info.arguments[0])
            return f"{about} {name}" if about else ""
        if name == "openat" and not info.arguments[2] & _O_CREAT:
            return ""
        path = _text(watch.pid, info.arguments[place])
        return "" if _is_noise(path) else f"{'part' if _PART.fullmatch(path) else path} {name}"
    return ""


def _about(watch: Watch, descriptor: int) -> str:
    try:
        path = os.readlink(f"/proc/{watch.pid}/fd/{descriptor}")
    except OSError:
        return ""
    if path.startswith("socket:["):
        return _socket(watch, path[8:-1])
    if not path.startswith(watch.below + "/") or _is_noise(path):
        return ""
    return "part" if "/.argosy/staging/" in path else path.rpartition("/")[2]


def _is_noise(path: str) -> bool:
    return path.endswith((".log", "-shm", ".pid", ".pyc")) or "__pycache__" in path


def _socket(watch: Watch, inode: str) -> str:
    with open(f"/proc/{watch.pid}/net/tcp") as table:
        for line in table:
            words = line.split()
            if words[9] == inode:
                ends = [int(words[place].rpartition(":")[2], 16) for place in (1, 2)]
                return next((watch.ports[port] for port in ends if port in watch.ports), "data")
    return ""


def _text(pid: int, address: int) -> str:
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read1(200).partition(b"\0")[0].decode(errors="replace")


def _attach(pid: int) -> None:
    seen: set[int] = set()
    while fresh := {int(name) for name in os.listdir(f"/proc/{pid}/task")} - seen:
        for tid in fresh:
            try:
                ptrace(_SEIZE, tid, 0, _OPTIONS)
                ptrace(_INTERRUPT, tid)
            except PermissionError:
                pass  # began after we seized the thread that made it: we have it already
        seen |= fresh


def _go_on(tid: int, status: int) -> None:
    number, event = os.WSTOPSIG(status), status >> 16
    if event == _EVENT_STOP and number != signal.SIGTRAP:
        ptrace(_LISTEN, tid)  # somebody said SIGSTOP
    else:
        ours = event or number == signal.SIGTRAP | 0x80
        ptrace(_SYSCALL, tid, 0, 0 if ours else number)


def say(word: str) -> None:
    """Tell whoever started us."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def act(pid: int, action: str) -> None:
    """Kill the process, or keep it standing until we read a line."""
    if action == "kill":
        os.kill(pid, signal.SIGKILL)
        say("killed")
    else:
        say("held")
        sys.stdin.readline()


def trace(watch: Watch, action: str, count: int, only: str) -> None:
    """Watch until the process is killed, by us or otherwise."""
    _attach(watch.pid)
    say("attached")
    steps = 0
    while True:
        try:
            tid, status = os.waitpid(-1, _ALL_THREADS)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            continue
        try:
            if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80 and (name := step(watch, tid)):
                steps += only in ("", name)
                say(name)
                if steps == count and only in ("", name):
                    act(watch.pid, action)
            _go_on(tid, status)
        except ProcessLookupError:
            continue


def main() -> None:
    """Read the command line and trace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pid", type=int)
    parser.add_argument("below")
    parser.add_argument("action", choices=("kill", "hold"))
    parser.add_argument("count", type=int)
    parser.add_argument("--only", default="", help="count steps of this name only")
    parser.add_argument("ports", nargs="*", help="PORT=NAME")
    words = parser.parse_args()
    ports = {int(port): name for port, _, name in (word.partition("=") for word in words.ports)}
    trace(
        Watch(words.pid, words.below, ports, calls_of(platform.machine())),
        words.action,
        words.count,
        words.only,
    )


if __name__ == "__main__":
    main()
