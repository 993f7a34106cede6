"""A storage in memory: a small, whole file system that stands where a site's storage stands."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from argosy import errors
from argosy.sites.model import Attributes, Changes, Kind, Named, Page, Room

ROOT = 3
ROOM = 1 << 26
"""Bytes in a file, at the most."""


@dataclass
class Node:
    """A file, a directory or a link."""

    kind: Kind
    parent: int
    name: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    ctime_ns: int
    data: bytearray = field(default_factory=bytearray)
    """A file's bytes, or where a link leads."""
    names: dict[bytes, int] = field(default_factory=dict)
    verifier: bytes | None = None
    perm: str | None = None


class Memory:
    """A storage.

    `warm` says whether it remembers what it has, so that a door can answer at once; `trouble` is what a verb
    is refused with; `held` is what a verb waits for first.
    """

    root = ROOT

    def __init__(self, *, uid: int = 1000, gid: int = 1000, warm: bool = True) -> None:
        self.verifier = secrets.token_bytes(8)
        self.uid = uid
        self.gid = gid
        self.warm = warm
        self.trouble: dict[str, Exception] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.called: list[str] = []
        self.flushed: dict[int, bytes] = {}
        """What a site would have."""
        self.listing = 7
        """The verifier of cookies."""
        self.links = True
        self._next = ROOT
        self._clock = time.time_ns()
        self.nodes: dict[int, Node] = {}
        self._packed: dict[int, Attributes] = {}
        self._add(Kind.DIRECTORY, ROOT, b"", Changes(mode=0o755))

    # --- for tests

    def at(self, path: str) -> int:
        """Give the id at a path."""
        node = ROOT
        for name in filter(None, path.encode().split(b"/")):
            node = self.nodes[node].names[name]
        return node

    def put(self, path: str, data: bytes = b"") -> int:
        """Have a file, and the directories on the way to it."""
        *way, name = path.encode().strip(b"/").split(b"/")
        directory = ROOT
        for one in way:
            there = self.nodes[directory].names.get(one)
            directory = there or self._new(Kind.DIRECTORY, directory, one, Changes())
        file = self.nodes[directory].names.get(name) or self._new(Kind.FILE, directory, name, Changes())
        self.nodes[file].data[:] = data
        self._touch(file)
        return file

    def content(self, path: str) -> bytes:
        return bytes(self.nodes[self.at(path)].data)

    def restart(self) -> None:
        """Be a new life of the gateway: the verifier says that what was written may be lost."""
        self.verifier = secrets.token_bytes(8)

    # --- what the door calls

    def known(self, file: int) -> Attributes | None:
        return self._attributes(file) if self.warm and file in self.nodes else None

    async def attributes(self, file: int) -> Attributes:
        await self._begin("attributes")
        self._node(file)
        return self._attributes(file)

    def known_child(self, directory: int, name: bytes) -> Attributes | None:
        if not self.warm or directory not in self.nodes or name in (b".", b".."):
            return None
        return self._attributes(self._child(directory, name))

    async def child(self, directory: int, name: bytes) -> Attributes:
        await self._begin("child")
        if name == b".":
            self._directory(directory)
            return self._attributes(directory)
        if name == b"..":
            return self._attributes(self._directory(directory).parent)
        return self._attributes(self._child(directory, name))

    async def page(self, directory: int, cookie: int, verifier: int, most: int) -> Page:
        await self._begin("page")
        if cookie and verifier != self.listing:
            raise errors.BadCookie
        ids = sorted(file for file in self._directory(directory).names.values() if file > cookie)
        entries = [Named(file, self.nodes[file].name, self._attributes(file)) for file in ids[:most]]
        return Page(entries, self.listing, len(ids) <= most)

    def known_bytes(self, file: int, offset: int, count: int) -> list[memoryview] | None:
        node = self.nodes.get(file)
        if not self.warm or node is None or node.kind is not Kind.FILE:
            return None
        return self._views(node, offset, count)

    async def read(self, file: int, offset: int, count: int) -> tuple[list[memoryview], bool]:
        await self._begin("read")
        node = self._file(file)
        return self._views(node, offset, count), offset + count >= len(node.data)

    async def write(self, file: int, offset: int, data: memoryview) -> Attributes:
        await self._begin("write")
        node = self._file(file)
        _check_room(offset + len(data))
        if offset > len(node.data):
            node.data = node.data + bytes(offset - len(node.data))
        # Not in place: a reader may still look at what was there.
        node.data = node.data[:offset] + data + node.data[offset + len(data) :]
        self._touch(file)
        return self._attributes(file)

    async def flush(self, file: int) -> Attributes:
        await self._begin("flush")
        self.flushed[file] = bytes(self._file(file).data)
        return self._attributes(file)

    async def create(
        self, directory: int, name: bytes, changes: Changes, *, exclusive: bytes | None, guarded: bool
    ) -> Attributes:
        await self._begin("create")
        there = self._directory(directory).names.get(name)
        if there is None:
            _check_room(changes.size or 0)
            file = self._new(Kind.FILE, directory, name, changes)
            self.nodes[file].verifier = exclusive
            if changes.size:
                self.nodes[file].data = bytearray(changes.size)
            return self._attributes(file)
        node = self.nodes[there]
        if guarded or (exclusive and node.verifier != exclusive):
            raise errors.Exists(name)
        if exclusive is None:
            self._file(there)
            if changes.size is not None:
                return await self.change(there, Changes(size=changes.size))
        return self._attributes(there)

    async def make_directory(self, directory: int, name: bytes, changes: Changes) -> Attributes:
        await self._begin("make_directory")
        if name in self._directory(directory).names:
            raise errors.Exists(name)
        return self._attributes(self._new(Kind.DIRECTORY, directory, name, changes))

    async def make_link(self, directory: int, name: bytes, target: bytes, changes: Changes) -> Attributes:
        await self._begin("make_link")
        if not self.links:
            raise errors.Unsupported("SITE SYMLINK")
        if name in self._directory(directory).names:
            raise errors.Exists(name)
        link = self._new(Kind.LINK, directory, name, changes)
        self.nodes[link].data[:] = target
        return self._attributes(link)

    async def read_link(self, file: int) -> bytes:
        await self._begin("read_link")
        if self._node(file).kind is not Kind.LINK:
            raise errors.BadArgument("not a symbolic link")
        return bytes(self._node(file).data)

    async def remove(self, directory: int, name: bytes) -> None:
        await self._begin("remove")
        file = self._child(directory, name)
        if self.nodes[file].kind is Kind.DIRECTORY:
            raise errors.IsADirectory(name)
        self._drop(directory, name)

    async def remove_directory(self, directory: int, name: bytes) -> None:
        await self._begin("remove_directory")
        if self._directory(self._child(directory, name)).names:
            raise errors.NotEmpty(name)
        self._drop(directory, name)

    async def rename(self, directory: int, name: bytes, to_directory: int, to_name: bytes) -> None:
        await self._begin("rename")
        moved = self._child(directory, name)
        there = self._directory(to_directory).names.get(to_name)
        if there == moved:
            return
        above = to_directory
        while above != ROOT:
            if above == moved:
                raise errors.BadArgument("a directory can't be moved into itself")
            above = self.nodes[above].parent
        if there is not None:
            self._replace(moved, there)
            self._drop(to_directory, to_name)
        del self.nodes[directory].names[name]
        self.nodes[to_directory].names[to_name] = moved
        node = self.nodes[moved]
        node.parent, node.name = to_directory, to_name
        for changed in (directory, to_directory):
            self._touch(changed)
        self._touch(moved, content=False)

    def _replace(self, moved: int, there: int) -> None:
        new, old = self.nodes[moved], self.nodes[there]
        if new.kind is Kind.DIRECTORY:
            if old.kind is not Kind.DIRECTORY:
                raise errors.NotADirectory(old.name)
            if old.names:
                raise errors.NotEmpty(old.name)
        elif old.kind is Kind.DIRECTORY:
            raise errors.IsADirectory(old.name)

    async def change(self, file: int, changes: Changes) -> Attributes:
        await self._begin("change")
        node = self._node(file)
        if changes.size is not None:
            node = self._file(file)
            _check_room(changes.size)
            node.data = node.data[: changes.size] + bytes(max(0, changes.size - len(node.data)))
            self._touch(file)
        self._set(node, changes)
        self._touch(file, content=False)
        return self._attributes(file)

    async def room(self) -> Room:
        await self._begin("room")
        return Room(1_000_000, 400_000)

    # --- inside

    async def _begin(self, verb: str) -> None:
        self.called.append(verb)
        if verb in self.held:
            await self.held[verb].wait()
        await asyncio.sleep(0)
        if verb in self.trouble:
            raise self.trouble[verb]

    def _views(self, node: Node, offset: int, count: int) -> list[memoryview]:
        whole = memoryview(node.data)[offset : offset + count]
        half = len(whole) // 2
        return [part for part in (whole[:half], whole[half:]) if part]  # in pieces, as from blocks

    def _node(self, file: int) -> Node:
        try:
            return self.nodes[file]
        except KeyError:
            raise errors.Stale from None

    def _file(self, file: int) -> Node:
        node = self._node(file)
        if node.kind is Kind.DIRECTORY:
            raise errors.IsADirectory
        if node.kind is Kind.LINK:
            raise errors.BadArgument("a symbolic link has no bytes")
        return node

    def _directory(self, file: int) -> Node:
        node = self._node(file)
        if node.kind is not Kind.DIRECTORY:
            raise errors.NotADirectory
        return node

    def _child(self, directory: int, name: bytes) -> int:
        try:
            return self._directory(directory).names[name]
        except KeyError:
            raise errors.NotFound(name) from None

    def _add(self, kind: Kind, parent: int, name: bytes, changes: Changes) -> int:
        file, self._next = self._next, self._next + 1
        mode = 0o755 if kind is Kind.DIRECTORY else 0o644
        node = self.nodes[file] = Node(kind, parent, name, mode, self.uid, self.gid, 0, 0)
        self._touch(file)
        self._set(node, changes)
        return file

    def _new(self, kind: Kind, directory: int, name: bytes, changes: Changes) -> int:
        file = self._add(kind, directory, name, changes)
        self.nodes[directory].names[name] = file
        self._touch(directory)
        return file

    def _set(self, node: Node, changes: Changes) -> None:
        if changes.mode is not None:
            node.mode = changes.mode & 0o7777
        if changes.uid is not None:
            node.uid = changes.uid
        if changes.gid is not None:
            node.gid = changes.gid
        if changes.mtime_ns is not None:
            node.mtime_ns = self._now() if changes.mtime_ns == "now" else changes.mtime_ns

    def _now(self) -> int:
        self._clock = max(self._clock + 1, time.time_ns())
        return self._clock

    def _touch(self, file: int, *, content: bool = True) -> None:
        node = self.nodes[file]
        node.ctime_ns = self._now()
        if content:
            node.mtime_ns = node.ctime_ns
        self._packed.pop(file, None)

    def _drop(self, directory: int, name: bytes) -> None:
        gone = self.nodes[directory].names.pop(name)
        del self.nodes[gone]
        self._packed.pop(gone, None)
        self._touch(directory)

    def _attributes(self, file: int) -> Attributes:
        made = Attributes(
            file=file,
            parent=self.nodes[file].parent,
            kind=self.nodes[file].kind,
            size=len(self.nodes[file].data),
            mode=self.nodes[file].mode,
            uid=self.nodes[file].uid,
            gid=self.nodes[file].gid,
            mtime_ns=self.nodes[file].mtime_ns,
            ctime_ns=self.nodes[file].ctime_ns,
            perm=self.nodes[file].perm,
        )
        known = self._packed.get(file)
        if known != made:  # the same object as long as nothing changed, as a cache has it
            known = self._packed[file] = made
        return known


def _check_room(size: int) -> None:
    if size > ROOM:
        raise errors.NoSpace


class MemoryMounts:
    """The mounts of a gateway: each of these exports is a storage of its own."""

    def __init__(self, *exports: str, key: bytes = b"k" * 32) -> None:
        self.key = key
        self.storages = {number: Memory() for number, _ in enumerate(exports, 1)}
        self.names = {name.encode(): number for number, name in enumerate(exports, 1)}
        self.asleep: set[int] = set()
        """Those that were open before a restart."""
        self.trouble: Exception | None = None
        self.asked: list[tuple[bytes, int, int]] = []
        self.owners: dict[int, int] = {}
        self.only: dict[int, Sequence[str]] = {}

    def __getitem__(self, export: str) -> Memory:
        return self.storages[self.names[export.encode()]]

    def known(self, mount: int) -> Memory | None:
        return None if mount in self.asleep else self.storages.get(mount)

    async def again(self, mount: int) -> Memory:
        await asyncio.sleep(0)
        if mount not in self.storages:
            raise errors.Stale
        self.asleep.discard(mount)
        return self.storages[mount]

    async def mount(self, export: bytes, uid: int, gid: int) -> tuple[int, Memory]:
        self.asked.append((export, uid, gid))
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble
        number = self.names.get(export) or self.names.get(export.rstrip(b"/"))
        if number is None:
            raise errors.NotFound
        return number, self.storages[number]

    def title(self, mount: int) -> str:
        return next((name.decode() for name, number in self.names.items() if number == mount), "?")

    def owner(self, mount: int) -> int:
        return self.owners.get(mount, 1000)

    def networks(self, mount: int) -> Sequence[str]:
        return self.only.get(mount, ())

    def listed(self) -> Sequence[tuple[bytes, Sequence[str]]]:
        return [(name, self.networks(mount)) for name, mount in self.names.items()]
