"""Copies are read because the administrator asks for it: all that lie below a path, now.

What runs is the master's: who looks may go and come back. It isn't kept over a restart, for to begin it anew
does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Stock
from argosy.catalogue.model import Entry, Replica, Standing, TreePath
from argosy.catalogue.proof import Observed, Verdict
from argosy.cluster.copies.verifying import Verifier
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master
from argosy.wire import link

log = logging.getLogger("argosy.proof")

PAGE = 1_000
"""Files, or directories, taken from the record at once."""

IN_FLIGHT = 256
"""Copies that are asked for, or wait for their volume's turn."""

NAMED = 1_000
"""Bad copies that a run names; those beyond are counted."""


@dataclass(slots=True)
class Run:
    """How far one goes."""

    path: TreePath
    files: int = 0
    size: int = 0
    """Copies, and what they come to, as far as they are counted."""
    read_files: int = 0
    read_size: int = 0
    good: int = 0
    away: int = 0
    """On nodes or disks that aren't here."""
    changed: int = 0
    """Replaced or deleted meanwhile, or not compared yet."""
    rewritten: int = 0
    """By hand, on the disk: what that means a scan says, and no checksum."""
    damaged: int = 0
    """Files without a good copy."""
    bad: list[tuple[bytes, str, str]] = field(default_factory=list)
    """Copies: the file's path, the node, and what is wrong."""
    bad_beyond: int = 0
    counted: bool = False
    over: bool = False
    failed: bool = False
    """An accident ended it."""


class Proving:
    """The runs that were asked for, by path."""

    def __init__(self, config: Master, catalogue: Catalogue, roster: Roster, verifier: Verifier) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Knows the copies.
            roster: Reaches the nodes.
            verifier: Has copies read and judged.
        """
        self._at_once = config.findings.verify_at_once
        self._catalogue = catalogue
        self._roster = roster
        self._verifier = verifier
        self._runs: dict[TreePath, Run] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Own the runs until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    def begin(self, path: TreePath) -> Run:
        """Have all copies below a path read; one that goes on already stays as it is.

        Raises:
            NotFound: Nothing is there.
            NotADirectory: A file stands where the path needs a directory.
        """
        running = self._runs.get(path)
        if running is not None and not running.over:
            return running
        entry = self._catalogue.find(path)
        self._runs = {at: run for at, run in self._runs.items() if not run.over}
        run = self._runs[path] = Run(path)
        assert self._tasks is not None, "it runs"
        self._tasks.create_task(self._go(run, entry))
        return run

    def look(self, path: TreePath) -> Run:
        """Say how far it is.

        Raises:
            NotFound: It wasn't asked for in this life of the master.
        """
        try:
            return self._runs[path]
        except KeyError:
            raise errors.NotFound("it isn't being verified") from None

    async def scrub(self, node: str) -> None:
        """Have a node read all that it has now, as fast as its disks can; empty: all that are here.

        Raises:
            BadArgument: No node is called so.
            Unavailable: It is away.
        """
        names = {record.name for record in self._catalogue.nodes()}
        if node and node not in names:
            raise errors.BadArgument(f"no node is called {node}")
        chosen = [self._roster.node(node)] if node else [one for one in self._roster if one.online]
        for one in chosen:
            for live in list(one.volumes.values()):
                await one.ask(link.Scrub(live.store_id, hurry=True))

    # --- inside

    async def _go(self, run: Run, entry: Entry) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._count(run, entry))
                tasks.create_task(self._prove_all(run, entry, tasks))
        except Exception:
            log.exception("accident while verifying")
            run.failed = True
        finally:
            run.over = True

    async def _count(self, run: Run, entry: Entry) -> None:
        pages = self._pages(entry)
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            run.files += sum(len(stock.copies) for stock in page)
            run.size += sum(stock.entry.size * len(stock.copies) for stock in page)
        run.counted = True

    async def _prove_all(self, run: Run, entry: Entry, tasks: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(IN_FLIGHT)
        turns: dict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(self._at_once))
        pages = self._pages(entry)
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for stock in page:
                run.damaged += not any(copy.standing is Standing.GOOD for copy in stock.copies)
                for copy in stock.copies:
                    await room.acquire()
                    task = tasks.create_task(self._prove(run, stock, copy, turns[copy.volume]))
                    task.add_done_callback(lambda _: room.release())

    async def _prove(self, run: Run, stock: Stock, copy: Replica, turn: asyncio.Semaphore) -> None:
        entry = stock.entry
        async with turn:
            try:
                if copy.ver != entry.ver:
                    run.changed += 1  # a suspect: who compares it reads it
                else:
                    await self._compare(run, entry, copy, await self._verifier.look(copy))
            except errors.Changed:
                run.rewritten += 1
            except errors.Refused:
                run.away += 1
            run.read_files += 1
            run.read_size += entry.size

    async def _compare(self, run: Run, entry: Entry, copy: Replica, seen: Observed) -> None:
        if (
            copy.standing is Standing.GOOD
            and not seen.trouble
            and None not in (entry.crc32, entry.digest)
            and (entry.crc32, entry.digest) == (seen.crc32, seen.digest)
        ):
            run.good += 1
        else:
            (verdict,) = await self._verifier.judge([seen], "verify")
            self._note(run, copy, verdict, seen.trouble or "it has another checksum")

    def _note(self, run: Run, copy: Replica, verdict: Verdict, why: str) -> None:
        match verdict:
            case Verdict.GOOD:
                run.good += 1
            case Verdict.STALE:
                run.changed += 1
            case Verdict.BAD if len(run.bad) < NAMED:
                run.bad.append((b"/" + b"/".join(self._catalogue.path_of(copy.file)), copy.node, why))
            case Verdict.BAD:
                run.bad_beyond += 1

    def _pages(self, top: Entry) -> Iterator[list[Stock]]:
        """Go through the files at and below an entry. For a thread."""
        if not top.is_directory:
            yield self._catalogue.stocked([top])
            return
        yield from self._catalogue.stocks_below(top.id, PAGE)
