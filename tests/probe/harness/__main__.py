"""`python -m probe.harness`: run it, and say whether the site held."""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from probe.harness import plan
from probe.harness.check import Checker
from probe.harness.faults import Trouble, Windows
from probe.harness.load import Mode, Worker
from probe.harness.report import Record
from probe.harness.yard import Yard

_INSIDE = "ARGOSY_HARNESS_INSIDE"
"""Set in the environment of the program that runs in namespaces of its own."""

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000  # unshare(2)

_PR_SET_PDEATHSIG = 1  # prctl(2)

STOP_SECONDS = 30
"""So long may it take to end after a signal."""

CALM_SECONDS = 5.0
"""After a round's trouble: everything goes on, and there may be no error at all."""


class Stopped(BaseException):
    """Somebody wants it to end."""


class Code(IntEnum):
    """What the process ends with."""

    HELD = 0
    FINDINGS = 1
    UNABLE = 2
    NOT_ALL_HIT = 3
    """Nothing was found, but not every kind of fault came."""
    STOPPED = 4
    """By a signal; nothing was found until then."""


def main(words: Sequence[str]) -> int:
    """Run it, and say how it came out: see `Code`."""
    wanted = _arguments(words)
    if os.environ.get(_INSIDE) is None:
        return _enter(words)
    _settle_in()
    directory = Path(tempfile.mkdtemp(prefix="argosy-faults-", dir=wanted.dir))
    with (directory / "faults.log").open("w") as log:
        record = Record(wanted.seed, log, wanted=tuple(wanted.only))
        print(f"seed {wanted.seed}; the log is {log.name}", flush=True)
        try:
            _run(wanted, directory, record)
        except Stopped:
            record.stopped = True
        except Exception as error:  # noqa: BLE001 - told, and the report is written
            record.find(f"the harness ended: {type(error).__name__}: {error}")
            traceback.print_exc()
        finally:
            print(record.text(), flush=True)
            record.write(wanted.json or directory / "report.json")
    if record.findings or wanted.keep:
        print(f"logs are in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return _code(record)


def _code(record: Record) -> Code:
    if record.findings:
        return Code.FINDINGS
    if record.stopped:
        return Code.STOPPED
    return Code.NOT_ALL_HIT if record.not_hit else Code.HELD


def _run(wanted: argparse.Namespace, directory: Path, record: Record) -> None:
    with Yard(
        directory,
        nodes=wanted.nodes,
        clients=wanted.clients,
        megabits=wanted.megabits,
        megabytes=wanted.megabytes,
    ) as yard:
        yard.start()
        record.say(f"{wanted.nodes} nodes are ready")
        windows = Windows()
        workers = _workers(wanted, yard, windows, record)
        checker = Checker(yard, workers, record)
        trouble = Trouble(yard, [worker.tree for worker in workers], windows, record)
        stop = threading.Event()
        threads = [threading.Thread(target=worker.run, args=(stop,), daemon=True) for worker in workers]
        for thread in (*threads, threading.Thread(target=windows.watch, args=(stop, record), daemon=True)):
            thread.start()
        try:
            _go_through(wanted, trouble, checker, workers, record)
        except BaseException:
            record.over = True  # what clients meet with from here on is our own doing
            raise
        finally:
            stop.set()
        for thread in threads:
            thread.join(120)
            if thread.is_alive():
                record.find("a client hangs, two minutes after the end")
        checker.end()


def _go_through(
    wanted: argparse.Namespace,
    trouble: Trouble,
    checker: Checker,
    workers: Sequence[Worker],
    record: Record,
) -> None:
    """Have one round after the other, until the time is up."""
    began = time.monotonic()
    for faults in plan.rounds(wanted.seed, trouble.names, wanted.only, wanted.round):
        for worker in workers:
            worker.mode = Mode.ALL
        time.sleep(CALM_SECONDS)
        trouble.run(faults, wanted.round)
        record.say("calm")
        time.sleep(CALM_SECONDS)
        checker.rest()
        if time.monotonic() - began + wanted.round + 3 * CALM_SECONDS > wanted.seconds:
            break


def _workers(wanted: argparse.Namespace, yard: Yard, windows: Windows, record: Record) -> list[Worker]:
    workers = [
        Worker(
            *(yard, yard.clients[number % len(yard.clients)], number, wanted.seed * 1000 + number),
            *(windows, record, wanted.pause),
        )
        for number in range(wanted.workers)
    ]
    yard.make_directories()
    for worker in workers:
        worker.prepare()
    return workers


def _enter(words: Sequence[str]) -> int:
    """Start this program again with mounts and processes of its own, which all end with it."""
    if os.geteuid() != 0:
        print("needs root: machines are network namespaces, disks are mounts", file=sys.stderr)
        return Code.UNABLE
    if _libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID):
        raise OSError(ctypes.get_errno(), "unshare")
    command = [sys.executable, "-m", "probe.harness", *words]
    inside = subprocess.Popen(command, env={**os.environ, _INSIDE: "yes"}, preexec_fn=_die_with_parent)  # noqa: PLW1509

    def stop(number: int, _: object) -> None:
        """Whoever ends us ends it; the kernel takes away what is left when it is gone."""
        inside.send_signal(signal.SIGKILL if number == signal.SIGALRM else signal.SIGTERM)
        signal.alarm(STOP_SECONDS)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop)
    return inside.wait()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _settle_in() -> None:
    """Have what we mount go with us, the names of the namespaces too, however we end."""
    names = Path("/run/netns")
    names.mkdir(exist_ok=True)
    for words in (("--make-rprivate", "/"), ("-t", "proc", "proc", "/proc"), ("-t", "tmpfs", "none", names)):
        subprocess.run(["mount", *words], check=True, timeout=20)

    def stop(number: int, _: object) -> NoReturn:
        for other in (signal.SIGTERM, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="probe.harness", description="Break a site of many nodes in every way while it is used."
    )
    parser.add_argument("--seconds", type=float, default=1800.0, help="[%(default)g]")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of faults and deeds")
    parser.add_argument(
        "--round", type=float, default=60.0, help="seconds of trouble at a stretch [%(default)g]"
    )
    parser.add_argument("--nodes", type=int, default=10, help="[%(default)s]")
    parser.add_argument("--clients", type=int, default=3, help="machines with clients [%(default)s]")
    parser.add_argument("--workers", type=int, default=6, help="clients on all of them [%(default)s]")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between deeds [%(default)g]")
    parser.add_argument("--megabits", type=int, default=200, help="of a node's link [%(default)s]")
    parser.add_argument("--megabytes", type=int, default=192, help="of a node's disk [%(default)s]")
    parser.add_argument("--only", default=",".join(plan.KINDS), help="kinds of faults that come [all]")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--dir", help="make the site's directory there, and not among the temporary ones")
    parser.add_argument("--keep", action="store_true", help="keep it")
    wanted = parser.parse_args(words)
    wanted.only = wanted.only.split(",")
    if unknown := set(wanted.only) - plan.KINDS.keys():
        parser.error(f"no fault is called {', '.join(sorted(unknown))}; there are {', '.join(plan.KINDS)}")
    return wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
