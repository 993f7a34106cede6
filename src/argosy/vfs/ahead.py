"""A choice made ahead, for PRET, that serves for the transfer itself while nothing has changed."""

from __future__ import annotations

import time
from typing import Protocol, TypeVar

from argosy.cluster.nodes.roster import LiveVolume, Node

Basis = tuple[object, ...]
"""What a choice rests on: the path, the account as it is, the catalogue's version."""

SECONDS = 1.0
"""A choice is good for so long: the basis says nothing of a node's room and load, which beats tell."""


class _Choice(Protocol):
    @property
    def node(self) -> Node:
        """Who will move the bytes."""

    @property
    def live(self) -> LiveVolume:
        """Where they lie, or will."""


_Kind = TypeVar("_Kind", bound=_Choice)


class Ahead:
    """At most one choice, and it is used once."""

    __slots__ = ("_basis", "_choice", "_until")

    def __init__(self) -> None:
        self._choice: _Choice | None = None
        self._basis: Basis = ()
        self._until = 0.0

    def keep(self, basis: Basis, choice: _Choice) -> None:
        """Keep a choice in place of the one before."""
        self._choice, self._basis, self._until = choice, basis, time.monotonic() + SECONDS

    def take(self, basis: Basis, node: Node | None, kind: type[_Kind]) -> _Kind | None:
        """Give the choice if it was of this kind and would be made again; it is gone in any case.

        Args:
            basis: What it would rest on now.
            node: Only this node will do; None: any.
            kind: What it has to be.
        """
        choice, self._choice = self._choice, None
        if not isinstance(choice, kind) or self._basis != basis or time.monotonic() > self._until:
            return None
        there = choice.node.online and choice.node.volumes.get(choice.live.store_id) is choice.live
        return choice if there and (node is None or choice.node is node) else None
