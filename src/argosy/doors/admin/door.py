"""The administrator's door: a local socket that only the master's own user can open.

It answers `argosy nodes`, `status`, `why`, `who` and the like with JSON documents, in the frames of the link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from argosy import errors
from argosy.doors.admin import finding, moving, nodes, presence, proof, status, striking, sums, trash, why
from argosy.doors.admin.office import Document, Office
from argosy.net.peer import serve_local
from argosy.wire import link

Answer = Callable[[Office, Any], Awaitable[Document]]

ANSWERS: Mapping[type, Answer] = {
    link.AskStatus: status.status,
    link.AskRefresh: status.refresh,
    link.AskNodes: nodes.nodes,
    link.AskRemerge: nodes.remerge,
    link.AskStrike: striking.strike,
    link.AskForgetNode: striking.forget,
    link.AskWhy: why.why,
    link.AskFind: finding.find,
    link.AskDrain: moving.drain,
    link.AskVerify: proof.verify,
    link.AskScrub: proof.scrub,
    link.AskMove: moving.move,
    link.AskRebalance: moving.rebalance,
    link.AskTrash: trash.trash,
    link.AskRestore: trash.restore,
    link.AskEmpty: trash.empty,
    link.AskSums: sums.against_lists,
    link.AskWho: presence.who,
    link.AskKick: presence.kick,
    link.AskBans: presence.bans,
    link.AskUnban: presence.unban,
}
"""What answers a question: the door's table."""


class AdminDoor:
    """Where the command line asks a running master."""

    def __init__(self, office: Office) -> None:
        """Put it together; nothing is opened yet."""
        self._office = office

    async def serve(self) -> None:
        """Answer until cancelled."""
        config = self._office.config
        await serve_local(
            Path(config.paths.run) / "master.sock",
            self._answer,
            request_seconds=config.link.request_seconds,
            silent_seconds=config.link.checksum_seconds,
        )

    async def _answer(self, question: link.Body) -> link.Body:
        answer = ANSWERS.get(type(question))
        if answer is None:
            raise errors.Unsupported(type(question).__name__)
        return link.Report(msgspec.json.encode(await answer(self._office, question)))
