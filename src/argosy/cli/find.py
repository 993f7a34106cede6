"""`argosy find`: looking through the whole tree, shown as it is found."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from argosy.catalogue import query
from argosy.cli import grammar, tables
from argosy.cli.ask import ANSWER_SECONDS, ask
from argosy.cli.catalogues import master_config
from argosy.config import Master
from argosy.wire import link

PAGE = 1_000
"""Entries asked for at once."""

KINDS = {"f": "file", "d": "dir", "l": "link"}

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SIZE = re.compile(r"(\d{1,18})([KMGT]?)")


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    word = grammar.word(to, "find", find)
    word.add_argument("path", nargs="?", default="/", help="look below this directory [/]")
    for option, value, about in (
        ("--name", "PATTERN", "of the whole name: *, ?, [a-z] and [!a-z]"),
        ("--iname", "PATTERN", "likewise, in any case"),
        ("--contains", "TEXT", "anywhere in the name, in any case"),
    ):
        word.add_argument(option, action="append", default=[], metavar=value, help=about)
    word.add_argument("--size", type=size_range, metavar="MIN..MAX", help="as 10M.. or ..4K; files only")
    word.add_argument("--newer", type=moment, metavar="TIME", help="modified since: 7d, 12h, 2026-11-22")
    word.add_argument("--older", type=moment, metavar="TIME", help="modified before")
    word.add_argument("--owner", default="", metavar="USER", help="whose it is")
    word.add_argument("--group", default="", help="likewise")
    word.add_argument("--node", default="", help="files with a good copy there")
    word.add_argument("--type", choices=sorted(KINDS), help="file, directory or link")
    word.add_argument("--limit", type=count, default=0, metavar="N", help="show no more than N")
    grammar.dir_or_config(word)


def find(arguments: argparse.Namespace) -> int:
    """Look for files, directories and links below a path."""
    names = [query.glob(os.fsencode(name)) for name in arguments.name]
    names += [query.glob(os.fsencode(name), any_case=True) for name in arguments.iname]
    names += [query.holding(os.fsencode(text), any_case=True) for text in arguments.contains]
    smallest, largest = arguments.size or (None, None)
    asked = link.AskFind(
        os.fsencode(arguments.path),
        names,
        smallest=smallest,
        largest=largest,
        after_ns=arguments.newer,
        before_ns=arguments.older,
        owner=arguments.owner,
        group=arguments.group,
        node=arguments.node,
        kind=KINDS[arguments.type] if arguments.type else "",
    )
    show = _as_json if arguments.json else _as_text
    late = asyncio.run(_pages(master_config(arguments), asked, arguments.limit, show))
    if late:
        print("argosy: search.seconds is over, there may be more", file=sys.stderr)
    return 1 if late else 0


async def _pages(
    master: Master, asked: link.AskFind, limit: int, show: Callable[[Mapping[str, Any]], str]
) -> bool:
    """Ask for page after page and print each; true: the master's time for a page was over."""
    shown = 0
    while True:
        wanted = min(PAGE, limit - shown) if limit else PAGE
        # Others may be searching, and this page waits for its turn.
        seconds = ANSWER_SECONDS + 10 * master.search.seconds
        page = await ask(master, msgspec.structs.replace(asked, limit=wanted), seconds=seconds)
        for entry in page["entries"]:
            print(show(entry))
        sys.stdout.flush()
        shown += len(page["entries"])
        if page["late"] or not page["after"] or shown == limit:
            return bool(page["late"])
        directory, name = page["after"]
        asked = msgspec.structs.replace(asked, after=(directory, bytes.fromhex(name)))


def _as_json(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry)


def _as_text(entry: Mapping[str, Any]) -> str:
    letter = {"dir": "d", "link": "l"}.get(entry["kind"], "-")
    size = tables.size(entry["size"]) if letter == "-" else ""
    stamp = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry["mtime"]))
    leads = f" -> {entry['target']}" if "target" in entry else ""
    owner = f"{entry['owner']}:{entry['group']}"
    return tables.printable(f"{letter} {size:>10}  {stamp}  {owner:<16}  {entry['path']}{leads}")


def size_range(text: str) -> tuple[int | None, int | None]:
    """Read `MIN..MAX`, one of which may be missing, as `10M..` or `..4K`.

    Raises:
        ArgumentTypeError: It isn't that.
    """
    first, dots, last = text.partition("..")
    if not dots or not (first or last):
        raise argparse.ArgumentTypeError(f"want MIN..MAX, as 10M.. or ..4K, got {text!r}")
    smallest, largest = (_bytes(part) if part else None for part in (first, last))
    return smallest, largest


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"want bytes, or a number with K, M, G or T, got {text!r}")
    return min(int(found[1]) << 10 * _POWERS[found[2]], 2**63 - 1)


def count(text: str) -> int:
    """Read a number of entries, at least one.

    Raises:
        ArgumentTypeError: It isn't that.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"want 1 or more, got {text!r}")
    return int(text)


def moment(text: str) -> int:
    """Read a date, as `2026-11-22` or with `T04:25`, or a span ago, as `7d`: nanoseconds since 1970, UTC.

    Raises:
        ArgumentTypeError: It isn't that.
    """
    if text[-1:] in grammar.UNITS and text[:1].isdecimal():
        return time.time_ns() - int(grammar.span(text) * 1_000_000_000)
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"want a date or a span as 7d or 12h, got {text!r}") from None
    at = at if at.tzinfo else at.replace(tzinfo=datetime.UTC)
    return int(at.timestamp()) * 1_000_000_000
