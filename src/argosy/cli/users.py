"""`argosy user`: who may log in."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from argosy.accounts import words
from argosy.accounts.accounts import Accounts
from argosy.accounts.rules import Account
from argosy.catalogue.people import INHERITED, LOOKING, USUAL, Right, Rights, Settings, User, parts
from argosy.cli import grammar, passwords, tables
from argosy.cli.catalogues import alter, look
from argosy.errors import BadArgument


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    inner = grammar.family(to, "user", "Manage the users.")
    for name, job in (
        ("add", add),
        ("passwd", passwd),
        ("set", change),
        ("show", show),
        ("lock", lock),
        ("unlock", unlock),
        ("delete", delete),
    ):
        word = grammar.word(inner, name, job)
        word.add_argument("name", metavar="NAME")
        grammar.dir_or_config(word)
        if name in ("add", "set"):
            settings_option(word, "+" if name == "set" else "*")
        if name in ("add", "passwd"):
            word.add_argument(
                "--password-file",
                metavar="FILE",
                help="its first line; default: asked for, or read from stdin",
            )
        if name == "show":
            word.add_argument("--path", default="/", help="also say what it may do there [/]")
        if name == "add":
            word.add_argument("--home", metavar="PATH", help="where a login begins [/]")
            word.add_argument("--group", action="append", default=[], metavar="GROUP", help="to be in")
            word.add_argument("--admin", action="store_true", help="may do everything everywhere")
            word.add_argument("--read-only", action="store_true", help="may change nothing")
            word.add_argument("--fxp", action="store_true", help="may send data from server to server")
    grammar.dir_or_config(grammar.word(inner, "list", show_all))


def settings_option(word: argparse.ArgumentParser, count: str) -> None:
    """Let it take settings as `key=value`, so many as argparse's `nargs` says."""
    lines = [f"  {key:13}{one.about}: {one.form}" for key, one in words.WORDS.items()]
    word.formatter_class = argparse.RawDescriptionHelpFormatter
    word.epilog = "settings:\n" + "\n".join(lines)
    word.add_argument("settings", nargs=count, metavar="KEY=VALUE", help="empty value: inherited again")


def add(arguments: argparse.Namespace) -> int:
    """Add a user."""
    rights = LOOKING if arguments.read_only else USUAL
    if arguments.fxp:
        rights |= {Right.FXP}
    settings = changed(INHERITED, arguments.settings)
    if arguments.home:
        settings = words.change(settings, "home", arguments.home, now_ns=time.time_ns())
    if rights != USUAL:
        settings = words.grant(settings, b"/", rights)
    password = _password(arguments)

    async def job(book: Accounts) -> None:
        groups = tuple(arguments.group)
        await book.add(arguments.name, password, admin=arguments.admin, groups=groups, settings=settings)

    alter(arguments, job)
    return done(arguments, f"added {arguments.name}")


def passwd(arguments: argparse.Namespace) -> int:
    """Change a user's password."""
    look(arguments, lambda book: book.user(arguments.name))  # before anybody is asked for a password
    password = _password(arguments)
    alter(arguments, lambda book: book.set_password(arguments.name, password))
    return done(arguments, f"changed the password of {arguments.name}")


def delete(arguments: argparse.Namespace) -> int:
    """Delete a user; its files stay."""
    alter(arguments, lambda book: book.remove(arguments.name))
    return done(arguments, f"deleted {arguments.name}")


def change(arguments: argparse.Namespace) -> int:
    """Change a user's settings."""
    pairs = [split(pair) for pair in arguments.settings]
    admin = [_yes(value) for key, value in pairs if key == "admin"]
    rest = [f"{key}={value}" for key, value in pairs if key != "admin"]

    def changing(user: User) -> User:
        settings = changed(user.settings, rest)
        return replace(user, settings=settings, admin=admin[-1] if admin else user.admin)

    alter(arguments, lambda book: book.change(arguments.name, changing))
    return done(arguments, f"changed {arguments.name}")


def lock(arguments: argparse.Namespace) -> int:
    """Let a user log in no more, and hang up on it."""
    alter(arguments, lambda book: book.change(arguments.name, lambda user: _locked(user, value=True)))
    return done(arguments, f"locked {arguments.name}")


def unlock(arguments: argparse.Namespace) -> int:
    """Let a user log in again, even if its group is locked."""
    alter(arguments, lambda book: book.change(arguments.name, lambda user: _locked(user, value=False)))
    return done(arguments, f"unlocked {arguments.name}")


def show_all(arguments: argparse.Namespace) -> int:
    """List the users."""
    users = look(arguments, lambda book: [(user, book.account(user.name)) for user in book.users()])
    if arguments.json:
        print(tables.as_json({"users": [_document(user, account) for user, account in users]}))
    else:
        rows = [
            (user.name, " ".join(user.groups), text(account.home), show_rights(account), _state(account))
            for user, account in users
        ]
        print(tables.aligned(("name", "groups", "home", "rights", "state"), rows))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show a user: what is set, what is in force, and what it may do at a path."""
    user, account = look(arguments, lambda book: (book.user(arguments.name), book.account(arguments.name)))
    path = parts(arguments.path.encode(errors="surrogateescape"))
    rights = account.rights(path)
    if arguments.json:
        document = _document(user, account)
        print(tables.as_json({**document, "path": arguments.path, "rights": sorted(rights)}))
        return 0
    force = in_force(account)
    rows = [("name", user.name), ("groups", " ".join(user.groups)), ("administrator", _no_yes(user.admin))]
    rows += [(key, value) for key, value in force.items() if value]
    rows += [("note", user.settings.note)] if user.settings.note else []
    rows += [
        (f"rights at {text(b'/' + b'/'.join(at))}", words.show_rights(granted))
        for at, granted in sorted(account.grants.items())
    ]
    rows += [(f"may do at {arguments.path}", words.show_rights(rights))]
    print("\n".join(f"{tables.printable(key)}: {tables.printable(value)}" for key, value in rows))
    return 0


# --- shared with `argosy group` and `argosy grant`


def changed(settings: Settings, pairs: Iterable[str]) -> Settings:
    """Give settings with `KEY=VALUE` applied; an empty value: inherited again."""
    for pair in pairs:
        key, value = split(pair)
        settings = words.change(settings, key, value, now_ns=time.time_ns())
    return settings


def split(pair: str) -> tuple[str, str]:
    """Split `KEY=VALUE`.

    Raises:
        BadArgument: It isn't that.
    """
    key, equals, value = pair.partition("=")
    if not equals:
        raise BadArgument(f"want KEY=VALUE, got {pair}")
    return key, value


def settings_document(settings: Settings) -> dict[str, object]:
    """Give what is set for scripts: numbers as they are, grants apart."""
    document: dict[str, object] = {
        key: text(value) if isinstance(value, bytes) else value
        for key, value in msgspec.structs.asdict(settings).items()
        if value is not None and key != "grants"
    }
    grants = [{"path": text(one.path), "rights": sorted(one.rights)} for one in settings.grants]
    return {**document, "grants": grants}


def in_force(account: Account) -> Mapping[str, str]:
    """Give what is in force, as people read it; nothing for what has no limit."""
    said = Settings(**{key: getattr(account, key) for key in _INHERITED})
    silent = {"0", "0.0", "", "no", "never"}
    return {key: "" if value in silent else value for key, value in words.shown(said).items()}


def show_rights(account: Account) -> str:
    """Give what a user may do, unless a path says otherwise."""
    return "admin" if account.admin else words.show_rights(account.rights(()))


def text(path: bytes) -> str:
    """Show a path."""
    return path.decode(errors="backslashreplace")


def done(arguments: argparse.Namespace, sentence: str) -> int:
    """Say what was done."""
    print(tables.as_json({"done": sentence}) if arguments.json else sentence)
    return 0


_INHERITED = tuple(
    name
    for name in Settings.__struct_fields__
    if name not in ("grants", "note", "total_bytes", "total_files")
)


def _locked(user: User, *, value: bool) -> User:
    return replace(user, settings=msgspec.structs.replace(user.settings, locked=value))


def _state(account: Account) -> str:
    if account.locked:
        return "locked"
    if account.expires_ns and account.expires_ns <= time.time_ns():
        return "expired"
    return ""


def _document(user: User, account: Account) -> dict[str, object]:
    force = {key: getattr(account, key) for key in _INHERITED}
    grants: Mapping[tuple[bytes, ...], Rights] = account.grants
    return {
        "name": user.name,
        "admin": user.admin,
        "groups": list(user.groups),
        "settings": settings_document(user.settings),
        "in_force": {
            **{key: text(value) if isinstance(value, bytes) else value for key, value in force.items()},
            "grants": [
                {"path": text(b"/" + b"/".join(at)), "rights": sorted(rights)}
                for at, rights in sorted(grants.items())
            ],
        },
        "rights": sorted(account.rights(())),
    }


def _yes(value: str) -> bool:
    if value not in ("yes", "no"):
        raise BadArgument(f"admin: want yes or no, got {value}")
    return value == "yes"


def _no_yes(value: bool) -> str:
    return "yes" if value else "no"


def _password(arguments: argparse.Namespace) -> str:
    if arguments.password_file:
        return passwords.of_file(arguments.password_file)
    password = passwords.asked("Password: ")
    if sys.stdin.isatty() and passwords.asked("Again: ") != password:
        raise BadArgument("the two passwords differ")
    return password
