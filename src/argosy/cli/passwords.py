"""Passwords, from where nobody else reads along: a file, a prompt, the keyring, netrc. Never from words."""

from __future__ import annotations

import getpass
import netrc
import os
import shutil
import subprocess
import sys
from pathlib import Path

from argosy.errors import BadArgument

KEYRING = "secret-tool"
"""The program of libsecret, which asks the desktop's keyring: GNOME's, KDE's, KeePassXC's."""

KEYRING_SECONDS = 60.0
"""How long the keyring may take: it may ask a person to unlock it."""


def of_file(name: str) -> str:
    """Give a file's first line.

    Raises:
        BadArgument: It can't be read.
    """
    try:
        lines = Path(name).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadArgument(f"{name}: {getattr(error, 'strerror', 'not text')}") from error
    return lines[0] if lines else ""


def asked(prompt: str) -> str:
    """Ask the person at the terminal; without one, read a line of stdin.

    Raises:
        BadArgument: Neither gives one.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise BadArgument("no password was given")
        return line.rstrip("\r\n")
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise BadArgument("no password was given") from None


def of_netrc(host: str, user: str) -> tuple[str, str] | None:
    """Give name and password that `$NETRC`, else `~/.netrc`, has for a machine.

    Args:
        host: The machine, as it stands in the URL.
        user: Whose password; empty: of whom the file names.

    Raises:
        BadArgument: The file is there, and makes no sense, or others may read it.
    """
    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        found = netrc.netrc(str(file)).authenticators(host)
        secret = not file.stat().st_mode & 0o077
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        raise BadArgument(f"{file}: {error}") from error
    if found is None or not found[0] or not found[2] or user not in ("", found[0]):
        return None
    if not secret and found[0] != "anonymous":
        raise BadArgument(f"{file} can be read by others: chmod 600 {file}")
    return found[0], found[2]


def of_keyring(host: str, port: int, user: str) -> str | None:
    """Give the password that the desktop's keyring has, under the words that file managers use, too."""
    program = shutil.which(KEYRING)
    if program is None:
        return None
    words = ["protocol", "ftp", "server", host, "user", user]
    for more in (["port", str(port)], []):
        done = _keyring([program, "lookup", *words, *more])
        if done is not None and done.returncode == 0 and done.stdout:
            return done.stdout.removesuffix("\n")
    return None


def keep_in_keyring(host: str, port: int, user: str, password: str) -> None:
    """Put a password into the keyring; it goes there by a pipe.

    Raises:
        BadArgument: There is no keyring, or it takes none.
    """
    program = shutil.which(KEYRING)
    if program is None:
        raise BadArgument(f"no keyring: {KEYRING} isn't here (Debian's package is libsecret-tools)")
    words = ["protocol", "ftp", "server", host, "user", user, "port", str(port)]
    done = _keyring([program, "store", f"--label=ftp://{user}@{host}:{port}", *words], password)
    if done is None or done.returncode:
        said = done.stderr.strip() if done else "no answer in time"
        raise BadArgument(f"the keyring took no password: {said}")


def _keyring(words: list[str], said: str = "") -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(  # noqa: S603 - a list of words, no shell
            words, input=said, capture_output=True, text=True, timeout=KEYRING_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None
