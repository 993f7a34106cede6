"""The nodes that are members and the volumes they have, and the tokens by which they join."""

from __future__ import annotations

import secrets
from collections.abc import Collection

from argosy.catalogue.ground import SECOND_NS, Ground
from argosy.catalogue.model import Membership, NodeRecord, Volume
from argosy.catalogue.store import members


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

    async def attach(self, store_id: str, node: str) -> Volume:
        """Say that a volume is at a node; it is made at first sight, and moves with its disk."""
        return await self._engine.write(members.attach, store_id, node, durable=True)

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
