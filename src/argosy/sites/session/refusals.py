"""What a site's "no" means: reply codes into refusals. RFC 959 section 4.2.

550 stands for nearly everything, so its text is looked at, too; what it leaves open has to be found out by
looking at the file (`Looker` does). Sites answer in English, whatever their land.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from argosy import errors
from argosy.wire.ftp.answers import Answer

UNKNOWN_VERB = frozenset({202, 500, 502, 504})
"""The site has no such verb. RFC 959 section 4.2.2."""

REFUSAL_FOR: Mapping[int, type[errors.Refused]] = {
    332: errors.Denied,
    421: errors.Unavailable,
    425: errors.NoDataConnection,
    426: errors.TransferCut,
    430: errors.LoginFailed,
    431: errors.Unsupported,
    450: errors.Busy,
    451: errors.Failed,
    452: errors.NoSpace,
    500: errors.Unsupported,
    501: errors.BadArgument,
    502: errors.Unsupported,
    503: errors.Unsupported,
    504: errors.Unsupported,
    521: errors.Exists,
    522: errors.Unsupported,
    530: errors.LoginFailed,
    532: errors.Denied,
    533: errors.Denied,
    534: errors.Denied,
    535: errors.Denied,
    536: errors.Unsupported,
    551: errors.Unsupported,
    552: errors.OverQuota,
}
"""For the codes that say what they mean. 521: RFC 2015's MKD, "exists"; 53z: RFC 2228 and RFC 4217."""

AMBIGUOUS = frozenset({450, 451, 501, 504, 550, 553})
"""Codes that stand for more than one thing: the text decides, if it says anything."""

_WORDS: tuple[tuple[re.Pattern[str], type[errors.Refused]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"quota|exceeded.*(storage|allocation)", errors.OverQuota),
        (r"no space|disk (is )?full|not enough (space|room)|insufficient (disk|storage)", errors.NoSpace),
        (r"not empty|isn't empty", errors.NotEmpty),
        (
            r"no such|not found|n[o']t exist|doesnt exist|(can't|cannot|couldn't|unable to) find",
            errors.NotFound,
        ),
        (r"exists?\b", errors.Exists),
        (r"not a directory|isn't a directory|is a file", errors.NotADirectory),
        (r"is a directory|not a (plain|regular) file|not a file", errors.IsADirectory),
        (r"too long|(invalid|illegal|prohibited) .*(name|character)|name not allowed", errors.NameNotAllowed),
        (
            r"denied|not permitted|permission|read-?only|not allowed|forbidden|prohibited|privilege|access",
            errors.Denied,
        ),
        (
            r"not (implemented|supported)|unknown command|command not (understood|recognized)",
            errors.Unsupported,
        ),
        (r"busy|in use|locked|try (again )?later", errors.Busy),
    )
)
"""What the text says, the clearer word first."""

_TOO_MANY = re.compile(
    r"too many|max(imum)?\b.*\b(number|connections?|clients?|users?|logins?)|limit|already.*logged"
    r"|(clients?|users?|connections?) (are )?(already )?(allowed|reached)",
    re.IGNORECASE,
)


def refusal(answer: Answer, subject: object = "") -> errors.Refused:
    """Give the refusal that a reply means; `Denied` where it could be anything.

    Args:
        answer: One of 4yz or 5yz.
        subject: What it was about; empty: the site's own words.
    """
    return kind_of(answer, unclear=errors.Denied)(subject or answer.text)


def kind_of(answer: Answer, *, unclear: type[errors.Refused]) -> type[errors.Refused]:
    """Give what a reply means.

    Args:
        answer: One of 4yz or 5yz.
        unclear: For a code that stands for nearly everything, with a text that says nothing.
    """
    if answer.code in (421, 530):
        return errors.TooMany if is_limit(answer) else REFUSAL_FOR[answer.code]
    if answer.code in AMBIGUOUS or answer.code not in REFUSAL_FOR:
        for pattern, kind in _WORDS:
            if pattern.search(answer.text):
                return kind
    return REFUSAL_FOR.get(answer.code, unclear)


def is_unclear(answer: Answer, verb: str) -> bool:
    """Whether one has to look at the file to know what the site means."""
    if answer.code not in (450, 501, 550, 553):
        return False
    kind = kind_of(answer, unclear=errors.Denied)
    if kind is errors.NotFound:  # of a directory to RETR, of a file to MLSD: sites say so, too
        return verb in ("RETR", "MLSD", "CWD", "LIST")
    return kind in (errors.Denied, errors.BadArgument, errors.Busy)


def is_limit(answer: Answer) -> bool:
    """Whether the site has as many of us as it wants."""
    return bool(_TOO_MANY.search(answer.text))
