"""`make soak`: a real site under mixed load for a long time, and a verdict whether it stays level.

A master and two nodes by `argosy up`; one of the nodes is stopped or killed now and then. Everything that was
acknowledged is read back and compared.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import loopback
from argosy import config
from argosy.cli.ask import ask
from argosy.errors import Refused
from argosy.wire import link
from running import Settings, Site
from soak import load, samples, verdict

STEADY, TROUBLED = "n1", "n2"
"""The node that lives on, and the one that is stopped and killed."""

MASTER: Settings = {
    "link": {"beat_seconds": 1.0, "lost_seconds": 5.0},
    "ftp": {"connect_seconds": 10.0, "stall_seconds": 20.0, "failure_pause_seconds": 0.1},
    "catalogue": {"partial_seconds": 20.0, "upkeep_seconds": 1.0},
}
"""So that what is kept for a day is kept for seconds, and the site can come to rest."""

_NODE = """
name = "{name}"
master = "127.0.0.1:1"
roots = ["../nodes/{name}"]
keys = "../keys"
trash_seconds = 5
scan_seconds = 20
retry_first_seconds = 0.1
retry_most_seconds = 0.5
stop_seconds = 0.5
"""

REST_SECONDS = 45.0
"""For the site to come to rest after the load: what was cut is forgotten by then."""

RESTING = 24
"""Descriptors that a process may hold more at rest than before the load, for what it makes once and keeps."""


class Soak:
    """One run."""

    def __init__(self, directory: Path, wanted: argparse.Namespace) -> None:
        """Lay the site out."""
        self._wanted = wanted
        self._directory = directory
        self._site = Site(directory / "site", "--nodes", "2", settings=MASTER)
        for name in (STEADY, TROUBLED):
            file = directory / "site" / "config" / f"{name}.toml"
            file.write_text(_NODE.format(name=name))
        self._began = 0.0
        self._ended = 0.0
        self._looks: dict[str, list[samples.Sample]] = {}
        self._config: config.Master | None = None
        self.record = load.Record()
        self.failures: list[str] = []

    def run(self) -> bool:
        """Do it all; whether it was well."""
        self._site.start()
        try:
            self._site.wait_until_ready()
            self._began = time.monotonic()
            self._look()
            before = self._descriptors()
            workers = self._under_load()
            self._site.wait_until_ready()
            right = sum(worker.check() for worker in workers)
            print(f"{right} files are what they should be")
            self._come_to_rest(before)
        finally:
            self._site.stop()
        self._judge()
        self._read_logs()
        self.failures += self.record.wrong[:20]
        self._tell()
        return not self.failures

    def _under_load(self) -> list[load.Worker]:
        wanted, stop = self._wanted, threading.Event()
        workers = [
            load.Worker(self._site, number, wanted.seed + number, self.record, wanted.pause)
            for number in range(wanted.workers)
        ]
        threads = load.together(workers, stop)
        trouble = threading.Thread(
            target=load.trouble,
            args=(self._site, TROUBLED, wanted.trouble, stop, self.record, random.Random(wanted.seed)),
            daemon=True,
        )
        trouble.start()
        end = self._began + wanted.seconds
        while time.monotonic() < end:
            time.sleep(min(wanted.interval, max(0.0, end - time.monotonic())))
            self._look()
        self._ended = time.monotonic() - self._began
        stop.set()
        for thread in (*threads, trouble):
            thread.join(120)
            if thread.is_alive():
                self.failures.append("a visitor hangs, two minutes after the load's end")
        return workers

    def _look(self) -> None:
        """Take a sample of each process."""
        now = time.monotonic() - self._began
        for name in ("master", STEADY, TROUBLED):
            try:
                sample = samples.of_process(self._site.pid(name), now)
            except (OSError, ValueError):
                continue  # being started again
            if name == "master":
                sample.figures["catalogue"] = samples.of_directory(self._site.directory / "catalogue")
                sample.figures["tasks"] = self._status().get("tasks", 0)
            self._looks.setdefault(name, []).append(sample)
        self._line(now)

    def _line(self, now: float) -> None:
        """Say how things are, once a minute or so."""
        if self._wanted.quiet or int(now) % 60 >= self._wanted.interval:
            return
        told = ", ".join(
            f"{name} {looks[-1].figures['memory'] >> 20} MiB {looks[-1].figures['descriptors']} fds"
            for name, looks in self._looks.items()
        )
        print(f"{now:6.0f} s  {sum(self.record.deeds.values()):8} deeds  {told}", flush=True)

    def _status(self) -> dict[str, Any]:
        if self._config is None:
            self._config = config.load_master(self._site.directory / "config" / "master.toml")
        try:
            found: dict[str, Any] = asyncio.run(ask(self._config, link.AskStatus()))
        except (Refused, OSError):
            return {}
        return found

    def _descriptors(self) -> dict[str, int]:
        return {
            name: samples.of_process(self._site.pid(name), 0).figures["descriptors"]
            for name in ("master", STEADY)
        }

    def _come_to_rest(self, before: dict[str, int]) -> None:
        """Wait until the descriptors are about what they were before the load."""
        until = time.monotonic() + REST_SECONDS
        while time.monotonic() < until:
            left = {name: count - before[name] for name, count in self._descriptors().items()}
            if all(more <= RESTING for more in left.values()):
                print(f"at rest, descriptors more than before the load: {left}")
                return
            time.sleep(0.5)
        self.failures.append(f"at rest, too many descriptors more than before the load: {left}")

    def _judge(self) -> None:
        """Hold every figure of the processes that lived on against its limit, and print it."""
        print(f"\n{'':24}{'first':>12}{'level':>12}{'last':>12}{'rise':>12}{'may':>12}")
        for name in ("master", STEADY):
            looks = self._looks.get(name, [])
            if len({look.pid for look in looks}) != 1:
                self.failures.append(f"{name} didn't live on")
                continue
            for figure, limit in verdict.LIMITS.items():
                points = [(one.seconds, float(one.figures[figure])) for one in looks if figure in one.figures]
                course = verdict.judge(points, limit, self._ended)
                if course is None:
                    continue
                shown = (course.first, course.level, course.last, course.rise, course.limit)
                row = "".join(f"{_short(figure, value):>12}" for value in shown)
                judged = figure in self._wanted.judged
                word = "level" if course.level_enough else ("RISES" if judged else "rises")
                print(f"{name + ' ' + figure:24}{row}  {word if judged else f'({word})'}")
                if judged and not course.level_enough:
                    self.failures.append(f"{name}: {figure} rises by {_short(figure, course.rise)}")

    def _read_logs(self) -> None:
        for path in sorted((self._site.directory / "log").glob("*.log*")):
            text = path.read_text(errors="replace")
            if count := text.count("Traceback"):
                at = text.index("Traceback")
                self.failures.append(f"{path.name}: {count} tracebacks, the first:\n{text[at : at + 3000]}")

    def _tell(self) -> None:
        print(f"\n{self.record.moved / (1 << 30):.2f} GiB moved and compared")
        for what, counter in (("deeds", self.record.deeds), ("put off", self.record.refused)):
            print(f"{what}: " + ", ".join(f"{name} {count}" for name, count in counter.most_common()))
        for failure in self.failures:
            print(f"WRONG: {failure}")
        if self._wanted.samples:
            self._write(self._wanted.samples)
        print("\nverdict: " + ("it doesn't hold" if self.failures else "level, and every file is right"))

    def _write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["process", "pid", "seconds", "figure", "value"])
            for name, looks in self._looks.items():
                for look in looks:
                    for figure, value in look.figures.items():
                        out.writerow([name, look.pid, round(look.seconds, 1), figure, value])


def main(words: Sequence[str]) -> int:
    """Run it; 0: it holds."""
    wanted = _arguments(words)
    # Who tries ports on the loopback of the machine meets data connections there, and passes for our client:
    # FTP knows it by its address alone.
    loopback.enter(__file__, words)
    print(f"seed {wanted.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="argosy-soak-", dir=wanted.dir))
    soak = Soak(directory, wanted)
    well = soak.run()
    if well and not wanted.keep:
        shutil.rmtree(directory)
    else:
        print(f"the site is in {directory}")
    return 0 if well else 1


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="soak", description="Run a site under mixed load, and see if it stays level."
    )
    parser.add_argument("seconds", type=float, nargs="?", default=3600.0, help="[%(default)g]")
    parser.add_argument("--workers", type=int, default=6, help="visitors at once [%(default)s]")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between deeds [%(default)g]")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between samples [%(default)g]")
    parser.add_argument(
        "--trouble", type=float, default=90.0, help="seconds between a node's ends [%(default)g]"
    )
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() % 1_000_000, help="of the visitors' choices"
    )
    parser.add_argument(
        "--judged", default=",".join(verdict.LIMITS), help="figures that have to stay level [all]"
    )
    parser.add_argument("--samples", type=Path, help="write all samples there, as CSV")
    parser.add_argument("--dir", help="make the site's directory there, and not among the temporary ones")
    parser.add_argument("--keep", action="store_true", help="keep it")
    parser.add_argument("--quiet", action="store_true", help="only the end")
    wanted = parser.parse_args(words)
    wanted.judged = wanted.judged.split(",")
    return wanted


def _short(figure: str, value: float) -> str:
    return (
        f"{value / verdict.MIB:.1f} MiB"
        if figure in ("memory", "resident memory", "catalogue")
        else f"{value:.0f}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
