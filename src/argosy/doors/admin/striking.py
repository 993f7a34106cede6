"""Volumes and nodes that won't come back are struck from the record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from argosy import errors
from argosy.catalogue.model import Membership, Volume
from argosy.doors.admin.office import Document, Office, text
from argosy.wire import link

SHOWN = 100
"""Files that would be lost and are named."""


async def strike(office: Office, question: link.AskStrike) -> Document:
    """Take a volume out of the record.

    Raises:
        BadArgument: No volume is called so, or several are.
    """
    volumes = [
        volume
        for volume in office.catalogue.volumes()
        if volume.store_id.startswith(question.store_id) and volume.membership is not Membership.REMOVED
    ]
    if len(volumes) != 1:
        what = "no volume's id begins" if not volumes else "several volumes' ids begin"
        raise errors.BadArgument(f"{what} with {question.store_id!r}")
    return await _strike(office, volumes, accept_losses=question.accept_losses)


async def forget(office: Office, question: link.AskForgetNode) -> Document:
    """Take a node out of the record, and its volumes.

    Raises:
        BadArgument: No node is called so.
    """
    if question.node not in {record.name for record in office.catalogue.nodes()}:
        raise errors.BadArgument(f"no node is called {question.node}")
    node = office.roster.nodes.get(question.node)
    if node and node.online:
        raise errors.BadArgument(f"{question.node} is here; stop it first")
    volumes = [
        volume
        for volume in office.catalogue.volumes(question.node)
        if volume.membership is not Membership.REMOVED
    ]
    document = await _strike(office, volumes, accept_losses=question.accept_losses)
    if document["struck"]:
        await office.catalogue.forget_node(question.node)
        office.roster.nodes.pop(question.node, None)
    return document


async def _strike(office: Office, volumes: Sequence[Volume], *, accept_losses: bool) -> Document:
    for volume in volumes:
        if office.roster.reaches(volume.number):
            raise errors.BadArgument(f"volume {volume.store_id} is here, on {volume.node}; stop it first")
    losses = await asyncio.to_thread(office.catalogue.losses, [volume.number for volume in volumes], SHOWN)
    struck = accept_losses or not losses.files
    if struck:
        for volume in volumes:
            await office.catalogue.strike(volume.number, accept_losses=accept_losses)
            await office.catalogue.settle_matter(f"lost:{volume.store_id}")
    return {
        "volumes": [volume.store_id for volume in volumes],
        "struck": struck,
        "lost": losses.files,
        "lost_bytes": losses.bytes,
        "lost_paths": [text(path) for path in losses.paths],
    }
