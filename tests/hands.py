"""A site's user and its administrator, for tests of what becomes of files: uploads, disks, words said."""

from __future__ import annotations

import ftplib
import io
import subprocess

from running import ARGOSY, PASSWORD, USER, Site


def client(site: Site) -> ftplib.FTP:
    ftp = ftplib.FTP()
    ftp.connect(site.host, site.port, timeout=30)
    ftp.login(USER, PASSWORD)
    return ftp


def upload(site: Site, files: dict[str, bytes]) -> None:
    with client(site) as ftp:
        for name, content in files.items():
            ftp.storbinary(f"STOR /{name}", io.BytesIO(content))


def read(site: Site, name: str) -> bytes:
    found = io.BytesIO()
    with client(site) as ftp:
        ftp.retrbinary(f"RETR /{name}", found.write)
    return found.getvalue()


def on_disk(site: Site, node: str) -> set[str]:
    """Name the files that lie on a node's disk, but for its trash."""
    return {path.name for path in (site.directory / "nodes" / node).iterdir() if path.is_file()}


def begin(site: Site, *words: str) -> subprocess.Popen[str]:
    """Begin a word as somebody at a terminal would."""
    command = [*ARGOSY, *words, "--dir", str(site.directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
