"""Copies are read because the administrator asks for it: begun, and how far it is."""

from __future__ import annotations

from argosy.cluster.copies.proving import Run
from argosy.cluster.nodes.roster import LiveVolume
from argosy.doors.admin.office import Document, Office, as_text, asked_path, text
from argosy.wire import link


async def verify(office: Office, question: link.AskVerify) -> Document:
    """Have all copies at and below a path read, or tell how far that is.

    Raises:
        NotFound: Nothing is there; or it was never asked for.
        NotADirectory: A file stands where the path needs a directory.
    """
    path = asked_path(question.path)
    return _told(office.proving.begin(path) if question.begin else office.proving.look(path))


async def scrub(office: Office, question: link.AskScrub) -> Document:
    """Have nodes read all that they have, or tell how far that is.

    Raises:
        BadArgument: No node is called so.
        Unavailable: It is away.
    """
    before = _volumes(office, question.node)
    if question.begin:
        await office.proving.scrub(question.node)
    return {"volumes": before}


def passed(live: LiveVolume) -> Document | None:
    """Tell how far a volume's scrub is; None: its node hasn't said so yet."""
    stand = live.scrub
    if stand is None:
        return None
    return {
        "running": stand.running,
        "hurried": stand.hurried,
        "begun": stand.begun_ns / 1e9,
        "ended": stand.ended_ns / 1e9,
        "files": stand.files,
        "bytes": stand.bytes,
        "of_bytes": stand.of_bytes,
        "bad": stand.bad,
        "trouble": stand.trouble,
    }


def _volumes(office: Office, name: str) -> list[Document]:
    return [
        {"node": node.name, "store_id": live.store_id, "files": live.files, "scrub": passed(live)}
        for node in office.roster
        if node.online and name in ("", node.name)
        for live in node.volumes.values()
    ]


def _told(run: Run) -> Document:
    left = 0 if run.over else max(run.files - run.read_files, 1)  # what isn't counted yet is one at least
    left_bytes = max(run.size - run.read_size, 0)
    return {
        "path": text(run.path),
        "done": run.over,
        "failed": run.failed,
        "counted": run.counted,
        "total": {"files": run.read_files + left, "bytes": run.read_size + left_bytes},
        "left": {"files": left, "bytes": left_bytes},
        "obstacles": [],
        "good": run.good,
        "away": run.away,
        "changed": run.changed,
        "rewritten": run.rewritten,
        "damaged": run.damaged,
        "bad": len(run.bad) + run.bad_beyond,
        "bad_copies": [{"path": as_text(path), "node": node, "why": why} for path, node, why in run.bad],
    }
