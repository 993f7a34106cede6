"""Volumes are emptied: nothing new goes there, and repair has their files copied elsewhere, then dropped.

That a volume is being emptied stands in the catalogue, so it goes on whoever is killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Errand, Left
from argosy.catalogue.model import Membership, Volume
from argosy.cluster.copies.repair import Repair
from argosy.cluster.nodes.roster import Roster

log = logging.getLogger("argosy.draining")


@dataclass(frozen=True, slots=True)
class Drained:
    """How far volumes are emptied."""

    volumes: tuple[Volume, ...]
    begun: tuple[Errand, ...]
    """Of those that are being emptied, what lay there when that began."""
    left: Left

    @property
    def empty(self) -> bool:
        """Whether nothing lies there any more, and nothing will: their node can be switched off."""
        draining = all(volume.membership is Membership.DRAINING for volume in self.volumes)
        return draining and not self.left.files and not self.left.arriving


class Draining:
    """Begins it, takes it back, and says how far it is."""

    def __init__(self, catalogue: Catalogue, roster: Roster, repair: Repair) -> None:
        """Put it together."""
        self._catalogue = catalogue
        self._roster = roster
        self._repair = repair

    def volumes(self, node: str, store_id: str = "") -> tuple[Volume, ...]:
        """Give the volumes of a node that can be emptied.

        Args:
            node: Its name.
            store_id: The beginning of the only one's that is meant.

        Raises:
            BadArgument: No node is called so, or it has no such volume.
        """
        if node not in {record.name for record in self._catalogue.nodes()}:
            raise errors.BadArgument(f"no node is called {node}")
        known = [volume for volume in self._catalogue.volumes(node) if volume.store_id.startswith(store_id)]
        if not known:
            raise errors.BadArgument(f"{node} has no volume {store_id}".rstrip())
        if store_id and len(known) > 1:
            raise errors.BadArgument(f"{node} has {len(known)} volumes that begin with {store_id}")
        return tuple(
            volume for volume in known if volume.membership in (Membership.MEMBER, Membership.DRAINING)
        )

    async def begin(self, volumes: Sequence[Volume]) -> None:
        """Empty volumes from now on; those that are being emptied already go on."""
        for volume in volumes:
            if volume.membership is Membership.DRAINING:
                continue
            left = await asyncio.to_thread(self._catalogue.left_on, [volume.number])
            await self._catalogue.begin_errand(_errand(volume), files=left.files, size=left.bytes)
            await self._enlist(volume, Membership.DRAINING)
            log.info("volume %d of %s is being emptied of %d files", volume.number, volume.node, left.files)

    async def cancel(self, volumes: Sequence[Volume]) -> None:
        """Reckon with volumes again. What went stays where it is now."""
        for volume in volumes:
            if volume.membership is Membership.DRAINING:
                await self._enlist(volume, Membership.MEMBER)
                await self._catalogue.end_errand(_errand(volume))
                log.info("volume %d of %s isn't emptied any more", volume.number, volume.node)

    async def progress(self, volumes: Sequence[Volume]) -> Drained:
        """Say how far it is."""
        left = await asyncio.to_thread(self._catalogue.left_on, [volume.number for volume in volumes])
        begun = [self._catalogue.errand(_errand(volume)) for volume in volumes]
        return Drained(tuple(volumes), tuple(errand for errand in begun if errand), left)

    async def _enlist(self, volume: Volume, membership: Membership) -> None:
        await self._catalogue.enlist([volume.number], membership)
        self._roster.enlist([volume.number], membership)
        self._repair.look()


def _errand(volume: Volume) -> str:
    return f"drain {volume.number}"
