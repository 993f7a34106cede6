"""SITE verbs about users and groups, for administrators; and a user's own password."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec

from argosy import errors, tables
from argosy.accounts import masks, words
from argosy.catalogue.people import INHERITED, Settings, User
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import replies
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


async def add_user(client: Client, command: Command) -> Replies:
    """SITE ADDUSER: a new user, with the masks that it may come from."""
    name, password, *where = _words(command, "user password mask ...", least=2)
    yield await _add(client, name, password, where, groups=())


async def add_user_to_group(client: Client, command: Command) -> Replies:
    """SITE GADDUSER: a new user of a group."""
    group, name, password, *where = _words(command, "group user password mask ...", least=3)
    yield await _add(client, name, password, where, groups=(group,))


async def _add(
    client: Client, name: str, password: str, where: list[str], *, groups: tuple[str, ...]
) -> Reply:
    settings = INHERITED
    if where:
        settings = words.change(INHERITED, "masks", ",".join(where), now_ns=time.time_ns())
    await client.hall.accounts.add(name, password, groups=groups, settings=settings)
    return Reply.of(200, f"Added {name}")


async def delete_user(client: Client, command: Command) -> Replies:
    """SITE DELUSER: its sessions are ended, its files stay."""
    name, *_ = _words(command, "user", least=1)
    await client.hall.accounts.remove(name)
    yield Reply.of(200, f"Deleted {name}")


async def set_password(client: Client, command: Command) -> Replies:
    """SITE CHPASS: give a user another password, which may have blanks in it."""
    name, password = _two(command, "user password")
    await client.hall.accounts.set_password(name, password)
    yield Reply.of(200, f"Changed the password of {name}")


async def set_own_password(client: Client, command: Command) -> Replies:
    """SITE PASSWD: change one's own password; who came without one has none to change."""
    if client.anonymous:
        raise errors.Denied("this login has no password")
    await client.hall.accounts.set_password(client.tree.account.name, command.text)
    yield Reply.of(200, "Changed your password")


async def add_masks(client: Client, command: Command) -> Replies:
    """SITE ADDIP: let logins come from more networks."""
    name, *where = _words(command, "user mask ...", least=2)
    new = _networks(where)

    def widened(user: User) -> User:
        return _with_masks(user, (*(user.settings.masks or ()), *new))

    yield _masks_told(await client.hall.accounts.change(name, widened))


async def drop_masks(client: Client, command: Command) -> Replies:
    """SITE DELIP: let logins come from fewer networks; with none left, from those of the groups, or all."""
    name, *where = _words(command, "user mask ...", least=2)
    gone = _networks(where)

    def narrowed(user: User) -> User:
        known = user.settings.masks or ()
        if missing := [network for network in gone if network not in known]:
            raise errors.BadArgument(f"{', '.join(missing)}: {name} has no such mask")
        return _with_masks(user, tuple(network for network in known if network not in gone))

    yield _masks_told(await client.hall.accounts.change(name, narrowed))


async def change_groups(client: Client, command: Command) -> Replies:
    """SITE CHGRP: put a user into groups, and take it out of those that it is in."""
    name, *named = _words(command, "user group ...", least=2)

    def moved(user: User) -> User:
        left = [group for group in user.groups if group not in named]
        return replace(user, groups=(*left, *(group for group in named if group not in user.groups)))

    user = await client.hall.accounts.change(name, moved)
    yield Reply.of(200, f"{name} is in {' '.join(user.groups) or 'no group'}")


async def change_user(client: Client, command: Command) -> Replies:
    """SITE CHANGE: set what `argosy user set` sets; without a value it is inherited again."""
    name, key, value = _three(command, "user setting value")

    def changed(user: User) -> User:
        return replace(user, settings=words.change(user.settings, key, value, now_ns=time.time_ns()))

    user = await client.hall.accounts.change(name, changed)
    yield Reply.of(200, f"{key} of {name} is {_shown(user.settings, key)}")


async def change_group(client: Client, command: Command) -> Replies:
    """SITE CHANGEGROUP: set what `argosy group set` sets; without a value it is taken back."""
    name, key, value = _three(command, "group setting value")
    group = await client.hall.accounts.change_group(
        name,
        lambda group: replace(
            group, settings=words.change(group.settings, key, value, now_ns=time.time_ns())
        ),
    )
    yield Reply.of(200, f"{key} of {name} is {_shown(group.settings, key)}")


async def user(client: Client, command: Command) -> Replies:
    """SITE USER: what is set for a user; for others than administrators only their own."""
    own = client.tree.account
    name = command.text or own.name
    if name != own.name and not own.admin:
        raise errors.Denied("you may look at yourself only")
    known = client.hall.accounts.user(name)
    rows = [("groups", " ".join(known.groups) or "-"), ("administrator", "yes" if known.admin else "no")]
    rows += [
        row for row in words.shown(known.settings).items() if own.admin or row[0] not in ("note", "masks")
    ]
    here = client.hall.visitors.named(name)
    rows += [("sessions now", str(len(here)))]
    yield replies.told(name, "\n".join(f"{key}: {tables.printable(value)}" for key, value in rows))


async def users(client: Client, command: Command) -> Replies:
    """SITE USERS: all of them."""
    del command
    known = client.hall.accounts.users()
    rows = [
        (one.name, " ".join(one.groups), "admin" if one.admin else "", one.settings.note or "")
        for one in known
    ]
    yield replies.told(f"{len(known)} users", tables.aligned(("name", "groups", "", "note"), rows))


async def groups(client: Client, command: Command) -> Replies:
    """SITE GROUPS: all of them, and how many are in each."""
    del command
    known, people = client.hall.accounts.groups(), client.hall.accounts.users()
    rows = [(one.name, sum(one.name in user.groups for user in people)) for one in known]
    table = tables.aligned(("name", "members"), rows, right=("members",))
    yield replies.told(f"{len(known)} groups", table)


async def group(client: Client, command: Command) -> Replies:
    """SITE GINFO: a group's settings and members."""
    known = client.hall.accounts.group(command.text)
    members = [one.name for one in client.hall.accounts.users() if known.name in one.groups]
    rows = [("members", " ".join(members) or "-"), *words.shown(known.settings).items()]
    yield replies.told(known.name, "\n".join(f"{key}: {tables.printable(value)}" for key, value in rows))


async def add_group(client: Client, command: Command) -> Replies:
    """SITE ADDGROUP: a new group."""
    (name,) = _words(command, "group", least=1, most=1)
    await client.hall.accounts.add_group(name)
    yield Reply.of(200, f"Added {name}")


async def delete_group(client: Client, command: Command) -> Replies:
    """SITE DELGROUP: its members stay."""
    (name,) = _words(command, "group", least=1, most=1)
    await client.hall.accounts.remove_group(name)
    yield Reply.of(200, f"Deleted {name}")


# --- what they have in common


def _words(command: Command, form: str, *, least: int, most: int = 1_000) -> list[str]:
    found = command.text.split()
    if not least <= len(found) <= most:
        raise errors.BadArgument(f"want {form}")
    return found


def _two(command: Command, form: str) -> tuple[str, str]:
    first, blank, rest = command.text.partition(" ")
    if not (first and blank and rest) or any("\udc80" <= letter <= "\udcff" for letter in first):
        raise errors.BadArgument(f"want {form}")
    return first, rest


def _three(command: Command, form: str) -> tuple[str, str, str]:
    name, rest = _two(command, form)
    key, _, value = rest.strip().partition(" ")
    if not key:
        raise errors.BadArgument(f"want {form}")
    return name, key, value.strip()


def _networks(where: list[str]) -> list[str]:
    return [network for word in where for network in masks.parse(word)]


def _with_masks(user: User, networks: tuple[str, ...]) -> User:
    kept = tuple(dict.fromkeys(networks)) or None
    return replace(user, settings=msgspec.structs.replace(user.settings, masks=kept))


def _masks_told(user: User) -> Reply:
    return Reply.of(200, f"{user.name} may come from {', '.join(user.settings.masks or ('everywhere',))}")


def _shown(settings: Settings, key: str) -> str:
    return tables.printable(words.shown(settings).get(key.replace("-", "_").lower(), "not set"))
