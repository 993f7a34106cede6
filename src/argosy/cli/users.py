"""`argosy user` and `argosy token`: written straight into the catalogue, whether the master runs or not."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from argosy import config
from argosy.accounts.accounts import Accounts
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import LOOKING, USUAL, Grant, Right, Settings
from argosy.cli import tables
from argosy.cli.site import Site
from argosy.errors import BadArgument, ConfigError
from argosy.net import pki, ports


def master_config(arguments: argparse.Namespace) -> config.Master:
    """Read the master's file that `--config` names, else the one in `--dir`.

    Raises:
        ConfigError: There is none, or it makes no sense.
    """
    if arguments.config:
        return config.load_master(Path(arguments.config))
    return Site(Path(arguments.dir)).load_master()


@asynccontextmanager
async def opened(settings: config.Catalogue) -> AsyncIterator[Catalogue]:
    """Lend the catalogue, open; the master may have it open at the same time."""
    catalogue = Catalogue(settings)
    await catalogue.open()
    try:
        yield catalogue
    finally:
        await catalogue.close()


@asynccontextmanager
async def accounts(settings: config.Catalogue) -> AsyncIterator[Accounts]:
    """Lend the accounts."""
    async with opened(settings) as catalogue:
        lent = Accounts(catalogue)
        try:
            yield lent
        finally:
            lent.close()


def add(arguments: argparse.Namespace) -> int:
    """Add an account."""
    settings = master_config(arguments).catalogue
    password = _password(arguments)

    async def job() -> None:
        async with accounts(settings) as book:
            await book.add(
                arguments.name,
                password,
                admin=arguments.admin,
                settings=_settings(arguments),
            )

    asyncio.run(job())
    return _done(arguments, f"added {arguments.name}")


def passwd(arguments: argparse.Namespace) -> int:
    """Change a password."""
    settings = master_config(arguments).catalogue
    password = _password(arguments)

    async def job() -> None:
        async with accounts(settings) as book:
            await book.set_password(arguments.name, password)

    asyncio.run(job())
    return _done(arguments, f"changed the password of {arguments.name}")


def delete(arguments: argparse.Namespace) -> int:
    """Delete an account; its files stay."""
    settings = master_config(arguments).catalogue

    async def job() -> None:
        async with accounts(settings) as book:
            await book.remove(arguments.name)

    asyncio.run(job())
    return _done(arguments, f"deleted {arguments.name}")


def show(arguments: argparse.Namespace) -> int:
    """List the accounts."""
    settings = master_config(arguments).catalogue

    async def job() -> list[Account]:
        async with accounts(settings) as book:
            return [book.account(user.name) for user in book.all()]

    users = asyncio.run(job())
    if arguments.json:
        print(tables.as_json({"users": [_document(user) for user in users]}))
    else:
        rows = [(user.name, user.home.decode(errors="backslashreplace"), _rights(user)) for user in users]
        print(tables.aligned(("name", "home", "rights"), rows))
    return 0


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


def _password(arguments: argparse.Namespace) -> str:
    if arguments.password_file:
        try:
            words = Path(arguments.password_file).read_text()
        except OSError as error:
            raise BadArgument(f"{arguments.password_file}: {error.strerror}") from error
        return words.splitlines()[0] if words else ""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise BadArgument("the two passwords differ")
    return password


def _settings(arguments: argparse.Namespace) -> Settings:
    rights = LOOKING if arguments.read_only else USUAL
    if arguments.fxp:
        rights |= {Right.FXP}
    return Settings(
        home=None if arguments.home == "/" else arguments.home.encode(),
        grants=() if rights == USUAL else (Grant(b"/", rights),),
    )


def _document(user: Account) -> dict[str, object]:
    return {
        "name": user.name,
        "home": user.home.decode(errors="backslashreplace"),
        "admin": user.admin,
        "groups": list(user.groups),
        "rights": sorted(user.rights(())),
    }


def _rights(user: Account) -> str:
    return "admin" if user.admin else " ".join(right for right in Right if user.may(right, ()))


def _done(arguments: argparse.Namespace, sentence: str) -> int:
    print(tables.as_json({"done": sentence}) if arguments.json else sentence)
    return 0
