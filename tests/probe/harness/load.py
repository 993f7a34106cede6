"""What clients do all the time, each in directories of its own, and what they make of the answers."""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum

from network import Machine
from probe.harness.caller import Caller
from probe.harness.faults import Windows
from probe.harness.model import Content, Known, Tree, digest
from probe.harness.plan import MASTER
from probe.harness.report import Record
from probe.harness.yard import RULES, Yard, acknowledged, ruled_by
from soak.visitor import Turned, Way
from talking import everything, reset

FILES = 40
"""That a client keeps at the most: disks are small."""

SIZES = ((55, 8 << 10), (30, 512 << 10), (12, 6 << 20), (3, 24 << 20))
"""Of a hundred files so many are of at most so many bytes."""

AWAY_SECONDS = 0.5
"""A client whose connection broke comes again after so long."""

TURNS = 30
"""Deeds of a session, before it is left for another."""

_GONE = (OSError, EOFError)
"""The control connection broke."""


class Mode(Enum):
    """What clients do."""

    ALL = "everything"
    READS = "read"


class Worker:
    """One client."""

    def __init__(
        self,
        yard: Yard,
        machine: Machine,
        number: int,
        seed: int,
        windows: Windows,
        record: Record,
        pause: float,
    ) -> None:
        """Prepare; `run` goes on until told.

        Args:
            yard: The site.
            machine: Where the client is.
            number: Names its directories.
            seed: For its choices.
            windows: What explains an error.
            record: What to enter deeds in.
            pause: Seconds between deeds, on the average.
        """
        self.tree = Tree()
        self.mode = Mode.ALL
        self.name = f"w{number}"
        self.bases = [f"{directory.rstrip('/')}/{self.name}" for directory in RULES]
        self._yard = yard
        self._machine = machine
        self._chance = random.Random(seed)
        self._windows = windows
        self._record = record
        self._pause = pause
        self._directories = [f"{base}/d{index}" for base in self.bases for index in (1, 2)]
        self._named = 0
        self._caller: Caller | None = None
        self._open_question: Callable[[], None] | None = None
        self._context = ssl.create_default_context(cafile=str(yard.authority))
        self._context.check_hostname = False
        self._began = 0.0
        self._came = 0.0
        """When this session began."""
        self._uploading = ""
        """What this deed stores."""
        self._reading = ""
        """What it reads."""

    @property
    def settled(self) -> bool:
        """Whether all that was left open is known by now."""
        uncertain = any(len(known.possible) > 1 and not known.lost for _, known in self.tree.known())
        return not uncertain and self._open_question is None

    def prepare(self) -> None:
        """Make the directories, before anything happens."""

        def make() -> None:
            self._come()
            for directory in (*self.bases, *self._directories):
                self._here.want(f"MKD {directory}", 257)
            self._leave()

        self._machine.inside(make)

    def run(self, stop: threading.Event) -> None:
        """Do one deed after the other; the connection is made anew when it breaks."""
        self._machine.enter()
        turns = 0
        while not stop.wait(self._chance.expovariate(1 / self._pause)):
            deeds = DEEDS if self.mode is Mode.ALL else READING
            name = self._chance.choices(list(deeds), [weight for weight, _ in deeds.values()])[0]
            self._began, self._uploading, self._reading = time.monotonic(), "", ""
            try:
                if self._caller is None or turns >= TURNS:
                    self._come()
                    turns = 0
                turns += 1
                deeds[name][1](self)
                self._record.deeds[name] += 1
            except Turned as turned:
                self._turned(name, turned)
            except _GONE as error:
                self._broken(name, error)
            except Exception as error:  # noqa: BLE001 - a fault of the harness's own
                self._find(f"{self.name}: {name}: {type(error).__name__}: {error}")
                self._leave()
        self._leave()

    def read_all(self) -> None:
        """Read everything back, at the very end."""

        def read() -> None:
            self._came_anew()
            for path, _ in self.tree.known():
                self._began = time.monotonic()
                try:
                    self._record.compared += self._read(path)
                except (Turned, *_GONE) as error:
                    self._find(f"{path} can't be read back: {error}")
                    self._came_anew()
            self._list_all()
            self._leave()

        self._machine.inside(read)

    # --- sessions

    def _come(self) -> None:
        self._leave()
        self._came = time.monotonic()
        way = self._chance.choice(list(Way))
        self._caller = Caller(self._yard, way, self._context if self._chance.random() < 0.25 else None)
        if self._open_question:
            self._open_question()
            self._open_question = None

    def _came_anew(self) -> None:
        with contextlib.suppress(*_GONE):
            self._come()

    def _leave(self) -> None:
        if self._caller is not None:
            with contextlib.suppress(OSError):
                self._caller.socket.close()
        self._caller = None

    @property
    def _here(self) -> Caller:
        assert self._caller is not None, "logged in"
        return self._caller

    def _find(self, sentence: str) -> None:
        """Note something that must not be, and what was said before."""
        said = self._caller.conversation if self._caller else ["(no session)"]
        self._record.find(sentence, "\n".join(said))

    # --- errors

    def _turned(self, name: str, turned: Turned) -> None:
        """A "no" for now may come of a fault; any other is wrong: we ask for nothing impossible."""
        caller = self._here
        nodes = None
        # A node may be hit that the client never met: the only one that has the file, or takes a copy of it.
        alone = turned.code != 450 and acknowledged(self._uploading or "/") == 1
        if caller.way is Way.DIRECT and caller.met in self._yard.by_address and alone:
            nodes = {self._yard.by_address[caller.met]}
        fault = self._windows.explain(nodes, self._began)
        if fault and 400 <= turned.code < 500:
            had = ", though a node that is well has it" if turned.code == 450 and self._is_elsewhere() else ""
            self._record.excuse(name, f"{turned.code} {caller.way.name.lower()}{had}", fault.kind)
        else:
            self._find(f"{self.name}: {name}: {turned}")
        if turned.code == 421:
            self._leave()

    def _is_elsewhere(self) -> bool:
        """Whether what was to be read lies in order on a node that isn't hit."""
        known = self.tree.files.get(self._reading)
        hit = self._windows.hit(self._began)
        if known is None or known.certain is None or MASTER in hit:
            return False
        wanted = known.certain.digest
        return any(
            wanted in disk.contents().values() for name, disk in self._yard.disks.items() if name not in hit
        )

    def _broken(self, name: str, error: OSError | EOFError) -> None:
        """The control connection ends with the master only; who was busy elsewhere notices it later."""
        fault = self._windows.explain(set(), min(self._began, self._came))
        what = type(error).__name__
        if fault:
            self._record.excuse(name, what, fault.kind)
        else:
            self._find(f"{self.name}: {name}: {what}: {error}")
        self._leave()
        time.sleep(AWAY_SECONDS)

    # --- deeds that change something

    def _new(self) -> None:
        if len(self.tree.files) >= FILES:
            self._delete()
            return
        self._named += 1
        self._store(f"{self._some_directory()}/f{self._named}", self._content())

    def _overwrite(self) -> None:
        if path := self._some():
            self._store(path, self._content())

    def _store(self, path: str, content: Content) -> None:
        self._send(path, f"STOR {path}", content, content)

    def _append(self) -> None:
        path = self._some()
        if path and (before := self.tree.files[path].certain) and not self.tree.files[path].cut:
            more = Content.some(self._chance, self._chance.randrange(1, 200_000))
            whole = before.then(more)
            if before.digest in self._record.unsummed:
                self._record.unsummed.add(whole.digest)
            self._send(path, f"APPE {path}", whole, more)
            if before.digest in self._record.flipped:
                self._record.flipped[whole.digest] = time.monotonic()

    def _send(self, path: str, line: str, whole: Content, coming: Content, offset: int = 0) -> None:
        """Send the rest of a content; any other answer than 226 leaves open what is there."""
        self._uploading = path
        if offset:
            self._record.unsummed.add(whole.digest)
        try:
            self._here.send(line, coming.content[offset:], offset=offset)
        except (Turned, *_GONE):
            self.tree.doubtful(path, whole, resumable=line.startswith("STOR"))
            raise
        self.tree.stored(path, whole)
        self._record.uploaded += coming.size - offset

    def _cut(self) -> None:
        """Break an upload off in the middle, and go on with it."""
        content = self._content()
        self._named += 1
        path = f"{self._some_directory()}/f{self._named}"
        self.tree.doubtful(path, content, resumable=True)
        self._uploading = path
        with self._here._begun(f"STOR {path}") as data:
            with contextlib.suppress(OSError):
                data.sendall(content.content[: content.size // 2])
            reset(data)
        self._here.hear()
        self._go_on_with(path)

    def _resume(self) -> None:
        """Go on with an upload that a fault has cut."""
        parts = [path for path, known in self.tree.known() if known.part]
        if parts:
            self._go_on_with(self._chance.choice(parts))

    def _go_on_with(self, path: str) -> None:
        part = self.tree.files[path].part
        assert part is not None, "it was cut"
        size = self._here.ask(f"SIZE {path}")
        if size.code == 550:
            self.tree.seen(path, None)
        elif size.code != 213:
            raise Turned(size.code, f"SIZE {path}: {size.text.decode(errors='replace').strip()}")
        elif (there := int(size.text[4:])) < part.size:
            self._send(path, f"STOR {path}", part, part, there)
        else:
            self._read(path)

    def _rename(self) -> None:
        if path := self._some():
            self._named += 1
            self._move(path, f"{self._some_directory(path)}/r{self._named}")

    def _rename_directory(self) -> None:
        old = self._chance.choice(self._directories)
        self._named += 1
        self._move(old, f"{old.rpartition('/')[0]}/e{self._named}")

    def _move(self, old: str, new: str) -> None:
        """Rename; whether it happened is asked when the answer didn't come."""
        self._here.want(f"RNFR {old}", 350)
        try:
            self._here.want(f"RNTO {new}", 250)
        except _GONE:
            self._open_question = lambda: self._look_where(old, new)
            raise
        self._is_moved(old, new)

    def _look_where(self, old: str, new: str) -> None:
        at_new, at_old = (self._here.ask(f"MLST {path}").code == 250 for path in (new, old))
        if at_new is at_old:
            self._find(f"{old} renamed to {new}, cut: it is at {'both' if at_new else 'neither'}")
        if at_new:
            self._is_moved(old, new)

    def _is_moved(self, old: str, new: str) -> None:
        self.tree.moved(old, new)
        if old in self._directories:
            self._directories[self._directories.index(old)] = new

    def _delete(self) -> None:
        path = self._some()
        if not path:
            return
        try:
            self._here.want(f"DELE {path}", 250)
        except _GONE:
            self.tree.perhaps_deleted(path)
            raise
        self.tree.deleted(path)

    def _clear_up(self) -> None:
        """Delete what a fault has destroyed: that must be possible."""
        lost = [path for path, known in self.tree.known() if known.lost]
        if lost:
            path = self._chance.choice(lost)
            if (answer := self._here.ask(f"DELE {path}")).code not in (250, 550):
                raise Turned(answer.code, f"DELE {path}: {answer.text.decode(errors='replace').strip()}")
            self.tree.deleted(path)

    # --- deeds that look

    def _download(self) -> None:
        if path := self._some_to_read():
            self._record.downloaded += self._read(path)

    def _read(self, path: str) -> int:
        """Download and hold it against what is known; that is known better then. Gives its bytes."""
        known, self._reading = self.tree.files[path], path
        try:
            content = self._here.fetch(f"RETR {path}")
        except Turned as turned:
            if turned.code == 550 and None in known.possible:
                self.tree.seen(path, None)
            elif self._rotten(known) and turned.code == 550 and self._windows.explain(None, self._began):
                self._record.excuse("download", "550, the good copies are away", "flip")
            elif not (known.lost or (known.part and turned.code in (450, 550))):
                raise
            return 0
        found = next((one for one in known.possible if one and one.digest == digest(content)), None)
        if found is None:
            self._wrong(path, known, content)
        else:
            self.tree.seen(path, found)
        return len(content)

    def _rotten(self, known: Known) -> bool:
        """Whether a bit of one of its copies turned over."""
        return any(one and one.digest in self._record.flipped for one in known.possible)

    def _unseen(self, known: Known) -> bool:
        """Whether a bit turned over that nobody could see: no checksum is known yet, or it was just now."""
        flipped, unsummed = self._record.flipped, self._record.unsummed
        return any(
            one and one.digest in flipped and (one.digest in unsummed or flipped[one.digest] > self._began)
            for one in known.possible
        )

    def _wrong(self, path: str, known: Known, content: bytes) -> None:
        came = digest(content)
        if self._unseen(known):
            self._record.excuse("download", "226, but a bit is wrong, and nobody could know", "flip")
            return
        what = f"{len(content)} bytes ({came[:12]})"
        if came in self.tree.former:
            what += f", which is what {self.tree.former[came]} was before"
        wanted = ", ".join(
            f"{one.size} bytes ({one.digest[:12]})" if one else "none" for one in known.possible
        )
        self._find(f"{path} is {what}; it may be {wanted}")

    def _tail(self) -> None:
        """Read the end of a file by REST."""
        path = self._some()
        if path and (known := self.tree.files[path].certain):
            offset, self._reading = self._chance.randrange(known.size), path
            content = self._here.fetch(f"RETR {path}", offset=offset)
            if content != known.content[offset:] and known.digest in self._record.flipped:
                self._record.excuse("download from an offset", "226, but a bit is wrong", "flip")
            elif content != known.content[offset:]:
                self._find(f"{path}: another end from {offset} on, {len(content)} bytes")
            self._record.downloaded += len(content)

    def _abort(self) -> None:
        if path := self._some():
            with self._here._begun(f"RETR {path}") as data:
                with contextlib.suppress(OSError):
                    data.recv(1)
                self._here.abort(telnet=False)
                with contextlib.suppress(OSError):
                    everything(data)
            self._here.hear()
            self._here.hear()

    def _list(self) -> None:
        self._check_list(self._chance.choice([*self.bases, *self._directories]))

    def _list_all(self) -> None:
        for directory in (*self.bases, *self._directories):
            self._check_list(directory)

    def _check_list(self, directory: str) -> None:
        text = self._here.fetch(f"MLSD {directory}").decode()
        lines = [line.partition(" ") for line in text.splitlines()]
        found = {name for facts, _, name in lines if "type=file" in facts.lower()}
        here = {
            path.rpartition("/")[2]: known
            for path, known in self.tree.known()
            if path.rpartition("/")[0] == directory
        }
        missing = {name for name, known in here.items() if known.certain} - found
        if missing:
            self._find(f"{directory} lacks {sorted(missing)}")
        if extra := found - here.keys():
            self._find(f"{directory} has {sorted(extra)}, which should be gone")

    # --- choosing

    def _some(self) -> str:
        """Name a file that is there for certain; empty: there is none yet."""
        certain = [path for path, known in self.tree.known() if known.certain]
        return self._chance.choice(certain) if certain else ""

    def _some_to_read(self) -> str:
        """Likewise; but first those of which it isn't known what they are."""
        open_ones = [path for path, known in self.tree.known() if len(known.possible) > 1 and not known.lost]
        return self._chance.choice(open_ones) if open_ones else self._some()

    def _some_directory(self, path: str = "") -> str:
        """Choose where a file goes; one that is there keeps its rule, mostly."""
        near = [
            one for one in (*self.bases, *self._directories) if not path or ruled_by(one) == ruled_by(path)
        ]
        return self._chance.choice(near)

    def _content(self) -> Content:
        shares, sizes = zip(*SIZES, strict=True)
        return Content.some(self._chance, self._chance.randrange(16, self._chance.choices(sizes, shares)[0]))


Deeds = Mapping[str, tuple[int, Callable[[Worker], None]]]

DEEDS: Deeds = {
    "new file": (22, Worker._new),
    "overwrite": (10, Worker._overwrite),
    "append": (5, Worker._append),
    "cut and resume": (4, Worker._cut),
    "resume after a fault": (4, Worker._resume),
    "rename": (8, Worker._rename),
    "rename a directory": (2, Worker._rename_directory),
    "delete": (8, Worker._delete),
    "clear up": (2, Worker._clear_up),
    "download": (22, Worker._download),
    "download from an offset": (8, Worker._tail),
    "abort a download": (2, Worker._abort),
    "list": (8, Worker._list),
}
"""What clients do, and how often."""

READING: Deeds = {name: DEEDS[name] for name in ("download", "download from an offset", "list")}
"""What they do at rests."""
