"""The words of remote sites: where one is, what it says of a file, and what a mount says of it.

Names are bytes. Times are nanoseconds since 1970, sizes are bytes. A *path* is absolute on the site,
components joined by `/`, as it stands in commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Literal, NamedTuple

import msgspec

FileId = int
"""Names change, ids don't. Minted by a mount's record, never used again."""


class Tls(StrEnum):
    """Whether the control and data connections are encrypted."""

    OFF = "off"
    WANTED = "wanted"
    """Where the site offers it."""
    NEEDED = "needed"
    """Or the login isn't said."""
    IMPLICIT = "implicit"
    """From the first byte (`ftps://`)."""


@dataclass(frozen=True, slots=True)
class Address:
    """A site, and who we are there."""

    host: str
    port: int = 21
    user: str = "anonymous"
    password: str = ""
    directory: bytes = b""
    """Where to begin: absolute, or below the directory of the login; empty: that directory."""
    tls: Tls = Tls.WANTED
    encoding: str = ""
    """What the site's names are written in, as Python calls it; empty: UTF-8, or whatever they are."""

    def __repr__(self) -> str:
        """Say where, and never the password."""
        return f"<ftp://{self.user}@{self.host}:{self.port}/{self.directory.decode(errors='replace')}>"


class Kind(Enum):
    """What a name stands for. The values are those of `ftype3`, RFC 1813 section 2.5."""

    FILE = 1
    DIRECTORY = 2
    LINK = 5


class Facts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a site says of one file: by MLSD, by LIST, or by SIZE and MDTM. None: it doesn't say."""

    name: bytes
    kind: Kind
    size: int = 0
    mtime_ns: int | None = None
    precise: bool = True
    """The time is to the second; false for `ls -l`, which tells minutes or days."""
    mode: int | None = None
    """Permission bits."""
    owner: bytes | None = None
    group: bytes | None = None
    unique: bytes | None = None
    """RFC 3659 section 7.5.2."""
    perm: str | None = None
    """What this login may do with it, RFC 3659 section 7.5.5."""
    target: bytes | None = None
    """Where a symbolic link leads."""


class Version(NamedTuple):
    """What a cached byte is a byte of: valid while all three agree."""

    file: FileId
    size: int
    mtime_ns: int


class Attributes(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a mount says of one file."""

    file: FileId
    parent: FileId
    """The directory it is in; the root is in itself."""
    kind: Kind
    size: int
    mode: int
    """Permission bits."""
    uid: int
    gid: int
    mtime_ns: int
    ctime_ns: int
    """Rises with each change made or seen; its nanoseconds hold a counter, for FTP has coarse times."""
    links: int = 1
    perm: str | None = None
    """As in `Facts`."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed of a file; None: nothing. RFC 1813 section 2.6, `sattr3`."""

    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | Literal["now"] | None = None
    atime_ns: int | Literal["now"] | None = None
    """No site keeps it; taken, and forgotten."""


class Named(NamedTuple):
    """One entry of a page of a directory."""

    cookie: int
    """Where the next page goes on; 3 and more, below 2^31, and the same as long as the name is there."""
    name: bytes
    attributes: Attributes


class Page(NamedTuple):
    """A part of a directory."""

    entries: list[Named]
    verifier: int
    """Changes when older cookies can't be gone on from."""
    ended: bool
    """No entry comes after these."""


class Room(NamedTuple):
    """How much room a site has. None: it doesn't say."""

    total: int | None
    free: int | None
