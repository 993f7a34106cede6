"""The administrator's door: a local socket that only the master's own user can open.

It answers `argosy nodes`, `status`, `why`, `who` and the like with JSON documents, in the frames of the link.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from argosy import __version__, errors
from argosy.accounts.accounts import Accounts
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import SAFE
from argosy.catalogue.model import Counts, Kind, Membership, NodeRecord, Replica, TreePath, Volume
from argosy.catalogue.query import Hit, Mark, Query
from argosy.cluster.placement import Score
from argosy.cluster.progress import Report
from argosy.cluster.repair import Repair
from argosy.cluster.roster import Node, Roster, Standing
from argosy.config import Master
from argosy.net.peer import serve_local
from argosy.presence import report
from argosy.presence.bans import Bans
from argosy.presence.visitors import KICKED, Visitors
from argosy.vfs.files import Files
from argosy.vfs.vfs import Vfs
from argosy.wire import link

Document = dict[str, Any]

SHOWN = 100
"""Damaged files, and conflicts, that `status` names."""


FOUND = 1_000
"""Entries in one page of a search."""


class AdminDoor:
    """Where the command line asks a running master."""

    def __init__(
        self,
        config: Master,
        vfs: Vfs,
        accounts: Accounts,
        live: Callable[[], Mapping[str, object]],
        *,
        visitors: Visitors,
        bans: Bans,
        repair: Repair,
    ) -> None:
        """Put it together.

        Args:
            config: The master's file.
            vfs: What there is to tell of.
            accounts: Told when the command line has changed one.
            live: Gives figures of other doors for `status`.
            visitors: Who is at the other doors.
            bans: Who may not come.
            repair: Has copies made.
        """
        self._config = config
        self._vfs = vfs
        self._accounts = accounts
        self._catalogue: Catalogue = vfs.catalogue
        self._roster: Roster = vfs.roster
        self._live = live
        self._visitors = visitors
        self._bans = bans
        self._repair = repair
        self._since = time.monotonic()
        self._counted: Counts | None = None
        self._count_again = 0.0
        self._standings: list[Standing] = []

    async def serve(self) -> None:
        """Answer until cancelled."""
        settings = self._config.link
        await serve_local(
            Path(self._config.paths.run) / "master.sock",
            self._answer,
            request_seconds=settings.request_seconds,
            silent_seconds=settings.checksum_seconds,
        )

    async def _answer(self, question: link.Body) -> link.Body:
        match question:
            case link.AskStatus():
                document = await self._status()
            case link.AskNodes():
                document = {"nodes": self._nodes(await self._counts())}
            case link.AskWhy():
                path = tuple(part for part in question.path.split(b"/") if part not in (b"", b"."))
                document = self._why(path)
            case link.AskRefresh():
                await self._accounts.refresh()
                self._repair.refresh()
                document = {}
            case link.AskFind():
                document = await self._find(question)
            case link.AskRemerge():
                document = await self._remerge(question.node, accept_losses=question.accept_losses)
            case _:
                document = self._presence(question)
        return link.Report(msgspec.json.encode(document))

    def _presence(self, question: link.Body) -> Document:
        match question:
            case link.AskWho():
                return {"sessions": [report.describe(visitor) for visitor in self._visitors]}
            case link.AskKick():
                gone = self._visitors.hang_up(question.who, question.sentence or KICKED)
                return {"hung_up": [visitor.id for visitor in gone]}
            case link.AskBans():
                bans = self._bans.current()
                return {"bans": [{"address": at, "seconds": round(left, 1)} for at, left in bans.items()]}
            case link.AskUnban():
                try:
                    return {"lifted": self._bans.lift(question.address)}
                except ValueError as error:
                    raise errors.BadArgument(str(error)) from error
            case _:
                raise errors.Unsupported(type(question).__name__)

    async def _counts(self) -> Counts:
        """Count off the loop, for it reads all of the catalogue; and no more than half of the time.

        Counted anew whenever a volume has got on, so that what is told as merged is counted.
        """
        standings = [volume.standing for node in self._roster for volume in node.volumes.values()]
        if self._counted is None or standings != self._standings or time.monotonic() > self._count_again:
            begin = time.monotonic()
            self._standings = standings
            self._counted = await asyncio.to_thread(self._catalogue.counts)
            self._count_again = 2 * time.monotonic() - begin
        return self._counted

    async def _status(self) -> Document:
        counts = await self._counts()
        damaged = await asyncio.to_thread(self._catalogue.damaged, SHOWN) if counts.damaged else []
        states = [node["state"] for node in self._nodes(counts)]
        return {
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - self._since, 1),
            **self._live(),
            "transfers": sum(len(node.transfers) for node in self._roster),
            "files": counts.files,
            "directories": counts.directories,
            "links": counts.links,
            "bytes": counts.bytes,
            "damaged": counts.damaged,
            "damaged_paths": [_text(path) for path in damaged],
            "partial": counts.partial,
            "conflicts": counts.conflicts,
            "conflict_paths": [_text(path) for path in self._catalogue.conflicts(SHOWN)],
            "suspects": counts.suspects,
            "tombstones": counts.tombstones,
            "copies": _copies(await self._repair.report()),
            "nodes": {state: states.count(state) for state in ("ready", "merging", "away")},
        }

    def _nodes(self, counts: Counts) -> list[Document]:
        documents = []
        for record in self._catalogue.nodes():
            node = self._roster.nodes.get(record.name)
            online = node is not None and node.online
            volumes = []
            for volume in self._catalogue.volumes(record.name):
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
                    }
                )
            documents.append({**_node(record, node), "epoch": record.epoch, "volumes": volumes})
            if record.revoked:
                documents[-1]["state"] = "revoked"
        return documents

    def _why(self, path: TreePath) -> Document:
        told = self._vfs.explain(path)
        entry = told.entry
        stores = {volume.number: volume.store_id for volume in self._catalogue.volumes()}
        kind = "missing" if entry is None else str(entry.kind)
        return {
            "path": _text(path),
            "kind": kind,
            "state": str(entry.state) if entry else "",
            "id": entry.id if entry else 0,
            "size": entry.size if entry else 0,
            "mtime": entry.mtime_ns / 1e9 if entry else 0,
            "target": _as_text(entry.target) if entry and entry.target else "",
            "leads_to": _text(told.leads_to),
            "section": told.section,
            "wanted": {
                field: {"value": getattr(told.wanted.rule, field), "by": by}
                for field, by in told.wanted.origins.items()
            },
            "replicas": [self._replica(replica, stores) for replica in told.replicas],
            "reading": _scores(told.readers, stores) if told.end and told.end.kind is Kind.FILE else [],
            "writing": _scores(told.writers, stores),
        }

    def _replica(self, replica: Replica, stores: Mapping[int, str]) -> Document:
        node = self._roster.nodes.get(replica.node)
        return {
            "node": replica.node,
            "volume": stores.get(replica.volume, ""),
            "loc": replica.loc.decode(errors="backslashreplace"),
            "standing": str(replica.standing),
            "online": node is not None and node.online,
        }

    async def _find(self, question: link.AskFind) -> Document:
        asked = Query(
            names=tuple(question.names),
            smallest=question.smallest,
            largest=question.largest,
            after_ns=question.after_ns,
            before_ns=question.before_ns,
            owner=question.owner,
            group=question.group,
            node=question.node,
            kind=Kind(question.kind) if question.kind else None,
        )
        files = Files(self._vfs, Login(Account(name="argosy", admin=True)))
        hits = await files.search(
            tuple(part for part in question.path.split(b"/") if part not in (b"", b".")),
            asked,
            after=Mark(*question.after),
            limit=max(1, min(question.limit, FOUND)),
            seconds=self._config.search.seconds,
        )
        return {
            "entries": [_hit(hit) for hit in hits.found],
            "after": [hits.after.directory, hits.after.name.hex()] if hits.after else None,
            "late": hits.late,
        }

    async def _remerge(self, name: str, *, accept_losses: bool) -> Document:
        if name not in {record.name for record in self._catalogue.nodes()}:
            raise errors.BadArgument(f"no node is called {name}")
        node = self._roster.node(name)
        volumes = []
        for live in list(node.volumes.values()):
            scanned = await node.ask(
                link.Scan(live.store_id, accept_losses), self._config.link.checksum_seconds
            )
            assert isinstance(scanned, link.Scanned)
            await self._catalogue.expect_whole(live.number)
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


def _hit(hit: Hit) -> Document:
    entry = hit.entry
    return {
        "path": _text(hit.path),
        "kind": str(entry.kind),
        "state": str(entry.state),
        "size": entry.size,
        "mtime": entry.mtime_ns / 1e9,
        "owner": entry.owner,
        "group": entry.group,
        "nodes": list(hit.nodes),
        **({} if entry.target is None else {"target": _as_text(entry.target)}),
    }


def _text(path: TreePath) -> str:
    """Show a path in JSON."""
    return _as_text(b"/" + b"/".join(path))


def _as_text(name: bytes) -> str:
    """Show bytes in JSON, which takes none that aren't UTF-8: those are escaped."""
    return name.decode(errors="backslashreplace")


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


def _scores(scores: Iterable[Score], stores: Mapping[int, str]) -> list[Document]:
    return [
        {
            "node": score.candidate.node,
            "volume": stores.get(score.candidate.volume, ""),
            "score": round(score.points, 1),
            "eligible": score.eligible,
            "chosen": place == 0 and score.eligible,
            "reasons": [{"points": round(one.points, 1), "why": one.why} for one in score.reasons],
        }
        for place, score in enumerate(scores)
    ]
