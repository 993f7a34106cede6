"""Choosing nodes: pure, and every choice gives its reasons.

A volume that may serve gets points from each rule; the highest sum wins, and among equals (to a whole
point) the one that waited longest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from argosy.cluster.nodes.conduct import Slow, Trouble
from argosy.config import Placement


class Wanted(Protocol):
    """What is said of the nodes for a subtree's files, by their labels; a node's name is one of them."""

    @property
    def require(self) -> Sequence[str]:
        """All of these a node must have."""

    @property
    def prefer(self) -> Sequence[str]:
        """Who has one of these comes first."""

    @property
    def avoid(self) -> Sequence[str]:
        """Who has one of these comes last."""

    @property
    def only(self) -> Sequence[str]:
        """One of these a node must have; none: any may."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A volume of a node as placement sees it."""

    node: str
    volume: int
    online: bool
    labels: frozenset[str] = frozenset()
    transfers: int = 0
    """Running on the node now."""
    load: float = 0.0
    """Load average over processors."""
    rate: float = 0.0
    """Bytes per second that the node moves, both ways."""
    total: int = 0
    free: int = 0
    turn: int = 0
    """When it was last chosen, as a rising number; 0 for never."""
    holds: bool = False
    """It has the replaced version or the first part of the file."""
    emptied: bool = False
    """Its volume is being emptied, and takes nothing but what goes on with a file that it has."""
    missed: int = 0
    """Beats of its node that should have come since the last one."""
    trouble: Trouble | None = None
    """What others met with, of late."""
    unwritable: bool = False
    """It refused an upload of late: it isn't chosen for having the file."""
    slow: Slow | None = None
    """Its node was slower than others, of late."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Points, and what for; that is worded only for who asks, since most choices nobody asks about."""

    points: float
    words: str
    """With a place for each of the values, as `str.format` has them."""
    values: tuple[object, ...] = ()

    @property
    def why(self) -> str:
        """The words with the values in them."""
        return self.words.format(*self.values)


@dataclass(frozen=True, slots=True)
class Score:
    """What a candidate is worth for one transfer."""

    candidate: Candidate
    eligible: bool
    reasons: tuple[Reason, ...]

    @property
    def points(self) -> float:
        """The sum of the reasons."""
        return sum(reason.points for reason in self.reasons)


def rank_readers(candidates: Iterable[Candidate], weights: Placement) -> list[Score]:
    """Order the volumes that hold a good copy: the first eligible one serves.

    Args:
        candidates: Volumes with a good replica, on nodes online or away.
        weights: What counts how much.
    """
    return _ranked(
        _score(candidate, (), [*_busyness(candidate, weights), *_conduct(candidate, weights)])
        for candidate in candidates
    )


def rank_writers(candidates: Iterable[Candidate], weights: Placement, wanted: Wanted | None) -> list[Score]:
    """Order the volumes that could take a new file: the first eligible one gets it.

    Args:
        candidates: All volumes.
        weights: What counts how much.
        wanted: What is said for the subtree that the file goes to, if anything.
    """
    return _ranked(_writer(candidate, weights, wanted) for candidate in candidates)


def _writer(candidate: Candidate, weights: Placement, wanted: Wanted | None) -> Score:
    against = []
    if candidate.free < weights.reserve_bytes:
        room = candidate.free, weights.reserve_bytes
        against.append(Reason(0.0, "only {:,} bytes free, {:,} are kept in reserve", room))
    labels = candidate.labels | {candidate.node}
    if wanted and wanted.only and labels.isdisjoint(wanted.only):
        against.append(Reason(0.0, "isn't of {}", (" or ".join(wanted.only),)))
    if wanted and (missing := set(wanted.require) - labels):
        against.append(Reason(0.0, "lacks the label {}", (", ".join(sorted(missing)),)))
    if candidate.emptied and not candidate.holds:
        against.append(_EMPTIED)
    share = candidate.free / candidate.total if candidate.total else 0.0
    reasons = [
        Reason(weights.free_share * share, "{:.0%} of the disk is free", (share,)),
        *_busyness(candidate, weights),
        *_conduct(candidate, weights),
    ]
    if wanted and (liked := labels.intersection(wanted.prefer)):
        reasons.append(Reason(weights.preferred, "has the preferred label {}", (", ".join(sorted(liked)),)))
    if wanted and (shunned := labels.intersection(wanted.avoid)):
        reasons.append(Reason(-weights.preferred, "has the avoided label {}", (", ".join(sorted(shunned)),)))
    if candidate.emptied:
        reasons.append(Reason(-2 * weights.preferred, "is being emptied"))
    if candidate.holds and not candidate.unwritable:
        reasons.append(Reason(weights.preferred, "has the file already"))
    return _score(candidate, against, reasons)


def _busyness(candidate: Candidate, weights: Placement) -> list[Reason]:
    transfers, load, rate = candidate.transfers, max(candidate.load, 0.0), max(candidate.rate, 0.0)
    spare = max(0.0, 1.0 - rate / weights.fast_bytes_per_second)
    return [
        Reason(weights.idle / (1 + transfers), "{} transfers running", (transfers,)),
        Reason(weights.load * max(0.0, 1.0 - load), "load {:.2f} per processor", (load,)),
        Reason(weights.bandwidth * spare, "moves {:.1f} MB/s", (rate / 1e6,)),
    ]


def _conduct(candidate: Candidate, weights: Placement) -> Iterator[Reason]:
    """Say what speaks against a node as it has behaved; mostly nothing."""
    if candidate.missed:
        yield Reason(-weights.silent * candidate.missed, "has missed {} beats", (candidate.missed,))
    if trouble := candidate.trouble:
        yield Reason(-weights.trouble * trouble.amount, "trouble of late: {}", (trouble.why,))
    if slow := candidate.slow:
        figures = slow.rate / 1e6, slow.others / 1e6
        yield Reason(-weights.slow * slow.share, "slow of late: {:.1f} MB/s where others do {:.1f}", figures)


def _score(candidate: Candidate, against: Iterable[Reason], reasons: Iterable[Reason]) -> Score:
    away = () if candidate.online else (_AWAY,)
    if obstacles := (*away, *against):
        return Score(candidate, eligible=False, reasons=obstacles)
    return Score(candidate, eligible=True, reasons=tuple(reasons))


_AWAY = Reason(0.0, "is away")
_EMPTIED = Reason(0.0, "is being emptied")


def _ranked(scores: Iterable[Score]) -> list[Score]:
    return sorted(
        scores,
        key=lambda score: (
            not score.eligible,
            -round(score.points),
            score.candidate.turn,
            score.candidate.node,
            score.candidate.volume,
        ),
    )
