"""The nodes as the master sees them: who is about to be busy counts as busy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from argosy.catalogue.model import Volume
from argosy.cluster.nodes import roster
from argosy.cluster.nodes.placement import rank_writers
from argosy.cluster.nodes.roster import Node, Roster
from argosy.config import Placement
from argosy.wire import link

NODES = 10
GIB = 2**30


@pytest.fixture
def ten() -> Roster:
    """Have ten nodes, each with a disk as large as the others', and not equally loaded."""
    found = Roster()
    for number in range(1, NODES + 1):
        node = found.enter(f"n{number}")
        node.load, node.in_rate = number / 20, number * 1e6
        store = f"{number:032x}"
        state = link.VolumeState(store, 0, 100 * GIB, 50 * GIB, [])
        found.attach(node, Volume(number, store, node.name, 0), state)
    return found


def choose(site: Roster) -> Node:
    """Choose for an upload, as the vfs does."""
    here = [replace(candidate, online=True) for candidate in site.candidates()]
    best = rank_writers(here, Placement(), None)[0].candidate
    site.chosen(best.volume, freely=True)
    return site.nodes[best.node]


async def test_uploads_that_are_planned_at_the_same_moment_go_to_as_many_nodes(ten: Roster) -> None:
    assert len({choose(ten).name for _ in range(NODES)}) == NODES


def test_a_client_that_never_connects_keeps_a_node_busy_for_a_while_only(
    ten: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = choose(ten)
    assert node.busy == 1
    monkeypatch.setattr(roster, "PROMISE_SECONDS", 0.0)
    assert node.busy == 0
