"""What the answers have at hand, and how paths are shown in them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy.accounts.accounts import Accounts
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Counts, TreePath
from argosy.cluster.copies.draining import Draining
from argosy.cluster.copies.floors import Floors
from argosy.cluster.copies.proving import Proving
from argosy.cluster.copies.rebalancing import Rebalancing
from argosy.cluster.copies.relocating import Relocating
from argosy.cluster.copies.repair import Repair
from argosy.cluster.nodes.roster import Roster, Standing
from argosy.config import Master
from argosy.presence.bans import Bans
from argosy.presence.visitors import Visitors
from argosy.vfs.vfs import Vfs

Document = dict[str, Any]


@dataclass
class Office:
    """The running master, as far as its administrator asks for it."""

    config: Master
    vfs: Vfs
    accounts: Accounts
    live: Callable[[], Mapping[str, object]]
    """Gives figures of other doors for `status`."""
    visitors: Visitors
    bans: Bans
    repair: Repair
    draining: Draining
    relocating: Relocating
    rebalancing: Rebalancing
    proving: Proving
    floors: Floors
    since: float = field(default_factory=time.monotonic)
    _counted: Counts | None = None
    _count_again: float = 0.0
    _standings: list[Standing] = field(default_factory=list)

    @property
    def catalogue(self) -> Catalogue:
        """What exists and who has it."""
        return self.vfs.catalogue

    @property
    def roster(self) -> Roster:
        """The nodes that are here."""
        return self.vfs.roster

    async def counts(self) -> Counts:
        """Count off the loop, for it reads all of the catalogue; and no more than half of the time.

        Counted anew whenever a volume has got on, so that what is told as merged is counted.
        """
        standings = [volume.standing for node in self.roster for volume in node.volumes.values()]
        if self._counted is None or standings != self._standings or time.monotonic() > self._count_again:
            begin = time.monotonic()
            self._standings = standings
            self._counted = await asyncio.to_thread(self.catalogue.counts)
            self._count_again = 2 * time.monotonic() - begin
        return self._counted


def asked_path(path: bytes) -> TreePath:
    """Read a path as a person gives it."""
    return tuple(part for part in path.split(b"/") if part not in (b"", b"."))


def text(path: TreePath) -> str:
    """Show a path in JSON."""
    return as_text(b"/" + b"/".join(path))


def as_text(name: bytes) -> str:
    """Show bytes in JSON, which takes none that aren't UTF-8: those are escaped."""
    return name.decode(errors="backslashreplace")
