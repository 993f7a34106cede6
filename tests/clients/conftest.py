"""One site for all clients; each test works below a directory of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from clients.trials import reach
from servers import FOLDER, Server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a master and two nodes."""
    with servers.ours(tmp_path_factory.mktemp("clients")) as server:
        yield server


@pytest.fixture
def place(server: Server) -> str:
    """Make a directory that is the test's own, and give its path."""
    path = f"{FOLDER}/{next(_numbers)}"
    with reach(server) as talk:
        assert talk.ask(f"MKD {path}").code == 257
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give an empty home."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"
