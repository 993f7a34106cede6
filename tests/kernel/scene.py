"""What the tests play on: a site of FTP, a gateway, and mounts in the guest."""

from __future__ import annotations

import itertools
import re
import sysconfig
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gateways import Gateway
from kernel.guest import HOST, Guest
from servers import FOLDER, Server

TREE_FILES = 2000
"""A few thousand files are wanted; Python has more."""
FILE_BYTES = 64 * 1024
OPTIONS = "vers=3,tcp,port={port},mountport={port},nolock"
"""Of the mount line, as it was typed from the beginning."""
UNMOUNT_SECONDS = 60.0
ARRIVE_SECONDS = 30.0

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Scene:
    """A guest, a gateway that runs, and a site."""

    guest: Guest
    gateway: Gateway
    site: Server

    @property
    def root(self) -> Path:
        """Where the site keeps the files that one sees below `mounted`."""
        assert self.site.root is not None
        return self.site.root / FOLDER.lstrip("/")

    def export(self, folder: str = FOLDER, *, user: str = "", password: str = "") -> str:
        """Write the site as an URL for the mount line."""
        user, password = user or self.site.user, password or self.site.password
        return f"ftp://{quote(user)}:{quote(password)}@{self.site.host}:{self.site.port}{folder}"

    def mounted(self, export: str = "", options: str = OPTIONS) -> AbstractContextManager[str]:
        """Mount in the guest; give where, for the length of the block."""
        return mounted(self.guest, self.gateway.port, export or self.export(), options)

    def arrived(self, name: str) -> Path:
        """Wait until the site has a file, and give where."""
        until = time.monotonic() + ARRIVE_SECONDS
        while not (self.root / name).exists():
            assert time.monotonic() < until, f"{name} doesn't arrive"
            time.sleep(0.1)
        return self.root / name

    def commands(self, pattern: str) -> list[str]:
        """Give the commands that the site's log has, by a pattern."""
        assert self.site.root is not None
        log = (self.site.root.parent / "commands.log").read_text(errors="replace")
        return re.findall(pattern, log)


@contextmanager
def mounted(guest: Guest, port: int, export: str, options: str = OPTIONS) -> Iterator[str]:
    """Mount in the guest; give where, for the length of the block."""
    where = f"/mnt/{next(_numbers)}"
    guest.do(f"mkdir -p {where}; mount -t nfs -o {options.format(port=port)} '{HOST}:{export}' {where}")
    try:
        yield where
    finally:
        guest.run(f"umount {where} || umount -f -l {where}", seconds=UNMOUNT_SECONDS)


@contextmanager
def gateway_for(directory: Path, *sites: Server, **remote: object) -> Iterator[Gateway]:
    """Run a gateway that trusts the certificates of some sites; more is for the `remote` of its config."""
    directory.mkdir()
    trusted = directory / "authorities.pem"
    trusted.write_text("".join(site.authority.read_text() for site in sites))
    gateway = Gateway(directory, {"remote": {"trust_file": str(trusted), **remote}})
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def real_tree(directory: Path) -> Path:
    """Copy a few thousand real files, none of them large, and give the directory they are in."""
    source, target = Path(sysconfig.get_paths()["stdlib"]), directory / "tree"
    found = (path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink())
    small = (
        path for path in found if path.stat().st_size <= FILE_BYTES and "site-packages" not in path.parts
    )
    for path in itertools.islice(small, TREE_FILES):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return target


def contents(directory: Path) -> dict[str, bytes]:
    """Give all files below a directory, by path."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
