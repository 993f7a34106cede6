"""When files were last found to be what their checksums say, while they were sent.

To sum a large file costs more than to have the kernel send it. So one that many want is compared now and
then, and one that is seldom asked for, which comes from the disk, each time.
"""

from __future__ import annotations

import threading
import time

Content = tuple[str, bytes, int]
"""Store id, loc and version."""

_MOST = 65_536
"""Remembered at once; the oldest goes first, and is compared once too often."""


class Compared:
    """Of which files the comparing isn't due yet. For any thread."""

    def __init__(self, seconds: float) -> None:
        """Begin with none.

        Args:
            seconds: How long a comparison holds; 0: not at all.
        """
        self._seconds = seconds
        self._at: dict[Content, float] = {}  # the oldest first
        self._lock = threading.Lock()

    def of_late(self, content: Content) -> bool:
        """Whether a content was compared so short a time ago."""
        at = self._at.get(content)
        return at is not None and time.monotonic() - at < self._seconds

    def note(self, content: Content) -> None:
        """A content was compared now, and is right."""
        with self._lock:
            self._at.pop(content, None)
            self._at[content] = time.monotonic()
            if len(self._at) > _MOST:
                del self._at[next(iter(self._at))]
