"""The other FTP servers, started beside ours on free ports with a directory of their own.

Each as it comes, but: users of the system who log in by password and see their home only, no limits on
sessions, no log of transfers, TLS for who asks for it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import guests
import loopback
import processes
from client import Address, Session

START_SECONDS = 20.0

FOLDER = "/bench"
"""Where all of it happens, on every server."""

UNPACKED = Path(__file__).resolve().parent.parent / "build" / "peers"
"""Where `scripts/peers` puts what can't be installed beside vsftpd."""

_SESSIONS = 5000


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, or one way of using it."""

    name: str
    version: str
    address: Address
    login: tuple[str, str]
    pid: int
    hashing: str
    """How it keeps passwords."""
    direct: bool = False
    """PRET before PASV."""
    has_mlsd: bool = True
    has_tls: bool = True

    def session(self, folder: str = FOLDER, *, secure: bool = False) -> Session:
        """Log in."""
        return Session(self.address, login=self.login, direct=self.direct, folder=folder, secure=secure)


class Missing(Exception):  # noqa: N818 - reads as a sentence
    """A peer can't be had on this machine; the reason says why."""


Start = Callable[[Path], contextlib.AbstractContextManager[Contestant]]


@contextlib.contextmanager
def vsftpd(directory: Path) -> Iterator[Contestant]:
    """Run vsftpd.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    program = _program("vsftpd")
    login = _account("vsftpd", directory)
    (directory / "empty").mkdir()
    certificate, key = _certificate(directory)
    port = _free_port()
    settings: Mapping[str, object] = {
        "listen": "YES",
        "background": "NO",
        "listen_address": "127.0.0.1",
        "listen_port": port,
        "anonymous_enable": "NO",
        "local_enable": "YES",
        "local_umask": "022",
        "write_enable": "YES",
        "chroot_local_user": "YES",
        "allow_writeable_chroot": "YES",
        "secure_chroot_dir": directory / "empty",
        "pam_service_name": "other",
        "max_clients": 0,
        "max_per_ip": 0,
        "ssl_enable": "YES",
        "force_local_logins_ssl": "NO",
        "force_local_data_ssl": "NO",
        "require_ssl_reuse": "NO",
        "rsa_cert_file": certificate,
        "rsa_private_key_file": key,
    }
    file = directory / "vsftpd.conf"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    with _running([program, str(file)], directory / "log", port) as pid:
        version = _vsftpd_version(program)
        yield Contestant(
            "vsftpd", version, ("127.0.0.1", port), login, pid, "the system's, by PAM", has_mlsd=False
        )


@contextlib.contextmanager
def proftpd(directory: Path) -> Iterator[Contestant]:
    """Run ProFTPD.

    Raises:
        Missing: It isn't there, or doesn't start.
    """
    program = _program("proftpd")
    login = _account("proftpd", directory)
    certificate, key = _certificate(directory)
    port = _free_port()
    modules = UNPACKED / "usr" / "lib" / "proftpd"
    file = directory / "proftpd.conf"
    file.write_text(f"""\
ModulePath {modules if modules.is_dir() else "/usr/lib/proftpd"}
LoadModule mod_tls.c
ServerName bench
ServerType standalone
DefaultAddress 127.0.0.1
Port {port}
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
MaxInstances {_SESSIONS}
PidFile {directory / "pid"}
ScoreboardFile {directory / "scoreboard"}
DelayTable {directory / "delay"}
ControlsEngine off
AuthPAMConfig other
DefaultRoot ~
AllowOverwrite on
TransferLog none
WtmpLog off
UseLastlog off
TLSEngine on
TLSRequired off
TLSRSACertificateFile {certificate}
TLSRSACertificateKeyFile {key}
TLSOptions NoSessionReuseRequired
""")
    key.chmod(0o600)
    with _running([program, "-n", "-c", str(file)], directory / "log", port) as pid:
        told = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
        version = (told.stdout + told.stderr).split()[-1]
        yield Contestant("ProFTPD", version, ("127.0.0.1", port), login, pid, "the system's, by PAM")


@contextlib.contextmanager
def pure_ftpd(directory: Path) -> Iterator[Contestant]:
    """Run Pure-FTPd.

    Raises:
        Missing: It isn't there, or doesn't start.
    """
    program = _program("pure-ftpd")
    login = _account("pureftpd", directory)
    certificate, key = _certificate(directory)
    both = directory / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    port = _free_port()
    command = [
        *(program, "-S", f"127.0.0.1,{port}", "-l", "unix", "-A", "-E", "-H", "-u", "1", "-U", "133:022"),
        *("-c", str(_SESSIONS), "-f", "none", "-g", str(directory / "pid"), "-Y", "1", "-2", str(both)),
        *("-L", "1000000:10"),  # entries in one listing: else it ends at 10,000
    ]
    with _running(command, directory / "log", port) as pid:
        told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout.split()
        yield Contestant(
            "Pure-FTPd", told[1].removeprefix("v"), ("127.0.0.1", port), login, pid, "the system's"
        )


@contextlib.contextmanager
def pyftpdlib(directory: Path) -> Iterator[Contestant]:
    """Run pyftpdlib: one thread, an event loop, sendfile.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    try:
        version = importlib.metadata.version("pyftpdlib")
    except importlib.metadata.PackageNotFoundError:
        raise Missing("not installed") from None
    root = directory / "root"
    (directory / f"root{FOLDER}").mkdir(parents=True)
    port = _free_port()
    command = [sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(port), "-w"]
    command += ["-d", str(root), "-u", "bench", "-P", guests.PASSWORD]
    command += ["--max-cons", str(_SESSIONS), "--max-cons-per-ip", str(_SESSIONS)]
    has_tls = importlib.util.find_spec("OpenSSL") is not None
    if has_tls:
        certificate, key = _certificate(directory)
        command += ["--tls", "--certfile", str(certificate), "--keyfile", str(key)]
    with _running(command, directory / "log", port) as pid:
        login = ("bench", guests.PASSWORD)
        yield Contestant(
            "pyftpdlib", version, ("127.0.0.1", port), login, pid, "in the clear", has_tls=has_tls
        )


ALL: dict[str, Start] = {
    "vsftpd": vsftpd,
    "ProFTPD": proftpd,
    "Pure-FTPd": pure_ftpd,
    "pyftpdlib": pyftpdlib,
}


def _program(name: str) -> str:
    own = os.pathsep.join(str(UNPACKED / "usr" / place) for place in ("sbin", "bin"))
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:{own}")
    if found is None:
        raise Missing("not installed")
    return found


def _account(peer: str, directory: Path) -> tuple[str, str]:
    """Make the peer's account and its home."""
    if not loopback.has_accounts():
        raise Missing("it logs in users of the system, and only root can make one")
    (directory / f"root{FOLDER}").mkdir(parents=True)
    return guests.add(f"bench-{peer}", directory / "root")


def _certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Missing("no openssl to make its certificate with")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path, port: int) -> Iterator[int]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        for _ in processes.until(command[0], START_SECONDS, 0.05):
            if process.poll() is not None:
                raise Missing(f"doesn't start: {log.read_text().strip()[-200:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as made:
                if made.recv(1):  # the greeting
                    break
        yield process.pid
    finally:
        processes.stop(process)


def _vsftpd_version(program: str) -> str:
    with tempfile.TemporaryFile() as told:
        # It says so to the terminal that it was started from: it writes to its stdin.
        subprocess.run([program, "-v"], stdin=told, check=False)
        told.seek(0)
        words = told.read().decode(errors="replace").split()
    return words[-1] if words else ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
