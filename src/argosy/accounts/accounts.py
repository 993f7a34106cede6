"""Users and groups: who may log in, with which password, and what changes while they are here.

Passwords are kept as argon2id hashes. Hashing takes tens of milliseconds by design, so it has threads of
its own, few enough that a storm of logins leaves the processors to the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import argon2

from argosy import errors
from argosy.accounts import rules
from argosy.accounts.login import Login
from argosy.accounts.rules import Account, Bar
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import INHERITED, Group, Settings, User

log = logging.getLogger("argosy.accounts")

_T = TypeVar("_T")

NAME_LIMIT = 64
"""Characters in an account's name."""

PASSWORD_LIMIT = 1024
"""Characters in a password: who sends more wants to keep us busy."""

THREADS = 2

HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's smallest setting for argon2id: 19 MiB and two passes."""


class Accounts:
    """The users and groups of a catalogue, who is logged in, and the threads that hash."""

    def __init__(self, catalogue: Catalogue, *, hasher: argon2.PasswordHasher = HASHER) -> None:
        self._catalogue = catalogue
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._nobody: asyncio.Future[str] | None = None
        self._logins: weakref.WeakSet[Login] = weakref.WeakSet()
        self._generation = -1
        self._refreshing = asyncio.Lock()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown()

    # --- logging in

    async def login(self, name: str, password: str, *, address: str = "", secure: bool = True) -> Login:
        """Let the user in whose password this is.

        Takes as long, and says the same, for one that doesn't exist, is locked, has expired or may not come
        from there; the log has the reason. A hash that was made with other parameters than ours is renewed.

        Args:
            name: Whom USER named.
            password: What PASS said.
            address: The client's; empty: not held against the masks.
            secure: Whether the connection is encrypted.

        Raises:
            LoginFailed: Nobody is let in. With a subject: the password was right, and the client can do
                something about it.
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
            why = "no such user" if user is None else "wrong password"
            log.info("login of %s from %s refused: %s", name, address or "nowhere", why)
            raise errors.LoginFailed
        # Read again: much can be changed while a password is hashed.
        login = self._enter(name, address=address, secure=secure, anonymous=False, looking=False)
        if self._hasher.check_needs_rehash(user.password):
            await self._renew(user, password)
        if login.ended:  # while that was hashed, when nobody could be hung up on yet
            raise errors.LoginFailed
        return login

    async def _renew(self, user: User, password: str) -> None:
        """Hash a password with our parameters, unless the user has another one, or is gone, by then."""
        hashed = await self._apart(self._hasher.hash, _plain(password))
        with contextlib.suppress(errors.NoSuchAccount):
            await self._catalogue.change_user(
                user.name, lambda now: replace(now, password=hashed) if now.password == user.password else now
            )

    def enter(self, name: str, *, address: str = "", secure: bool = True, looking: bool) -> Login:
        """Let somebody in without a password, as the user that stands behind anonymous logins.

        Args:
            name: That user.
            address: Where the login comes from.
            secure: Whether it came over TLS.
            looking: Whether it may list and read and no more.

        Raises:
            LoginFailed: As `login`.
        """
        return self._enter(name, address=address, secure=secure, anonymous=True, looking=looking)

    def _enter(self, name: str, *, address: str, secure: bool, anonymous: bool, looking: bool) -> Login:
        user = self._catalogue.user(name)
        if user is None:
            log.warning("login of %s from %s refused: no such user", name, address or "nowhere")
            raise errors.LoginFailed
        account = self._resolved(user)
        login = Login(account, address=address, secure=secure, anonymous=anonymous, looking=looking)
        if bar := rules.bar(login.account, address=address, secure=secure, now_ns=time.time_ns()):
            log.info("login of %s from %s refused: %s", user.name, address or "nowhere", bar)
            raise errors.LoginFailed("say AUTH TLS first" if bar is Bar.IN_CLEAR else "")
        self._logins.add(login)
        log.info("%s logged in from %s", user.name, address or "nowhere")
        return login

    # --- while they are logged in

    async def watch(self, seconds: float) -> None:
        """Until cancelled, take into account what other processes change, and whose time is over."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()

    async def refresh(self) -> None:
        """Bring all logins up to date; those that may not go on are ended."""
        async with self._refreshing:
            await self._read_again()
        now_ns = time.time_ns()
        for login in list(self._logins):
            if bar := rules.bar(login.account, address=login.address, secure=login.secure, now_ns=now_ns):
                log.info("login of %s from %s ended: %s", login.account.name, login.address, bar)
                login.end("You may not be logged in any longer")

    async def _read_again(self) -> None:
        generation = self._catalogue.accounts_generation()
        names = {login.account.name for login in self._logins}
        if generation != self._generation and names:
            known = await asyncio.to_thread(self._resolve_all, names)
            for login in list(self._logins):
                if login.account.name not in names:
                    continue  # it came just now, and is up to date
                if account := known.get(login.account.name):
                    login.account = account
                else:
                    login.end("Your account is gone")
        self._generation = generation

    def _resolve_all(self, names: Iterable[str]) -> dict[str, Account]:
        users = [self._catalogue.user(name) for name in names]
        return {user.name: self._resolved(user) for user in users if user is not None}

    # --- users

    def user(self, name: str) -> User:
        """Give a user.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        user = self._catalogue.user(name)
        if user is None:
            raise errors.NoSuchAccount(name)
        return user

    def users(self) -> list[User]:
        """List the users by name."""
        return self._catalogue.users()

    def account(self, name: str) -> Account:
        """Give what is in force for a user.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        return self._resolved(self.user(name))

    async def add(
        self,
        name: str,
        password: str,
        *,
        admin: bool = False,
        groups: tuple[str, ...] = (),
        settings: Settings = INHERITED,
    ) -> User:
        """Make a user.

        Raises:
            Exists: There is one of this name.
            NoSuchAccount: No such group.
            BadArgument: A name or a password that can't be typed into an FTP client, or a setting that makes
                no sense.
        """
        _check_name(name)
        _check_password(password)
        self._check_user(User(name, "", admin, groups, settings))
        if self._catalogue.user(name) is not None:
            raise errors.Exists(name)
        hashed = await self._apart(self._hasher.hash, _plain(password))
        user = User(name, hashed, admin, groups, settings)
        await self._catalogue.put_user(user, new=True)
        return user

    async def change(self, name: str, change: Callable[[User], User]) -> User:
        """Change a user, in one transaction; logins of it see that at once. Give what it is now.

        Args:
            name: Whom.
            change: Makes the new user of the old, as `words.change` makes settings. Called in a thread.

        Raises:
            NoSuchAccount: There is none of this name, or of a group's.
            BadArgument: A setting that makes no sense.
        """

        def checked(user: User) -> User:
            changed = change(user)
            if changed.name != name:
                raise errors.BadArgument("a user can't be given another name")
            self._check_user(changed)
            return changed

        user = await self._catalogue.change_user(name, checked)
        await self.refresh()
        return user

    async def set_password(self, name: str, password: str) -> None:
        """Give a user another password.

        Raises:
            NoSuchAccount: There is none of this name.
            BadArgument: A password that can't be typed into an FTP client.
        """
        _check_password(password)
        self.user(name)
        hashed = await self._apart(self._hasher.hash, _plain(password))
        await self._catalogue.change_user(name, lambda user: replace(user, password=hashed))

    async def remove(self, name: str) -> None:
        """Remove a user; its logins are ended, its files stay.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._catalogue.drop_user(name)
        await self.refresh()

    # --- groups

    def group(self, name: str) -> Group:
        """Give a group.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        group = self._catalogue.group(name)
        if group is None:
            raise errors.NoSuchAccount(name)
        return group

    def groups(self) -> list[Group]:
        """List the groups by name."""
        return self._catalogue.groups()

    async def add_group(self, name: str, settings: Settings = INHERITED) -> Group:
        """Make a group.

        Raises:
            Exists: There is one of this name.
            BadArgument: A name that can't be, or a setting that makes no sense.
        """
        _check_name(name)
        group = Group(name, rules.check(settings))
        await self._catalogue.put_group(group, new=True)
        return group

    async def change_group(self, name: str, change: Callable[[Group], Group]) -> Group:
        """Change a group, as `change` does a user; its members' logins see that at once.

        Raises:
            NoSuchAccount: There is none of this name.
            BadArgument: A setting that makes no sense.
        """

        def checked(group: Group) -> Group:
            changed = change(group)
            if changed.name != name:
                raise errors.BadArgument("a group can't be given another name")
            rules.check(changed.settings)
            return changed

        group = await self._catalogue.change_group(name, checked)
        await self.refresh()
        return group

    async def remove_group(self, name: str) -> None:
        """Remove a group; who was in it isn't any more, and its files keep its name.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._catalogue.drop_group(name)
        await self.refresh()

    def _resolved(self, user: User) -> Account:
        groups = [self._catalogue.group(name) for name in user.groups]
        return rules.resolve(user, [group for group in groups if group is not None])

    def _check_user(self, user: User) -> None:
        rules.check(user.settings)
        if user.settings.total_bytes is not None or user.settings.total_files is not None:
            raise errors.BadArgument("total_bytes and total_files are for groups; a user has a quota")
        for name in user.groups:
            self.group(name)

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
