"""SITE verbs about who is here."""

from __future__ import annotations

from argosy import errors, tables
from argosy.doors.ftp.client import Client, Replies
from argosy.presence import report
from argosy.presence.visitors import KICKED
from argosy.wire.ftp import replies
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


async def who(client: Client, command: Command) -> Replies:
    """SITE WHO: all sessions, and what each does."""
    del command
    sessions = [report.describe(visitor) for visitor in client.hall.visitors]
    yield replies.told(f"{len(sessions)} here", report.table(sessions))


async def stats(client: Client, command: Command) -> Replies:
    """SITE STATS: what was moved since the master started; others than administrators see only themselves."""
    own, totals = client.tree.account, client.hall.visitors.totals
    name = command.text or ("" if own.admin else own.name)
    if name != own.name and not own.admin:
        raise errors.Denied("you may look at yourself only")
    rows = [
        (user, total.uploads, tables.size(total.received), total.downloads, tables.size(total.sent))
        for user, total in sorted(totals.items())
        if name in ("", user)
    ]
    head = ("user", "uploads", "received", "downloads", "sent")
    yield replies.told("Since the start", tables.aligned(head, rows, right=head[1:]))


async def kick(client: Client, command: Command) -> Replies:
    """SITE KICK: hang up on all sessions of a user."""
    name, _, sentence = command.text.partition(" ")
    if not client.hall.visitors.named(name):
        raise errors.NoSuchAccount(f"nobody called {name} is logged in")
    yield _hang_up(client, name, sentence)


async def kill(client: Client, command: Command) -> Replies:
    """SITE KILL: hang up on one session, by the id that SITE WHO tells."""
    number, _, sentence = command.text.partition(" ")
    if not (number.isascii() and number.isdecimal()):
        raise errors.BadArgument("want a session's id, see SITE WHO")
    yield _hang_up(client, number, sentence)


def _hang_up(client: Client, who: str, sentence: str) -> Reply:
    gone = client.hall.visitors.hang_up(who, sentence or KICKED)
    return Reply.of(200, f"Hung up on {' '.join(str(visitor.id) for visitor in gone)}")
