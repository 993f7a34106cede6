"""What the door wants of what stands behind it: a mount's storage, and the mounts of a gateway.

`argosy.sites` has them for FTP sites, the tests have one in memory. Refusals are raised; any procedure may
hear `Stale` (the file is gone) and `Unavailable` (the site is).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from argosy.sites.model import Attributes, Changes, FileId, Page, Room


class Storage(Protocol):
    """The files of one mount.

    What begins with `known` is answered at once from what is remembered, or not at all (None); the rest may
    take as long as the site does.
    """

    @property
    def verifier(self) -> bytes:
        """Eight bytes that are others after each start: what was written before may be lost."""

    @property
    def root(self) -> FileId:
        """Give the directory that MNT gives."""

    def known(self, file: FileId) -> Attributes | None:
        """Give attributes, if they are remembered."""

    async def attributes(self, file: FileId) -> Attributes:
        """Give attributes."""

    def known_child(self, directory: FileId, name: bytes) -> Attributes | None:
        """Give what a name stands for, if that is remembered; NotFound: remembered not to be there."""

    async def child(self, directory: FileId, name: bytes) -> Attributes:
        """Give what a name stands for; `.` and `..` too."""

    async def page(self, directory: FileId, cookie: int, verifier: int, most: int) -> Page:
        """Give entries behind a cookie, without `.` and `..`; BadCookie: there is no going on from there."""

    def known_bytes(self, file: FileId, offset: int, count: int) -> list[memoryview] | None:
        """Give bytes, if they are remembered; fewer only at the file's end."""

    async def read(self, file: FileId, offset: int, count: int) -> tuple[list[memoryview], bool]:
        """Give bytes, and whether the file ends with them."""

    async def write(self, file: FileId, offset: int, data: memoryview) -> Attributes:
        """Take bytes, so that no crash of ours loses them; the site needn't have them yet."""

    async def flush(self, file: FileId) -> Attributes:
        """Return when the site has all that was written."""

    async def create(
        self, directory: FileId, name: bytes, changes: Changes, *, exclusive: bytes | None, guarded: bool
    ) -> Attributes:
        """Create a file, or take the one that is there.

        Args:
            directory: Where.
            name: Its name.
            changes: What it shall be like; of one that is there, only the size counts.
            exclusive: The client's verifier: a file that is there is taken only if it was created by it.
            guarded: A file that is there is refused: Exists.
        """

    async def make_directory(self, directory: FileId, name: bytes, changes: Changes) -> Attributes:
        """Make a directory."""

    async def make_link(self, directory: FileId, name: bytes, target: bytes, changes: Changes) -> Attributes:
        """Make a symbolic link; Unsupported where the site has none."""

    async def read_link(self, file: FileId) -> bytes:
        """Give where a symbolic link leads; BadArgument: it is none."""

    async def remove(self, directory: FileId, name: bytes) -> None:
        """Remove a file or a link."""

    async def remove_directory(self, directory: FileId, name: bytes) -> None:
        """Remove an empty directory."""

    async def rename(self, directory: FileId, name: bytes, to_directory: FileId, to_name: bytes) -> None:
        """Give it another name, in place of what had that."""

    async def change(self, file: FileId, changes: Changes) -> Attributes:
        """Change attributes."""

    async def room(self) -> Room:
        """Give how much room there is."""


class Mounts(Protocol):
    """All mounts of a gateway, by their numbers, which stand in handles."""

    @property
    def key(self) -> bytes:
        """The secret that signs handles: the same after a restart."""

    def known(self, mount: int) -> Storage | None:
        """Give a mount's storage, if it is open."""

    async def again(self, mount: int) -> Storage:
        """Open a mount from before a restart; Stale: nobody knows it."""

    async def mount(self, export: bytes, uid: int, gid: int) -> tuple[int, Storage]:
        """Open what MNT names, for somebody."""

    def title(self, mount: int) -> str:
        """Give what may be shown of it: no password. Empty: it is forgotten."""

    def owner(self, mount: int) -> int:
        """Give the uid of whose login it is."""

    def networks(self, mount: int) -> Sequence[str]:
        """Give whose clients may use it, where that isn't as for all."""

    def listed(self) -> Sequence[tuple[bytes, Sequence[str]]]:
        """Give the exports that may be shown to everybody, and their networks, as `networks` does."""
