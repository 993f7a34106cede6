"""The words of the catalogue: entries, replicas, volumes, uploads and what merging finds.

A *volume* is one root directory of a node with an id of its own on the disk: it can move to another
node and takes its replicas along. A *loc* is where a replica lies below its volume's root: a relative
path as bytes, components joined by `/`. Times are nanoseconds since 1970, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec

from argosy import errors

TreePath = tuple[bytes, ...]
"""A path in the tree: its components. `()` is the root directory."""

ROOT_ID = 1
"""The root directory's FileId."""

TRASH_ID = 2
"""The FileId of the directory that trashed files are in. Its own parent, as the root is: so nobody gets there
from the root."""

NAME_LIMIT = 255
"""Bytes in one name: what ext4, XFS and ZFS take."""

PATH_LIMIT = 3_900
"""Bytes in a whole path: PATH_MAX is 4,096 on Linux, and a node's root stands before it."""

RESERVED = b".argosy"
"""The directory below each volume's root that is ours, so no name of the tree's root."""


class Kind(StrEnum):
    """What an entry is."""

    DIRECTORY = "dir"
    FILE = "file"
    LINK = "link"
    """A symbolic link: a name in the catalogue alone, on no disk."""


class State(StrEnum):
    """How far an entry is."""

    LIVE = "live"
    UPLOADING = "uploading"
    """A placeholder: the name is taken, the first content is still arriving."""
    PARTIAL = "partial"
    """An upload was cut; what arrived is kept for REST and APPE."""
    CONFLICT = "conflict"
    """Other contents for a path that was taken, kept aside under a name of its own."""
    TRASHED = "trashed"
    """It was deleted or overwritten, and is kept for a while: with its copies, out of the tree."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One name in the tree. A Struct, for a listing makes a hundred thousand.

    `id` is minted once and never used again: names change, ids don't. `ver` is the version of the
    content (the id of the upload that brought it, or minted at adoption); 0 for directories.
    """

    id: int
    parent: int
    name: bytes
    kind: Kind
    state: State
    ver: int
    size: int
    mtime_ns: int
    created_ns: int
    owner: str
    group: str
    mode: int
    crc32: int | None = None
    digest: bytes | None = None
    """XXH3-128 of the whole content, big-endian."""
    target: bytes | None = None
    """Where a link leads: a path from the root, or from the link's own directory."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.kind is Kind.DIRECTORY

    @property
    def unchanged_ns(self) -> int:
        """Since when a file is as it is: the time that it shows, or when its content came, if that is later.

        Clients give files the times that they had elsewhere; to the site such a file is new all the same.
        """
        return max(self.mtime_ns, minted_ns(self.ver))


MINTED_SINCE_MS = 1_577_836_800_000
"""Ids count milliseconds from 2020 on: so 41 bits last until 2089."""

MINTED_BITS = 22
"""The lower bits of an id, which are drawn."""


def minted_ns(number: int) -> int:
    """Give the time at which an id was minted; the clock may have been wrong, so about then."""
    return ((number >> MINTED_BITS) + MINTED_SINCE_MS) * 1_000_000


class Attributes(NamedTuple):
    """What can be set on an entry; None: leave as it is."""

    mtime_ns: int | None = None
    created_ns: int | None = None
    mode: int | None = None


class Standing(StrEnum):
    """What a replica is worth."""

    GOOD = "good"
    SUSPECT = "suspect"
    """Found on a disk under a path that has a good copy elsewhere; contents not compared yet. Or its volume's
    list tells of another checksum than the entry has."""
    BAD = "bad"
    """It was read, and its bytes aren't what they should be, or can't be read. Never served nor copied."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A whole copy of one version of a file on one volume."""

    file: int
    volume: int
    node: str
    ver: int
    standing: Standing
    loc: bytes
    size: int
    mtime_ns: int
    """The time that the disk gives, by which a change made by hand is seen."""


class Membership(StrEnum):
    """Whether a volume is reckoned with."""

    MEMBER = "member"
    DRAINING = "draining"
    """It is being emptied: it takes no copies, and its own don't count."""
    LOST = "lost"
    """Its disk is gone: another one came in its place."""
    REMOVED = "removed"
    """It is never reckoned with again."""


class Doubt(StrEnum):
    """Whether a volume and the record agree on what was, until the volume's whole list is merged."""

    NONE = "none"
    AHEAD = "ahead"
    """The disk knows more than the record: that one is older, or new."""
    BEHIND = "behind"
    """The disk is in an older state than the record knows it: a backup was put back, or it is a copy."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A root directory of a node, as the catalogue knows it."""

    number: int
    """Ours, small, in every replica row."""
    store_id: str
    """The disk's, 32 hex digits, written at its first join."""
    node: str
    acked: int
    """The journal sequence number up to which this volume's changes are in the catalogue."""
    away_ns: int | None = None
    """Since when no link reaches it; None: it is here."""
    membership: Membership = Membership.MEMBER
    generation: int = 0
    """What the disk shall remember of this attachment; an older state of the disk knows a smaller one."""
    doubt: Doubt = Doubt.NONE


PartName = tuple[int, int]
"""A part: the number of the volume where it lies, and the upload's id."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A volume that takes an upload along with the first."""

    volume: int
    node: str
    epoch: int
    received: int = 0
    """Bytes of its part, of an upload that was cut and is gone on with."""
    base: Replica | None = None
    """Its copy of the content that the upload goes on from, if it has one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is arriving on one volume. Its id is the version it will become."""

    id: int
    file: int
    volume: int
    node: str
    epoch: int
    received: int
    """Bytes of a partial upload; 0 while it runs."""
    base: Replica | None = None
    """The copy on the same volume that this upload goes on from (REST or APPE on a live file)."""
    forgotten: tuple[PartName, ...] = ()
    """Parts that beginning this upload made worthless: their volumes may be told."""
    companions: tuple[Companion, ...] = ()
    """The volumes that take it along."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a node says of a file that arrived whole and lies flushed on its disk."""

    size: int
    mtime_ns: int
    crc32: int | None
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class Discard:
    """A physical deletion owed to a volume; only a file with just this size and time is meant."""

    volume: int
    loc: bytes
    ver: int
    size: int
    mtime_ns: int
    finding: int = 0
    """What was found of it, if it is to be kept in the quarantine; 0: it goes to the trash."""
    keep: bool = True
    """Let the node keep it in its own trash for a while."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What a name that went out of the tree leaves to be done on the volumes."""

    discards: tuple[Discard, ...] = ()
    """Deletions, owed from now on and kept until they are `buried`."""
    forgotten: tuple[PartName, ...] = ()
    """Parts that nobody will go on with."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One file on one volume whose place or time on the disk is behind the tree."""

    file: int
    volume: int
    node: str
    loc: bytes
    ver: int
    size: int
    to: bytes
    mtime_ns: int
    named_ns: int = 0
    path: bytes = b""
    """The file's path at `named_ns`, where `to` isn't that."""


class Placement(NamedTuple):
    """Where an upload that is committed shall lie, and whose content it is."""

    upload: int
    loc: bytes
    mtime_ns: int
    file: int
    named_ns: int
    """When its file was known to be called `path`, or `loc` where that is empty."""
    path: bytes = b""
    replaces: int = 0
    """The version that lay there, and whose deletion is owed; 0: none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the parts that a volume came back with."""

    commit: tuple[Placement, ...] = ()
    """What the catalogue has committed."""
    forget: tuple[int, ...] = ()
    """Uploads that nobody will go on with."""
    copies: tuple[tuple[int, int], ...] = ()
    """Version and bytes of copies from another node that were cut, and may be gone on with."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """One line of a volume's file list. A Struct, for a merge makes a hundred thousand a second.

    It holds nothing that could refer to it, so the garbage collector needn't look for circles in it.
    """

    loc: bytes
    size: int
    mtime_ns: int
    ver: int = 0
    """The upload that brought it; 0 for a file put there by hand."""
    crc32: int | None = None
    digest: bytes | None = None
    gone: bool = False
    file: int = 0
    """Whose content it is, as the node was told; 0: it was told nothing."""
    named_ns: int = 0
    """When the node was told the file's name; 0: never."""
    path: bytes = b""
    """That name, where it isn't `loc`."""


@dataclass(slots=True)
class MergeReport:
    """What one merged batch changed, counted."""

    created: int = 0
    added: int = 0
    dropped: int = 0
    changed: int = 0
    stale: int = 0
    """Old versions that are to be deleted, for newer ones or deletions are known."""
    conflicts: list[str] = field(default_factory=list)
    """Tree paths of the entries under which conflicts were kept aside, shown as text."""
    compare: list[int] = field(default_factory=list)
    """FileIds with a suspect replica: somebody should have the contents compared."""

    def add(self, other: MergeReport) -> None:
        """Add another batch's counts to these."""
        self.created += other.created
        self.added += other.added
        self.dropped += other.dropped
        self.changed += other.changed
        self.stale += other.stale
        self.conflicts += other.conflicts
        self.compare += other.compare


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as the catalogue remembers it, away or not."""

    name: str
    epoch: int
    boot: str
    revoked: bool
    seen_ns: int


@dataclass(frozen=True, slots=True)
class Losses:
    """Files that have no good copy but on some volumes."""

    files: int
    bytes: int
    paths: tuple[TreePath, ...]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that the administrator should know of."""

    topic: str
    """By it the same matter is known when it comes up again."""
    first_ns: int
    last_ns: int
    times: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The tree in numbers."""

    files: int
    directories: int
    links: int
    bytes: int
    damaged: int
    """Files without a good replica."""
    partial: int
    conflicts: int
    suspects: int
    tombstones: int
    trashed: int = 0
    trashed_bytes: int = 0
    by_volume: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Replicas and their bytes by volume number."""


def check_name(name: bytes) -> bytes:
    """Give the name back if a file may be called so.

    Raises:
        NameNotAllowed: Empty, `.`, `..`, too long, or with a NUL, CR, LF or slash in it.
    """
    if not name or name in (b".", b"..") or len(name) > NAME_LIMIT:
        raise errors.NameNotAllowed(name[:80])
    if name.translate(None, b"\0\r\n/") != name:
        raise errors.NameNotAllowed(name)
    return name


def check_path(path: TreePath) -> TreePath:
    """Give the path back if a file or directory may be made there.

    Raises:
        NameNotAllowed: A name that may not be, the whole too long, or our own directory.
    """
    for name in path:
        check_name(name)
    if sum(map(len, path)) + len(path) > PATH_LIMIT:
        raise errors.NameNotAllowed("path too long")
    if not path or path[0] == RESERVED:
        raise errors.NameNotAllowed(shown(path))
    return path


def check_target(target: bytes) -> bytes:
    """Give a link's target back if it may be one; that something is there isn't asked for.

    Raises:
        NameNotAllowed: Empty, too long, or with a NUL, CR or LF in it.
    """
    if not target or len(target) > PATH_LIMIT or target.translate(None, b"\0\r\n") != target:
        raise errors.NameNotAllowed(target[:80])
    return target


def shown(path: TreePath) -> str:
    """Show a path to people: UTF-8 where it is, escaped where it isn't."""
    return "/" + b"/".join(path).decode(errors="surrogateescape")


def unplaced(ver: int) -> bytes:
    """Give the loc of a content whose rightful place on the disk is taken for the moment."""
    return b"%s/unplaced/%016x" % (RESERVED, ver)


class KeptList(NamedTuple):
    """A list of checksums that was read."""

    file: int
    ver: int
    name: bytes
    size: int
    """Bytes that are kept of it."""
