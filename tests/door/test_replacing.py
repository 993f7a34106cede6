"""A disk dies and another one takes its place; a node goes for good."""

from __future__ import annotations

import ftplib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from door.test_backup import login, put, tree, words
from running import Settings, Site

TWICE: Settings = {
    "sections.all": {"path": "/", "copies": 2, "repair_delay_seconds": 1.0},
    "repair": {"audit_seconds": 5.0, "retry_first_seconds": 0.5, "retry_most_seconds": 2.0},
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(tmp_path / "site", "--nodes", "3", settings=TWICE)
    one.start()
    try:
        with login(one) as ftp:
            for number in range(40):
                put(ftp, f"/f{number}", f"content {number}".encode())
        yield one
    finally:
        one.stop()


def whole(site: Site) -> bool:
    status = site.status()
    return not status["copies"]["lacking"] and not status["copies"]["batches"] and not status["damaged"]


def volume(site: Site, name: str) -> str:
    (one,) = site.node(name)["volumes"]
    store_id: str = one["store_id"]
    return store_id


def test_a_disk_that_goes_below_a_running_node_is_told_and_its_copies_are_made_elsewhere(site: Site) -> None:
    site.wait_for("two copies of each file", lambda: whole(site), 60)
    before, store_id = tree(site), volume(site, "n2")
    root = site.directory / "nodes/n2"
    gone = root.rename(root.with_name("gone"))

    def state() -> str:
        (one,) = site.node("n2")["volumes"]
        told: str = one["state"]
        return told

    def online(path: str) -> list[str]:
        return [one["node"] for one in site.argosy("why", path)["replicas"] if one["online"]]

    site.wait_for("its volume to be away", lambda: state() == "away", 60)
    assert f"missing:{store_id}" in {one["topic"] for one in site.argosy("matters")["matters"]}
    site.wait_for("copies elsewhere", lambda: whole(site) and sorted(online("/f0")) == ["n1", "n3"], 90)
    assert tree(site) == before

    gone.rename(root)
    site.wait_for("its volume to be back", lambda: state() == "merged", 60)
    assert f"missing:{store_id}" not in {one["topic"] for one in site.argosy("matters")["matters"]}
    assert tree(site) == before


def test_a_dead_disk_is_replaced_step_by_step(site: Site) -> None:
    site.wait_for("two copies of each file", lambda: whole(site), 60)
    before, old = tree(site), volume(site, "n2")
    root = site.directory / "nodes/n2"
    shutil.rmtree(root)  # the disk dies
    site.kill("n2")
    site.wait_for("n2 to be away", lambda: site.node("n2")["state"] == "away")
    assert tree(site) == before

    prepared = words("node", "prepare", str(root))  # the new disk, mounted there
    assert prepared.returncode == 0, prepared.stderr
    site.wait_for("n2 to be back", lambda: site.node("n2")["state"] == "ready", 90)
    states = {one["store_id"]: one["state"] for one in site.node("n2")["volumes"]}
    assert states.pop(old) == "lost"
    assert list(states) == [prepared.stdout.split()[0]]
    (matter,) = [one for one in site.argosy("matters")["matters"] if one["topic"] == f"lost:{old}"]
    assert f"argosy nodes strike {old}" in matter["sentence"]
    site.wait_for("two copies of each file again", lambda: whole(site), 60)

    struck = site.argosy("nodes", "strike", old[:10])
    assert (struck["struck"], struck["lost"]) == (True, 0)
    assert [one["store_id"] for one in site.node("n2")["volumes"]] == [prepared.stdout.split()[0]]
    assert not [one for one in site.argosy("matters")["matters"] if one["topic"] == f"lost:{old}"]
    assert tree(site) == before


def test_a_file_whose_only_disk_was_replaced_is_refused_for_good_and_while_it_is_away_for_now(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path / "site", "--nodes", "1")
    site.start()
    try:
        with login(site) as ftp:
            put(ftp, "/f", b"content")
            root = site.directory / "nodes/n1"
            root.rename(tmp_path / "the dead disk")
            site.kill("n1")
            site.wait_for("n1 to be away", lambda: site.node("n1")["state"] == "away")
            with pytest.raises(ftplib.error_temp, match=r"^450"):
                ftp.retrbinary("RETR f", bytes)
            assert words("node", "prepare", str(root)).returncode == 0
            site.wait_for("n1 to be back", lambda: site.node("n1")["state"] == "ready", 90)
            with pytest.raises(ftplib.error_perm, match=r"^550 No good copy is left: .*disk that is lost"):
                ftp.retrbinary("RETR f", bytes)
    finally:
        site.stop()


def test_what_only_a_lost_volume_has_goes_only_when_that_is_accepted(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "1")
    site.start()
    guest = site.join("guest", tmp_path / "guest")
    try:
        (tmp_path / "guest/files/only there").write_bytes(b"by hand")
        site.argosy("nodes", "remerge", "guest")
        site.wait_for("it is listed", lambda: site.status()["files"] == 1)
        store_id = volume(site, "guest")
        here = words("nodes", "strike", store_id, "--dir", str(site.directory))
        assert (here.returncode, "is here, on guest; stop it first" in here.stderr) == (1, True)
        guest.send_signal(signal.SIGTERM)
        guest.wait(30)
        site.wait_for("the guest to be away", lambda: site.node("guest")["state"] == "away")
        said = words("nodes", "forget", "guest", "--dir", str(site.directory))
        assert said.returncode == 1
        assert "1 file" in said.stdout
        assert "/only there" in said.stdout
        assert site.status()["files"] == 1
        gone = site.argosy("nodes", "forget", "guest", "--accept-losses")
        assert gone["lost_paths"] == ["/only there"]
        assert site.status()["files"] == 0
        assert [node["name"] for node in site.argosy("nodes")["nodes"]] == ["n1"]
        unknown = words("nodes", "forget", "guest", "--dir", str(site.directory))
        assert (unknown.returncode, "no node is called guest" in unknown.stderr) == (1, True)
    finally:
        site.stop()


def test_a_volume_that_was_struck_and_comes_back_is_new_here(site: Site, tmp_path: Path) -> None:
    guest = site.join("guest", tmp_path / "guest")
    (tmp_path / "guest/files/old").write_bytes(b"by hand")
    site.argosy("nodes", "remerge", "guest")
    site.wait_for("it is listed", lambda: site.status()["files"] == 41)
    site.wait_for("two copies of each file", lambda: whole(site), 60)
    guest.send_signal(signal.SIGTERM)
    guest.wait(30)
    site.wait_for("the guest to be away", lambda: site.node("guest")["state"] == "away")
    site.wait_for("two copies without it", lambda: whole(site), 60)
    before = tree(site)
    assert site.argosy("nodes", "forget", "guest")["struck"]
    home = tmp_path / "guest"
    shutil.rmtree(home / "site")
    site.join("guest", home)
    site.wait_for("its files to be known again", lambda: whole(site), 60)
    assert tree(site) == before
    assert site.status()["conflicts"] == 0
