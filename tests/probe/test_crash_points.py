"""A process is killed before each step that it takes for a client, and what was acknowledged is there."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from argosy.wire import link
from probe.ledger import Ledger, Part, Seen, check_content, look, put, put_half
from probe.processes import Processes, Tracer, runs
from talking import Talk

SEED = 20_240_229
MOST = int(os.environ.get("ARGOSY_PROBE_KILLS", "3"))
"""Kills for one kind of step; where there are more, some are drawn. More take longer."""
QUIET_SECONDS = 0.3
"""No process does anything for so long: what an upload brings about is over."""

KINDS = {"master": ("catalogue", "link", "control"), "n1": ("part", "place", "journal", "link")}
"""What a process leaves behind: in files of its own, on the disk, or at somebody else's."""

_numbers = itertools.count(1)


def content(size: int = 700_001) -> bytes:
    """Make contents that no other file has."""
    return random.Random(next(_numbers)).randbytes(size)


def kind_of(victim: str, step: str) -> str:
    """Say to which kind a step belongs."""
    about, call = step.split()
    if about in ("link", "control"):
        return about
    if about.startswith("argosy.db"):
        return "catalogue"
    if about.startswith("journal.db"):
        return "journal"
    return "place" if about != "part" or call.startswith("rename") else "part"


@dataclass
class Change:
    """What a client wants changed, done anew for each kill at paths of its own."""

    before: dict[str, Seen] = field(default_factory=dict)
    after: dict[str, Seen] = field(default_factory=dict)

    def prepare(self, site: Processes, talk: Talk) -> None:
        """Make what is there before."""

    def act(self, talk: Talk) -> bool:
        """Do it; whether it was acknowledged."""
        raise NotImplementedError

    def may_be(self, found: dict[str, Seen]) -> bool:
        """Whether things may look so when it wasn't acknowledged."""
        return found in (self.before, self.after)

    def finish(self, talk: Talk, found: dict[str, Seen]) -> None:
        """Do it once more, as a client would; now it has to succeed."""
        if found == self.before:
            assert self.act(talk)


class Upload(Change):
    """STOR of a new name, by the data connection that the client has to the node."""

    relayed = False

    def prepare(self, site: Processes, talk: Talk) -> None:
        del site, talk
        self.path = f"/new-{next(_numbers)}"
        self.content = content()
        self.before, self.after = {self.path: None}, {self.path: self.content}

    def act(self, talk: Talk) -> bool:
        return put(talk, f"STOR {self.path}", self.content, relayed=self.relayed)

    def may_be(self, found: dict[str, Seen]) -> bool:
        seen = found[self.path]
        return super().may_be(found) or (isinstance(seen, Part) and seen.size <= len(self.content))

    def finish(self, talk: Talk, found: dict[str, Seen]) -> None:
        seen = found[self.path]
        if isinstance(seen, Part):
            rest = self.content[seen.size :]
            assert put(talk, f"STOR {self.path}", rest, offset=seen.size), (seen, talk.ask("NOOP"))
            check_content(talk, self.path, self.content)
        again = content(1000)
        assert put(talk, f"STOR {self.path}", again)
        self.after = {self.path: again}


class Relayed(Upload):
    """The same, carried by the master."""

    relayed = True


class Overwrite(Upload):
    """STOR over a file."""

    def prepare(self, site: Processes, talk: Talk) -> None:
        super().prepare(site, talk)
        old = content(300_000)
        assert put(talk, f"STOR {self.path}", old)
        self.before = {self.path: old}

    def may_be(self, found: dict[str, Seen]) -> bool:
        return found in (self.before, self.after)


class Resume(Upload):
    """REST and STOR of what is left of a cut upload."""

    def prepare(self, site: Processes, talk: Talk) -> None:
        super().prepare(site, talk)
        put_half(site, talk, f"STOR {self.path}", self.content[:400_000])
        self.before = {self.path: Part(400_000)}

    def act(self, talk: Talk) -> bool:
        return put(talk, f"STOR {self.path}", self.content[400_000:], offset=400_000)

    def may_be(self, found: dict[str, Seen]) -> bool:
        return super().may_be(found) and found[self.path] is not None


class Append(Overwrite):
    """APPE to a file: all its bytes move into the new version."""

    def prepare(self, site: Processes, talk: Talk) -> None:
        super().prepare(site, talk)
        old = self.before[self.path]
        assert isinstance(old, bytes)
        self.more, self.after = self.content, {self.path: old + self.content}

    def act(self, talk: Talk) -> bool:
        return put(talk, f"APPE {self.path}", self.more)


class Delete(Change):
    """DELE."""

    def prepare(self, site: Processes, talk: Talk) -> None:
        del site
        path = f"/doomed-{next(_numbers)}"
        self.before, self.after = {path: content(1000)}, {path: None}
        self.line = f"DELE {path}"
        assert put(talk, f"STOR {path}", content_of(self.before, path))

    def act(self, talk: Talk) -> bool:
        return asked(talk, self.line, 250)


class Rename(Change):
    """RNFR and RNTO into another directory, over a file that is there."""

    def prepare(self, site: Processes, talk: Talk) -> None:
        del site
        number = next(_numbers)
        old, new = f"/old-{number}", f"/bystanders/new-{number}"
        self.before = {old: content(1000), new: content(500)}
        self.after = {old: None, new: self.before[old]}
        for path in self.before:
            assert put(talk, f"STOR {path}", content_of(self.before, path))
        self.lines = (f"RNFR {old}", f"RNTO {new}")

    def act(self, talk: Talk) -> bool:
        return asked(talk, self.lines[0], 350) and asked(talk, self.lines[1], 250)


class RenameDirectory(Change):
    """RNFR and RNTO of a directory: all files in it move on the disk."""

    def prepare(self, site: Processes, talk: Talk) -> None:
        del site
        number = next(_numbers)
        old, new = f"/old-{number}", f"/new-{number}"
        assert talk.ask(f"MKD {old}").code == 257
        contents = [content(100) for _ in range(3)]
        self.before = {
            **{f"{old}/{n}": one for n, one in enumerate(contents)},
            **{f"{new}/{n}": None for n in range(3)},
        }
        self.after = {
            **{f"{old}/{n}": None for n in range(3)},
            **{f"{new}/{n}": one for n, one in enumerate(contents)},
        }
        for n, one in enumerate(contents):
            assert put(talk, f"STOR {old}/{n}", one)
        self.lines = (f"RNFR {old}", f"RNTO {new}")

    def act(self, talk: Talk) -> bool:
        return asked(talk, self.lines[0], 350) and asked(talk, self.lines[1], 250)


CHANGES: dict[str, type[Change]] = {
    "a new file": Upload,
    "a new file through the master": Relayed,
    "an overwrite": Overwrite,
    "a resumed upload": Resume,
    "an append": Append,
    "a deletion": Delete,
    "a rename": Rename,
    "a directory's rename": RenameDirectory,
}


def content_of(seen: dict[str, Seen], path: str) -> bytes:
    """Give the contents that are to be at a path."""
    found = seen[path]
    assert isinstance(found, bytes)
    return found


def asked(talk: Talk, line: str, code: int) -> bool:
    """Say a line; whether it was acknowledged."""
    try:
        return talk.ask(line).code == code
    except (OSError, EOFError):
        return False


class Stage:
    """A site that lives on from test to test, until one has failed on it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lives = itertools.count(1)
        self._ledger: Ledger | None = None
        self.spoiled = False

    def ledger(self) -> Ledger:
        """Give the site's ledger, of a new site if need be."""
        if self.spoiled:
            self.close()
        if self._ledger is None:
            site = Processes(self._directory / f"site{next(self._lives)}", nodes=1)
            self._ledger, self.spoiled = Ledger(site), True
            site.start()
            furnish(self._ledger)
        return self._ledger

    def close(self) -> None:
        """Stop the site."""
        if self._ledger:
            self._ledger.site.stop()
        self._ledger = None


def furnish(ledger: Ledger) -> None:
    """Make files, and a part, that all what follows must leave alone."""
    with Talk(ledger.site) as talk:
        assert talk.ask("MKD /bystanders").code == 257
        for name, size in (("/bystanders/one", 123_456), ("/two", 1), ("/empty", 0)):
            ledger.files[name] = content(size)
            assert put(talk, f"STOR {name}", ledger.files[name])
        put_half(ledger.site, talk, "STOR /half", content(50_000))
        ledger.parts["/half"] = 50_000


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("crash"))
    yield stage
    stage.close()


@pytest.fixture
def ledger(stage: Stage) -> Ledger:
    """Lend the ledger of a site on which nothing has gone wrong yet."""
    ledger = stage.ledger()
    stage.spoiled = True
    return ledger


@pytest.fixture
def site(ledger: Ledger) -> Processes:
    return ledger.site


@pytest.fixture(scope="module")
def recorded() -> dict[tuple[str, str], list[str]]:
    """The steps of each process for each change, when nobody is killed."""
    return {}


def steps_of(
    recorded: dict[tuple[str, str], list[str]], site: Processes, ledger: Ledger, name: str, victim: str
) -> list[str]:
    """Record the steps for a change, once for all kinds."""
    if (name, victim) not in recorded:
        change = CHANGES[name]()
        with Talk(site) as talk:
            change.prepare(site, talk)
            ledger_settles(ledger, change.before)
            with Tracer(site, victim) as tracer:
                assert change.act(talk), site.logs()
                tracer.quiet(QUIET_SECONDS)
            recorded[name, victim] = tracer.steps
            remove(talk, change.after)
    return recorded[name, victim]


def chosen(steps: list[str], victim: str, kind: str) -> list[int]:
    """Choose steps of a kind: first and last of each run and one between; some where there are many."""
    drawn = random.Random(SEED)
    numbers: list[int] = []
    for first, last in runs(steps):
        if kind_of(victim, steps[first - 1]) == kind:
            numbers += sorted({first, last, drawn.randint(first, last)})
    return sorted(drawn.sample(numbers, min(MOST, len(numbers))))


def remove(talk: Talk, seen: dict[str, Seen]) -> None:
    """Delete what a change has left."""
    for path, found in seen.items():
        if found is not None:
            assert talk.ask(f"DELE {path}").code == 250
    for directory in {path.rpartition("/")[0] for path in seen} - {"", "/bystanders"}:
        talk.ask(f"RMD {directory}")


def ledger_settles(ledger: Ledger, more: dict[str, Seen]) -> None:
    """Wait until the disks hold what the ledger says, and some more."""
    files = {path: found for path, found in more.items() if isinstance(found, bytes)}
    parts = {path: found.size for path, found in more.items() if isinstance(found, Part)}
    Ledger(ledger.site, {**ledger.files, **files}, {**ledger.parts, **parts}).check_disks()


CASES = [(name, victim, kind) for name in CHANGES for victim, kinds in KINDS.items() for kind in kinds]


@pytest.mark.parametrize(
    ("name", "victim", "kind"), CASES, ids=[f"{name}, {victim}'s {kind}" for name, victim, kind in CASES]
)
def test_nothing_that_was_acknowledged_is_lost_when_a_process_dies_before_a_step(
    site: Processes,
    ledger: Ledger,
    recorded: dict[tuple[str, str], list[str]],
    stage: Stage,
    name: str,
    victim: str,
    kind: str,
) -> None:
    steps = steps_of(recorded, site, ledger, name, victim)
    for number in chosen(steps, victim, kind):
        try:
            kill_and_look(site, ledger, CHANGES[name](), victim, number)
        except Exception as error:
            error.add_note(
                f"{name}: {victim} was killed before step {number}, usually {steps[number - 1]!r}, of {steps}"
            )
            raise
    stage.spoiled = False


def kill_and_look(site: Processes, ledger: Ledger, change: Change, victim: str, number: int) -> None:
    """Make a change while a process dies before a step; then compare with what was acknowledged."""
    with Talk(site) as talk, ThreadPoolExecutor(1) as client:
        change.prepare(site, talk)
        with Tracer(site, victim, "kill", number) as tracer:
            answer = client.submit(change.act, talk)
            while not (dead := tracer.acted(0.05)) and not answer.done():
                pass
            dead = dead or tracer.acted(2 * QUIET_SECONDS)
        if dead:
            site.kill(victim)
            site.bring_back(victim)
        acknowledged = answer.result(30)
    compare(site, ledger, change, acknowledged=acknowledged)


def compare(site: Processes, ledger: Ledger, change: Change, *, acknowledged: bool) -> None:
    """Hold what is there against what was acknowledged; then the client has its will."""
    with Talk(site) as talk:
        found = {path: look(talk, path) for path in change.before}
        if acknowledged:
            assert found == change.after, shown(found)
        else:
            assert change.may_be(found), shown(found)
        ledger.check(talk, besides=set(change.before))
        ledger_settles(ledger, found)
        change.finish(talk, found)
        for path, wanted in change.after.items():
            assert look(talk, path) == wanted
        ledger_settles(ledger, change.after)
        remove(talk, change.after)


HELD = [
    ("master", "argosy.db-wal fdatasync", "n1", "a new file"),
    ("master", "argosy.db-wal fdatasync", "n1", "an overwrite"),
    ("master", "argosy.db-wal fdatasync", "n1", "a resumed upload"),
    ("n1", "part write", "master", "a new file"),
    ("n1", "part fsync", "master", "a new file"),
    ("n1", "journal.db-wal fdatasync", "master", "an overwrite"),
    ("n1", "journal.db-wal fdatasync", "master", "a resumed upload"),
]
"""Who stands still before its first step of a name, and who dies meanwhile."""


@pytest.mark.parametrize(
    ("held", "step", "victim", "name"),
    HELD,
    ids=[f"{name}, {victim} dies before {held}'s {step}" for held, step, victim, name in HELD],
)
def test_nothing_that_was_acknowledged_is_lost_when_one_dies_while_the_other_is_slow(
    site: Processes,
    ledger: Ledger,
    stage: Stage,
    held: str,
    step: str,
    victim: str,
    name: str,
) -> None:
    change = CHANGES[name]()
    with Talk(site) as talk, ThreadPoolExecutor(1) as client:
        change.prepare(site, talk)
        epoch = site.nodes()["n1"]["epoch"]
        with Tracer(site, held, "hold", 1, only=step) as tracer:
            answer = client.submit(change.act, talk)
            assert tracer.acted(10)
            site.kill(victim)
            site.spawn(victim)
            time.sleep(1.0)  # it knocks already
        if victim == "n1":
            site.wait_for("n1 to join", lambda: site.nodes()["n1"]["epoch"] > epoch)
        site.wait_until_ready()
        acknowledged = answer.result(30)
    site.wait_for("the upload to be over", lambda: not being_uploaded(site, change))
    compare(site, ledger, change, acknowledged=acknowledged)
    stage.spoiled = False


def die_before_noting(site: Processes, talk: Talk, path: str, new: bytes) -> None:
    """Have an upload acknowledged whose node dies when the file is in place and the journal says nothing."""
    with Tracer(site, "n1", "kill", 1, only="n1 fsync") as tracer:
        assert put(talk, f"STOR {path}", new)
        assert tracer.acted(5)
    site.kill("n1")


@pytest.mark.parametrize("name", ["a new file", "an overwrite"])
def test_a_file_stays_deleted_whose_node_died_before_noting_where_it_is(
    site: Processes, ledger: Ledger, stage: Stage, name: str
) -> None:
    path = f"/unnoted-{next(_numbers)}"
    with Talk(site) as talk:
        if name == "an overwrite":
            assert put(talk, f"STOR {path}", content(500))
            ledger_settles(ledger, {path: content_at(site, path)})
        die_before_noting(site, talk, path, content(1000))
        assert talk.ask(f"DELE {path}").code == 250
        site.bring_back("n1")
        site.ask(link.AskRemerge("n1", False))
        ledger.check_disks()
        ledger.check(talk)
    stage.spoiled = False


def test_a_file_is_served_as_it_is_that_was_edited_before_its_node_could_note_the_upload(
    site: Processes, ledger: Ledger, stage: Stage
) -> None:
    path = f"/edited-{next(_numbers)}"
    with Talk(site) as talk:
        die_before_noting(site, talk, path, content(1000))
        edited = site.root("n1") / path[1:]
        edited.write_bytes(b"edited by hand")
        os.utime(edited, (1_600_000_000, 1_600_000_000))
        site.bring_back("n1")
        site.wait_for("the edited contents", lambda: look(talk, path) == b"edited by hand", 8.0)
        ledger_settles(ledger, {path: b"edited by hand"})
        remove(talk, {path: b"edited by hand"})
    stage.spoiled = False


def content_at(site: Processes, path: str) -> bytes:
    """Wait for a file on the node's disk, and give its contents."""
    file = site.root("n1") / path[1:]
    site.wait_for("the file", file.exists)
    return file.read_bytes()


def being_uploaded(site: Processes, change: Change) -> bool:
    """Whether the catalogue thinks that it is still going on."""
    return any(site.why(path)["state"] == "uploading" for path in change.before)


def shown(found: dict[str, Seen]) -> dict[str, str]:
    """Shorten contents."""
    return {
        path: f"{len(seen)} bytes" if isinstance(seen, bytes) else str(seen) for path, seen in found.items()
    }
