"""What an administrator and a client see of bytes that rotted on a disk."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from running import ARGOSY, Site
from talking import Talk

CONTENT = os.urandom(5_000)


def copies(site: Site, path: str) -> list[Path]:
    """Where a file lies, on whatever node."""
    nodes = site.directory / "nodes"
    return [at for at in (one / path.lstrip("/") for one in nodes.iterdir()) if at.is_file()]


def rot(site: Site, path: str) -> bytes:
    """Turn a bit over in the only copy of a file, as a failing disk does."""
    (file,) = copies(site, path)
    times, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return bytes(content)


def verify(site: Site, path: str) -> tuple[int, Any]:
    words = [*ARGOSY, "verify", path, "--dir", str(site.directory), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def found(site: Site, path: str) -> Any:
    (one,) = [one for one in site.argosy("findings")["findings"] if one["path"] == path]
    return one


def test_all_nodes_are_read_by_a_word_and_status_says_when(site: Site, place: str, talk: Talk) -> None:
    talk.store("f", CONTENT)
    told = site.argosy("scrub")
    assert told["done"]
    assert {one["node"] for one in told["volumes"]} == {"n1", "n2"}
    assert all(one["ended"] for one in site.status()["scrubs"])


def test_a_file_that_rotted_is_told_of_and_refused_until_it_is_uploaded_again(
    site: Site, place: str, talk: Talk
) -> None:
    talk.store("good", CONTENT)
    talk.store("bad", CONTENT)
    site.wait_for("placed", lambda: copies(site, f"{place}/bad") and copies(site, f"{place}/good"))
    code, told = verify(site, place)
    assert (code, told["good"], told["bad"], told["done"]) == (0, 2, 0, True)
    rot(site, f"{place}/bad")
    code, told = verify(site, place)
    assert (code, told["good"], told["bad"]) == (1, 1, 1)
    one = found(site, f"{place}/bad")
    assert (one["became"], one["trouble"]) == ("found", "")
    assert one["wanted"] != one["read"]
    assert f"{place}/bad" in site.status()["damaged_paths"]
    assert site.status()["findings"]["found"] >= 1
    assert talk.refused("RETR bad") == 550
    assert talk.retrieve("good") == CONTENT
    talk.store("bad", CONTENT)
    assert talk.retrieve("bad") == CONTENT
    site.wait_for("overtaken", lambda: found(site, f"{place}/bad")["became"] == "overtaken")
    assert verify(site, f"{place}/bad")[0] == 0


@pytest.mark.parametrize("size", [5_000, 500_000])
def test_a_section_may_send_what_is_left_of_a_damaged_file(site: Site, size: int) -> None:
    with Talk(site) as talk:
        talk.ask("MKD /attic")
        path = f"/attic/{size}"
        talk.store(path, os.urandom(size))
        site.wait_for("placed", lambda: copies(site, path))
        left = rot(site, path)
        assert verify(site, path)[0] == 1
        assert talk.retrieve(path) == left
        assert talk.ask(f"DELE {path}").code == 250


def test_what_is_not_there_can_not_be_verified(site: Site) -> None:
    words = [*ARGOSY, "verify", "/nowhere", "--dir", str(site.directory)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "argosy: No such file or directory: /nowhere\n")


def said(site: Site, *words: str) -> tuple[int, str]:
    """Run a command for people, and give its exit status and what it prints."""
    command = [*ARGOSY, *words, "--dir", str(site.directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_somebody_wrote_into_a_file_on_its_disk_is_not_told_as_rot(
    site: Site, place: str, talk: Talk
) -> None:
    talk.store("mine", CONTENT)
    site.wait_for("placed", lambda: copies(site, f"{place}/mine"))
    (file,) = copies(site, f"{place}/mine")
    file.write_bytes(CONTENT[::-1])
    code, told = verify(site, f"{place}/mine")
    assert (code, told["bad"], told["damaged"], told["rewritten"]) == (1, 0, 0, 1)
    assert "changed by hand on the disk" in said(site, "verify", f"{place}/mine")[1]
    assert not [one for one in site.argosy("findings")["findings"] if one["path"] == f"{place}/mine"]


def test_why_says_that_nobody_serves_a_damaged_file(site: Site, place: str, talk: Talk) -> None:
    talk.store("rotten", CONTENT)
    site.wait_for("placed", lambda: copies(site, f"{place}/rotten"))
    assert "reading:\n  chosen" in said(site, "why", f"{place}/rotten")[1]
    rot(site, f"{place}/rotten")
    assert verify(site, f"{place}/rotten")[0] == 1
    assert "reading: by nobody, for none of its copies is good" in said(site, "why", f"{place}/rotten")[1]


def test_a_disk_that_goes_away_ends_a_scrub_and_is_no_success_of_a_verify(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "1")
    try:
        site.start()
        with Talk(site) as talk:
            talk.store("f", CONTENT)
        mark = site.directory / "nodes/n1/.argosy/volume.id"
        away = mark.rename(mark.with_name("volume.away"))
        code, text = said(site, "scrub", "n1")
        assert code == 1, text
        assert "not read to its end: n1" in text or "Out of reach" in text
        code, told = verify(site, "/f")
        assert (code, told["away"], told["good"], told["bad"]) == (1, 1, 0, 0)
        assert "1 copy not read: a node or a disk is away" in said(site, "verify", "/f")[1]
        away.rename(mark)
        site.wait_for("the disk to be back", lambda: verify(site, "/f")[0] == 0, 60)
        assert said(site, "scrub", "n1")[0] == 0
    finally:
        site.stop()
