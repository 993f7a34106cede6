"""The words for those who use the site: users, groups, and the settings of both, as the catalogue keeps them.

What a user's settings and those of its groups come to is `accounts.rules`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from argosy.catalogue.model import TreePath


class Right(StrEnum):
    """What may be done at a path."""

    LIST = "list"
    """See what is in a directory."""
    READ = "read"
    """Read a file, and have its checksum."""
    WRITE = "write"
    """Store a new file, and go on with one's own that was cut."""
    APPEND = "append"
    """Add to the end of a file that is there."""
    OVERWRITE = "overwrite"
    """Replace or change a file that is there, and its time and mode."""
    DELETE = "delete"
    """Delete a file."""
    RENAME = "rename"
    """Give a file or directory another name, here or elsewhere."""
    MKDIR = "mkdir"
    """Make a directory."""
    RMDIR = "rmdir"
    """Remove an empty directory."""
    FXP = "fxp"
    """Have data go to, or come from, another address than one's own."""


Rights = frozenset[Right]

EVERYTHING: Rights = frozenset(Right)
USUAL: Rights = EVERYTHING - {Right.FXP}
"""What everybody may do everywhere, where no grant says otherwise."""
LOOKING: Rights = frozenset({Right.LIST, Right.READ})
NOTHING: Rights = frozenset()


class Grant(msgspec.Struct, frozen=True):
    """All that may be done at a path and below; the deepest grant that holds a path counts, alone."""

    path: bytes
    """Absolute, as `/video`."""
    rights: Rights


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is set for a user or a group. None: as the groups say, in their order, else the default.

    Sizes are bytes, times nanoseconds since 1970. Of limits, 0 is no limit.
    """

    home: bytes | None = None
    """Where a login begins: an absolute path. By default the root."""
    grants: tuple[Grant, ...] = ()
    """Added to those of the groups; at the same path the user's own goes before, then the first group's."""
    sessions: int | None = None
    """Logins at once."""
    uploads: int | None = None
    """Transfers to us at once."""
    downloads: int | None = None
    """Transfers from us at once."""
    up_bytes_per_second: int | None = None
    """All uploads of a user together."""
    down_bytes_per_second: int | None = None
    """All downloads of a user together."""
    quota_bytes: int | None = None
    """What a user's files may come to."""
    quota_files: int | None = None
    """How many files a user may own."""
    masks: tuple[str, ...] | None = None
    """Networks that a login may come from, as `192.0.2.0/24` or `2001:db8::/32`; by default all."""
    expires_ns: int | None = None
    """From then on nobody can log in; 0: never."""
    idle_seconds: float | None = None
    """Hang up after so long without a command; 0: as the door says."""
    welcome: str | None = None
    """Said after the login."""
    require_tls: bool | None = None
    """Let nobody in without TLS."""
    locked: bool | None = None
    """Let nobody in."""
    note: str | None = None
    """For administrators. Not inherited."""
    total_bytes: int | None = None
    """Of a group: what its files may come to, whoever owns them. Not inherited."""
    total_files: int | None = None
    """Of a group: how many files it may have. Not inherited."""


INHERITED = Settings()
"""Nothing set: all as the groups say, or by default."""


@dataclass(frozen=True, slots=True)
class User:
    """A user as the catalogue keeps it."""

    name: str
    password: str
    """An argon2id hash in PHC form."""
    admin: bool = False
    """May do everything everywhere."""
    groups: tuple[str, ...] = ()
    """In the order in which their settings count; new files get the first."""
    settings: Settings = INHERITED


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the catalogue keeps it."""

    name: str
    settings: Settings = INHERITED


@dataclass(frozen=True, slots=True)
class Use:
    """How much is held, or by how much that changes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Use) -> Use:
        """Put two together."""
        return Use(self.files + other.files, self.bytes + other.bytes)

    def __neg__(self) -> Use:
        """Turn it round, to take it away."""
        return Use(-self.files, -self.bytes)


@dataclass(frozen=True, slots=True)
class Usage:
    """How much lies in the tree."""

    owned: Mapping[tuple[str, str], Use]
    """By owner and group."""
    sections: Mapping[str, Use]


def parts(path: bytes) -> TreePath:
    """Split an absolute path; empty components and `.` mean nothing."""
    return tuple(part for part in path.split(b"/") if part not in (b"", b"."))
