"""The servers that clients are tried with: Argosy with two nodes, and vsftpd, which shows what clients do."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import argosy
from argosy.net.pki import Authority
from running import PASSWORD, USER, Site, needs
from talking import Talk

START_SECONDS = 20.0
FOLDER = "/area"
"""Where the clients work, on every server."""


@dataclass(frozen=True)
class Server:
    """Where a client goes, and as whom."""

    name: str
    version: str
    host: str
    port: int
    user: str
    password: str
    authority: Path
    """The certificate that it trusts."""


@contextmanager
def ours(directory: Path) -> Iterator[Server]:
    """Run a master and two nodes with the settings that `argosy up` gives them."""
    directory.mkdir(parents=True, exist_ok=True)
    site = Site(directory / "site")
    try:
        site.start()
        server = Server("Argosy", argosy.__version__, site.host, site.port, USER, PASSWORD, site.authority)
        with Talk(server) as talk:
            assert talk.ask(f"MKD {FOLDER}").code == 257
        yield server
    finally:
        site.stop()


@contextmanager
def vsftpd(directory: Path) -> Iterator[Server]:
    """Run vsftpd for its anonymous user, who may write here; all else is as vsftpd has it by default."""
    program = needs("vsftpd")
    user = _user_with_home()
    (directory / "empty").mkdir(parents=True)
    folder = directory / f"root{FOLDER}"
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    keys = directory / "keys"
    Authority.open(keys).issue_ftp(["127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
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
        "anon_mkdir_write_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_umask": "022",
        "secure_chroot_dir": directory / "empty",
        "ssl_enable": "YES",
        "allow_anon_ssl": "YES",
        "force_local_logins_ssl": "NO",
        "force_local_data_ssl": "NO",
        "rsa_cert_file": keys / "ftp.pem",
        "rsa_private_key_file": keys / "ftp.key",
    }
    file = directory / "vsftpd.conf"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for_greeting(process, port, directory / "log")
        authority = keys / "authority.pem"
        yield Server("vsftpd", _version(program), "127.0.0.1", port, "anonymous", PASSWORD, authority)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_for_greeting(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise ChildProcessError(f"vsftpd doesn't start: {log.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as made:
            if made.recv(1):
                return
        time.sleep(0.05)
    raise TimeoutError("vsftpd doesn't answer")


def _version(program: str) -> str:
    done = subprocess.run(  # it writes its version to its stdin: a terminal, it thinks
        ["sh", "-c", f"{program} -v 0>&1"], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[-1] if done.stdout else ""


def _user_with_home() -> str:
    """Find a system user for vsftpd to be: it wants one whose home is there, and who isn't root."""
    for name in ("ftp", "daemon", "nobody"):
        with contextlib.suppress(KeyError):
            if Path(pwd.getpwnam(name).pw_dir).is_dir():
                return name
    raise LookupError("no user for vsftpd to run as")
