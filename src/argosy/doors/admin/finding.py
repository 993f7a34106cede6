"""A search of the whole tree, a page at a time."""

from __future__ import annotations

from argosy import errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue.model import Kind
from argosy.catalogue.query import Hit, Mark, Query
from argosy.doors.admin.office import Document, Office, as_text, asked_path, text
from argosy.vfs.files import Files
from argosy.wire import link

FOUND = 1_000
"""Entries in one page of a search."""


async def find(office: Office, question: link.AskFind) -> Document:
    """Look for entries below a path.

    Raises:
        BadArgument: There is no such kind.
    """
    asked = Query(
        names=tuple(question.names),
        smallest=question.smallest,
        largest=question.largest,
        after_ns=question.after_ns,
        before_ns=question.before_ns,
        owner=question.owner,
        group=question.group,
        node=question.node,
        kind=_kind(question.kind),
    )
    files = Files(office.vfs, Login(Account(name="argosy", admin=True)))
    hits = await files.search(
        asked_path(question.path),
        asked,
        after=Mark(*question.after),
        limit=max(1, min(question.limit, FOUND)),
        seconds=office.config.search.seconds,
    )
    return {
        "entries": [_hit(hit) for hit in hits.found],
        "after": [hits.after.directory, hits.after.name.hex()] if hits.after else None,
        "late": hits.late,
    }


def _kind(word: str) -> Kind | None:
    try:
        return Kind(word) if word else None
    except ValueError:
        raise errors.BadArgument(f"no such kind: {word}") from None


def _hit(hit: Hit) -> Document:
    entry = hit.entry
    return {
        "path": text(hit.path),
        "kind": str(entry.kind),
        "state": str(entry.state),
        "size": entry.size,
        "mtime": entry.mtime_ns / 1e9,
        "owner": entry.owner,
        "group": entry.group,
        "nodes": list(hit.nodes),
        **({} if entry.target is None else {"target": as_text(entry.target)}),
    }
