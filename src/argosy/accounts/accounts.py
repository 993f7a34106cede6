"""Accounts: who may log in, with which password.

Passwords are kept as argon2id hashes. Hashing takes tens of milliseconds by design, so it has threads of
its own, few enough that a storm of logins leaves the processors to the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import argon2

from argosy import errors
from argosy.accounts import rules
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import INHERITED, Settings, User

_T = TypeVar("_T")

NAME_LIMIT = 64
"""Characters in an account's name."""

PASSWORD_LIMIT = 1024
"""Characters in a password: who sends more wants to keep us busy."""

THREADS = 2

HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's smallest setting for argon2id: 19 MiB and two passes."""


class Accounts:
    """The accounts of a catalogue, and the threads that hash."""

    def __init__(self, catalogue: Catalogue, *, hasher: argon2.PasswordHasher = HASHER) -> None:
        self._catalogue = catalogue
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._nobody: asyncio.Future[str] | None = None

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown()

    async def login(self, name: str, password: str) -> Account:
        """Give the account whose password this is.

        Takes as long for an account that doesn't exist, so the time tells nothing. A hash that was made
        with other parameters than ours is renewed.

        Raises:
            LoginFailed: No such account, or not its password; which of them isn't told.
        """
        # A name that isn't UTF-8 is nobody's, and takes as long.
        user = (
            self._catalogue.user(name)
            if name.isascii() or name.encode(errors="ignore").decode() == name
            else None
        )
        hashed = await self._nobodys_hash() if user is None else user.password
        right = await self._apart(self._matches, hashed, password)
        if user is None or not right:
            raise errors.LoginFailed(name)
        if self._hasher.check_needs_rehash(user.password):
            await self.set_password(name, password)
        return self._resolved(user)

    async def add(
        self,
        name: str,
        password: str,
        *,
        admin: bool = False,
        groups: tuple[str, ...] = (),
        settings: Settings = INHERITED,
    ) -> User:
        """Make an account.

        Raises:
            Exists: There is one of this name.
            NotFound: No such group.
            BadArgument: A name or a password that can't be typed into an FTP client, or a setting that makes
                no sense.
        """
        _check_name(name)
        _check_password(password)
        self._check_groups(groups)
        rules.check(settings)
        if self._catalogue.user(name) is not None:
            raise errors.Exists(name)
        hashed = await self._apart(self._hasher.hash, _plain(password))
        user = User(name, hashed, admin, groups, settings)
        await self._catalogue.put_user(user, new=True)
        return user

    async def set_password(self, name: str, password: str) -> None:
        """Give an account another password.

        Raises:
            NotFound: No such account.
            BadArgument: A password that can't be typed into an FTP client.
        """
        _check_password(password)
        if self._catalogue.user(name) is None:
            raise errors.NotFound(name)
        hashed = await self._apart(self._hasher.hash, _plain(password))
        await self._catalogue.change_user(name, lambda user: replace(user, password=hashed))

    def all(self) -> list[User]:
        """List the accounts by name."""
        return self._catalogue.users()

    async def remove(self, name: str) -> None:
        """Remove an account; who is logged in stays so.

        Raises:
            NotFound: No such account.
        """
        await self._catalogue.drop_user(name)

    def account(self, name: str) -> Account:
        """Give what is in force for a user.

        Raises:
            NotFound: No such user.
        """
        user = self._catalogue.user(name)
        if user is None:
            raise errors.NotFound(name)
        return self._resolved(user)

    def _resolved(self, user: User) -> Account:
        groups = [self._catalogue.group(name) for name in user.groups]
        return rules.resolve(user, [group for group in groups if group is not None])

    def _check_groups(self, names: tuple[str, ...]) -> None:
        for name in names:
            if self._catalogue.group(name) is None:
                raise errors.NotFound(name)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, _plain(password[:PASSWORD_LIMIT]))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _nobodys_hash(self) -> str:
        """Give a hash to compare with when there is no account; made once, of a password nobody has."""
        if self._nobody is None:
            loop = asyncio.get_running_loop()
            self._nobody = loop.run_in_executor(self._threads, self._hasher.hash, "nobody's")
        return await asyncio.shield(self._nobody)

    async def _apart(self, work: Callable[..., _T], *arguments: str | bytes) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _plain(password: str) -> bytes:
    """Give the bytes that are hashed; a client that doesn't send UTF-8 gets its own back."""
    return password.encode(errors="surrogateescape")


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable() or name != name.strip():
        raise errors.BadArgument(f"an account's name is 1 to {NAME_LIMIT} printable characters")


def _check_password(password: str) -> None:
    # A command line ends at CR or LF, and no client sends NUL: such a password could never be given.
    if not 0 < len(password) <= PASSWORD_LIMIT or any(ord(character) < 32 for character in password):
        raise errors.BadArgument(
            f"a password is 1 to {PASSWORD_LIMIT} characters, none of them control characters"
        )
