"""A site's user and its administrator, for tests of what becomes of files: uploads, disks, words said."""

from __future__ import annotations

import ftplib
import io

from running import PASSWORD, USER, Site


def client(site: Site) -> ftplib.FTP:
    ftp = ftplib.FTP()
    try:
        ftp.connect(site.host, site.port, timeout=30)
        ftp.login(USER, PASSWORD)
    except BaseException:
        ftp.close()
        raise
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
