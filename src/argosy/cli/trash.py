"""`argosy trash`: what was deleted or overwritten is listed, comes back, or goes for good."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from argosy.cli import grammar, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config
from argosy.cli.find import moment
from argosy.config import Master
from argosy.errors import BadArgument, NotFound
from argosy.wire import link

PAGE = 500
"""Files asked for, or restored, at once."""

SECONDS = 300.0
"""How long the master may take for that: each restored file is flushed."""

Trashed = Mapping[str, Any]


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    inner = grammar.family(to, "trash", "What was deleted or overwritten, and is kept for a while.")
    listing = grammar.word(inner, "list", show)
    listing.add_argument(
        "path", metavar="PATH", nargs="?", default="/", help="as it was; a file or directory"
    )
    restoring = grammar.word(inner, "restore", restore)
    restoring.add_argument(
        "path", metavar="PATH", help="a file as it was called, or a directory with all below"
    )
    which = restoring.add_mutually_exclusive_group()
    which.add_argument(
        "--version", metavar="V", help="which, as `trash list` names it; else the last that went"
    )
    which.add_argument("--at", type=moment, metavar="TIME", help="as it was then: 7d, 12h, 2026-11-22")
    restoring.add_argument("--to", metavar="PATH", help="under another path")
    emptying = grammar.word(inner, "empty", empty)
    emptying.add_argument("path", metavar="PATH", nargs="?", default="/", help="only what was there or below")
    emptying.add_argument("--yes", action="store_true", help="don't ask")
    for word in (listing, restoring, emptying):
        grammar.dir_or_config(word)


def show(arguments: argparse.Namespace) -> int:
    """List what is in the trash: which version, when it went and by whom, and until when it is kept."""
    found = asyncio.run(_all(master_config(arguments), _path(arguments.path)))
    if arguments.json:
        print(tables.as_json({"files": found}))
    elif found:
        heads = ("version", "size", "gone", "until", "by", "why", "path")
        print(tables.aligned(heads, [_row(one) for one in found]))
    else:
        print("nothing")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Put a file back, or all that was below a directory: each as it was last, or at a time."""
    master, path = master_config(arguments), _path(arguments.path)
    answers = asyncio.run(_restore(master, path, arguments))
    restored = [one for answer in answers for one in answer["restored"]]
    refused = [one for answer in answers for one in answer["refused"]]
    if arguments.json:
        print(tables.as_json({"restored": restored, "refused": refused}))
    else:
        for one in restored:
            print(tables.printable(f"{one['path']} is back"))
    for one in refused:
        print(tables.printable(f"argosy: version {one['version']}: {one['why']}"), file=sys.stderr)
    return 1 if refused else 0


def empty(arguments: argparse.Namespace) -> int:
    """Let go for good of what is in the trash."""
    if not arguments.yes and not _is_sure(arguments.path):
        return 1
    files, size = asyncio.run(_empty(master_config(arguments), _path(arguments.path)))
    if arguments.json:
        print(tables.as_json({"files": files, "bytes": size}))
    else:
        print(f"{files} {'file' if files == 1 else 'files'}, {tables.size(size)}, gone for good")
    return 0


def choose(found: Iterable[Trashed], at_ns: int | None) -> list[Trashed]:
    """Choose one content of each path: the last that went, or what was there at a time.

    That is the first of those that went since then.

    Args:
        found: Contents, those of one path one after the other.
        at_ns: The time; None: no matter.
    """
    chosen: dict[str, Trashed] = {}
    for one in found:
        known = chosen.get(one["path_hex"])
        if at_ns is None:
            if known is None or one["gone"] >= known["gone"]:
                chosen[one["path_hex"]] = one
        elif one["gone"] * 1e9 > at_ns and (known is None or one["gone"] < known["gone"]):
            chosen[one["path_hex"]] = one
    return list(chosen.values())


async def _restore(master: Master, path: bytes, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    found = await _all(master, path)
    if arguments.version:
        chosen = [one for one in found if one["version"] == arguments.version.lower()]
    else:
        chosen = choose(found, arguments.at)
    if not chosen:
        raise NotFound(f"{arguments.path} in the trash")
    exact = [one for one in chosen if bytes.fromhex(one["path_hex"]) == path.strip(b"/")]
    if arguments.to:
        if not exact:
            raise BadArgument("--to is for one file")
        return [await _ask_back(master, exact, os.fsencode(arguments.to))]
    chosen = exact or chosen
    return [await _ask_back(master, chosen[at : at + PAGE]) for at in range(0, len(chosen), PAGE)]


async def _ask_back(master: Master, chosen: Sequence[Trashed], to: bytes = b"") -> dict[str, Any]:
    question = link.AskRestore([int(one["version"], 16) for one in chosen], to)
    return await ask(master, question, seconds=SECONDS)


async def _empty(master: Master, path: bytes) -> tuple[int, int]:
    """Empty it batch by batch, so that it can be stopped, and gone on with."""
    files = size = 0
    more = True
    while more:
        emptied = await ask(master, link.AskEmpty(path), seconds=SECONDS)
        files, size, more = files + emptied["files"], size + emptied["bytes"], emptied["more"]
    return files, size


async def _all(master: Master, path: bytes) -> list[Trashed]:
    return [one async for one in _pages(master, path)]


async def _pages(master: Master, path: bytes) -> AsyncIterator[Trashed]:
    after: tuple[bytes, int] | None = (b"", 0)
    while after:
        page = await ask(master, link.AskTrash(path, after, PAGE))
        for one in page["files"]:
            yield one
        after = (bytes.fromhex(page["after"][0]), page["after"][1]) if page["after"] else None


def _is_sure(path: str) -> bool:
    if not sys.stdin.isatty():
        raise BadArgument("this deletes for good; say --yes")
    answer = input(f"Delete for good all of the trash that was in {tables.printable(path)}? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _row(one: Trashed) -> tuple[str, ...]:
    until = _stamp(one["until"]) if one["copies"] else "no copy left"
    by = one["by"] or "the site"
    return one["version"], tables.size(one["size"]), _stamp(one["gone"]), until, by, one["why"], one["path"]


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _path(text: str) -> bytes:
    return os.fsencode(text)
