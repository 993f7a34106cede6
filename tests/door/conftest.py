"""One site for all tests of the door; each test works below a directory of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from running import Site
from talking import Talk

WRITER, READER, MOVER = "bob", "guest", "carol"
"""A user like most, one who may change nothing, and one who may FXP."""

SETTINGS: dict[str, dict[str, object]] = {
    "ftp": {
        "failure_pause_seconds": 0.01,
        "login_failures": 3,
        "ban_failures": 0,
        "connect_seconds": 5.0,
    },
    "sections.vault": {"path": "/vault", "quota_files": 2},
    "sections.attic": {"path": "/attic", "serve_damaged": True},
}

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a master and two nodes."""
    site = Site(tmp_path_factory.mktemp("door") / "site", settings=SETTINGS)
    try:
        site.start()
        site.add_user(WRITER)
        site.add_user(READER, "--read-only")
        site.add_user(MOVER, "--fxp")
        yield site
    finally:
        site.stop()


@pytest.fixture
def place(site: Site) -> str:
    """Make a directory that is the test's own, and give its path."""
    path = f"/test-{next(_numbers)}"
    with Talk(site) as talk:
        assert talk.ask(f"MKD {path}").code == 257
    return path


@pytest.fixture
def talk(site: Site, place: str) -> Iterator[Talk]:
    """Log in as a user like most, in the test's own directory."""
    with Talk(site, WRITER) as talk:
        assert talk.ask(f"CWD {place}").code == 250
        yield talk
