"""Where Argosy's processor time goes while it does one thing: `bench/run.py profile NAME`.

Python's part comes from py-spy, which looks at the stacks of all threads from outside; the kernel's and the
libraries' from perf. What isn't there is left out, and said.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import lists
import merge
import ours
import processes
import transfers
from client import Session
from peers import Contestant
from together import together

SECONDS = 8.0
FILES = 200_000
ENTRIES = 20_000

_RATE = 400
_LINES = 30
_LARGE = "large"

Work = Callable[[Contestant, Path, float], None]
"""Go on for so many seconds with a site of ours; the directory holds a large file and a small one."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something for a site to do."""

    work: Work
    direct: bool = True


def _moving(verb: str, *, clients: int = 1, size: str = _LARGE, secure: bool = False) -> Work:
    """Download or upload again and again."""

    def run(one: Contestant, directory: Path, seconds: float) -> None:
        end = time.monotonic() + seconds

        def client(number: int) -> None:
            source = directory / size
            with one.session(secure=secure) as session, source.open("rb") as file:
                if verb == "RETR":
                    session.upload(f"{size}{number}", file.fileno(), source.stat().st_size)
                for turn in count():
                    if time.monotonic() > end:
                        break
                    if verb == "RETR":
                        session.download(f"{size}{number}")
                    else:
                        name = f"{size}{number}" if size == _LARGE else f"{size}{number}-{turn}"
                        session.upload(name, file.fileno(), source.stat().st_size)

        together([partial(client, number) for number in range(clients)])

    return run


def _deleting(one: Contestant, directory: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    with one.session() as session, (directory / "small").open("rb") as file:
        for turn in count():
            if time.monotonic() > end:
                break
            session.upload(f"gone{turn}", file.fileno(), 1024)
            session.say(f"DELE gone{turn}", "2")


def _logging_in(one: Contestant, _: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with one.session("") as session:
            session.say("QUIT", "221")


def _listing(verb: str) -> Work:
    def run(one: Contestant, _: Path, seconds: float) -> None:
        end = time.monotonic() + seconds
        with one.session() as session:
            while time.monotonic() < end:
                session.fetch(f"{verb} {lists.NAME}")

    return run


def _waiting(_one: Contestant, _directory: Path, seconds: float) -> None:
    time.sleep(seconds)


WORKLOADS: Mapping[str, Workload] = {
    "read": Workload(_moving("RETR", size="small")),
    "write": Workload(_moving("STOR", size="small")),
    "delete": Workload(_deleting),
    "read-relayed": Workload(_moving("RETR", size="small"), direct=False),
    "write-relayed": Workload(_moving("STOR", size="small"), direct=False),
    "login": Workload(_logging_in),
    "retr": Workload(_moving("RETR")),
    "retr4": Workload(_moving("RETR", clients=4)),
    "stor": Workload(_moving("STOR")),
    "stor4": Workload(_moving("STOR", clients=4)),
    "retr-relayed": Workload(_moving("RETR"), direct=False),
    "stor-relayed": Workload(_moving("STOR"), direct=False),
    "retr-tls": Workload(_moving("RETR", secure=True)),
    "stor-tls": Workload(_moving("STOR", secure=True)),
    "list": Workload(_listing("LIST")),
    "mlsd": Workload(_listing("MLSD")),
    "adopt": Workload(_waiting),
    "rejoin": Workload(_waiting),
}


def run(name: str, directory: Path, seconds: float) -> None:
    """Have a site do it, and print where the time went, process by process."""
    load = WORKLOADS[name]
    site = ours.Site(directory / "site")
    site.root.mkdir(parents=True)
    if name in ("list", "mlsd"):
        lists.plant(site.root, ENTRIES)
    if name in ("adopt", "rejoin"):
        merge.plant(directory / "tree", FILES)
    transfers.fill(directory / _LARGE, transfers.GIB)
    transfers.fill(directory / "small", 1024)
    with site:
        transfers.prepare(site)
        one = Contestant("argosy", "", site.address, ours.LOGIN, site.pid, "argon2id", direct=load.direct)
        if name in ("adopt", "rejoin"):
            _bring(site, directory / "tree", ready=name == "rejoin")
        pids = {who: site.process(who) for who in ("master", "n1")}
        before = {who: processes.cpu_seconds(pid) for who, pid in pids.items()}
        start = time.monotonic()
        with _watched(pids, directory, seconds):
            load.work(one, directory, seconds)
            took = time.monotonic() - start
            spent = {who: processes.cpu_seconds(pid) - before[who] for who, pid in pids.items()}
    for who in pids:
        print(f"\n=== {name}: {who} used {spent[who]:.2f} s of processor in {took:.1f} s")
        _show(directory / f"{who}.stacks", directory / f"{who}.perf")


def _bring(site: ours.Site, tree: Path, *, ready: bool) -> None:
    """Lay a tree where the node keeps its files and start the node anew; again when it has become ready."""
    with Session(site.address, login=ours.LOGIN, direct=False, folder="/"):
        tree.rename(site.root / "tree")
    _restart(site)
    if ready:
        for _ in processes.until("the node to be ready", 120, 0.2):
            node = site.node()
            if node.get("state") == "ready" and sum(one["files"] for one in node["volumes"]) >= FILES:
                break
        _restart(site)


def _restart(site: ours.Site) -> None:
    before = site.process("n1")
    os.kill(before, signal.SIGKILL)
    for _ in processes.until("the node's next process", 60, 0.01):
        try:
            if site.process("n1") != before:
                return
        except (OSError, ValueError):
            continue


@contextmanager
def _watched(pids: Mapping[str, int], directory: Path, seconds: float) -> Iterator[None]:
    """Have py-spy and perf look at processes for some time."""
    watchers: list[subprocess.Popen[bytes]] = []
    spy = _spy()
    perf = shutil.which("perf")
    for tool, there in (("py-spy", spy), ("perf", perf)):
        if not there:
            print(f"{tool} isn't here, so its part is missing")
    with ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull, "wb"))
        for who, pid in pids.items():
            if spy:
                words = ["record", "--pid", str(pid), "--rate", str(_RATE), "--duration", f"{seconds:.0f}"]
                words += ["--format", "raw", "--output", str(directory / f"{who}.stacks"), "--nonblocking"]
                watchers.append(subprocess.Popen([*spy, *words], stdout=nothing, stderr=nothing))
            if perf:
                words = ["record", "-q", "-e", "cpu-clock", "-F", str(_RATE), "-p", str(pid)]
                words += ["-o", str(directory / f"{who}.perf"), "--", "sleep", f"{seconds:.0f}"]
                watchers.append(subprocess.Popen([perf, *words], stdout=nothing, stderr=nothing))
        yield
        for watcher in watchers:
            watcher.wait(60)


def fetch() -> None:
    """Have py-spy here before we are in a network without a way out."""
    if (uvx := shutil.which("uvx")) and not shutil.which("py-spy"):
        subprocess.run([uvx, "--quiet", "py-spy", "--version"], capture_output=True, check=False)


def _spy() -> Sequence[str]:
    if own := shutil.which("py-spy"):
        return [own]
    if uvx := shutil.which("uvx"):
        return [uvx, "--quiet", "--offline", "py-spy"]
    return []


def _show(stacks: Path, perf: Path) -> None:
    """Print the functions that were on top of the stack, those that were anywhere in it, and the symbols."""
    if stacks.exists():
        on_top: Counter[str] = Counter()
        within: Counter[str] = Counter()
        total = 0
        for line in stacks.read_text().splitlines():
            frames, _, number = line.rpartition(" ")
            names = frames.split(";")
            total += int(number)
            on_top[names[-1]] += int(number)
            within.update(dict.fromkeys(names, int(number)))
        for title, counted in (("on top of the stack", on_top), ("anywhere in it", within)):
            print(f"\n--- {title}, % of {total} looks")
            for what, looks in counted.most_common(_LINES):
                print(f"{100 * looks / total:6.1f}  {what}")
    if perf.exists():
        words = ["report", "-i", str(perf), "--stdio", "--fields", "overhead,dso,symbol"]
        words += ["--percent-limit", "0.7"]
        told = subprocess.run(["perf", *words], capture_output=True, text=True, check=False).stdout
        print("\n--- symbols, with the kernel's")
        print("\n".join([line for line in told.splitlines() if line and not line.startswith("#")][:_LINES]))
