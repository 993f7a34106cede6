"""Checksums that nodes have read whole files for, remembered."""

from __future__ import annotations

from argosy.catalogue.model import Entry

KEPT = 10_000
"""The last ones: some 2 MB."""


class Sums:
    """Checksums by file, version of its content and algorithm: another content is another version."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._digits: dict[tuple[int, int, str], str] = {}

    def of(self, entry: Entry, algorithm: str) -> str | None:
        """Give the checksum in hex digits, if it is remembered or in the file's record."""
        if algorithm == "crc32" and entry.crc32 is not None:
            return f"{entry.crc32:08x}"
        return self._digits.get((entry.id, entry.ver, algorithm))

    def note(self, entry: Entry, algorithm: str, digits: str) -> None:
        """Remember one."""
        self._digits[entry.id, entry.ver, algorithm] = digits
        if len(self._digits) > self._kept:
            del self._digits[next(iter(self._digits))]
