"""An NFS door over storages in memory, one for each of two exports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from calling import Caller, served
from memory import Memory, MemoryMounts


@pytest.fixture(params=["warm", "cold"])
def mounts(request: pytest.FixtureRequest) -> MemoryMounts:
    """Two mounts; warm, they remember all they have, cold, nothing: both have to answer alike."""
    mounts = MemoryMounts("/museum", "/archive")
    for storage in mounts.storages.values():
        storage.warm = request.param == "warm"
    return mounts


@pytest.fixture
def museum(mounts: MemoryMounts) -> Memory:
    """The one that tests fill."""
    return mounts["/museum"]


@pytest.fixture
async def port(mounts: MemoryMounts) -> AsyncIterator[int]:
    async with served(mounts, hold_seconds=0.5) as port:
        yield port


@pytest.fixture
async def ann(port: int) -> AsyncIterator[Caller]:
    """Who mounted it."""
    async with await Caller.connect(port) as caller:
        yield caller


@pytest.fixture
async def root(ann: Caller) -> bytes:
    """The handle of the museum's root."""
    return await ann.mount("/museum")
