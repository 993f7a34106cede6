"""What was done and what came of it, for people and for scripts."""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

MOST_FINDINGS = 200
"""That are noted; a site that is gone brings one with each deed."""


@dataclass
class Record:
    """One run, as it goes on."""

    seed: int
    log: TextIO
    wanted: tuple[str, ...] = ()
    """Kinds of faults that are to come."""
    began: float = field(default_factory=time.monotonic)
    deeds: Counter[str] = field(default_factory=Counter)
    uploaded: int = 0
    """Bytes."""
    downloaded: int = 0
    compared: int = 0
    """Bytes read back and compared at rests, through FTP and on the disks."""
    faults: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    """Errors that a fault explains, by deed, reply and kind of fault."""
    lost: Counter[str] = field(default_factory=Counter)
    """Files of which a new disk took all copies away, by the directory of their rule."""
    destroyed: float = -math.inf
    """When a disk was taken away for good last, by the monotonic clock."""
    flipped: dict[str, float] = field(default_factory=dict)
    """SHA-256 of files of which a copy got a bit turned over, and when that was last, by the
    monotonic clock."""
    unsummed: set[str] = field(default_factory=set)
    """SHA-256 of files whose upload was cut and gone on with: for a moment nobody knows their checksum."""
    back: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from a fault's end until its machine was ready, by kind."""
    whole: list[float] = field(default_factory=list)
    """Seconds of each rest until no file lacked a copy."""
    right: list[float] = field(default_factory=list)
    """Seconds after that until all disks were as they should be."""
    figures: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    stopped: bool = False
    """By a signal, before its time."""
    over: bool = False
    """It is being taken down: only who does that may find anything."""
    stalls: list[float] = field(default_factory=list)
    """Seconds for which the machine did nothing for us."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def not_hit(self) -> list[str]:
        """Kinds of faults that should have come, and didn't."""
        return [kind for kind in self.wanted if not self.faults[kind]]

    @property
    def verdict(self) -> str:
        """Say how it came out."""
        said = f"{len(self.findings)} findings" if self.findings else "nothing lost, nothing wrong"
        missed = f"; not hit: {', '.join(self.not_hit)}" if self.not_hit else ""
        return said + missed + ("; stopped before its time" if self.stopped else "")

    def say(self, sentence: str) -> None:
        """Write a line to the log, as long as it is open."""
        with self._lock:
            if self.log.closed:
                return
            self.log.write(f"{self.now:7.1f}  {sentence}\n")
            self.log.flush()

    def find(self, sentence: str, evidence: str = "") -> None:
        """Note something that must not be."""
        with self._lock:
            taken_down = self.over and threading.current_thread() is not threading.main_thread()
            if taken_down or len(self.findings) >= MOST_FINDINGS:
                return
        told = f"{self.now:.1f} s: {sentence}" + (f"\n{_indented(evidence)}" if evidence else "")
        with self._lock:
            self.findings.append(told)
        self.say(f"FINDING {sentence}" + (f"\n{_indented(evidence)}" if evidence else ""))

    def excuse(self, deed: str, what: str, kind: str) -> None:
        """Note an error that a fault explains."""
        with self._lock:
            self.excused[f"{deed}: {what} ({kind})"] += 1

    def document(self) -> dict[str, Any]:
        """Give all of it, for JSON."""
        return {
            "seed": self.seed,
            "seconds": round(self.now, 1),
            "deeds": dict(self.deeds.most_common()),
            "uploaded_bytes": self.uploaded,
            "downloaded_bytes": self.downloaded,
            "compared_bytes": self.compared,
            "verdict": self.verdict,
            "stopped": self.stopped,
            "faults": {kind: self.faults[kind] for kind in self.wanted or sorted(self.faults)},
            "kinds_not_hit": self.not_hit,
            "stalls_seconds": _spread(self.stalls),
            "excused_errors": dict(self.excused.most_common()),
            "lost_files": dict(self.lost),
            "flipped_files": len(self.flipped),
            "back_seconds": {kind: _spread(seconds) for kind, seconds in sorted(self.back.items())},
            "whole_seconds": _spread(self.whole),
            "right_seconds": _spread(self.right),
            **self.figures,
            "findings": self.findings,
        }

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.document(), indent=2) + "\n")

    def text(self) -> str:
        """Say it in words."""
        lines = [
            f"seed {self.seed}, {self.now:.0f} s: {sum(self.deeds.values())} deeds",
            f"{_mib(self.uploaded)} up, {_mib(self.downloaded)} down, {_mib(self.compared)} compared",
            "deeds: " + _counted(self.deeds),
            "faults: " + ", ".join(f"{kind} {self.faults[kind]}" for kind in self.wanted),
            f"errors that a fault explains: {sum(self.excused.values())}",
            *(f"  {count:5} {what}" for what, count in self.excused.most_common(40)),
        ]
        if self.lost:
            lines.append("files whose only copies a fault took: " + _counted(self.lost))
        for kind, seconds in sorted(self.back.items()):
            lines.append(f"back after {kind}: {_told(seconds)}")
        lines.append(f"all copies there again, at rests: {_told(self.whole)}")
        lines.append(f"all disks right, after that: {_told(self.right)}")
        lines.append(f"the machine stood still: {_told(self.stalls)}")
        lines += [f"{name}: {value}" for name, value in self.figures.items()]
        lines += [f"FINDING {finding}" for finding in self.findings]
        lines.append(f"verdict: {self.verdict}")
        return "\n".join(lines)


def _spread(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 2),
        "most": round(ordered[-1], 2),
    }


def _told(seconds: list[float]) -> str:
    return (
        ", ".join(f"{name} {value:g}" for name, value in _spread(seconds).items()) + " (s)"
        if seconds
        else "-"
    )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.splitlines())
