"""SITE verbs about nodes and room."""

from __future__ import annotations

import time

from argosy import tables
from argosy.cluster.nodes.placement import Score
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import replies
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


async def nodes(client: Client, command: Command) -> Replies:
    """SITE NODES: the nodes that have joined since the master started, and how they are."""
    del command
    rows = []
    for node in client.hall.vfs.roster:
        state = "away" if not node.online else "ready" if node.merged else "merging"
        live = node.volumes.values()
        sizes = (sum(one.free for one in live), sum(one.total for one in live))
        heard = tables.span(time.monotonic() - node.heard)
        rows.append(
            (node.name, state, len(node.transfers), *map(tables.size, sizes), f"{node.load:.2f}", heard)
        )
    head = ("name", "state", "transfers", "free", "of", "load", "heard")
    right = ("transfers", "free", "of", "load", "heard")
    yield replies.told(f"{len(rows)} nodes", tables.aligned(head, rows, right=right))


async def room(client: Client, command: Command) -> Replies:
    """SITE DF: the room on all nodes that are there."""
    del command
    live = [volume for node in client.hall.vfs.roster if node.online for volume in node.volumes.values()]
    free, total = sum(one.free for one in live), sum(one.total for one in live)
    yield Reply.of(200, f"{tables.size(free)} free of {tables.size(total)} on {len(live)} volumes")


async def quota(client: Client, command: Command) -> Replies:
    """SITE QUOTA: what a new file where the client is counts for, and how much of that is used."""
    del command
    rows = [
        (
            *(limit.holder.kind, limit.holder.name, use.files, limit.files or "-"),
            *(tables.size(use.bytes), tables.size(limit.bytes) if limit.bytes else "-"),
        )
        for limit, use in await client.tree.quotas(client.cwd)
    ]
    head = ("what", "name", "files", "of", "bytes", "of them")
    right = ("files", "of", "bytes", "of them")
    yield replies.told(f"{len(rows)} quotas", tables.aligned(head, rows, right=right) if rows else "")


async def why(client: Client, command: Command) -> Replies:
    """SITE WHY: where a path lies, who would serve it and who would take it, with points and reasons."""
    told = client.hall.vfs.explain(client.path(command.argument))
    lines = [f"section {told.section}"] if told.section else []
    lines += [
        f"on {one.node}: {tables.printable(replies.shown(one.loc))} ({one.standing})" for one in told.replicas
    ]
    is_file = told.entry is not None and not told.entry.is_directory
    for title, scores in (("reading", told.readers if is_file else []), ("writing", told.writers)):
        lines += [f"{title}: {_choice(score)}" for score in scores]
    kind = "missing" if told.entry is None else str(told.entry.kind)
    yield replies.told(f"{replies.shown(command.argument)}, {kind}", "\n".join(lines))


def _choice(score: Score) -> str:
    reasons = ", ".join(f"{one.points:+.1f} {one.why}" for one in score.reasons)
    verdict = "could" if score.eligible else "can't"
    return f"{score.candidate.node} {verdict}, {score.points:.1f} points: {reasons}"
