"""Copies come back by themselves: jobs are taken by danger, planned, and carried out node to node.

Nothing here has to outlive the process. A job says only that a file should be looked at; what is to be done
is found out each time, and to do it twice does no harm. So whatever is cut is begun anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import SAFE, Job, Stock, Surplus, Wanting
from argosy.catalogue.model import Membership
from argosy.cluster.copying import Batch, Copier, Item, Outcome
from argosy.cluster.repairing import Content, Copy, Drop, Unmet, Wait
from argosy.cluster.roster import Roster
from argosy.cluster.rules import Rules
from argosy.cluster.survey import Survey, Traffic, places, put_off
from argosy.config import Master

log = logging.getLogger("argosy.repair")

SECOND_NS = 1_000_000_000

LOOKED_AT = 1_000
"""Jobs looked at in a round at the least: those that need no copying don't wait for room."""

MOST_LOOKED_AT = 4_000
"""And at the most: a round takes a fraction of a second, and what is more urgent may come meanwhile."""

GATHER_SECONDS = 0.05
"""News gather for so long before a round begins: uploads come one after the other."""

SPEED_SECONDS = 30.0
"""Speed is that of so long a while."""

SHUNNED = 100_000
"""Bad copies that are remembered; beyond, all are tried once more."""


@dataclass(slots=True)
class _Round:
    """What a page of jobs comes to."""

    done: list[Job] = field(default_factory=list)
    later: list[tuple[Job, Job]] = field(default_factory=list)
    surplus: list[Surplus] = field(default_factory=list)
    copies: dict[tuple[int, int, bool], list[tuple[Job, Item]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By source, target, and whether they are flushed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to do, and how it goes."""

    wanting: Wanting
    batches: int
    """Copied right now."""
    files_per_second: float
    bytes_per_second: float

    @property
    def lacking(self) -> dict[int, tuple[int, int]]:
        """Files and bytes by the number of good copies that are left."""
        return {danger: sums for danger, sums in sorted(self.wanting.by_danger.items()) if danger < SAFE}

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at this speed; None: nobody knows, for nothing moves."""
        (files, size), (stuck, stuck_size) = _sum(self.lacking), _sum(self.wanting.by_why)
        if files <= stuck:
            return 0.0
        if not self.files_per_second:
            return None
        by_bytes = (size - stuck_size) / self.bytes_per_second if self.bytes_per_second else 0.0
        return max((files - stuck) / self.files_per_second, by_bytes)


class Speed:
    """How fast something goes, over the last while."""

    def __init__(self, count: Callable[[], tuple[int, int]]) -> None:
        """Begin.

        Args:
            count: Gives files and bytes since ever.
        """
        self._count = count
        self._marks: deque[tuple[float, int, int]] = deque()
        self.note()

    def note(self) -> None:
        """Look at the count now; call it now and then."""
        now = time.monotonic()
        self._marks.append((now, *self._count()))
        while len(self._marks) > 2 and now - self._marks[1][0] > SPEED_SECONDS:
            self._marks.popleft()

    def rates(self) -> tuple[float, float]:
        """Give files and bytes per second."""
        since, files, size = self._marks[0]
        seconds = max(time.monotonic() - since, 0.001)
        files_now, size_now = self._count()
        return max(0, files_now - files) / seconds, max(0, size_now - size) / seconds


class Repair:
    """Rounds over the jobs, and whoever finds files that need one."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        roster: Roster,
        rules: Rules,
        copier: Copier,
        *,
        owed: Callable[[], None],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Has the jobs, and where copies lie.
            roster: Who is there.
            rules: What is wanted.
            copier: Has batches copied.
            owed: Told when a disk has something to delete.
        """
        self._config = config
        self._table = config.repair
        self._catalogue = catalogue
        self._roster = roster
        self._rules = rules
        self._copier = copier
        self._owed = owed
        self._woken = asyncio.Event()
        self._asked = asyncio.Event()
        self._under_way: set[int] = set()
        self._traffic = Traffic()
        self._batches: Counter[str] = Counter()
        self._shunned: dict[int, set[int]] = {}
        self._here: set[tuple[int, bool]] = set()
        self._missed: set[int] = set()
        self._volumes_to_look_at: deque[int] = deque()
        self._tasks: asyncio.TaskGroup | None = None
        self._speed = Speed(lambda: (copier.files, copier.bytes + sum(run.moved for run in copier.runs)))
        self._wanting: Wanting | None = None
        self._count_again = 0.0
        catalogue.noted = self.wake

    def wake(self) -> None:
        """Begin a round now: there may be something to do."""
        self._woken.set()

    def refresh(self) -> None:
        """Heed the rules as they are now."""
        self._rules.refresh()
        book = self._rules.book
        self._catalogue.wants = (lambda way: book.rule(way).copies) if book.keeps else None
        self._asked.set()

    async def run(self) -> None:
        """Work until cancelled."""
        self.refresh()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._again(self._work, self._woken))
            tasks.create_task(self._again(self._watch, asyncio.Event()))
            tasks.create_task(self._again(self._look, self._asked))
            tasks.create_task(self._audit())

    async def _again(self, chore: Callable[[], Awaitable[None]], woken: asyncio.Event) -> None:
        """Do a chore again and again, at once when it is woken."""
        while True:
            try:
                await chore()
            except errors.Refused as refused:
                log.info("later: %s", refused)
            except Exception:
                log.exception("accident in repair")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.catalogue.upkeep_seconds):
                    await woken.wait()
                    await asyncio.sleep(GATHER_SECONDS)
            woken.clear()

    # --- jobs ----

    async def _work(self) -> None:
        """Take what is due, until there is nothing that can be begun now."""
        while True:
            survey = self._survey()
            slots = sum({place.node: place.room for place in survey.places.values() if place.online}.values())
            limit = min(max(LOOKED_AT, slots // 2 * self._table.batch_files), MOST_LOOKED_AT)
            found = await asyncio.to_thread(self._plan, survey, limit)
            if not await self._carry_out(found, survey):
                return

    def _survey(self) -> Survey:
        found = places(self._catalogue.volumes(), self._roster, self._room, self._traffic, time.time_ns())
        return Survey(self._config, self._rules.book, found, self._catalogue.way_to, shunned=self._shunned)

    def _room(self, node: str) -> int:
        """Say how many batches more may begin at a node; one that was begun may not be under way yet."""
        return min(self._copier.room(node), max(0, self._table.copies_per_node - self._batches[node]))

    def _plan(self, survey: Survey, limit: int) -> _Round:
        """Say of each job that is due what is to be done. For a thread."""
        jobs = {job.file: job for job in self._catalogue.due(limit, frozenset(self._under_way))}
        found = _Round()
        stocks = {stock.entry.id: stock for stock in self._catalogue.stocks(list(jobs))}
        for file, job in jobs.items():
            if file in stocks:
                self._plan_one(survey, job, stocks[file], found)
            else:
                found.done.append(job)
        return found

    def _plan_one(self, survey: Survey, job: Job, stock: Stock, found: _Round) -> None:
        step, danger = survey.plan(stock)
        match step:
            case Copy(source, target):
                survey.promise(step, stock)
                replica = next(copy for copy in stock.copies if copy.volume == source)
                item = job, Item(stock.entry, replica)
                found.copies[source, target, survey.flush(stock)].append(item)
            case Drop(volume, keep):
                found.surplus.append(Surplus(job.file, stock.entry.ver, volume, keep))
            case Wait(until_ns):
                found.later.append((job, put_off(job, until_ns=until_ns, danger=danger)))
            case Unmet(why):
                until_ns = survey.now_ns + self._pause_ns(job)
                found.later.append((job, put_off(job, until_ns=until_ns, why=why, danger=danger)))
            case Content():
                found.done.append(job)

    def _pause_ns(self, job: Job) -> int:
        doubled = self._table.retry_first_seconds * 2 ** min(job.tries, 40)
        return int(min(doubled, self._table.retry_most_seconds) * SECOND_NS)

    async def _carry_out(self, found: _Round, survey: Survey) -> bool:
        """Do what was planned, as far as there is room; say whether another round may bring more."""
        if found.done or found.later:
            await self._catalogue.conclude(found.done, found.later)
        dropped = await self._catalogue.drop_copies(found.surplus) if found.surplus else []
        if dropped:
            self._owed()
        room = {place.node: place.room for place in survey.places.values()}
        begun = 0
        for (source, target, flush), chosen in found.copies.items():
            ends = {survey.places[source].node, survey.places[target].node}
            for part in _batches(chosen, self._table.batch_files, self._table.batch_bytes):
                if not all(room[node] > 0 for node in ends):
                    break
                for node in ends:
                    room[node] -= 1
                self._begin(Batch(source, target, tuple(item for _, item in part), flush), part, ends)
                begun += 1
        return bool(begun or dropped or found.done)

    def _begin(self, batch: Batch, chosen: Sequence[tuple[Job, Item]], ends: set[str]) -> None:
        assert self._tasks is not None, "it runs"
        self._under_way.update(job.file for job, _ in chosen)
        self._traffic.add(batch.source, batch.target, len(chosen), batch.bytes)
        self._batches.update(ends)
        self._tasks.create_task(self._copy(batch, [job for job, _ in chosen], ends))

    async def _copy(self, batch: Batch, jobs: Sequence[Job], ends: set[str]) -> None:
        """Have a batch copied. What came is looked at again at once, what didn't after a pause."""
        try:
            outcomes = await self._copier.copy(batch)
            later = [
                (job, self._after_failure(job, outcome.refusal))
                for job, outcome in zip(jobs, outcomes, strict=True)
                if outcome.refusal is not None
            ]
            self._shun(batch.source, outcomes)
            if later:
                log.info("%d of %d files weren't copied: %s", len(later), len(jobs), later[0][1].why)
                await self._catalogue.conclude([], later)
        except Exception:
            log.exception("accident in a batch of copies")
        finally:
            self._traffic.add(batch.source, batch.target, -len(jobs), -batch.bytes)
            self._batches.subtract(ends)
            self._under_way.difference_update(job.file for job in jobs)
            self.wake()

    def _after_failure(self, job: Job, refusal: errors.Refused) -> Job:
        why = str(type(refusal)())  # not about which file: reasons are grouped
        return put_off(job, until_ns=time.time_ns() + self._pause_ns(job), why=f"the last try failed: {why}")

    def _shun(self, source: int, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome.refusal, errors.Damaged):
                if len(self._shunned) >= SHUNNED:
                    self._shunned.clear()
                self._shunned.setdefault(outcome.file, set()).add(source)
                log.warning("volume %d has no good copy of file %x any more", source, outcome.file)

    # --- told ----

    async def report(self) -> Report:
        """Say how much there is to do, how fast it goes, and what stands in the way."""
        if self._wanting is None or time.monotonic() > self._count_again:
            begin = time.monotonic()
            self._wanting = await asyncio.to_thread(self._catalogue.wanting)
            self._count_again = 2 * time.monotonic() - begin
        return Report(self._wanting, len(self._copier.runs), *self._speed.rates())

    # --- who is there ----

    async def _watch(self) -> None:
        """Note who went and came, and have the files looked at for which that makes a difference."""
        self.refresh()
        self._speed.note()
        volumes = self._catalogue.volumes()
        reached = {volume.number for volume in volumes if self._roster.reaches(volume.number)}
        if gone := [one.number for one in volumes if one.away_ns is None and one.number not in reached]:
            await self._catalogue.departed(gone)
        if back := [one.number for one in volumes if one.away_ns is not None and one.number in reached]:
            await self._catalogue.returned(back)
        found = places(volumes, self._roster, self._room, self._traffic, time.time_ns())
        here = {(number, place.merged) for number, place in found.items() if place.online}
        if here - self._here:
            await self._catalogue.hurry()
            self.wake()
        self._here = here
        if not self._rules.book.keeps:
            self._missed.clear()
            return
        delay_ns = int(self._rules.book.shortest_delay * SECOND_NS)
        for number, place in found.items():
            overdue = place.away_ns is not None and time.time_ns() - place.away_ns >= delay_ns
            if place.membership is not Membership.MEMBER or overdue:
                if number not in self._missed:
                    self._missed.add(number)
                    self._look_at(number)
            elif number in self._missed and place.online and place.merged:
                self._missed.discard(number)
                self._look_at(number)

    def _look_at(self, volume: int) -> None:
        self._volumes_to_look_at.append(volume)
        self._asked.set()

    # --- looking ----

    async def _audit(self) -> None:
        """Have all files looked at: soon after the start, when the nodes have joined, and now and then."""
        await asyncio.sleep(2 * self._config.link.lost_seconds)
        patience = 0.0
        while True:
            if self._rules.book.keeps and await self._catalogue.sweep_all(patience):
                patience = self._table.audit_seconds
                self._asked.set()
            await asyncio.sleep(min(self._table.audit_seconds, 60.0))

    async def _look(self) -> None:
        """Find the files for which something is to be done: on a volume, or below a directory."""
        while self._volumes_to_look_at:
            await self._look_over(self._volumes_to_look_at[0])
            self._volumes_to_look_at.popleft()
        for directory, asked_ns in self._catalogue.sweeps():
            if self._rules.book.keeps:
                await self._sweep(directory)
            await self._catalogue.swept(directory, asked_ns)
            if self._volumes_to_look_at:
                self._asked.set()
                return

    async def _look_over(self, volume: int) -> None:
        """Look at all files that have a copy on a volume."""
        after = b""
        while True:
            files, after = self._catalogue.held(volume, after, LOOKED_AT)
            await self._find(partial(self._catalogue.stocks, files))
            if not after:
                return

    async def _sweep(self, directory: int) -> None:
        """Look at all files below a directory, as many directories at a time as have some."""
        ahead: list[tuple[int, bytes]] = [(directory, b"")]
        while ahead:
            await self._find(partial(self._below, ahead))

    def _below(self, ahead: list[tuple[int, bytes]]) -> list[Stock]:
        """Take files from the directories ahead, and put those below them ahead. For a thread."""
        found: list[Stock] = []
        looked = 0
        while ahead and len(found) < LOOKED_AT and looked < LOOKED_AT:
            directory, after = ahead.pop()
            page = self._catalogue.children(directory, after=after, limit=LOOKED_AT)
            if len(page) == LOOKED_AT:
                ahead.append((directory, page[-1].name))
            ahead += [(entry.id, b"") for entry in page if entry.is_directory]
            found += self._catalogue.stocked([entry for entry in page if entry.ver])
            looked += 1
        return found

    async def _find(self, search: Callable[[], list[Stock]]) -> None:
        """Search in a thread, note what needs something done, and rest for as long as it took."""
        begin = time.monotonic()
        survey = self._survey()
        jobs = await asyncio.to_thread(lambda: survey.jobs(search()))
        if jobs:
            await self._catalogue.add_jobs(jobs)
            self.wake()
        await asyncio.sleep(time.monotonic() - begin)


def _sum(groups: Mapping[Any, tuple[int, int]]) -> tuple[int, int]:
    """Add files and bytes up."""
    return sum(files for files, _ in groups.values()), sum(size for _, size in groups.values())


def _batches(chosen: Sequence[tuple[Job, Item]], files: int, size: int) -> list[list[tuple[Job, Item]]]:
    """Divide what goes the same way into batches, in order."""
    found: list[list[tuple[Job, Item]]] = []
    room = 0
    for job, item in chosen:
        if not found or len(found[-1]) >= files or item.entry.size > room:
            found.append([])
            room = size
        found[-1].append((job, item))
        room -= item.entry.size
    return found
