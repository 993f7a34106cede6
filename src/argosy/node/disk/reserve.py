"""Room that is kept for the journal: with it a node starts on a disk that is full to the last block."""

from __future__ import annotations

import contextlib
import os

BYTES = 1 << 20
"""What SQLite needs to open a journal is less: a page or two of its log, and the memory that is shared."""


def keep(journal: bytes) -> None:
    """Take the room beside a journal; on a disk that is full, and wants to stay so, there is none.

    Args:
        journal: Its path.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(_path(journal), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < BYTES:
                os.posix_fallocate(descriptor, 0, BYTES)
        finally:
            os.close(descriptor)


def give_up(journal: bytes) -> bool:
    """Leave the room to the journal, and say whether there was any."""
    with contextlib.suppress(OSError):
        os.unlink(_path(journal))
        return True
    return False


def _path(journal: bytes) -> bytes:
    return journal + b".reserve"
