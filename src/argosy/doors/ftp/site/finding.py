"""SITE FIND and SITE SEARCH: looking through the whole tree."""

from __future__ import annotations

import time

from argosy import errors
from argosy.catalogue import query
from argosy.catalogue.model import Kind, TreePath
from argosy.catalogue.query import Hit, Mark, Query
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import finding
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.finding import Wish
from argosy.wire.ftp.replies import Reply

PAGE = 500
"""Entries looked for at once."""

DAY_NS = 86_400 * 1_000_000_000

KINDS = {"": None, "f": Kind.FILE, "d": Kind.DIRECTORY, "l": Kind.LINK}


async def find(client: Client, command: Command) -> Replies:
    """SITE FIND: look below a directory by name, size, age, owner, group, node and kind."""
    wish = finding.parse_find(command.argument)
    limit = client.hall.vfs.config.search.limit
    asked = _query(wish, time.time_ns())
    yield await _show(client, client.path(wish.path), asked, min(wish.limit or limit, limit))


async def search(client: Client, command: Command) -> Replies:
    """SITE SEARCH: look below where the client is for names that hold all the words, in any case."""
    words = finding.words(command.argument)
    names = tuple(query.holding(word, any_case=True) for word in words)
    if not names:
        raise errors.BadArgument("what for?")
    yield await _show(client, client.cwd, Query(names=names), client.hall.vfs.config.search.limit)


def _query(wish: Wish, now_ns: int) -> Query:
    return Query(
        names=(
            *(query.glob(name) for name in wish.names),
            *(query.glob(name, any_case=True) for name in wish.any_case),
        ),
        smallest=wish.smallest,
        largest=wish.largest,
        after_ns=None if wish.within_days is None else now_ns - wish.within_days * DAY_NS,
        before_ns=None if wish.before_days is None else now_ns - wish.before_days * DAY_NS,
        owner=wish.owner,
        group=wish.group,
        node=wish.node,
        kind=KINDS[wish.kind],
    )


async def _show(client: Client, path: TreePath, asked: Query, limit: int) -> Reply:
    """Say what is found as it is found, and give the reply that ends it."""
    client.tree.directory(path)
    until = time.monotonic() + client.hall.vfs.config.search.seconds
    await client.control.say_page(b"200-Found:\r\n")
    shown = 0
    after: Mark | None = Mark()
    late = False
    while after is not None and shown < limit and not late:
        seconds = until - time.monotonic()
        hits = await client.tree.search(path, asked, after=after, limit=PAGE, seconds=seconds)
        page = hits.found[: limit - shown]
        shown += len(page)
        after, late = (None if len(page) < len(hits.found) else hits.after), hits.late
        await client.control.say_page(b"".join(map(_line, page)))
    remark = ", and the time is over" if late else ", there may be more" if shown == limit else ""
    return Reply.of(200, f"{shown} found{remark}")


def _line(hit: Hit) -> bytes:
    target = b"" if hit.entry.target is None else b" -> " + hit.entry.target
    slash = b"/" if hit.entry.is_directory else b""
    return b" /%b%b%b\r\n" % (b"/".join(hit.path), slash, target)
