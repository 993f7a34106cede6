"""What is known of a mount's names: listings as the site gave them, and our own changes at once.

It asks nobody, and all of it is on the event loop: no lock. What we change while the site is making a listing
is more recent than that listing, and stays when it comes.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from argosy.errors import NotFound
from argosy.sites.model import Attributes, FileId, Named, Page

VERIFIER = 1
"""Places in a directory are file ids, which are never lost: so it never changes."""

_APART = 10_000
"""Names remembered one by one, apart from listings, at the most."""


class Listing:
    """A directory's names."""

    __slots__ = ("names", "order", "until")

    def __init__(self, names: dict[bytes, FileId], order: list[FileId], until: float) -> None:
        self.names = names
        self.order = order
        """The ids, rising: the order of the directory's pages."""
        self.until = until
        """So long it is believed."""

    def page(self, cookie: int, most: int) -> list[FileId]:
        """Give the files behind a place."""
        start = bisect_right(self.order, cookie)
        return self.order[start : start + most]

    def add(self, name: bytes, file: FileId) -> None:
        """Have a name stand for a file; for no other any more."""
        before = self.names.get(name)
        if before == file:
            return
        if before is not None:
            self.remove(name)
        self.names[name] = file
        insort(self.order, file)

    def remove(self, name: bytes) -> None:
        """Have a name no more."""
        file = self.names.pop(name, None)
        if file is not None:
            del self.order[bisect_left(self.order, file)]


class Brought(NamedTuple):
    """A listing that was made ready off the loop, to be put in place."""

    listing: Listing
    nodes: dict[FileId, Named]
    targets: dict[FileId, bytes]
    missing: list[tuple[FileId, bytes]]
    """Files, and their names, that the record has in this directory and the site hasn't."""


class Known:
    """All that is known of one mount's names."""

    def __init__(self, root: Attributes, *, seconds: float, entries: int, clock: Callable[[], float]) -> None:
        """Know nothing yet but the root.

        Args:
            root: The directory that was mounted.
            seconds: How long what a site said is believed.
            entries: How many names of listings are kept, beside the listing used last.
            clock: Seconds, rising.
        """
        self._seconds = seconds
        self._entries = entries
        self.clock = clock
        self.nodes: dict[FileId, Named] = {root.file: Named(root.file, b"", root)}
        self._root = root.file
        self.listings: OrderedDict[FileId, Listing] = OrderedDict()
        """The one used last is the last."""
        self.targets: dict[FileId, bytes] = {}
        """Where symbolic links lead."""
        self.pinned: set[FileId] = set()
        """Files of which we know more than the site: what was written isn't there yet."""
        self.changed: dict[FileId, int] = {}
        """When what a directory holds was changed, or seen to have changed, as clients are told it."""
        self._apart: OrderedDict[FileId, float] = OrderedDict()
        """Files that were asked for, or changed, one by one, and for how long that is believed."""
        self._absent: OrderedDict[tuple[FileId, bytes], float] = OrderedDict()
        """Names that are known not to be there, and for how long that is believed."""
        self._touched: dict[FileId, dict[bytes, FileId | None]] = {}
        """For each directory that is being listed: what we changed meanwhile."""
        self._kept = 0
        self._last_ns = 0

    # --- what is known

    def fresh(self, file: FileId) -> Attributes | None:
        """Give a file's attributes if they are known and not too old."""
        node = self.nodes.get(file)
        if node is None:
            return None
        attributes = node.attributes
        if file in self.pinned:
            return attributes
        now = self.clock()
        # A directory is as fresh as its names: by its times clients see whether to ask for them.
        listing = self.listings.get(file) or self.listings.get(attributes.parent)
        if (listing is not None and listing.until > now) or self._apart.get(file, now) > now:
            return attributes
        return None

    def fresh_child(self, directory: FileId, name: bytes) -> Attributes | None:
        """Give a name's attributes if they are known and not too old; None: it has to be asked for.

        Raises:
            NotFound: It is known that there is no such name.
        """
        now = self.clock()
        listing = self.listings.get(directory)
        if listing is not None:
            file = listing.names.get(name)
            if file is not None:
                return self.fresh(file)
            if listing.until > now:
                raise NotFound(name)
        if self._absent.get((directory, name), now) > now:
            raise NotFound(name)
        return None

    def named(self, directory: FileId, name: bytes) -> Attributes | None:
        """Give what is known of a name, however old."""
        listing = self.listings.get(directory)
        file = None if listing is None else listing.names.get(name)
        node = None if file is None else self.nodes.get(file)
        return None if node is None else node.attributes

    def fresh_listing(self, directory: FileId) -> Listing | None:
        """Give a directory's names if they are known and not too old."""
        listing = self.listings.get(directory)
        if listing is None or listing.until <= self.clock():
            return None
        return listing

    def page(self, directory: FileId, listing: Listing, cookie: int, most: int) -> Page:
        """Give a part of a directory, from behind a place on."""
        files = listing.page(cookie, most)
        if directory in self.listings:
            self.listings.move_to_end(directory)
        entries = [node for file in files if (node := self.nodes.get(file)) is not None]
        return Page(entries, VERIFIER, len(files) < most or files[-1] == listing.order[-1])

    def inside(self, directory: FileId) -> Iterable[FileId]:
        """Give the files of a directory of which we know more than the site."""
        return [file for file in self.pinned if self.nodes[file].attributes.parent == directory]

    # --- our own changes

    def tick(self) -> int:
        """Give the time, as it was never given before."""
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return self._last_ns

    def put(self, node: Named) -> None:
        """Have a name stand for a file from now on."""
        file, name, attributes = node
        directory = attributes.parent
        listing = self.listings.get(directory)
        if listing is not None:
            other = listing.names.get(name)
            if other is not None and other != file:
                self._lose(other)
            self._kept -= len(listing.order)
            listing.add(name, file)
            self._kept += len(listing.order)
        self.nodes[file] = node
        self._touch(directory, name, file)
        self._absent.pop((directory, name), None)
        self._apart[file] = self.clock() + self._seconds
        self._apart.move_to_end(file)
        if len(self._apart) > _APART:
            old, _ = self._apart.popitem(last=False)
            self._lose_unlisted(old)

    def set(self, file: FileId, attributes: Attributes) -> Attributes:
        """Have a file be different from now on."""
        node = self.nodes.get(file)
        if node is not None:
            if file in self.pinned:  # a file that is being written: nothing of it can become too old
                self.nodes[file] = Named(file, node.name, attributes)
                self._touch(attributes.parent, node.name, file)
            else:
                self.put(Named(file, node.name, attributes))
        return attributes

    def drop(self, directory: FileId, name: bytes, file: FileId | None = None) -> None:
        """Have a name no more, nor what it stood for: `file`, if no listing tells."""
        file = self._unname(directory, name) or file
        if file is not None:
            self._lose(file)

    def move(self, file: FileId, directory: FileId, name: bytes) -> Attributes | None:
        """Have another name stand for a file; what that one stood for is gone."""
        node = self.nodes.get(file)
        if node is None:
            return None
        self._unname(node.attributes.parent, node.name)
        other = self._named(directory, name)
        if other is not None and other != file:
            self._lose(other)
        attributes = replace(node.attributes, parent=directory, ctime_ns=self.tick())
        self.put(Named(file, name, attributes))
        return attributes

    def empty(self, directory: FileId) -> None:
        """There is a new directory, and nothing in it."""
        if directory not in self.listings:
            self.listings[directory] = Listing({}, [], self.clock() + self._seconds)

    def absent(self, directory: FileId, name: bytes) -> None:
        """Remember that there is no such name."""
        self.drop(directory, name)
        self._absent[directory, name] = self.clock() + self._seconds
        self._absent.move_to_end((directory, name))
        if len(self._absent) > _APART:
            self._absent.popitem(last=False)

    def bump(self, directory: FileId) -> None:
        """Have clients see that what a directory holds has changed."""
        now = self.changed[directory] = self.tick()
        node = self.nodes.get(directory)
        if node is not None:
            attributes = replace(node.attributes, mtime_ns=now, ctime_ns=now)
            self.nodes[directory] = Named(directory, node.name, attributes)

    def doubt(self, file: FileId) -> None:
        """Believe no more what is known of a file."""
        self._apart.pop(file, None)
        node = self.nodes.get(file)
        listing = self.listings.get(node.attributes.parent) if node is not None else None
        if listing is not None:
            listing.until = 0.0

    # --- listings

    def until(self, asked: float) -> float:
        """Give for how long a listing that has just come is believed.

        As long as any answer, from when the site was asked; but one that takes longer than that is no use if
        it is too old when it comes, so it is believed as long again as it took.
        """
        now = self.clock()
        return max(asked + self._seconds, now + (now - asked))

    def begin(self, directory: FileId) -> None:
        """The site is being asked for a listing: watch what we change meanwhile."""
        self._touched[directory] = {}

    def cancel(self, directory: FileId) -> None:
        """No listing came."""
        self._touched.pop(directory, None)

    def put_listing(self, directory: FileId, brought: Brought) -> list[tuple[FileId, bytes]]:
        """Put a listing in place of an older one.

        Returns:
            Files, and the names they had, that are gone.
        """
        ours = self._touched.pop(directory, {})
        ours.update((self.nodes[file].name, file) for file in self.inside(directory))
        listing, nodes = brought.listing, brought.nodes
        for name, file in ours.items():
            shown = listing.names.get(name)
            if shown is not None and shown != file:
                listing.remove(name)
                del nodes[shown]
            if file is not None and file in self.nodes:
                listing.add(name, file)
                nodes[file] = self.nodes[file]
        old = self.listings.get(directory)
        if old is not None:
            self._kept -= len(old.order)
            if old.names != listing.names:
                self.bump(directory)
                for file in set(old.order).difference(nodes):
                    if self._is_in(file, directory):
                        self._lose(file)
        self.nodes.update(nodes)
        self.targets.update(brought.targets)
        self.listings[directory] = listing
        self.listings.move_to_end(directory)
        self._kept += len(listing.order)
        self._forget_surplus(directory)
        gone = [(file, name) for file, name in brought.missing if ours.get(name) != file]
        for file, _ in gone:
            if self._is_in(file, directory):
                self._lose(file)
        return gone

    def _forget_surplus(self, but: FileId) -> None:
        for directory in list(self.listings):
            if self._kept <= self._entries:
                return
            if directory != but:
                listing = self.listings.pop(directory)
                self._kept -= len(listing.order)
                for file in listing.order:
                    self._lose_unlisted(file)

    # --- inside

    def _is_in(self, file: FileId, directory: FileId) -> bool:
        node = self.nodes.get(file)
        return node is not None and node.attributes.parent == directory

    def _named(self, directory: FileId, name: bytes) -> FileId | None:
        listing = self.listings.get(directory)
        return None if listing is None else listing.names.get(name)

    def _touch(self, directory: FileId, name: bytes, file: FileId | None) -> None:
        touched = self._touched.get(directory)
        if touched is not None:
            touched[name] = file

    def _unname(self, directory: FileId, name: bytes) -> FileId | None:
        """Take a name out of its directory; give what it stood for."""
        self._touch(directory, name, None)
        listing = self.listings.get(directory)
        if listing is None:
            return None
        file = listing.names.get(name)
        if file is not None:
            listing.remove(name)
            self._kept -= 1
        return file

    def _lose(self, file: FileId) -> None:
        """Know nothing of a file any more, and of what is below it."""
        lost = [file]
        while lost:
            file = lost.pop()
            self._lose_node(file)
            listing = self.listings.pop(file, None)
            if listing is not None:
                self._kept -= len(listing.order)
                lost += listing.order

    def _lose_unlisted(self, file: FileId) -> None:
        """Know no more of a file than of others that nobody asked for."""
        node = self.nodes.get(file)
        if node is not None and file not in self.pinned and node.attributes.parent not in self.listings:
            self._lose_node(file)

    def _lose_node(self, file: FileId) -> None:
        if file == self._root:
            return
        self.nodes.pop(file, None)
        self.pinned.discard(file)
        self.targets.pop(file, None)
        self.changed.pop(file, None)
        self._apart.pop(file, None)
