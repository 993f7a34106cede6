"""Why a file is where it is, and where it would be read and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from argosy.catalogue.model import Kind, Replica
from argosy.cluster.nodes.placement import Score
from argosy.doors.admin.office import Document, Office, as_text, asked_path, text
from argosy.wire import link


async def why(office: Office, question: link.AskWhy) -> Document:
    """Tell all that is known of one path."""
    path = asked_path(question.path)
    told = office.vfs.explain(path)
    entry = told.entry
    stores = {volume.number: volume.store_id for volume in office.catalogue.volumes()}
    kind = "missing" if entry is None else str(entry.kind)
    return {
        "path": text(path),
        "kind": kind,
        "state": str(entry.state) if entry else "",
        "id": entry.id if entry else 0,
        "size": entry.size if entry else 0,
        "mtime": entry.mtime_ns / 1e9 if entry else 0,
        "target": as_text(entry.target) if entry and entry.target else "",
        "leads_to": text(told.leads_to),
        "section": told.section,
        "wanted": {
            field: {"value": getattr(told.wanted.rule, field), "by": by}
            for field, by in told.wanted.origins.items()
        },
        "replicas": [_replica(office, replica, stores) for replica in told.replicas],
        "moves": office.repair.explain(told.end.id) if told.end and told.end.kind is Kind.FILE else [],
        "reading": _scores(told.readers, stores) if told.end and told.end.kind is Kind.FILE else [],
        "writing": _scores(told.writers, stores),
    }


def _replica(office: Office, replica: Replica, stores: Mapping[int, str]) -> Document:
    return {
        "node": replica.node,
        "volume": stores.get(replica.volume, ""),
        "loc": as_text(replica.loc),
        "standing": str(replica.standing),
        "online": office.roster.reaches(replica.volume),
    }


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
