"""How the site is, in numbers; and that something was changed behind the master's back."""

from __future__ import annotations

import asyncio
import time

from argosy import __version__
from argosy.catalogue.keeping import SAFE
from argosy.cluster.copies.progress import Report
from argosy.doors.admin.nodes import members
from argosy.doors.admin.office import Document, Office, text
from argosy.doors.admin.proof import passed
from argosy.wire import link

LATELY_SECONDS = 30 * 86_400.0
"""Findings of so long a while are counted, and those that are open."""

SHOWN = 100
"""Damaged files, conflicts and obstacles that `status` names."""


async def status(office: Office, _: link.AskStatus) -> Document:
    """Tell how the site is."""
    counts = await office.counts()
    damaged = await asyncio.to_thread(office.catalogue.damaged, SHOWN) if counts.damaged else []
    states = [node["state"] for node in members(office, counts)]
    return {
        "version": __version__,
        "uptime_seconds": round(time.monotonic() - office.since, 1),
        **office.live(),
        "transfers": sum(len(node.transfers) for node in office.roster),
        "files": counts.files,
        "directories": counts.directories,
        "links": counts.links,
        "bytes": counts.bytes,
        "damaged": counts.damaged,
        "damaged_paths": [text(path) for path in damaged],
        "partial": counts.partial,
        "conflicts": counts.conflicts,
        "conflict_paths": [text(path) for path in office.catalogue.conflicts(SHOWN)],
        "suspects": counts.suspects,
        "tombstones": counts.tombstones,
        "leaving": _leaving(office),
        "lacking_room": await _lacking_room(office),
        "matters": [
            {"topic": matter.topic, "last": matter.last_ns / 1e9, "sentence": matter.sentence}
            for matter in office.catalogue.matters()[:SHOWN]
        ],
        "trash": {"files": counts.trashed, "bytes": counts.trashed_bytes},
        "copies": _copies(await office.repair.report()),
        "findings": dict(office.catalogue.finding_counts(LATELY_SECONDS)),
        "scrubs": [
            {"node": node.name, "store_id": live.store_id, **stand}
            for node in office.roster
            for live in node.volumes.values()
            if (stand := passed(live))
        ],
        "nodes": {state: states.count(state) for state in ("ready", "merging", "away")},
    }


async def refresh(office: Office, _: link.AskRefresh) -> Document:
    """See what the command line has changed in the record."""
    await office.accounts.refresh()
    office.repair.refresh()
    return {}


def _leaving(office: Office) -> Document:
    """Tell what has outlived its retention and will go."""
    told = office.catalogue.leaving()
    ago = (time.time_ns() - told.first_ns) / 1e9 if told.files else 0.0
    left = max(0.0, office.config.repair.grace_seconds - ago) if told.files else None
    return {"files": told.files, "bytes": told.bytes, "first_seconds": left and round(left, 1)}


async def _lacking_room(office: Office) -> list[Document]:
    """Tell which volumes have less free space than they shall have, and what leaves them."""
    return [
        {
            "node": lack.place.node,
            "store_id": lack.place.store_id,
            "free": lack.place.free,
            "floor": lack.place.floor,
            "leaving": lack.leaving,
        }
        for lack in await office.floors.lacks()
    ]


def _copies(report: Report) -> Document:
    seconds = report.seconds_left
    surplus = report.wanting.by_danger.get(SAFE, (0, 0))
    return {
        "lacking": [
            {"left": danger, "files": files, "bytes": size}
            for danger, (files, size) in report.lacking.items()
        ],
        "misplaced": {"files": surplus[0], "bytes": surplus[1]},
        "batches": report.batches,
        "files_per_second": round(report.files_per_second, 1),
        "bytes_per_second": round(report.bytes_per_second),
        "seconds_left": None if seconds is None else round(seconds, 1),
        "obstacles": [
            {"why": why, "files": files, "bytes": size}
            for why, (files, size) in list(report.wanting.by_why.items())[:SHOWN]
        ],
    }
