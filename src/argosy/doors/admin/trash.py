"""The trash: what is in it, what comes back, what goes for good."""

from __future__ import annotations

from argosy import errors
from argosy.accounts.rules import Account
from argosy.catalogue.keeping import Trashed
from argosy.catalogue.people import Use
from argosy.doors.admin.office import Document, Office, asked_path, text
from argosy.wire import link

LISTED = 1_000
"""Files in one page."""

GONE = 500
"""Files let go of in one transaction: an upload's commit mustn't wait for all of them."""


async def trash(office: Office, question: link.AskTrash) -> Document:
    """List a page of what was at a path or below it."""
    limit = max(1, min(question.limit, LISTED))
    found = office.catalogue.trash(asked_path(question.path), after=question.after, limit=limit)
    last = found[-1] if len(found) == limit else None
    return {
        "files": [_trashed(one) for one in found],
        "after": [b"/".join(last.path).hex(), last.entry.id] if last else None,
    }


async def restore(office: Office, question: link.AskRestore) -> Document:
    """Put contents back, each as far as that can be; tell of each how it went."""
    restored, refused = [], []
    to = asked_path(question.to) if question.to else None
    for ver in question.versions:
        try:
            one = await office.catalogue.restore(ver, to)
        except errors.Refused as reason:
            refused.append({"version": f"{ver:x}", "why": str(reason)})
            continue
        place = office.vfs.place(one.path, one.entry, Account(name="argosy", admin=True))
        office.vfs.ledger.note(place, Use(1, one.entry.size))
        restored.append(_trashed(one))
    office.vfs.owed()
    return {"restored": restored, "refused": refused}


async def empty(office: Office, question: link.AskEmpty) -> Document:
    """Let go for good of some of what was at a path or below it; say whether there is more."""
    emptied = await office.catalogue.empty_trash(asked_path(question.path), GONE)
    office.vfs.owed()
    return {"files": emptied.files, "bytes": emptied.bytes, "more": emptied.more}


def _trashed(one: Trashed) -> Document:
    return {
        "path": text(one.path),
        "path_hex": b"/".join(one.path).hex(),
        "version": f"{one.entry.ver:x}",
        "size": one.entry.size,
        "mtime": one.entry.mtime_ns / 1e9,
        "owner": one.entry.owner,
        "gone": one.gone_ns / 1e9,
        "until": one.until_ns / 1e9,
        "by": one.by,
        "why": str(one.why),
        "copies": one.copies,
    }
