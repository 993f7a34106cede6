"""The site at one moment, as repair sees it: which volumes are there, and what is to be done for files."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Job, Stock, Way
from argosy.catalogue.model import Volume
from argosy.cluster.copies.repairing import CONTENT, Content, Copy, Place, Plan, Scene, promise
from argosy.cluster.copies.rules import Book, Rule, Rules
from argosy.cluster.nodes.roster import Roster, Standing
from argosy.config import Master

STRANGE_SECONDS = 60.0
"""Two volumes between which a batch has failed are the last choice for each other for so long."""


@dataclass(slots=True)
class Traffic:
    """What is on its way from volume to volume, and where nothing goes."""

    files_in: Counter[int] = field(default_factory=Counter)
    bytes_in: Counter[int] = field(default_factory=Counter)
    files_out: Counter[int] = field(default_factory=Counter)
    bytes_out: Counter[int] = field(default_factory=Counter)
    strange: dict[tuple[int, int], float] = field(default_factory=dict)
    """Source and target between which a batch has failed, and until when that counts (monotonic clock)."""

    def add(self, source: int, target: int, files: int, size: int) -> None:
        """Note files that go; or, with what is negative, that went."""
        self.files_out[source] += files
        self.bytes_out[source] += size
        self.files_in[target] += files
        self.bytes_in[target] += size

    def ended(self, source: int, target: int, *, failed: bool) -> None:
        """Note how a batch ended: whether nothing of it came, for no fault of the files."""
        now, ends = time.monotonic(), (source, target)
        valid = {pair: until for pair, until in self.strange.items() if until > now and pair != ends}
        self.strange = {**valid, ends: now + STRANGE_SECONDS} if failed else valid

    def strangers(self) -> Mapping[int, frozenset[int]]:
        """Give by volume those with which nothing could be copied of late. In any thread."""
        now = time.monotonic()
        found: dict[int, set[int]] = defaultdict(set)
        for (source, target), until in self.strange.copy().items():  # batches end meanwhile
            if until > now:
                found[source].add(target)
                found[target].add(source)
        return {number: frozenset(others) for number, others in found.items()}


class Survey:
    """Rules and volumes at one moment. For one thread at a time."""

    def __init__(
        self,
        config: Master,
        book: Book,
        places: Mapping[int, Place],
        way_to: Callable[[int], Way],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            book: The rules.
            places: The volumes; what is planned is noted in them.
            way_to: Gives the directories down to one.
        """
        self.now_ns = time.time_ns()
        self.places = places
        self.yields = book.yields
        """Whether any files may leave a disk that lacks room."""
        self._config = config
        self._book = book
        self._way_to = way_to
        self._scenes: dict[Rule, Scene] = {}
        self._folders: dict[int, Rule | None] = {}

    def plan(self, stock: Stock) -> tuple[Plan, int]:
        """Say what is to be done for a file, and in what danger it is."""
        scene = self._scene(stock)
        if scene is None:
            return CONTENT, 0
        return scene.plan(stock), scene.danger(stock)

    def outlived(self, stocks: Iterable[Stock]) -> list[tuple[int, int]]:
        """Give files that have outlived their retention, with the version that was looked at."""
        found = []
        for stock in stocks:
            scene, entry = self._scene(stock), stock.entry
            goes_ns = scene.rule.goes_ns(entry) if scene and entry.ver else None
            if goes_ns is not None and goes_ns <= self.now_ns:
                found.append((entry.id, entry.ver))
        return found

    def settled(self, stock: Stock) -> bool:
        """Say whether nothing is to be done for a file, now or later."""
        scene = self._scene(stock)
        return scene is not None and isinstance(scene.look(stock), Content)

    def gives_up(self, stock: Stock) -> bool:
        """Say whether no copy of a file that should go from one volume to another will."""
        scene = self._scene(stock)
        return scene is not None and scene.gives_up(stock)

    def could_shift(self, stock: Stock, source: int, target: int) -> bool:
        """Say whether a copy of a file could go from one volume to another."""
        scene = self._scene(stock)
        step = scene.plan(replace(stock, shift=(source, target))) if scene else CONTENT
        return isinstance(step, Copy) and step.target == target

    def way_out(self, stock: Stock, source: int) -> int | None:
        """Give where a file's copy can go from a volume that lacks room, or where another is enough."""
        scene = self._scene(stock)
        return scene.way_out(stock, source) if scene else None

    def makes_room(self, stock: Stock) -> bool:
        """Say whether a file may leave a disk that lacks room."""
        scene = self._scene(stock)
        return scene is not None and scene.rule.make_room and bool(stock.entry.ver)

    def explain(self, stock: Stock) -> list[str]:
        """Say in words why a file's copies don't stay as they are, if they don't."""
        scene = self._scene(stock)
        if scene is None:
            return []
        words = scene.explain(stock)
        book_rule = self._folders[stock.entry.parent]
        if book_rule and scene.rule != book_rule:
            words.insert(0, f"archived: unchanged for {book_rule.archive_after_days:g} days")
        return words

    def promise(self, step: Copy, stock: Stock) -> None:
        """Reckon with a copy from now on."""
        promise(self.places, step, stock.entry.size)

    def expect(self, target: int, stock: Stock) -> None:
        """Reckon with a file that comes to a volume, unless it is there."""
        if all(copy.volume != target for copy in stock.copies):
            self.places[target].bytes_in += stock.entry.size

    def flush(self, stock: Stock) -> bool:
        """Say whether copies of a file are flushed to the disk before they count."""
        scene = self._scene(stock)
        return scene is None or scene.rule.flush

    def jobs(self, stocks: Iterable[Stock]) -> list[Job]:
        """Give a job for each file for which something is to be done, now or later."""
        found = []
        for stock in stocks:
            scene = self._scene(stock)
            step = scene.look(stock) if scene else CONTENT
            if scene and not isinstance(step, Content):
                due_ns = step.until_ns if step else self.now_ns
                found.append(Job(stock.entry.id, scene.danger(stock), stock.entry.size, due_ns))
        return found

    def _scene(self, stock: Stock) -> Scene | None:
        """Give what a file's rule sees; None: its directory is gone."""
        folder = stock.entry.parent
        if folder not in self._folders:
            try:
                self._folders[folder] = self._book.rule(self._way_to(folder))
            except errors.NotFound:
                self._folders[folder] = None
        rule = self._folders[folder]
        return self._of(rule.at(self.now_ns, stock.entry)) if rule else None

    def _of(self, rule: Rule) -> Scene:
        if rule not in self._scenes:
            self._scenes[rule] = Scene(
                rule,
                self.places,
                now_ns=self.now_ns,
                reserve_bytes=self._config.placement.reserve_bytes,
                limits=self._config.repair,
            )
        return self._scenes[rule]


def put_off(job: Job, *, until_ns: int, why: str = "", danger: int | None = None) -> Job:
    """Give a job as it shall be until then."""
    return msgspec.structs.replace(
        job,
        due_ns=until_ns,
        why=why,
        tries=job.tries + bool(why),
        danger=job.danger if danger is None else danger,
    )


class Surveyor:
    """Knows what surveys are made of, and keeps what several of them have to know."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        roster: Roster,
        rules: Rules,
        *,
        room: Callable[[str], int],
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Has the volumes and the tree.
            roster: Who is there.
            rules: What is wanted.
            room: Says how many batches may begin at a node now.
        """
        self.traffic = Traffic()
        self._config = config
        self._catalogue = catalogue
        self._roster = roster
        self._rules = rules
        self._room = room

    @property
    def book(self) -> Book:
        """The rules that are in force."""
        return self._rules.book

    def survey(self) -> Survey:
        """Look now."""
        found = self.places(self._catalogue.volumes())
        return Survey(self._config, self.book, found, self._catalogue.way_to)

    def places(self, volumes: Iterable[Volume]) -> dict[int, Place]:
        """Give volumes that the catalogue knows, with what the roster knows of them."""
        now_ns, traffic = time.time_ns(), self.traffic
        strangers, nobody = traffic.strangers(), frozenset[int]()
        found = {}
        for volume in volumes:
            number = volume.number
            node = self._roster.nodes.get(volume.node)
            live = node.volumes.get(volume.store_id) if node else None
            online = self._roster.reaches(number)
            found[number] = Place(
                number=number,
                node=volume.node,
                store_id=volume.store_id,
                online=online,
                merged=live is not None and live.standing is Standing.MERGED,
                labels=node.labels if node else None,
                zone=node.zone if node else None,
                membership=volume.membership,
                away_ns=None if online else volume.away_ns or now_ns,
                total=live.total if live else 0,
                free=live.free if live else 0,
                floor=node.floor if node else 0,
                room=self._room(volume.node),
                files_in=traffic.files_in.get(number, 0),
                bytes_in=traffic.bytes_in.get(number, 0),
                files_out=traffic.files_out.get(number, 0),
                bytes_out=traffic.bytes_out.get(number, 0),
                strangers=strangers.get(number, nobody),
            )
        return found
