"""`argosy matters`: what the administrator should know of, until it is said to be dealt with."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from argosy.catalogue.model import Matter
from argosy.cli import grammar, tables
from argosy.cli.catalogues import master_config, opened
from argosy.errors import NotFound


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    listed = grammar.word(to, "matters", matters)
    grammar.dir_or_config(listed)
    over = grammar.word(grammar.below(listed), "done", done, inner=True)
    over.add_argument("topic", help="as it is listed; all: every one")
    grammar.dir_or_config(over, inner=True)


def matters(arguments: argparse.Namespace) -> int:
    """Show what the administrator should know of."""
    settings = master_config(arguments).catalogue

    async def run() -> list[Matter]:
        async with opened(settings) as catalogue:
            return catalogue.matters()

    found = asyncio.run(run())
    if arguments.json:
        print(tables.as_json({"matters": [describe(matter) for matter in found]}))
    else:
        print(matters_text(found))
    return 0


def done(arguments: argparse.Namespace) -> int:
    """Forget a matter that is dealt with; if it isn't, it comes up again."""
    settings = master_config(arguments).catalogue

    async def run() -> int:
        async with opened(settings) as catalogue:
            return await catalogue.settle_matter("" if arguments.topic == "all" else arguments.topic)

    gone = asyncio.run(run())
    if not gone and arguments.topic != "all":
        raise NotFound(f"matter {arguments.topic}")
    print(tables.as_json({"done": gone}) if arguments.json else f"{gone} done")
    return 0


def describe(matter: Matter) -> dict[str, object]:
    """Give a matter for scripts."""
    return {
        "topic": matter.topic,
        "first": matter.first_ns / 1e9,
        "last": matter.last_ns / 1e9,
        "times": matter.times,
        "sentence": matter.sentence,
    }


def matters_text(found: Sequence[Matter]) -> str:
    """Give the matters, the newest first, each with when it came up last."""
    lines = []
    for matter in found:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(matter.last_ns / 1e9))
        again = f", {matter.times} times" if matter.times > 1 else ""
        lines += [f"{matter.topic} ({stamp}{again})", f"  {matter.sentence}"]
    return "\n".join(map(tables.printable, lines)) or "nothing to tell"
