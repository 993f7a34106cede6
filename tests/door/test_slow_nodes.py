"""A node on a slow line: those who have the choice are sent to another, and `argosy why` says why."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from network import Machine, Network, WideSite
from talking import SECONDS, Talk, address, everything

CONTENT = os.urandom(8_000_000)
FAST_MEGABITS, SLOW_MEGABITS = 400, 16


@dataclass(frozen=True)
class Place:
    """The site and its client."""

    site: WideSite
    client: Machine

    def fetched(self, path: str) -> str:
        """Fetch a file straight from a node, and name that."""

        def fetch() -> str:
            with Talk(self.site) as talk:
                assert talk.ask(f"PRET RETR {path}").code == 200
                answer = talk.ask("PASV")
                with socket.create_connection(address(answer, ""), SECONDS) as data:
                    began = talk.ask(f"RETR {path}")
                    assert everything(data) == CONTENT
                assert talk.hear().code == 226
            return began.text.decode().split()[-1]

        return self.client.inside(fetch)

    def reading(self, path: str) -> dict[str, list[str]]:
        """Give the reasons for and against each node, the best first."""
        told = self.site.argosy("why", path)["reading"]
        return {one["node"]: [reason["why"] for reason in one["reasons"]] for one in told}


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[Place]:
    """Run a node on a fast line and one on a slow line, with each file on both."""
    with Network() as network:
        master, client = network.machine("master", "10.84.0.1"), network.machine("client", "10.84.0.2")
        site = WideSite(tmp_path / "site", master, {"sections.all": {"path": "/", "copies": 2}})
        try:
            site.start()
            for number, megabits in enumerate((FAST_MEGABITS, SLOW_MEGABITS), start=1):
                node = network.machine(f"n{number}", f"10.84.1.{number}", megabits=megabits)
                site.join(f"n{number}", tmp_path / f"n{number}", prefix=node.prefix)
            yield Place(site, client)
        finally:
            site.stop()


def test_a_node_on_a_slow_line_loses_rank(wide: Place) -> None:
    site = wide.site

    def store() -> None:
        with Talk(site) as talk:
            talk.store("/f", CONTENT)

    wide.client.inside(store)
    site.wait_for("two copies", lambda: len(site.argosy("why", "/f")["replicas"]) == 2, 60.0)
    served: list[str] = []
    while {"n1", "n2"} - set(served):
        assert len(served) < 6, f"both had their turn: {served}"
        served.append(wide.fetched("/f"))
    wide.fetched("/f")
    reasons = wide.reading("/f")
    assert next(iter(reasons)) == "n1"
    assert any(why.startswith("slow of late") for why in reasons["n2"]), reasons
    assert not any(why.startswith("slow of late") for why in reasons["n1"]), reasons
    assert [wide.fetched("/f") for _ in range(4)] == ["n1"] * 4
