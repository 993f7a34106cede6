"""`argosy mount` and `argosy umount`: a site gets a directory, and loses it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from argosy import config
from argosy.cli import passwords
from argosy.cli.ask import ask_gateway
from argosy.cli.gateway import found, settings_of
from argosy.errors import BadArgument, Exists, Failed, NotADirectory, NotFound, Unsupported
from argosy.net import ports
from argosy.sites.address import parse_url
from argosy.sites.model import Address
from argosy.wire import link

LOGIN_SECONDS = 120.0
"""How long the site may take until we are logged in there: connecting, TLS, a slow password check."""

ANONYMOUS = ("anonymous", "ftp")
"""Who needs no password. RFC 1635."""

WHERE = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:/usr/local/sbin"

MOUNTS = Path("/proc/self/mountinfo")


class NotMounted(Failed):
    """Not mounted."""


class StillMounted(Failed):
    """Still mounted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be mounted, and the password for it."""

    export: bytes
    password: str
    shown: str


def mount(arguments: argparse.Namespace) -> int:
    """Mount an FTP site at a directory; the gateway is started if none runs."""
    directory = Path(arguments.directory).absolute()
    if not arguments.print:
        _check(directory)
    settings = settings_of(arguments)
    address = _address(arguments.site, settings)
    asyncio.run(found(settings, arguments.config))  # before anybody is asked for a password
    wanted = _wanted(arguments, address)
    question = link.AskTicket(wanted.export, os.fsencode(wanted.password), *_owner())
    document = asyncio.run(ask_gateway(Path(settings.state.directory), question, seconds=LOGIN_SECONDS))
    if arguments.keep and wanted.password and address:
        passwords.keep_in_keyring(address.host, address.port, address.user, wanted.password)
    words = mount_words(document, directory, read_only=arguments.read_only, more=arguments.options)
    if arguments.print:
        line = f"# good for {document['seconds']:g} s, and once\n{shlex.join(words)}"
        print(json.dumps({**document, "command": words}) if arguments.json else line)
        return 0
    _as_root(words, NotMounted)
    if arguments.json:
        print(json.dumps({"directory": str(directory), "site": wanted.shown, "nfs": document["nfs"]}))
    else:
        print(
            f"{wanted.shown} is at {directory}; to take it away: argosy umount {shlex.quote(str(directory))}"
        )
    return 0


def umount(arguments: argparse.Namespace) -> int:
    """Take a site's directory away; what was written is on the site then."""
    directory = Path(arguments.directory).absolute()
    kinds = mounted(MOUNTS.read_text())
    kind = kinds.get(str(directory)) or kinds.get(os.path.realpath(directory))
    if kind is None:
        raise NotFound(f"nothing is mounted at {directory}")
    if not kind.startswith("nfs"):
        raise BadArgument(f"{directory} is no site of ours, but {kind}")
    _as_root(["umount", *(["-f", "-l"] if arguments.force else []), str(directory)], StillMounted)
    return 0


def mounted(mountinfo: str) -> dict[str, str]:
    r"""Give the kind of file system by directory, the last one mounted there. proc(5).

    >>> mounted("36 35 0:49 / /mnt/a\\040b rw,relatime - nfs 127.0.0.1:/x rw,vers=3")
    {'/mnt/a b': 'nfs'}
    """
    kinds = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        where = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        kinds[where.encode("latin-1", "replace").decode(errors="surrogateescape")] = after.split(" ")[0]
    return kinds


def mount_words(
    document: dict[str, Any], directory: Path, *, read_only: bool, more: Sequence[str]
) -> list[str]:
    """Give the command that mounts a ticket. nfs(5).

    Args:
        document: The gateway's answer: `nfs`, where it listens, and `export`.
        directory: Where to.
        read_only: Mount it so.
        more: Options as of `mount -o`; they come last, so they count.
    """
    host, port = config.split_address("nfs", ports.dialable(document["nfs"]))
    source = f"[{host}]" if ":" in host else host
    # Neither a portmapper nor a lock daemon is there; the site's files get no rights on this machine.
    options = ["vers=3", "proto=tcp6" if ":" in host else "tcp", f"port={port}", f"mountport={port}"]
    options += ["nolock", "nosuid", "nodev", *(["ro"] if read_only else []), *more]
    return ["mount", "-t", "nfs", "-o", ",".join(options), f"{source}:{document['export']}", str(directory)]


def _check(directory: Path) -> None:
    """See what can be seen before anybody is asked for a password."""
    if not shutil.which("mount.nfs", path=WHERE):
        raise Unsupported(
            "mount.nfs isn't here, the part of the system that mounts NFS: install nfs-common"
            " (Debian, Ubuntu), nfs-utils (Fedora, Arch, Alpine) or nfs-client (openSUSE)"
        )
    if str(directory) in mounted(MOUNTS.read_text()):
        raise Exists(f"something is mounted at {directory}; first: argosy umount {directory}")
    if not directory.is_dir():
        raise NotADirectory(f"{directory}; first: mkdir {directory}")


def _address(site: str, settings: config.Gateway) -> Address | None:
    """Read an address; None: it is the name of a site, whose password the config knows.

    Raises:
        BadArgument: It is neither, or has a password in it.
    """
    if site.strip("/").partition("/")[0] in settings.sites:
        return None
    if "://" not in site:
        known = ", ".join(sorted(settings.sites)) or "none; they stand in the file that --config names"
        raise BadArgument(f"want ftp://USER@HOST/, or the name of a site (known: {known})")
    address = parse_url(site)
    if address.password:
        raise BadArgument(
            "all users of this machine see a password in a command: leave it out, it is asked for"
        )
    return address


def _wanted(arguments: argparse.Namespace, address: Address | None) -> Wanted:
    site, password = arguments.site, ""
    if address is None:
        return Wanted(b"/" + os.fsencode(site.strip("/")), "", site)
    if "@" not in urlsplit(site).netloc and (entry := passwords.of_netrc(address.host, "")):
        user, password = entry
        site = _with_user(site, user)
    elif address.user not in ANONYMOUS or arguments.password_file:
        password = _password(arguments, address.host, address.port, address.user)
    return Wanted(b"/" + os.fsencode(site), password, site)


def _with_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}@{parts.netloc}"))


def _password(arguments: argparse.Namespace, host: str, port: int, user: str) -> str:
    """Look for a password: file, keyring, netrc, and only then ask."""
    if arguments.password_file:
        password = passwords.of_file(arguments.password_file)
    elif (kept := passwords.of_keyring(host, port, user)) is not None:
        return kept
    elif (entry := passwords.of_netrc(host, user)) is not None:
        return entry[1]
    else:
        password = passwords.asked(f"Password of {user} at {host}: ")
    return password


def _owner() -> tuple[int, int]:
    """Give whom the files shall belong to: us, also where we are root by sudo."""
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        return int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "0"))
    return os.getuid(), os.getgid()


def _as_root(words: list[str], trouble: type[Failed]) -> None:
    """Run a command as root, by sudo if we aren't, which may ask for a password.

    Raises:
        Failed: As `trouble`, with the command's own words.
    """
    if os.geteuid() != 0:
        if not shutil.which("sudo", path=WHERE):
            raise trouble(f"only root may do that, and sudo isn't here; as root: {shlex.join(words)}")
        words = ["sudo", *words]
    done = subprocess.run(  # noqa: S603 - a list of words, no shell
        words,
        stdin=sys.stdin if sys.stdin.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PATH": WHERE, "LC_ALL": "C"},
    )
    if done.returncode:
        raise trouble(_advice(done.stderr.strip()) or f"{words[0]} ended with {done.returncode}")


ADVICE = {
    "unknown filesystem type": "this kernel has no NFS client",
    "No such device": "this kernel has no NFS client; try: modprobe nfs",
    "Operation not permitted": "the system forbids it; containers seldom may mount",
    "must be superuser": "the system forbids it; containers seldom may mount",
    "is busy": "somebody works in it: see fuser -vm DIR; --force takes it away all the same",
}
"""What the system's words mean, where they don't say it."""


def _advice(said: str) -> str:
    more = [advice for words, advice in ADVICE.items() if words in said]
    return "; ".join([said, *more]) if said else ""
