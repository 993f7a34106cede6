"""Copies come back by themselves: jobs are taken by danger, planned, and carried out node to node.

Nothing here has to outlive the process. A job says only that a file should be looked at; what is to be done
is found out each time, and to do it twice does no harm. So whatever is cut is begun anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Job, Stock, Surplus, Wanting
from argosy.cluster.copies.audit import Audit
from argosy.cluster.copies.copying import Batch, Copier, Item
from argosy.cluster.copies.progress import Report, Speed
from argosy.cluster.copies.repairing import SECOND_NS, Content, Copy, Drop, Unmet, Wait
from argosy.cluster.copies.rounds import again
from argosy.cluster.copies.rules import Rules
from argosy.cluster.copies.survey import Survey, Surveyor, put_off
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master

log = logging.getLogger("argosy.repair")

LOOKED_AT = 1_000
"""Jobs looked at in a round at the least: those that need no copying don't wait for room."""

TRIES = 3
"""So often a copy is tried that shall go from one volume to another; then it stays where it is."""

MOST_LOOKED_AT = 4_000
"""And at the most: a round takes a fraction of a second, and what is more urgent may come meanwhile."""

_ON_THE_WAY = (errors.NoDataConnection, errors.TransferCut, errors.Unavailable, errors.NoSpace, errors.Failed)
"""Refusals that are about the two ends, and not about the file."""


@dataclass(slots=True)
class _Round:
    """What a page of jobs comes to."""

    done: list[Job] = field(default_factory=list)
    later: list[tuple[Job, Job]] = field(default_factory=list)
    surplus: list[Surplus] = field(default_factory=list)
    stay: list[int] = field(default_factory=list)
    """Files of which no copy shall go from one volume to another any more."""
    copies: dict[tuple[int, int, bool], list[tuple[Job, Item]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By source, target, and whether they are flushed."""


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
        doubted: Callable[[int, int], None],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Has the jobs, and where copies lie.
            roster: Who is there.
            rules: What is wanted.
            copier: Has batches copied.
            owed: Told when a disk has something to delete.
            doubted: Told the file and volume of a copy from which none could be made: it may be bad.
        """
        self._table = config.repair
        self._pause = config.catalogue.upkeep_seconds
        self._catalogue = catalogue
        self._rules = rules
        self._copier = copier
        self._owed = owed
        self._doubted = doubted
        self._surveyor = Surveyor(config, catalogue, roster, rules, room=self._room)
        self._audit = Audit(config, catalogue, self._surveyor, heed=self._heed, found=self.wake)
        self._woken = asyncio.Event()
        self._rules_changed = False
        self._under_way: set[int] = set()
        self._busy: Counter[str] = Counter()
        self._tasks: asyncio.TaskGroup | None = None
        self._speed = Speed(lambda: (copier.files, copier.bytes + sum(run.moved for run in copier.runs)))
        self._wanting: Wanting | None = None
        self._count_again = 0.0
        catalogue.noted = self.wake

    def wake(self) -> None:
        """Begin a round now: there may be something to do."""
        self._woken.set()

    def refresh(self) -> None:
        """Heed the rules as they are now, and have looked at what was asked for with them."""
        self._heed()
        self._audit.wake()

    def survey(self) -> Survey:
        """Give the site as it is now."""
        return self._surveyor.survey()

    def look(self) -> None:
        """Look now at who is there: a volume is reckoned with no more, or again."""
        self._audit.look()

    def _heed(self) -> None:
        if self._rules.refresh():
            self._rules_changed = True
            self.wake()
        book = self._rules.book
        self._catalogue.wants = (lambda way: book.rule(way).copies) if book.keeps else None
        self._catalogue.spares = (lambda way: book.rule(way).trash_days) if book.spares else None

    async def run(self) -> None:
        """Work until cancelled."""
        self.refresh()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(again(self._look_around, asyncio.Event(), self._pause))
            tasks.create_task(again(self._work, self._woken, self._pause))
            tasks.create_task(self._audit.run())

    async def _look_around(self) -> None:
        """Another process may have changed a rule, and speed is measured now and then."""
        self.refresh()
        self._speed.note()

    # --- jobs ----

    async def _work(self) -> None:
        """Take what is due, until there is nothing that can be begun now."""
        if self._rules_changed:
            self._rules_changed = False
            await self._catalogue.hurry()  # what stood in the way may not be wanted any more
        now_ns = time.time_ns()  # what is put off is due in another round at the soonest
        while True:
            survey = self._surveyor.survey()
            slots = sum({place.node: place.room for place in survey.places.values() if place.online}.values())
            limit = min(max(LOOKED_AT, slots // 2 * self._table.batch_files), MOST_LOOKED_AT)
            due = partial(self._catalogue.due, limit, frozenset(self._under_way), now_ns)
            found = await asyncio.to_thread(self._plan, survey, due)
            if not await self._carry_out(found, survey):
                return

    def _room(self, node: str) -> int:
        """Say how many batches more may begin at a node; one that was begun may not be under way yet."""
        return min(self._copier.room(node), max(0, self._table.copies_per_node - self._busy[node]))

    def _plan(self, survey: Survey, due: Callable[[], list[Job]]) -> _Round:
        """Say of each job that is due what is to be done. For a thread."""
        found, jobs = _Round(), due()
        stocks = {stock.entry.id: stock for stock in self._catalogue.stocks([job.file for job in jobs])}
        for job in jobs:
            if job.file in stocks:
                self._plan_one(survey, job, stocks[job.file], found)
            else:
                found.done.append(job)
        return found

    def _plan_one(self, survey: Survey, job: Job, stock: Stock, found: _Round) -> None:
        step, danger = survey.plan(stock)
        if survey.gives_up(stock):
            found.stay.append(job.file)
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
        if found.done or found.later or found.stay:
            await self._catalogue.conclude(found.done, found.later, found.stay)
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
        return bool(begun or dropped or found.done or found.later)

    def _begin(self, batch: Batch, chosen: Sequence[tuple[Job, Item]], ends: set[str]) -> None:
        assert self._tasks is not None, "it runs"
        self._under_way.update(job.file for job, _ in chosen)
        self._surveyor.traffic.add(batch.source, batch.target, len(chosen), batch.bytes)
        self._busy.update(ends)
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
            for outcome in outcomes:
                if isinstance(outcome.refusal, errors.Damaged):
                    self._doubted(outcome.file, batch.source)
            failed = all(isinstance(outcome.refusal, _ON_THE_WAY) for outcome in outcomes)
            self._surveyor.traffic.ended(batch.source, batch.target, failed=failed)
            if later:
                log.info("%d of %d files weren't copied: %s", len(later), len(jobs), later[0][1].why)
                stay = [job.file for job, after in later if after.tries >= TRIES]
                await self._catalogue.conclude([], later, stay)
        except Exception:
            log.exception("accident in a batch of copies")
        finally:
            self._surveyor.traffic.add(batch.source, batch.target, -len(jobs), -batch.bytes)
            self._busy.subtract(ends)
            self._under_way.difference_update(job.file for job in jobs)
            self.wake()

    def _after_failure(self, job: Job, refusal: errors.Refused) -> Job:
        why = str(type(refusal)())  # not about which file: reasons are grouped
        return put_off(job, until_ns=time.time_ns() + self._pause_ns(job), why=f"the last try failed: {why}")

    # --- told ----

    def explain(self, file: int) -> list[str]:
        """Say why a file's copies don't stay as they are, if they don't, and what is next for them."""
        return [
            word
            for stock in self._catalogue.stocks([file])
            for word in self._surveyor.survey().explain(stock)
        ]

    async def report(self) -> Report:
        """Say how much there is to do, how fast it goes, and what stands in the way."""
        if self._wanting is None or time.monotonic() > self._count_again:
            begin = time.monotonic()
            self._wanting = await asyncio.to_thread(self._catalogue.wanting)
            self._count_again = 2 * time.monotonic() - begin
        return Report(self._wanting, len(self._copier.runs), *self._speed.rates())


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
