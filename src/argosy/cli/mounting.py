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
from argosy.cli import grammar, passwords
from argosy.cli.ask import ask_gateway
from argosy.cli.gateway import address_of, found, settings_of, state_of
from argosy.errors import BadArgument, Exists, Failed, NotADirectory, NotFound, Refused, Unsupported
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


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    word = grammar.word(to, "mount", mount)
    word.add_argument(
        "site", metavar="URL", help="ftp://USER@HOST[:PORT]/PATH, or a site's name in the config"
    )
    word.add_argument("directory", metavar="DIR", help="where it shall be")
    word.add_argument("--password-file", default="", metavar="FILE", help="the password is its first line")
    word.add_argument("--keep", action="store_true", help="put the password into the keyring")
    word.add_argument("--read-only", action="store_true", help="let nothing be changed by this mount")
    word.add_argument(
        "-o",
        dest="options",
        action="append",
        default=[],
        metavar="OPTIONS",
        help="more of mount's, see nfs(5)",
    )
    word.add_argument("--print", action="store_true", help="show the command that mounts, don't run it")
    away = grammar.word(to, "umount", umount)
    away.add_argument("directory", metavar="DIR", help="where the site is")
    away.add_argument("--force", action="store_true", help="even if it is in use, or the gateway is away")
    for made in (word, away):
        grammar.gateway_config(made)


class NotMounted(Failed):
    """Not mounted."""


class StillMounted(Failed):
    """Still mounted."""


class NotRoot(Failed):
    """Left to root."""


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
    document = asyncio.run(found(settings, arguments.config))  # before anybody is asked for a password
    if arguments.config and document.get("config") != state_of(arguments.config):
        print(
            f"argosy: a gateway runs already, which has read {document.get('config') or 'no config'};"
            f" {arguments.config} counts when it is started anew",
            file=sys.stderr,
        )
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
    try:
        _as_root(words, NotMounted)
    except NotMounted:
        _release(settings, arguments.config, document["export"])  # or the gateway would keep the password
        raise
    if arguments.json:
        print(json.dumps({"directory": str(directory), "site": wanted.shown, "nfs": document["nfs"]}))
    else:
        print(
            f"{wanted.shown} is at {directory}; to take it away: argosy umount {shlex.quote(str(directory))}"
        )
    return 0


def umount(arguments: argparse.Namespace) -> int:
    """Take a site's directory away; the gateway forgets its password when all that was written is sent."""
    directory = Path(arguments.directory).absolute()
    there = mounted(MOUNTS.read_text())
    one = there.get(str(directory)) or there.get(os.path.realpath(directory))
    if one is None:
        raise NotFound(f"nothing is mounted at {directory}")
    if not one.kind.startswith("nfs"):
        raise BadArgument(f"{directory} is no site of ours, but {one.kind}")
    settings = settings_of(arguments)
    ours = one.address == asyncio.run(address_of(settings, arguments.config))
    if ours and not arguments.force:
        try:
            asyncio.run(found(settings, arguments.config))  # what programs have written gets away only by it
        except Refused:
            ours = False
    _as_root(["umount", *(["-f", "-l"] if arguments.force else []), str(directory)], StillMounted)
    told: dict[str, Any] = {"fate": "unknown", "site": "", "unsent": []}
    if ours and arguments.force:
        told["fate"] = "forced"
    elif ours:
        told = _release(settings, arguments.config, one.export)
    if arguments.json:
        print(json.dumps({"directory": str(directory), **told}))
    elif why := KEPT.get(told["fate"]):
        print(why.format(site=told["site"], unsent=", ".join(told["unsent"])))
    return 0


KEPT = {
    "unsent": "not sent to {site} yet: {unsent}; the gateway forgets the password when it is",
    "mounted": "the gateway keeps the password: {site} is mounted elsewhere, too",
    "shared": "the gateway keeps the password, for other machines; else: argosy sites forget {site}",
    "forced": "the gateway keeps the password, for who may work there still; see: argosy sites",
}
"""Why a password isn't forgotten at once."""


def _release(settings: config.Gateway, file: str, export: str) -> dict[str, Any]:
    """Tell the gateway that nobody has an export mounted any more; give what becomes of it."""
    question = link.AskRelease(os.fsencode(export), exports_of_ours(settings, file))
    try:
        document = asyncio.run(ask_gateway(Path(settings.state.directory), question))
    except Refused:
        return {"fate": "unknown", "site": "", "unsent": []}
    told: dict[str, Any] = document["mounts"][0]
    return told


def exports_of_ours(settings: config.Gateway, file: str) -> tuple[bytes, ...]:
    """Give what this machine has mounted of our gateway."""
    ours = asyncio.run(address_of(settings, file))
    there = mounted(MOUNTS.read_text()).values()
    return tuple(os.fsencode(one.export) for one in there if one.address == ours)


@dataclass(frozen=True, slots=True)
class There:
    """What is mounted at a directory."""

    kind: str
    """Of file system."""
    export: str
    """What stands behind the server's name, of NFS."""
    address: str
    """The server's, of NFS."""


def mounted(mountinfo: str) -> dict[str, There]:
    r"""Give what is mounted by directory, the last one there. proc(5).

    >>> line = "36 35 0:49 / /mnt/a\\040b rw - nfs 127.0.0.1:/x rw,vers=3,port=2049,addr=127.0.0.1"
    >>> mounted(line)
    {'/mnt/a b': There(kind='nfs', export='/x', address='127.0.0.1:2049')}
    """
    there = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, source, options = map(_unescaped, after.split(" ")[:3])
        named = dict(option.partition("=")[::2] for option in options.split(","))
        server = named.get("addr", "")
        export = source.partition("]:" if source.startswith("[") else ":")[2]
        address = config.join_address(server, int(named.get("port", "0"))) if server else ""
        there[_unescaped(before.split(" ")[4])] = There(kind, export, address)
    return there


def _unescaped(field: str) -> str:
    plain = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
    return plain.encode("latin-1", "replace").decode(errors="surrogateescape")


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
        NotRoot: There is no sudo. What the command needs is left for who runs it as root.
        Failed: As `trouble`, with the command's own words.
    """
    if os.geteuid() != 0:
        if not shutil.which("sudo", path=WHERE):
            raise NotRoot(f"sudo isn't here; as root: {shlex.join(words)}")
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
    "busy": "somebody works in it: see fuser -vm DIR; --force takes it away all the same",
}
"""What the system's words mean, where they don't say it."""


def _advice(said: str) -> str:
    more = [advice for words, advice in ADVICE.items() if words in said]
    return "; ".join([said, *more]) if said else ""
