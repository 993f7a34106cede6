"""What is in force for one user: its own settings, its groups', the defaults. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

import msgspec

from argosy import errors
from argosy.accounts import masks
from argosy.catalogue.model import TreePath
from argosy.catalogue.people import (
    EVERYTHING,
    LOOKING,
    NOTHING,
    USUAL,
    Group,
    Right,
    Rights,
    Settings,
    User,
    parts,
)

_T = TypeVar("_T")

MOST = 2**63 - 1
"""The largest number that a setting can have."""

NO_GROUP = "argosy"
"""What listings show as the group of files whose owner has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is in force for a user. Of limits, 0 is none; sizes are bytes, times nanoseconds since 1970."""

    name: str
    admin: bool = False
    groups: tuple[str, ...] = ()
    home: bytes = b"/"
    sessions: int = 0
    uploads: int = 0
    downloads: int = 0
    up_bytes_per_second: int = 0
    down_bytes_per_second: int = 0
    quota_bytes: int = 0
    quota_files: int = 0
    total_bytes: int = 0
    """What the files of the first group may come to."""
    total_files: int = 0
    masks: tuple[str, ...] = ()
    """Empty: from everywhere."""
    expires_ns: int = 0
    idle_seconds: float = 0.0
    welcome: str = ""
    require_tls: bool = False
    locked: bool = False
    grants: Mapping[TreePath, Rights] = field(default_factory=dict)
    """By path; what isn't in it is as `USUAL`."""

    @property
    def group(self) -> str:
        """What new files show as their group."""
        return self.groups[0] if self.groups else NO_GROUP

    def rights(self, path: TreePath) -> Rights:
        """Give what may be done at a path: the deepest grant that holds it counts."""
        if self.admin:
            return EVERYTHING
        for depth in range(len(path), -1, -1) if self.grants else ():
            if (rights := self.grants.get(path[:depth])) is not None:
                return rights
        return USUAL

    def may(self, right: Right, path: TreePath) -> bool:
        """Say whether one thing may be done at a path."""
        return right in self.rights(path)

    def sees(self, path: TreePath) -> bool:
        """Say whether the user may know that a path is there: it has a right at it, or somewhere below."""
        if self.admin or not self.grants:
            return True
        return bool(self.rights(path)) or any(
            rights and granted[: len(path)] == path for granted, rights in self.grants.items()
        )

    def children(self, path: TreePath) -> tuple[Rights, Mapping[bytes, Rights | None]]:
        """Give what may be done with what is in a directory, and the names for which that is otherwise.

        None: such a name isn't seen. Without the right to list, only the names on the way to what is granted
        further down are seen; the others aren't named here.
        """
        rights = self.rights(path)
        if self.admin:
            return rights, {}
        depth = len(path)
        names = {
            granted[depth] for granted in self.grants if len(granted) > depth and granted[:depth] == path
        }
        return rights, {
            name: self.rights((*path, name)) if self.sees((*path, name)) else None for name in names
        }

    def fenced(self, path: TreePath) -> bool:
        """Say whether grants lie below a path, so that what is there can't be moved as one."""
        return not self.admin and any(
            len(granted) > len(path) and granted[: len(path)] == path for granted in self.grants
        )


def resolve(user: User, groups: Sequence[Group]) -> Account:
    """Give what is in force for a user.

    Args:
        user: The user; its own settings go before all others.
        groups: Its groups in its order: the first that says something is heard.
    """
    own = user.settings
    layers = [own, *(group.settings for group in groups)]
    return Account(
        name=user.name,
        admin=user.admin,
        groups=tuple(group.name for group in groups),
        home=_first([one.home for one in layers], b"/"),
        sessions=_first([one.sessions for one in layers], 0),
        uploads=_first([one.uploads for one in layers], 0),
        downloads=_first([one.downloads for one in layers], 0),
        up_bytes_per_second=_first([one.up_bytes_per_second for one in layers], 0),
        down_bytes_per_second=_first([one.down_bytes_per_second for one in layers], 0),
        quota_bytes=_first([one.quota_bytes for one in layers], 0),
        quota_files=_first([one.quota_files for one in layers], 0),
        total_bytes=(groups[0].settings.total_bytes or 0) if groups else 0,
        total_files=(groups[0].settings.total_files or 0) if groups else 0,
        masks=_first([one.masks for one in layers], ()),
        expires_ns=_first([one.expires_ns for one in layers], 0),
        idle_seconds=_first([one.idle_seconds for one in layers], 0.0),
        welcome=_first([one.welcome for one in layers], ""),
        require_tls=_first([one.require_tls for one in layers], False),
        locked=_first([one.locked for one in layers], False),
        grants=_grants(layers),
    )


class Bar(StrEnum):
    """Why a user may not be logged in."""

    LOCKED = "it is locked"
    EXPIRED = "it has expired"
    ELSEWHERE = "it may not come from there"
    IN_CLEAR = "it may not come without TLS"


def bar(account: Account, *, address: str, secure: bool, now_ns: int) -> Bar | None:
    """Say why a user may not be logged in; None: it may.

    Args:
        account: What is in force for it.
        address: Where it comes from; empty: masks don't count.
        secure: Whether its connection is encrypted.
        now_ns: The time.
    """
    if account.locked:
        return Bar.LOCKED
    if account.expires_ns and account.expires_ns <= now_ns:
        return Bar.EXPIRED
    if account.masks and address and not masks.within(address, account.masks):
        return Bar.ELSEWHERE
    if account.require_tls and not secure:
        return Bar.IN_CLEAR
    return None


def only_looking(account: Account) -> Account:
    """Give an account that may list and read what it may, and nothing more."""
    grants = {path: rights & LOOKING for path, rights in account.grants.items()}
    root = account.rights(()) & LOOKING
    return replace(account, admin=False, grants={(): root, **grants} if not account.admin else {(): root})


def at_home(account: Account) -> Account:
    """Give an account that sees its home and nothing else, unless grants say what it sees."""
    if account.grants and not account.admin:
        return account
    return replace(account, admin=False, grants={(): NOTHING, parts(account.home): USUAL})


def check(settings: Settings) -> Settings:
    """Give settings back if they make sense.

    Raises:
        BadArgument: A path that isn't absolute, a number below nothing, a network that is none.
    """
    for path in ([] if settings.home is None else [settings.home]) + [one.path for one in settings.grants]:
        if not path.startswith(b"/") or b".." in parts(path) or path.translate(None, b"\0\r\n") != path:
            raise errors.BadArgument(f"want an absolute path, got {path.decode(errors='backslashreplace')}")
    for name, value in msgspec.structs.asdict(settings).items():
        if isinstance(value, int | float) and not 0 <= value <= MOST:
            raise errors.BadArgument(f"{name}: want 0 to {MOST}, got {value}")
    for mask in settings.masks or ():
        try:
            ipaddress.ip_network(mask)
        except ValueError as error:
            raise errors.BadArgument(f"masks: {error}") from error
    return settings


def _first(values: Sequence[_T | None], default: _T) -> _T:
    return next((value for value in values if value is not None), default)


def _grants(layers: Sequence[Settings]) -> Mapping[TreePath, Rights]:
    """Put grants together: at the same path the earlier layer's counts, and in a layer the later grant."""
    grants: dict[TreePath, Rights] = {}
    for layer in reversed(layers):
        grants.update({parts(grant.path): grant.rights for grant in layer.grants})
    return grants
