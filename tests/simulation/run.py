"""`make simulate`: a bad morning of a site of 1,000 nodes and 10 million files, on simulated time.

Repair, the planner, rules, placement and merging are the real ones; the record is in memory, and copying only
takes time. First all nodes join, and their lists are merged. Then nodes die and are replaced, reboot, are
away for hours and come back with files lost and others found; disks are emptied, files are uploaded,
overwritten and deleted. At the end all must be as it is wanted. The same seed gives the same digest of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from argosy import config, errors
from argosy.catalogue.keeping import Job
from argosy.catalogue.model import Membership
from argosy.cluster.copies import audit, progress, repair, survey
from argosy.cluster.copies.copying import Batch, Outcome
from argosy.cluster.copies.rules import Rules
from argosy.cluster.nodes import roster
from argosy.cluster.nodes.placement import rank_writers
from argosy.cluster.nodes.roster import LiveVolume, Roster, Standing
from simulation.clock import Clock, Loop, shown_to
from simulation.record import (
    FILES_FROM,
    SLOTS,
    Disk,
    Record,
    copies_of,
    joined,
    listed,
    loc_of,
    merged,
    size_of,
)

GIB = 1 << 30
HOUR = 3600.0
ZONES = 8
LINK_BYTES = 12_500_000
"""A second, of each node, in each direction."""

ROUND_SECONDS = 0.5
"""A page of jobs takes so long to plan, on a slow day: so none is planned for every batch that ends."""

BATCH_SECONDS, FILE_SECONDS = 0.05, 0.0005
QUIET_SECONDS = 12 * HOUR
"""All must be as it is wanted so long after the last thing that happened, at the latest."""


class _Link:
    """What a roster wants of a link."""

    lost = False


@dataclass
class Stopwatch:
    """How long the work itself took, in seconds of the processor: the one thing that no seed gives."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    things: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def over(self, what: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.seconds[what] += time.process_time() - begin

    def rates(self) -> dict[str, int]:
        return {what: round(count / self.seconds[what]) for what, count in self.things.items()}


class _Timed(repair.Repair):
    """Repair, while somebody looks at the watch; and its rounds take as long as they do in truth."""

    watch: Stopwatch

    async def _work(self) -> None:
        await super()._work()
        await asyncio.sleep(ROUND_SECONDS)

    def _plan(self, survey: survey.Survey, due: Callable[[], list[Job]]) -> Any:
        def taken() -> list[Job]:
            jobs = due()
            self.watch.things["jobs planned"] += len(jobs)
            return jobs

        with self.watch.over("jobs planned"):
            return super()._plan(survey, taken)


@dataclass
class Tally:
    """What was counted."""

    events: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    bytes: int = 0
    batches: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    needless: int = 0
    """Copies of files that had all they wanted when the copy arrived."""
    joined_files: int = 0
    """Merged when all nodes joined for the first time; and the steps that this took."""
    joined_steps: int = 0
    merged_files: int = 0
    """Merged when nodes came back."""
    breaches: list[str] = field(default_factory=list)
    """What must never be; the first of it."""

    def breached(self, what: str) -> None:
        if len(self.breaches) < 10:
            self.breaches.append(what)


class _Accidents(logging.Handler):
    """What the code under test takes for an accident is one here: it logs and goes on."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(logging.ERROR)
        self._tally = tally

    def emit(self, record: logging.LogRecord) -> None:
        self._tally.breached(self.format(record))


class Simulation:
    """One run."""

    def __init__(self, *, nodes: int, files: int, seed: int, hours: float, haste: float, loop: Loop) -> None:
        """Lay it out; see `simulate`."""
        self._haste = haste
        self.chance = random.Random(seed)
        self.seconds = hours * HOUR
        self.loop, self.clock = loop, Clock(loop)
        self.tally = Tally()
        self.config = config.Master(catalogue=config.Catalogue(upkeep_seconds=30.0))
        self.record = Record(files)
        self.record.now_ns = self.clock.time_ns
        self.record.dropping = self._dropping
        self.roster = Roster()
        self.runs: set[Any] = set()
        self._busy: Counter[str] = Counter()
        mean = 1_700_000 * files / nodes
        self._total = int(max(3 * mean, GIB))
        for _ in range(nodes):
            self._new_disk()
        self.watch = Stopwatch()
        self._spread_files()
        self._join_all()
        rules = Rules({}, self.record.wishes)
        anything: Any = self
        catalogue: Any = self.record
        self.repair = _Timed(
            *(self.config, catalogue, self.roster, rules, anything),
            owed=lambda: None,
            doubted=self._doubted,
        )
        self.repair.watch = self.watch

    # --- the copier, as repair sees it ----

    @property
    def files(self) -> int:
        return self.tally.copies

    @property
    def bytes(self) -> int:
        return self.tally.bytes

    def room(self, node: str) -> int:
        return max(0, self.config.repair.copies_per_node - self._busy[node])

    async def copy(self, batch: Batch) -> list[Outcome]:
        """Take as long as it would, and enter what came."""
        self._check(batch)
        ends = f"n{batch.source}", f"n{batch.target}"
        self._busy.update(ends)
        share = LINK_BYTES / self.config.repair.copies_per_node
        await asyncio.sleep(BATCH_SECONDS + batch.bytes / share + FILE_SECONDS * len(batch.items))
        self._busy.subtract(ends)
        self.tally.batches += 1
        outcomes = []
        for item in batch.items:
            refusal = self._arrive(item.entry.id - FILES_FROM, item.entry.ver, batch.source, batch.target)
            if refusal:
                self.tally.failed[type(refusal).__name__] += 1
            outcomes.append(Outcome(item.entry.id, item.entry.ver, refusal, item.entry.size))
        return outcomes

    def _check(self, batch: Batch) -> None:
        """A plan must make sense when it is begun."""
        source, target = self.record.disks[batch.source], self.record.disks[batch.target]
        if not source.here:
            self._breach(f"copying from {source.number}, which is away")
        if not target.here or target.membership is not Membership.MEMBER:
            self._breach(f"copying to {target.number}: here {target.here}, {target.membership}")
        if target.used + batch.bytes > target.total:
            self._breach(f"copying {batch.bytes} bytes to {target.number}, which has {target.used}")
        for item in batch.items:
            number = item.entry.id - FILES_FROM
            held = self.record.held_by(number)
            if batch.target in held or batch.source not in held:
                self._breach(f"copying {number} from {batch.source} to {batch.target}, it is on {held}")

    def _arrive(self, number: int, ver: int, source: int, target: int) -> errors.Refused | None:
        record = self.record
        if not record.disks[target].here or not record.disks[source].here:
            return errors.TransferCut()
        if not record.alive[number] or record.version(number) != ver or target in record.held_by(number):
            return errors.Changed()
        if not record.is_true(number, source):
            return errors.Damaged()
        if len(self._counted(number)) >= copies_of(number) and self._is_spread(number):
            self.tally.needless += 1
        if len(record.held_by(number)) == SLOTS:
            return errors.NoSpace()
        record.put(number, target)
        size = size_of(number, record.generation[number])
        record.disks[target].received += size
        self.tally.copies += 1
        self.tally.bytes += size
        return None

    def _counted(self, number: int) -> list[int]:
        """Give the volumes whose copies count."""
        late = self.clock.time_ns() - 600 * 1_000_000_000
        found = []
        for volume in self.record.held_by(number):
            disk = self.record.disks[volume]
            if disk.membership is Membership.MEMBER and (disk.away_ns is None or disk.away_ns > late):
                found.append(volume)
        return found

    def _is_spread(self, number: int) -> bool:
        zones = {self.record.disks[volume].zone for volume in self._counted(number)}
        return copies_of(number) == 2 or len(zones) >= 3

    def _dropping(self, number: int, volume: int) -> None:
        self.tally.dropped += 1
        left = [
            other
            for other in self.record.held_by(number)
            if self.record.is_true(number, other) and self.record.disks[other].here
        ]
        if len(left) < copies_of(number):
            self._breach(f"the copy of {number} on {volume} was dropped, {left} are left")
        disk = self.record.disks[volume]
        disk.lost.discard(number)

    def _doubted(self, file: int, volume: int) -> None:
        """A copy that isn't there was to be copied: the node's list will say so."""

    def _breach(self, what: str) -> None:
        self.tally.breached(f"{self.loop.time():.1f} s: {what}")

    # --- disks ----

    def _new_disk(self) -> Disk:
        number = len(self.record.disks) + 1
        zone = f"z{self.chance.randrange(ZONES)}"
        disk = self.record.disks[number] = Disk(number, zone, self._total)
        node = self.roster.enter(f"n{number}")
        live = LiveVolume(number, str(number), total=disk.total, free=disk.total, standing=Standing.MERGED)
        node.volumes[live.store_id] = live
        node.epoch, node.zone = 1, zone
        node.peer = _Link()  # type: ignore[assignment]
        self.roster._by_number[number] = node, live
        return disk

    def _live(self, disk: Disk) -> LiveVolume:
        return self.roster.nodes[f"n{disk.number}"].volumes[str(disk.number)]

    def _away(self, disk: Disk, *, away: bool) -> None:
        disk.here = not away
        peer: Any = self.roster.nodes[f"n{disk.number}"].peer
        peer.lost = away

    def _spread_files(self) -> None:
        """Put all files on as many disks as they want, at random."""
        disks = list(self.record.disks.values())
        zones: dict[str, list[Disk]] = {}
        for disk in disks:
            zones.setdefault(disk.zone, []).append(disk)
        names = sorted(zones)
        count, draw = len(disks), self.chance.random
        for number in range(self.record.files):
            if copies_of(number) == 2:
                one = int(draw() * count)
                other = (one + 1 + int(draw() * (count - 1))) % count
                chosen = [disks[one], disks[other]]
            else:
                chosen = [self.chance.choice(zones[zone]) for zone in self.chance.sample(names, 3)]
            for disk in chosen:
                disk.files.append(number)

    def _join_all(self) -> None:
        """Have all nodes tell what they have, one after the other, to a master that knows nothing."""
        for disk in self.record.disks.values():
            with self.watch.over("files merged"):
                files, steps = joined(self.record, disk.number)
            self.tally.joined_files += files
            self.tally.joined_steps += steps
            self._live(disk).free = disk.total - disk.used
        self.watch.things["files merged"] = self.tally.joined_files

    # --- what happens ----

    def _members(self) -> list[Disk]:
        return [
            disk
            for disk in self.record.disks.values()
            if disk.here
            and disk.membership is Membership.MEMBER
            and self._live(disk).standing is Standing.MERGED
        ]

    async def _dies(self) -> None:
        """A disk is destroyed; some time later another one is in its place."""
        disk = self.chance.choice(self._members())
        disk.destroyed = True
        self._away(disk, away=True)
        await asyncio.sleep(self.chance.uniform(300, 7200))
        self._new_disk()
        disk.membership = Membership.LOST
        self.repair.look()

    async def _reboots(self) -> None:
        disk = self.chance.choice(self._members())
        self._away(disk, away=True)
        await asyncio.sleep(self.chance.uniform(30, 400))
        await self._comes_back(disk)

    async def _is_away(self) -> None:
        """A node is away for longer than anybody waits; meanwhile somebody is at its disk."""
        disk = self.chance.choice(self._members())
        self._away(disk, away=True)
        await asyncio.sleep(self.chance.uniform(900, 7200))
        held = [number for number in disk.files if self.record.holds(number, disk.number)]
        if held:
            disk.lost |= {self.chance.choice(held) for _ in range(self.chance.randrange(20))}
        await self._comes_back(disk, brings=self.chance.randrange(20))

    async def _comes_back(self, disk: Disk, *, brings: int = 0) -> None:
        """Deletions first, then its list is merged."""
        live = self._live(disk)
        live.standing = Standing.MERGING
        self._away(disk, away=False)
        disk.tombs.clear()
        await asyncio.sleep(self.chance.uniform(1, 20))
        if not disk.here or disk.destroyed:
            return
        disk.fresh = [self.record.files + more for more in range(brings)]
        found = sorted(listed(self.record, disk.number), key=lambda file: file.loc)
        with self.watch.over("files merged again"):
            steps = merged(self.record, disk.number, found)
        self.watch.things["files merged again"] += len(found)
        self.tally.merged_files += len(found)
        if len(steps) > len(disk.lost) + brings:
            self._breach(f"merging {disk.number} took {len(steps)} steps")
        disk.lost.clear()
        disk.fresh = []
        if again := merged(self.record, disk.number, found):
            self._breach(f"merging {disk.number} again took {again[:3]}")
        live.standing = Standing.MERGED

    async def _is_emptied(self) -> None:
        disk = self.chance.choice(self._members())
        disk.membership = Membership.DRAINING
        self.roster.enlist([disk.number], Membership.DRAINING)
        self.repair.look()
        await asyncio.sleep(self.chance.uniform(6, 12) * HOUR)
        left = [number for number in disk.files if self.record.holds(number, disk.number)]
        if not left:
            disk.membership = Membership.REMOVED
            self._away(disk, away=True)

    def _writer(self) -> Disk:
        """Choose for an upload, as the vfs does."""
        for node in self.roster.nodes.values():
            node.heard = self.clock.monotonic() if node.online else node.heard
        best = rank_writers(self.roster.candidates(), self.config.placement, None)[0].candidate
        self.roster.chosen(best.volume, freely=False)
        return self.record.disks[best.volume]

    async def _uploads(self) -> None:
        for _ in range(10):
            disk = self._writer()
            number = self.record.new()
            self.record.put(number, disk.number)
            self.record.note([number])
            await asyncio.sleep(self.chance.uniform(0.1, 2))

    def _any_file(self) -> int | None:
        number = self.chance.randrange(self.record.files)
        return number if self.record.alive[number] else None

    async def _is_overwritten(self) -> None:
        for _ in range(10):
            if (number := self._any_file()) is not None and self.record.generation[number] < 255:
                disk = self._writer()
                self._bury(number)
                self.record.generation[number] += 1
                self.record.put(number, disk.number)
                self.record.note([number])
            await asyncio.sleep(self.chance.uniform(0.1, 2))

    async def _is_deleted(self) -> None:
        for _ in range(10):
            if (number := self._any_file()) is not None:
                self._bury(number)
                self.record.alive[number] = 0
            await asyncio.sleep(self.chance.uniform(0.1, 2))

    def _bury(self, number: int) -> None:
        """Have all copies of a content deleted; those that are away owe it."""
        ver = self.record.version(number)
        for volume in self.record.held_by(number):
            disk = self.record.disks[volume]
            if number in disk.lost:
                disk.lost.discard(number)
            elif not disk.here:
                disk.tombs[number] = ver
            self.record.take(number, volume)

    async def _beats(self) -> None:
        """Nodes tell how much room they have."""
        while True:
            for disk in self.record.disks.values():
                if disk.here:
                    self._live(disk).free = disk.total - disk.used
            await asyncio.sleep(10)

    async def _events(self, scale: int) -> None:
        """Let things happen, as often as a site of this size would have it on a bad day."""
        rates: dict[Callable[[], Awaitable[None]], float] = {
            self._dies: scale / 25,
            self._reboots: scale / 10,
            self._is_away: scale / 40,
            self._is_emptied: scale / 100,
            self._uploads: scale / 5,
            self._is_overwritten: scale / 5,
            self._is_deleted: scale / 5,
        }
        whole = self._haste * sum(rates.values())
        async with asyncio.TaskGroup() as under_way:
            while self.loop.time() < self.seconds and not self.tally.breaches:
                await asyncio.sleep(self.chance.expovariate(whole / self.seconds))
                (event,) = self.chance.choices(list(rates), list(rates.values()))
                self.tally.events[event.__name__.strip("_")] += 1
                under_way.create_task(event())  # type: ignore[arg-type]

    # --- the run ----

    async def run(self) -> dict[str, Any]:
        """Let it happen, wait until there is nothing left to do, and judge."""
        scale = len(self.record.disks)
        services = [asyncio.create_task(self.repair.run()), asyncio.create_task(self._beats())]
        await self._events(scale)
        peace = self.loop.time()
        while self.loop.time() < peace + QUIET_SECONDS and self._left() and not self.tally.breaches:
            await asyncio.sleep(60)
        quiet_after = self.loop.time() - peace
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)
        return self._verdict(quiet_after)

    def _left(self) -> bool:
        """Whether there is anything to do but what can't be done."""
        return bool(self.runs) or any(
            not job.why.startswith(("no good copy", "the only good copies are away"))
            for job in self.record.jobs.values()
        )

    def _verdict(self, quiet_after: float) -> dict[str, Any]:
        wrong: list[str] = []
        lost = 0
        truly = {
            disk.number
            for disk in self.record.disks.values()
            if disk.here and disk.membership is Membership.MEMBER
        }
        for number in range(self.record.files):
            if not self.record.alive[number]:
                continue
            held = self.record.held_by(number)
            good = [volume for volume in held if volume in truly]
            if len(good) == copies_of(number) and (len(good) == 2 or self._is_spread(number)):
                continue
            if not any(self.record.is_true(number, volume) for volume in held):
                lost += 1
            elif len(wrong) < 10:
                wrong.append(f"{loc_of(number)!r} is on {held}, of which {good} are here")
        told = sum("good cop" in job.why for job in self.record.jobs.values())
        if told != lost:
            wrong.append(f"{lost} files are lost, {told} are told to be")
        steady = [disk for disk in self.record.disks.values() if disk.number in truly]
        healed = sorted(self.record.healed) or [0.0]
        received = [disk.received for disk in steady if disk.number <= len(truly) // 2]
        fill = [disk.used / disk.total for disk in steady]
        return {
            **{one.name: getattr(self.tally, one.name) for one in fields(self.tally)},
            "nodes": len(self.record.disks),
            "files": self.record.files,
            "lost": lost,
            "wrong": wrong,
            "whole_again_seconds": {
                "files": len(self.record.healed),
                "median": round(healed[len(healed) // 2], 1),
                "of_100_99": round(healed[len(healed) * 99 // 100], 1),
                "most": round(healed[-1], 1),
            },
            "quiet_after_seconds": round(quiet_after),
            "digest": self._digest(),
            "fill": {"least": min(fill), "mean": sum(fill) / len(fill), "most": max(fill)},
            "received_most_to_mean": max(received) * len(received) / max(1, sum(received)),
        }

    def _digest(self) -> str:
        """Give a word for all that came of it: where every copy lies, and when they came there."""
        record, found = self.record, hashlib.blake2b(digest_size=8)
        for part in (record.slots, record.generation, record.alive, record.healed, repr(self.tally).encode()):
            found.update(part)
        return found.hexdigest()


def simulate(
    *, nodes: int, files: int, seed: int, hours: float, haste: float = 1.0
) -> tuple[dict[str, Any], Stopwatch]:
    """Run it once, and give what was counted and what was wrong; and how fast the code was.

    Args:
        nodes: At the beginning.
        files: Likewise.
        seed: Gives what happens, and when.
        hours: Until nothing more happens, but for what was begun.
        haste: So many times as much happens as on a day of that many nodes.
    """
    loop, log = Loop(), logging.getLogger("argosy")
    log.setLevel(logging.ERROR)
    accidents: logging.Handler | None = None
    try:
        with shown_to(Clock(loop), audit, progress, repair, roster, survey):
            simulation = Simulation(nodes=nodes, files=files, seed=seed, hours=hours, haste=haste, loop=loop)
            accidents = _Accidents(simulation.tally)
            log.addHandler(accidents)
            return loop.run_until_complete(simulation.run()), simulation.watch
    finally:
        if accidents:
            log.removeHandler(accidents)
        log.setLevel(logging.NOTSET)
        loop.close()


def main(words: Sequence[str]) -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--hours", type=float, default=2.0, help="until nothing more happens")
    parser.add_argument("--haste", type=float, default=1 / 30, help="1: as much happens as on a very bad day")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args(words)
    begin = time.monotonic()
    found, watch = simulate(
        nodes=wanted.nodes, files=wanted.files, seed=wanted.seed, hours=wanted.hours, haste=wanted.haste
    )
    found["real_seconds"] = round(time.monotonic() - begin)
    found["processor_seconds"] = round(time.process_time())
    found["each_processor_second"] = watch.rates()
    found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] or found["breaches"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
