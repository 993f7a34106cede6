"""The catalogue for words that write straight into it, whether the master runs or not."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from argosy import config
from argosy.accounts.accounts import Accounts
from argosy.catalogue.catalogue import Catalogue
from argosy.cli.ask import ask
from argosy.cli.site import Site
from argosy.errors import Refused
from argosy.wire import link

_T = TypeVar("_T")

TELL_SECONDS = 10.0
"""How long a master may take to hear of a change; one that doesn't sees it by itself, a little later."""


def master_config(arguments: argparse.Namespace) -> config.Master:
    """Read the master's file that `--config` names, else the one in `--dir`.

    Raises:
        ConfigError: There is none, or it makes no sense.
    """
    if arguments.config:
        return config.load_master(Path(arguments.config))
    return Site(Path(arguments.dir)).load_master()


@asynccontextmanager
async def opened(settings: config.Catalogue) -> AsyncIterator[Catalogue]:
    """Lend the catalogue, open; the master may have it open at the same time."""
    catalogue = Catalogue(settings)
    await catalogue.open()
    try:
        yield catalogue
    finally:
        await catalogue.close()


@asynccontextmanager
async def accounts(settings: config.Catalogue) -> AsyncIterator[Accounts]:
    """Lend the users and groups."""
    async with opened(settings) as catalogue:
        lent = Accounts(catalogue)
        try:
            yield lent
        finally:
            lent.close()


def look(arguments: argparse.Namespace, job: Callable[[Accounts], _T]) -> _T:
    """Do a job that changes nothing with the users and groups."""
    settings = master_config(arguments).catalogue

    async def run() -> _T:
        async with accounts(settings) as book:
            return job(book)

    return asyncio.run(run())


def alter(arguments: argparse.Namespace, job: Callable[[Accounts], Awaitable[_T]]) -> _T:
    """Do a job that changes users or groups; a master that runs has heard of it when this returns."""
    master = master_config(arguments)

    async def run() -> _T:
        async with accounts(master.catalogue) as book:
            done = await job(book)
        with contextlib.suppress(Refused):  # none runs, or it is of another version
            await ask(master, link.AskRefresh(), seconds=TELL_SECONDS)
        return done

    return asyncio.run(run())
