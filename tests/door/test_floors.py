"""A small disk shall have some free space: its oldest files go elsewhere, by rules, and none is deleted."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hands import on_disk, read, upload
from running import Settings, Site, needs

MIB = 1 << 20


@contextlib.contextmanager
def small_disk(at: Path, size: int) -> Iterator[None]:
    mount, umount = needs("mount"), needs("umount")
    if os.geteuid() != 0:
        pytest.skip("needs root, for a small disk")
    at.mkdir(parents=True)
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "none", str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", str(at)], check=True)


def shall_have(site: Site, node: str, floor: int) -> None:
    """Say how much of a node's disk shall be free; before it starts."""
    at = site.directory / "config" / f"{node}.toml"
    at.write_text(f"floor_bytes = {floor}\n{at.read_text()}")


def test_a_disk_keeps_its_floor(tmp_path: Path) -> None:
    quick: Settings = {
        "repair": {"retry_first_seconds": 0.2, "retry_most_seconds": 1.0},
        "link": {"beat_seconds": 0.5, "lost_seconds": 5.0},
        "catalogue": {"upkeep_seconds": 0.5},
        "placement": {"reserve_bytes": MIB},
    }
    site = Site(tmp_path / "site", "--nodes", "2", settings=quick)
    with small_disk(site.directory / "nodes" / "n1", 20 * MIB):
        try:
            site.start()
            site.stop()
            shall_have(site, "n1", 10 * MIB)
            site.start()
            site.argosy("rule", "set", "/", "--only", "n1")
            files = {f"f{number}": b"%d" % number * (2 * MIB) for number in range(6)}
            upload(site, files)
            site.wait_for("it to be told", lambda: site.status()["matters"])
            (lack,) = site.status()["lacking_room"]
            assert (lack["node"], lack["floor"], lack["leaving"]) == ("n1", 10 * MIB, 0)
            assert "and no rule lets anything go" in site.status()["matters"][0]["sentence"]

            site.argosy("rule", "set", "/", "--make-room", "yes")
            said = "no other disk can take"
            site.wait_for("the other reason", lambda: said in site.status()["matters"][0]["sentence"])
            assert site.argosy("rule", "preview")["for_room"]["first"][0]["path"] == "/f0"
            assert on_disk(site, "n1") == set(files)

            site.argosy("rule", "unset", "/", "only")
            site.wait_for("room", lambda: not site.status()["lacking_room"])
            moved = on_disk(site, "n2")
            assert {"f0"} <= moved <= {"f0", "f1"}  # the journal needs some of the disk, too
            assert on_disk(site, "n1") == set(files) - moved
            site.wait_for("it to be over", lambda: not site.status()["matters"])
            for name, content in files.items():
                assert read(site, name) == content
        finally:
            site.stop()
