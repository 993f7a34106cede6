"""Doing a fault and healing it, and whether one explains what a client met with."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from network import Machine
from probe.harness import damage
from probe.harness.disks import Disk
from probe.harness.model import Tree
from probe.harness.plan import AT_ONCE, KINDS, MASTER, Fault
from probe.harness.report import Record
from probe.harness.yard import Yard

BACK_SECONDS = 240.0
"""So soon after a fault is over its machine must be ready again: long, for a machine that is busy with other
things needs a minute to start a process. What it took stands in the report."""

SETTLE_SECONDS = 2.0
"""So long after that a client may still meet with what it left."""

ANSWERED_SECONDS = 0.5
"""What a killed node had done by then has been told to its client so soon."""

STALL_SECONDS, TICK_SECONDS = 3.0, 0.25
"""A machine that lets us wait for longer stands still, for half as long as a node may be silent; how often we
look."""

STANDSTILL = Fault(0, 0.0, "standstill", "", 0.0, 0)
"""What explains an error then."""

LEFT_BYTES = 20 << 20
"""On a disk that is full there is less room than this left: some uploads may still fit."""


@dataclass(slots=True)
class Window:
    """The time in which a fault may be felt."""

    fault: Fault
    healed: bool = False
    """The fault is over; what it left may not be."""
    ended: float | None = None


@dataclass
class Windows:
    """Which machines were hit, and when."""

    _all: list[Window] = field(default_factory=list)
    _stalls: list[float] = field(default_factory=list)
    """Ends of the times in which the machine did nothing for us."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, fault: Fault) -> Window:
        """A fault begins."""
        window = Window(fault)
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
                over = window.ended is not None and window.ended + SETTLE_SECONDS < since
                if over or not KINDS[window.fault.kind].felt:
                    continue
                if nodes is None or window.fault.target == MASTER or window.fault.target in nodes:
                    return window.fault
            return STANDSTILL if any(end + SETTLE_SECONDS >= since for end in self._stalls) else None

    def watch(self, stop: threading.Event, record: Record) -> None:
        """Notice when the machine stands still for so long that nodes seem dead, which is nobody's fault."""
        last = time.monotonic()
        while not stop.wait(TICK_SECONDS):
            now = time.monotonic()
            late, last = now - last - TICK_SECONDS, now
            if late > STALL_SECONDS:
                with self._lock:
                    self._stalls.append(now)
                record.stalls.append(late)
                record.say(f"the machine stood still for {late:.1f} s")

    def hit(self, since: float) -> set[str]:
        """Name the machines that were hit lately."""
        with self._lock:
            return {
                window.fault.target
                for window in self._all
                if window.ended is None or window.ended + SETTLE_SECONDS >= since
            }

    def running(self) -> list[Fault]:
        """Give the faults that aren't over."""
        with self._lock:
            return [window.fault for window in self._all if not window.healed]


class Trouble:
    """Brings faults about."""

    def __init__(self, yard: Yard, trees: Sequence[Tree], windows: Windows, record: Record) -> None:
        self._yard = yard
        self._trees = trees
        self._windows = windows
        self._record = record
        self._watchers: list[threading.Thread] = []

    @property
    def names(self) -> list[str]:
        """The nodes that can be hit."""
        return self._yard.names

    def run(self, faults: Sequence[Fault], seconds: float) -> None:
        """Let a round's faults come and go, and wait until all machines are back."""
        began = time.monotonic()
        coming = deque(sorted(faults, key=lambda fault: fault.at))
        running: list[tuple[float, Window]] = []
        while coming or running:
            now = time.monotonic()
            for end, window in [one for one in running if one[0] <= now]:
                running.remove((end, window))
                self._end(window)
            if coming and began + coming[0].at <= now and self._may_begin(coming[0], running):
                window = self._begin(coming.popleft())
                running.append((time.monotonic() + window.fault.seconds, window))
            time.sleep(0.02)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        for watcher in self._watchers:
            watcher.join()
        self._watchers.clear()

    def _may_begin(self, fault: Fault, running: Sequence[tuple[float, Window]]) -> bool:
        """On a busy machine everything takes longer; but never is more hit at once than was meant to be."""
        hit = {window.fault.target for _, window in running}
        return len(hit) < AT_ONCE and fault.target not in hit

    def _begin(self, fault: Fault) -> Window:
        self._record.say(str(fault))
        window = self._windows.open(fault)
        if DEEDS[fault.kind][0](self._scene(fault)) is not False:
            self._record.faults[fault.kind] += 1
        return window

    def _end(self, window: Window) -> None:
        DEEDS[window.fault.kind][1](self._scene(window.fault))
        window.healed = True
        self._record.say(f"#{window.fault.number} is over")
        self._watch(window)

    def _scene(self, fault: Fault) -> Scene:
        return Scene(self._yard, self._trees, fault, self._record)

    def _watch(self, window: Window) -> None:
        watcher = threading.Thread(target=self._until_back, args=(window,))
        watcher.start()
        self._watchers.append(watcher)

    def _until_back(self, window: Window) -> None:
        """Wait until whoever was hit is ready again; a master's nodes have to come back to it, too."""
        healed, target = time.monotonic(), window.fault.target
        wanted = {*self._yard.names} if target == MASTER else {target}

        def back() -> bool:
            hit = {fault.target for fault in self._windows.running()}
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


class Scene(NamedTuple):
    """What a fault is done to."""

    yard: Yard
    trees: Sequence[Tree]
    fault: Fault
    record: Record

    @property
    def disk(self) -> Disk:
        """The disk of the node that is hit."""
        return self.yard.disks[self.fault.target]


# --- processes


def _kill(on: Scene) -> None:
    on.yard.kill(on.fault.target)


def _start(on: Scene) -> None:
    on.yard.spawn(on.fault.target)


def _stop(on: Scene) -> None:
    on.yard.signal(on.fault.target, signal.SIGSTOP)


def _continue(on: Scene) -> None:
    on.yard.signal(on.fault.target, signal.SIGCONT)


# --- links


def _cut(on: Scene) -> None:
    _mute(on)
    _deafen(on)


def _uncut(on: Scene) -> None:
    _unmute(on)
    _undeafen(on)


def _mute(on: Scene) -> None:
    on.yard.network.lose(on.yard.machines[on.fault.target], *on.yard.others(on.fault.target))


def _unmute(on: Scene) -> None:
    on.yard.network.heal(on.yard.machines[on.fault.target], *on.yard.others(on.fault.target))


def _deafen(on: Scene) -> None:
    for other in on.yard.others(on.fault.target):
        on.yard.network.lose(other, on.yard.machines[on.fault.target])


def _undeafen(on: Scene) -> None:
    for other in on.yard.others(on.fault.target):
        on.yard.network.heal(other, on.yard.machines[on.fault.target])


def _part(on: Scene) -> None:
    master, node = on.yard.machines[MASTER], on.yard.machines[on.fault.target]
    on.yard.network.lose(master, node)
    on.yard.network.lose(node, master)


def _join(on: Scene) -> None:
    master, node = on.yard.machines[MASTER], on.yard.machines[on.fault.target]
    on.yard.network.heal(master, node)
    on.yard.network.heal(node, master)


def _split(on: Scene) -> None:
    node = on.yard.machines[on.fault.target]
    for other in _half(on):
        on.yard.network.lose(node, other)
        on.yard.network.lose(other, node)


def _unsplit(on: Scene) -> None:
    node = on.yard.machines[on.fault.target]
    for other in _half(on):
        on.yard.network.heal(node, other)
        on.yard.network.heal(other, node)


def _half(on: Scene) -> list[Machine]:
    """Choose half of the others, never the master: it believes that all are well."""
    others = [one for one in on.yard.others(on.fault.target) if one is not on.yard.machines[MASTER]]
    return random.Random(on.fault.chance).sample(others, len(others) // 2)


# --- disks


def _fill(on: Scene) -> None:
    on.disk.fill(on.fault.chance % LEFT_BYTES)


def _empty(on: Scene) -> None:
    on.disk.empty()


def _unmount(on: Scene) -> None:
    on.disk.unmount()


def _mount(on: Scene) -> None:
    """Its disk is back; a node that was just being started has ended without it, and is started again."""
    on.disk.mount()
    if on.yard.processes[on.fault.target].poll() is not None:
        _start(on)


def _kill_unmount(on: Scene) -> None:
    """Its disk isn't there when it is started, so it doesn't start; it is started again when it is."""
    _kill(on)
    _unmount(on)
    _start(on)


def _mount_start(on: Scene) -> None:
    on.yard.processes[on.fault.target].wait(30)
    _mount(on)


def _replace(on: Scene) -> None:
    """Take a disk away for good, with all that lies on it."""
    _kill(on)
    time.sleep(ANSWERED_SECONDS)
    damage.take(on.yard.disks, on.fault.target, on.trees, on.record)
    on.disk.replace()
    on.yard.prepare(on.fault.target)


def _flip(on: Scene) -> bool:
    return damage.flip(on.yard.disks, on.fault, on.trees, on.record)


def _nothing(on: Scene) -> None:
    del on


# --- clocks


def _jump(on: Scene) -> None:
    chance = random.Random(on.fault.chance)
    days = chance.choice((-400, -30, -1, -0.02, 0.02, 1, 30, 400))
    on.record.say(f"#{on.fault.number}: the clock jumps by {days} days")
    on.yard.set_clock(on.fault.target, days)


def _right(on: Scene) -> None:
    on.yard.set_clock(on.fault.target, 0)


Deed = Callable[[Scene], bool | None]
"""False: there was nothing to hit."""

DEEDS: Mapping[str, tuple[Deed, Deed]] = {
    "kill": (_kill, _start),
    "stop": (_stop, _continue),
    "cut": (_cut, _uncut),
    "deaf": (_deafen, _undeafen),
    "mute": (_mute, _unmute),
    "apart": (_part, _join),
    "split": (_split, _unsplit),
    "kill-master": (_kill, _start),
    "stop-master": (_stop, _continue),
    "full-disk": (_fill, _empty),
    "lost-mount": (_unmount, _mount),
    "kill-unmount": (_kill_unmount, _mount_start),
    "new-disk": (_replace, _start),
    "flip": (_flip, _nothing),
    "clock": (_jump, _right),
}
"""How each kind begins, and how it ends."""
