"""Ten million files in a few arrays, and the questions that repair and merging ask of a catalogue.

A file is a number; its path, its size and its directory follow from that. It has some slots for the volumes
that have a copy. What truly lies on the disks may differ: `Disk` knows that.
"""

from __future__ import annotations

import heapq
import random
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from argosy.catalogue import merge, steps
from argosy.catalogue.keeping import SAFE, Job, Stock, Surplus, Wants, Way, Wish
from argosy.catalogue.model import (
    ROOT_ID,
    Discard,
    Doubt,
    Entry,
    Found,
    Kind,
    Membership,
    Replica,
    Standing,
    State,
    Volume,
)

TWO, THREE = 2, 3
"""Directories at the top: two copies are wanted in the one, three over zones in the other."""

TOPS = {TWO: b"two", THREE: b"three"}
WISHES = {
    TWO: Wish(copies=2, repair_delay_seconds=600.0),
    THREE: Wish(copies=3, spread="zone", repair_delay_seconds=600.0),
}

FOLDER_FILES = 1_000
FOLDERS_FROM, FILES_FROM = 1_000, 1 << 32
SLOTS = 8
"""Copies of a file at the most: three, those on disks that are gone, and while nodes come back some more."""

GENERATIONS = 8
"""Bits of a version that say how often the file was written."""

_SIZES = [max(1, int(random.Random(number).lognormvariate(12.5, 1.5))) for number in range(1024)]


def size_of(number: int, generation: int = 0) -> int:
    """Give a file's bytes."""
    return _SIZES[((number + generation) * 2_654_435_761 >> 7) & 1023]


def folder_of(number: int) -> int:
    return FOLDERS_FROM + number // FOLDER_FILES


def top_of(folder: int) -> int:
    return THREE if folder % 8 == 0 else TWO


def copies_of(number: int) -> int:
    """How many copies are wanted."""
    return 3 if top_of(folder_of(number)) == THREE else 2


def loc_of(number: int) -> bytes:
    folder = folder_of(number)
    return b"%s/%06d/%09d" % (TOPS[top_of(folder)], folder - FOLDERS_FROM, number)


@dataclass(slots=True)
class Disk:
    """A volume: what the catalogue knows of it, and what is truly there."""

    number: int
    zone: str
    total: int
    used: int = 0
    away_ns: int | None = None
    membership: Membership = Membership.MEMBER
    here: bool = True
    destroyed: bool = False
    files: array[int] = field(default_factory=lambda: array("I"))
    """Every file that the catalogue ever had there; some are gone again."""
    lost: set[int] = field(default_factory=set)
    """Files that vanished from it, which nobody knows yet."""
    fresh: list[int] = field(default_factory=list)
    """Files that somebody put there by hand, which nobody knows yet."""
    tombs: dict[int, int] = field(default_factory=dict)
    """Deletions owed: file, and version."""
    received: int = 0
    """Bytes of copies that came from other nodes."""


class Record:
    """The part of a catalogue that repair uses, in memory, and what merging asks of it."""

    def __init__(self, files: int) -> None:
        """Begin without any, but with room for so many.

        Args:
            files: Numbers below this come by merging.
        """
        self.slots = array("H", bytes(2 * SLOTS * files))
        self.generation = array("B", bytes(files))
        self.alive = bytearray(files)
        self.folders: set[int] = set()
        """Those that were made."""
        self.disks: dict[int, Disk] = {}
        self.wants: Wants | None = None
        self.noted: Callable[[], None] | None = None
        self.since: dict[int, int] = {}
        """Files that lack copies, and since when that is known."""
        self.healed = array("f")
        """For how long files lacked copies, those that don't any more; in seconds."""
        self._jobs: dict[int, Job] = {}
        self._heaps: list[list[tuple[int, int]]] = [[] for _ in range(SAFE + 1)]
        self.now_ns: Callable[[], int] = lambda: 0
        self.dropping: Callable[[int, int], None] = lambda *_: None
        """Told of a copy that was taken away as one too many."""

    @property
    def files(self) -> int:
        return len(self.alive)

    # --- copies ----

    def held_by(self, number: int) -> list[int]:
        """Give the volumes that have a copy, as the catalogue believes."""
        at = number * SLOTS
        return [volume for volume in self.slots[at : at + SLOTS] if volume]

    def holds(self, number: int, volume: int) -> bool:
        """Say whether a volume has a copy, as the catalogue believes."""
        at = number * SLOTS
        return volume in self.slots[at : at + SLOTS]

    def held_on(self, volume: int) -> list[int]:
        """Give the files of which a volume has a copy, in order."""
        return sorted({number for number in self.disks[volume].files if self.holds(number, volume)})

    def put(self, number: int, volume: int) -> None:
        at, disk = number * SLOTS, self.disks[volume]
        self.slots[self.slots.index(0, at, at + SLOTS)] = volume
        disk.files.append(number)
        disk.used += size_of(number, self.generation[number])

    def take(self, number: int, volume: int) -> None:
        at = number * SLOTS
        self.slots[self.slots.index(volume, at, at + SLOTS)] = 0
        self.disks[volume].used -= size_of(number, self.generation[number])

    def is_true(self, number: int, volume: int) -> bool:
        """Say whether a copy that the catalogue believes in is really there."""
        disk = self.disks[volume]
        return not disk.destroyed and number not in disk.lost

    def new(self) -> int:
        """Make room for one more file."""
        self.slots.extend([0] * SLOTS)
        self.generation.append(0)
        self.alive.append(1)
        number = len(self.alive) - 1
        self.folders.add(folder_of(number))
        return number

    def version(self, number: int) -> int:
        return number + 1 << GENERATIONS | self.generation[number]

    # --- what repair asks ----

    def volumes(self) -> list[Volume]:
        return [
            Volume(disk.number, str(disk.number), f"n{disk.number}", 0, disk.away_ns, disk.membership)
            for disk in self.disks.values()
        ]

    def way_to(self, folder: int) -> Way:
        top = top_of(folder)
        return [(ROOT_ID, b""), (top, TOPS[top]), (folder, b"%06d" % (folder - FOLDERS_FROM))]

    def wishes(self) -> Mapping[int, Wish]:
        return WISHES

    def stocks(self, files: Sequence[int]) -> list[Stock]:
        return [self.stock(file - FILES_FROM) for file in files if self.alive[file - FILES_FROM]]

    def stock(self, number: int) -> Stock:
        ver, size = self.version(number), size_of(number, self.generation[number])
        entry = Entry(
            *(FILES_FROM + number, folder_of(number), b"f", Kind.FILE, State.LIVE, ver, size),
            *(1, 1, "ann", "ann", 0o644),
        )
        copies = tuple(
            Replica(entry.id, volume, f"n{volume}", ver, Standing.GOOD, b"", size, 1)
            for volume in self.held_by(number)
        )
        return Stock(entry, copies)

    def held(self, volume: int, after: bytes, limit: int) -> tuple[list[int], bytes]:
        files, begin = self.disks[volume].files, int(after or b"0")
        page = files[begin : begin + limit]
        found = {FILES_FROM + number for number in page if self.holds(number, volume)}
        return sorted(found), b"%d" % (begin + limit) if begin + limit < len(files) else b""

    def unnoted(self, volume: int, after: bytes, limit: int) -> tuple[list[int], bytes]:
        files, after = self.held(volume, after, limit)
        return [file for file in files if file not in self._jobs], after

    def sweeps(self) -> list[tuple[int, int]]:
        return []

    async def sweep_all(self, seconds: float) -> bool:
        del seconds
        return False

    async def departed(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self.disks[number].away_ns = self.disks[number].away_ns or self.now_ns()

    async def returned(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self.disks[number].away_ns = None

    # --- jobs, as `store/jobs.py` has them ----

    def _set(self, job: Job) -> None:
        self._jobs[job.file] = job
        if job.danger < SAFE:
            self.since.setdefault(job.file, self.now_ns())
        else:
            self._heal(job.file)
        heapq.heappush(self._heaps[job.danger], (job.due_ns, job.file))

    def _heal(self, file: int) -> None:
        if (since := self.since.pop(file, None)) is not None and self.alive[file - FILES_FROM]:
            self.healed.append((self.now_ns() - since) / 1e9)

    def note(self, numbers: Collection[int]) -> None:
        """Note those of some files that have other than as many copies as are wanted."""
        now_ns = self.now_ns()
        for number in numbers:
            copies, wanted = len(self.held_by(number)), copies_of(number)
            if self.alive[number] and copies != wanted:
                danger = copies if copies < wanted else SAFE
                self._set(Job(FILES_FROM + number, danger, size_of(number), now_ns))
        if self.noted:
            self.noted()

    async def add_jobs(self, found: Sequence[Job]) -> None:
        for job in found:
            old = self._jobs.get(job.file)
            due_ns = min(old.due_ns, job.due_ns) if old else job.due_ns
            self._set(Job(job.file, job.danger, job.bytes, due_ns, old.tries if old else 0))

    def due(self, limit: int, skip: Collection[int], now_ns: int) -> list[Job]:
        found: list[Job] = []
        for danger, heap in enumerate(self._heaps):
            back: list[tuple[int, int]] = []
            while heap and heap[0][0] <= now_ns and len(found) < limit:
                due_ns, file = heapq.heappop(heap)
                job = self._jobs.get(file)
                if job is None or (job.danger, job.due_ns) != (danger, due_ns):
                    continue  # it was set anew, or is done
                if not back or back[-1] != (due_ns, file):
                    back.append((due_ns, file))
                    if file not in skip:
                        found.append(job)
            for one in back:
                heapq.heappush(heap, one)
        return found

    async def conclude(
        self, done: Sequence[Job], later: Sequence[tuple[Job, Job]], stay: Sequence[int] = ()
    ) -> None:
        del stay  # nothing is moved from one volume to another here
        for job in done:
            if (now := self._jobs.get(job.file)) and now.due_ns == job.due_ns:
                del self._jobs[job.file]
                self._heal(job.file)
        for before, after in later:
            if (now := self._jobs.get(before.file)) and now.due_ns == before.due_ns:
                self._set(after)

    async def hurry(self) -> None:
        now_ns = self.now_ns()
        for job in [job for job in self._jobs.values() if job.why]:
            self._set(Job(job.file, job.danger, job.bytes, now_ns, 0, job.why))

    async def drop_copies(self, surplus: Sequence[Surplus]) -> list[Discard]:
        """Take copies away, where the others are still there; what is dropped goes from the disk at once."""
        dropped = []
        for one in surplus:
            number = one.file - FILES_FROM
            holders = self.held_by(number) if self.alive[number] else []
            kept = [
                volume
                for volume in one.keep
                if (volume in holders and self.disks[volume].away_ns is None)
                and self.disks[volume].membership is Membership.MEMBER
            ]
            if one.ver != self.version(number) or one.volume not in holders or len(kept) < len(one.keep):
                continue
            self.take(number, one.volume)
            self.dropping(number, one.volume)
            dropped.append(Discard(one.volume, b"", one.ver, 0, 0))
        return dropped

    @property
    def jobs(self) -> Mapping[int, Job]:
        return self._jobs


class Page:
    """The record as merging sees it, for one volume."""

    def __init__(self, record: Record, volume: int) -> None:
        self._record = record
        self.volume = volume
        self.node = f"n{volume}"
        self.doubt = Doubt.NONE
        self.news: list[int] = []
        """Files whose copies changed."""

    def known(self, loc: bytes) -> steps.Known | None:
        number = int(loc[-9:])
        if number >= self._record.files or not self._record.holds(number, self.volume):
            return None
        ver, size = self._record.version(number), size_of(number, self._record.generation[number])
        return steps.Known(loc, FILES_FROM + number, ver, Standing.GOOD, size, 1, listed=True, crc32=0)

    def child(self, parent: int, name: bytes) -> steps.Holder | None:
        if parent == ROOT_ID or parent in TOPS:
            file = _folder_at(parent, name)
            return self._folder(file, parent, name) if file in self._record.folders else None
        number = int(name)
        is_there = number < self._record.files and self._record.alive[number]
        return self.entry(FILES_FROM + number) if is_there else None

    def _folder(self, file: int, parent: int, name: bytes) -> steps.Holder:
        return steps.Holder(file, parent, name, Kind.DIRECTORY, State.LIVE, 0, 0, None, None)

    def entry(self, file: int) -> steps.Holder:
        number = file - FILES_FROM
        ver, size = self._record.version(number), size_of(number, self._record.generation[number])
        return steps.Holder(
            *(file, folder_of(number), b"%09d" % number, Kind.FILE, State.LIVE, ver, size),
            *(None, b"%016d" % ver),
        )

    def version(self, ver: int) -> steps.Holder | None:
        number = (ver >> GENERATIONS) - 1
        is_current = self._record.alive[number] and self._record.version(number) == ver
        return self.entry(FILES_FROM + number) if is_current else None

    def copies(self, file: int) -> Mapping[int, steps.Copy]:
        number = file - FILES_FROM
        return {volume: steps.Copy(b"", Standing.GOOD) for volume in self._record.held_by(number)}

    def doomed(self, found: Found) -> bool:
        tombs = self._record.disks[self.volume].tombs
        return tombs.get(int(found.loc[-9:])) == found.ver

    def file(self, file: int) -> steps.Holder | None:
        raise NotImplementedError(f"{file} is asked for in doubt alone")

    def named_ns(self, file: int) -> int:
        raise NotImplementedError(f"{file} is asked for in doubt alone")

    def lapsed(self, ver: int) -> bool:
        raise NotImplementedError(f"{ver} is asked for in doubt alone")

    def lost(self, volume: int) -> bool:
        raise NotImplementedError(f"{volume} is asked for in doubt alone")

    def apply(self, step: steps.Step) -> None:
        """Carry out a step.

        Raises:
            AssertionError: It is none that this world has a reason for.
        """
        match step:
            case steps.MakeDirectory(parent, name, _):
                self._record.folders.add(_folder_at(parent, name))
                return
            case steps.Create(_, _, State.LIVE, found):
                number = int(found.loc[-9:])
                if number < self._record.files:
                    assert not self._record.alive[number]
                    self._record.alive[number] = 1
                else:
                    assert number == self._record.new()
                self._record.put(number, self.volume)
            case steps.Drop(file):
                number = file - FILES_FROM
                self._record.take(number, self.volume)
            case steps.Add(file, Standing.GOOD, _):
                number = file - FILES_FROM
                self._record.put(number, self.volume)
            case _:
                raise AssertionError(f"{self.node}: {step}")
        self.news.append(number)


def _folder_at(parent: int, name: bytes) -> int:
    """Give the directory that has or gets a name."""
    if parent == ROOT_ID:
        return next(top for top, known in TOPS.items() if known == name)
    return FOLDERS_FROM + int(name)


def joined(record: Record, volume: int) -> tuple[int, int]:
    """Merge all that lies on a disk of which nothing is known; give the numbers of files and steps."""
    disk, page, taken = record.disks[volume], Page(record, volume), 0
    found = [_found(record, number) for number in sorted(disk.files)]
    disk.files = array("I")
    for step in merge.merge(page, found):
        page.apply(step)
        taken += 1
    return len(found), taken


def merged(record: Record, volume: int, found: Sequence[Found]) -> list[steps.Step]:
    """Merge a volume's whole list, with the real merging; give the steps that were taken."""
    page, taken = Page(record, volume), []
    for step in merge.merge(page, found, map(loc_of, record.held_on(volume))):
        page.apply(step)
        taken.append(step)
    record.note(page.news)
    return taken


def listed(record: Record, volume: int) -> Iterator[Found]:
    """Give what lies on a disk, as its node would tell."""
    disk = record.disks[volume]
    for number in record.held_on(volume):
        if number not in disk.lost:
            yield _found(record, number)
    for number, ver in sorted(disk.tombs.items()):
        yield Found(loc_of(number), size_of(number, ver & (1 << GENERATIONS) - 1), 1, ver)
    for number in disk.fresh:
        yield Found(loc_of(number), size_of(number), 1)


def _found(record: Record, number: int) -> Found:
    return Found(loc_of(number), size_of(number, record.generation[number]), 1, record.version(number))
