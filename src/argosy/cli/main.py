"""The command line: `argosy WORD ...`. Exit 0: done; 1: refused, one line on stderr; 2: misused."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

import argosy
from argosy.cli import grammar
from argosy.errors import BadArgument, Refused

MODULES = {
    "up": ("up",),
    "members": ("master", "node"),
    "tokens": ("token",),
    "users": ("user",),
    "groups": ("group", "grant", "revoke"),
    "quotas": ("quota",),
    "rules": ("rule",),
    "moving": ("drain", "move", "rebalance"),
    "reports": ("nodes", "status", "why"),
    "matters": ("matters",),
    "proof": ("verify", "scrub", "findings"),
    "sums": ("sfv",),
    "backups": ("backup", "restore"),
    "rebuilding": ("rebuild",),
    "presence": ("who", "kick", "bans", "unban"),
    "find": ("find",),
    "trash": ("trash",),
    "gateway": ("nfs",),
    "mounting": ("mount", "umount"),
    "sites": ("sites",),
}
"""The words, by the module of this package that has them, in the order in which `--help` shows them."""


SENTENCES = (BadArgument,)
"""Refusals whose subject says all there is to say to a person."""


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words say and give the exit code.

    Args:
        words: The command line without the program's name; default: this process's.
    """
    arguments = _parsed(sys.argv[1:] if words is None else words)
    word: grammar.Word = arguments.word
    try:
        code = word(arguments)
        sys.stdout.flush()
    except Refused as refused:
        return _complain(str(refused.subject if type(refused) in SENTENCES and refused.subject else refused))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing to say
        return 1
    except KeyboardInterrupt:
        return 1
    except Exception as error:
        # An accident. A master's or a node's belongs into its log, a person at the terminal gets a line.
        if arguments.log or os.environ.get("ARGOSY_LOG") == "debug":
            logging.getLogger("argosy.cli").exception("accident")
        if isinstance(error, OSError):
            return _complain(str(error))
        return _complain(f"a bug of ours: {error!r} (ARGOSY_LOG=debug shows where)")
    return code


def parser(word: str = "") -> argparse.ArgumentParser:
    """Give the parser.

    Args:
        word: The only one that is wanted, lest all that the others need is imported; empty: all.
    """
    top = argparse.ArgumentParser(prog="argosy", description=argosy.__doc__)
    top.add_argument("--version", action="version", version=f"argosy {argosy.__version__}")
    add = top.add_subparsers(title="words", required=True, metavar="WORD").add_parser
    for module, words in MODULES.items():
        if not word or word in words:
            importlib.import_module(f"argosy.cli.{module}").declare(add)
    return top


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Take words apart; settings count behind options, too, where argparse expects no more of them."""
    first = words[0] if words else ""
    whole = parser(first if any(first in known for known in MODULES.values()) else "")
    arguments, rest = whole.parse_known_args(words)
    if rest:
        if "settings" not in arguments or any(one.startswith("-") for one in rest):
            whole.error(f"unrecognized arguments: {' '.join(rest)}")
        arguments.settings = [*arguments.settings, *rest]
    return arguments


def _complain(sentence: str) -> int:
    print(f"argosy: {' '.join(sentence.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
