"""Each server once for each module; each test has a directory of its own there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import servers
from argosy.config import Remote
from argosy.sites.model import Address, Tls
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from servers import FOLDER, Server

_numbers = itertools.count(1)


def settings_for(peer: Server, **changes: Any) -> Remote:
    """Give settings that trust the server, with limits that a busy machine keeps."""
    usual: dict[str, Any] = {
        "trust_file": str(peer.authority),
        "connect_seconds": 15.0,
        "reply_seconds": 30.0,
    }
    return Remote(**usual | changes)


def log_in(peer: Server, tls: Tls = Tls.OFF, dialect: Dialect | None = None, **changes: Any) -> Client:
    """Log in, as the gateway would."""
    address = Address(peer.host, peer.port, peer.user, peer.password, tls=tls)
    return Client(address, settings_for(peer, **changes), dialect or Dialect())


@pytest.fixture(scope="module", params=list(servers.ALL))
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run each of the servers."""
    name = str(request.param)
    with servers.ALL[name](tmp_path_factory.mktemp("peers") / name) as running:
        yield running


@pytest.fixture(params=[Tls.OFF, Tls.NEEDED], ids=["clear", "tls"])
def client(request: pytest.FixtureRequest, peer: Server) -> Iterator[Client]:
    """Log in, in the clear and by TLS."""
    client = log_in(peer, request.param)
    yield client
    client.close()


@pytest.fixture
def place(peer: Server) -> bytes:
    """Make a directory that is the test's own, and give its path."""
    path = f"{FOLDER}/{next(_numbers)}".encode()
    client = log_in(peer)
    client.make_directory(path)
    client.close()
    return path
