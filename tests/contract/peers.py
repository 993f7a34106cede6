"""The FTP servers that the gateway has to get on with, each in a directory of its own, on a free port.

Each as it comes from its makers, with one user who may write, TLS for who asks for it, and our certificate.
The users are of their own making, so no account of the machine is needed; vsftpd knows no such users and has
its anonymous one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy.net.pki import Authority
from clients import servers
from running import PASSWORD, USER

START_SECONDS = 30.0
STOP_SECONDS = 20.0
FOLDER = "/area"
"""Where tests write, on every server."""

UNPACKED = Path(__file__).resolve().parents[2] / "build" / "peers"
"""Where `scripts/peers` puts what can't be installed beside vsftpd."""


@dataclass(frozen=True)
class Peer:
    """A server that runs."""

    name: str
    host: str
    port: int
    user: str
    password: str
    authority: Path
    """Whose certificates it shows."""
    root: Path | None
    """Where the user's files lie; None: they aren't to be had on this machine's disk as they are."""


Start = Callable[[Path], contextlib.AbstractContextManager[Peer]]


@contextlib.contextmanager
def argosy(directory: Path) -> Iterator[Peer]:
    """Run a master and two nodes: with PRET the nodes send the bytes."""
    with servers.ours(directory) as ours:
        yield Peer("Argosy", ours.host, ours.port, ours.user, ours.password, ours.authority, None)


@contextlib.contextmanager
def vsftpd(directory: Path, **changes: object) -> Iterator[Peer]:
    """Run vsftpd for its anonymous user, who may write below FOLDER."""
    program = _program("vsftpd")
    user = _other_user()
    root, keys = _prepare(directory, user)
    (directory / "empty").mkdir()
    port = _free_port()
    settings: Mapping[str, object] = {
        "listen": "YES",
        "background": "NO",
        "listen_address": "127.0.0.1",
        "listen_port": port,
        "anonymous_enable": "YES",
        "ftp_username": user,
        "anon_root": root,
        "write_enable": "YES",
        "anon_upload_enable": "YES",
        "anon_mkdir_write_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_umask": "022",
        "anon_world_readable_only": "NO",
        "secure_chroot_dir": directory / "empty",
        "xferlog_enable": "YES",
        "vsftpd_log_file": directory / "commands.log",
        "dual_log_enable": "NO",
        "xferlog_std_format": "NO",
        "log_ftp_protocol": "YES",
        "max_per_ip": 0,
        "ssl_enable": "YES",
        "allow_anon_ssl": "YES",
        "force_local_logins_ssl": "NO",
        "force_local_data_ssl": "NO",
        "rsa_cert_file": keys / "ftp.pem",
        "rsa_private_key_file": keys / "ftp.key",
        **changes,
    }
    file = directory / "vsftpd.conf"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    host, port = str(settings["listen_address"]), int(str(settings["listen_port"]))
    with running([program, str(file)], directory / "log", port, host):
        yield Peer("vsftpd", host, port, "anonymous", PASSWORD, keys / "authority.pem", root)


@contextlib.contextmanager
def proftpd(directory: Path, more: str = "") -> Iterator[Peer]:
    """Run ProFTPD with a user out of a file of its own."""
    program = _program("proftpd")
    owner = _other_user()
    root, keys = _prepare(directory, owner)
    known = pwd.getpwnam(owner)
    port = _free_port()
    users = directory / "users"
    users.write_text(f"{USER}:{_hashed()}:{known.pw_uid}:{known.pw_gid}::{root}:/bin/sh\n")
    users.chmod(0o600)
    (keys / "ftp.key").chmod(0o600)
    modules = UNPACKED / "usr" / "lib" / "proftpd"
    file = directory / "proftpd.conf"
    file.write_text(f"""\
ModulePath {modules if modules.is_dir() else "/usr/lib/proftpd"}
LoadModule mod_tls.c
LoadModule mod_site_misc.c
ServerName proftpd
ServerType standalone
DefaultAddress 127.0.0.1
Port {port}
UseIPv6 off
UseReverseDNS off
User {owner}
Group {_group(known.pw_gid)}
MaxInstances 200
PidFile {directory / "pid"}
ScoreboardFile {directory / "scoreboard"}
DelayEngine off
ControlsEngine off
AuthOrder mod_auth_file.c
AuthUserFile {users}
RequireValidShell off
DefaultRoot {root}
Umask 022
AllowOverwrite on
AllowStoreRestart on
AllowRetrieveRestart on
TransferLog none
WtmpLog off
UseLastlog off
LogFormat said "%a %r"
ExtendedLog {directory / "commands.log"} ALL said
TLSEngine on
TLSRequired off
TLSRSACertificateFile {keys / "ftp.pem"}
TLSRSACertificateKeyFile {keys / "ftp.key"}
{more}
""")
    with running([program, "-n", "-c", str(file)], directory / "log", port):
        yield Peer("ProFTPD", "127.0.0.1", port, USER, PASSWORD, keys / "authority.pem", root)


@contextlib.contextmanager
def pure_ftpd(directory: Path, *more: str) -> Iterator[Peer]:
    """Run Pure-FTPd with a user out of its own database."""
    program, tool = _program("pure-ftpd"), _program("pure-pw")
    owner = _other_user()
    root, keys = _prepare(directory, owner)
    known = pwd.getpwnam(owner)
    port = _free_port()
    users, database = directory / "users", directory / "users.pdb"
    # hashed as cheaply as may be: pure-pw itself takes a second for it, and so does each login then
    users.write_text(f"{USER}:{_hashed()}:{known.pw_uid}:{known.pw_gid}::{root}/./::::::::::::\n")
    made = [tool, "mkdb", str(database), "-f", str(users)]
    subprocess.run(made, capture_output=True, check=True)
    both = directory / "both.pem"
    both.write_text((keys / "ftp.pem").read_text() + (keys / "ftp.key").read_text())
    command = [
        *(program, "-S", f"127.0.0.1,{port}", "-l", f"puredb:{database}", "-A", "-E", "-H", "-u", "1"),
        *(
            "-U",
            "133:022",
            "-c",
            "200",
            "-C",
            "200",
            "-f",
            "none",
            "-O",
            f"clf:{directory / 'transfers.log'}",
        ),
        *("-g", str(directory / "pid"), "-Y", "1", "-2", str(both), "-L", "1000000:10", *more),
    ]
    with running(command, directory / "log", port):
        yield Peer("Pure-FTPd", "127.0.0.1", port, USER, PASSWORD, keys / "authority.pem", root)


@contextlib.contextmanager
def pyftpdlib(directory: Path) -> Iterator[Peer]:
    """Run pyftpdlib, by its own command line."""
    root, keys = _prepare(directory, "")
    port = _free_port()
    command = [
        *(sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(port), "-w"),
        *("-d", str(root), "-u", USER, "-P", PASSWORD, "--max-cons", "200", "--max-cons-per-ip", "200"),
        *("--tls", "--certfile", str(keys / "ftp.pem"), "--keyfile", str(keys / "ftp.key")),
    ]
    with running(command, directory / "log", port):
        yield Peer("pyftpdlib", "127.0.0.1", port, USER, PASSWORD, keys / "authority.pem", root)


ALL: dict[str, Start] = {
    "vsftpd": vsftpd,
    "ProFTPD": proftpd,
    "Pure-FTPd": pure_ftpd,
    "pyftpdlib": pyftpdlib,
    "Argosy": argosy,
}


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, port: int, host: str = "127.0.0.1"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server from its greeting on, to the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None:
                raise ChildProcessError(f"{command[0]} doesn't start: {log.read_text()}")
            if time.monotonic() > until:
                raise TimeoutError(f"{command[0]} doesn't answer: {log.read_text()}")
            with contextlib.suppress(OSError), socket.create_connection((host, port), 1) as made:
                if made.recv(1):
                    break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _program(name: str) -> str:
    own = os.pathsep.join(str(UNPACKED / "usr" / place) for place in ("sbin", "bin"))
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:{own}")
    if found is None:
        pytest.skip(f"needs {name}: scripts/clients and scripts/peers fetch it")
    return found


def _hashed() -> str:
    command = ["openssl", "passwd", "-5", PASSWORD]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _prepare(directory: Path, owner: str) -> tuple[Path, Path]:
    """Make the root with its FOLDER, and the keys."""
    root, keys = directory / "root", directory / "keys"
    (directory / f"root{FOLDER}").mkdir(parents=True)
    if owner and os.geteuid() == 0:
        known = pwd.getpwnam(owner)
        os.chown(root / FOLDER.strip("/"), known.pw_uid, known.pw_gid)
        for above in (directory, *directory.parents):
            if above.stat().st_uid == os.geteuid() and above != Path("/tmp"):
                above.chmod(above.stat().st_mode | 0o011)
    Authority.open(keys).issue_ftp(["127.0.0.1"])
    return root, keys


def _other_user() -> str:
    """Find a user who isn't root, for servers that won't be root for anybody."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("ftp", "daemon", "nobody"):
        with contextlib.suppress(KeyError):
            if Path(pwd.getpwnam(name).pw_dir).is_dir():
                return name
    raise LookupError("no user for a server to run as")


def _group(gid: int) -> str:
    import grp  # noqa: PLC0415

    return grp.getgrgid(gid).gr_name


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
