"""Accounts for the peers, which log in the users of the system: in a copy of /etc that only we see.

It lies over /etc in a mount namespace of our own, so nothing of the machine's is touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

PASSWORD = "secret"


def prepare(directory: Path) -> None:
    """Put a copy of /etc over it. Wants root, and a mount namespace of our own."""
    copy = directory / "etc"
    shutil.copytree("/etc", copy, symlinks=True)
    subprocess.run(["mount", "--bind", str(copy), "/etc"], check=True)


def add(name: str, home: Path) -> tuple[str, str]:
    """Make an account whose home this is, or give it this home; tell its name and password."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--no-create-home", "--no-user-group", "--shell", "/bin/sh"]
    else:
        command = ["usermod"]
    subprocess.run([*command, "--home", str(home), name], check=True, capture_output=True)
    # By the machine's own way of hashing, as passwd(1) would.
    subprocess.run(["chpasswd"], input=f"{name}:{PASSWORD}\n".encode(), check=True, capture_output=True)
    home.mkdir(parents=True, exist_ok=True)
    for one in (home, *home.rglob("*")):
        os.chown(one, pwd.getpwnam(name).pw_uid, -1)
    return name, PASSWORD
