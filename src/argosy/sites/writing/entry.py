"""A changed file as the loop sees it: its draft, what became of its uploads, who is about to change it."""

from __future__ import annotations

import asyncio
import logging
import time

from argosy import errors
from argosy.sites.model import Facts
from argosy.sites.writing.draft import Draft

_log = logging.getLogger(__name__)

_INCOMPLETE_TIMES = 3
"""A site that keeps less than it was sent, and says 226, is full or broken."""

_NO_LOGIN = (errors.LoginFailed, errors.Untrusted, errors.ConfigError)
"""Waiting won't help; but it's no word on the file, whose changes stay."""

_PASSING = (
    *_NO_LOGIN,
    errors.Unavailable,
    errors.TransferCut,
    errors.NoDataConnection,
    errors.Failed,
    errors.Busy,
    errors.TooMany,
    errors.Incomplete,
    errors.Changed,
)
"""What may go well the next time; anything else is the site's last word on a file."""


class Entry:
    """A changed file: what its uploads came to, and when the next may begin."""

    def __init__(self, draft: Draft) -> None:
        """Begin with nothing tried."""
        self.draft = draft
        self.round: asyncio.Future[Facts] | None = None
        """The upload that runs."""
        self.tried = draft.temporary is not None
        """The site may have something of it."""
        self.using = 0
        """Who is about to change it."""
        self.held = 0
        """No upload may begin."""
        self.facts: Facts | None = None
        self.trouble: errors.Refused | None = None
        """The site's last word."""
        self.told = 0.0
        """When somebody heard of it, or else when it was said."""
        self.heard = False
        self.passing: errors.Refused | None = None
        """Why the last upload failed."""
        self.incomplete = 0
        self.pause = 0.0
        self.retry_at = 0.0
        self.accounted = 0
        """Bytes of room that are taken for it."""
        self.left = asyncio.Event()
        self.leaving = False

    def refuse(self) -> None:
        """Tell what the site said."""
        if self.trouble is not None:
            self.told, self.heard = time.monotonic(), True
            raise type(self.trouble)(self.trouble.subject)

    @property
    def hopeless(self) -> bool:
        """Whether the last upload failed for want of a login: waiting won't help."""
        return isinstance(self.passing, _NO_LOGIN)

    @property
    def called(self) -> str:
        """Its name, for people."""
        return self.draft.called.decode(errors="backslashreplace") or f"file {self.draft.file}"

    def came(self, facts: Facts) -> None:
        """Note that an upload went well, and what the site has now."""
        self.facts = facts
        self.passing, self.pause, self.retry_at, self.incomplete = None, 0.0, 0.0, 0

    def failed(self, error: BaseException, *, longest_pause: float) -> None:
        """Note why an upload failed: it is tried again after a pause, or was the site's last word.

        Args:
            error: What happened.
            longest_pause: In seconds; pauses double up to it.
        """
        now = time.monotonic()
        if not isinstance(error, errors.Refused):
            _log.error("%s: its upload failed by accident", self.called, exc_info=error)
            error = errors.Failed(f"by accident: {error}")
        self.incomplete += isinstance(error, errors.Incomplete)
        if isinstance(error, _PASSING) and self.incomplete < _INCOMPLETE_TIMES:
            self.passing = error
            self.pause = min(longest_pause, max(1.0, 2 * self.pause))
            self.retry_at = now + self.pause
            _log.warning("%s: its upload is tried again in %.0f s: %s", self.called, self.pause, error)
            return
        self.trouble, self.told = error, now
        size = self.draft.size
        _log.warning("%s: the site takes no upload of %d bytes: %s", self.called, size, error)
