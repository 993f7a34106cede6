"""`git clone` into a mounted site: Linux's own NFS client, in a guest of QEMU, on our server and on rclone's.

Both have the same client and the same repository, which lies in the guest's memory. The guest is emulated
in software: the times are far longer than a machine's own, and most of what differs is what the servers and
the sites do with a few hundred small files.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import exports
import mounts
import processes
from exports import Served
from others import Missing
from peers import FOLDER, Contestant
from table import Row, Table

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # the guest is that of the tests

from kernel import guest, image

_ORIGIN = "/tmp/origin"
_MOUNTED = "/mnt/bench"
_CLONE_SECONDS = 900.0
_ARRIVE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    files: int


SERVERS: Mapping[str, Callable[[Path, Contestant], AbstractContextManager[Served]]] = {
    mounts.OURS: lambda directory, site: exports.ours(directory, site, FOLDER),
    mounts.SERVED: mounts.rclone_served,
}
"""Who serves NFS: a guest can't have what FUSE has mounted."""


def measure(sites: Mapping[str, tuple[Contestant, Path]], effort: Effort, directory: Path) -> Table:
    """Measure each server on each site, in rounds taken in turn.

    Args:
        sites: By name the server of FTP, and where its files lie.
        effort: How much.
        directory: For what the servers keep on disk.

    Raises:
        Missing: There is no guest.
    """
    title = f"git clone of {effort.files} files into a mounted site, in an emulated machine"
    table = Table(f"{title}, medians of {effort.rounds}", [*SERVERS], mounts.SERVED)
    missing: dict[str, str] = {}
    try:
        with guest.boot(directory) as running:
            running.do(_planting(effort.files), seconds=_CLONE_SECONDS)
            for number in range(effort.rounds):
                for site, (server, root) in sites.items():
                    for name, start in SERVERS.items():
                        own = directory / f"clone-{site}-{name.replace(' ', '-')}-{number}"
                        try:
                            with start(own, server) as served:
                                said, had = _clone(running, served, root, effort.files)
                        except Missing as error:
                            missing[name] = str(error)
                            continue
                        table.add(Row(f"{site}: git clone", "s", 1), name, said)
                        table.add(Row(f"{site}: ... until the site has it", "s", 1), name, had)
    except image.Missing as error:
        raise Missing(str(error)) from error
    table.notes += [f"{name} is missing here: {why}" for name, why in missing.items()]
    return table


def _planting(files: int) -> str:
    """Give the job that makes the repository: a dozen directories, files of 1 to 9 KiB."""
    return f"""\
mkdir {_ORIGIN} && cd {_ORIGIN} && git init -q .
for n in $(seq {files}); do
  mkdir -p dir$((n % 12)); seq $n $((n + 200 + n % 9 * 250)) > dir$((n % 12))/file$n
done
git add -A && git commit -qm first
"""


def _clone(running: guest.Guest, served: Served, root: Path, files: int) -> tuple[float, float]:
    """Clone; give after how many seconds git had ended, and after how many the site had all of it.

    Raises:
        RuntimeError: What came isn't what was cloned.
    """
    with exports.mounted(served):
        pass  # it serves
    options = f"vers=3,tcp,port={served.port},mountport={served.mount_port or served.port},nolock"
    running.do(
        f"mkdir -p {_MOUNTED} && mount -t nfs -o {options} '{guest.HOST}:{served.path}' {_MOUNTED}"
        f" && cat $(find {_ORIGIN} -type f) > /dev/null"
    )
    try:
        begin = time.monotonic()
        running.do(f"git clone -q --no-local {_ORIGIN} {_MOUNTED}/clone", seconds=_CLONE_SECONDS)
        said = time.monotonic() - begin
        for _ in processes.until("the site to have the clone", _ARRIVE_SECONDS, 0.05):
            there = [one for one in (root / "clone").glob("dir*/file*") if one.stat().st_size]
            if len(there) == files and (root / "clone" / ".git" / "index").exists():
                break
        had = time.monotonic() - begin
        if running.do(f"cd {_MOUNTED}/clone && git status --porcelain", seconds=_CLONE_SECONDS):
            raise RuntimeError("the clone isn't what was cloned")
    finally:
        running.run(f"umount {_MOUNTED} || umount -f -l {_MOUNTED}")
        shutil.rmtree(root / "clone", ignore_errors=True)
    return said, had
