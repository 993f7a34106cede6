"""`argosy token`: leave for one node to join."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from argosy import config
from argosy.cli import grammar, tables
from argosy.cli.catalogues import master_config, opened
from argosy.errors import ConfigError
from argosy.net import pki, ports


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    word = grammar.word(to, "token", token)
    word.add_argument("--seconds", type=grammar.seconds, help="how long it is good for")
    grammar.dir_or_config(word)


def token(arguments: argparse.Namespace) -> int:
    """Print a token with which one node can join."""
    master = master_config(arguments)
    seconds = arguments.seconds or master.link.token_seconds
    text = asyncio.run(make_token(master, seconds))
    if arguments.json:
        print(tables.as_json({"token": text, "seconds": seconds, "link": ports.dialable(master.link.listen)}))
        return 0
    print(text)
    print(
        f"Good for one node, within {tables.span(seconds)}. On its machine:\n"
        f"  argosy node join {ports.dialable(master.link.listen)} --token TOKEN --name NAME --root DIRECTORY",
        file=sys.stderr,
    )
    return 0


async def make_token(master: config.Master, seconds: float) -> str:
    """Give a new join token: `ID.SECRET.HASH`.

    Raises:
        ConfigError: The authority's certificate isn't there: this isn't the master's machine.
    """
    pinned = Path(master.paths.keys) / "authority.pem"
    try:
        authority = pki.fingerprint(pinned.read_bytes())
    except OSError as error:
        raise ConfigError(f"{pinned}: {error.strerror}") from error
    async with opened(master.catalogue) as catalogue:
        return f"{await catalogue.add_token(seconds)}.{authority}"
