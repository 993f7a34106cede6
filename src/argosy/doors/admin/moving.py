"""Files move because the administrator has ordered it: begun, taken back, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping

from argosy import errors
from argosy.catalogue.keeping import Left
from argosy.cluster.copies import balancing
from argosy.cluster.copies.rebalancing import USUAL
from argosy.doors.admin.office import Document, Office, asked_path, text
from argosy.wire import link


async def drain(office: Office, question: link.AskDrain) -> Document:
    """Have a node's volumes emptied, or tell how far that is.

    Raises:
        BadArgument: No node is called so, or it has no such volume.
    """
    draining = office.draining
    volumes = draining.volumes(question.node, question.store_id)
    if question.do == "begin":
        await draining.begin(volumes)
    elif question.do == "cancel":
        await draining.cancel(volumes)
    told = await draining.progress(draining.volumes(question.node, question.store_id))
    return {
        "node": question.node,
        "volumes": [
            {
                "store_id": volume.store_id,
                "state": str(volume.membership),
                "online": office.roster.reaches(volume.number),
            }
            for volume in told.volumes
        ],
        "done": told.empty,
        "arriving": told.left.arriving,
        "partial": told.left.partial,
        **_figures(told.left, sum(one.files for one in told.begun), sum(one.bytes for one in told.begun)),
    }


async def move(office: Office, question: link.AskMove) -> Document:
    """Have the files below a directory go to some nodes, or tell how far that is.

    Raises:
        NotFound: Nothing has this path.
        NotADirectory: It is a file.
        BadArgument: No node is called so or has such a label; or it was never ordered.
    """
    path = asked_path(question.path)
    if question.to:
        await office.relocating.begin(path, question.to)
    told = await office.relocating.progress(path)
    return {
        "path": text(path),
        "to": list(told.to),
        "done": not told.left.files,
        **_figures(told.left, told.begun.files if told.begun else 0, told.begun.bytes if told.begun else 0),
    }


async def rebalance(office: Office, question: link.AskRebalance) -> Document:
    """Have volumes filled alike, or tell how far that is.

    Raises:
        BadArgument: Such a share can't be spared.
    """
    if question.spare is not None and not 0 <= question.spare <= 1:
        raise errors.BadArgument(f"want 0 to 100 percent, got {100 * question.spare:g}")
    rebalancing = office.rebalancing
    if question.do == "begin":
        await rebalancing.begin(question.spare)
    elif question.do == "cancel":
        await rebalancing.cancel()
    told = await rebalancing.look()
    nodes = {volume.number: volume for volume in office.catalogue.volumes()}
    begun = told.begun
    return {
        "ordered": begun is not None,
        "done": told.terms is None or told.terms.over,
        "spare": told.terms.spare if told.terms else USUAL,
        "spread": balancing.spread(told.levels),
        "volumes": [
            {
                "node": nodes[level.volume].node,
                "store_id": nodes[level.volume].store_id,
                "bytes": level.held,
                "total": level.total,
                "share": level.share,
            }
            for level in told.levels
        ],
        "total": {
            "files": max(begun.files if begun else 0, told.files),
            "bytes": max(begun.bytes if begun else 0, told.bytes),
        },
        "left": {"files": told.files, "bytes": told.bytes},
        "obstacles": [],
    }


def _figures(left: Left, files: int, size: int) -> Document:
    """Tell how much there is to do; what came after it began counts as if it had been there."""
    return {
        "total": {"files": max(files, left.files), "bytes": max(size, left.bytes)},
        "left": {"files": left.files, "bytes": left.bytes},
        "obstacles": obstacles(left.by_why),
    }


def obstacles(by_why: Mapping[str, tuple[int, int]]) -> list[Document]:
    """Tell what stands in the way of how much."""
    return [{"why": why, "files": files, "bytes": size} for why, (files, size) in by_why.items()]
