"""Questions to the running master, over its local socket."""

from __future__ import annotations

import json
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


async def ask(
    master: config.Master, question: link.Body, *, seconds: float = ANSWER_SECONDS
) -> dict[str, Any]:
    """Put a question and give the document that answers it.

    Args:
        master: Whose socket is meant.
        question: One of the messages that `Report` answers.
        seconds: How long to wait for the answer.

    Raises:
        NoMaster: Nobody listens there. Start it.
        Unavailable: It didn't answer in time.
        Refused: The master's own words.
    """
    path = socket_path(master.paths.run)
    try:
        end = await peer.connect_local(path, seconds=seconds)
    except Unavailable as refused:
        raise NoMaster(f"nobody answers at {path}") from refused
    try:
        answer = await end.ask(question, seconds)
    finally:
        end.close()
    if not isinstance(answer, link.Report):
        raise Failed(f"the master answered {type(answer).__name__}; is it another version?")
    document: dict[str, Any] = json.loads(answer.document)
    return document
