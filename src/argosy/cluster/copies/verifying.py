"""Copies are proved by reading them: those that somebody doubts, and bad ones once more now and then.

A node reads, past its memory, and tells checksums; the catalogue judges. What is bad goes to its disk's
quarantine as soon as there is another copy, and from there for good when it has lain long enough.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Replica, Standing
from argosy.catalogue.proof import Cause, Observed, Trouble, Verdict
from argosy.cluster.copies.rounds import again
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master
from argosy.wire import link

log = logging.getLogger("argosy.proof")

AT_ONCE = 1_000
"""Files looked at in one round."""

_DAY_SECONDS = 86_400

_TROUBLES: Final[Mapping[type[errors.Refused], Trouble]] = {
    errors.Damaged: "missing",
    errors.Failed: "unreadable",
}
"""What a node's refusal to read says of the copy; any other says nothing of it."""


class Verifier:
    """Has copies read and judged."""

    def __init__(
        self, config: Master, catalogue: Catalogue, roster: Roster, *, owed: Callable[[], None]
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Judges, and keeps what was found.
            roster: Reaches the nodes.
            owed: Told when a disk has something to move.
        """
        self._table = config.findings
        self._pause = config.catalogue.upkeep_seconds
        self._patience = config.link.checksum_seconds
        self._catalogue = catalogue
        self._roster = roster
        self._owed = owed
        self._doubts: dict[tuple[int, int], None] = {}
        self._doubted = asyncio.Event()
        self._recheck_at = 0.0
        self._forget_at = 0.0

    def doubt(self, file: int, volume: int) -> None:
        """Have a copy read soon: a copy that was made of it isn't what it should be."""
        self._doubts[file, volume] = None
        self._doubted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(again(self._look_at_doubts, self._doubted, self._pause))
            tasks.create_task(again(self._compare, asyncio.Event(), self._pause))
            tasks.create_task(again(self._review, asyncio.Event(), self._pause))
            tasks.create_task(again(self._recheck, asyncio.Event(), self._pause))

    async def read(self, replica: Replica) -> Observed | None:
        """Have a node read a copy from its disk; None: it is away, or has other things there by now."""
        try:
            return await self.look(replica)
        except errors.Refused:
            return None

    async def look(self, replica: Replica) -> Observed:
        """Have a node read a copy from its disk.

        Raises:
            Changed: Somebody wrote into it there: that is another content, and no bad copy.
            Refused: It is away, or has other things there by now.
        """
        seen = Observed(replica.volume, replica.loc, replica.ver, replica.size)
        node, live = self._roster.place(replica.volume)
        sums = ["crc32", "xxh3"]
        order = link.Checksum(live.store_id, replica.loc, replica.ver, replica.size, sums, fresh=True)
        try:
            answer = await node.ask(order, self._patience)
        except errors.Refused as refused:
            trouble = _TROUBLES.get(type(refused))
            if trouble is None:
                raise
            return Observed(seen.volume, seen.loc, seen.ver, seen.size, trouble=trouble)
        assert isinstance(answer, link.Checksums)
        crc32, digest = int(answer.values["crc32"], 16), bytes.fromhex(answer.values["xxh3"])
        return Observed(seen.volume, seen.loc, seen.ver, seen.size, crc32, digest)

    async def judge(self, seen: list[Observed], cause: Cause) -> list[Verdict]:
        """Have what was read judged; tell of what is bad, and have it moved aside."""
        verdicts = await self._catalogue.judge(seen, cause)
        for one, verdict in zip(seen, verdicts, strict=True):
            if verdict is Verdict.BAD:
                why = one.trouble or "it has another checksum"
                log.error("volume %d: the copy at %r is bad: %s", one.volume, one.loc, why)
        if Verdict.BAD in verdicts:
            self._owed()
        return verdicts

    # --- by itself ----

    async def _look_at_doubts(self) -> None:
        """Read copies from which others couldn't be made: is it them, or was it the way?"""
        while self._doubts:
            file, volume = next(iter(self._doubts))
            del self._doubts[file, volume]
            for replica in self._catalogue.replicas(file):
                if replica.volume == volume and (seen := await self.read(replica)):
                    await self.judge([seen], "copy")

    async def _compare(self) -> None:
        """Have copies read that were found under the same name, and judge by their contents."""
        for file in self._catalogue.suspects(AT_ONCE):
            try:
                await self._compare_file(file)
            except errors.Refused as refused:
                log.info("comparing waits: %s", refused)

    async def _compare_file(self, file: int) -> None:
        entry = self._catalogue.by_id(file)
        copies = [
            replica
            for replica in self._catalogue.replicas(file)
            if replica.standing is Standing.SUSPECT
            or (entry.digest is None and replica.standing is Standing.GOOD)
        ]
        seen = {copy.volume: found for copy in copies if (found := await self.read(copy))}
        if shown := await self._catalogue.compared(file, seen, ver=entry.ver):
            log.warning("other contents for a path that is taken, kept aside as %s", shown)
        self._owed()

    async def _review(self) -> None:
        """Have bad copies moved aside of which there is another by now; empty the quarantines in time."""
        if await self._catalogue.review():
            self._owed()
        for volume in self._catalogue.holding():
            seconds, room = self._table.quarantine_seconds, self._table.quarantine_bytes
            if self._roster.reaches(volume) and (old := self._catalogue.overdue(volume, seconds, room)):
                node, live = self._roster.place(volume)
                await node.ask(link.Purge(live.store_id, old), self._patience)
                await self._catalogue.purged(old)
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + _DAY_SECONDS
            await self._catalogue.forget_findings(self._table.kept_seconds)

    async def _recheck(self) -> None:
        """Read bad copies that are the last ones once more: a cable, or somebody, may have mended them."""
        if time.monotonic() < self._recheck_at:
            return
        self._recheck_at = time.monotonic() + self._table.recheck_seconds
        after = 0
        while page := self._catalogue.bad(after, AT_ONCE):
            after = page[-1].file
            for replica in page:
                if seen := await self.read(replica):
                    await self.judge([seen], "recheck")
