"""`argosy sfv`: a directory held against its lists of checksums."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from typing import Any

from argosy.cli import grammar, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config
from argosy.wire import link

Document = Mapping[str, Any]

SECONDS = 300.0
"""How long the master may take: lists that weren't read yet come from their nodes."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    word = grammar.word(to, "sfv", sfv)
    word.add_argument("path", metavar="PATH", help="a directory, or one list of checksums")
    word.add_argument("--all", action="store_true", help="show good files, too")
    grammar.dir_or_config(word)


def sfv(arguments: argparse.Namespace) -> int:
    """Hold a directory against its SFV and other lists of checksums, without reading its files."""
    question = link.AskSums(os.fsencode(arguments.path), every=arguments.all)
    document = asyncio.run(ask(master_config(arguments), question, seconds=SECONDS))
    print(tables.as_json(document) if arguments.json else in_words(document))
    wrong = any(document[kind] for kind in ("bad", "missing", "arriving", "skipped", "unread"))
    return 1 if wrong or not document["files"] else 0


def in_words(document: Document) -> str:
    """Say what came of it."""
    path = tables.printable(document["path"])
    lines = [
        f"{tables.printable(one['list'])} can't be read: {tables.printable(one['why'])}"
        for one in document["unread"]
    ]
    if document["lines"]:
        rows = [
            (one["verdict"], one["algorithm"], one["wanted"], one["found"] or "-", one["list"], one["name"])
            for one in document["lines"]
        ]
        lines.append(tables.aligned(("", "sum", "wanted", "found", "list", "file"), rows))
    if document["left_off"]:
        lines.append(f"and {document['left_off']} more")
    if document["lists"]:
        lines.append(f"{path}: {document['words']}")
    elif not lines:
        lines.append(f"{path}: no list of checksums is there")
    return "\n".join(lines)
