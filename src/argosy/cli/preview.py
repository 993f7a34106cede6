"""`argosy rule preview`: what retention, the archive and floors would take, and when; nothing is done."""

from __future__ import annotations

import argparse
import asyncio
import heapq
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry, shown
from argosy.catalogue.people import parts
from argosy.cli import grammar, tables
from argosy.cli.catalogues import master_config, opened
from argosy.cluster.copies.rules import DAY_NS, Book, Rule
from argosy.config import Master
from argosy.errors import NotADirectory

PAGE = 1_000
"""Names read in one go."""

NAMED = 10
"""Files that are named, the first to go."""


@dataclass
class Going:
    """Files that would go."""

    files: int = 0
    bytes: int = 0
    first: list[tuple[int, int]] = field(default_factory=list)
    """When (negative, so that the latest is first in the heap), and the FileId."""

    def add(self, entry: Entry, when_ns: int) -> None:
        """Reckon with one more."""
        self.files += 1
        self.bytes += entry.size
        push = heapq.heappush if len(self.first) < NAMED else heapq.heappushpop
        push(self.first, (-when_ns, entry.id))


def declare(to: grammar.Add) -> None:
    """Declare the word, below `argosy rule`."""
    word = grammar.word(to, "preview", preview)
    word.add_argument("path", metavar="PATH", nargs="?", default="/", help="look below this directory [/]")
    word.add_argument("--days", type=grammar.days, default=7.0, metavar="DAYS", help="so far ahead [7]")
    word.add_argument(
        "--retention", type=grammar.days, metavar="DAYS", help="as if this were set there, for all below"
    )
    grammar.dir_or_config(word)


def preview(arguments: argparse.Namespace) -> int:
    """Say which files retention, the archive and floors would take, without doing anything."""
    master = master_config(arguments)
    now_ns = time.time_ns()

    async def look() -> dict[str, object]:
        async with opened(master.catalogue) as catalogue:
            return _look(arguments, master, catalogue, now_ns)

    document = asyncio.run(look())
    print(tables.as_json(document) if arguments.json else _text(document))
    return 0


def _look(
    arguments: argparse.Namespace, master: Master, catalogue: Catalogue, now_ns: int
) -> dict[str, object]:
    path = parts(os.fsencode(arguments.path))
    top = catalogue.find(path)
    if not top.is_directory:
        raise NotADirectory(shown(path))
    book = Book(master.sections, catalogue.wishes())
    until_ns = now_ns + int(arguments.days * DAY_NS)
    retired, archived, for_room = Going(), Going(), Going()
    ahead = [(top.id, b"")]
    while ahead:
        directory, after = ahead.pop()
        rule = book.rule(catalogue.way_to(directory))
        if arguments.retention is not None:
            rule = msgspec.structs.replace(rule, retention_days=arguments.retention)
        page = catalogue.children(directory, after=after, limit=PAGE)
        if len(page) == PAGE:
            ahead.append((directory, page[-1].name))
        for entry in page:
            if entry.is_directory:
                ahead.append((entry.id, b""))
            elif entry.ver:
                _sort(rule, entry, until_ns, retired, archived)
                if rule.make_room:
                    for_room.add(entry, entry.unchanged_ns)
    grace_ns = int(master.repair.grace_seconds * 1e9)
    return {
        "path": arguments.path,
        "days": arguments.days,
        "retention": _document(catalogue, retired, now_ns, lambda at: max(at, now_ns) + grace_ns),
        "archive": _document(catalogue, archived, now_ns, lambda at: max(at, now_ns)),
        "for_room": _document(catalogue, for_room, now_ns, lambda at: at),
    }


def _sort(rule: Rule, entry: Entry, until_ns: int, retired: Going, archived: Going) -> None:
    goes_ns = rule.goes_ns(entry)
    if goes_ns is not None and goes_ns <= until_ns:
        retired.add(entry, goes_ns)
    elif rule.at(until_ns, entry) != rule:
        archived.add(entry, entry.unchanged_ns + int(rule.archive_after_days * DAY_NS))


def _document(
    catalogue: Catalogue, going: Going, now_ns: int, shown_ns: Callable[[int], int]
) -> dict[str, object]:
    first = sorted((-when_ns, file) for when_ns, file in going.first)
    return {
        "files": going.files,
        "bytes": going.bytes,
        "first": [
            {
                "path": shown(catalogue.path_of(file))
                .encode(errors="surrogateescape")
                .decode(errors="backslashreplace"),
                "seconds": round((shown_ns(when_ns) - now_ns) / 1e9),
            }
            for when_ns, file in first
        ],
    }


def _text(document: dict[str, object]) -> str:
    lines = []
    days = f"{document['days']:g} days"
    for key, verdict, always in (
        ("retention", f"outlive their retention within {days}", True),
        ("archive", f"belong to the archive within {days}", True),
        ("for_room", "may leave a disk below its floor, the oldest first", False),
    ):
        going = document[key]
        assert isinstance(going, dict)
        if not going["files"] and not always:
            continue
        count = f"{tables.counted(going['files'], 'file')}, {tables.size(going['bytes'])}"
        lines.append(f"{verdict}: {count}")
        for one in going["first"]:
            when = _when(one["seconds"])
            lines.append(f"  {when:<12} {tables.printable(one['path'])}")
        if going["files"] > len(going["first"]):
            lines.append(f"  and {going['files'] - len(going['first'])} more")
    return "\n".join(lines)


def _when(seconds: int) -> str:
    if seconds < 0:
        return f"{tables.span(-seconds)} old"
    return f"in {tables.span(seconds)}" if seconds else "now"
