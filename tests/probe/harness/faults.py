"""Doing a fault and healing it, and whether one explains what a client met with."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from probe.harness.plan import MASTER, Fault
from probe.harness.report import Record
from probe.harness.yard import Yard

BACK_SECONDS = 60.0
"""So soon after a fault is over its machine must be ready again."""

SETTLE_SECONDS = 2.0
"""So long after that a client may still meet with what it left."""


@dataclass(slots=True)
class Window:
    """The time in which a fault may be felt."""

    fault: Fault
    begun: float
    ended: float | None = None


@dataclass
class Windows:
    """Which machines were hit, and when."""

    _all: list[Window] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, fault: Fault) -> Window:
        """A fault begins."""
        window = Window(fault, time.monotonic())
        with self._lock:
            self._all.append(window)
        return window

    def explain(self, nodes: set[str] | None, since: float) -> Fault | None:
        """Give a fault that explains an error.

        Args:
            nodes: Whom the client had to do with beside the master; None: nobody knows.
            since: When the deed began.
        """
        with self._lock:
            for window in reversed(self._all):
                if window.ended is not None and window.ended + SETTLE_SECONDS < since:
                    continue
                if nodes is None or window.fault.target == MASTER or window.fault.target in nodes:
                    return window.fault
        return None

    def running(self) -> list[Fault]:
        """Give the faults that aren't over."""
        with self._lock:
            return [window.fault for window in self._all if window.ended is None]


class Trouble:
    """Brings faults about."""

    def __init__(self, yard: Yard, windows: Windows, record: Record) -> None:
        self._yard = yard
        self._windows = windows
        self._record = record
        self._watchers: list[threading.Thread] = []

    def run(self, faults: Sequence[Fault], seconds: float) -> None:
        """Let a round's faults come and go, and wait until all machines are back."""
        began = time.monotonic()
        moments = [(fault.at, 1, fault) for fault in faults]
        moments += [(fault.at + fault.seconds, 0, fault) for fault in faults]
        moments.sort(key=lambda moment: moment[:2])
        windows: dict[int, Window] = {}
        for at, begins, fault in moments:
            time.sleep(max(0.0, began + at - time.monotonic()))
            if begins:
                self._record.say(str(fault))
                windows[fault.number] = self._windows.open(fault)
                BEGIN[fault.kind](self._yard, fault)
                self._record.faults[fault.kind] += 1
            else:
                HEAL[fault.kind](self._yard, fault)
                self._record.say(f"#{fault.number} is over")
                self._watch(windows[fault.number])
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        for watcher in self._watchers:
            watcher.join()
        self._watchers.clear()

    def _watch(self, window: Window) -> None:
        watcher = threading.Thread(target=self._until_back, args=(window,))
        watcher.start()
        self._watchers.append(watcher)

    def _until_back(self, window: Window) -> None:
        """Wait until whoever was hit is ready again; a master's nodes have to come back to it, too."""
        healed, target = time.monotonic(), window.fault.target
        wanted = {*self._yard.names} if target == MASTER else {target}

        def back() -> bool:
            hit = {fault.target for fault in self._windows.running() if fault is not window.fault}
            time.sleep(0.2)
            return bool(hit & {MASTER, target}) or wanted - hit <= set(self._yard.ready())

        try:
            if target != MASTER:
                time.sleep(1.0)  # a link that is dead may not be known to be
            self._yard.wait_for(f"{target} to be back", back, BACK_SECONDS)
        except AssertionError as error:
            self._record.find(
                f"#{window.fault.number} {window.fault.kind} {target}: {error}",
                self._yard.log_of(target)[-2000:],
            )
        self._record.back[window.fault.kind].append(time.monotonic() - healed)
        window.ended = time.monotonic()


def _kill(yard: Yard, fault: Fault) -> None:
    yard.kill(fault.target)


def _start(yard: Yard, fault: Fault) -> None:
    yard.spawn(fault.target)


def _stop(yard: Yard, fault: Fault) -> None:
    yard.signal(fault.target, signal.SIGSTOP)


def _continue(yard: Yard, fault: Fault) -> None:
    yard.signal(fault.target, signal.SIGCONT)


def _cut(yard: Yard, fault: Fault) -> None:
    _mute(yard, fault)
    _deafen(yard, fault)


def _uncut(yard: Yard, fault: Fault) -> None:
    _unmute(yard, fault)
    _undeafen(yard, fault)


def _mute(yard: Yard, fault: Fault) -> None:
    yard.network.lose(yard.machines[fault.target], *yard.others(fault.target))


def _unmute(yard: Yard, fault: Fault) -> None:
    yard.network.heal(yard.machines[fault.target], *yard.others(fault.target))


def _deafen(yard: Yard, fault: Fault) -> None:
    for other in yard.others(fault.target):
        yard.network.lose(other, yard.machines[fault.target])


def _undeafen(yard: Yard, fault: Fault) -> None:
    for other in yard.others(fault.target):
        yard.network.heal(other, yard.machines[fault.target])


def _part(yard: Yard, fault: Fault) -> None:
    master, node = yard.machines[MASTER], yard.machines[fault.target]
    yard.network.lose(master, node)
    yard.network.lose(node, master)


def _join(yard: Yard, fault: Fault) -> None:
    master, node = yard.machines[MASTER], yard.machines[fault.target]
    yard.network.heal(master, node)
    yard.network.heal(node, master)


Deed = Callable[[Yard, Fault], None]

BEGIN: Mapping[str, Deed] = {
    "kill": _kill,
    "stop": _stop,
    "cut": _cut,
    "deaf": _deafen,
    "mute": _mute,
    "apart": _part,
    "kill-master": _kill,
    "stop-master": _stop,
}
"""How each kind begins."""

HEAL: Mapping[str, Deed] = {
    "kill": _start,
    "stop": _continue,
    "cut": _uncut,
    "deaf": _undeafen,
    "mute": _unmute,
    "apart": _join,
    "kill-master": _start,
    "stop-master": _continue,
}
"""How each kind ends."""
