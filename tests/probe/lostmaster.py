"""A site with all kinds of files, whose master's disk is lost: what was there, and what is there then.

`PYTHONPATH=tests python -m probe.lostmaster DIRECTORY` does it with 100,000 files, and says how long it took.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from running import ARGOSY, Site, end
from talking import Talk, reset

SETTINGS = {
    "sections.two": {"path": "/two", "copies": 2},
    "sections.three": {"path": "/three", "copies": 3},
    "sections.safe": {"path": "/safe", "copies": 2, "acknowledged": 2},
    "sections.bin": {"path": "/bin", "copies": 2, "trash_days": 7},
}
SECTIONS = (b"/one", b"/two", b"/three", b"/safe")
"""Where files are uploaded to; `/one` is in no section."""

ODD = (
    b"plain", b" blank in front", b"blank behind ", b"blanks  in it", b"caf\xe9 latin", b"\xff\xfe\x80",
    "\N{GREEK SMALL LETTER OMEGA}\N{GRINNING FACE}".encode(), b'quote"s', b"tab\tin it", b"100%", b"-dash",
    b"*?[x]{y}", b"back\\slash", b"x" * 200, b"...", b"~", b"#;|&", b"\x01\x7f",
)  # fmt: skip
"""What names are made of."""

ODD_LINES = b"under a name that no line can say"

_BLOB = random.Random(5).randbytes(1 << 20)
_CLIENTS = 6


@dataclass(frozen=True, slots=True)
class Fact:
    """What a client sees of a file, without its content."""

    size: int
    modified: bytes


@dataclass(slots=True)
class Truth:
    """What is on the site, as clients were told: contents by path."""

    files: dict[bytes, bytes] = field(default_factory=dict)
    """SHA-256, by path."""
    unsure: dict[bytes, set[bytes | None]] = field(default_factory=dict)
    """What was changed in the last moment: what may be there, None for nothing."""
    rushed: dict[bytes, bytes] = field(default_factory=dict)
    """Overwritten in the last moment."""
    trashed: dict[bytes, bytes] = field(default_factory=dict)
    aside: set[bytes] = field(default_factory=set)
    """Contents of which some have names of conflicts: which, depends on what comes first."""


def content(number: int, salt: int = 0) -> bytes:
    """Give a file's bytes, which no other has: mostly few."""
    size = (0, 1, 700, 3_000, 9_000, 20_000)[number % 6] + (number % 1_000 == 7) * 900_000
    head = b"%d %d." % (number, salt)
    start = number * 7 % 60_000
    return head + _BLOB[start : start + size]


def path_of(number: int) -> bytes:
    """Give a path, up to twelve directories deep."""
    draw = random.Random(number)
    section = SECTIONS[number % len(SECTIONS)]
    deep = b"".join(
        b"/" + ODD[(number // 40 + level * 7) % len(ODD)][:40] for level in range(number // 40 % 12 + 1)
    )
    return section + deep + b"/%d " % number + ODD[draw.randrange(len(ODD))]


# --- clients ----


class Client(Talk):
    """A session whose data connections go to nodes."""

    def say(self, *lines: str | bytes) -> None:
        """Send lines. The byte 255 is Telnet's, and is doubled: RFC 959 section 3.1.1.1, RFC 854."""
        said = (line.encode() if isinstance(line, str) else line for line in lines)
        super().say(*(line.replace(b"\xff", b"\xff\xff") for line in said))

    def put_at_node(self, path: bytes, content: bytes) -> None:
        """Upload a file, and hear its 226."""
        assert self.ask(b"PRET STOR " + path).code == 200
        ended = self.put(b"STOR " + path, content, wish="PASV")
        assert ended.code == 226, (path, ended)

    def get_from_node(self, path: bytes) -> bytes:
        """Download a file, and hear its 226."""
        began = self.ask(b"PRET RETR " + path)
        assert began.code == 200, (path, began)
        return self.get(b"RETR " + path, wish="PASV")

    def want(self, line: bytes, code: int) -> None:
        """Say something that is answered by this."""
        answer = self.ask(line)
        assert answer.code == code, (line, answer)

    def listed(self, directory: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """List a directory by MLSD: names and facts."""
        found = []
        for line in self.get(b"MLSD " + directory).split(b"\r\n")[:-1]:
            facts, _, name = line.partition(b" ")
            pairs = [fact.partition(b"=") for fact in facts.rstrip(b";").split(b";")]
            found.append((name, {key.lower(): value for key, _, value in pairs}))
        return found


def _shared(site: Site, jobs: Iterable[Callable[[Client], None]]) -> None:
    """Have jobs done by some clients at once."""
    waiting, lock = iter(jobs), threading.Lock()

    def client() -> None:
        with Client(site) as talk:
            while True:
                with lock:
                    job = next(waiting, None)
                if job is None:
                    return
                job(talk)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for done in [pool.submit(client) for _ in range(_CLIENTS)]:
            done.result()


def seen(site: Site) -> dict[bytes, Fact]:
    """Walk through the tree as a client does, and give all files."""
    found: dict[bytes, Fact] = {}
    with Client(site) as talk:
        ahead = [b"/"]
        while ahead:
            directory = ahead.pop()
            for name, facts in talk.listed(directory):
                path = directory.rstrip(b"/") + b"/" + name
                if facts[b"type"] == b"dir":
                    ahead.append(path)
                elif facts[b"type"] == b"file":
                    found[path] = Fact(int(facts[b"size"]), facts[b"modify"])
    return found


def digests(site: Site, paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Download files and give their SHA-256."""
    found: dict[bytes, bytes] = {}

    def fetch(path: bytes) -> Callable[[Client], None]:
        def job(talk: Client) -> None:
            found[path] = hashlib.sha256(talk.get_from_node(path)).digest()

        return job

    _shared(site, map(fetch, paths))
    return found


def copies(roots: Iterable[Path]) -> Counter[bytes]:
    """Count how many disks have a content, by their own files alone."""
    found: Counter[bytes] = Counter()
    for root in roots:
        for directory, below, names in os.walk(os.fsencode(root)):
            if directory == os.fsencode(root):
                below.remove(b".argosy")
            for name in names:
                at = os.path.join(directory, name)
                if not os.path.islink(at):
                    with open(at, "rb") as file:
                        found[hashlib.file_digest(file, "sha256").digest()] += 1
    return found


# --- a site ----


class Lost:
    """A master with three nodes on its machine, and two on others: filled, lost, rebuilt."""

    def __init__(self, directory: Path, *, uploaded: int, by_hand: int) -> None:
        """Prepare it.

        Args:
            directory: Where all is.
            uploaded: How many files clients bring.
            by_hand: How many are found on a disk.
        """
        self.home = directory
        self.files = uploaded + by_hand
        self._uploaded = uploaded
        self.site = Site(directory / "site", "--nodes", "3", settings=SETTINGS)
        self.truth = Truth()
        self.took: dict[str, float] = {}
        self.guests: dict[str, subprocess.Popen[bytes]] = {}
        self.link = ""
        """The port on which nodes dial the master: the new one is to be found where the old one was."""

    @property
    def roots(self) -> dict[str, Path]:
        """Where each node's files lie."""
        here = {f"n{number}": self.site.directory / "nodes" / f"n{number}" for number in range(1, 4)}
        return here | {name: self.home / name / "files" for name in ("far", "late")}

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long something takes."""
        begin = time.monotonic()
        yield
        self.took[what] = time.monotonic() - begin

    def open(self) -> None:
        """Start it."""
        with self.timed("start"):
            self.site.start()
        self.link = str(self.site.argosy("token")["link"]).rsplit(":", 1)[1]
        with self.timed("joins"):
            for name in ("far", "late"):
                self.guests[name] = self.site.join(name, self.home / name)

    def close(self) -> None:
        """End what runs."""
        for guest in self.guests.values():
            end(guest)
        self.site.stop()

    def settled(self) -> bool:
        """Whether all copies are there, and no deletion is owed."""
        status = self.site.status()
        copying = status["copies"]
        return not (status["tombstones"] or copying["lacking"] or copying["batches"] or status["suspects"])

    def settle(self) -> None:
        """Wait for that."""
        self.site.wait_for("all copies", self.settled, 120 + self.files / 50)

    # --- what is there ----

    def fill(self) -> None:
        """Upload, and put files on a disk."""
        with self.timed("upload"):
            self._upload(range(self._uploaded))
        with self.timed("adopt"):
            self._put_by_hand(range(self._uploaded, self.files))
        with self.timed("copies"):
            self.settle()

    def _upload(self, numbers: Sequence[int]) -> None:
        with Client(self.site) as talk:
            made: set[bytes] = set()
            for number in numbers:
                steps = path_of(number).split(b"/")
                for depth in range(2, len(steps)):
                    directory = b"/".join(steps[:depth])
                    if directory not in made:
                        talk.want(b"MKD " + directory, 257)
                        made.add(directory)
        _shared(self.site, map(self._uploading, numbers))

    def _uploading(self, number: int) -> Callable[[Client], None]:
        def job(talk: Client) -> None:
            path = path_of(number)
            talk.put_at_node(path, content(number))
            self.truth.files[path] = hashlib.sha256(content(number)).digest()
            if number % 10 == 3:
                talk.want(b"MFMT 20%02d0203040506 " % (number % 25) + path, 213)

        return job

    def _put_by_hand(self, numbers: Sequence[int]) -> None:
        """As on a disk that was filled before: with names that FTP can't say, too."""
        top = os.fsencode(self.roots["n1"] / "by hand")
        both = os.fsencode(self.roots["n1"] / "two/by hand")
        for number in numbers:
            steps = path_of(number).split(b"/")
            within, path = (top, b"/by hand") if number % 2 else (both, b"/two/by hand")
            path = b"/".join((path, *steps[1:]))
            at = os.path.join(within, *steps[1:])
            os.makedirs(os.path.dirname(at), exist_ok=True)
            Path(os.fsdecode(at)).write_bytes(content(number))
            os.utime(at, ns=(0, (1_000_000_000 + number) * 1_000_000_000 + 123_456_789))
            self.truth.files[path] = hashlib.sha256(content(number)).digest()
        Path(os.fsdecode(top + b"/two\nlines")).write_bytes(ODD_LINES)
        os.symlink("plain", top + b"/a link on the disk")
        for name in ("n1", "n2"):
            clash = self.roots[name] / "by hand" / "clash"
            clash.parent.mkdir(exist_ok=True)
            clash.write_text(f"as {name} has it")
            self.site.argosy("nodes", "remerge", name)
            self.truth.aside.add(hashlib.sha256(clash.read_bytes()).digest())
        self.truth.aside.add(hashlib.sha256(ODD_LINES).digest())

    def work(self) -> None:
        """Change some of it, as people do all the time."""
        truth = self.truth
        paths = sorted(path for path in truth.files if not path.startswith(b"/by hand"))
        with Client(self.site) as talk:
            for number, path in enumerate(paths[::20]):
                match number % 4:
                    case 0:
                        talk.want(b"DELE " + path, 250)
                        del truth.files[path]
                    case 1:
                        self._rename(talk, path, path + b" (renamed)")
                    case 2:
                        self._store(talk, path, content(number, salt=1))
                    case 3:
                        self._rename(talk, path, b"/one/moved \xe9 %d" % number)
                        self._store(talk, path, content(number, salt=2))  # another, at once, in its place
            for number in range(10):
                path = b"/bin/thrown away %d" % number
                if not number:
                    talk.want(b"MKD /bin", 257)
                talk.put_at_node(path, content(number, salt=3))
                truth.trashed[path] = hashlib.sha256(content(number, salt=3)).digest()
                talk.want(b"DELE " + path, 250)
            talk.want(b"SITE SYMLINK /one /two/link", 200)
            talk.want(b"MKD /nothing in it", 257)
            self._cut(talk, b"/two/cut in the middle")

    def _store(self, talk: Client, path: bytes, new: bytes) -> None:
        talk.put_at_node(path, new)
        self.truth.files[path] = hashlib.sha256(new).digest()

    def _rename(self, talk: Client, path: bytes, to: bytes) -> None:
        talk.want(b"RNFR " + path, 350)
        talk.want(b"RNTO " + to, 250)
        self.truth.files[to] = self.truth.files.pop(path)

    @staticmethod
    def _cut(talk: Client, path: bytes) -> None:
        talk.want(b"PRET STOR " + path, 200)
        data: socket.socket = talk.data("PASV")
        talk.want(b"STOR " + path, 150)
        data.sendall(_BLOB)
        reset(data)
        assert talk.hear().code >= 400

    def rush(self) -> None:
        """Change something in the last moment: nodes may not have heard of it."""
        truth = self.truth
        paths = sorted(path for path in truth.files if path.startswith(b"/three"))
        with Client(self.site) as talk:
            for number, path in enumerate(paths[1::9][:30]):
                old = truth.files.pop(path)
                match number % 3:
                    case 0:
                        talk.want(b"DELE " + path, 250)
                        truth.unsure[path] = {None, old}
                    case 1:
                        talk.want(b"RNFR " + path, 350)
                        talk.want(b"RNTO " + path + b" (late)", 250)
                        truth.unsure[path] = {None, old}
                        truth.unsure[path + b" (late)"] = {None, old}
                    case 2:
                        new = content(number, salt=4)
                        talk.put_at_node(path, new)
                        truth.rushed[path] = hashlib.sha256(new).digest()

    # --- its loss ----

    def lose(self) -> None:
        """The power goes, and the disk that all but the files was on is gone."""
        late = self.guests.pop("late")
        late.kill()
        late.wait()
        run = self.site.directory / "run"
        pids = [int(file.read_text()) for file in sorted(run.glob("*.pid"))]
        supervisor = self.site._process
        assert supervisor is not None
        for pid in (supervisor.pid, *pids):
            os.kill(pid, signal.SIGKILL)
        supervisor.wait()
        for lost in self.site.directory.iterdir():
            if lost.name != "nodes":
                shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    def rebuild(self) -> dict[str, object]:
        """Have a master made anew, and started; give what `argosy rebuild` tells."""
        site, link = self.site, self.link
        with self.timed("rebuild"):
            done = subprocess.run(
                [
                    *ARGOSY,
                    "rebuild",
                    "--dir",
                    str(site.directory),
                    "--port",
                    "0",
                    "--link-port",
                    link,
                    "--json",
                ],
                capture_output=True,
                text=True,
                timeout=120 + self.files / 50,
                check=False,
            )
        assert done.returncode == 0, done.stderr + site.logs()
        document: dict[str, object] = json.loads(done.stdout)
        site.options = ()
        site.start()
        site.wait_until_ready()
        return document

    def rejoin(self, name: str) -> None:
        """Have a node of another machine trust the new master, and start it again, as the guide says."""
        if old := self.guests.pop(name, None):
            end(old)
        token = self.site.argosy("token")
        home = self.home / name
        said = subprocess.run(
            [
                *(*ARGOSY, "node", "rejoin", token["link"], "--token", token["token"]),
                *("--name", name, "--dir", str(home / "site")),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        command = [*ARGOSY, "node", "--config", str(home / f"site/config/{name}.toml")]
        with (home / "log").open("a") as log:
            self.guests[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        with self.timed(f"join of {name}"):
            self.site.wait_for(
                f"{name} to be ready",
                lambda: self.site.node(name)["state"] == "ready",
                60 + self.files / 100,
            )


# --- the record ----


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue says of a file."""

    size: int
    mtime: float
    nodes: frozenset[str]


def known(site: Site) -> dict[str, Known]:
    """Give all files with their copies, as `argosy find` tells."""
    done = subprocess.run(
        [*ARGOSY, "find", "/", "--type", "f", "--dir", str(site.directory), "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["path"]: Known(one["size"], one["mtime"], frozenset(one["nodes"])) for one in told}


# --- what came back ----


def check(lost: Lost, before: dict[bytes, Fact], recorded: dict[str, Known]) -> list[str]:
    """Hold a rebuilt site against what was there. Gives what is wrong.

    Args:
        lost: The site, rebuilt, with all of its nodes.
        before: What a client saw of it, before the changes of the last moment.
        recorded: What its record knew then.
    """
    site, truth = lost.site, lost.truth
    with lost.timed("walk"):
        after = seen(site)
    with lost.timed("download"):
        got = digests(site, after)
    found: list[str] = []
    for path, digest in truth.files.items():
        if got.get(path) != digest:
            found.append(f"{path!r}: {'other bytes' if path in got else 'not there'}")
        elif after[path] != before[path]:
            found.append(f"{path!r}: {after[path]}, it was {before[path]}")
    now = known(site)
    shown = {os.fsdecode(path).encode(errors="backslashreplace").decode() for path in truth.files}
    found += [
        f"{path}: {now.get(path)}, it was {was}"
        for path, was in recorded.items()
        if path in shown and now.get(path) != was
    ]
    conflicts = {path: digest for path, digest in got.items() if b".conflict-" in path}
    for path, digest in truth.rushed.items():
        if got.get(path) != digest and digest not in conflicts.values():
            found.append(f"{path!r}: what was acknowledged last is lost")
    for path, may in truth.unsure.items():
        if got.get(path) not in may:
            found.append(f"{path!r}: what nobody ever stored there")
    told = site.status()
    aside = {*conflicts.values(), got.get(b"/by hand/clash")}
    late = len(truth.rushed)  # an upload of the last moment may lie aside, or what it replaced
    if not truth.aside <= aside or told["conflicts"] != len(conflicts) or len(conflicts) > 2 + late:
        found.append(f"conflicts: {told['conflicts']}: {told['conflict_paths']}")
    listed = {os.fsencode(str(one["path"])): one for one in site.argosy("trash", "list")["files"]}
    for path, digest in truth.trashed.items():
        if path not in listed and got.get(path) != digest:
            found.append(f"{path!r}: it was in the trash, and is lost")
    expected = {*truth.files, *truth.rushed, *truth.unsure, *truth.trashed, *conflicts, b"/by hand/clash"}
    more = [path for path in after if path not in expected]
    return found + [f"{path!r}: nobody stored it" for path in more]


def main(words: Sequence[str]) -> int:
    """Fill, lose and rebuild a site of some size, and print what came back and how long it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--uploaded", type=int, default=20_000)
    parser.add_argument("--by-hand", type=int, default=80_000)
    wanted = parser.parse_args(words)
    lost = Lost(wanted.directory, uploaded=wanted.uploaded, by_hand=wanted.by_hand)
    try:
        document, wrong = lose_and_rebuild(lost)
    finally:
        lost.close()
    for key in ("files", "directories", "bytes", "copies", "conflicts", "damaged"):
        print(f"{key}: {document[key]}")
    for what, seconds in lost.took.items():
        print(f"{what}: {seconds:.1f} s")
    print("\n".join(wrong) or "all came back")
    return 1 if wrong else 0


def lose_and_rebuild(lost: Lost) -> tuple[dict[str, object], list[str]]:
    """Go all the way. Gives what `argosy rebuild` told, and what is wrong in the end."""
    site = lost.site
    lost.open()
    lost.fill()
    lost.work()
    lost.settle()
    before, recorded = seen(site), known(site)
    lost.rush()
    lost.lose()
    document = lost.rebuild()
    strangers = {node["name"] for node in site.argosy("nodes")["nodes"]} & {"far", "late"}
    for name in ("far", "late"):
        lost.rejoin(name)
    with lost.timed("comparing what has no version"):
        site.wait_for("all compared", lambda: not site.status()["suspects"], 60 + lost.files / 50)
    wrong = check(lost, before, recorded)
    return document, wrong + [f"{name}: it came to a master whose key it doesn't know" for name in strangers]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
