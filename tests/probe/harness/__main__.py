"""`python -m probe.harness`: run it, and say whether the site held."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
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

CALM_SECONDS = 5.0
"""After a round's trouble: everything goes on, and there may be no error at all."""


def main(words: Sequence[str]) -> int:
    """Run it; 0: nothing was lost, and nothing wrong."""
    wanted = _arguments(words)
    if os.environ.get(_INSIDE) is None:
        _enter(words)
    _settle_in()
    directory = Path(tempfile.mkdtemp(prefix="argosy-faults-", dir=wanted.dir))
    with (directory / "faults.log").open("w") as log:
        record = Record(wanted.seed, log)
        print(f"seed {wanted.seed}; the log is {log.name}", flush=True)
        try:
            _run(wanted, directory, record)
        except Exception as error:
            record.find(f"the harness ended: {type(error).__name__}: {error}")
            raise
        finally:
            print(record.text(), flush=True)
            record.write(wanted.json or directory / "report.json")
    if record.findings or wanted.keep:
        print(f"logs are in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if record.findings else 0


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
        for thread in threads:
            thread.start()
        began = time.monotonic()
        for faults in plan.rounds(wanted.seed, yard.names, wanted.only, wanted.round):
            for worker in workers:
                worker.mode = Mode.ALL
            time.sleep(CALM_SECONDS)
            trouble.run(faults, wanted.round)
            record.say("calm")
            time.sleep(CALM_SECONDS)
            checker.rest()
            if time.monotonic() - began + wanted.round + 3 * CALM_SECONDS > wanted.seconds:
                break
        stop.set()
        for thread in threads:
            thread.join(120)
            if thread.is_alive():
                record.find("a client hangs, two minutes after the end")
        checker.end()


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


def _enter(words: Sequence[str]) -> NoReturn:
    """Start this program again with mounts and processes of its own, which all end with it."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        print("needs root and unshare: machines are network namespaces, disks are mounts", file=sys.stderr)
        sys.exit(2)
    leave = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
    command = [unshare, *leave, sys.executable, "-m", "probe.harness", *words]
    os.execve(unshare, command, {**os.environ, _INSIDE: "yes"})


def _settle_in() -> None:
    """Have what we mount go with us, the names of the namespaces too, however we end."""
    names = Path("/run/netns")
    names.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(names)], check=True, timeout=20)


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
