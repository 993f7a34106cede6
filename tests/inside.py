"""A master's inside whose nodes are rows and flags, and where copying is done by saying so."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import record
from argosy import config, errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Sealed, TreePath
from argosy.cluster.copies.copying import Batch, Outcome
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.rules import Rules
from argosy.cluster.nodes.roster import LiveVolume, Roster, Standing

SUMS = (7, b"d" * 16)


class Link:
    """What a roster wants of a link."""

    lost = False


class Copying:
    """Does what a batch asks for in the catalogue alone; some files fail."""

    def __init__(self, catalogue: Catalogue, roster: Roster) -> None:
        self.catalogue, self.roster = catalogue, roster
        self.runs: set[Any] = set()
        self.files = self.bytes = 0
        self.failing: dict[int, errors.Refused] = {}
        self.apart: set[tuple[int, int]] = set()
        """Sources and targets that don't reach each other."""
        self.batches: list[Batch] = []
        self.running: Counter[int] = Counter()
        self.most = 0

    def room(self, node: str) -> int:
        assert node in self.roster.nodes
        return 2

    async def copy(self, batch: Batch) -> list[Outcome]:
        self.batches.append(batch)
        self.running.update((batch.source, batch.target))
        self.most = max(self.most, *self.running.values())
        outcomes = []
        for item in batch.items:
            entry = item.entry
            refusal = self.failing.get(batch.source) or self.failing.get(batch.target)
            if (batch.source, batch.target) in self.apart:
                refusal = errors.NoDataConnection()
            if refusal is None:
                sealed = Sealed(entry.size, entry.mtime_ns, entry.crc32, entry.digest)
                try:
                    node, _ = self.roster.place(batch.target)
                    self.roster.place(batch.source)
                    verdict = await self.catalogue.add_copies(
                        batch.target, node.name, node.epoch, [(entry.ver, sealed)]
                    )
                    refusal = None if verdict.commit else errors.Changed()
                except errors.Refused as refused:
                    refusal = refused
            self.files += refusal is None
            outcomes.append(Outcome(entry.id, entry.ver, refusal, entry.size))
            await asyncio.sleep(0.001)
        self.running.subtract((batch.source, batch.target))
        return outcomes


class Site:
    """A master's inside, whose nodes come and go by a word."""

    def __init__(self, catalogue: Catalogue, nodes: int) -> None:
        repair = config.Repair(batch_files=5, retry_first_seconds=1e-6, retry_most_seconds=1e-6)
        self.config = config.Master(repair=repair)
        self.catalogue = catalogue
        self.roster = Roster()
        for number in range(1, nodes + 1):
            node = self.roster.enter(f"n{number}")
            live = LiveVolume(number, str(number) * 32, total=10**12, free=10**12, standing=Standing.MERGED)
            node.volumes[live.store_id] = live
            node.epoch = 1
            node.peer = Link()  # type: ignore[assignment]
            self.roster._by_number[number] = node, live
        self.copying = Copying(catalogue, self.roster)
        self.doubts: list[tuple[int, int]] = []
        self.start()

    def start(self) -> None:
        """A master starts, or another one in the place of this."""
        rules = Rules({}, self.catalogue.wishes)
        copier: Any = self.copying
        self.repair = Repair(
            *(self.config, self.catalogue, self.roster, rules, copier),
            owed=lambda: None,
            doubted=lambda file, volume: self.doubts.append((file, volume)),
        )
        self.repair.refresh()

    async def rest(self, rounds: int = 12) -> None:
        """Let repair do what it does, until there is nothing left to do."""
        audit = self.repair._audit
        async with asyncio.TaskGroup() as tasks:
            self.repair._tasks = tasks
            for _ in range(rounds):
                self.repair.refresh()
                await audit._watch()
                await audit._look()
                await self.repair._work()
                while self.repair._under_way:
                    await asyncio.sleep(0.001)
                await self.read()
                await self.bury()

    async def read(self) -> None:
        """Copies that somebody doubts are read, and are bad if none could be made of them."""
        doubts, self.doubts = self.doubts, []
        for file, volume in doubts:
            if self.copying.failing.pop(volume, None) is None:
                continue
            seen = record.seen(self.catalogue, file, {volume: (1, b"?" * 16)})
            await self.catalogue.judge(list(seen.values()), "copy")

    async def bury(self) -> None:
        """The nodes that are here delete what they owe."""
        for number in self.roster.online():
            await self.catalogue.buried(number, self.catalogue.tombs(number))

    def away(self, number: int, *, here: bool = False) -> None:
        peer: Any = self.roster.nodes[f"n{number}"].peer
        peer.lost = not here

    async def put(self, path: TreePath, volume: int, size: int = 5) -> None:
        upload = await self.catalogue.begin(
            path, volume=volume, node=f"n{volume}", epoch=1, user="ann", resume=False
        )
        await self.catalogue.commit(upload.id, Sealed(size, 77, *SUMS), epoch=1)

    def holders(self, path: TreePath) -> list[int]:
        return [copy.volume for copy in self.catalogue.replicas(self.catalogue.find(path).id)]
