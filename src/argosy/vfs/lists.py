"""Lists of checksums (SFV and the like): read once, then held against what the record knows of the files.

A list is read when it is uploaded or gets another place, and else when somebody looks. To hold a directory
against its lists reads no file: CRC-32 is in the record; other sums are known once somebody has asked for
them. What comes of it isn't kept, so nothing is to be done when files come, go or change.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry, KeptList, Kind, Replica, Standing, State, TreePath
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master
from argosy.vfs.shelf import Shelf
from argosy.vfs.sums import Sums
from argosy.vfs.verdicts import Completeness, Judged, Verdict, judge, remark, words, worst
from argosy.wire import link, sumlists
from argosy.wire.sumlists import Expected

log = logging.getLogger("argosy.sums")

_T = TypeVar("_T")

PAGE = 1_000
"""Entries read at once."""

KEPT_LINES = 200_000
"""Lines of lists whose meaning is kept at hand: some 50 MB. The list that is being looked at comes on top."""

WAITING = 10_000
"""Lists that wait to be read at the most; the others are read when somebody looks."""

FEW = 100
"""Names up to which each is looked up by itself before a whole directory is gone through for them."""

Shows = Callable[[TreePath], bool]
"""Says whether who asks may know of a file and its checksum, by its path below the directory."""


class Patience:
    """How long somebody waits for a thread, which asks now and then, and stops when nobody does any more."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def end(self) -> None:
        """Wait no longer."""
        self._until = 0.0

    def check(self) -> None:
        """Go on only while somebody waits.

        Raises:
            TimeoutError: Nobody does.
        """
        if time.monotonic() >= self._until:
            raise TimeoutError


def _all(path: TreePath) -> bool:
    """Show everything."""
    del path
    return True


class Lists:
    """The lists of the site."""

    def __init__(self, config: Master, catalogue: Catalogue, roster: Roster, sums: Sums) -> None:
        """Put it together.

        Args:
            config: The master's file.
            catalogue: Where lists are kept.
            roster: Reaches the nodes that have them.
            sums: Checksums that are known.
        """
        self._limit = config.sums.list_bytes
        self._together = config.sums.directory_bytes
        self._folders = config.sums.folders
        self._look_seconds = config.sums.seconds
        self._seconds = config.link.request_seconds
        self._answer_seconds = config.link.answer_seconds
        self._catalogue = catalogue
        self._shelf = Shelf(config.sums.kept_bytes, catalogue)
        self._roster = roster
        self._sums = sums
        self._threads = ThreadPoolExecutor(config.sums.at_once, thread_name_prefix="lists")
        self._ended = False
        self._known: dict[tuple[int, int, str], Expected] = {}
        self._known_lines = 0
        self._knowing = threading.Lock()
        """Held while these two change."""
        self._told: set[int] = set()
        """Directories of which the log has it that their lists are too long."""
        self._waiting: asyncio.Queue[Entry] = asyncio.Queue(WAITING)
        self._queued: set[tuple[int, int, int]] = set()
        """What waits: FileId, version and directory."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _aside(self, work: Callable[[Patience], _T], seconds: float) -> _T:
        """Have something done in one of the threads for lists; it stops soon after nobody waits any more.

        Raises:
            TimeoutError: It takes longer.
            Unavailable: The master ends.
        """
        if self._ended:
            raise errors.Unavailable("lists of checksums")
        patience = Patience(seconds)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, patience)
        finally:
            patience.end()

    # --- reading them ----

    def notice(self, entry: Entry) -> None:
        """Have a file read soon, if it is a list; for any thread."""
        if self._loop and _is_list(entry) and entry.size <= self._limit:
            self._loop.call_soon_threadsafe(self._queue, entry)

    def _queue(self, entry: Entry) -> None:
        if _what(entry) not in self._queued and not self._waiting.full():
            self._queued.add(_what(entry))
            self._waiting.put_nowait(entry)

    async def run(self) -> None:
        """Read what was noticed, until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                entry = await self._waiting.get()
                self._queued.discard(_what(entry))
                await self._read_on(entry)
        finally:
            self._ended = True
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read_on(self, entry: Entry) -> None:
        try:
            await self.read(entry)
        except errors.Refused as refused:
            log.info("the list %r waits until somebody looks: %s", entry.name, refused)
        except Exception:
            log.exception("accident with a list")

    async def read(self, entry: Entry) -> None:
        """Read a list, and keep what it says; of what can't be read as a list nothing is kept but that.

        Raises:
            NoSpace: The site's lists have no more room.
            Refused: No node can give it now.
        """
        # It may only have got another place, or another name, by which it is a list that can be read.
        data = self._catalogue.list_content(entry.id, entry.ver)
        if not data:
            await self._shelf.check(entry, entry.size)
            data = await self._content(entry)
        algorithm = sumlists.algorithm_of(entry.name) or ""
        says = await self._aside(lambda _: bool(sumlists.parse(data, algorithm)), self._seconds)
        await self._shelf.keep(entry, data if says else b"")

    async def _content(self, entry: Entry) -> bytes:
        trouble: errors.Refused = errors.Unavailable(entry.name)
        for replica in self._catalogue.replicas(entry.id):
            if replica.standing is Standing.GOOD and self._roster.reaches(replica.volume):
                try:
                    return await self._copy(entry, replica)
                except errors.Refused as refused:
                    trouble = refused
        raise trouble

    async def _copy(self, entry: Entry, replica: Replica) -> bytes:
        node, live = self._roster.place(replica.volume)
        data = bytearray()
        while rest := min(entry.size - len(data), link.CONTENT_LIMIT):
            order = link.Content(live.store_id, replica.loc, replica.ver, entry.size, len(data), rest)
            answer = await node.ask(order, self._seconds)
            if not isinstance(answer, link.Bytes) or len(answer.data) != rest:
                raise errors.Failed(f"{node.name} gave no content")
            data += answer.data
        crc32 = await self._aside(lambda _: zlib.crc32(data), self._seconds)
        if entry.crc32 not in (None, crc32):
            raise errors.Damaged(entry.name)
        return bytes(data)

    # --- looking ----

    async def look(self, directory: int, only: bytes = b"", *, shows: Shows = _all) -> Completeness:
        """Hold a directory against its lists, or one of them; lists that weren't read yet are read now.

        Raises:
            Unavailable: There was no time for it.
            Unsupported: The site reads no lists.
        """
        if not self._limit:
            raise errors.Unsupported("sums.list_bytes is 0")
        until = time.monotonic() + self._look_seconds
        try:
            judged = await self._held(directory, only, shows, until)
            if not judged.unread:
                return judged
            troubles = await self._read_all(judged.unread, until - self._look_seconds / 2)
            judged = await self._held(directory, only, shows, until)
        except TimeoutError:
            raise errors.Unavailable(f"it takes more than sums.seconds, {self._look_seconds}") from None
        judged.troubles.update(troubles)
        return judged

    async def _held(self, directory: int, only: bytes, shows: Shows, until: float) -> Completeness:
        return await self._aside(
            lambda patience: self.completeness(directory, only, shows=shows, patience=patience),
            until - time.monotonic(),
        )

    async def _read_all(self, entries: Iterable[Entry], until: float) -> dict[bytes, str]:
        """Read lists as long as there is time, and say by name why some weren't."""
        troubles = {}
        for entry in entries:
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await self.read(entry)
            except errors.Refused as refused:
                troubles[entry.name] = str(refused).encode(errors="backslashreplace").decode()
            except TimeoutError:
                troubles[entry.name] = "there was no time for it"
        return troubles

    def may_have(self, directory: int) -> bool:
        """Say quickly whether a directory may have lists that were read."""
        return self._limit > 0 and self._catalogue.has_sum_lists(directory)

    def completeness(
        self, directory: int, only: bytes = b"", *, shows: Shows = _all, patience: Patience | None = None
    ) -> Completeness:
        """Hold a directory against those of its lists that were read, or one; for a thread.

        Args:
            directory: Its FileId.
            only: The name of the one list; empty: all.
            shows: What isn't shown is missing, and lists that aren't don't count.
            patience: Of who waits; none: of an upload's 226.

        Raises:
            TimeoutError: Nobody waits any more.
        """
        patience = patience or Patience(self._answer_seconds)
        judged = Completeness()
        kept, rest = self._considered(directory, only, shows)
        for one in rest:
            judged.troubles[one.name] = f"the lists before it have sums.directory_bytes, {self._together}"
        said = [(one, expected) for one in kept if (expected := self._expected(one, patience)) is not None]
        names = dict.fromkeys(name for _, expected in said for name in expected)
        first = {name.partition(b"/")[0] for name in names}
        read = {one.file for one in (*kept, *rest)}

        def noted(entries: Iterable[Entry]) -> Iterator[Entry]:
            for entry in entries:
                if _is_list(entry) and entry.id not in read and shows((entry.name,)):
                    self._note_unread(entry, judged)
                yield entry

        if only:
            one_list = self._catalogue.child(directory, only)
            list(noted([one_list] if one_list else []))
            top = self._named(directory, first, patience)
        else:
            top = _among(first, noted(self._children(directory, patience)))
        meant, skipped = self._meant(names, top, shows, patience)
        for one, expected in said:
            patience.check()
            judged.lists.append(one.name)
            for name, wanted in expected.items():
                if name in skipped:
                    judged.add(Judged(one.name, name, *wanted, Verdict.SKIPPED))
                    continue
                path, entry = meant.get(name, ((), None))
                shown = entry if entry and shows(path) else None
                judged.add(self._judged(one.name, name, wanted, shown))
        return judged

    def check(self, entry: Entry, *, shows: Shows = _all, patience: Patience | None = None) -> Judged | None:
        """Hold a file that has just come against the lists of its directory; for a thread.

        Gives the worst that one of them says, and nothing, if none knows better. Arguments as above.

        Raises:
            TimeoutError: Nobody waits any more.
        """
        patience = patience or Patience(self._answer_seconds)
        kept, rest = self._considered(entry.parent, b"", shows)
        if rest and entry.parent not in self._told and len(self._told) < WAITING:
            self._told.add(entry.parent)
            log.warning("beside %r lists have more than sums.directory_bytes: not all count", entry.name)
        found = []
        for one in kept:
            expected = self._expected(one, patience) or {}
            said = expected.get(entry.name)
            if said is None:
                lower = entry.name.lower()
                said = next((what for name, what in expected.items() if name.lower() == lower), None)
            if said is not None:
                found.append(self._judged(one.name, entry.name, said, entry))
        return worst(found)

    async def remark(self, entry: Entry, *, shows: Shows = _all) -> str:
        """Say to who has just stored a file how it agrees with the lists beside it; empty: nothing is known.

        Waits a moment, also for a list to be read; one for which that isn't enough is read afterwards.
        Whatever goes wrong here, the file is stored.
        """
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await self._remark(entry, shows) if self._limit else ""
        except (errors.Refused, TimeoutError) as trouble:
            log.info("nothing is said of %r and the lists there: %s", entry.name, trouble or "no time")
            self.notice(entry)
        except Exception:
            log.exception("accident with the lists beside %r", entry.name)
        return ""

    async def _remark(self, entry: Entry, shows: Shows) -> str:
        if _is_list(entry):
            if entry.size > self._limit:
                return "too long for a list of checksums that is read"
            try:
                await self.read(entry)
            except errors.NoSpace:
                return "not read, as the site's lists of checksums have no more room"
            until = time.monotonic() + self._answer_seconds
            held = await self._held(entry.parent, entry.name, shows, until)
            return words(held) if held.counts.total() else ""
        if not self.may_have(entry.parent):
            return ""
        judged = await self._aside(
            lambda patience: self.check(entry, shows=shows, patience=patience), self._answer_seconds
        )
        return remark(judged)

    def _judged(self, of: bytes, name: bytes, wanted: tuple[str, str], entry: Entry | None) -> Judged:
        found = self._sums.of(entry, wanted[0]) if entry and entry.kind is Kind.FILE else None
        return judge(of, name, wanted, entry, found)

    def _considered(self, directory: int, only: bytes, shows: Shows) -> tuple[list[KeptList], list[KeptList]]:
        """Give the lists that count, and those that don't, for the ones before them are long enough."""
        within: list[KeptList] = []
        rest: list[KeptList] = []
        together = 0
        for one in self._catalogue.sum_lists(directory):
            if only in (b"", one.name) and shows((one.name,)):
                together += one.size
                (within if together <= self._together or not within else rest).append(one)
        return within, rest

    def _note_unread(self, entry: Entry, judged: Completeness) -> None:
        if entry.size <= self._limit:
            judged.unread.append(entry)
        else:
            judged.troubles[entry.name] = f"it has more than sums.list_bytes, {self._limit}"

    def _expected(self, one: KeptList, patience: Patience) -> Expected | None:
        """Give what a list says; None: it is none any more, or was replaced just now."""
        patience.check()
        algorithm = sumlists.algorithm_of(one.name)
        if algorithm is None:
            return None
        key = one.file, one.ver, algorithm
        if (known := self._known.get(key)) is not None:
            return known
        data = self._catalogue.list_content(one.file, one.ver)
        if data is None:
            return None
        expected = sumlists.parse(data, algorithm)
        with self._knowing:
            if key not in self._known:
                self._known_lines += len(expected) + 1
                while self._known and self._known_lines > KEPT_LINES:
                    self._known_lines -= len(self._known.pop(next(iter(self._known)))) + 1
                self._known[key] = expected
        return expected

    def _meant(
        self, names: Iterable[bytes], top: Mapping[bytes, Entry], shows: Shows, patience: Patience
    ) -> tuple[dict[bytes, tuple[TreePath, Entry]], set[bytes]]:
        """Find what lists name, level by level: so each directory is looked into once, however it is written.

        Args:
            names: Paths below the directory.
            top: What their first parts mean there.
            shows: Folders in which nothing is shown of what is named aren't looked into, and don't count:
                else others that are skipped, or they, would tell that they are there.
            patience: Of who waits.

        Returns:
            By name the true path and what is there, and the names in those folders that are too many.
        """
        meant: dict[bytes, tuple[TreePath, Entry]] = {}
        skipped: set[bytes] = set()
        looked = depth = 0
        found = top
        level: dict[int, tuple[TreePath, list[tuple[bytes, list[bytes]]]]]
        level = {0: ((), [(name, name.split(b"/")) for name in names])}
        while level:
            below: dict[int, tuple[TreePath, list[tuple[bytes, list[bytes]]]]] = {}
            for number, (path, named) in level.items():
                patience.check()
                wanted = named
                if depth:
                    wanted = [(name, parts) for name, parts in named if shows((*path, *parts[depth:]))]
                    if not wanted:
                        continue
                    looked += 1
                    if looked > self._folders:
                        skipped.update(name for name, _ in wanted)
                        continue
                    found = self._named(number, {parts[depth] for _, parts in wanted}, patience)
                for name, parts in wanted:
                    if (entry := found.get(parts[depth])) is None:
                        continue
                    if len(parts) == depth + 1:
                        meant[name] = (*path, entry.name), entry
                    elif entry.is_directory:
                        below.setdefault(entry.id, ((*path, entry.name), []))[1].append((name, parts))
            level = below
            depth += 1
        return meant, skipped

    def _named(self, directory: int, names: Collection[bytes], patience: Patience) -> Mapping[bytes, Entry]:
        """Find names in a directory, in any case; it is only gone through if it has to be."""
        if len(names) <= FEW:
            children = {name: self._catalogue.child(directory, name) for name in names}
            found = {name: entry for name, entry in children.items() if entry}
            if len(found) == len(names):
                return found
        return _among(names, self._children(directory, patience))

    def _children(self, directory: int, patience: Patience) -> Iterator[Entry]:
        after = b""
        while page := self._catalogue.children(directory, after=after, limit=PAGE):
            patience.check()
            yield from page
            after = page[-1].name


def _what(entry: Entry) -> tuple[int, int, int]:
    return entry.id, entry.ver, entry.parent


def _is_list(entry: Entry) -> bool:
    return (
        entry.kind is Kind.FILE
        and entry.size > 0
        and entry.state in (State.LIVE, State.CONFLICT)
        and sumlists.algorithm_of(entry.name) is not None
    )


def _among(names: Collection[bytes], entries: Iterable[Entry]) -> Mapping[bytes, Entry]:
    """Find names among entries, as they are, else in another case, as lists of Windows may have them."""
    exact: dict[bytes, Entry] = {}
    folded = dict.fromkeys(map(bytes.lower, names))
    like: dict[bytes, Entry] = {}
    for entry in entries:
        lower = entry.name.lower()
        if lower in folded:
            like.setdefault(lower, entry)
            if entry.name in names:
                exact[entry.name] = entry
    both = {name: exact.get(name) or like.get(name.lower()) for name in names}
    return {name: entry for name, entry in both.items() if entry}
