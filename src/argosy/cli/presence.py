"""`argosy who`, `kick`, `bans` and `unban`: who is at the running master's doors, and who may not come."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from argosy import tables
from argosy.cli import grammar
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config
from argosy.cli.tables import as_json
from argosy.presence import report
from argosy.wire import link

Document = Mapping[str, Any]


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    grammar.dir_or_config(grammar.word(to, "who", who))
    gone = grammar.word(to, "kick", kick)
    gone.add_argument("who", metavar="USER|ID", help="a user's name, or a session's id")
    gone.add_argument("--message", default="", metavar="TEXT", help="what the user is told")
    grammar.dir_or_config(gone)
    grammar.dir_or_config(grammar.word(to, "bans", bans))
    lifted = grammar.word(to, "unban", unban)
    lifted.add_argument("address")
    grammar.dir_or_config(lifted)


def who(arguments: argparse.Namespace) -> int:
    """Show who is logged in, from where, and what each does."""
    return _report(arguments, link.AskWho(), who_text)


def kick(arguments: argparse.Namespace) -> int:
    """Hang up on a session, or on all of a user."""
    return _report(arguments, link.AskKick(arguments.who, arguments.message), kick_text)


def bans(arguments: argparse.Namespace) -> int:
    """Show the addresses that are turned away for wrong passwords."""
    return _report(arguments, link.AskBans(), bans_text)


def unban(arguments: argparse.Namespace) -> int:
    """Let an address come back."""
    return _report(arguments, link.AskUnban(arguments.address), unban_text)


def who_text(document: Document) -> str:
    """Give the sessions as a table."""
    return report.table(document["sessions"]) if document["sessions"] else "nobody is here"


def kick_text(document: Document) -> str:
    """Say on whom was hung up."""
    return f"hung up on {' '.join(map(str, document['hung_up']))}"


def bans_text(document: Document) -> str:
    """Give the banned addresses as a table."""
    if not document["bans"]:
        return "nobody is banned"
    rows = [(ban["address"], tables.span(ban["seconds"])) for ban in document["bans"]]
    return tables.aligned(("address", "for another"), rows)


def unban_text(document: Document) -> str:
    """Say whether there was a ban."""
    return "lifted" if document["lifted"] else "it wasn't banned"


def _report(arguments: argparse.Namespace, question: link.Body, text: Callable[[Document], str]) -> int:
    document = asyncio.run(ask(master_config(arguments), question))
    print(as_json(document) if arguments.json else text(document))
    return 0
