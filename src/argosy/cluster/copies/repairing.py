"""What is to be done for a file's copies: one step at a time, by a rule and the volumes there are. Pure.

A copy *counts* if it is good and lies on a volume that is a member, has the labels, and isn't away for longer
than the rule's delay. Where nobody said how many are wanted, nothing is done for a file until one of its
copies is to leave its volume; then one elsewhere is enough. Copies are spread over nodes, or over zones and
nodes, as far as there are enough: so a rule that can't be met to the letter is met as well as can be.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from argosy.catalogue.keeping import SAFE, Stock
from argosy.catalogue.model import Membership, Standing
from argosy.cluster.copies.rules import Rule
from argosy.config import Repair, Spread
from argosy.tables import counted as number_of

SECOND_NS = 1_000_000_000

RECHECK_NS = 30 * SECOND_NS
"""A copy too many that can't be taken away yet is looked at again after this."""

SOON_NS = 5 * SECOND_NS
"""And so is one that waits for a volume to come back or to be looked at."""

NAMED = 3
"""Nodes that a reason names; reasons are grouped by their words."""


@dataclass(slots=True)
class Place:
    """A volume as repair sees it."""

    number: int
    node: str
    store_id: str = ""
    online: bool = True
    """Orders reach it."""
    merged: bool = True
    """What the catalogue believes of it has been held against its own list since it came."""
    labels: frozenset[str] | None = frozenset()
    """None: its node hasn't been here in this life of the master."""
    zone: str | None = ""
    """Likewise."""
    membership: Membership = Membership.MEMBER
    away_ns: int | None = None
    total: int = 0
    free: int = 0
    floor: int = 0
    """Bytes that shall be free; copies leave as many."""
    room: int = 1
    """Batches that its node may begin now."""
    files_in: int = 0
    """Files that are on their way to it, or planned to be."""
    bytes_in: int = 0
    files_out: int = 0
    bytes_out: int = 0
    partner: int = 0
    """The volume to which a batch is being gathered from here; 0: none yet."""
    gathered: int = 0
    """Files in that batch."""
    strangers: frozenset[int] = frozenset()
    """Volumes to or from which nothing could be copied of late: two nodes may not reach each other, though we
    reach both."""

    @property
    def here(self) -> bool:
        """Whether orders reach it, and what is known of it is true."""
        return self.online and self.merged

    @property
    def missing(self) -> int:
        """How many bytes more shall be free there."""
        return max(0, self.floor - self.free)


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy it from one volume to another."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Take the copy on a volume away, for those on others are enough."""

    volume: int
    keep: tuple[int, ...]
    """The others."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing now; look again."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Unmet:
    """Something is wanted that can't be done now."""

    why: str


@dataclass(frozen=True, slots=True)
class Content:
    """All is as it is wanted."""


Plan = Copy | Drop | Wait | Unmet | Content

CONTENT = Content()


class Scene:
    """The volumes as a rule sees them at one moment."""

    def __init__(
        self, rule: Rule, places: Mapping[int, Place], *, now_ns: int, reserve_bytes: int, limits: Repair
    ) -> None:
        """Look at the volumes once, for many files.

        Args:
            rule: What is wanted.
            places: All volumes by number. What is planned is not noted in them here.
            now_ns: The time.
            reserve_bytes: Room that copies leave free on a volume.
            limits: How large batches are: as many files go the same way before another is taken.
        """
        self.rule = rule
        self.wanted = rule.copies or 1
        """So many copies shall count; where nobody has said a number, one, of those that are moved at all."""
        self._places = places
        self._now_ns = now_ns
        self._delay_ns = int(rule.repair_delay_seconds * SECOND_NS)
        self._reserve = reserve_bytes
        self._limits = limits
        self._alive = {number for number, place in places.items() if self._lives(place)}
        self._counted = {number for number in self._alive if self._counts(places[number])}
        self._targets = {
            number: places[number]
            for number in sorted(self._counted)
            if places[number].online and places[number].merged
        }
        self._levels = _LEVELS[rule.spread]
        there = [places[number] for number in self._counted]
        self._enough = [min(self.wanted, len({level(place) for place in there})) for level in self._levels]

    @cached_property
    def _queue(self) -> _Queue:
        """The targets that aren't full."""
        roomy = (place for place in self._targets.values() if self._has_room(place, 0))
        return _Queue(roomy, lambda place: (len(place.strangers), *self._load_in(place)))

    @cached_property
    def _roomiest(self) -> _Queue:
        """The targets, those with the most room first."""

        def rank(place: Place) -> tuple[int, ...]:
            return place.bytes_in + max(self._reserve, place.floor) - place.free, place.number

        return _Queue(self._targets.values(), rank)

    @cached_property
    def _offered(self) -> list[set[str]]:
        """By level, all zones or nodes that have a target which isn't full."""
        return [{level(place) for place in self._queue} for level in self._levels]

    def plan(self, stock: Stock) -> Plan:
        """Say what is to be done next for a file."""
        good = self.good(stock)
        if stock.shift and (step := self._shifted(stock, good, *stock.shift)):
            return step
        if not stock.entry.ver or not self._cares(good):
            return CONTENT
        counted = [place for place in good if place.number in self._counted]
        lacking = self._lacking(counted)
        if len(counted) < self.wanted or lacking:
            return self._copy(stock, good, counted, lacking)
        return self._surplus(good, counted)

    def look(self, stock: Stock) -> Wait | Content | None:
        """Say whether something is to be done for a file: None if it is, but not what, which costs more."""
        good = self.good(stock)
        if stock.shift:
            return None
        if not stock.entry.ver or not self._cares(good):
            return CONTENT
        counted = [place for place in good if place.number in self._counted]
        if not self._suffice(counted):
            return None
        step = self._surplus(good, counted)
        return step if isinstance(step, Wait | Content) else None

    def danger(self, stock: Stock) -> int:
        """Say how many good copies a file has, wherever; `SAFE` if they are as many as are wanted."""
        alive = sum(place.number in self._alive for place in self.good(stock))
        return SAFE if alive >= self.wanted else min(alive, SAFE - 1)

    def explain(self, stock: Stock) -> list[str]:
        """Say in words what is wrong with where a file's copies lie, and what is next for them."""
        words = []
        for place in self.good(stock):
            if place.membership is not Membership.MEMBER:
                words.append(f"{place.node} is {_SAID[place.membership]}")
            elif not self._allowed(place):
                words.append(f"{place.node} isn't where the rule wants it")
            elif place.away_ns is not None:
                counts = "still counts" if self._lives(place) else "doesn't count any more"
                words.append(f"{place.node} is away; its copy {counts}")
        step = self.plan(stock)
        match step:
            case Copy(source, target):
                words.append(f"next: copied from {self._places[source].node} to {self._places[target].node}")
            case Drop(volume, _):
                words.append(f"next: the copy on {self._places[volume].node} goes")
            case Unmet(why):
                words.append(f"stuck: {why}")
        return words

    # --- what counts ----

    def _counts(self, living: Place) -> bool:
        return living.membership is Membership.MEMBER and self._allowed(living)

    def _allowed(self, place: Place) -> bool:
        """Say whether the rule lets files lie there. Unknown labels are believed to be the right ones."""
        if place.labels is None or not (self.rule.only or self.rule.require):
            return True
        names = place.labels | {place.node}
        fits = not self.rule.only or not names.isdisjoint(self.rule.only)
        return fits and names.issuperset(self.rule.require)

    def _lives(self, place: Place) -> bool:
        """Say whether what lies there is reckoned with, be it in the wrong place."""
        if place.membership in (Membership.LOST, Membership.REMOVED):
            return False
        return place.away_ns is None or self._now_ns < place.away_ns + self._delay_ns

    def _cares(self, good: Sequence[Place]) -> bool:
        """Say whether anything is wanted for a file with these copies: a number of them, or that one goes."""
        return bool(self.rule.copies) or any(self._is_left(place) for place in good)

    def _is_left(self, place: Place) -> bool:
        """Say whether files go from there even if nobody said how many copies they shall have."""
        if place.membership is Membership.DRAINING:
            return True
        only = self.rule.only
        return bool(only) and place.labels is not None and (place.labels | {place.node}).isdisjoint(only)

    def good(self, stock: Stock) -> list[Place]:
        """Give the volumes that have a good copy of a file."""
        return [
            self._places[copy.volume]
            for copy in stock.copies
            if (copy.standing is Standing.GOOD and copy.ver == stock.entry.ver)
            and copy.volume in self._places
        ]

    def _lacking(self, places: Sequence[Place]) -> list[int]:
        """Give the levels, the widest first, on which these places share more than they must."""
        return [
            number
            for number, level in enumerate(self._levels)
            if len({level(place) for place in places}) < self._enough[number]
        ]

    def _suffice(self, places: Sequence[Place]) -> bool:
        return len(places) >= self.wanted and not self._lacking(places)

    # --- too few ----

    def _copy(
        self,
        stock: Stock,
        good: Sequence[Place],
        counted: Sequence[Place],
        lacking: Sequence[int],
    ) -> Plan:
        spoilt = {copy.volume for copy in stock.copies if copy.standing is Standing.BAD}
        bad = [self._places[number] for number in sorted(spoilt | stock.owed) if number in self._places]
        sources = [place for place in good if place.online]
        if not sources:
            if any(place.online for place in bad if place.number in spoilt):
                return Unmet("the only copy that is here is bad")
            if not good:
                return Unmet("no good copy is left")
            return Unmet(f"the only good copies are away, on {_names(good)}")
        source = min(sources, key=self._load_out)
        taken = stock.owed | {copy.volume for copy in stock.copies}
        had = [{level(place) for place in counted} for level in self._levels]
        short = len(counted) < self.wanted
        innermost = len(self._levels) - 1

        def news(place: Place) -> list[bool]:
            return [level(place) not in had[number] for number, level in enumerate(self._levels)]

        def fits(place: Place) -> bool:
            new = news(place)
            if any(new[number] for number in lacking):
                return True
            # Better in the same zone than nowhere; but never on the same node while there is another.
            return short and innermost not in lacking

        partner = self._partner(source)
        size = stock.entry.size
        known = partner and partner.number not in source.strangers
        if (
            partner
            and known
            and partner.number not in taken
            and all(news(partner))
            and self._has_room(partner, size)
        ):
            return Copy(source.number, partner.number)  # none of the others can be better

        def repeats(place: Place) -> list[bool]:
            return [*(not new for new in news(place)), place.number in source.strangers]

        roomy = (
            place
            for place in self._queue
            if place.number not in taken and self._has_room(place, size) and fits(place)
        )
        best = [*(offered <= seen for offered, seen in zip(self._offered, had, strict=True)), False]
        target = _first(roomy, repeats, best)
        if target is None:
            places = self._targets.values()
            fitting = [place for place in places if place.number not in taken and fits(place)]
            return Unmet(self._obstacle(fitting, taken, bad))
        return Copy(source.number, target.number)

    def _partner(self, source: Place) -> Place | None:
        """Give the target for which a batch is gathered already, if there is no better one by its labels."""
        partner = self._places.get(source.partner)
        if partner is None or partner.number not in self._targets or partner.room < 1:
            return None
        if source.gathered >= self._limits.batch_files or any(self._disliked(partner)):
            return None
        return partner

    def _has_room(self, place: Place, size: int) -> bool:
        return place.free - place.bytes_in - size >= max(self._reserve, place.floor)

    def _load_out(self, place: Place) -> tuple[int, ...]:
        load = self._batches(place.files_out, place.bytes_out)
        return len(place.strangers), place.room < 1, load, place.number

    def _disliked(self, place: Place) -> tuple[bool, bool]:
        """Say whether a place has an avoided label, and whether it lacks a preferred one."""
        labels = (place.labels or frozenset()) | {place.node}
        shunned = not labels.isdisjoint(self.rule.avoid)
        return shunned, bool(self.rule.prefer) and labels.isdisjoint(self.rule.prefer)

    def _load_in(self, place: Place) -> tuple[int, ...]:
        """Order targets. What is promised to one makes it a worse one, never a better."""
        return (
            *self._disliked(place),
            place.room < 1,
            self._batches(place.files_in, place.bytes_in),
            -round(20 * place.free / place.total) if place.total else 0,
            place.number,
        )

    def _load_of(self, place: Place) -> tuple[object, ...]:
        """Order volumes of which one loses its copy, the last: it is one that lacks room, if there is any."""
        return bool(place.missing), *self._load_in(place)

    def _batches(self, files: int, size: int) -> int:
        return max(-(-files // self._limits.batch_files), -(-size // self._limits.batch_bytes))

    def _obstacle(self, fitting: Sequence[Place], taken: Collection[int], bad: Sequence[Place]) -> str:
        """Say why no volume can take a copy."""
        if fitting:
            return f"no room on {_names(fitting)}"
        late = [self._places[number] for number in self._counted - self._targets.keys() - set(taken)]
        if late:
            return f"waiting for {_names(late)}"
        if bad:
            return f"the copy on {_names(bad)} is bad, and no other volume can take one"
        labelled = f" with the labels {', '.join(self.rule.require)}" if self.rule.require else ""
        labelled += f", of {' or '.join(self.rule.only)}" if self.rule.only else ""
        wanted = "1 copy is" if self.wanted == 1 else f"{self.wanted} copies are"
        there = f"{number_of(len(self._counted), 'volume')} {'is' if len(self._counted) == 1 else 'are'}"
        return f"{wanted} wanted, {there} there{labelled}"

    # --- from here to there ----

    def gives_up(self, stock: Stock) -> bool:
        """Say whether a copy that should go from one volume to another won't any more: it did, or can't."""
        return stock.shift is not None and self._shifted(stock, self.good(stock), *stock.shift) is None

    def way_out(self, stock: Stock, source: int) -> int | None:
        """Give the volume to which a copy can go from one without room, or one whose copy is enough.

        Of those that can take it, the one with the most room; rather one that isn't known to be out of reach.
        """
        if stock.shift or not isinstance(self.look(stock), Content):
            return None
        good = self.good(stock)
        for place in good:
            if isinstance(self._shifted(stock, good, source, place.number), Drop):
                return place.number
        stranger = None
        for place in self._roomiest:
            if not self._has_room(place, stock.entry.size):
                break  # nor have those behind it
            if isinstance(self._shifted(stock, good, source, place.number), Copy):
                if place.number not in self._places[source].strangers:
                    return place.number
                stranger = stranger or place.number
        return stranger

    def _shifted(
        self, stock: Stock, good: Sequence[Place], source: int, target: int
    ) -> Copy | Drop | Wait | None:
        """Say how a copy goes from one volume to another; None: not at all, or it is over.

        Only if all is well with the file, and will be so when the copy is there, too.
        """
        counted = [place for place in good if place.number in self._counted]
        rest = [place for place in counted if place.number != source]
        if len(rest) == len(counted) or target not in self._counted or not self._suffice(counted):
            return None
        ends = self._places[source], self._places[target]
        if not all(place.online and place.merged for place in ends):
            return Wait(self._now_ns + SOON_NS)  # after the master's start, for one
        if target in {place.number for place in rest}:
            here = [place for place in rest if place.online and place.merged]
            return Drop(source, tuple(place.number for place in here)) if self._suffice(here) else None
        too_many = bool(self.rule.copies) and len(counted) > self.rule.copies  # one goes anyway
        goal, sources = self._places[target], [place for place in good if place.online]
        taken = target in stock.owed or any(copy.volume == target for copy in stock.copies)
        fits = self._has_room(goal, stock.entry.size) and self._suffice([*rest, goal])
        if too_many or taken or not sources or not fits:
            return None
        return Copy(min(sources, key=self._load_out).number, target)

    # --- enough ----

    def _surplus(self, good: Sequence[Place], counted: Sequence[Place]) -> Plan:
        """Take one away that isn't needed, if the others are here and known to be; never on belief alone."""
        here = [place for place in counted if place.online and place.merged]
        misplaced = [
            place
            for place in good
            if place.number not in self._counted
            and (place.online and place.merged and place.membership is not Membership.REMOVED)
            and (self.rule.copies or self._is_left(place))
        ]
        surplus = self.rule.copies and len(counted) > self.rule.copies
        spare = sorted(here, key=self._load_of, reverse=True) if surplus else []
        for place in (*misplaced, *spare):
            rest = [other for other in here if other is not place]
            if self._suffice(rest):
                return Drop(place.number, tuple(other.number for other in rest))
        deadlines = [place.away_ns + self._delay_ns for place in counted if place.away_ns is not None]
        if misplaced or spare:
            deadlines.append(self._now_ns + RECHECK_NS)
        return Wait(min(deadlines)) if deadlines else CONTENT


class _Queue:
    """Targets, the best first: whoever wants one looks at a few of a thousand.

    What has been promised to one since puts it further back, which is found out when it is met.
    """

    def __init__(self, places: Iterable[Place], rank: Callable[[Place], tuple[int, ...]]) -> None:
        """Line them up.

        Args:
            places: The targets.
            rank: The less, the better; no two have the same, and it never gets less.
        """
        self._rank = rank
        self._line = sorted((rank(place), place) for place in places)

    def __iter__(self) -> Iterator[Place]:
        """Go through them, from the best one on."""
        line, rank, at = self._line, self._rank, 0
        while at < len(line):
            before, place = line[at]
            if (now := rank(place)) == before:
                yield place
                at += 1
            else:
                del line[at]
                insort(line, (now, place), at)


def _first(places: Iterable[Place], key: Callable[[Place], list[bool]], best: list[bool]) -> Place | None:
    """Give the place with the least key, the first of those; and look no further than at a best one."""
    found: tuple[list[bool], Place] | None = None
    for place in places:
        mine = key(place)
        if mine == best:
            return place
        if found is None or mine < found[0]:
            found = mine, place
    return found[1] if found else None


def beside(having: Sequence[Place], ranked: Iterable[Place], spread: Spread, count: int) -> list[Place]:
    """Choose volumes for further copies of a file, spread as copies are; among equals the order counts.

    Args:
        having: Where some lie, or will.
        ranked: Those that could take another, the best first.
        spread: What they are spread over.
        count: How many are wanted; there may be fewer.
    """
    levels = _LEVELS[spread]
    numbers = {place.number for place in having}
    chosen, rest = list(having), [place for place in ranked if place.number not in numbers]
    while rest and len(chosen) < len(having) + count:
        had = [{level(place) for place in chosen} for level in levels]

        def repeats(place: Place, had: list[set[str]] = had) -> list[bool]:
            return [level(place) in seen for level, seen in zip(levels, had, strict=True)]

        best = min(rest, key=repeats)
        chosen.append(best)
        rest.remove(best)
    return chosen[len(having) :]


def promise(places: Mapping[int, Place], step: Copy, size: int) -> None:
    """Note in the volumes that a file will be copied: the next plans see it."""
    source, target = places[step.source], places[step.target]
    source.files_out += 1
    source.bytes_out += size
    target.files_in += 1
    target.bytes_in += size
    if source.partner != step.target:
        source.partner, source.gathered = step.target, 0
    source.gathered += 1


_SAID = {
    Membership.DRAINING: "being emptied",
    Membership.LOST: "without this disk: it is lost",
    Membership.REMOVED: "not reckoned with any more",
}


def _node(place: Place) -> str:
    return place.node


def _zone(place: Place) -> str:
    # Of whom nobody knows where it is, it is taken for alone there.
    return f"?{place.node}" if place.zone is None else place.zone


_LEVELS: Mapping[Spread, tuple[Callable[[Place], str], ...]] = {"node": (_node,), "zone": (_zone, _node)}
"""What copies are spread over, the widest first."""


def _names(places: Sequence[Place]) -> str:
    names = sorted({place.node for place in places})
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*names[:NAMED], *more])
