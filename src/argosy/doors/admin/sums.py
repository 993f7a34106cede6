"""A directory, held against its lists of checksums."""

from __future__ import annotations

from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.doors.admin.office import Document, Office, as_text, asked_path, text
from argosy.vfs import verdicts
from argosy.vfs.files import Files
from argosy.vfs.verdicts import Judged, Verdict
from argosy.wire import link


async def against_lists(office: Office, question: link.AskSums) -> Document:
    """Say of each file that a list names whether it is here and as it should be."""
    path = asked_path(question.path)
    files = Files(office.vfs, Login(Account(name="argosy", admin=True)))
    judged = await files.against_lists(path)
    counts, left_off = judged.counts, judged.left_off
    told = [line for line in judged.lines if question.every or line.verdict is not Verdict.GOOD]
    return {
        "path": text(path),
        "lists": [as_text(name) for name in judged.lists],
        "unread": [{"list": as_text(name), "why": why} for name, why in judged.troubles.items()],
        "files": counts.total(),
        **{str(verdict): counts[verdict] for verdict in Verdict},
        "percent": verdicts.percent(judged),
        "words": verdicts.words(judged),
        "lines": [_line(line) for line in told],
        "left_off": left_off.total() - (0 if question.every else left_off[Verdict.GOOD]),
    }


def _line(line: Judged) -> Document:
    return {
        "list": as_text(line.list),
        "name": as_text(line.name),
        "verdict": str(line.verdict),
        "algorithm": line.algorithm,
        "wanted": line.digits,
        "found": line.found,
    }
