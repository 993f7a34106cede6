"""Questions to the running master, and to the running gateway, over their local sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from argosy import config
from argosy.cli.site import socket_path
from argosy.errors import Failed, Unavailable
from argosy.net import peer
from argosy.wire import link

ANSWER_SECONDS = 30.0
"""How long the master may take. A remerge takes longer: it reads disks."""


class NoMaster(Unavailable):
    """No master runs here."""


class NoGateway(Unavailable):
    """No gateway runs here."""


async def ask(
    master: config.Master, question: link.Body, *, seconds: float = ANSWER_SECONDS
) -> dict[str, Any]:
    """Put a question to the master and give the document that answers it.

    Args:
        master: Whose socket is meant.
        question: One of the messages that `Report` answers.
        seconds: How long to wait for the answer.

    Raises:
        NoMaster: Nobody listens there. Start it.
        Unavailable: It didn't answer in time.
        Refused: The master's own words.
    """
    return await _ask(socket_path(master.paths.run), question, seconds, NoMaster)


async def ask_gateway(state: Path, question: link.Body, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
    """Put a question to the gateway and give the document that answers it.

    Args:
        state: Its state directory.
        question: `AskSites` or `AskTicket`.
        seconds: How long to wait for the answer.

    Raises:
        NoGateway: Nobody listens there. Start it.
        Unavailable: It didn't answer in time.
        Refused: The gateway's own words, or the site's.
    """
    return await _ask(state / "gateway.sock", question, seconds, NoGateway)


async def _ask(path: Path, question: link.Body, seconds: float, nobody: type[Unavailable]) -> dict[str, Any]:
    try:
        end = await peer.connect_local(path, seconds=seconds)
    except Unavailable as refused:
        raise nobody(f"nobody answers at {path}") from refused
    try:
        answer = await end.ask(question, seconds)
    finally:
        end.close()
    if not isinstance(answer, link.Report):
        raise Failed(f"it answered {type(answer).__name__}; is it another version?")
    document: dict[str, Any] = json.loads(answer.document)
    return document
