"""A site as storage: one mount of it, as the NFS door sees it.

It joins what is known of names (`tree`), what was read (`reading`), what was written and isn't on the site
yet (`writing`), and the site's sessions (`pool`). What is known is answered at once; all else waits in
threads of this mount's own, so that a site which is away holds up nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
import secrets
import time
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace

from argosy import config
from argosy.errors import (
    BadArgument,
    Changed,
    Failed,
    IsADirectory,
    NotFound,
    Stale,
    Unsupported,
)
from argosy.sites.model import Address, Attributes, Changes, Facts, FileId, Kind, Named, Page, Room, Version
from argosy.sites.names import owners
from argosy.sites.names.changing import Changing, can_be_name, resolved
from argosy.sites.names.claims import Claims
from argosy.sites.names.record import ROOT, Record
from argosy.sites.names.site import Site
from argosy.sites.names.telling import Teller, as_seen_from
from argosy.sites.names.tree import Tree
from argosy.sites.reading.blocks import BlockCache
from argosy.sites.reading.reader import Reader
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.pool import Pool
from argosy.sites.threads import Threads
from argosy.sites.writing.draft import Dirty
from argosy.sites.writing.space import Space
from argosy.sites.writing.writer import Writer

log = logging.getLogger(__name__)

_TEND_SECONDS = 2.0
"""How often sessions that nobody needs are looked for."""
_TRIES = 3
"""How often a file is asked for anew that changes while it is read."""
_BEING_MADE = 1_000
"""Files that are being made at the same time, at the most."""
_ROOM_SECONDS = 10.0
"""How long it is believed how much room a site has."""


class Storage:
    """One mount."""

    verifier: bytes
    """Of writes: 8 bytes, others with every start. A client that sees new ones sends again what it has not
    committed. RFC 1813 section 3.3.7."""
    root: FileId = ROOT

    def __init__(self, mount: int, record: Record, address: Address, settings: config.Gateway) -> None:
        """Not for others: `open` makes one."""
        self.verifier = secrets.token_bytes(8)
        self._mount = mount
        self._record = record
        self._settings = settings.remote
        self._journal = settings.journal
        self._dialect = Dialect()
        self._pool: Pool[Client] = Pool(
            lambda: Client(address, settings.remote, self._dialect), settings.remote
        )
        self._site = Site(self._pool, self._dialect, settings.remote.away_seconds)
        self._threads = Threads(f"mount-{mount}", settings.remote.connections + 2)
        self._off, self._aside = self._threads.off, self._threads.aside
        self._tending: asyncio.TimerHandle | None = None
        self._room: tuple[float, Room] = -_ROOM_SECONDS, Room(None, None)
        self._made_exclusively: dict[FileId, bool] = {}
        """Files of which the client hasn't told yet what they are to be like."""
        self._claims = Claims(lambda *told: self._aside(self._changing.claim, *told), self._settle)
        self._tree: Tree
        self._reader: Reader
        self._writer: Writer
        self._changing: Changing

    @classmethod
    async def open(
        cls,
        mount: int,
        address: Address,
        uid: int,
        gid: int,
        *,
        record: Record,
        settings: config.Gateway,
        blocks: BlockCache,
        space: Space,
        journal: Path,
    ) -> Self:
        """Log in, and take up what was written before and isn't on the site yet.

        Args:
            mount: Its number in the record.
            address: Where the site is, and who we are there.
            uid: Owns what our login has there.
            gid: Likewise.
            record: What handles mean.
            settings: The gateway's.
            blocks: What was read of all mounts.
            space: What may lie in all journals.
            journal: The directory of this mount's journal.

        Raises:
            LoginFailed, NotFound, Unavailable, Untrusted, Unsupported: As logging in goes.
        """
        storage = cls(mount, record, address, settings)
        try:
            await storage._begin(address, (uid, gid), blocks, space, journal)
        except BaseException:
            storage._pool.close()
            storage._threads.close()
            raise
        return storage

    async def _begin(
        self, address: Address, owner: tuple[int, int], blocks: BlockCache, space: Space, journal: Path
    ) -> None:
        learned = await self._aside(self._record.learned, self._mount)
        home = await self._off(self._site.home, self._settings.mount_seconds)
        if home != learned.home:
            await self._aside(self._learn_home, home)
        ours = {address.user.encode(errors="surrogateescape"), learned.owner} - {None}
        self._tree = Tree(
            self._mount,
            self._record,
            self._site,
            teller=Teller(
                *owner, frozenset(filter(None, ours)), learned.born_ns, owners.find_uid, owners.find_gid
            ),
            settings=self._settings,
            off=self._off,
            aside=self._aside,
        )
        self._tree.home = home
        self._reader = Reader(self._pool, blocks.shelf(str(self._mount)), self._settings)
        self._writer = Writer(
            self._pool,
            directory=str(journal),
            path_of=self._tree.path_of,
            done=self._done,
            settings=self._journal,
            space=space,
            give_way=self._reader.give_way,
        )
        await self._writer.open()
        self._changing = Changing(
            self._mount,
            self._record,
            self._site,
            tree=self._tree,
            writer=self._writer,
            off=self._off,
            aside=self._aside,
        )
        for file in self._writer.files():
            await self._take_up(file)
        self._tend_later()

    def _learn_home(self, home: bytes) -> None:
        self._record.learn(self._mount, home=home)

    async def _take_up(self, file: FileId) -> None:
        """Show a file that the journal has from before, if there still is one."""
        row = await self._aside(self._record.find, self._mount, file)
        dirty = self._writer.dirty(file)
        if row is None:
            log.warning("file %d is gone, and so is what was written to it", file)
            await self._writer.forget(file)
        elif dirty is not None:
            facts = Facts(
                name=row.name, kind=Kind.FILE, size=dirty.size, mtime_ns=dirty.mtime_ns, mode=dirty.mode
            )
            self._tree.known.pinned.add(file)
            attributes = self._tree.teller.tell(facts, file, row.parent, row)
            self._tree.known.put(Named(file, row.name, replace(attributes, mtime_ns=dirty.mtime_ns)))

    async def close(self) -> None:
        """End what runs, in order; what can't be brought to the site in time stays in the journal."""
        if self._tending is not None:
            self._tending.cancel()
        await self._writer.close()
        await self._claims.written()
        await asyncio.to_thread(self._reader.close)
        self._pool.close()
        self._threads.close()

    def stirred(self) -> bool:
        """Say whether it worked for anybody since this was asked last, or still has something to do."""
        return self._threads.stirred() or self._pool.busy or bool(self._writer.files())

    async def unsent(self, seconds: float = 0.0) -> list[str]:
        """Give the files that the site hasn't got yet, after trying for so long to bring them there."""
        if seconds and (files := self._writer.files()):
            flushing = [asyncio.ensure_future(self._writer.flush(file)) for file in files]
            _, late = await asyncio.wait(flushing, timeout=seconds)
            for one in late:
                one.cancel()  # the upload goes on, only nobody waits for it
            await asyncio.gather(*flushing, return_exceptions=True)
        return [self._called(file) for file in self._writer.files()]

    def report(self) -> dict[str, Any]:
        """Tell how it is: for `argosy sites`."""
        pool, reading, writing = self._pool.report(), self._reader.report(), self._writer.report()
        return {
            "server": self._dialect.greeting,
            "state": "away" if pool.away_seconds else "here",
            "away_seconds": pool.away_seconds,
            "connections": pool.connections,
            "busy": pool.busy,
            "most_connections": pool.limit,
            "logins": pool.logins,
            "trouble": pool.trouble,
            "listings": self._tree.listings,
            "asked_bytes": reading.asked,
            "cached_bytes": reading.from_cache,
            "fetched_bytes": reading.fetched,
            "heads": reading.heads,
            "dirty_files": writing.files,
            "dirty_bytes": writing.bytes,
            "sent_bytes": writing.sent_bytes,
            "uploads": [
                {
                    "path": moving.path.decode(errors="backslashreplace"),
                    "sent": moving.sent,
                    "size": moving.size,
                }
                for moving in writing.moving
            ],
            "refused": [{"path": self._called(file), "why": why} for file, why in writing.trouble],
        }

    def _called(self, file: FileId) -> str:
        return (self._tree.name(file) or b"?").decode(errors="backslashreplace")

    # --- what is known at once

    def known(self, file: FileId) -> Attributes | None:
        """Give a file's attributes if they are known and not too old; None: ask `attributes`."""
        return self._tree.known.fresh(file)

    def known_child(self, directory: FileId, name: bytes) -> Attributes | None:
        """Give what a name stands for if that is known and not too old; None: ask `child`.

        Raises:
            NotFound: It is known that it stands for nothing.
        """
        return self._tree.known.fresh_child(directory, name)

    def known_bytes(self, file: FileId, offset: int, count: int) -> list[memoryview] | None:
        """Give bytes of a file, up to its end, if they are in memory and not too old; None: `read` them."""
        if self._writer.dirty(file) is not None:
            return None
        attributes = self._tree.known.fresh(file)
        if attributes is None or attributes.kind is not Kind.FILE:
            return None
        if offset >= attributes.size:
            return []
        return self._reader.known(_version(attributes), offset, count)

    # --- looking

    async def attributes(self, file: FileId) -> Attributes:
        """Give a file's attributes.

        Raises:
            Stale: It is gone.
            Refused: The site is in trouble.
        """
        return await self._tree.attributes(file)

    async def child(self, directory: FileId, name: bytes) -> Attributes:
        """Give what a name stands for, `.` and `..` too.

        Raises:
            NotFound: Nothing.
            NotADirectory, Stale: There are no names below this.
            Refused: The site is in trouble.
        """
        if name not in (b".", b"..") and not can_be_name(name):
            await self._tree.see_directory(directory)
            raise NotFound(name)
        return await self._tree.child(directory, name)

    async def page(self, directory: FileId, cookie: int, verifier: int, most: int) -> Page:
        """Give a part of a directory, from behind a cookie on; those are never lost, whatever the verifier.

        Raises:
            NotADirectory, Stale: There are no names below this.
            Refused: The site is in trouble.
        """
        del verifier
        return await self._tree.page(directory, cookie, most)

    async def read_link(self, file: FileId) -> bytes:
        """Give where a symbolic link leads.

        Raises:
            BadArgument: It is none.
            Unsupported: The site doesn't tell.
        """
        attributes = await self._tree.attributes(file)
        if attributes.kind is not Kind.LINK:
            raise BadArgument("no symbolic link")
        target = self._tree.known.targets.get(file)
        if target is None:
            target = self._tree.known.targets[file] = await self._off(self._read_link, file)
        return target

    def _read_link(self, file: FileId) -> bytes:
        path = self._tree.path_of(file)
        return as_seen_from(posixpath.dirname(path), self._site.read_link(path), self._tree.home)

    async def room(self) -> Room:
        """Say how much room the site has."""
        asked, room = self._room
        if time.monotonic() - asked < _ROOM_SECONDS:
            return room
        told: Room = await self._off(self._site.room)
        self._room = time.monotonic(), told
        return told

    # --- content

    async def read(self, file: FileId, offset: int, count: int) -> tuple[list[memoryview], bool]:
        """Read bytes, and say whether the file ends with them.

        Raises:
            IsADirectory, BadArgument: There are no bytes.
            Stale: It is gone.
            Refused: The site is in trouble.
        """
        for _ in range(_TRIES):
            attributes = await self._tree.attributes(file)
            _see_file(attributes)
            try:
                written = await self._writer.read(file, offset, count, self._read_base)
                if written is not None:
                    return written
                if offset >= attributes.size:
                    return [], True
                pieces = await self._read_base(_version(attributes), offset, count)
            except (Changed, NotFound) as refused:
                log.debug("file %d is asked for anew: %s", file, refused)
                self._tree.known.doubt(file)
            else:
                return pieces, offset + count >= attributes.size
        raise Failed("the file changes all the time")

    async def _read_base(self, version: Version, offset: int, count: int) -> list[memoryview]:
        return await self._reader.read(version, lambda: self._tree.path_of(version.file), offset, count)

    async def write(self, file: FileId, offset: int, data: bytes | memoryview) -> Attributes:
        """Take bytes into the journal; they are on the site with the next `flush`.

        Raises:
            IsADirectory, BadArgument: It can't be written to.
            Stale: It is gone.
            NoSpace: There is no room left, here or there.
            Refused: What the site said of what was written before.
        """
        attributes = await self._tree.attributes(file)
        _see_file(attributes)
        return self._written(attributes, await self._writer.write(file, _version(attributes), offset, data))

    async def flush(self, file: FileId) -> Attributes:
        """Return when the site has all that was written.

        Raises:
            Stale: It is gone.
            NoSpace, OverQuota, Denied ...: The site doesn't take it.
            Unavailable: It is away; what was written is kept, and brought there when it is back.
        """
        await self._writer.flush(file)
        return await self._tree.attributes(file)

    # --- names

    async def create(
        self,
        directory: FileId,
        name: bytes,
        changes: Changes,
        *,
        exclusive: bytes | None = None,
        guarded: bool = False,
    ) -> Attributes:
        """Make a file, which is on the site with its first `flush`, or a moment later.

        Args:
            directory: Where.
            name: How it is called.
            changes: What it is to be like; if it is there already, its size alone.
            exclusive: The client's mark of this creation: who made it before with the same made this one.
            guarded: It may not be there already.

        Raises:
            Exists: It is there already.
            NameNotAllowed, NotADirectory, Stale, Denied, NoSpace: It can't be made.
        """
        made, existed = await self._changing.create(
            directory, name, changes, exclusive=exclusive, guarded=guarded
        )
        if exclusive is not None:
            self._made_exclusively[made.file] = True
            if len(self._made_exclusively) > _BEING_MADE:
                self._made_exclusively.pop(next(iter(self._made_exclusively)))
        if changes.size is None or made.size == changes.size or (exclusive is not None and existed):
            return made
        return await self.change(made.file, Changes(size=changes.size))

    async def make_directory(self, directory: FileId, name: bytes, changes: Changes) -> Attributes:
        """Make a directory.

        Raises:
            Exists, NameNotAllowed, NotADirectory, Stale, Denied, NoSpace: It can't be made.
        """
        return await self._changing.make_directory(directory, name, changes)

    async def make_link(self, directory: FileId, name: bytes, target: bytes, changes: Changes) -> Attributes:
        """Make a symbolic link; it has no mode nor time of its own.

        Raises:
            Unsupported: The site can't.
            Exists, NameNotAllowed, NotADirectory, Stale, Denied: It can't be made.
        """
        del changes
        return await self._changing.make_link(directory, name, target)

    async def remove(self, directory: FileId, name: bytes) -> None:
        """Remove a file or a link.

        Raises:
            NotFound, IsADirectory, NotADirectory, Stale, Denied: It can't be removed.
        """
        self._reader.forget(await self._changing.remove(directory, name))

    async def remove_directory(self, directory: FileId, name: bytes) -> None:
        """Remove an empty directory.

        Raises:
            NotFound, NotADirectory, NotEmpty, Stale, Denied: It can't be removed.
        """
        await self._changing.remove_directory(directory, name)

    async def rename(self, directory: FileId, name: bytes, to_directory: FileId, to_name: bytes) -> None:
        """Give a file another name, or another directory; what is there goes, if it is alike.

        Raises:
            NotFound, NotADirectory, IsADirectory, NotEmpty, Stale, Denied, BadArgument: It can't be.
        """
        gone = await self._changing.rename(directory, name, to_directory, to_name)
        if gone is not None:
            self._reader.forget(gone)

    async def change(self, file: FileId, changes: Changes) -> Attributes:
        """Set size, mode and time of a file.

        Raises:
            Unsupported: The site can't do it: change a mode, or give a file to somebody.
            IsADirectory, BadArgument: It has no size to set.
            Stale, Denied, NoSpace: It can't be changed.
        """
        attributes = await self._tree.attributes(file)
        if (changes.uid not in (None, attributes.uid)) or (changes.gid not in (None, attributes.gid)):
            raise Unsupported("a site's files belong to whom the site says")
        if changes.size is not None:
            _see_file(attributes)
            if changes.size != attributes.size or file in self._tree.known.pinned:
                attributes = self._written(
                    attributes, await self._writer.truncate(file, _version(attributes), changes.size)
                )
        mtime_ns, mode = resolved(changes.mtime_ns), changes.mode
        if mode is not None and mode & 0o7777 == attributes.mode:
            mode = None
        new = self._is_new(file)
        if mode is not None and not self._site.sets_modes:
            if not new:
                raise Unsupported("the site can't set modes")
            mode = None
        if mtime_ns is None and mode is None:
            return attributes
        if await self._writer.want(file, mtime_ns=mtime_ns, mode=mode):
            dirty = self._writer.dirty(file)
            if dirty is not None:
                return self._written(attributes if mode is None else replace(attributes, mode=mode), dirty)
        await self._claims.written()
        try:
            return await self._changing.set_apart(file, Changes(mode=mode, mtime_ns=mtime_ns))
        except Unsupported:
            if not new:
                raise
            return await self._changing.set_apart(file, Changes(mtime_ns=mtime_ns))

    def _is_new(self, file: FileId) -> bool:
        """Whether a file is just being made: an EXCLUSIVE creation tells mode and time by this change only.

        Where the site can't set modes it isn't refused, or no file could be made. RFC 1813 section 3.3.8.
        """
        made = self._made_exclusively.pop(file, False)
        dirty = self._writer.dirty(file)
        return made or (dirty is not None and dirty.base is None)

    # --- inside

    def _written(self, before: Attributes, dirty: Dirty) -> Attributes:
        """Show at once what was written."""
        file, known = before.file, self._tree.known
        now = known.nodes.get(file)
        if now is None:
            raise Stale
        known.pinned.add(file)
        after = replace(
            now.attributes,
            size=dirty.size,
            mtime_ns=dirty.mtime_ns,
            mode=before.mode,
            ctime_ns=known.tick(),
        )
        known.set(file, after)
        if self._writer.dirty(file) is None:  # it became what the site has, as by a second truncation
            known.pinned.discard(file)
            known.doubt(file)
        return after

    def _done(self, file: FileId, facts: Facts | None) -> None:
        """Hear from the writer what the site has now, right before the file stops being dirty."""
        self._reader.forget(file)
        node = self._tree.known.nodes.get(file)
        if facts is None or node is None:
            asyncio.get_running_loop().call_soon(self._settle, file, None)
            return
        # What clients were told is written down first: a listing may come that shows the file as it was, too.
        self._claims.add(node.attributes, facts)

    def _settle(self, file: FileId, facts: Facts | None) -> None:
        """Believe the site again, but for the times that clients were told."""
        if self._writer.dirty(file) is not None:
            return  # it was changed again
        known = self._tree.known
        known.pinned.discard(file)
        node = known.nodes.get(file)
        if facts is None or node is None or facts.size != node.attributes.size:
            known.doubt(file)
        else:
            known.set(file, node.attributes)

    def _tend_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._tending = loop.call_later(_TEND_SECONDS, self._tend)

    def _tend(self) -> None:
        """Give back what nobody needs."""
        pinned = self._tree.known.pinned
        for file in [one for one in pinned if self._writer.dirty(one) is None]:
            pinned.discard(file)
        self._threads.tend(self._tend_sessions).add_done_callback(lambda _: self._tend_later())

    def _tend_sessions(self) -> None:
        self._reader.tend()
        self._pool.tend()


def _version(attributes: Attributes) -> Version:
    return Version(attributes.file, attributes.size, attributes.mtime_ns)


def _see_file(attributes: Attributes) -> None:
    if attributes.kind is Kind.DIRECTORY:
        raise IsADirectory
    if attributes.kind is not Kind.FILE:
        raise BadArgument("a symbolic link has no bytes")
