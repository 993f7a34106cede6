"""Quotas: who uses how much of what, kept in memory and counted anew now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from argosy import errors
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import Use, parts
from argosy.config import Section

UNLIMITED = -1
"""Room without an end."""


class Holder(NamedTuple):
    """Whoever something counts for."""

    kind: str
    """`user`, `group` or `section`."""
    name: str


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one may hold; 0 is no limit."""

    holder: Holder
    bytes: int
    files: int

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self.bytes or self.files)


@dataclass(frozen=True, slots=True)
class Place:
    """Whom a file counts for."""

    owner: str
    group: str
    section: str

    def holders(self) -> tuple[Holder, ...]:
        """Give them; without a section there are two."""
        both = Holder("user", self.owner), Holder("group", self.group)
        return (*both, Holder("section", self.section)) if self.section else both


class Ledger:
    """How much each holds, as far as anybody has a quota: nothing is counted until somebody asks.

    What transfers and commands of this master change is noted at once; what nodes bring or lose is seen at
    the next count.
    """

    def __init__(self, catalogue: Catalogue, sections: Mapping[str, Section]) -> None:
        self._catalogue = catalogue
        self._sections = {name: parts(section.path.encode()) for name, section in sections.items()}
        self._uses: dict[Holder, Use] = {}
        self._meanwhile: list[tuple[Place, Use]] = []
        self._promised: dict[Holder, Use] = {}
        """What is being stored for good right now, and isn't in `_uses` yet."""
        self._counting = asyncio.Lock()
        self.counted = False

    async def run(self, seconds: float) -> None:
        """Count anew every so often, once anybody has asked, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if self.counted:
                await self.count()

    async def ready(self) -> None:
        """Have it counted once."""
        if not self.counted:
            await self.count()

    async def count(self) -> None:
        """Count anew, in a thread."""
        async with self._counting:
            self._meanwhile = []
            usage = await asyncio.to_thread(self._catalogue.usage, self._sections)
            uses: dict[Holder, Use] = {}
            for (owner, group), use in usage.owned.items():
                for holder in (Holder("user", owner), Holder("group", group)):
                    uses[holder] = uses.get(holder, Use()) + use
            uses |= {Holder("section", name): use for name, use in usage.sections.items()}
            self._uses, self.counted = uses, True
            for place, use in self._meanwhile:
                self._add(place, use)

    def use(self, holder: Holder) -> Use:
        """Say how much somebody holds."""
        return self._uses.get(holder, Use())

    def note(self, place: Place, change: Use) -> None:
        """Note what has changed."""
        if self._counting.locked():
            self._meanwhile.append((place, change))
        if self.counted:
            self._add(place, change)

    def room(self, limits: Iterable[Limit], before: Use) -> int:
        """Say how long a file may become; `UNLIMITED`: as long as it likes.

        Args:
            limits: What it is held against.
            before: What is there in its place now: it gives way.

        Raises:
            OverQuota: Nothing more goes in, or no further file.
        """
        room = UNLIMITED
        for limit in limits:
            use = self.use(limit.holder) + self._promised.get(limit.holder, Use())
            if limit.files and use.files - before.files + 1 > limit.files:
                raise errors.OverQuota(f"{_said(limit.holder)} has {use.files} of {limit.files} files")
            if limit.bytes:
                left = limit.bytes - use.bytes + before.bytes
                if left <= 0:
                    raise errors.OverQuota(f"{_said(limit.holder)} has {use.bytes} of {limit.bytes} bytes")
                room = left if room == UNLIMITED else min(room, left)
        return room

    def hold(self, limits: Iterable[Limit], before: Use, size: int) -> None:
        """See that a file of a size fits; the arguments are else those of `room`.

        Raises:
            OverQuota: It doesn't.
        """
        room = self.room(limits, before)
        if room != UNLIMITED and size > room:
            raise errors.OverQuota(f"there is room for {room} bytes")

    @contextmanager
    def promised(self, limits: Iterable[Limit], place: Place, before: Use, after: Use) -> Iterator[None]:
        """Keep room for a file while the catalogue takes it, and note it if that works.

        Without that, all who come while one waits for the disk would be let into the same room.

        Args:
            limits: What it is held against.
            place: Whom it counts for.
            before: What is there in its place now.
            after: What will be.

        Raises:
            OverQuota: It doesn't fit.
        """
        self.hold(limits, before, after.bytes)
        change = after + -before
        self._promise(place, change)
        try:
            yield
            self.note(place, change)
        finally:
            self._promise(place, -change)

    def _promise(self, place: Place, change: Use) -> None:
        for holder in place.holders():
            promised = self._promised.get(holder, Use()) + change
            if promised == Use():
                self._promised.pop(holder, None)
            else:
                self._promised[holder] = promised

    def _add(self, place: Place, change: Use) -> None:
        for holder in place.holders():
            self._uses[holder] = self.use(holder) + change


def limits(account: Account, place: Place, section: Section | None) -> list[Limit]:
    """Give the limits that an upload is held against: those of its owner's that are the user's own.

    A user who replaces somebody else's file is held to the section's quota, for the file stays the other's.
    """
    found = []
    if place.owner == account.name:
        found.append(Limit(Holder("user", account.name), account.quota_bytes, account.quota_files))
    if place.group == account.group:
        found.append(Limit(Holder("group", account.group), account.total_bytes, account.total_files))
    if section:
        found.append(Limit(Holder("section", place.section), section.quota_bytes, section.quota_files))
    return [limit for limit in found if limit]


def _said(holder: Holder) -> str:
    return f"{holder.kind} {holder.name}"
