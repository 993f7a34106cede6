"""Turns: who changes what a name stands for does so alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from argosy.sites.model import FileId

Place = tuple[FileId, bytes]
"""A directory, and a name in it."""


class Turns:
    """The names that are being changed now."""

    def __init__(self) -> None:
        self._taken: dict[Place, tuple[asyncio.Lock, int]] = {}
        """And how many want each."""

    @asynccontextmanager
    async def of(self, *places: Place) -> AsyncIterator[None]:
        """Wait until nobody else changes these names, and keep others waiting meanwhile."""
        async with AsyncExitStack() as stack:
            for place in sorted(set(places)):  # all in one order, so that no two wait for each other
                await stack.enter_async_context(self._one(place))
            yield

    @asynccontextmanager
    async def _one(self, place: Place) -> AsyncIterator[None]:
        lock, wanted = self._taken.get(place) or (asyncio.Lock(), 0)
        self._taken[place] = lock, wanted + 1
        try:
            async with lock:
                yield
        finally:
            lock, wanted = self._taken[place]
            if wanted == 1:
                del self._taken[place]
            else:
                self._taken[place] = lock, wanted - 1
