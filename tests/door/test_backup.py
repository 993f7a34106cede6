"""A master that is lost is put back from its backup, or made anew from the nodes."""

from __future__ import annotations

import contextlib
import ftplib
import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import ARGOSY, PASSWORD, USER, Site


@contextlib.contextmanager
def login(site: Site) -> Iterator[ftplib.FTP]:
    with ftplib.FTP(timeout=30) as ftp:
        ftp.connect(site.host, site.port)
        ftp.login(USER, PASSWORD)
        yield ftp


def put(ftp: ftplib.FTP, path: str, content: bytes) -> None:
    ftp.storbinary(f"STOR {path}", io.BytesIO(content))


def tree(site: Site, top: str = "/") -> dict[str, str]:
    """Give the checksum of each file of a site, read by a client."""
    found: dict[str, str] = {}

    def walk(ftp: ftplib.FTP, directory: str) -> None:
        for name, facts in list(ftp.mlsd(directory)):
            path = f"{directory.rstrip('/')}/{name}"
            if facts["type"] == "dir":
                walk(ftp, path)
            elif facts["type"] == "file":
                content = io.BytesIO()
                ftp.retrbinary(f"RETR {path}", content.write)
                found[path] = hashlib.sha256(content.getvalue()).hexdigest()

    with login(site) as ftp:
        walk(ftp, top)
    return found


def words(*said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ARGOSY, *said], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(tmp_path / "site")
    one.start()
    try:
        yield one
    finally:
        one.stop()


def test_a_site_is_put_back_from_a_backup_that_was_made_while_it_ran(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "site.backup"
    with login(site) as ftp:
        ftp.mkd("/d")
        for name in ("keep", "over", "gone", "named"):
            put(ftp, f"/d/{name}", f"old {name}".encode())
        site.add_user("bob")
        said = site.argosy("backup", str(file))
        assert said["bytes"] == file.stat().st_size
        assert file.stat().st_mode & 0o777 == 0o600
        put(ftp, "/d/over", b"new over")
        put(ftp, "/d/fresh", b"fresh")
        ftp.rename("/d/named", "/d/renamed")
        ftp.delete("/d/gone")
        site.add_user("carol")
    before = tree(site)
    site.wait_for("the disks to follow", lambda: site.status()["tombstones"] == 0)

    there = words("restore", str(file), "--dir", str(site.directory))
    assert (there.returncode, "stop it first" in there.stderr) == (1, True)
    site.stop()
    there = words("restore", str(file), "--dir", str(site.directory))
    assert (there.returncode, "--replace" in there.stderr) == (1, True)
    shutil.rmtree(site.directory / "catalogue")
    shutil.rmtree(site.directory / "keys")
    restored = words("restore", str(file), "--dir", str(site.directory), "--json")
    assert restored.returncode == 0, restored.stderr
    site.start()
    site.wait_until_ready()

    status = site.status()
    assert status["damaged_paths"] == ["/d/gone"]  # it can't be told from a file that was lost
    with login(site) as ftp:
        ftp.delete("/d/gone")
    assert tree(site) == before
    names = {user["name"] for user in site.argosy("user", "list")["users"]}
    assert {"bob"} <= names
    assert "carol" not in names


def test_a_backup_of_a_stopped_site_is_the_same_site_elsewhere(site: Site, tmp_path: Path) -> None:
    with login(site) as ftp:
        put(ftp, "/f", b"content")
    site.stop()
    file = tmp_path / "site.backup"
    assert words("backup", str(file), "--dir", str(site.directory)).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    restored = words("restore", str(file), "--dir", str(elsewhere))
    assert restored.returncode == 0, restored.stderr
    assert "put back as of" in restored.stdout
    kept = {
        path.relative_to(site.directory): path.read_bytes() for path in (site.directory / "keys").iterdir()
    }
    assert {path: (elsewhere / path).read_bytes() for path in kept} == kept
    assert (elsewhere / "keys/authority.key").stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(elsewhere / "catalogue/argosy.db")) as db:
        assert db.execute("SELECT count(*) FROM ent WHERE name = x'66'").fetchone() == (1,)
    site.start()


def test_what_is_there_is_put_aside_only_when_told_so(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "site.backup"
    site.argosy("backup", str(file))
    with login(site) as ftp:
        put(ftp, "/later", b"later")
    site.stop()
    restored = words("restore", str(file), "--dir", str(site.directory), "--replace", "--json")
    assert restored.returncode == 0, restored.stderr
    (aside,) = [at for at in json.loads(restored.stdout)["aside"] if at.find("argosy.db.before-") > 0]
    with contextlib.closing(sqlite3.connect(aside)) as db:
        assert db.execute("SELECT count(*) FROM ent WHERE kind = 1").fetchone() == (1,)
    site.start()
    site.wait_until_ready()
    assert list(tree(site)) == ["/later"]


@pytest.mark.parametrize("damage", ["cut", "changed", "strange", "empty", "more"])
def test_a_damaged_backup_is_refused_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    site = Site(tmp_path / "site")
    site.start()
    file = tmp_path / "b"
    try:
        site.argosy("backup", str(file))
    finally:
        site.stop()
    whole = file.read_bytes()
    if damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        at = whole.index(b"SQLite format 3") + 40_000
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    elif damage == "strange":
        file.write_bytes(b"something else" * 1000)
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        with tarfile.open(file, "a") as archive:
            archive.add(__file__, "../../outside")
    target = tmp_path / "target"
    refused = words("restore", str(file), "--dir", str(target))
    assert refused.returncode == 1
    assert refused.stderr.startswith("argosy: That is no backup of a site") or "damaged" in refused.stderr
    assert not (target / "keys").exists()
    assert not (target / "catalogue/argosy.db").exists()
    assert not (tmp_path / "outside").exists()
