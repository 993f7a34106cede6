"""Several commands in one piece: a round trip for all of them, where a site takes them so.

RFC 959 section 5.4 has commands and replies alternate. Nearly every site reads its commands line by line and
takes the next one when it comes to it; one that throws away what it hasn't asked for gets them one by one.
"""

from __future__ import annotations

from argosy.config import Remote
from argosy.errors import Unavailable
from argosy.sites.session.control import Control
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.wording import Words
from argosy.wire.ftp.answers import Answer

_TRIAL_SECONDS = 3.0
"""Between two replies in the trial; then it is asked where it is, and the replies are counted."""


def ask_all(control: Control, dialect: Dialect, settings: Remote, *commands: Words) -> list[Answer]:
    """Say commands, each of which may be said twice, and give the reply to each.

    The first time for a site it is a trial, for all its connections.

    Raises:
        Unavailable: The connection is lost, or no reply comes in time.
        NameNotAllowed: A word can't be said in one line; nothing was said.
    """
    if len(commands) > 1 and dialect.pipelines is None and control.knows_mark:
        told = _tried(control, dialect, settings, commands)
        if told is not None:
            return told
    if dialect.pipelines:
        control.say(*commands)
        return [control.hear() for _ in commands]
    return [control.ask(*words) for words in commands]


def _tried(
    control: Control, dialect: Dialect, settings: Remote, commands: tuple[Words, ...]
) -> list[Answer] | None:
    """See whether a site takes several commands in one piece; None: it doesn't."""
    control.say(*commands)
    try:
        told = [control.hear()]
        while len(told) < len(commands) and (answer := control.heard(_TRIAL_SECONDS)) is not None:
            told.append(answer)
        if len(told) < len(commands):
            told += control.catch_up(settings.reply_seconds)
    except Unavailable:
        dialect.learn(pipelines=False)  # perhaps it hung up for this
        raise
    dialect.learn(pipelines=len(told) == len(commands))
    return told if dialect.pipelines else None
