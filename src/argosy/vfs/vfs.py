"""The files of the site, whoever looks: where each lies, who would serve it, and what is arriving."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec.structs import replace as replace_fields

from argosy import errors
from argosy.accounts.ledger import Ledger, Place
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import (
    Companion,
    Entry,
    PartName,
    Replica,
    Standing,
    State,
    TreePath,
    Upload,
    shown,
)
from argosy.catalogue.people import parts
from argosy.cluster.copies import repairing
from argosy.cluster.copies.rules import Effective, Rule, Rules, named, section_for
from argosy.cluster.nodes import placement
from argosy.cluster.nodes.placement import Score
from argosy.cluster.nodes.roster import LiveVolume, Node, Roster
from argosy.config import Master, Section
from argosy.vfs.lists import Lists
from argosy.vfs.sums import Sums


class Arriving(Protocol):
    """An upload that runs, as those see it who read the file meanwhile."""

    node: Node
    live: LiveVolume

    @property
    def number(self) -> int:
        """The upload's id."""

    @property
    def received(self) -> int:
        """Bytes that the file has so far."""

    async def kept(self) -> bool:
        """Wait for the upload's end, and say whether the file is there now."""

    async def make_way(self) -> None:
        """Wait until the upload is over, if it will be soon, for its node is gone; else return at once."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a path lies, and who would serve it."""

    entry: Entry | None
    """What has the path, be it a link."""
    leads_to: TreePath
    """The path itself, or where the links on its way lead; what follows is said of this."""
    end: Entry | None
    """What is there."""
    wanted: Effective
    """The rule that holds for it."""
    replicas: list[Replica]
    readers: list[Score]
    writers: list[Score]

    @property
    def section(self) -> str:
        """The name of the section that holds it; empty: none."""
        return self.wanted.section


class Vfs:
    """The files of the site."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        roster: Roster,
        *,
        owed: Callable[[], None],
        rules: Rules | None = None,
        searchers: Executor | None = None,
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: What exists.
            roster: Who is there.
            owed: Told when a disk has to follow a change of the tree.
            rules: What is wanted of files; none: what the sections say.
            searchers: Threads in which searches run, and for which they queue; none: the loop's own.
        """
        self.config = config
        self.catalogue = catalogue
        self.roster = roster
        self.owed = owed
        self.sums = Sums()
        self.lists = Lists(config, catalogue, roster, self.sums)
        self.rules = rules or Rules(config.sections, catalogue.wishes)
        self.ledger = Ledger(catalogue, config.sections)
        self.searchers = searchers
        self.arriving: dict[int, Arriving] = {}
        """Uploads that run, by FileId, of files whose first content they are."""
        self.storing: WeakValueDictionary[TreePath, Arriving] = WeakValueDictionary()
        """The upload that began last under each path, for as long as somebody sees to it."""

    def as_it_arrives(self, entry: Entry) -> Entry:
        """Give an entry with the size that has arrived so far, if it is still arriving, or was cut.

        What was cut on a node that is away counts for nothing: nobody can go on with it now.
        """
        if entry.state is State.PARTIAL and self.part(entry) is None:
            return replace_fields(entry, size=0)
        if entry.state is State.UPLOADING and (storing := self.arriving.get(entry.id)):
            return replace_fields(entry, size=storing.received)
        return entry

    def part(self, entry: Entry) -> Upload | None:
        """Give the upload whose part a cut file is, if somebody can go on with it now."""
        part = self.catalogue.partial(entry.id)
        return part if part and self.roster.answers(part.volume) else None

    def forget(self, parts: Iterable[PartName]) -> None:
        """Have parts removed that nobody goes on with."""
        for volume, upload in parts:
            self.roster.forget(volume, [upload])

    def section(self, path: TreePath) -> tuple[str, Section | None]:
        """Give the name and rules of the deepest section that holds a path; none: an empty name."""
        return section_for(self.config.sections, path)

    def rule(self, path: TreePath) -> Rule:
        """Give what is wanted of a file at a path, and of the node that it goes to."""
        book = self.rules.book
        return book.rule(self.catalogue.way(path) if book.wishes else named(path))

    def message(self, directory: TreePath) -> str:
        """Give what is said to who enters a directory: a section's message at the section's root."""
        section = self.section(directory)[1]
        return section.message if section and parts(section.path.encode()) == directory else ""

    def place(self, path: TreePath, entry: Entry | None, account: Account) -> Place:
        """Say whom a file counts for: its owner if it is there, else who stores it."""
        section = self.section(path)[0]
        if entry:
            return Place(entry.owner, entry.group, section)
        return Place(account.name, account.group, section)

    def explain(self, path: TreePath) -> Explanation:
        """Say where a path lies, who would serve it now and who would take an upload to it.

        Raises:
            LinkLoop: Too many links, maybe in a circle.
        """
        entry, end, leads_to = None, None, path
        with contextlib.suppress(errors.NotFound, errors.NotADirectory):
            _, entry = self.catalogue.resolve(path, follow=False)
            leads_to, end = self.catalogue.resolve(path)
        replicas = self.catalogue.replicas(end.id) if end else []
        return Explanation(
            entry=entry,
            leads_to=leads_to,
            end=end,
            wanted=self.rules.book.explain(self.catalogue.way(leads_to)),
            replicas=replicas,
            readers=self.readers(replicas),
            writers=self.writers(leads_to, replicas),
        )

    def serving(self, good: Collection[int]) -> list[int]:
        """Give the numbers of those volumes that can serve now, the best first.

        Args:
            good: The volumes with a good copy; if there is but one, nothing has to be weighed.
        """
        if len(good) == 1:
            return [number for number in good if self.roster.reaches(number)]
        known = [one for one in self.roster.candidates(set(good)) if one.holds]
        ranked = placement.rank_readers(known, self.config.placement)
        return [score.candidate.volume for score in ranked if score.eligible]

    def readers(self, replicas: Iterable[Replica]) -> list[Score]:
        """Rank the volumes with a good copy for a download."""
        good = {replica.volume: replica for replica in replicas if replica.standing is Standing.GOOD}
        known = [one for one in self.roster.candidates(set(good)) if one.holds]
        away = good.keys() - {one.volume for one in known}
        strangers = [placement.Candidate(good[number].node, number, online=False) for number in away]
        return placement.rank_readers([*known, *strangers], self.config.placement)

    def company(self, path: TreePath, entry: Entry | None, first: int) -> list[Companion]:
        """Choose who takes an upload along: as many as must have it, by its rule, before it is acknowledged.

        Args:
            path: The file's.
            entry: What is there.
            first: The number of the volume that takes it from the client.

        Raises:
            NoSpace: There aren't so many, for there is no room.
            Unavailable: There aren't so many.
        """
        rule = self.rule(path)
        wanted = min(rule.acknowledged, rule.copies)  # the two may be said at different places
        if wanted <= 1:
            return []
        part = self.catalogue.partial(entry.id) if entry and entry.state is State.PARTIAL else None
        preferred = {one.volume for one in part.companions} if part else ()
        file = entry.id if entry else None
        chosen = self.beside(path, file, [first], wanted - 1, preferred=preferred)
        if len(chosen) < wanted - 1:
            others = {number for number in self.roster.online() if number not in (first, *chosen)}
            kind = errors.NoSpace if others else errors.Unavailable
            raise kind(
                f"{shown(path)}: of the {wanted} copies to acknowledge it with only {len(chosen) + 1} can be"
            )
        nodes = [(number, self.roster.place(number)[0]) for number in chosen]
        return [Companion(number, node.name, node.epoch) for number, node in nodes]

    def beside(
        self,
        path: TreePath,
        file: int | None,
        having: Sequence[int],
        count: int,
        *,
        without: Collection[int] = (),
        preferred: Collection[int] = (),
    ) -> list[int]:
        """Choose volumes for further copies of an upload, spread as its rule says; there may be fewer.

        Args:
            path: The file's.
            file: Its FileId, if it is there.
            having: The volumes that take it already.
            count: How many more.
            without: Those that shall not be chosen.
            preferred: Those that have a part of it.

        Raises:
            Unavailable: One of `having` is away.
        """
        replicas = self.catalogue.replicas(file) if file is not None else []
        eligible = [score.candidate.volume for score in self.writers(path, replicas) if score.eligible]
        ranked = [number for number in eligible if number not in without and number not in having]
        ranked.sort(key=lambda number: number not in preferred)
        chosen = repairing.beside(
            [self._where(number) for number in having],
            [self._where(number) for number in ranked],
            self.rule(path).spread,
            count,
        )
        return [place.number for place in chosen]

    def _where(self, number: int) -> repairing.Place:
        node, _ = self.roster.place(number)
        return repairing.Place(number, node.name, zone=node.zone)

    def writers(self, path: TreePath, replicas: Iterable[Replica]) -> list[Score]:
        """Rank the volumes for an upload to a path.

        While a volume that has the replaced version is there with room, only such come first: the client may
        yet say REST or APPE, which goes on from what is there. But not one that couldn't be written of late.
        """
        holders = {replica.volume for replica in replicas}
        scores = placement.rank_writers(
            self.roster.candidates(holders), self.config.placement, self.rule(path)
        )
        return sorted(scores, key=_holds_well, reverse=True)


def _holds_well(score: Score) -> bool:
    candidate = score.candidate
    return score.eligible and candidate.holds and not candidate.unwritable
