"""Pipes that bytes are spliced through, so that they never leave the kernel."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import NamedTuple

_F_SETPIPE_SZ = 1031  # linux/fcntl.h; the fcntl module has the name only where glibc's headers did

_DEFAULT_BYTES = 65_536
"""What a pipe holds where we may not choose. pipe(7)"""


class Pipe(NamedTuple):
    """An open pipe."""

    reader: int
    writer: int
    size: int
    """Bytes that it holds."""


@contextlib.contextmanager
def opened(wanted_bytes: int) -> Iterator[Pipe]:
    """Open a pipe that holds so many bytes, or 64 KiB where the user's share of pipes is used up."""
    reader, writer = os.pipe()
    try:
        try:
            size = fcntl.fcntl(writer, _F_SETPIPE_SZ, wanted_bytes)
        except PermissionError:
            size = _DEFAULT_BYTES
        yield Pipe(reader, writer, size)
    finally:
        os.close(reader)
        os.close(writer)
