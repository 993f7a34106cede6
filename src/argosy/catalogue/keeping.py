"""The words for keeping copies: what a directory wants of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.config import Spread

Way = Sequence[tuple[int, bytes]]
"""Directories from the root down, each with its name; the root is first, and its name empty. FileId 0: there
is no such directory yet."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was set at run time for a directory and all below it. None: as what is above it says."""

    copies: int | None = None
    """On so many volumes each file shall lie."""
    acknowledged: int | None = None
    """So many copies there must be before 226."""
    spread: Spread | None = None
    """What no two copies shall share, as far as there are enough of them."""
    require: tuple[str, ...] | None = None
    """Labels: all of them a node must have."""
    prefer: tuple[str, ...] | None = None
    """Labels: nodes that have one come first."""
    avoid: tuple[str, ...] | None = None
    """Labels: nodes that have one come last."""
    repair_delay_seconds: float | None = None
    """A node away for longer isn't reckoned with."""
    flush: bool | None = None
    """Flush to the disk before 226."""

    def said(self) -> dict[str, object]:
        """Give the fields that are set, with their values."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None}


NOTHING_SAID = Wish()
