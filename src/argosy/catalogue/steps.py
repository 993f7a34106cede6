"""The words of merging: what it knows of the catalogue, and the steps that it decides on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from argosy.catalogue.model import Doubt, Found, Kind, Standing, State

# --- what is known ----


class Known(msgspec.Struct, frozen=True, gc=False):
    """A replica on the volume whose list is merged."""

    loc: bytes
    file: int
    ver: int
    standing: Standing
    size: int
    mtime_ns: int
    listed: bool
    """Whether this volume's list has shown it here. Until it has, a list that was read before can't say
    that it is gone."""
    crc32: int | None
    """Its file's checksums, as far as they are known."""
    digest: bytes | None = None
    """Likewise; by this one contents are told apart."""


class Holder(msgspec.Struct, frozen=True, gc=False):
    """What has a name in the tree."""

    id: int
    parent: int
    name: bytes
    kind: Kind
    state: State
    ver: int
    size: int
    crc32: int | None
    digest: bytes | None


class Copy(msgspec.Struct, frozen=True, gc=False):
    """A replica on any volume."""

    loc: bytes
    standing: Standing


class Tree(Protocol):
    """What merging asks about the catalogue, as it is after the steps so far."""

    @property
    def volume(self) -> int:
        """The number of the volume whose list is merged."""

    @property
    def node(self) -> str:
        """Its node, for names that say where something was found."""

    @property
    def doubt(self) -> Doubt:
        """Whether the volume and the catalogue agree on what was."""

    def known(self, loc: bytes) -> Known | None:
        """Find what we believe to lie at a place of this volume."""

    def child(self, parent: int, name: bytes) -> Holder | None:
        """Find a name in a directory."""

    def entry(self, file: int) -> Holder:
        """Give what is known of a replica's file."""

    def version(self, ver: int) -> Holder | None:
        """Find the file whose content this upload became."""

    def copies(self, file: int) -> Mapping[int, Copy]:
        """Give a file's replicas by volume."""

    def doomed(self, found: Found) -> bool:
        """Whether a deletion of just this content is owed to the volume."""

    # Asked in doubt alone:

    def file(self, file: int) -> Holder | None:
        """Find what has a FileId."""

    def named_ns(self, file: int) -> int:
        """Say since when an entry has its path, as far as that is known; else 0."""

    def lapsed(self, ver: int) -> bool:
        """Whether a version may have been brought while another state of this catalogue counted."""

    def lost(self, volume: int) -> bool:
        """Whether a volume's copies are out of reach for good."""


# --- what shall be done ----


class MakeDirectory(msgspec.Struct, frozen=True):
    """A directory that is missing on the way to a file."""

    parent: int
    name: bytes
    mtime_ns: int


class Create(msgspec.Struct, frozen=True, gc=False):
    """A new file with this content and a good replica. As `CONFLICT` it is one that is kept aside."""

    parent: int
    name: bytes
    state: State
    found: Found
    file: int = 0
    """The FileId that it had; 0: mint one."""


class Add(msgspec.Struct, frozen=True):
    """This volume holds a copy of the file; one that was there before is renewed."""

    file: int
    standing: Standing
    found: Found


class Refresh(msgspec.Struct, frozen=True):
    """The replica is what it was, and its time on the disk is this."""

    file: int
    found: Found


class Move(msgspec.Struct, frozen=True):
    """The replica lies elsewhere on the volume now."""

    file: int
    found: Found


class Learn(msgspec.Struct, frozen=True):
    """The file's checksums, which weren't known."""

    file: int
    found: Found


class Change(msgspec.Struct, frozen=True):
    """The file has other content, a version of its own, and this is its good replica."""

    file: int
    ver: int
    """0: mint one."""
    found: Found


class Mistrust(msgspec.Struct, frozen=True):
    """This volume's copy is a suspect until it has been read: its list tells of another checksum."""

    file: int


class Drop(msgspec.Struct, frozen=True):
    """The volume has no copy any more."""

    file: int


class Promote(msgspec.Struct, frozen=True):
    """The last good copy is gone: believe the suspect on this volume."""

    file: int
    volume: int


class Remove(msgspec.Struct, frozen=True):
    """The file goes: it was kept aside, and its last copy is gone."""

    file: int


class Compare(msgspec.Struct, frozen=True):
    """The file has copies of which nobody knows whether they are alike."""

    file: int


class Stale(msgspec.Struct, frozen=True):
    """It is an old version of what is known better, or was deleted: it is owed its deletion."""

    found: Found


class Bury(msgspec.Struct, frozen=True):
    """The copies of the file on the other volumes are of an older version: they are owed their deletion."""

    file: int


class Rename(msgspec.Struct, frozen=True):
    """The file is called so, as of a time; and a name of its own settles a conflict."""

    file: int
    parent: int
    name: bytes
    named_ns: int


class Displace(msgspec.Struct, frozen=True):
    """The file gives up its path for a newer one, and is kept aside."""

    file: int
    name: bytes


class Owe(msgspec.Struct, frozen=True):
    """The file lies elsewhere on the volume than its path says: the disk shall follow."""

    file: int


Step = (
    MakeDirectory | Create | Add | Refresh | Move | Learn | Change | Mistrust | Drop | Promote | Remove
    | Compare | Stale | Bury | Rename | Displace | Owe
)  # fmt: skip
