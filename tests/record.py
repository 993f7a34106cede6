"""A catalogue for a test, with nodes that have a volume each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from argosy import config
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.proof import Observed


@contextlib.asynccontextmanager
async def opened(
    directory: Path, *, nodes: int = 0, clock_ns: Callable[[], int] = time.time_ns
) -> AsyncIterator[Catalogue]:
    """Open a catalogue whose nodes are called n1, n2, ..., with the volumes 1, 2, ..."""
    catalogue = Catalogue(config.Catalogue(directory=str(directory)), clock_ns=clock_ns)
    await catalogue.open()
    try:
        for number in range(1, nodes + 1):
            await catalogue.register(f"n{number}", "boot")
            await catalogue.attach(str(number) * 32, f"n{number}")
        yield catalogue
    finally:
        await catalogue.close()


def seen(
    catalogue: Catalogue, file: int, sums: Mapping[int, tuple[int | None, bytes | None]]
) -> dict[int, Observed]:
    """What reading a file's copies on some volumes has shown."""
    return {
        copy.volume: Observed(copy.volume, copy.loc, 0, copy.size, *sums[copy.volume])
        for copy in catalogue.replicas(file)
        if copy.volume in sums
    }
