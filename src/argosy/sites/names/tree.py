"""A mount's names and what is told of them, asked of the site where what is known is too old.

What asks the site or the record runs in threads. A listing is made ready there, too, so that one of 100,000
names doesn't hold up the loop, and many who ask for the same share it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from msgspec.structs import replace

from argosy import config
from argosy.errors import Denied, NotADirectory, NotFound, Refused, Stale
from argosy.sites.model import Attributes, Facts, FileId, Kind, Named, Page
from argosy.sites.names.known import Brought, Known, Listing
from argosy.sites.names.record import ROOT, Record, Row
from argosy.sites.names.telling import Teller, as_seen_from
from argosy.sites.temporary import is_leftover, is_temporary

log = logging.getLogger(__name__)

_TAUGHT_BY = 1_000
"""Files of ours that are looked for in listings, to learn what the site calls us, at the most."""

_TRIES = 3
"""A file that was moved while its directory was listed is looked for where it is now."""

Off = Callable[..., asyncio.Future[Any]]
"""Calls a function in a thread."""


class Site(Protocol):
    """What is asked of a site here; it blocks. Paths are absolute."""

    def list(self, path: bytes) -> list[Facts]:
        """List a directory. NotFound, Denied, Unavailable ..."""
        ...

    def facts(self, path: bytes) -> Facts:
        """Say what a name stands for. NotFound, Denied, Unavailable ..."""
        ...

    def delete(self, path: bytes) -> None:
        """Remove a file. Denied, Unavailable ..."""
        ...

    @property
    def tells_singly(self) -> bool:
        """Whether it can say that a name isn't there without listing its directory."""
        ...


class Tree:
    """The names of one mount."""

    def __init__(
        self,
        mount: int,
        record: Record,
        site: Site,
        *,
        teller: Teller,
        settings: config.Remote,
        off: Off,
        aside: Off,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know nothing yet but the root.

        Args:
            mount: Its number in the record.
            record: Where ids come from.
            site: Where names come from.
            teller: Says whose files are.
            settings: Times to live, and how much is kept.
            off: Calls a function in a thread; it may take as long as a site takes.
            aside: Calls a function in a thread; it takes no time worth mentioning.
            clock: Seconds, rising.
        """
        self._mount = mount
        self._record = record
        self._site = site
        self.teller = teller
        self._off = off
        self._aside = aside
        self._large = settings.large_directory
        self._leftover_ns = int(settings.leftover_seconds * 1e9)
        self.home = b"/"
        """Where the mount begins, absolute on the site; to be set before anything is asked."""
        root = teller.tell(Facts(name=b"", kind=Kind.DIRECTORY), ROOT, ROOT)
        self.known = Known(root, seconds=settings.listing_seconds, entries=settings.listed_names, clock=clock)
        self._listing: dict[FileId, asyncio.Future[Listing]] = {}
        self._made: set[FileId] = set()
        """Files of ours that no listing has shown yet: their owner there is our login."""
        self.listings = 0
        """How often the site was asked for one."""

    # --- what a handle means

    def name(self, file: FileId) -> bytes | None:
        """Give a file's name if it is known here."""
        node = self.known.nodes.get(file)
        return None if node is None else node.name

    async def place(self, file: FileId) -> tuple[FileId, bytes]:
        """Give a file's directory and name.

        Raises:
            Stale: It is gone.
        """
        node = self.known.nodes.get(file)
        if node is not None:
            return node.attributes.parent, node.name
        row: Row | None = await self._aside(self._record.find, self._mount, file)
        if row is None:
            raise Stale
        return row.parent, row.name

    def path_of(self, file: FileId) -> bytes:
        """Give where a file is now, absolute on the site. Blocks: for threads.

        Raises:
            Stale: It is gone.
        """
        names = [name for _, name in self._record.way(self._mount, file)]
        return b"/".join([self.home.rstrip(b"/"), *names]) or b"/"

    def path_in(self, directory: FileId, name: bytes) -> bytes:
        """Give where a name of a directory is, absolute on the site. Blocks: for threads.

        Raises:
            Stale: The directory is gone.
        """
        return self.path_of(directory).rstrip(b"/") + b"/" + name

    # --- asking

    async def attributes(self, file: FileId) -> Attributes:
        """Give a file's attributes, asking the site where they are too old.

        Raises:
            Stale: It is gone.
            Refused: The site can't be asked.
        """
        known = self.known.fresh(file)
        if known is not None:
            return known
        if file == ROOT or (file in self.known.listings and file in self.known.nodes):
            await self._list_still(file)
            node = self.known.nodes.get(file)
            if node is None:
                raise Stale
            return node.attributes
        for _ in range(_TRIES):
            place = await self.place(file)
            try:
                found = await self._ask(*place)
            except NotFound:
                found = None
            if found is not None and found.file == file:
                return found
            if await self.place(file) == place:
                break
        raise Stale

    async def child(self, directory: FileId, name: bytes) -> Attributes:
        """Give what a name stands for, `.` and `..` too, asking the site where it isn't known.

        Raises:
            NotFound: Nothing.
            NotADirectory: There are no names below this.
            Stale: The directory is gone.
            Refused: The site can't be asked.
        """
        if name in (b".", b".."):
            inside = await self.attributes(directory)
            if inside.kind is not Kind.DIRECTORY:
                raise NotADirectory
            return inside if name == b"." else await self.attributes(inside.parent)
        known = self.known.fresh_child(directory, name)
        if known is not None:
            return known
        await self.see_directory(directory)
        return await self._ask(directory, name)

    async def kind(self, file: FileId) -> Kind:
        """Give what a file is; that never changes.

        Raises:
            Stale: It is gone.
        """
        node = self.known.nodes.get(file)
        if node is not None:
            return node.attributes.kind
        row: Row | None = await self._aside(self._record.find, self._mount, file)
        if row is None:
            raise Stale
        return Kind(row.kind)

    async def see_directory(self, file: FileId) -> None:
        """See that a handle is one of a directory.

        Raises:
            NotADirectory: It is of something else.
            Stale: It is gone.
        """
        if await self.kind(file) is not Kind.DIRECTORY:
            raise NotADirectory

    async def page(self, directory: FileId, cookie: int, most: int) -> Page:
        """Give a part of a directory, from behind a place on.

        A page that isn't the first goes on in what is known, however old: all pages are of one listing.

        Raises:
            NotADirectory: It is none.
            Stale: It is gone.
            Refused: The site can't be asked.
        """
        await self.see_directory(directory)
        listing = self.known.listings.get(directory)
        if listing is None or not cookie:
            listing = await self._list_still(directory)
        return self.known.page(directory, listing, cookie, most)

    async def listing(self, directory: FileId) -> Listing:
        """List a directory, whatever is known of it; who asks while that goes on gets the same answer.

        Raises:
            NotFound: The site doesn't have it.
            Stale: It is gone.
            Refused: The site can't be asked.
        """
        done = self._listing.get(directory)
        if done is None:
            done = self._listing[directory] = asyncio.get_running_loop().create_future()
            self.known.begin(directory)
            self.listings += 1
            work = self._off(self._list, directory)
            work.add_done_callback(lambda work: self._finish(directory, work))
        return await asyncio.shield(done)

    async def _list_still(self, directory: FileId) -> Listing:
        """Give a directory's names; if it is no more where it was, its handle is stale."""
        listing = self.known.fresh_listing(directory)
        if listing is not None:
            return listing
        try:
            return await self.listing(directory)
        except NotFound as refused:
            if directory == ROOT:
                raise
            parent, name = await self.place(directory)
            above = await self.listing(parent)
            if name in above.names:
                raise Denied(name) from refused  # many sites have one word for both
            raise Stale from refused

    async def _ask(self, directory: FileId, name: bytes) -> Attributes:
        """Learn what a name stands for: by listing its directory, or alone if that is large."""
        listing = self.known.listings.get(directory)
        large = listing is not None and len(listing.order) > self._large
        if listing is None or not large or not (name in listing.names or self._site.tells_singly):
            listing = await self._list_still(directory)
            file = listing.names.get(name)
            if file is None:
                raise NotFound(name)
            node = self.known.nodes.get(file)
            if node is not None:
                return node.attributes
        return await self._ask_alone(directory, name)

    async def _ask_alone(self, directory: FileId, name: bytes) -> Attributes:
        try:
            attributes, target = await self._off(self._learn, directory, name)
        except NotFound:
            self.known.absent(directory, name)
            raise
        file = attributes.file
        if file in self.known.pinned:
            return self.known.nodes[file].attributes
        self.known.put(Named(file, name, attributes))
        if target is not None:
            self.known.targets[file] = target
        found: Attributes = attributes
        return found

    # --- our own changes

    def made(self, node: Named) -> None:
        """Have a new name at once."""
        if len(self._made) < _TAUGHT_BY:
            self._made.add(node.attributes.file)
        self.known.put(node)
        self.known.bump(node.attributes.parent)

    # --- in threads

    def _list(self, directory: FileId) -> Brought:
        """List a directory, and make of it what is put in place."""
        path = self.path_of(directory)
        asked = self.known.clock()
        rows = self._record.children(self._mount, directory)
        found = {facts.name: facts for facts in self._site.list(path) if not is_temporary(facts.name)}
        if self._leftover_ns:
            self._sweep(path, found, rows)
        minted = self._mint(directory, found, rows)
        self._learn_owner(found, rows)
        nodes: dict[FileId, Named] = {}
        targets: dict[FileId, bytes] = {}
        tell, changed = self.teller.tell, self.known.changed
        for name, facts in found.items():
            row = None if name in minted else rows[name]
            file = minted[name] if row is None else row.id
            nodes[file] = Named(file, name, tell(facts, file, directory, row, changed.get(file, 0)))
            if facts.target is not None:
                targets[file] = as_seen_from(path, facts.target, self.home)
        names = {node.name: file for file, node in nodes.items()}
        missing = [(row.id, name) for name, row in rows.items() if name not in found]
        return Brought(Listing(names, sorted(nodes), self.known.until(asked)), nodes, targets, missing)

    def _sweep(self, path: bytes, found: dict[bytes, Facts], rows: dict[bytes, Row]) -> None:
        """Remove what clients that crashed have left."""
        before_ns = time.time_ns() - self._leftover_ns
        for name in [name for name in found if is_leftover(name)]:
            facts, row = found[name], rows.get(name)
            if facts.kind is not Kind.FILE or facts.mtime_ns is None or facts.mtime_ns > before_ns:
                continue
            if row is not None and (row.renamed_ns or 0) > before_ns:
                continue
            try:
                self._site.delete(path.rstrip(b"/") + b"/" + name)
            except Refused as refused:
                log.info("%r in %r was left by a client, and stays: %s", name, path, refused)
            else:
                log.info("%r in %r was left by a client, and is removed", name, path)
                del found[name]

    def _mint(
        self, directory: FileId, found: dict[bytes, Facts], rows: dict[bytes, Row]
    ) -> dict[bytes, FileId]:
        """Give ids to names that are new, or stand for something of another kind."""
        new = [
            (name, facts.kind)
            for name, facts in found.items()
            if (row := rows.get(name)) is None or row.kind != facts.kind.value
        ]
        return self._record.mint(self._mount, directory, new) if new else {}

    def _learn_owner(self, found: dict[bytes, Facts], rows: dict[bytes, Row]) -> None:
        """Learn what the site calls our login, by a file that we made."""
        seen = [name for name, row in rows.items() if row.id in self._made and name in found]
        for owner in {found[name].owner for name in seen} - {None}:
            if owner is not None and owner not in self.teller.ours:
                self.teller = self.teller._replace(ours=self.teller.ours | {owner})
                self._record.learn(self._mount, owner=owner)
                log.debug("files that we make belong to %r there", owner)
        self._made.difference_update(rows[name].id for name in seen)

    def _learn(self, directory: FileId, name: bytes) -> tuple[Attributes, bytes | None]:
        """Ask the site for one name, and give it its id."""
        facts = self._site.facts(self.path_in(directory, name))
        old = self.known.named(directory, name)
        if old is not None and old.kind is Kind.LINK and facts.kind is not Kind.LINK:
            return old, None  # SIZE, MDTM and CWD follow a link, and so does many a site's MLST
        file = self._record.mint(self._mount, directory, [(name, facts.kind)])[name]
        row = self._record.find(self._mount, file)
        attributes = self.teller.tell(facts, file, directory, row, self.known.changed.get(file, 0))
        if old is not None and old.file == file and facts.mode is None:  # nor do they tell mode and owner
            attributes = replace(attributes, mode=old.mode, uid=old.uid, gid=old.gid)
        if facts.target is None:
            return attributes, None
        return attributes, as_seen_from(self.path_of(directory), facts.target, self.home)

    # --- back on the loop

    def _finish(self, directory: FileId, work: asyncio.Future[Brought]) -> None:
        """Put a listing in place, and wake who waits for it."""
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if error is not None:
            self.known.cancel(directory)
            self._wake(directory, error)
            return
        brought = work.result()
        gone = self.known.put_listing(directory, brought)
        if not gone:
            self._wake(directory, brought.listing)
            return
        # First of all they are forgotten: the next listing may have a new file by the same name.
        forgotten = self._aside(
            self._record.drop, self._mount, [(file, directory, name) for file, name in gone]
        )
        forgotten.add_done_callback(_log_failure)
        forgotten.add_done_callback(lambda _: self._wake(directory, brought.listing))

    def _wake(self, directory: FileId, outcome: Listing | BaseException) -> None:
        done = self._listing.pop(directory)
        if isinstance(outcome, Listing):
            done.set_result(outcome)
        elif isinstance(outcome, asyncio.CancelledError):
            done.cancel()
        else:
            done.set_exception(outcome)
            done.exception()  # perhaps nobody waits any more


def _log_failure(work: asyncio.Future[None]) -> None:
    if not work.cancelled() and work.exception() is not None:
        log.warning("files that are gone can't be forgotten: %s", work.exception())
