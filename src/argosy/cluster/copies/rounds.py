"""A chore that is done again and again, whatever befalls it, and at once when somebody asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from argosy import errors

log = logging.getLogger("argosy.rounds")

GATHER_SECONDS = 0.05
"""Wishes gather for so long before a round begins: uploads come one after the other."""


async def again(chore: Callable[[], Awaitable[None]], woken: asyncio.Event, seconds: float) -> None:
    """Do a chore until cancelled.

    Args:
        chore: One round of it.
        woken: Set by who wants a round now.
        seconds: The pause between two rounds where nobody does.
    """
    while True:
        woken.clear()
        try:
            await chore()
        except errors.Refused as refused:
            log.info("later: %s", refused)
        except Exception:
            log.exception("accident in a round")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await woken.wait()
                await asyncio.sleep(GATHER_SECONDS)
