"""Time that passes only while nothing else is to be done: an event loop on a clock of its own.

Whoever runs on it is ordinary asyncio code. It has no threads and no sockets: what is given to a thread is
done at once. So the same seed gives the same run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

EPOCH_NS = 1_800_000_000_000_000_000
"""When the simulated day begins."""


class _Jumping(selectors.DefaultSelector):
    """Waits for nobody: it sets the clock forward instead."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that will never happen")
        self.passed += max(timeout, 0.0)
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop on simulated time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Do it now."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed over
            future.set_exception(error)
        return future


class Clock:
    """What modules see in the place of `time`."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def time_ns(self) -> int:
        return EPOCH_NS + int(self._loop.time() * 1e9)


@contextmanager
def shown_to(clock: Clock, *modules: ModuleType) -> Iterator[None]:
    """Have modules see this clock as long as the context lasts."""
    before = [vars(module)["time"] for module in modules]
    for module in modules:
        vars(module)["time"] = clock
    try:
        yield
    finally:
        for module, time in zip(modules, before, strict=True):
            vars(module)["time"] = time
