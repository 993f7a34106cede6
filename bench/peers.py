"""The servers that are measured beside ours, with a directory of its own for each.

They log in users of the system by password, who see their home only; `others` tells of all else.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import guests
import loopback
import others
from argosy.net import ports
from client import Address, Session
from others import Missing, Place

FOLDER = "/bench"
"""Where all of it happens, on every server."""


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

    def session(self, folder: str = FOLDER, *, secure: bool = False) -> Session:
        """Log in."""
        return Session(self.address, login=self.login, direct=self.direct, folder=folder, secure=secure)


Start = Callable[[Path], contextlib.AbstractContextManager[Contestant]]


@contextlib.contextmanager
def vsftpd(directory: Path) -> Iterator[Contestant]:
    """Run vsftpd.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    place, login = _place(directory), _account("vsftpd", directory)
    settings = {
        "anonymous_enable": "NO",
        "local_enable": "YES",
        "local_umask": "022",
        "chroot_local_user": "YES",
        "allow_writeable_chroot": "YES",
        "pam_service_name": "other",
        "require_ssl_reuse": "NO",
    }
    with others.vsftpd(place, **settings) as pid:
        yield _contestant("vsftpd", place, login, pid, "the system's, by PAM", has_mlsd=False)


@contextlib.contextmanager
def proftpd(directory: Path) -> Iterator[Contestant]:
    """Run ProFTPD.

    Raises:
        Missing: It isn't there, or doesn't start.
    """
    place, login = _place(directory), _account("proftpd", directory)
    lines = "AuthPAMConfig other\nDefaultRoot ~\nTLSOptions NoSessionReuseRequired"
    with others.proftpd(place, lines, user="nobody", group="nogroup") as pid:
        yield _contestant("ProFTPD", place, login, pid, "the system's, by PAM")


@contextlib.contextmanager
def pure_ftpd(directory: Path) -> Iterator[Contestant]:
    """Run Pure-FTPd.

    Raises:
        Missing: It isn't there, or doesn't start.
    """
    place, login = _place(directory), _account("pureftpd", directory)
    with others.pure_ftpd(place, "-l", "unix") as pid:
        yield _contestant("Pure-FTPd", place, login, pid, "the system's")


@contextlib.contextmanager
def pyftpdlib(directory: Path) -> Iterator[Contestant]:
    """Run pyftpdlib: one thread, an event loop, sendfile.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    place, login = _place(directory), ("bench", guests.PASSWORD)
    with others.pyftpdlib(place, *login) as pid:
        yield _contestant("pyftpdlib", place, login, pid, "in the clear")


ALL: dict[str, Start] = {
    "vsftpd": vsftpd,
    "ProFTPD": proftpd,
    "Pure-FTPd": pure_ftpd,
    "pyftpdlib": pyftpdlib,
}


def _contestant(
    name: str, place: Place, login: tuple[str, str], pid: int, hashing: str, *, has_mlsd: bool = True
) -> Contestant:
    version = others.version(name.lower())
    return Contestant(name, version, (place.host, place.port), login, pid, hashing, has_mlsd=has_mlsd)


def _account(peer: str, directory: Path) -> tuple[str, str]:
    """Make the peer's account and its home."""
    if not loopback.has_accounts():
        raise Missing("it logs in users of the system, and only root can make one")
    return guests.add(f"bench-{peer}", directory / "root")


def _place(directory: Path) -> Place:
    """Make a certificate and its key, and the root with its FOLDER."""
    (directory / f"root{FOLDER}").mkdir(parents=True)
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
    return Place(directory, certificate, key, "127.0.0.1", ports.choose("127.0.0.1", 0))
