"""`argosy group`, `grant` and `revoke`: what users have in common, and who may do what where."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from argosy.accounts import words
from argosy.accounts.accounts import Accounts
from argosy.catalogue.people import INHERITED, Group, Rights, Settings, User
from argosy.cli import grammar, tables
from argosy.cli.catalogues import alter, look
from argosy.cli.users import changed, done, settings_document, settings_option, text
from argosy.errors import NoSuchAccount


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    inner = grammar.family(to, "group", "Manage the groups.")
    for name, job in (
        ("add", add),
        ("set", change),
        ("show", show),
        ("join", join),
        ("leave", leave),
        ("delete", delete),
    ):
        word = grammar.word(inner, name, job)
        word.add_argument("name", metavar="GROUP")
        grammar.dir_or_config(word)
        if name in ("add", "set"):
            settings_option(word, "+" if name == "set" else "*")
        if name in ("join", "leave"):
            word.add_argument("user", nargs="+", metavar="USER")
    grammar.dir_or_config(grammar.word(inner, "list", show_all))
    for name, job in (("grant", grant), ("revoke", revoke)):
        word = grammar.word(to, name, job)
        word.add_argument("path", metavar="PATH", help="holds for it and all below")
        if name == "grant":
            word.add_argument("rights", metavar="RIGHTS", help="as usual,-delete or list,read; all; none")
        whose = word.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="NAME")
        whose.add_argument("--group", metavar="NAME")
        grammar.dir_or_config(word)


def add(arguments: argparse.Namespace) -> int:
    """Add a group."""
    settings = changed(INHERITED, arguments.settings)
    alter(arguments, lambda book: book.add_group(arguments.name, settings))
    return done(arguments, f"added {arguments.name}")


def change(arguments: argparse.Namespace) -> int:
    """Change a group's settings, which its members inherit."""

    def changing(group: Group) -> Group:
        return replace(group, settings=changed(group.settings, arguments.settings))

    alter(arguments, lambda book: book.change_group(arguments.name, changing))
    return done(arguments, f"changed {arguments.name}")


def delete(arguments: argparse.Namespace) -> int:
    """Delete a group; its members stay, without its settings."""
    alter(arguments, lambda book: book.remove_group(arguments.name))
    return done(arguments, f"deleted {arguments.name}")


def join(arguments: argparse.Namespace) -> int:
    """Put users into a group, as the last of theirs."""
    group = arguments.name

    def joining(user: User) -> User:
        return user if group in user.groups else replace(user, groups=(*user.groups, group))

    async def job(book: Accounts) -> None:
        book.group(group)
        for name in arguments.user:
            book.user(name)
        for name in arguments.user:
            await book.change(name, joining)

    alter(arguments, job)
    return done(arguments, f"{', '.join(arguments.user)} joined {group}")


def leave(arguments: argparse.Namespace) -> int:
    """Take users out of a group."""
    group = arguments.name

    def leaving(user: User) -> User:
        if group not in user.groups:
            raise NoSuchAccount(f"{user.name} in {group}")
        return replace(user, groups=tuple(one for one in user.groups if one != group))

    async def job(book: Accounts) -> None:
        for name in arguments.user:
            await book.change(name, leaving)

    alter(arguments, job)
    return done(arguments, f"{', '.join(arguments.user)} left {group}")


def show_all(arguments: argparse.Namespace) -> int:
    """List the groups."""
    groups, users = look(arguments, lambda book: (book.groups(), book.users()))
    members = {group.name: [user.name for user in users if group.name in user.groups] for group in groups}
    if arguments.json:
        print(tables.as_json({"groups": [_document(group, members[group.name]) for group in groups]}))
    else:
        rows = [(group.name, len(members[group.name]), _summary(group.settings)) for group in groups]
        print(tables.aligned(("name", "members", "settings"), rows, right=("members",)))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show a group: its settings, grants and members."""
    group, users = look(arguments, lambda book: (book.group(arguments.name), book.users()))
    members = [user.name for user in users if group.name in user.groups]
    if arguments.json:
        print(tables.as_json(_document(group, members)))
        return 0
    rows = [("name", group.name), ("members", " ".join(members)), *words.shown(group.settings).items()]
    rows += [(f"rights at {text(one.path)}", words.show_rights(one.rights)) for one in group.settings.grants]
    print("\n".join(f"{tables.printable(key)}: {tables.printable(value)}" for key, value in rows))
    return 0


def grant(arguments: argparse.Namespace) -> int:
    """Say all that a user or a group may do at a path and below."""
    rights = words.parse_rights(arguments.rights)
    _regrant(arguments, rights)
    whom = arguments.user or arguments.group
    return done(arguments, f"{whom} at {arguments.path}: {words.show_rights(rights)}")


def revoke(arguments: argparse.Namespace) -> int:
    """Take a grant back: the one above it counts again."""
    _regrant(arguments, None)
    return done(arguments, f"took back what {arguments.user or arguments.group} had at {arguments.path}")


def _regrant(arguments: argparse.Namespace, rights: Rights | None) -> None:
    path = os.fsencode(arguments.path)

    async def job(book: Accounts) -> None:
        if arguments.user:
            await book.change(
                arguments.user, lambda user: replace(user, settings=words.grant(user.settings, path, rights))
            )
        else:
            await book.change_group(
                arguments.group,
                lambda group: replace(group, settings=words.grant(group.settings, path, rights)),
            )

    alter(arguments, job)


def _document(group: Group, members: list[str]) -> dict[str, object]:
    return {"name": group.name, "members": members, "settings": settings_document(group.settings)}


def _summary(settings: Settings) -> str:
    said = [f"{key}={value}" for key, value in words.shown(settings).items()]
    return " ".join(
        [*said, *(f"{text(one.path)}:{words.show_rights(one.rights)}" for one in settings.grants)]
    )
