"""Servers of FTP by others: how each is found, set up beside ours, started and stopped.

Each as it comes, but: no limits on sessions, no log of transfers, TLS for who asks for it. Who may log in is
said by whoever starts one. They are for the benchmark, and for the tests.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import processes

START_SECONDS = 30.0
SESSIONS = 5000

UNPACKED = Path(__file__).resolve().parent.parent / "build" / "peers"
"""Where `scripts/peers` puts what can't be installed beside vsftpd."""


class Missing(Exception):  # noqa: N818 - reads as a sentence
    """A server can't be had on this machine; the reason says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server runs, and what it shows to who asks for TLS."""

    directory: Path
    """Its own, for settings and logs; the user's files lie in `root` there."""
    certificate: Path
    key: Path
    host: str
    port: int

    @property
    def root(self) -> Path:
        """The directory that its user sees."""
        return self.directory / "root"


@contextlib.contextmanager
def vsftpd(place: Place, **login: object) -> Iterator[int]:
    """Run vsftpd; the settings say who may log in. Give its pid.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    greets = login.get("implicit_ssl") != "YES"
    with running(vsftpd_command(place, **login), place, greets=greets) as pid:
        yield pid


def vsftpd_command(place: Place, **login: object) -> list[str]:
    """Write vsftpd's settings, and give what runs it.

    Raises:
        Missing: It isn't installed, or we aren't root: to others it locks nobody in its directory.
    """
    command = [program("vsftpd"), str(place.directory / "vsftpd.conf")]
    if os.geteuid() != 0:
        raise Missing("vsftpd needs root")
    (place.directory / "empty").mkdir()
    settings = {
        "listen": "YES",
        "background": "NO",
        "listen_address": place.host,
        "listen_port": place.port,
        "write_enable": "YES",
        "secure_chroot_dir": place.directory / "empty",
        "max_clients": 0,
        "max_per_ip": 0,
        "ssl_enable": "YES",
        "force_local_logins_ssl": "NO",
        "force_local_data_ssl": "NO",
        "rsa_cert_file": place.certificate,
        "rsa_private_key_file": place.key,
        **login,
    }
    Path(command[1]).write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return command


@contextlib.contextmanager
def proftpd(place: Place, login: str, *, user: str, group: str) -> Iterator[int]:
    """Run ProFTPD. Give its pid.

    Args:
        place: Where.
        login: Lines of its settings that say who may log in.
        user: Whom it runs as while nobody is logged in.
        group: The same.

    Raises:
        Missing: It isn't there, or doesn't start.
    """
    found = program("proftpd")
    modules = UNPACKED / "usr" / "lib" / "proftpd"
    file = place.directory / "proftpd.conf"
    file.write_text(f"""\
ModulePath {modules if modules.is_dir() else "/usr/lib/proftpd"}
LoadModule mod_tls.c
ServerName other
ServerType standalone
DefaultAddress {place.host}
Port {place.port}
UseIPv6 off
UseReverseDNS off
User {user}
Group {group}
MaxInstances {SESSIONS}
PidFile {place.directory / "pid"}
ScoreboardFile {place.directory / "scoreboard"}
DelayTable {place.directory / "delay"}
ControlsEngine off
AllowOverwrite on
TransferLog none
WtmpLog off
UseLastlog off
TLSEngine on
TLSRequired off
TLSRSACertificateFile {place.certificate}
TLSRSACertificateKeyFile {place.key}
{login}
""")
    place.key.chmod(0o600)
    with running([found, "-n", "-c", str(file)], place) as pid:
        yield pid


@contextlib.contextmanager
def pure_ftpd(place: Place, *login: str) -> Iterator[int]:
    """Run Pure-FTPd; the options say who may log in. Give its pid.

    Raises:
        Missing: It isn't there, or doesn't start.
    """
    both = place.directory / "both.pem"
    both.write_text(place.certificate.read_text() + place.key.read_text())
    command = [
        *(program("pure-ftpd"), "-S", f"{place.host},{place.port}", "-A", "-E", "-H", "-u", "1"),
        *("-U", "133:022", "-c", str(SESSIONS), "-C", str(SESSIONS), "-f", "none"),
        *("-g", str(place.directory / "pid"), "-Y", "1", "-2", str(both)),
        *("-L", "1000000:10"),  # entries in one listing: else it ends at 10,000
    ]
    with running([*command, *login], place) as pid:
        yield pid


@contextlib.contextmanager
def pyftpdlib(place: Place, user: str, password: str, *more: str) -> Iterator[int]:
    """Run pyftpdlib, by its own command line: one thread, an event loop, sendfile. Give its pid.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    with running(pyftpdlib_command(place, user, password, *more), place) as pid:
        yield pid


def pyftpdlib_command(place: Place, user: str, password: str, *more: str) -> list[str]:
    """Give what runs pyftpdlib.

    Raises:
        Missing: It isn't installed.
    """
    if not version("pyftpdlib"):
        raise Missing("not installed")
    return [
        *(sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", place.host, "-p", str(place.port), "-w"),
        *("-d", str(place.root), "-u", user, "-P", password),
        *("--max-cons", str(SESSIONS), "--max-cons-per-ip", str(SESSIONS)),
        *("--tls", "--certfile", str(place.certificate), "--keyfile", str(place.key), *more),
    ]


@contextlib.contextmanager
def running(command: Sequence[str], place: Place, *, greets: bool = True) -> Iterator[int]:
    """Run a server from its greeting on, to the end of the block. Give its pid.

    Args:
        command: What runs it.
        place: Where.
        greets: It says something by itself, to who hasn't begun TLS yet.

    Raises:
        Missing: It doesn't start.
        TimeoutError: It doesn't answer.
    """
    log = place.directory / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        for _ in processes.until(command[0], START_SECONDS, 0.05):
            if process.poll() is not None:
                raise Missing(f"doesn't start: {log.read_text().strip()[-300:]}")
            with contextlib.suppress(OSError), socket.create_connection((place.host, place.port), 1) as made:
                if not greets or made.recv(1):  # the greeting
                    break
        yield process.pid
    finally:
        processes.stop(process)


def program(name: str) -> str:
    """Find a program.

    Raises:
        Missing: It isn't here.
    """
    own = os.pathsep.join(str(UNPACKED / "usr" / place) for place in ("sbin", "bin"))
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:{own}")
    if found is None:
        raise Missing(f"{name} is not installed; scripts/clients and scripts/peers do it")
    return found


def version(server: str) -> str:
    """Ask a server for its version; nothing when it doesn't say.

    Args:
        server: `vsftpd`, `proftpd`, `pure-ftpd` or `pyftpdlib`.

    Raises:
        Missing: It isn't here.
    """
    if server == "pyftpdlib":
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(server)
        return ""
    option = {"vsftpd": "-v", "proftpd": "-v", "pure-ftpd": "--help"}[server]
    with tempfile.TemporaryFile() as told:
        # vsftpd says so to the terminal that it was started from: it writes to its stdin.
        subprocess.run([program(server), option], stdin=told, stdout=told, stderr=told, check=False)
        told.seek(0)
        words = told.read().decode(errors="replace").split()
    if server == "pure-ftpd":
        return words[1].removeprefix("v") if len(words) > 1 else ""
    return words[-1] if words else ""
