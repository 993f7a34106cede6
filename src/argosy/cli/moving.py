"""`argosy drain`, `move` and `rebalance`: files go elsewhere; the running master sees to it."""

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
    evening = grammar.word(to, "rebalance", rebalance)
    evening.add_argument("--spare", type=percent, metavar="PERCENT", help="leave differences of so much [5]")
    evening.add_argument("--cancel", action="store_true", help="move no more; what is on its way arrives")
    waiting(evening)


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


def rebalance(arguments: argparse.Namespace) -> int:
    """Have the nodes' disks filled alike, as after a node was added."""
    if arguments.cancel:
        document = _asked(arguments, link.AskRebalance(arguments.spare, "cancel"))
        return say(arguments, document, f"nothing more is moved\n{_shares(document)}")
    later = "the rebalance goes on; `argosy rebalance` shows it, with --cancel ends it"
    question = link.AskRebalance(arguments.spare, "begin")
    document = begun(arguments, question, later, look=link.AskRebalance(arguments.spare))
    if not document["done"]:
        return say(arguments, document, _unfinished(document), 1)
    even = document["spread"] <= document["spare"]
    told = "filled alike" if even else "as even as the rules, the room and the files' sizes allow"
    return say(arguments, document, f"{told}\n{_shares(document)}")


def _shares(document: Document) -> str:
    rows = [
        (one["node"], one["store_id"][:8], tables.size(one["bytes"]), f"{100 * one['share']:.1f} %")
        for one in document["volumes"]
    ]
    return tables.aligned(("node", "volume", "bytes", "filled"), rows, right=("bytes", "filled"))


def percent(text: str) -> float:
    """Read a percentage as a share.

    Raises:
        ArgumentTypeError: It is none.
    """
    digits = text.removesuffix("%").strip()
    value = float(digits) if digits.replace(".", "", 1).isdecimal() else -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"want 0 to 100, got {text!r}")
    return value / 100


def _emptied(document: Document, volume: str) -> str:
    node = document["node"]
    told = f"volume {volume} of {node} is empty: it can be taken out" if volume else ""
    lines = [told or f"{node} is empty: it can be switched off"]
    if document["partial"]:
        parts = tables.counted(document["partial"], "cut upload")
        lines.append(f"  {parts} there can't be gone on with elsewhere")
    return "\n".join(lines)


def begun(
    arguments: argparse.Namespace, question: link.Body, later: str, *, look: link.Body | None = None
) -> Document:
    """Begin a job and show how it goes on, until it is over or nothing of it can be done.

    Args:
        arguments: With `no_wait` it isn't waited for.
        question: What begins it.
        later: What is said to who stops looking by ^C.
        look: What asks how far it is; none: `question`, for it does no harm to repeat it.
    """
    document = _asked(arguments, question)
    if document["done"] or arguments.no_wait:
        return document
    master = master_config(arguments)
    again: Callable[[], Awaitable[Document]] = partial(ask, master, look or question, seconds=COUNT_SECONDS)
    try:
        return asyncio.run(progress.follow(again, quiet=arguments.json))
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
