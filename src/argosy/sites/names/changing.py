"""Changes of a mount's names: files come, go and are called otherwise, on the site and in what is known.

Each is on the site when it is answered, but for a new file: that one is in the journal, and goes there with
its content (docs/decisions/0021).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from argosy.errors import (
    BadArgument,
    Denied,
    Exists,
    IsADirectory,
    NameNotAllowed,
    NotADirectory,
    NotEmpty,
    NotFound,
    Unsupported,
)
from argosy.sites.model import Attributes, Changes, Facts, FileId, Kind, Named
from argosy.sites.names.record import ROOT, Claim, Record
from argosy.sites.names.site import Site
from argosy.sites.names.telling import SECOND
from argosy.sites.names.tree import Off, Tree
from argosy.sites.names.turns import Turns
from argosy.sites.temporary import is_temporary
from argosy.sites.writing.draft import Draft
from argosy.sites.writing.writer import Writer

NAME_LIMIT = 255
"""Bytes. What most file systems take; a command line is bounded, too."""

_IN_NO_NAME = (b"/", b"\r", b"\n", b"\0")
"""`/` ends a name; RFC 959 section 5.3.1: the others end a command, and what comes after would be one."""


class Changing:
    """Changes one mount's names."""

    def __init__(
        self, mount: int, record: Record, site: Site, *, tree: Tree, writer: Writer, off: Off, aside: Off
    ) -> None:
        """Begin.

        Args:
            mount: Its number in the record.
            record: Where ids are kept.
            site: What is changed.
            tree: What is known.
            writer: What isn't on the site yet.
            off: Calls a function in a thread; it may take as long as a site takes.
            aside: Calls a function in a thread; it takes no time worth mentioning.
        """
        self._mount = mount
        self._record = record
        self._site = site
        self._tree = tree
        self._writer = writer
        self._off = off
        self._aside = aside
        self._turns = Turns()

    # --- what comes

    async def create(
        self, directory: FileId, name: bytes, changes: Changes, *, exclusive: bytes | None, guarded: bool
    ) -> tuple[Attributes, bool]:
        """Make a file, or find the one that is there.

        Returns:
            What it is, and whether it was there before.
        """
        check_name(name)
        async with self._turns.of((directory, name)):
            there = await self._find(directory, name)
            if there is not None:
                if exclusive is not None:
                    row = await self._aside(self._record.find, self._mount, there.file)
                    if row is None or row.exclusive != exclusive:
                        raise Exists(name)
                elif guarded or there.kind is not Kind.FILE:
                    raise Exists(name)
                return there, exclusive is None
            await self._may_add(directory, name)
            return await self._begin(directory, name, changes, exclusive), False

    async def _begin(
        self, directory: FileId, name: bytes, changes: Changes, exclusive: bytes | None
    ) -> Attributes:
        """Have a new file in the record and in the journal."""
        mode, mtime_ns = self._mode(changes), resolved(changes.mtime_ns)
        path, draft = await self._aside(self._write_down, directory, name, exclusive, mtime_ns, mode)
        file = draft.file
        facts = Facts(name=name, kind=Kind.FILE, mtime_ns=mtime_ns or time.time_ns(), mode=mode)
        made = self._made(directory, facts, file)
        self._tree.known.pinned.add(file)
        known = self._tree.known.nodes.get(directory)
        if known is not None and known.attributes.perm and "c" in known.attributes.perm:
            self._writer.admit(path)
        try:
            dirty = await self._writer.create(draft, path)
        except BaseException:
            await self._lost(directory, name, file)
            raise
        if file in self._tree.known.pinned:
            return self._tree.known.set(file, replace(made, mtime_ns=dirty.mtime_ns))
        return made

    def _write_down(
        self,
        directory: FileId,
        name: bytes,
        exclusive: bytes | None,
        mtime_ns: int | None,
        mode: int | None,
    ) -> tuple[bytes, Draft]:
        """Give a new file its id and its draft; say where its directory is on the site. Blocks."""
        path = self._tree.path_of(directory)
        file = self._record.mint(self._mount, directory, [(name, Kind.FILE)], exclusive)[name]
        try:
            return path, self._writer.prepare(file, mtime_ns=mtime_ns, mode=mode)
        except BaseException:
            self._record.drop(self._mount, [(file, directory, name)])
            raise

    def _mode(self, changes: Changes) -> int | None:
        """Give the permission bits that are asked for, if the site can set any: else it sets its own."""
        return changes.mode if self._site.sets_modes else None

    async def make_directory(self, directory: FileId, name: bytes, changes: Changes) -> Attributes:
        """Make a directory."""
        check_name(name)
        async with self._turns.of((directory, name)):
            if await self._find(directory, name) is not None:
                raise Exists(name)
            await self._may_add(directory, name)
            path = await self._path(directory, name)
            await self._off(self._site.make_directory, path)
            mode = self._mode(changes)
            if mode is not None and mode & 0o777 != 0o755:
                try:
                    await self._off(self._site.set_mode, path, mode)
                except Unsupported:
                    mode = None
            minted = await self._aside(self._record.mint, self._mount, directory, [(name, Kind.DIRECTORY)])
            facts = Facts(name=name, kind=Kind.DIRECTORY, mtime_ns=time.time_ns(), mode=mode)
            made = self._made(directory, facts, minted[name])
            self._tree.known.empty(made.file)
            self._writer.admit(path)
            return made

    async def make_link(self, directory: FileId, name: bytes, target: bytes) -> Attributes:
        """Make a symbolic link."""
        check_name(name)
        if not target or any(unit in target for unit in _IN_NO_NAME[1:]):
            raise BadArgument(target)
        async with self._turns.of((directory, name)):
            if await self._find(directory, name) is not None:
                raise Exists(name)
            await self._may_add(directory, name)
            await self._off(self._site.make_link, target, await self._path(directory, name))
            minted = await self._aside(self._record.mint, self._mount, directory, [(name, Kind.LINK)])
            facts = Facts(name=name, kind=Kind.LINK, mtime_ns=time.time_ns(), target=target)
            made = self._made(directory, facts, minted[name])
            self._tree.known.targets[made.file] = target
            return made

    def _made(self, directory: FileId, facts: Facts, file: FileId) -> Attributes:
        """Show a new file at once."""
        attributes = replace(self._tree.teller.tell(facts, file, directory), ctime_ns=self._tree.known.tick())
        self._tree.made(Named(file, facts.name, attributes))
        return attributes

    # --- what goes

    async def remove(self, directory: FileId, name: bytes) -> FileId:
        """Remove a file or a link, and say which it was."""
        check_name(name)
        async with self._turns.of((directory, name)):
            there = await self._tree.child(directory, name)
            if there.kind is Kind.DIRECTORY:
                raise IsADirectory(name)
            if await self._writer.forget(there.file):
                await self._off(self._site.delete, await self._path(directory, name))
            await self._lost(directory, name, there.file)
            return there.file

    async def remove_directory(self, directory: FileId, name: bytes) -> None:
        """Remove an empty directory."""
        check_name(name)
        async with self._turns.of((directory, name)):
            there = await self._tree.child(directory, name)
            if there.kind is not Kind.DIRECTORY:
                raise NotADirectory(name)
            await self._see_empty(there.file, name)
            await self._off(self._site.remove_directory, await self._path(directory, name))
            await self._lost(directory, name, there.file)

    async def _see_empty(self, directory: FileId, name: bytes) -> None:
        listing = self._tree.known.fresh_listing(directory)
        if (listing is not None and listing.names) or self._tree.known.inside(directory):
            raise NotEmpty(name)

    async def _lost(self, directory: FileId, name: bytes, file: FileId) -> None:
        """Show that a file is gone at once."""
        self._tree.known.drop(directory, name, file)
        self._tree.known.bump(directory)
        await self._aside(self._record.drop, self._mount, [(file, directory, name)])

    # --- what moves

    async def rename(
        self, directory: FileId, name: bytes, to_directory: FileId, to_name: bytes
    ) -> FileId | None:
        """Give a file another name, and say which one had it, and is gone."""
        check_name(name)
        check_name(to_name)
        async with self._turns.of((directory, name), (to_directory, to_name)):
            file = await self._tree.child(directory, name)
            over = await self._find(to_directory, to_name)
            if over is not None and over.file == file.file:
                return None  # two names of one file: nothing is done, says rename(2)
            await self._see_movable(file, over, to_directory, to_name)
            there: Kind | None = None
            moving = self._dirty_below(file)
            for each in moving:
                await self._writer.flush(each)
            async with contextlib.AsyncExitStack() as held:
                for each in moving:
                    await held.enter_async_context(self._writer.holding(each))
                if over is not None:
                    await held.enter_async_context(self._writer.holding(over.file))
                    dirty = self._writer.dirty(over.file)
                    there = over.kind if dirty is None or dirty.base is not None else None
                old, new = await self._path(directory, name), await self._path(to_directory, to_name)
                await self._off(self._rename, old, new, there)
                await self._aside(self._record.move, self._mount, file.file, to_directory, to_name)
                self._tree.known.move(file.file, to_directory, to_name)
            if over is not None:
                await self._writer.forget(over.file)
            for each in {directory, to_directory}:
                self._tree.known.bump(each)
            return None if over is None else over.file

    def _rename(self, old: bytes, new: bytes, over: Kind | None) -> None:
        self._site.rename(old, new, over=over)

    async def _see_movable(
        self, file: Attributes, over: Attributes | None, to_directory: FileId, to_name: bytes
    ) -> None:
        """See that a file can be called so. RFC 1813 section 3.3.14."""
        if file.kind is Kind.DIRECTORY:
            above = to_directory
            while above != ROOT:
                if above == file.file:
                    raise BadArgument("a directory can't be moved into itself")
                above, _ = await self._tree.place(above)
        if over is None:
            await self._may_add(to_directory, to_name)
        elif over.kind is Kind.DIRECTORY:
            if file.kind is not Kind.DIRECTORY:
                raise IsADirectory(to_name)
            await self._see_empty(over.file, to_name)
        elif file.kind is Kind.DIRECTORY:
            raise NotADirectory(to_name)

    def _dirty_below(self, file: Attributes) -> list[FileId]:
        """Give the files whose uploads a rename would lead astray."""
        pinned = self._tree.known.pinned
        if file.kind is not Kind.DIRECTORY:
            return [file.file] if file.file in pinned else []
        return [one for one in pinned if file.file in self._above(one)]

    def _above(self, file: FileId) -> Iterable[FileId]:
        """Give the directories that a file is in, as far as they are known."""
        nodes = self._tree.known.nodes
        while file != ROOT and (node := nodes.get(file)) is not None:
            file = node.attributes.parent
            yield file

    # --- what a file is like

    async def set_apart(self, file: FileId, changes: Changes) -> Attributes:
        """Set mode and time of a file whose content is on the site."""
        before = await self._tree.attributes(file)
        mode, mtime_ns = changes.mode, resolved(changes.mtime_ns)
        if mode == before.mode or before.kind is Kind.LINK:
            mode = None
        if mode is None and mtime_ns is None:
            return before
        parent, name = await self._tree.place(file)
        path = await self._path(parent, name)
        if mode is not None:
            await self._off(self._site.set_mode, path, mode)
        ctime_ns = self._tree.known.tick()
        after = replace(
            before,
            mode=before.mode if mode is None else mode,
            mtime_ns=before.mtime_ns if mtime_ns is None else mtime_ns,
            ctime_ns=ctime_ns,
        )
        if mtime_ns is not None:
            seen = await self._off(self._set_mtime, path, mtime_ns, before)
            await self._aside(self.claim, (after, seen))
        self._tree.known.changed.pop(file, None)
        return self._tree.known.set(file, after)

    def _set_mtime(self, path: bytes, mtime_ns: int, before: Attributes) -> Facts:
        """Set a time on the site, where it can be set; give what the site tells now."""
        try:
            self._site.set_mtime(path, mtime_ns)
        except (Unsupported, Denied):
            # What the site can't keep the record does, for as long as the file isn't changed.
            seen = self._site.facts(path)
            if seen.mtime_ns is None:  # of a directory, where there is no MLST
                parent, _, name = path.rpartition(b"/")
                seen = next((one for one in self._site.list(parent or b"/") if one.name == name), seen)
            return seen
        return Facts(name=b"", kind=before.kind, size=before.size, mtime_ns=mtime_ns - mtime_ns % SECOND)

    def claim(self, *claims: tuple[Attributes, Facts]) -> None:
        """Write down what clients were told of files, beside what the site tells of each. Blocks."""
        self._record.claim(
            self._mount,
            [
                Claim(told.file, told.mtime_ns, told.ctime_ns, seen.size, seen.mtime_ns)
                for told, seen in claims
            ],
        )

    # --- inside

    async def _find(self, directory: FileId, name: bytes) -> Attributes | None:
        try:
            return await self._tree.child(directory, name)
        except NotFound:
            return None

    async def _may_add(self, directory: FileId, name: bytes) -> None:
        """See that a new name would be taken, as far as the site said: RFC 3659 section 7.5.5, `c`, `m`."""
        if is_temporary(name):
            raise NameNotAllowed(name)
        known = self._tree.known.nodes.get(directory)
        perm = None if known is None else known.attributes.perm
        if perm and not set("cm") & set(perm):
            raise Denied(name)

    async def _path(self, directory: FileId, name: bytes) -> bytes:
        path: bytes = await self._aside(self._tree.path_in, directory, name)
        return path


def check_name(name: bytes) -> None:
    """See that a name can be one.

    Raises:
        NameNotAllowed: It can't.
    """
    if not can_be_name(name):
        raise NameNotAllowed(name[:NAME_LIMIT])


def can_be_name(name: bytes) -> bool:
    """Whether something in a directory can be called so, and the name put into a command."""
    if name in (b"", b".", b"..") or len(name) > NAME_LIMIT:
        return False
    return not any(unit in name for unit in _IN_NO_NAME)


def resolved(mtime_ns: int | Literal["now"] | None) -> int | None:
    """Give the time that is meant."""
    return time.time_ns() if mtime_ns == "now" else mtime_ns
