"""Lists of checksums (SFV and the like): read once, then held against what the record knows of the files.

A list is read when it is uploaded or gets another place, and else when somebody looks. To hold a directory
against its lists reads no file: CRC-32 is in the record; other sums are known once somebody has asked for
them. What comes of it isn't kept, so nothing is to be done when files come, go or change.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry, Kind, Replica, Standing, State
from argosy.cluster.nodes.roster import Roster
from argosy.config import Master
from argosy.vfs.sums import Sums
from argosy.wire import link, sumlists
from argosy.wire.sumlists import Expected

log = logging.getLogger("argosy.sums")

PAGE = 1_000
"""Entries read at once."""

KEPT_LINES = 200_000
"""Lines of lists whose meaning is kept at hand: some 50 MB. The list that is being looked at comes on top."""

WAITING = 10_000
"""Lists that wait to be read at the most; the others are read when somebody looks."""

Names = Mapping[bytes, Entry]


class Verdict(StrEnum):
    """What a file is worth, held against a list. Of several lists the last in this order counts."""

    UNKNOWN = "unknown"
    """It is there; nobody knows its checksum."""
    GOOD = "good"
    ARRIVING = "arriving"
    """Or it was cut."""
    MISSING = "missing"
    BAD = "bad"


_ORDER = tuple(Verdict)

TOLD: Mapping[Verdict, str] = {
    Verdict.BAD: "bad",
    Verdict.ARRIVING: "arriving",
    Verdict.MISSING: "missing",
    Verdict.UNKNOWN: "not checked, as nobody knows their checksums",
}
"""How many files there are of each kind, in a person's words."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of a list."""

    list: bytes
    """The list's name."""
    name: bytes
    """As the list has it."""
    algorithm: str
    digits: str
    verdict: Verdict
    file: int = 0
    """Its FileId, if it is there."""
    found: str = ""
    """The checksum that the file has."""


@dataclass(slots=True)
class Completeness:
    """A directory, held against its lists."""

    lines: list[Judged] = field(default_factory=list)
    lists: list[bytes] = field(default_factory=list)
    """Names of those that were read."""
    unread: list[Entry] = field(default_factory=list)
    """Those that weren't."""
    troubles: dict[bytes, str] = field(default_factory=dict)
    """Why not, by name."""

    def verdicts(self) -> Mapping[object, Verdict]:
        """Give a verdict for each file, however many lists name it."""
        found: dict[object, Verdict] = {}
        for line in self.lines:
            key = line.file or line.name.lower()
            found[key] = max(found.get(key, line.verdict), line.verdict, key=_ORDER.index)
        return found


def words(completeness: Completeness) -> str:
    """Say how complete a directory is."""
    counts = Counter(completeness.verdicts().values())
    told = [f"{_here(counts)} of {counts.total()} files are here"]
    told += [f"{counts[verdict]} {word}" for verdict, word in TOLD.items() if counts[verdict]]
    return ", ".join(told)


def percent(completeness: Completeness) -> int:
    """Say how much of a directory is here, and not known to be bad; 100 only if all is."""
    counts = Counter(completeness.verdicts().values())
    return 100 * _here(counts) // counts.total() if counts else 100


def _here(counts: Mapping[Verdict, int]) -> int:
    return counts.get(Verdict.GOOD, 0) + counts.get(Verdict.UNKNOWN, 0)


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
        self._seconds = config.link.request_seconds
        self._answer_seconds = config.link.answer_seconds
        self._catalogue = catalogue
        self._roster = roster
        self._sums = sums
        self._known: dict[tuple[int, int, str], Expected] = {}
        self._waiting: asyncio.Queue[Entry] = asyncio.Queue(WAITING)
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- reading them ----

    def notice(self, entry: Entry) -> None:
        """Have a file read soon, if it is a list; for any thread."""
        if self._loop and _is_list(entry) and entry.size <= self._limit:
            self._loop.call_soon_threadsafe(self._queue, entry)

    def _queue(self, entry: Entry) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(entry)

    async def run(self) -> None:
        """Read what was noticed, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            entry = await self._waiting.get()
            try:
                await self.read(entry)
            except errors.Refused as refused:
                log.info("the list %r waits until somebody looks: %s", entry.name, refused)
            except Exception:
                log.exception("accident with a list")

    async def read(self, entry: Entry) -> None:
        """Read a list, and keep what it says.

        Raises:
            Refused: No node can give it now.
        """
        data = self._catalogue.list_content(entry.id, entry.ver)  # it may only have got another place
        if data is None:
            data = await self._content(entry)
        await self._catalogue.keep_list(entry, data)

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
        if entry.crc32 is not None and await asyncio.to_thread(zlib.crc32, data) != entry.crc32:
            raise errors.Damaged(entry.name)
        return bytes(data)

    # --- looking ----

    async def look(self, directory: int, only: bytes = b"") -> Completeness:
        """Hold a directory against its lists, or one of them; lists that weren't read yet are read now.

        Raises:
            Unsupported: The site reads no lists.
        """
        if not self._limit:
            raise errors.Unsupported("sums.list_bytes is 0")
        judged = await asyncio.to_thread(self.completeness, directory, only)
        if not judged.unread:
            return judged
        troubles = {}
        for entry in judged.unread:
            try:
                await self.read(entry)
            except errors.Refused as refused:
                troubles[entry.name] = str(refused).encode(errors="backslashreplace").decode()
        judged = await asyncio.to_thread(self.completeness, directory, only)
        judged.troubles.update(troubles)
        return judged

    def completeness(self, directory: int, only: bytes = b"") -> Completeness:
        """Hold a directory against those of its lists that were read, or one; for a thread."""
        kept = [one for one in self._catalogue.sum_lists(directory) if only in (b"", one.name)]
        read = {one.file for one in kept}
        names: dict[bytes, Entry] = {}
        judged = Completeness()
        for entry in self._children(directory):
            names[entry.name] = entry
            if _is_list(entry) and entry.id not in read and only in (b"", entry.name):
                if entry.size <= self._limit:
                    judged.unread.append(entry)
                else:
                    judged.troubles[entry.name] = f"it has more than sums.list_bytes, {self._limit}"
        folders: dict[bytes, tuple[Names, Names]] = {b"": (names, _folded(names))}
        for one in kept:
            if (expected := self._expected(one.file, one.ver, one.name)) is None:
                continue
            judged.lists.append(one.name)
            for name, (algorithm, digits) in expected.items():
                folder, _, last = name.rpartition(b"/")
                if folder not in folders:
                    below = self._below(directory, folder)
                    folders[folder] = below, _folded(below)
                exact, folded = folders[folder]
                meant = exact.get(last) or folded.get(last.lower())
                judged.lines.append(self._judged(one.name, name, algorithm, digits, meant))
        return judged

    def check(self, entry: Entry) -> Judged | None:
        """Hold a file that has just come against the lists of its directory; for a thread.

        Gives the worst that one of them says, and nothing, if none knows better.
        """
        found = []
        for one in self._catalogue.sum_lists(entry.parent):
            expected = self._expected(one.file, one.ver, one.name) or {}
            said = expected.get(entry.name)
            if said is None:
                lower = entry.name.lower()
                said = next((what for name, what in expected.items() if name.lower() == lower), None)
            if said is not None:
                found.append(self._judged(one.name, entry.name, *said, entry))
        return max(found, key=lambda judged: _ORDER.index(judged.verdict), default=None)

    async def remark(self, entry: Entry) -> str:
        """Say to who has just stored a file how it agrees with the lists beside it; empty: nothing is known.

        Waits a moment for a list to be read; one for which that isn't enough is read afterwards. Whatever
        goes wrong here, the file is stored.
        """
        try:
            return await self._remark(entry) if self._limit else ""
        except errors.Refused as refused:
            log.info("%r isn't held against the lists beside it: %s", entry.name, refused)
        except Exception:
            log.exception("accident with the lists beside %r", entry.name)
        return ""

    async def _remark(self, entry: Entry) -> str:
        if _is_list(entry):
            return await self._remark_on_list(entry)
        if not self._catalogue.sum_lists(entry.parent):
            return ""
        judged = await asyncio.to_thread(self.check, entry)
        if judged is None or judged.verdict is Verdict.UNKNOWN:
            return ""
        said = f"{judged.list.decode(errors='backslashreplace')} says"
        if judged.verdict is Verdict.GOOD:
            return f"as {said}"
        return f"but its {judged.algorithm} is {judged.found}, and {said} {judged.digits}"

    async def _remark_on_list(self, entry: Entry) -> str:
        if entry.size > self._limit:
            return "too long for a list of checksums that is read"
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self.read(entry)
        except (errors.Refused, TimeoutError) as trouble:
            log.info("the list %r isn't read yet: %s", entry.name, trouble)
            self.notice(entry)
            return ""
        return words(await asyncio.to_thread(self.completeness, entry.parent, entry.name))

    def _judged(self, of: bytes, name: bytes, algorithm: str, digits: str, entry: Entry | None) -> Judged:
        if entry is None or entry.kind is not Kind.FILE:
            return Judged(of, name, algorithm, digits, Verdict.MISSING)
        if entry.state in (State.UPLOADING, State.PARTIAL):
            return Judged(of, name, algorithm, digits, Verdict.ARRIVING, entry.id)
        found = self._sums.of(entry, algorithm)
        if found is None:
            return Judged(of, name, algorithm, digits, Verdict.UNKNOWN, entry.id)
        verdict = Verdict.GOOD if found == digits else Verdict.BAD
        return Judged(of, name, algorithm, digits, verdict, entry.id, found)

    def _expected(self, file: int, ver: int, name: bytes) -> Expected | None:
        """Give what a list says; None: it is none any more, or was replaced just now."""
        algorithm = sumlists.algorithm_of(name)
        if algorithm is None:
            return None
        key = file, ver, algorithm
        if (known := self._known.get(key)) is not None:
            return known
        data = self._catalogue.list_content(file, ver)
        if data is None:
            return None
        expected = sumlists.parse(data, algorithm)
        lines = len(expected)
        for old in list(self._known):
            if lines + sum(len(one) + 1 for one in list(self._known.values())) <= KEPT_LINES:
                break
            self._known.pop(old, None)
        self._known[key] = expected
        return expected

    def _children(self, directory: int) -> Iterator[Entry]:
        after = b""
        while page := self._catalogue.children(directory, after=after, limit=PAGE):
            yield from page
            after = page[-1].name

    def _below(self, directory: int, path: bytes) -> Names:
        """Give what is in a directory further down, by name; nothing, if there is none."""
        for name in path.split(b"/"):
            folders = {entry.name: entry for entry in self._children(directory) if entry.is_directory}
            folder = folders.get(name) or _folded(folders).get(name.lower())
            if folder is None:
                return {}
            directory = folder.id
        return {entry.name: entry for entry in self._children(directory)}


def _is_list(entry: Entry) -> bool:
    return (
        entry.kind is Kind.FILE
        and entry.size > 0
        and entry.state in (State.LIVE, State.CONFLICT)
        and sumlists.algorithm_of(entry.name) is not None
    )


def _folded(names: Names) -> Names:
    """Give the same by names in lower case: lists of Windows needn't have them as they are."""
    folded: dict[bytes, Entry] = {}
    for name, entry in names.items():
        folded.setdefault(name.lower(), entry)
    return folded
