"""`argosy drain` and `move`: files go elsewhere; the running master sees to it, whoever looks."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from argosy.cli import grammar, progress, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config
from argosy.wire import link

Document = Mapping[str, Any]

COUNT_SECONDS = 120.0
"""How long the master may take to count what is left: millions of files take seconds."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    emptying = grammar.word(to, "drain", drain)
    emptying.add_argument("node", metavar="NODE", help="whose files shall go elsewhere")
    emptying.add_argument(
        "--volume", default="", metavar="ID", help="only this volume of it, by the beginning of its id"
    )
    emptying.add_argument("--cancel", action="store_true", help="take it back: the node is one as before")
    waiting(emptying)
    going = grammar.word(to, "move", move)
    going.add_argument("path", metavar="PATH", help="a directory; it and all below")
    going.add_argument(
        "--to",
        nargs="+",
        action="extend",
        default=[],
        metavar="NODE",
        help="names of nodes, or labels: the files go to any of them, and stay there",
    )
    waiting(going)


def waiting(word: argparse.ArgumentParser) -> None:
    """Let a word say whether its end is waited for."""
    word.add_argument("--no-wait", action="store_true", help="say how far it is, and don't wait for the end")
    grammar.dir_or_config(word)


def drain(arguments: argparse.Namespace) -> int:
    """Have all files of a node go to others, so that it can be switched off."""
    question = link.AskDrain(arguments.node, arguments.volume, "begin")
    if arguments.cancel:
        document = _asked(arguments, link.AskDrain(arguments.node, arguments.volume, "cancel"))
        told = f"{arguments.node} is reckoned with again; what went stays where it is"
        return say(arguments, document, told)
    later = f"the drain goes on; `argosy drain {arguments.node}` shows it, with --cancel takes it back"
    document = begun(arguments, question, later)
    if document["done"]:
        return say(arguments, document, _emptied(document, arguments.volume))
    return say(arguments, document, _unfinished(document), 1)


def move(arguments: argparse.Namespace) -> int:
    """Have the files below a directory go to some nodes, and stay there."""
    question = link.AskMove(os.fsencode(arguments.path), tuple(arguments.to))
    later = f"the move goes on; `argosy move {arguments.path}` shows it"
    document = begun(arguments, question, later)
    if document["done"]:
        told = f"all files below {document['path']} are on {' or '.join(document['to'])}"
        return say(arguments, document, told)
    return say(arguments, document, _unfinished(document), 1)


def _emptied(document: Document, volume: str) -> str:
    node = document["node"]
    told = f"volume {volume} of {node} is empty: it can be taken out" if volume else ""
    lines = [told or f"{node} is empty: it can be switched off"]
    if document["partial"]:
        parts = tables.counted(document["partial"], "cut upload")
        lines.append(f"  {parts} there can't be gone on with elsewhere")
    return "\n".join(lines)


def begun(arguments: argparse.Namespace, question: Any, later: str) -> Document:
    """Begin a job and show how it goes on, until it is over or nothing of it can be done.

    Args:
        arguments: With `no_wait` it isn't waited for.
        question: What begins it; to repeat it does no harm.
        later: What is said to who stops looking by ^C.
    """
    document = _asked(arguments, question)
    if document["done"] or arguments.no_wait:
        return document
    master = master_config(arguments)
    look: Callable[[], Awaitable[Document]] = partial(ask, master, question, seconds=COUNT_SECONDS)
    try:
        return asyncio.run(progress.follow(look, quiet=arguments.json))
    except KeyboardInterrupt:
        print(later, file=sys.stderr)
        raise


def left(document: Document) -> list[str]:
    """Say what can't go, and why."""
    return [
        f"  {tables.counted(one['files'], 'file')}, {tables.size(one['bytes'])}: {one['why']}"
        for one in document["obstacles"]
    ]


def say(arguments: argparse.Namespace, document: Document, told: str, code: int = 0) -> int:
    """Print a document, for scripts or for people, and give the exit code."""
    print(tables.as_json(document) if arguments.json else tables_lines(told))
    return 0 if arguments.no_wait else code


def tables_lines(text: str) -> str:
    """Give lines with nothing in them that a terminal would obey."""
    return "\n".join(tables.printable(one) for one in text.split("\n"))


def _asked(arguments: argparse.Namespace, question: link.Body) -> Document:
    return asyncio.run(ask(master_config(arguments), question, seconds=COUNT_SECONDS))


def _unfinished(document: Document) -> str:
    pace = progress.Pace()
    pace.note(document["left"]["files"], document["left"]["bytes"])
    return "\n".join([progress.line(document, pace), *left(document)])
