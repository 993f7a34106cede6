"""A volume for a test, which can be opened again as if its process had been killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from argosy.node.disk import roots
from argosy.node.disk.journal import PartRow
from argosy.node.disk.volume import Volume

Opener = Callable[[], Volume]


@contextlib.contextmanager
def reopened(root: Path) -> Iterator[Opener]:
    """Lend what opens the volume; again: as if the process had been killed."""
    roots.prepare(root)
    volumes: list[Volume] = []

    def again() -> Volume:
        for volume in volumes:
            volume.close()
        volumes.clear()
        volumes.append(Volume.open(root, trash_seconds=60))
        return volumes[0]

    yield again
    for volume in volumes:
        volume.close()


def bring(volume: Volume, upload: int, data: bytes) -> PartRow:
    """Upload a part, and seal it."""
    descriptor = volume.receive(upload, 0, None, flush=True)
    os.write(descriptor, data)
    row = volume.seal(upload, descriptor, flush=True, crc32=1, digest=b"d")
    os.close(descriptor)
    volume.release(upload)
    return row
