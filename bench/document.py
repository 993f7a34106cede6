"""`docs/benchmarks.md`: written by the benchmark, but for what people say about the aims that are missed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import aims
from table import Table

_TREE = Path(__file__).resolve().parent.parent
_DOCUMENTS = _TREE / "docs"
DOCUMENT = _DOCUMENTS / "benchmarks.md"
MISSES = _DOCUMENTS / "benchmarks-misses.md"
"""Written by hand: where an aim is missed, why, and what was tried."""


def commit(tree: Path = _TREE) -> str:
    """Name the commit that a tree has, and say whether files differ from it. To be asked before measuring."""
    git = shutil.which("git")
    if git is None:
        return "an unknown commit (there is no git)"
    words = ["describe", "--always", "--abbrev=12", "--dirty= with changes that it hasn't"]
    told = subprocess.run([git, "-C", str(tree), *words], capture_output=True, text=True, check=False)
    return f"commit {told.stdout.strip()}" if told.returncode == 0 else "no commit"


def write(
    facts: Sequence[str], tables: Sequence[Table], verdicts: Sequence[aims.Verdict], made: str, seconds: float
) -> None:
    """Write the document anew.

    Args:
        facts: About the machine and who took part.
        tables: What was measured.
        verdicts: Of the aims.
        made: What `commit` gave.
        seconds: How long all of it took.
    """
    when = f"{time.strftime('%Y-%m-%d', time.gmtime())}, of {made}, in {seconds / 60:.0f} min"
    DOCUMENT.write_text(text(facts, tables, verdicts, when))


def text(facts: Sequence[str], tables: Sequence[Table], verdicts: Sequence[aims.Verdict], when: str) -> str:
    """Give the document's text."""
    head = f"""\
# Benchmarks

Measured on {when}, by `make bench`, on:

{chr(10).join(f"- {fact}" for fact in facts)}

Read the figures as ratios: the machine is small and shared, client and servers have the same processors, and
all of it goes over loopback. In brackets stands the factor to vsftpd in the same run.
"""
    judged = [f"## Aims\n\n{aims.markdown(verdicts)}\n\n{_MISSED}"] if verdicts else []
    return "\n".join([head, *judged, *(f"{table.markdown()}\n" for table in tables), _HOW])


_MISSED = f"Where an aim is missed: [the profiles that show why, and what was tried]({MISSES.name}).\n"

_HOW = """\
## How it is measured

- *argosy direct* says PRET before PASV: the bytes move between client and node. *argosy relayed* says PASV
  alone, as clients do that don't know PRET: the bytes go through the master. Both are one site, a master and
  one node.
- Every server runs on the same loopback with the same congestion control, its files on tmpfs. There a flush
  costs next to nothing, so `flush = false` in a section shows no more than that; on a disk it shows more.
- Argosy sums every upload, and keeps the sums; no other server here does. A large file that is downloaded it
  compares with its sum the first time, and again after an hour: here in the first round.
- The client costs little: what it downloads the kernel throws away unread, what it uploads leaves by
  sendfile. Time runs from the first command of a transfer to the 226; logging in isn't in it. With TLS the
  client has to decrypt and encrypt, on the same processors as the server.
- Several streams read the same file, each all of it. Writing, four streams bring a file of full size each,
  sixteen a quarter of it each.
- Before each measurement the server has to be at rest: what it does after its last reply isn't part of the
  next.
- Rounds are taken in turn, a server after the other, and the medians shown. CPU is that of all the server's
  processes.
- Who logs in is a user of the system with vsftpd, ProFTPD and Pure-FTPd, and sees its home only. Argosy's
  passwords are argon2id, which is slow on purpose; theirs are hashed the way the system does it. pyftpdlib
  compares them in the clear, and its logins show what it costs not to hash. ProFTPD waits at each login, as
  it comes, so that time tells nothing of an account.
- FTP sites as directories: a gateway or an rclone on this machine, just started, beside the FTP server.
  Ours and `rclone serve nfs` are used through libnfs, one call after the other; `rclone mount` through the
  kernel's FUSE, which reads ahead and writes behind. Writing ends when close and fsync have said so; rclone
  with a cache uploads only after that, so the time until the site has the file stands below it. Reads here
  and there come before all other reading of the file. What that
  takes is all that goes over loopback meanwhile, NFS too.
- A git clone: from a repository in the memory of a machine that QEMU emulates, by Linux's own NFS client in
  it, on a gateway and on `rclone serve nfs`; what FUSE has mounted isn't there. The machine is slow,
  so the figures are for comparing. git's end is one, the moment in which the site has all of it the other.
- NFS calls: sixteen at once, four of 1 MiB, by libnfs; nfs-ganesha serves a local directory, the gateway a
  directory of pyftpdlib's whose files it has in its cache.
- Nodes on links of their own: network namespaces on this machine, with a token bucket (tbf) in each
  direction of a node's link. Master and clients have links without a limit.
- Repair: what lies on the disks at first are files that are nearly all hole, so that there is room for them;
  what is copied is written in full. Large files are read once by both nodes beforehand, for the master to see
  that copies are alike.
- An aim is judged by the medians of this run. The peer in it is the fastest of the others in that row, and
  its processor time is what ours is compared with.

## Again

```
make bench                                          # all of it: half an hour or so
make bench ARGS="small logins --only argosy,vsftpd" # some tables, some servers
make bench ARGS=--quick                             # one round with far less of everything
make bench ARGS=--write                             # and write this page
make bench ARGS="profile read"                      # where Argosy's time goes, by py-spy and perf
```

The tables are `large`, `small`, `logins`, `lists`, `idle`, `secure` (TLS), `merge`, `mounts` (FTP sites as
directories), `clones` (git in one), `nfs` (the protocol alone), `nodes` (ten nodes on links of 100 Mbit, ten
clients), `repair` (one of the ten is lost), `lostnode` (and clients work meanwhile), `uploads` (two copies
before the 226) and `scrub` (a volume is read through). `make bench` brings ProFTPD, Pure-FTPd
and a current rclone below `build/peers`, without installing them, and says what can't be had.

As root it makes a network namespace for itself, where it chooses the congestion control, and a mount
namespace with an `/etc` of its own, where the peers' accounts are. Without root only pyftpdlib is there to
compare with.
"""
