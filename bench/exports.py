"""The servers of NFS, and the ways to have an FTP site as a directory: ours, nfs-ganesha, rclone."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import processes
from nfsclient import Export, NfsError
from others import UNPACKED, Missing
from peers import Contestant

START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server of NFS that runs."""

    name: str
    version: str
    port: int
    path: str
    """Whatever MNT shall get."""
    pid: int
    mount_port: int = 0
    """Of MOUNT, where it differs."""

    def mount(self) -> Export:
        """Mount what it exports."""
        return Export(self.port, self.path, mount_port=self.mount_port)


@contextlib.contextmanager
def ours(directory: Path, site: Contestant, folder: str) -> Iterator[Served]:
    """Run a gateway.

    Args:
        directory: Its own.
        site: Whose files it serves.
        folder: From where.
    """
    (port,) = free_ports(1)
    directory.mkdir()
    host, control = site.address
    user, password = site.login
    (directory / "password").write_text(password)
    config = directory / "gateway.toml"
    config.write_text(f"""\
[state]
directory = "state"
[sites.bench]
url = "ftp://{user}@{host}:{control}{folder}"
password_file = "password"
tls = "off"
""")
    (directory / "password").chmod(0o600)
    command = [sys.executable, "-m", "argosy.cli.main", "nfs", "--config", str(config)]
    with running([*command, "--listen", f"127.0.0.1:{port}"], directory / "log", port) as pid:
        yield Served("argosy", importlib.metadata.version("argosy"), port, "/bench", pid)


@contextlib.contextmanager
def ganesha(directory: Path, exported: Path) -> Iterator[Served]:
    """Run nfs-ganesha on a local directory, with an rpcbind of its own: it doesn't start without one.

    Raises:
        Missing: One isn't installed, or we may not run it.
    """
    for program in ("ganesha.nfsd", "rpcbind", "unshare"):
        if found(program) is None:
            raise Missing("not installed")
    if os.geteuid() != 0:
        raise Missing("only root can run it")
    port, mount_port = free_ports(2)
    directory.mkdir()
    file = directory / "ganesha.conf"
    file.write_text(f"""\
NFS_CORE_PARAM {{
    Protocols = 3;
    NFS_Port = {port};
    MNT_Port = {mount_port};
    Enable_NLM = false;
    Enable_RQUOTA = false;
}}
LOG {{ Default_Log_Level = WARN; }}
EXPORT {{
    Export_Id = 1;
    Path = {exported};
    Pseudo = /bench;
    Access_Type = RW;
    Squash = No_Root_Squash;
    SecType = sys;
    Protocols = 3;
    Transports = TCP;
    FSAL {{ Name = VFS; }}
}}
""")
    script = directory / "start"
    script.write_text(f"""\
mount -t tmpfs tmpfs /run && mkdir /run/rpcbind /run/ganesha && rpcbind -w &&
exec ganesha.nfsd -F -f {file} -L {directory}/log -p {directory}/pid
""")
    # All of it ends with unshare, and nobody else's rpcbind is touched.
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(script)]
    told = subprocess.run(["ganesha.nfsd", "-v"], capture_output=True, text=True, check=False).stdout
    version = told.split("V", 1)[-1].split()[0] if "V" in told else ""
    with running(command, directory / "said", port) as pid:
        yield Served("nfs-ganesha", version, port, str(exported), pid, mount_port)


def found(program: str) -> str | None:
    """Find a program, those that `scripts/peers` unpacked before those of the system."""
    own = str(UNPACKED / "rclone" / "bin")
    path = f"{own}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return shutil.which(program, path=path)


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a server, wait until it takes connections, and give its pid."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
    try:
        for _ in processes.until(command[0], START_SECONDS, 0.05):
            if process.poll() is not None:
                raise Missing(f"doesn't start: {log.read_text().strip()[-300:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        yield process.pid
    finally:
        processes.stop(process, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    """Give ports that nobody has."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def mounted(served: Served) -> Export:
    """Mount as soon as the server lets us.

    Raises:
        Missing: It doesn't; in its own words.
    """
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            return served.mount()
        except NfsError as error:
            if time.monotonic() > until:
                raise Missing(f"can't be mounted: {error}") from None
        time.sleep(0.2)
