"""The nodes and their volumes; and that one reads its disks again."""

from __future__ import annotations

import time

from argosy import errors
from argosy.catalogue.model import Counts, Membership, NodeRecord, Volume
from argosy.cluster.nodes.roster import Node, Standing
from argosy.doors.admin.office import Document, Office
from argosy.doors.admin.proof import passed
from argosy.wire import link


async def nodes(office: Office, _: link.AskNodes) -> Document:
    """Tell of all nodes."""
    return {"nodes": members(office, await office.counts())}


def members(office: Office, counts: Counts) -> list[Document]:
    """Tell of each node and its volumes."""
    documents = []
    for record in office.catalogue.nodes():
        node = office.roster.nodes.get(record.name)
        online = node is not None and node.online
        volumes = []
        for volume in office.catalogue.volumes(record.name):
            if volume.membership is Membership.REMOVED:
                continue
            live = node.volumes.get(volume.store_id) if node else None
            files, size = counts.by_volume.get(volume.number, (0, 0))
            volumes.append(
                {
                    "store_id": volume.store_id,
                    "total": live.total if live else 0,
                    "free": live.free if live else 0,
                    "files": files,
                    "bytes": size,
                    "state": _state(volume, live.standing if live and online else None),
                    "held_losses": live.held_losses if live else 0,
                    "scrub": passed(live) if live else None,
                }
            )
        documents.append({**_node(record, node), "epoch": record.epoch, "volumes": volumes})
        if record.revoked:
            documents[-1]["state"] = "revoked"
    return documents


async def remerge(office: Office, question: link.AskRemerge) -> Document:
    """Have a node read its disks again and tell all that is there.

    Raises:
        BadArgument: No node is called so.
    """
    name, accept_losses = question.node, question.accept_losses
    if name not in {record.name for record in office.catalogue.nodes()}:
        raise errors.BadArgument(f"no node is called {name}")
    node = office.roster.node(name)
    volumes = []
    for live in list(node.volumes.values()):
        scanned = await node.ask(link.Scan(live.store_id, accept_losses), office.config.link.checksum_seconds)
        assert isinstance(scanned, link.Scanned)
        await office.catalogue.expect_whole(live.number)
        await node.ask(link.Feed(live.store_id, live.acked, whole=True))
        live.held_losses = scanned.held_losses
        live.standing = Standing.HELD if scanned.held_losses else Standing.MERGED
        volumes.append(
            {
                "store_id": live.store_id,
                "files": scanned.files,
                "changes": scanned.changes,
                "held_losses": scanned.held_losses,
            }
        )
    return {"node": name, "volumes": volumes}


def _node(record: NodeRecord, node: Node | None) -> Document:
    if node is None:  # not heard of in this life of the master
        unknown = dict.fromkeys(("address", "advertise", "version"), "")
        figures = dict.fromkeys(("load", "in_rate", "out_rate", "transfers"), 0)
        ago = (time.time_ns() - record.seen_ns) / 1e9
        return {
            "name": record.name,
            "state": "away",
            **unknown,
            **figures,
            "labels": [],
            "zone": "",
            "seen_seconds_ago": round(ago, 1),
        }
    state = "away" if not node.online else "ready" if node.merged else "merging"
    return {
        "name": record.name,
        "state": state,
        "address": node.peer.remote[0] if node.peer else "",
        "advertise": node.advertise,
        "labels": sorted(node.labels),
        "zone": node.zone,
        "load": node.load,
        "in_rate": node.in_rate,
        "out_rate": node.out_rate,
        "transfers": len(node.transfers),
        "seen_seconds_ago": round(time.monotonic() - node.heard, 1),
        "version": node.software,
    }


def _state(volume: Volume, standing: Standing | None) -> str:
    """Name the state of a volume: that it isn't reckoned with says more than whether it is here."""
    if volume.membership is not Membership.MEMBER:
        return str(volume.membership)
    return str(standing) if standing else "away"
