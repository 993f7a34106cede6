"""The nodes that are members and the volumes they have, and the tokens by which they join."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from argosy.catalogue.ground import SECOND_NS, Ground
from argosy.catalogue.model import Doubt, Losses, Matter, Membership, NodeRecord, Volume
from argosy.catalogue.store import matters, members, striking

AT_ONCE = 200
"""Copies that are taken out of the record in one transaction: others have their turn in between."""


class Nodes(Ground):
    """The record of the nodes."""

    async def add_token(self, seconds: float) -> str:
        """Make a join token, good once and for so long: `ID.SECRET`. Only a hash of it is kept."""
        token, secret = secrets.token_hex(8), secrets.token_hex(24)
        now_ns = self._now()
        expires_ns = now_ns + int(seconds * SECOND_NS)
        await self._engine.write(members.add_token, token, secret, expires_ns, now_ns, durable=True)
        return f"{token}.{secret}"

    async def use_token(self, token: str, secret: str) -> None:
        """Use a token up.

        Raises:
            Denied: Unknown, used or over; which of these isn't told.
        """
        await self._engine.write(members.use_token, token, secret, self._now(), durable=True)

    async def register(self, node: str, boot: str) -> int:
        """Note that a node is there, and give its epoch: another one for another life of its process.

        Raises:
            Denied: Its right to be one was revoked.
        """
        return await self._engine.write(members.register, node, boot, self._now(), durable=True)

    async def revoke(self, node: str, *, revoked: bool = True) -> None:
        """Take a node's right to join away, or give it back.

        Raises:
            NotFound: No such node was ever here.
        """
        await self._engine.write(lambda db: members.revoke(db, node, revoked=revoked), durable=True)

    async def attach(self, store_id: str, node: str, *, seq: int = 0, generation: int = 0) -> Volume:
        """Say that a volume is at a node; it is made at first sight, and moves with its disk.

        Args:
            store_id: The disk's.
            node: Where it is.
            seq: Its newest journal number; 0: no master has ever taken anything from it.
            generation: Which attachment it remembers; 0: none.
        """
        return await self._engine.write(
            lambda db: members.attach(db, store_id, node, seq=seq, generation=generation), durable=True
        )

    async def remembered(self, volume: int, generation: int) -> None:
        """Note that a disk has written down which attachment this is."""
        await self._engine.write(members.remembered, volume, generation, durable=True)

    def doubt(self, volume: int) -> Doubt:
        """Say whether a volume and the record agree on what was."""
        return self._engine.read(members.doubt, volume)

    # --- volumes that won't come back ----

    def losses(self, volumes: Sequence[int], limit: int = 100) -> Losses:
        """Say which files have no good copy but on these volumes. Reads all of their rows: for a thread."""
        return self._engine.read_together(striking.losses, volumes, limit)

    async def strike(self, volume: int, *, accept_losses: bool) -> None:
        """Take a volume out of the record, some files at a time; said again it goes on.

        Args:
            volume: Which; it isn't here.
            accept_losses: Files that were only there go, too. Else they stay, without a copy.
        """
        now_ns = self._now()
        await self._engine.write(striking.begin, volume, durable=True)
        while await self._engine.write(
            lambda db: striking.strike(
                *(db, volume, AT_ONCE),
                accept_losses=accept_losses,
                mint=self._mint,
                now_ns=now_ns,
                wants=self.wants,
            )
        ):
            pass
        await self._engine.write(striking.finish, volume, now_ns, durable=True)
        self._tell_noted()

    async def forget_node(self, node: str) -> None:
        """Forget a node whose volumes are all struck."""
        await self._engine.write(striking.forget, node, durable=True)

    # --- matters ----

    async def note_matter(self, topic: str, sentence: str) -> None:
        """Keep something for the administrator, who wasn't asking; said again it is counted."""
        await self._engine.write(matters.note, topic, sentence, self._now())

    def matters(self) -> list[Matter]:
        """List what the administrator should know of, the newest first."""
        return self._engine.read(matters.matters)

    async def settle_matter(self, topic: str) -> int:
        """Forget a matter that is dealt with, or all with an empty topic; how many went."""
        return await self._engine.write(matters.settle, topic)

    async def departed(self, numbers: Collection[int]) -> None:
        """Note that volumes are away from now on, if they weren't before."""
        await self._engine.write(members.departed, numbers, self._now())

    async def returned(self, numbers: Collection[int]) -> None:
        """Note that volumes are here."""
        await self._engine.write(members.returned, numbers)

    async def enlist(self, numbers: Collection[int], membership: Membership) -> None:
        """Say of volumes whether they are reckoned with."""
        await self._engine.write(members.enlist, numbers, membership, durable=True)

    async def seen(self, node: str) -> None:
        """Note that a node was heard of just now."""
        await self._engine.write(members.seen, node, self._now())

    def volumes(self, node: str | None = None) -> list[Volume]:
        """List the volumes of a node, or all."""
        return self._engine.read(members.volumes, node)

    def nodes(self) -> list[NodeRecord]:
        """List every node that ever joined."""
        return self._engine.read(members.nodes)
