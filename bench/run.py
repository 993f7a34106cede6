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
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import loopback
import merge
import ours
import peers
import transfers
from peers import Contestant
from table import Table

TABLES = ("large", "small", "merge")
BASELINE = "vsftpd"

_TMPFS = Path("/dev/shm")
_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main(words: Sequence[str]) -> int:
    """Measure, print, and perhaps write the document."""
    wanted = _arguments(words)
    loopback.enter(__file__, words)
    # A TERM shall stop the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begin = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="argosy-bench-", dir=_TMPFS if _TMPFS.is_dir() else None))
    directory.chmod(0o755)  # vsftpd's user must get through
    tables: list[Table] = []
    contestants: list[str] = []
    missing: list[str] = []
    try:
        if {"large", "small"} & set(wanted.tables):
            tables += _transfers(directory, wanted, contestants, missing)
        if "merge" in wanted.tables:
            tables.append(_merge(directory, wanted))
            print(f"\n{tables[-1].text()}", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    facts = [*_facts(), *contestants, *missing]
    print("\n" + "\n".join([*facts, f"{time.monotonic() - begin:.0f} s in all"]))
    if wanted.write:
        _DOCUMENT.write_text(_document(facts, tables))
    return 0


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Argosy beside other FTP servers.")
    parser.add_argument(
        "tables", nargs="*", default=[], metavar="TABLE", help=f"of {', '.join(TABLES)} [all]"
    )
    parser.add_argument("--rounds", type=int, help="in turn; the medians are shown [3, merging 2]")
    parser.add_argument("--quick", action="store_true", help="one round with less of everything")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, too")
    wanted = parser.parse_args(words)
    if unknown := set(wanted.tables) - set(TABLES):
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    wanted.tables = wanted.tables or TABLES
    return wanted


def _transfers(
    directory: Path, wanted: argparse.Namespace, named: list[str], missing: list[str]
) -> list[Table]:
    quick = wanted.quick
    large = transfers.Effort(wanted.rounds or (1 if quick else 3), transfers.GIB >> (2 if quick else 0), 0)
    small = transfers.Effort(wanted.rounds or (1 if quick else 3), 1, 200 if quick else 1000)
    tables: list[Table] = []
    with ExitStack() as stack:
        site = stack.enter_context(ours.Site(directory / "site"))
        transfers.prepare(site)
        contestants = _contestants(site, stack, directory, missing)
        # Two ways of using one server have its name in front.
        named += dict.fromkeys(f"{one.name.split()[0]} {one.version}" for one in contestants)
        baseline = BASELINE if any(one.name == BASELINE for one in contestants) else ""
        if "large" in wanted.tables:
            size = f"{large.large_bytes / transfers.GIB:g} GiB"
            title = f"Files of {size}, medians of {large.rounds}"
            tables.append(transfers.Course(contestants, large, directory).large(site, title, baseline))
            print(f"\n{tables[-1].text()}", flush=True)
        if "small" in wanted.tables:
            title = f"{small.small_files:,} files of 1 KiB in one session, medians of {small.rounds}"
            tables.append(transfers.Course(contestants, small, directory).small(title, baseline))
            print(f"\n{tables[-1].text()}", flush=True)
    return tables


def _contestants(site: ours.Site, stack: ExitStack, directory: Path, missing: list[str]) -> list[Contestant]:
    version = importlib.metadata.version("argosy")
    found = [
        Contestant("argosy direct", version, site.address, ours.LOGIN, site.pid, direct=True),
        Contestant("argosy relayed", version, site.address, ours.LOGIN, site.pid),
    ]
    for name, start in peers.ALL.items():
        try:
            found.append(stack.enter_context(start(directory / name)))
        except peers.Missing as error:
            missing.append(f"{name} is missing here: {error}")
            print(missing[-1], flush=True)
    return found


def _merge(directory: Path, wanted: argparse.Namespace) -> Table:
    if wanted.quick:
        return merge.measure(directory, files=20_000, rounds=1, rejoins=1)
    return merge.measure(directory, files=200_000, rounds=wanted.rounds or 2, rejoins=2)


def _facts() -> list[str]:
    kernel = ".".join(platform.release().split(".")[:2])
    place = "tmpfs" if _TMPFS.is_dir() else "disk"
    own = "a namespace of its own" if loopback.private() else "the machine's own loopback"
    return [
        f"{os.cpu_count()} shared cores, Linux {kernel}, files and catalogue on {place}",
        f"Python {platform.python_version()}",
        f"network: {own}, congestion control {loopback.congestion_control()} for all",
    ]


def _document(facts: Sequence[str], tables: Sequence[Table]) -> str:
    head = f"""\
# Benchmarks

Measured on {time.strftime("%Y-%m-%d", time.gmtime())} by `make bench`, on:

{chr(10).join(f"- {fact}" for fact in facts)}

Read the figures as ratios: the machine is small and shared, client and servers have the same processors, and
all of it goes over loopback. In brackets stands the factor to {BASELINE} in the same run.
"""
    return "\n".join([head, *(f"{table.markdown()}\n" for table in tables), _HOW])


_HOW = """\
## How it is measured

- *argosy direct* says PRET before PASV: the bytes move between client and node. *argosy relayed* says PASV
  alone, as clients do that don't know PRET: the bytes go through the master. Both are one site, a master and
  one node.
- Every server runs on the same loopback with the same congestion control, its files on tmpfs. There a flush
  costs next to nothing, so `flush = false` in a section shows no more than that; on a disk it shows more.
- The client costs little: what it downloads the kernel throws away unread, what it uploads leaves by
  sendfile. Time runs from the first command of a transfer to the 226; logging in isn't in it.
- Rounds are taken in turn, a server after the other, and the medians shown. CPU is that of all the server's
  processes.
- vsftpd and pyftpdlib run as they come, with anonymous users who may write.

## Again

```
make bench                                  # all of it: some minutes
.venv/bin/python bench/run.py --quick       # less of everything: under a minute
.venv/bin/python bench/run.py large small   # some of the tables; also: merge
.venv/bin/python bench/run.py --write       # and write this page
```

It wants vsftpd for the comparison, and says so when it isn't there. As root, or where users may have network
namespaces, it makes one for itself and chooses the congestion control there; else it takes what the machine
has, and says which.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
