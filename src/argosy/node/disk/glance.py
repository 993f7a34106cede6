"""Reading a small file without waiting for anything: the one way to a volume that the event loop may go."""

from __future__ import annotations

import os
import stat

from argosy.node.disk.checksums import Sums, is_as
from argosy.node.disk.volume import Volume


def read_now(volume: Volume, loc: bytes, ver: int, offset: int, into: memoryview) -> bool:
    """Read the end of a small file, if it lies in place and all that is needed is in memory.

    What is uncertain, or isn't what its checksum says, is left to `Volume.read`: the journal is not locked
    here, so a file counts only with the very size and time of its row.

    Args:
        volume: Whose file.
        loc: Where it is.
        ver: Its version.
        offset: The first byte.
        into: Filled with the bytes from there to the end of the file.
    """
    known = volume.journal.glance(loc, ver)
    if known is None or known[0] != offset + len(into):
        return False
    descriptor = volume.root.open_now(loc)
    if descriptor is None:
        return False
    try:
        found = os.fstat(descriptor)
        if (found.st_size, found.st_mtime_ns) != known[:2] or not stat.S_ISREG(found.st_mode):
            return False
        if not volume.root.read_now(descriptor, into, offset):
            return False
        # One that is wrong is left to who refuses it.
        return offset > 0 or is_as(into, Sums(*known[2:]))
    finally:
        os.close(descriptor)
