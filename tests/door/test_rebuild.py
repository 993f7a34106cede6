"""The master's disk is lost with all that was on it, and the nodes know enough for another."""

from __future__ import annotations

import ftplib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from door.test_backup import login, put, tree, words
from running import ARGOSY, PASSWORD, USER, Site

TWICE = {"sections.all": {"path": "/", "copies": 2}}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(tmp_path / "site", "--nodes", "3", settings=TWICE)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def work(ftp: ftplib.FTP) -> None:
    """Fill a site, and change much of what was filled in."""
    for directory in ("/a", "/a/b", "/c"):
        ftp.mkd(directory)
    for number in range(60):
        put(ftp, f"/a/f{number}", f"first {number}".encode() * (number + 1))
    put(ftp, "/a/b/large", os.urandom(3_000_000))
    put(ftp, "/a/b/\xe4 name with blanks", b"x")
    for number in range(0, 60, 3):
        put(ftp, f"/a/f{number}", f"second {number}".encode() * (number + 2))
    for number in range(1, 60, 6):
        ftp.rename(f"/a/f{number}", f"/c/renamed {number}")
    put(ftp, "/a/f1", b"another file under a name that was left")
    for number in range(2, 60, 6):
        ftp.delete(f"/a/f{number}")
    ftp.rename("/a/b", "/c/moved")
    ftp.voidcmd("MFMT 20200102030405 /c/moved/large")


def settled(site: Site) -> bool:
    status = site.status()
    return not status["tombstones"] and not status["copies"]["lacking"] and not status["copies"]["batches"]


def facts(site: Site) -> dict[str, tuple[str, str]]:
    """Give size and time of each file below the directories."""
    found = {}
    with login(site) as ftp:
        for directory in ("/a", "/c", "/c/moved"):
            for name, one in ftp.mlsd(directory, ["size", "modify", "type"]):
                if one["type"] == "file":
                    found[f"{directory}/{name}"] = (one["size"], one["modify"])
    return found


def copies(site: Site) -> dict[str, int]:
    return {
        node["name"]: sum(volume["files"] for volume in node["volumes"])
        for node in site.argosy("nodes")["nodes"]
    }


def test_the_whole_tree_comes_back_from_the_nodes(site: Site) -> None:
    with login(site) as ftp:
        work(ftp)
    (site.directory / "nodes/n1/by hand").mkdir()
    for number in range(20):
        (site.directory / f"nodes/n1/by hand/{number}").write_bytes(b"by hand %d" % number)
    site.argosy("nodes", "remerge", "n1")
    site.wait_for("two copies of each file", lambda: settled(site), 60)
    before, times, held = tree(site), facts(site), copies(site)
    assert "/by hand/7" in before
    assert sum(held.values()) == 2 * len(before)
    site.stop()
    for lost in ("catalogue", "keys", "config", "run"):
        shutil.rmtree(site.directory / lost)
    rebuilt = words("rebuild", "--dir", str(site.directory), "--port", "0", "--link-port", "0", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr + site.logs()
    document = json.loads(rebuilt.stdout)
    assert (document["files"], document["copies"]) == (len(before), 2 * len(before))
    assert (document["conflicts"], document["damaged"], document["late"]) == (0, 0, [])
    assert document["lost"]
    site.start()
    site.wait_until_ready()
    site.wait_for("what came by hand to be compared", lambda: site.status()["suspects"] == 0)
    assert site.status()["conflicts"] == 0
    assert tree(site) == before
    assert facts(site) == times
    assert copies(site) == held
    with login(site) as ftp:  # and it goes on
        put(ftp, "/a/f1", b"once more")
        ftp.rename("/c/moved/large", "/large")
    assert len(tree(site)) == len(before)


def test_a_node_elsewhere_goes_on_with_the_new_master(site: Site, tmp_path: Path) -> None:
    guest = site.join("guest", tmp_path / "guest")
    with login(site) as ftp:
        work(ftp)
    site.wait_for("two copies of each file", lambda: settled(site), 60)
    before, held = tree(site), copies(site)
    assert held["guest"]
    guest.terminate()
    guest.wait(30)
    site.stop()
    for lost in ("catalogue", "keys", "config"):
        shutil.rmtree(site.directory / lost)
    rebuilt = words("rebuild", "--dir", str(site.directory), "--port", "0", "--link-port", "0")
    assert rebuilt.returncode == 0, rebuilt.stderr + site.logs()
    assert "argosy node rejoin" in rebuilt.stdout
    site.start()
    token = site.argosy("token")
    home = tmp_path / "guest" / "site"
    said = words("node", "join", token["link"], "--token", token["token"], "--name", "guest2",
                 "--root", str(tmp_path / "guest" / "files"), "--dir", str(home))  # fmt: skip
    assert (said.returncode, "argosy node rejoin" in said.stderr) == (1, True)
    said = words(
        "node", "rejoin", token["link"], "--token", token["token"], "--name", "guest", "--dir", str(home)
    )
    assert said.returncode == 0, said.stderr
    command = [*ARGOSY, "node", "--config", str(home / "config/guest.toml")]
    with (tmp_path / "guest" / "log").open("a") as log:
        guest = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        site.wait_for("the guest to be ready", lambda: site.node("guest")["state"] == "ready")
        assert tree(site) == before
        assert copies(site)["guest"] == held["guest"]
    finally:
        guest.terminate()
        guest.wait(30)


def test_an_upload_that_was_acknowledged_and_not_yet_in_its_place_is_kept(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "1")
    site.start()
    try:
        with login(site) as ftp:
            put(ftp, "/there", b"there")
        site.wait_for("it is in its place", (site.directory / "nodes/n1/there").exists)
    finally:
        site.stop()
    # As a kill leaves it between the seal and the order to put it in place.
    script = (
        "import os, sys; from argosy.node.disk.volume import Volume\n"
        "volume = Volume.open(sys.argv[1], trash_seconds=0)\n"
        "number = 1 << 60; at = volume.receive(number, 0, None, flush=True)\n"
        "os.write(at, b'acknowledged'); volume.seal(number, at, flush=True, crc32=None, digest=None)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(site.directory / "nodes/n1")], check=True)
    shutil.rmtree(site.directory / "catalogue")
    rebuilt = words("rebuild", "--dir", str(site.directory), "--user", f"{USER}:{PASSWORD}", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    (kept,) = json.loads(rebuilt.stdout)["conflict_paths"]
    site.start()
    try:
        site.wait_until_ready()
        with login(site) as ftp:
            content = io.BytesIO()
            ftp.retrbinary(f"RETR {kept}", content.write)
        assert content.getvalue() == b"acknowledged"
    finally:
        site.stop()


def test_a_catalogue_that_is_there_is_not_replaced_by_mistake(site: Site) -> None:
    site.stop()
    refused = words("rebuild", "--dir", str(site.directory))
    assert (refused.returncode, "is it really lost?" in refused.stderr) == (1, True)
    (site.directory / "nodes/n2/.argosy/volume.id").unlink()
    refused = words("rebuild", "--dir", str(site.directory), "--replace")
    assert (refused.returncode, "mount its disk" in refused.stderr) == (1, True)
    assert (site.directory / "catalogue/argosy.db").exists()


def test_what_was_deleted_into_the_trash_is_a_file_again_and_what_was_overwritten_lies_on_the_disks(
    tmp_path: Path,
) -> None:
    keeping = {"sections.all": {"path": "/", "copies": 2, "trash_days": 5.0}}
    site = Site(tmp_path / "site", "--nodes", "2", settings=keeping)
    site.start()
    try:
        with login(site) as ftp:
            for name in ("/kept", "/deleted", "/over"):
                put(ftp, name, f"first {name}".encode())
            site.wait_for("two copies of each file", lambda: settled(site), 60)
            put(ftp, "/over", b"second")
            ftp.delete("/deleted")
        site.wait_for("two copies of each file", lambda: settled(site), 60)
        before = tree(site)
        assert site.status()["trash"]["files"] == 2
        site.stop()
        for lost in ("catalogue", "keys", "config", "run"):
            shutil.rmtree(site.directory / lost)
        rebuilt = words("rebuild", "--dir", str(site.directory), "--port", "0", "--link-port", "0", "--json")
        assert rebuilt.returncode == 0, rebuilt.stderr + site.logs()
        document = json.loads(rebuilt.stdout)
        assert any(".argosy/trash" in sentence for sentence in document["lost"])
        assert (document["files"], document["conflicts"]) == (3, 0)
        site.start()
        site.wait_until_ready()
        after = tree(site)
        assert after.pop("/deleted")
        assert after == before
        site.wait_for("the older content to go", lambda: not site.status()["tombstones"], 60)
        trashed = [at for at in (site.directory / "nodes").glob("*/.argosy/trash/**/*") if at.is_file()]
        assert {at.read_bytes() for at in trashed} == {b"first /over"}
    finally:
        site.stop()
