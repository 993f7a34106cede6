"""The files below a directory go to some nodes and stay there: a rule says so, and repair does it.

It is a standing wish, not an order that is over some day: else whoever looks at the files next would find
them in the wrong place, or new ones would come elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Errand, Left
from argosy.catalogue.model import TreePath, Volume, shown
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.rules import Rules
from argosy.cluster.nodes.roster import Roster

log = logging.getLogger("argosy.relocating")


@dataclass(frozen=True, slots=True)
class Relocated:
    """How far the files below a directory are on their way."""

    to: tuple[str, ...]
    begun: Errand | None
    left: Left


class Relocating:
    """Says where files shall be, and how many aren't there yet."""

    def __init__(self, catalogue: Catalogue, roster: Roster, rules: Rules, repair: Repair) -> None:
        """Put it together."""
        self._catalogue = catalogue
        self._roster = roster
        self._rules = rules
        self._repair = repair

    async def begin(self, path: TreePath, to: Sequence[str]) -> None:
        """Have the files below a directory go to nodes with one of these labels or names. Twice does no harm.

        Raises:
            NotFound: Nothing has this path.
            NotADirectory: It is a file.
            BadArgument: No node is called so or has such a label.
        """
        directory = self._directory(path)
        known = {name for volume in self._catalogue.volumes() for name in self._names(volume)}
        if unknown := [name for name in to if name not in known]:
            raise errors.BadArgument(f"no node is called {unknown[0]}, and none that is here has this label")
        wanted = tuple(dict.fromkeys(to))
        wish = self._rules.book.wishes.get(directory)
        if wish is not None and wish.only == wanted:
            return
        await self._catalogue.end_errand(_errand(directory))
        left = await self._left(directory, wanted)
        await self._catalogue.begin_errand(_errand(directory), files=left.files, size=left.bytes)
        await self._catalogue.change_wish(path, lambda said: msgspec.structs.replace(said, only=wanted))
        self._repair.refresh()
        log.info("%d files below %s go to %s", left.files, shown(path), " or ".join(wanted))

    async def progress(self, path: TreePath) -> Relocated:
        """Say how far it is.

        Raises:
            NotFound: Nothing has this path.
            NotADirectory: It is a file.
            BadArgument: Nobody said where its files shall be.
        """
        directory = self._directory(path)
        rule = self._rules.book.rule(self._catalogue.way(path))
        if not rule.only:
            raise errors.BadArgument(f"nobody said where the files of {shown(path)} shall be: --to NODE")
        left = await self._left(directory, (*rule.only, *rule.archive_to))
        return Relocated(rule.only, self._catalogue.errand(_errand(directory)), left)

    def _directory(self, path: TreePath) -> int:
        entry = self._catalogue.find(path)
        if not entry.is_directory:
            raise errors.NotADirectory(shown(path))
        return entry.id

    async def _left(self, directory: int, only: Sequence[str]) -> Left:
        volumes = self._catalogue.volumes()
        inside = [one.number for one in volumes if not self._names(one).isdisjoint(only)]
        return await asyncio.to_thread(self._catalogue.left_outside, directory, inside, self._roster.online())

    def _names(self, volume: Volume) -> frozenset[str]:
        node = self._roster.nodes.get(volume.node)
        return (node.labels if node else frozenset()) | {volume.node}


def _errand(directory: int) -> str:
    return f"move {directory}"
