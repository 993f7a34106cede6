"""The other FTP servers, started beside ours on free ports with a directory of their own."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import processes
from client import Address, Session

START_SECONDS = 20.0

FOLDER = "/bench"
"""Where all of it happens, on every server."""

_ANONYMOUS = ("anonymous", "bench@localhost")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, or one way of using it."""

    name: str
    version: str
    address: Address
    login: tuple[str, str]
    pid: int
    direct: bool = False
    """PRET before PASV."""

    def session(self, folder: str = FOLDER) -> Session:
        """Log in."""
        return Session(self.address, login=self.login, direct=self.direct, folder=folder)


class Missing(Exception):  # noqa: N818 - reads as a sentence
    """A peer can't be had on this machine; the reason says why."""


Start = Callable[[Path], contextlib.AbstractContextManager[Contestant]]


@contextlib.contextmanager
def vsftpd(directory: Path) -> Iterator[Contestant]:
    """Run vsftpd for anonymous users who may write.

    Raises:
        Missing: It isn't installed, or doesn't start.
    """
    program = shutil.which("vsftpd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise Missing("not installed")
    user = _user_with_home()
    (directory / "empty").mkdir(parents=True)
    folder = directory / f"root{FOLDER}"
    folder.mkdir(parents=True)
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    port = _free_port()
    file = directory / "vsftpd.conf"
    settings = {
        "listen": "YES",
        "background": "NO",
        "listen_address": "127.0.0.1",
        "listen_port": port,
        "anonymous_enable": "YES",
        "ftp_username": user,
        "anon_root": directory / "root",
        "write_enable": "YES",
        "anon_upload_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_umask": "022",
        "secure_chroot_dir": directory / "empty",
    }
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    with _running([program, str(file)], directory / "log", port) as pid:
        yield Contestant("vsftpd", _vsftpd_version(program), ("127.0.0.1", port), _ANONYMOUS, pid)


@contextlib.contextmanager
def pyftpdlib(directory: Path) -> Iterator[Contestant]:
    """Run pyftpdlib as it comes: one thread, an event loop, sendfile.

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
    with _running([*command, "-d", str(root)], directory / "log", port) as pid:
        yield Contestant("pyftpdlib", version, ("127.0.0.1", port), _ANONYMOUS, pid)


ALL: dict[str, Start] = {"vsftpd": vsftpd, "pyftpdlib": pyftpdlib}


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


def _user_with_home() -> str:
    """Find a system user for vsftpd to be: it wants one whose home is there, and who isn't root."""
    for name in ("ftp", "daemon", "nobody"):
        with contextlib.suppress(KeyError):
            if Path(pwd.getpwnam(name).pw_dir).is_dir():
                return name
    raise Missing("no user for it to run as")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
