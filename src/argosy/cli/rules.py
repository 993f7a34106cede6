"""`argosy rule`: what is wanted of the files of a directory, set while the site runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar, get_args

import msgspec

from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import NOTHING_SAID, Wish
from argosy.catalogue.model import TreePath
from argosy.catalogue.people import parts
from argosy.cli import grammar, preview, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import TELL_SECONDS, master_config, opened
from argosy.cluster.copies.rules import DEFAULT, FIELDS, Book, Effective
from argosy.config import MOST_COPIES, Master, Section, Spread, check_ages, check_copies, check_trash
from argosy.errors import BadArgument, ConfigError, NotFound, Refused
from argosy.wire import link

_T = TypeVar("_T")


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    inner = grammar.family(to, "rule", "Say what is wanted of the files of a directory.")
    for name, job in (("set", change), ("unset", unset)):
        word = grammar.word(inner, name, job)
        word.add_argument("path", metavar="PATH", help="a directory; holds for it and all below")
        grammar.dir_or_config(word)
        if name == "unset":
            word.add_argument("fields", nargs="*", metavar="FIELD", help="as copies; none: all of them")
            continue
        word.add_argument("--copies", type=int, metavar="N", help="of each file; 0: one, and leave others")
        word.add_argument("--acknowledged", type=int, metavar="N", help="copies before an upload's 226")
        word.add_argument("--spread", choices=get_args(Spread), help="what copies shall not share")
        for option, about in (
            ("--require", "only nodes that have all of them"),
            ("--prefer", "nodes that have one come first"),
            ("--avoid", "nodes that have one come last"),
            ("--only", "or names of nodes: files lie only on those, and leave all others"),
            ("--archive-to", "or names of nodes: where old files go; with --archive-after"),
        ):
            word.add_argument(option, type=labels, metavar="LABEL,...", help=about)
        word.add_argument(
            "--archive-after",
            dest="archive_after_days",
            type=grammar.days,
            metavar="DAYS",
            help="files unchanged for so long, as 30 or 12w, go to the archive; 0: never",
        )
        word.add_argument(
            "--retention",
            dest="retention_days",
            type=grammar.days,
            metavar="DAYS",
            help="files unchanged for so long are deleted, a while after that was told; 0: never",
        )
        word.add_argument(
            "--repair-delay",
            dest="repair_delay_seconds",
            type=grammar.span,
            metavar="TIME",
            help="a node may be away for so long, as 10m, before its copies are made elsewhere",
        )
        word.add_argument(
            "--trash-days", type=float, metavar="N", help="keep what is deleted or overwritten; 0: don't"
        )
        word.add_argument(
            "--make-room",
            type=yes_or_no,
            metavar="yes|no",
            help="old files may go elsewhere from a disk that has less than its floor_bytes",
        )
        word.add_argument("--flush", type=yes_or_no, metavar="yes|no", help="to the disk before 226")
    grammar.dir_or_config(grammar.word(inner, "list", show_all))
    preview.declare(inner)


def change(arguments: argparse.Namespace) -> int:
    """Say what is wanted of a directory's files, and of all below it."""
    said = Wish(**{name: value for name in FIELDS if (value := getattr(arguments, name)) is not None})
    if said == NOTHING_SAID:
        raise BadArgument("say what is wanted, as --copies 2")

    def changing(before: Wish) -> Wish:
        return _checked(msgspec.structs.replace(before, **said.said()))

    async def job(catalogue: Catalogue) -> Wish:
        told = _told(arguments, catalogue, lambda before: msgspec.structs.replace(before, **said.said()))
        if said.acknowledged is not None:
            _see_copies(told)
        if said.archive_after_days or said.archive_to:
            _see_archive(told)
        return await catalogue.change_wish(_path(arguments), changing)

    return _done(arguments, _alter(arguments, job))


def unset(arguments: argparse.Namespace) -> int:
    """Take back what was said of a directory, all of it or some fields: what is above it counts again."""
    fields = arguments.fields or FIELDS
    if unknown := [field for field in fields if field not in FIELDS]:
        raise BadArgument(f"no field {unknown[0]}; there are {', '.join(FIELDS)}")

    def cleared(before: Wish) -> Wish:
        return msgspec.structs.replace(before, **dict.fromkeys(fields))

    def changing(before: Wish) -> Wish:
        if before == NOTHING_SAID:
            raise NotFound(f"no rule is set on {arguments.path}")
        return _checked(cleared(before))

    async def job(catalogue: Catalogue) -> Wish:
        if len({"archive_after_days", "archive_to"}.intersection(fields)) == 1:
            _see_archive(_told(arguments, catalogue, cleared))
        return await catalogue.change_wish(_path(arguments), changing)

    return _done(arguments, _alter(arguments, job))


def show_all(arguments: argparse.Namespace) -> int:
    """List what is wanted where: by the sections of the config, and by the rules that were set."""
    master = master_config(arguments)

    async def look() -> dict[TreePath, Wish]:
        async with opened(master.catalogue) as catalogue:
            return catalogue.wishes_by_path()

    rows = [
        (section.path, f"section {name}", _of_section(section)) for name, section in master.sections.items()
    ]
    rows += [(_text(path), "rule", wish.said()) for path, wish in asyncio.run(look()).items()]
    if arguments.json:
        documents = [{"path": path, "by": by, "wanted": said} for path, by, said in rows]
        print(tables.as_json({"rules": documents}))
    elif rows:
        print(tables.aligned(("path", "by", "wanted"), [(path, by, _line(said)) for path, by, said in rows]))
    else:
        print("no rules; one copy of each file is kept, on any node")
    return 0


def labels(text: str) -> tuple[str, ...]:
    """Read labels with commas between them; an empty text is none at all."""
    return tuple(dict.fromkeys(label for part in text.split(",") if (label := part.strip())))


def yes_or_no(text: str) -> bool:
    """Read `yes` or `no`.

    Raises:
        ArgumentTypeError: It is something else.
    """
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"want yes or no, got {text!r}")
    return text == "yes"


def _checked(wish: Wish) -> Wish:
    """Give a wish back if it makes sense.

    Raises:
        BadArgument: It doesn't.
    """
    copies = MOST_COPIES if wish.copies is None else wish.copies
    delay = DEFAULT.repair_delay_seconds if wish.repair_delay_seconds is None else wish.repair_delay_seconds
    try:
        check_trash("rule", wish.trash_days or 0.0)
        check_copies("rule", copies, 1 if wish.acknowledged is None else wish.acknowledged, delay)
        check_ages("rule", wish.archive_after_days or 0.0, wish.retention_days or 0.0)
    except ConfigError as error:
        raise BadArgument(error.subject) from None
    return wish


def _told(arguments: argparse.Namespace, catalogue: Catalogue, change: Callable[[Wish], Wish]) -> Effective:
    """Say what would be wanted of a directory's files after a change of its rule, and who says so."""
    path, wishes = _path(arguments), catalogue.wishes_by_path()
    way = list(enumerate((b"", *path)))
    on_it = {depth: wish for depth, _ in way if (wish := wishes.get(path[:depth])) is not None}
    on_it[len(path)] = change(on_it.get(len(path), NOTHING_SAID))
    return Book(master_config(arguments).sections, on_it).explain(way)


def _see_copies(told: Effective) -> None:
    """See that as many copies are wanted of a directory's files as are to be acknowledged.

    Raises:
        BadArgument: What is above it wants fewer, and nothing else was said.
    """
    rule = told.rule
    if rule.acknowledged > max(rule.copies, 1):
        raise BadArgument(
            f"acknowledged {rule.acknowledged}, but copies {rule.copies} ({told.origins['copies']});"
            f" say --copies {rule.acknowledged}, too"
        )


def _see_archive(told: Effective) -> None:
    """See that it is known when files go to the archive, and where that is: one alone does nothing.

    Raises:
        BadArgument: Nobody says the other.
    """
    rule = told.rule
    if rule.archive_after_days and not rule.archive_to:
        after = f"{rule.archive_after_days:g} days ({told.origins['archive_after_days']})"
        raise BadArgument(f"files are archived after {after}, but nobody says where to: --archive-to LABEL")
    if rule.archive_to and not rule.archive_after_days:
        where = f"{','.join(rule.archive_to)} ({told.origins['archive_to']})"
        raise BadArgument(f"the archive is {where}, but nobody says after how long: --archive-after DAYS")


def _alter(arguments: argparse.Namespace, job: Callable[[Catalogue], Awaitable[_T]]) -> _T:
    """Change a rule; a master that runs has heard of it when this returns."""
    master: Master = master_config(arguments)

    async def run() -> _T:
        async with opened(master.catalogue) as catalogue:
            done = await job(catalogue)
        with contextlib.suppress(Refused):  # none runs, or it is of another version: it looks by itself
            await ask(master, link.AskRefresh(), seconds=TELL_SECONDS)
        return done

    return asyncio.run(run())


def _done(arguments: argparse.Namespace, wish: Wish) -> int:
    said = wish.said()
    if arguments.json:
        print(tables.as_json({"path": arguments.path, "by": "rule", "wanted": said}))
    else:
        print(f"{tables.printable(arguments.path)}: {_line(said) or 'as what is above it says'}")
    return 0


def _of_section(section: Section) -> dict[str, object]:
    values = {field: getattr(section, field) for field in FIELDS}
    return {field: value for field, value in values.items() if value != getattr(DEFAULT, field)}


def _line(said: Mapping[str, object]) -> str:
    return " ".join(f"{field}={_word(value)}" for field, value in said.items())


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(value) if isinstance(value, tuple) else f"{value}"


def _path(arguments: argparse.Namespace) -> TreePath:
    return parts(os.fsencode(arguments.path))


def _text(path: TreePath) -> str:
    return (b"/" + b"/".join(path)).decode(errors="backslashreplace")
