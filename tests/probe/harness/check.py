"""Has the site come to what is wanted by itself, and is everything what it should be?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from probe.harness.load import Mode, Worker
from probe.harness.plan import MASTER
from probe.harness.report import Record
from probe.harness.yard import RULES, Yard, ruled_by
from soak import samples

WHOLE_SECONDS = 300.0
"""So long after the last fault all copies must be there, even on a machine that is busy with other things."""

CLEAN_SECONDS = 240.0
"""And so long after that, no part, no debt and no trash may be left."""

SETTLED_SECONDS = 180.0
"""So long may clients take to see how deeds came out that were cut."""

LEFT: Mapping[str, str] = {
    "parts": "staging",
    "files that wait for their places": "unplaced",
    "files in the trash": "trash",
    "bad copies": "quarantine",
}
"""What must be gone at the end, and the room of a disk where it is."""

RISES: Mapping[str, tuple[float, float]] = {
    "descriptors": (0.2, 24),
    "threads": (0.3, 24),
    "memory": (0.3, 24 << 20),
}
"""By how much a process may hold more at a later rest: a share of what it held, and at least so much."""

_TRACEBACK = "Traceback (most recent call last)"


class Checker:
    """Looks at a site that nobody changes."""

    def __init__(self, yard: Yard, workers: Sequence[Worker], record: Record) -> None:
        self._yard = yard
        self._workers = workers
        self._record = record
        self._looks: dict[int, list[samples.Sample]] = {}
        self._names: dict[int, str] = {}

    def rest(self) -> None:
        """Let clients read only; wait for the copies, and compare the disks with what is known."""
        for worker in self._workers:
            worker.mode = Mode.READS
        self._wait("clients to see how it came out", self._all_settled, SETTLED_SECONDS)
        took = self._wait("all copies to be there", lambda: not self._owed(), WHOLE_SECONDS)
        self._record.whole.append(took)
        self._record.say(f"rest: all copies there after {took:.1f} s")
        took = self._wait("the disks to be as they should", lambda: not self._disks(), CLEAN_SECONDS)
        self._record.right.append(took)
        self._record.say(f"rest: all disks right after {took:.1f} s more")
        self._sample()

    def end(self) -> None:
        """Look at everything: each file through FTP, each copy, and that nothing is left over."""
        for worker in self._workers:
            worker.read_all()
        self._check_why()
        for what, room in LEFT.items():
            left = partial(self._left, room)
            self._wait(f"the last {what} to go", partial(self._empty, room), CLEAN_SECONDS, left)
        status = self._yard.status()
        if status.get("partial") or status.get("damaged", 0) > sum(self._record.lost.values()):
            self._record.find(f"at the end: {_short(status)}")
        self._judge()
        self._read_logs()

    # --- what is wanted

    def _all_settled(self) -> bool:
        return all(worker.settled for worker in self._workers)

    def _owed(self) -> str:
        """Say what the site still has to do; empty: nothing."""
        status = self._yard.status()
        if not status:
            return "the master doesn't answer"
        copies = status["copies"]
        lost = sum(1 for worker in self._workers for _, known in worker.tree.known() if known.lost)
        lacking = sum(group["files"] for group in copies["lacking"])
        owed = {
            "lacking": max(0, lacking - lost),
            "misplaced": copies["misplaced"]["files"],
            "tombstones": self._yard.tombstones(),
            "suspects": status["suspects"],
            "conflicts": status["conflicts"],
            "damaged": max(0, status["damaged"] - lost),
        }
        return ", ".join(f"{count} {what}" for what, count in owed.items() if count)

    def _disks(self) -> list[str]:
        """Hold all disks against what is known: contents, places, how many. Gives what is wrong."""
        wrong: list[str] = []
        wanted: dict[str, tuple[str, int]] = {}
        lost: set[str] = set()
        for worker in self._workers:
            for path, known in worker.tree.known():
                if known.lost:
                    lost.add(path[1:])
                elif known.certain:
                    wanted[path[1:]] = known.certain.digest, copies_of(path)
        found: dict[str, list[tuple[str, str]]] = {}
        for name, disk in self._yard.disks.items():
            for loc, content in disk.contents().items():
                found.setdefault(loc, []).append((name, content))
        for loc, (content, count) in wanted.items():
            there = found.get(loc, [])
            bad = [name for name, one in there if one != content]
            if bad:
                wrong.append(f"{loc}: another content on {', '.join(bad)}")
            if len(there) - len(bad) != count:
                names = ", ".join(name for name, _ in there) or "no disk"
                wrong.append(f"{loc}: {len(there) - len(bad)} copies (on {names}), {count} are wanted")
        wrong += [
            f"{loc} on {', '.join(name for name, _ in there)}: nobody has stored that"
            for loc, there in found.items()
            if loc not in wanted and loc not in lost
        ]
        return wrong

    def _check_why(self) -> None:
        """Ask for each file where its copies are."""
        for worker in self._workers:
            for path, known in worker.tree.known():
                if not known.certain:
                    continue
                told = self._yard.why(path)
                good = [one for one in told["replicas"] if one["online"] and one["standing"] == "good"]
                if len(good) != copies_of(path) or told["size"] != known.certain.size:
                    self._record.find(f"{path}: argosy why says {told['replicas']}, {told['size']} bytes")

    def _empty(self, room: str) -> bool:
        return not self._left(room)

    def _left(self, room: str) -> list[str]:
        found = []
        for name, disk in self._yard.disks.items():
            for loc, path in disk.room(room):
                with contextlib.suppress(FileNotFoundError):
                    found.append(f"{name}: {room}/{loc}, {path.stat().st_size} bytes")
        return found

    # --- processes

    def _sample(self) -> None:
        for name, process in self._yard.processes.items():
            try:
                look = samples.of_process(process.pid, self._record.now)
            except (OSError, ValueError):
                continue
            self._names[process.pid] = name
            self._looks.setdefault(process.pid, []).append(look)

    def _judge(self) -> None:
        """Compare the first and the last look at each process that lived through three rests or more."""
        rises: dict[str, str] = {}
        for pid, looks in self._looks.items():
            if len(looks) < 3:
                continue
            name = self._names[pid]
            for figure, (share, least) in RISES.items():
                first, last = looks[0].figures[figure], looks[-1].figures[figure]
                if last - first > max(least, share * first):
                    self._record.find(f"{name}: {figure} rose from {first} to {last} between rests")
                if name == MASTER:
                    rises[f"master {figure} at rests"] = f"{first} to {last}"
        self._record.figures.update(rises)

    def _read_logs(self) -> None:
        for path in sorted(self._yard.logs.iterdir()):
            text = path.read_text(errors="replace")
            if count := text.count(_TRACEBACK):
                at = text.index(_TRACEBACK)
                evidence = text[max(0, at - 300) : at + 2500]
                self._record.find(f"{path.name}: {count} tracebacks, the first:", evidence)

    # --- waiting

    def _wait(
        self,
        what: str,
        true: Callable[[], object],
        seconds: float,
        left: Callable[[], list[str]] | None = None,
    ) -> float:
        """Wait until something holds, and give how long that took; that it doesn't is a finding."""
        try:
            return self._yard.wait_for(what, true, seconds)
        except AssertionError as error:
            self._record.find(str(error), "\n".join(left()) if left else self._evidence())
            return seconds

    def _evidence(self) -> str:
        status = self._yard.status()
        open_ones = [
            f"{worker.name}: {path} may be {len(known.possible)} things"
            for worker in self._workers
            for path, known in worker.tree.known()
            if len(known.possible) > 1
        ]
        open_ones.append(f"owed: {self._owed()}")
        wrong = self._disks()
        for line in wrong[:5]:
            told = self._yard.why("/" + line.split(":")[0].split(" on ")[0])
            wrong.append(
                f"why: {told['path']} {told['state']} {told['replicas']} {told['wanted'].get('copies')}"
            )
        return "\n".join([_short(status), *open_ones[:20], *wrong[:40]])


def copies_of(path: str) -> int:
    """Say how many copies a path's rule wants."""
    return RULES[ruled_by(path)]["copies"]


def _short(status: Any) -> str:
    figures = ("files", "damaged", "partial", "conflicts", "suspects", "tombstones", "copies", "nodes")
    return ", ".join(f"{name} {status.get(name)}" for name in (*figures, "damaged_paths", "conflict_paths"))
