"""The gateway's own door: a local socket that only its user can open.

It answers `argosy sites`, gives `argosy mount` its tickets and hears of `argosy umount`, in the frames of the
link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from argosy import errors
from argosy.net.peer import serve_local
from argosy.wire import link

Document = dict[str, Any]


class Gate:
    """Where the command line asks a running gateway."""

    def __init__(
        self,
        path: Path,
        *,
        sites: Callable[[], Document],
        ticket: Callable[[link.AskTicket], Awaitable[Document]],
        release: Callable[[link.AskRelease], Awaitable[Document]],
        forget: Callable[[link.AskForget], Awaitable[Document]],
        seconds: float,
    ) -> None:
        """Put it together.

        Args:
            path: Of the socket.
            sites: Tells what `argosy sites` shows.
            ticket: Logs in at a site, and tells how it can be mounted.
            release: Hears that a directory was taken away, and tells what becomes of its mount.
            forget: Forgets a site's mounts, and tells which.
            seconds: Hang up on who isn't heard of for so long.
        """
        self._path = path
        self._sites = sites
        self._ticket = ticket
        self._release = release
        self._forget = forget
        self._seconds = seconds

    async def serve(self) -> None:
        """Answer until cancelled."""
        await serve_local(
            self._path, self._answer, request_seconds=self._seconds, silent_seconds=self._seconds
        )

    async def _answer(self, question: link.Body) -> link.Body:
        match question:
            case link.AskSites():
                document = self._sites()
            case link.AskTicket():
                document = await self._ticket(question)
            case link.AskRelease():
                document = await self._release(question)
            case link.AskForget():
                document = await self._forget(question)
            case _:
                raise errors.Unsupported(type(question).__name__)
        return link.Report(msgspec.json.encode(document))
