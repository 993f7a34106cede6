"""One NFS call on its way through: who asks, which mount, and what is told of files beside the answer."""

from __future__ import annotations

import fnmatch
import re
import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Self, TypeVar

from argosy import errors
from argosy.doors.nfs import rights
from argosy.doors.nfs.handles import Handles
from argosy.doors.nfs.statuses import Failure
from argosy.doors.nfs.storage import Mounts, Storage
from argosy.sites.model import Attributes, FileId
from argosy.wire.nfs import nfs3
from argosy.wire.nfs.nfs3 import Status
from argosy.wire.nfs.rpc import Credential

PACKED_KEPT = 65_536
"""Files whose packed attributes are remembered: some 20 MB."""

_T = TypeVar("_T")

Place = tuple[int, FileId]
"""A mount and a file of it."""


class House:
    """What all calls share."""

    def __init__(self, mounts: Mounts, unwanted: Sequence[str] = ()) -> None:
        """Begin with nobody in it.

        Args:
            mounts: All there are.
            unwanted: Patterns, as shells have them, of names that aren't made.
        """
        self.mounts = mounts
        self.unwanted = (
            re.compile(b"|".join(fnmatch.translate(one).encode() for one in unwanted)) if unwanted else None
        )
        self.handles = Handles(mounts.key)
        self.changing: dict[Place, list[Changing]] = {}
        """What is being changed now."""
        self.check: Callable[[str, int], None] = lambda _host, _mount: None
        """Says whether a client may use a mount; Denied."""
        self.let_in: set[tuple[str, int]] = set()
        """Who may, as far as it was asked."""
        self._packed: dict[Place, tuple[Attributes, bytes]] = {}

    def pack(self, mount: int, attributes: Attributes) -> bytes:
        """Give `fattr3`; the same object isn't packed twice."""
        place = mount, attributes.file
        known = self._packed.get(place)
        if known is not None and known[0] is attributes:
            return known[1]
        packed = nfs3.pack_attributes(
            kind=attributes.kind.value,
            mode=attributes.mode,
            links=attributes.links,
            uid=attributes.uid,
            gid=attributes.gid,
            size=attributes.size,
            used=attributes.size,
            filesystem=mount,
            file=attributes.file,
            atime_ns=attributes.mtime_ns,
            mtime_ns=attributes.mtime_ns,
            ctime_ns=attributes.ctime_ns,
        )
        if len(self._packed) >= PACKED_KEPT:
            self._packed.clear()
        self._packed[place] = attributes, packed
        return packed


class Visit:
    """One call."""

    __slots__ = ("again", "files", "host", "house", "mount", "ours", "storage", "who")

    storage: Storage

    def __init__(self, house: House, host: str, who: Credential | None, *, again: bool = False) -> None:
        """Begin it; `enter` comes next.

        Args:
            house: What it shares with others.
            host: Where it comes from.
            who: Who asks.
            again: A gateway that was killed had begun this change: maybe it is made.
        """
        self.house = house
        self.again = again
        self.host = host
        self.who = who
        self.mount = 0
        self.ours = False
        """It is root, or whose login it is: what they may not, the site refuses."""
        self.files: list[FileId] = []
        """Those whose handles came, in their order."""

    async def enter(self, handle: bytes) -> FileId:
        """Read a handle that came, and find its storage.

        Raises:
            BadHandle: It isn't ours.
            Failure: It is of another mount than the one before it in the same call: XDEV.
            Denied: The mount isn't for this client's network.
            Stale: Its mount is gone.
            Unavailable: Its mount can't be opened again now.
        """
        mount, file = self.house.handles.read(handle)
        if mount != self.mount:
            if self.files:
                raise Failure(Status.XDEV)
            storage = self.house.mounts.known(mount)
            if storage is None:
                await aside()
                storage = await self.house.mounts.again(mount)
            if (self.host, mount) not in self.house.let_in:
                self.house.check(self.host, mount)
                self.house.let_in.add((self.host, mount))
            self.mount, self.storage = mount, storage
            who = self.who
            self.ours = who is not None and (not who.uid or who.uid == self.house.mounts.owner(mount))
        self.files.append(file)
        return file

    async def attributes(self, file: FileId) -> Attributes:
        """Give a file's attributes, at once if they are known."""
        known = self.storage.known(file)
        if known is None:
            await aside()
            known = await self.storage.attributes(file)
        return known

    async def demand(self, file: FileId, access: int) -> None:
        """See that whoever asks may do this; Denied."""
        if not self.ours:
            self.demand_of(await self.attributes(file), access)

    def demand_of(self, attributes: Attributes, access: int) -> None:
        """See that whoever asks may do this with a file that is known; Denied."""
        if self.may(attributes) & access != access:
            raise errors.Denied

    def may(self, attributes: Attributes) -> int:
        """Give all that whoever asks may do with a file."""
        return rights.allowed(attributes, self.who, ours=self.ours)

    def owns(self, attributes: Attributes) -> bool:
        """Say whether whoever asks may change mode and times."""
        return self.ours or (self.who is not None and self.who.uid == attributes.uid)

    @property
    def title(self) -> str:
        """Say which mount it is about, as far as it came."""
        return self.house.mounts.title(self.mount) if self.files else self.host

    # --- what is told

    def handle(self, file: FileId) -> bytes:
        """Give a file's handle."""
        return self.house.handles.make(self.mount, file)

    def pack(self, attributes: Attributes) -> bytes:
        """Give `fattr3`."""
        return self.house.pack(self.mount, attributes)

    def told(self, file: FileId) -> bytes | None:
        """Give `fattr3` if it is known; None: it isn't told."""
        known = self.storage.known(file)
        return None if known is None else self.house.pack(self.mount, known)

    def told_of(self, index: int) -> bytes | None:
        """Give `fattr3` of a file whose handle came, even if all else failed."""
        return self.told(self.files[index]) if index < len(self.files) else None


class Changing:
    """One file or directory, before and after an operation: `with Changing(visit, file) as change`.

    What it was before is told only if no other operation of ours ran at the same time: then the client knows
    that it alone changed it, and keeps what it has cached. RFC 1813 section 1.5, "weak cache consistency".
    """

    __slots__ = ("_before", "_file", "_place", "_visit", "alone")

    def __init__(self, visit: Visit, file: FileId) -> None:
        self._visit = visit
        self._file = file
        self._place = visit.mount, file
        self._before: Attributes | None = None
        self.alone = True
        """No other operation touched it meanwhile."""

    def __enter__(self) -> Self:
        """Remember it as it is."""
        others = self._visit.house.changing.setdefault(self._place, [])
        for other in others:
            other.alone = False
        self.alone = not others
        others.append(self)
        self._before = self._visit.storage.known(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        others = self._visit.house.changing[self._place]
        others.remove(self)
        if not others:
            del self._visit.house.changing[self._place]

    def wcc(self) -> bytes:
        """Give `wcc_data`, after the operation."""
        before = None
        if self.alone and self._before is not None:
            before = nfs3.pack_before(self._before.size, self._before.mtime_ns, self._before.ctime_ns)
        return nfs3.wcc(before, self._visit.told(self._file))


@types.coroutine
def aside() -> Generator[None]:
    """Say that what follows may wait for somebody: from here on a call runs as a task of its own.

    Until then it runs without one, so what is known is answered on the spot. Who runs a procedure steps it
    once by hand (`server.NfsDoor.answer`); that step ends here, or at its end.
    """
    yield


@types.coroutine
def going_on(work: Coroutine[Any, Any, _T]) -> Generator[Any, Any, _T]:
    """Make work that was stepped to its `aside` awaitable again: `await` takes only fresh coroutines."""
    answer: _T = yield from work
    return answer
