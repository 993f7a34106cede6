"""The FTP servers that tests speak with: ours, and four others, each with a directory and a port of its own.

Each as it comes from its makers, with one user who may write below FOLDER, TLS for who asks for it, and our
certificate. The users are of their own making, so no account of the machine is needed; vsftpd knows no such
users and has its anonymous one.
"""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, Self

import pytest

import others
from argosy.net import ports
from argosy.net.pki import Authority
from kernel import guest
from others import Missing, Place
from processes import family
from running import PASSWORD, USER, Site
from talking import Talk

FOLDER = "/area"
"""Where tests write, on every server."""

_P = ParamSpec("_P")


@dataclass(frozen=True)
class Server:
    """A server that runs: where it is, and as whom one logs in."""

    name: str
    host: str
    port: int
    user: str
    password: str
    authority: Path
    """The certificate that its clients trust."""
    root: Path | None
    """Where the user's files lie; None: they aren't to be had on this machine's disk as they are."""


Start = Callable[[Path], AbstractContextManager[Server]]


def _or_skip(
    start: Callable[_P, AbstractContextManager[Server]],
) -> Callable[_P, AbstractContextManager[Server]]:
    """Skip the test where the server isn't to be had."""

    @functools.wraps(start)
    @contextmanager
    def run(*words: _P.args, **named: _P.kwargs) -> Iterator[Server]:
        with contextlib.ExitStack() as stack:
            try:
                server = stack.enter_context(start(*words, **named))
            except Missing as reason:
                pytest.skip(str(reason))
            yield server

    return run


@contextmanager
def ours(directory: Path) -> Iterator[Server]:
    """Run a master and two nodes, as `argosy up` sets them up: with PRET the nodes send the bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    site = Site(directory / "site")
    try:
        site.start()
        at = Server("Argosy", site.host, site.port, USER, PASSWORD, site.authority, None)
        with Talk(at) as talk:
            assert talk.ask(f"MKD {FOLDER}").code == 257
        yield at
    finally:
        site.stop()


@_or_skip
@contextmanager
def vsftpd(
    directory: Path, changes: Mapping[str, object] | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Server]:
    """Run vsftpd for its anonymous user, with changes to its settings."""
    place = prepare(directory, owner := _other_user(), host=host, port=port)
    with others.vsftpd(place, **_anonymous(place, owner), **(changes or {})):
        yield _server("vsftpd", place, "anonymous")


@_or_skip
@contextmanager
def proftpd(directory: Path, more: str = "") -> Iterator[Server]:
    """Run ProFTPD with a user out of a file of its own."""
    _check_root("ProFTPD")
    owner = pwd.getpwnam(_other_user())
    place = prepare(directory, owner.pw_name)
    users = place.directory / "users"
    users.write_text(f"{USER}:{_hashed()}:{owner.pw_uid}:{owner.pw_gid}::{place.root}:/bin/sh\n")
    users.chmod(0o600)
    login = f"""\
LoadModule mod_site_misc.c
DelayEngine off
AuthOrder mod_auth_file.c
AuthUserFile {users}
RequireValidShell off
DefaultRoot {place.root}
Umask 022
AllowStoreRestart on
AllowRetrieveRestart on
LogFormat said "%a %r"
ExtendedLog {place.directory / "commands.log"} ALL said
{more}"""
    group = grp.getgrgid(owner.pw_gid).gr_name
    with others.proftpd(place, login, user=owner.pw_name, group=group):
        yield _server("ProFTPD", place)


@_or_skip
@contextmanager
def pure_ftpd(directory: Path, *more: str) -> Iterator[Server]:
    """Run Pure-FTPd with a user out of its own database."""
    _check_root("Pure-FTPd")
    tool = others.program("pure-pw")
    owner = pwd.getpwnam(_other_user())
    place = prepare(directory, owner.pw_name)
    users, database = place.directory / "users", place.directory / "users.pdb"
    # hashed as cheaply as may be: pure-pw itself takes a second for it, and so does each login then
    account = f"{USER}:{_hashed()}:{owner.pw_uid}:{owner.pw_gid}::{place.root}/./"
    users.write_text(f"{account}::::::::::::\n")
    subprocess.run([tool, "mkdb", str(database), "-f", str(users)], capture_output=True, check=True)
    log = f"clf:{place.directory / 'transfers.log'}"
    with others.pure_ftpd(place, "-l", f"puredb:{database}", "-O", log, *more):
        yield _server("Pure-FTPd", place)


@_or_skip
@contextmanager
def pyftpdlib(directory: Path) -> Iterator[Server]:
    """Run pyftpdlib."""
    place = prepare(directory)
    with others.pyftpdlib(place, USER, PASSWORD):
        yield _server("pyftpdlib", place)


ALL: dict[str, Start] = {
    "vsftpd": vsftpd,
    "ProFTPD": proftpd,
    "Pure-FTPd": pure_ftpd,
    "pyftpdlib": pyftpdlib,
    "Argosy": ours,
}


class Mortal:
    """A server that can be stopped, or killed with all its sessions, and started again where it was."""

    def __init__(self, server: Server, place: Place, command: Sequence[str]) -> None:
        self.server = server
        self._place = place
        self._command = command
        self._running = contextlib.ExitStack()
        self._pid = 0

    @classmethod
    def vsftpd(cls, directory: Path) -> Self:
        """Make ready vsftpd, which has a process for each session."""
        place = prepare(directory, owner := _other_user())
        try:
            command = others.vsftpd_command(place, **_anonymous(place, owner))
        except Missing as reason:
            pytest.skip(str(reason))
        return cls(_server("vsftpd", place, "anonymous"), place, command)

    @classmethod
    def pyftpdlib(cls, directory: Path) -> Self:
        """Make ready pyftpdlib, which is one process: when it goes, all its sessions go."""
        place = prepare(directory)
        return cls(_server("pyftpdlib", place), place, others.pyftpdlib_command(place, USER, PASSWORD))

    def start(self, *more: str) -> None:
        """Start it, with further options."""
        self._pid = self._running.enter_context(others.running([*self._command, *more], self._place))

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._running.close()

    def kill(self) -> None:
        """Kill it as a power cut would."""
        for pid in family(self._pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop()

    @contextmanager
    def up(self, *more: str) -> Iterator[None]:
        """Have it run for the length of the block."""
        self.start(*more)
        try:
            yield
        finally:
            self.stop()


def prepare(directory: Path, owner: str = "", *, host: str = "127.0.0.1", port: int = 0) -> Place:
    """Make the root with its FOLDER, and the keys.

    Args:
        directory: The server's own.
        owner: Whose the files shall be, if not ours.
        host: Where it shall listen.
        port: The same; 0: one that is free.
    """
    folder = directory / f"root{FOLDER}"
    folder.mkdir(parents=True)
    if owner and os.geteuid() == 0:
        known = pwd.getpwnam(owner)
        os.chown(folder, known.pw_uid, known.pw_gid)
        for above in (directory, *directory.parents):
            if above.stat().st_uid == os.geteuid() and above != Path("/tmp"):
                above.chmod(above.stat().st_mode | 0o011)
    keys = directory / "keys"
    Authority.open(keys).issue_ftp([host, guest.HOST])  # for clients in a guest of QEMU, too
    return Place(directory, keys / "ftp.pem", keys / "ftp.key", host, port or ports.choose(host, 0))


def _check_root(server: str) -> None:
    """See that we may run a server that locks its user in a directory.

    Raises:
        Missing: We may not: it would turn him away.
    """
    if os.geteuid() != 0:
        raise Missing(f"{server} needs root")


def _server(name: str, place: Place, user: str = USER) -> Server:
    authority = place.certificate.parent / "authority.pem"
    return Server(name, place.host, place.port, user, PASSWORD, authority, place.root)


def _anonymous(place: Place, owner: str) -> dict[str, object]:
    """Say to vsftpd that its anonymous user may write below FOLDER, and to write down all commands."""
    return {
        "anonymous_enable": "YES",
        "ftp_username": owner,
        "anon_root": place.root,
        "anon_upload_enable": "YES",
        "anon_mkdir_write_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_umask": "022",
        "anon_world_readable_only": "NO",
        "allow_anon_ssl": "YES",
        "xferlog_enable": "YES",
        "vsftpd_log_file": place.directory / "commands.log",
        "dual_log_enable": "NO",
        "xferlog_std_format": "NO",
        "log_ftp_protocol": "YES",
    }


def _hashed() -> str:
    command = ["openssl", "passwd", "-5", PASSWORD]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _other_user() -> str:
    """Find a user who isn't root, for servers that won't be root for anybody."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("ftp", "daemon", "nobody"):
        with contextlib.suppress(KeyError):
            if Path(pwd.getpwnam(name).pw_dir).is_dir():
                return name
    raise LookupError("no user for a server to run as")
