"""The threads of one mount, so that a site which is away holds up nobody else's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_ASIDE = 2
"""Threads for what doesn't wait for the site: the record."""


class Threads:
    """One mount's threads, and whether they do anything for anybody."""

    def __init__(self, name: str, most: int) -> None:
        """Begin without one; they come as they are needed.

        Args:
            name: Whose, as debuggers show it.
            most: How many may wait for the site at once.
        """
        self._waiting = ThreadPoolExecutor(most, name)
        self._quick = ThreadPoolExecutor(_ASIDE, f"{name}-record")
        self._begun = self._ended = self._seen = 0

    def off(self, work: Any, *arguments: Any) -> asyncio.Future[Any]:
        """Call a function that may take as long as a site takes."""
        return self._counted(self.tend(work, *arguments))

    def aside(self, work: Any, *arguments: Any) -> asyncio.Future[Any]:
        """Call a function that takes no time worth mentioning."""
        return self._counted(asyncio.get_running_loop().run_in_executor(self._quick, work, *arguments))

    def tend(self, work: Any, *arguments: Any) -> asyncio.Future[Any]:
        """Call a function that nobody asked for, as `off` does."""
        return asyncio.get_running_loop().run_in_executor(self._waiting, work, *arguments)

    def stirred(self) -> bool:
        """Say whether anything was called since this was asked last, or still runs."""
        seen, self._seen = self._seen, self._begun
        return seen != self._begun or self._ended < self._begun

    def close(self) -> None:
        """Begin nothing more; what runs ends by itself."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        self._quick.shutdown(wait=False)

    def _counted(self, work: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self._begun += 1
        work.add_done_callback(self._one_ended)
        return work

    def _one_ended(self, _: asyncio.Future[Any]) -> None:
        self._ended += 1
