"""How a word of the command line is declared: each module says its own, in `declare`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from argosy.cli.site import default_directory

MOST_SECONDS = 10 * 365 * 86_400
"""Ten years: who asks for a longer life of a token means something else."""

UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""What may stand behind the number of a time span, in seconds."""

_SPAN = re.compile(r"(\d{1,10}(?:\.\d{1,9})?)([smhdw]?)")

Word = Callable[[argparse.Namespace], int]
"""Does a job and gives the exit code."""

Add = Callable[..., argparse.ArgumentParser]
"""`add_parser` of argparse's subparsers."""


def word(
    add: Add, name: str, job: Word, *, json: bool = True, inner: bool = False, log: bool = False
) -> argparse.ArgumentParser:
    """Declare a word.

    Args:
        add: Of the parser, or of the family, to which it belongs.
        name: How it is said.
        job: What it does; the first line of its docstring is the help.
        json: It takes `--json`.
        inner: It stands below a word that does something by itself, and has the same options.
        log: It runs for long and has a log, where accidents are written.
    """
    about = (job.__doc__ or "").splitlines()[0]
    made = add(name, help=about, description=about)
    made.set_defaults(word=job, log=log)
    if json:
        made.add_argument("--json", action="store_true", default=default(False, inner), help="for scripts")
    return made


def family(add: Add, name: str, about: str) -> Add:
    """Declare a word that does nothing by itself, for those below it. Gives their `add`."""
    made = add(name, help=about, description=about)
    return made.add_subparsers(title="words", required=True, metavar="WORD").add_parser


def below(made: argparse.ArgumentParser) -> Add:
    """Give the `add` for words below one that does something by itself."""
    return made.add_subparsers(title="words", metavar="WORD").add_parser


def dir_option(made: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """Let it take `--dir`."""
    made.add_argument(
        "--dir",
        default=default(str(default_directory()), inner),
        help="the site's directory [$ARGOSY_DIR, or ~/.local/share/argosy]",
    )


def dir_or_config(made: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """Let it take `--dir` or `--config`: whose master is meant."""
    dir_option(made, inner=inner)
    made.add_argument(
        "--config",
        metavar="FILE",
        default=default("", inner),
        help="the master's config file, instead of --dir",
    )


def gateway_config(made: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """Let it take the gateway's `--config`."""
    made.add_argument(
        "--config",
        default=default("", inner),
        metavar="FILE",
        help="the gateway's config file, if it has one",
    )


def default(value: object, inner: bool) -> object:
    """Give an option's default; a word below a word mustn't wipe out what was said to the upper one."""
    return argparse.SUPPRESS if inner else value


def span(text: str) -> float:
    """Read a time span, as `30`, `5s`, `10m`, `2h`, `7d` or `1w`, in seconds.

    >>> span("30"), span("1.5h"), span("7d")
    (30.0, 5400.0, 604800.0)

    Raises:
        ArgumentTypeError: It is none.
    """
    found = _SPAN.fullmatch(text)
    value = float(found[1]) * UNITS[found[2]] if found else -1.0
    if not 0 <= value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"want a time as 30, 5s, 10m, 2h or 7d, got {text!r}")
    return value


def seconds(text: str) -> float:
    """Read a time span that isn't nothing.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not (value := span(text)):
        raise argparse.ArgumentTypeError(f"want more than no time, got {text!r}")
    return value


def days(text: str) -> float:
    """Read a time span in days: a plain number is one of days.

    >>> days("30"), days("12h"), days("2w")
    (30.0, 0.5, 14.0)

    Raises:
        ArgumentTypeError: It is none.
    """
    return span(text if text[-1:].isalpha() else f"{text}d") / UNITS["d"]
