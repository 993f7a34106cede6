"""`make bench`: the numbers, side by side with other servers in one run.

Rounds are taken in turn (A B C A B C ...), so that whatever else the machine does falls on all alike, and
medians are printed, in brackets the factor to vsftpd. Everything lies on tmpfs: what is measured is the
servers, not the disk.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import aims
import clones
import document
import exports
import guests
import lists
import loopback
import lostnode
import merge
import mounts
import nodes
import ours
import peers
import profiling
import protocol
import repairs
import scrubs
import sessions
import transfers
import uploads
from others import Missing
from peers import Contestant
from table import Table

BASELINE = "vsftpd"
OURS = "argosy"

_TMPFS = Path("/dev/shm")


def main(words: Sequence[str]) -> int:
    """Measure, print, and perhaps write the document."""
    wanted = _arguments(words)
    if wanted.profile:
        profiling.fetch()
    loopback.enter(__file__, words)
    # A TERM shall stop the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begin, made = time.monotonic(), document.commit()
    directory = Path(tempfile.mkdtemp(prefix="argosy-bench-", dir=_TMPFS if _TMPFS.is_dir() else None))
    directory.chmod(0o755)  # the peers' users must get through
    try:
        if wanted.profile:
            profiling.run(wanted.profile, directory, wanted.seconds)
            return 0
        tables, named = _measure(directory, wanted)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    verdicts = aims.verdicts(tables)
    print(f"\n{aims.text(verdicts)}" if verdicts else "")
    facts, seconds = [*_facts(), *named], time.monotonic() - begin
    print("\n" + "\n".join([*facts, made, f"{seconds:.0f} s in all"]))
    if wanted.write:
        document.write(facts, list(tables.values()), verdicts, made, seconds)
    return 0


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure Argosy beside other FTP servers.",
        epilog=f"`profile NAME` shows where Argosy's time goes; NAME is of {', '.join(profiling.WORKLOADS)}.",
    )
    parser.add_argument(
        "tables", nargs="*", default=[], metavar="TABLE", help=f"of {', '.join(TABLES)} [all]"
    )
    parser.add_argument(
        "--only", metavar="NAMES", help=f"of {', '.join((OURS, *peers.ALL))}, with commas [all]"
    )
    parser.add_argument("--rounds", type=int, help="in turn; the medians are shown [3, merging and TLS 2]")
    parser.add_argument("--quick", action="store_true", help="one round with far less of everything")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, too")
    parser.add_argument(
        "--seconds", type=float, default=profiling.SECONDS, help="to profile for [%(default)g]"
    )
    wanted = parser.parse_args(words)
    wanted.profile = ""
    if wanted.tables[:1] == ["profile"]:
        if len(wanted.tables) != 2 or wanted.tables[1] not in profiling.WORKLOADS:
            parser.error(f"profile wants one of {', '.join(profiling.WORKLOADS)}")
        wanted.profile = wanted.tables[1]
        return wanted
    known = {name.lower(): name for name in (OURS, *peers.ALL)}
    names = wanted.only.lower().split(",") if wanted.only else list(known)
    for kind, unknown in (("table", set(wanted.tables) - set(TABLES)), ("server", set(names) - set(known))):
        if unknown:
            parser.error(f"no such {kind}: {', '.join(sorted(unknown))}")
    wanted.only = [known[name] for name in names]
    wanted.tables = wanted.tables or list(TABLES)
    wanted.rounds = wanted.rounds or (1 if wanted.quick else 3)
    return wanted


Measure = Callable[["_Bench"], Table]


class _Bench:
    """All servers, running, and how much is wanted of them."""

    def __init__(self, directory: Path, wanted: argparse.Namespace, stack: ExitStack) -> None:
        """Start the servers, each with a large directory in it if that will be listed."""
        self.directory = directory
        self.quick: bool = wanted.quick
        self.rounds: int = wanted.rounds
        self.missing: list[str] = []
        self.entries = 1000 if self.quick else 20_000
        self._stack = stack
        self.site: ours.Site | None = None
        self.ways: list[Contestant] = []
        """Every way of using a server: ours has two."""
        if OURS in wanted.only:
            self._start_ours("lists" in wanted.tables)
        for name, start in peers.ALL.items():
            if name in wanted.only:
                self._start_peer(name, start, "lists" in wanted.tables)
        self.servers = [
            _alone(one) if one.name.startswith(OURS) else one for one in self.ways if one.name != aims.RELAYED
        ]
        self.baseline = BASELINE if any(one.name == BASELINE for one in self.ways) else ""

    def course(self, *, large: bool, rounds: int) -> transfers.Course:
        """Prepare transfers."""
        size = (transfers.GIB >> (4 if self.quick else 0)) if large else 1
        effort = transfers.Effort(rounds, size, 100 if self.quick else 1000)
        return transfers.Course(self.ways, effort, self.directory, self.baseline)

    def _start_ours(self, planted: bool) -> None:
        self.site = ours.Site(self.directory / "site")
        if planted:
            lists.plant(self.site.root, self.entries)
        self._stack.enter_context(self.site)
        transfers.prepare(self.site)
        version = importlib.metadata.version("argosy")
        for name, direct in ((aims.DIRECT, True), (aims.RELAYED, False)):
            self.ways.append(
                Contestant(
                    name, version, self.site.address, ours.LOGIN, self.site.pid, "argon2id", direct=direct
                )
            )

    def _start_peer(self, name: str, start: peers.Start, planted: bool) -> None:
        try:
            self.ways.append(self._stack.enter_context(start(self.directory / name)))
        except Missing as error:
            self.missing.append(f"{name} is missing here: {error}")
            print(self.missing[-1], flush=True)
            return
        if planted:
            lists.plant(self.directory / name / "root", self.entries)


def _alone(one: Contestant) -> Contestant:
    """Name ours plainly, where the way of using it makes no difference."""
    return Contestant(OURS, one.version, one.address, one.login, one.pid, one.hashing)


def _large(bench: _Bench) -> Table:
    course = bench.course(large=True, rounds=bench.rounds)
    table = course.large(bench.site, f"Files of {_size(course)}, medians of {bench.rounds}")
    course.close()
    return table


def _secure(bench: _Bench) -> Table:
    rounds = min(bench.rounds, 2)
    course = bench.course(large=True, rounds=rounds)
    table = course.secure(f"Files of {_size(course)} with TLS, one stream, medians of {rounds}")
    course.close()
    return table


def _small(bench: _Bench) -> Table:
    course = bench.course(large=False, rounds=bench.rounds)
    files = course.effort.small_files
    table = course.small(f"{files:,} files of 1 KiB in one session, medians of {bench.rounds}")
    course.close()
    return table


def _size(course: transfers.Course) -> str:
    return f"{course.effort.large_bytes / transfers.GIB:g} GiB"


def _logins(bench: _Bench) -> Table:
    seconds = 0.3 if bench.quick else 1.5
    return sessions.logins(bench.servers, seconds=seconds, rounds=bench.rounds, baseline=bench.baseline)


def _idle(bench: _Bench) -> Table:
    return sessions.idle(bench.servers, sessions=24 if bench.quick else 1000, baseline=bench.baseline)


def _lists(bench: _Bench) -> Table:
    return lists.measure(bench.servers, entries=bench.entries, rounds=bench.rounds, baseline=bench.baseline)


TABLES: Mapping[str, Measure | None] = {
    "large": _large,
    "small": _small,
    "logins": _logins,
    "lists": _lists,
    "idle": _idle,
    "secure": _secure,
    "merge": None,
    "mounts": None,
    "clones": None,
    "nfs": None,
    "nodes": None,
    "repair": None,
    "lostnode": None,
    "uploads": None,
    "scrub": None,
}
"""Every table, in the order of the document; the last ones have sites of their own."""


def _measure(directory: Path, wanted: argparse.Namespace) -> tuple[dict[str, Table], list[str]]:
    """Make the tables that are wanted; give them by name, and who took part."""
    tables: dict[str, Table] = {}
    named: list[str] = []
    measures = {name: measure for name, measure in TABLES.items() if name in wanted.tables and measure}
    if loopback.has_accounts():
        guests.prepare(directory)
    if measures:
        with ExitStack() as stack:
            bench = _Bench(directory, wanted, stack)
            # Two ways of using one server have its name in front.
            named += dict.fromkeys(f"{one.name.split()[0]} {one.version}" for one in bench.ways)
            named += bench.missing
            for name, measure in measures.items():
                tables[name] = _told(partial(measure, bench))
    if "merge" in wanted.tables and OURS in wanted.only:
        rounds, files = min(wanted.rounds, 2), 10_000 if wanted.quick else 200_000
        rejoins = 1 if wanted.quick else 2
        tables["merge"] = _told(
            partial(merge.measure, directory, files=files, rounds=rounds, rejoins=rejoins)
        )
    if "mounts" in wanted.tables:
        tables["mounts"] = _told(partial(_mounts, directory, wanted))
    if "clones" in wanted.tables:
        try:
            tables["clones"] = _told(partial(_clones, directory, wanted))
        except Missing as error:
            print(f"clones are missing here: {error}", flush=True)
    if "nfs" in wanted.tables:
        tables["nfs"] = _told(partial(_nfs, directory, wanted))
    for name, on_links in WIDE.items():
        if name in wanted.tables and OURS in wanted.only:
            try:
                tables[name] = _told(partial(on_links, directory, wanted))
            except Missing as error:
                named.append(f"{name} is missing here: {error}")
                print(named[-1], flush=True)
    return tables, named


def _nodes(directory: Path, wanted: argparse.Namespace) -> Table:
    """Have ten nodes on links of their own serve ten clients."""
    quick = wanted.quick
    effort = nodes.Effort(min(wanted.rounds, 2), 3 if quick else 10, 100, (8 if quick else 160) << 20)
    return nodes.measure(directory, effort)


def _repair(directory: Path, wanted: argparse.Namespace) -> Table:
    """Lose one of ten nodes on links of their own."""
    if wanted.quick:
        return repairs.measure(directory, repairs.Effort(1, 4, 100, 24, 4 << 20, 400))
    return repairs.measure(directory, repairs.Effort(min(wanted.rounds, 2), 10, 100, 1280, 8 << 20, 20_000))


def _lostnode(directory: Path, wanted: argparse.Namespace) -> Table:
    """Kill one of ten nodes under load."""
    if wanted.quick:
        return lostnode.measure(directory, lostnode.Effort(4, 100, 3, 10, 1 << 20, 3, 5))
    return lostnode.measure(directory, lostnode.Effort(10, 100, 10, 300, 8 << 20, 15, 40))


def _uploads(directory: Path, wanted: argparse.Namespace) -> Table:
    """Upload with one copy and with two."""
    if wanted.quick:
        return uploads.measure(directory, uploads.Effort(1, 100, [4 << 20], 20))
    return uploads.measure(directory, uploads.Effort(max(wanted.rounds, 3), 100, [16 << 20, 64 << 20], 200))


def _scrub(_: Path, wanted: argparse.Namespace) -> Table:
    """Read a volume through; on a disk, not in the benchmark's own directory, which is memory."""
    if wanted.quick:
        return scrubs.measure(scrubs.Effort(1, 2, 16 << 20, 100))
    return scrubs.measure(scrubs.Effort(wanted.rounds, 16, 64 << 20, 4_000))


WIDE: Mapping[str, Callable[[Path, argparse.Namespace], Table]] = {
    "nodes": _nodes,
    "repair": _repair,
    "lostnode": _lostnode,
    "uploads": _uploads,
    "scrub": _scrub,
}
"""Tables of sites on networks of their own, and of a volume by itself."""


def _mounts(directory: Path, wanted: argparse.Namespace) -> Table:
    """Have FTP sites as directories, ours and rclone's ways."""
    quick = wanted.quick
    effort = mounts.Effort(
        rounds=1,  # it takes five minutes
        large_bytes=transfers.GIB >> (4 if quick else 0),
        small_files=100 if quick else 1000,
        entries=1000 if quick else 10_000,
        pieces=100 if quick else 500,
    )
    own = directory / "mounts"
    with _sites(own, lambda root: mounts.plant(root, effort)) as (sites, absent):
        table = mounts.measure(sites, effort, own)
    table.notes += absent
    return table


def _clones(directory: Path, wanted: argparse.Namespace) -> Table:
    """Clone a repository into FTP sites."""
    effort = clones.Effort(rounds=min(wanted.rounds, 2), files=60 if wanted.quick else 300)
    own = directory / "clones"
    with _sites(own, lambda _: None) as (sites, absent):
        table = clones.measure(sites, effort, own)
    table.notes += absent
    return table


@contextmanager
def _sites(
    own: Path, plant: Callable[[Path], None]
) -> Iterator[tuple[dict[str, tuple[Contestant, Path]], list[str]]]:
    """Run the sites that are mounted; give by name each and where its files lie, and which are missing."""
    own.mkdir(mode=0o755)
    sites: dict[str, tuple[Contestant, Path]] = {}
    absent: list[str] = []
    with ExitStack() as stack:
        for name, start in (("vsftpd", peers.vsftpd), ("ProFTPD", peers.proftpd)):
            try:
                server = stack.enter_context(start(own / name))
            except Missing as error:
                absent.append(f"{name} is missing here: {error}")
                continue
            plant(own / name / "root")
            sites[name] = (server, own / name / "root" / peers.FOLDER.lstrip("/"))
        yield sites, absent
    shutil.rmtree(own, ignore_errors=True)


def _nfs(directory: Path, wanted: argparse.Namespace) -> Table:
    """Have NFS calls answered from memory: our gateway on a site, nfs-ganesha on a directory."""
    own, absent = directory / "nfs", []
    own.mkdir(mode=0o755)
    served = []
    with ExitStack() as stack:
        try:
            site = stack.enter_context(peers.pyftpdlib(own / "site"))
            protocol.plant(own / "site" / "root" / peers.FOLDER.lstrip("/"))
            served.append(stack.enter_context(exports.ours(own / "ours", site, peers.FOLDER)))
        except Missing as error:
            absent.append(f"{OURS} is missing here: {error}")
        try:
            protocol.plant(own / "files")
            served.append(stack.enter_context(exports.ganesha(own / "ganesha", own / "files")))
        except Missing as error:
            absent.append(f"{aims.GANESHA} is missing here: {error}")
        effort = protocol.Effort(wanted.rounds, 4_000 if wanted.quick else 40_000)
        table = protocol.measure(served, effort, aims.GANESHA)
    table.notes += absent
    shutil.rmtree(own, ignore_errors=True)
    return table


def _told(measure: Callable[[], Table]) -> Table:
    begin = time.monotonic()
    table = measure()
    print(f"\n{table.text()}\n({time.monotonic() - begin:.0f} s)", flush=True)
    return table


def _facts() -> list[str]:
    kernel = ".".join(platform.release().split(".")[:2])
    place = "tmpfs" if _TMPFS.is_dir() else "disk"
    own = "a namespace of its own" if loopback.private() else "the machine's own loopback"
    return [
        f"{os.cpu_count()} shared cores, Linux {kernel}, files and catalogue on {place}",
        f"Python {platform.python_version()}",
        f"network: {own}, congestion control {loopback.congestion_control()} for all",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
