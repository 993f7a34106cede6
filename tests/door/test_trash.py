"""Somebody deletes and overwrites by real clients, and the administrator brings it back on a running site."""

from __future__ import annotations

import ftplib
import io
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hands import client
from running import PASSWORD, USER, Site, missing, needs

FIRST, SECOND = os.urandom(70_000), os.urandom(50_000)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site", "--nodes", "2")
    site.start()
    try:
        site.argosy("rule", "set", "/", "--trash-days", "1")
        yield site
    finally:
        site.stop()


def read(ftp: ftplib.FTP, path: str) -> bytes:
    found = bytearray()
    ftp.retrbinary(f"RETR {path}", found.extend)
    return bytes(found)


def on_disks(site: Site, name: str) -> list[bytes]:
    roots = sorted((site.directory / "nodes").iterdir())
    return [(root / name).read_bytes() for root in roots if (root / name).is_file()]


def test_what_was_overwritten_and_deleted_comes_back(site: Site) -> None:
    with client(site) as ftp:
        ftp.mkd("/d")
        ftp.storbinary("STOR /d/f", io.BytesIO(FIRST))
        ftp.storbinary("STOR /d/f", io.BytesIO(SECOND))
        assert read(ftp, "/d/f") == SECOND
        site.wait_for("the new content in its place", lambda: on_disks(site, "d/f") == [SECOND])
        ftp.delete("/d/f")
        assert ftp.nlst("/d") == []
        with pytest.raises(ftplib.error_perm, match="550"):
            ftp.size("/d/f")
        ftp.rmd("/d")
        listed = site.argosy("trash", "list")["files"]
        assert [(one["path"], one["size"], one["why"], one["by"]) for one in listed] == [
            ("/d/f", len(SECOND), "deleted", USER),
            ("/d/f", len(FIRST), "overwritten", USER),
        ]
        assert site.status()["trash"] == {"files": 2, "bytes": len(FIRST) + len(SECOND)}
        site.argosy("trash", "restore", "/d/f")
        assert read(ftp, "/d/f") == SECOND
        version = listed[1]["version"]
        site.argosy("trash", "restore", "/d/f", "--version", version, "--to", "/old")
        assert read(ftp, "/old") == FIRST
        site.wait_for("the old content in its place", lambda: on_disks(site, "old") == [FIRST])
        assert site.argosy("trash", "list")["files"] == []


def test_emptying_deletes_on_the_disks_for_good(site: Site) -> None:
    with client(site) as ftp:
        ftp.storbinary("STOR /f", io.BytesIO(FIRST))
        ftp.delete("/f")
    site.wait_for("the file in its place, where it stays", lambda: on_disks(site, "f") == [FIRST])
    assert site.argosy("trash", "empty", "--yes") == {"files": 1, "bytes": len(FIRST)}
    site.wait_for("the file to go", lambda: on_disks(site, "f") == [])
    for root in (site.directory / "nodes").iterdir():
        assert list((root / ".argosy" / "trash").iterdir()) == []  # no second time of grace


def test_a_name_that_is_taken_stays_with_its_file(site: Site) -> None:
    with client(site) as ftp:
        ftp.storbinary("STOR /f", io.BytesIO(FIRST))
        ftp.storbinary("STOR /f", io.BytesIO(SECOND))
        with pytest.raises(AssertionError, match="It exists already: /f"):
            site.argosy("trash", "restore", "/f")
        assert read(ftp, "/f") == SECOND


@pytest.mark.skipif(bool(missing("lftp")), reason=needs("lftp"))
def test_a_tree_that_lftp_has_removed_is_restored_as_it_was(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(30):
        path = tree / f"d{number % 3}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(100 + number))
    trust = "set ssl:verify-certificate no; set net:max-retries 1; set cmd:fail-exit yes"
    where = f'open -u "{USER},{PASSWORD}" ftp://{site.host}:{site.port}'

    def lftp(commands: str) -> None:
        subprocess.run(["lftp", "-c", f"{trust}; {where}; {commands}"], check=True, timeout=120)

    lftp(f"mirror -R {tree} /tree")
    lftp("rm -r /tree")
    assert len(site.argosy("trash", "list", "/tree")["files"]) == 30
    assert len(site.argosy("trash", "restore", "/tree")["restored"]) == 30
    lftp(f"mirror /tree {tmp_path / 'back'}")
    for path in tree.rglob("file *"):
        assert (tmp_path / "back" / path.relative_to(tree)).read_bytes() == path.read_bytes()


def test_a_master_killed_at_any_moment_leaves_each_content_in_one_place(site: Site) -> None:
    """Overwrites and deletions run while the master is killed: nothing acknowledged is lost or doubled."""
    contents = {b"%d" % number: b"%06d" % number * 50 for number in range(400)}
    said: list[bytes] = []

    def churn() -> None:
        try:
            with client(site) as ftp:
                for name, content in contents.items():
                    ftp.storbinary("STOR /same", io.BytesIO(content))
                    said.append(name)
                    if len(said) % 3 == 0:
                        ftp.delete("/same")
        except ftplib.all_errors:
            pass  # the master was killed

    worker = threading.Thread(target=churn)
    worker.start()
    deadline = time.monotonic() + 60
    while len(said) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    site.kill("master")
    worker.join(60)
    site.wait_until_ready()
    trashed = site.argosy("trash", "list", "/same")["files"]
    with client(site) as ftp:
        live = [read(ftp, "/same")] if ftp.nlst("/") == ["/same"] or "same" in ftp.nlst("/") else []
        found = list(live)
        for number, one in enumerate(trashed):
            site.argosy("trash", "restore", "/same", "--version", one["version"], "--to", f"/{number}")
            found.append(read(ftp, f"/{number}"))
    assert len(set(found)) == len(found)
    assert {contents[name] for name in said} <= set(found)
    assert len(found) <= len(said) + 1  # the one that was under way may be there or not
