"""What reading copies has shown, and what becomes of the bad ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from argosy.catalogue.ground import SECOND_NS, Ground
from argosy.catalogue.model import Replica
from argosy.catalogue.proof import Cause, Finding, Observed, Verdict
from argosy.catalogue.store import findings


class Findings(Ground):
    """The record of bad copies."""

    async def judge(self, seen: Sequence[Observed], cause: Cause) -> list[Verdict]:
        """Hold copies that were read against what they should be.

        A bad one isn't served any more from now on, and a job is noted for its file. What is right about a
        copy that was believed to be bad or suspect is noted, too. Checksums that nobody knew are learnt.
        """
        now_ns = self._now()
        verdicts = await self._engine.write(
            lambda db: findings.judge(db, seen, cause, mint=self._mint, now_ns=now_ns, wants=self.wants),
            durable=True,
        )
        if Verdict.BAD in verdicts:
            self._tell_noted()
        return verdicts

    async def review(self) -> int:
        """See what can be done by now about bad copies. Gives how many are to be moved to a quarantine."""
        return await self._engine.write(findings.review, self._now(), durable=True)

    def bad(self, after: int, limit: int) -> list[Replica]:
        """List bad copies that lie where they were, in order of FileIds from behind `after`."""
        return self._engine.read(findings.bad, after, limit)

    def holding(self) -> list[int]:
        """List volumes in whose quarantine there is something that was found."""
        return self._engine.read(findings.holding)

    def overdue(self, volume: int, seconds: float, room: int) -> list[int]:
        """List findings whose bytes in a volume's quarantine may go.

        Args:
            volume: Its number.
            seconds: How long they are kept.
            room: How many bytes are; 0: any number.
        """
        return self._engine.read(findings.overdue, volume, self._now() - int(seconds * SECOND_NS), room)

    async def purged(self, numbers: Sequence[int]) -> None:
        """Note that the bytes of these findings went."""
        await self._engine.write(findings.purged, numbers, self._now())

    async def forget_findings(self, seconds: float) -> None:
        """Forget findings that are closed for so long."""
        await self._engine.write(findings.forget, self._now() - int(seconds * SECOND_NS))

    def findings(self, seconds: float, limit: int) -> list[Finding]:
        """List findings of the last while, and those that are open; the newest first."""
        return self._engine.read(findings.listed, self._now() - int(seconds * SECOND_NS), limit)

    def finding_counts(self, seconds: float) -> Mapping[str, int]:
        """Count findings of the last while, and those that are open, by what became of them."""
        return self._engine.read(findings.counted, self._now() - int(seconds * SECOND_NS))
