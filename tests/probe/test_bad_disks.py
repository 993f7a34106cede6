"""Disks that answer with I/O errors, or can only be read: who hears of it, and is anything lost?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from probe.blockdisk import BlockDisk, mount_in_private
from probe.processes import MASTER, Processes
from running import Settings, needs
from talking import Talk

COUNT = 12
CONTENTS = {f"/f{number}": os.urandom(300_000) for number in range(COUNT)}
LARGE = os.urandom(12_000_000)
"""More than what can be read before anybody notices anything."""

MEGABYTES = 120

REFUSED = 2
"""So many uploads may fail before everybody goes elsewhere."""

SAFE: Settings = {
    **MASTER,
    "sections.all": {"path": "/", "copies": 2, "acknowledged": 2, "repair_delay_seconds": 1.0},
    "repair": {"acknowledge_seconds": 10.0, "retry_first_seconds": 0.2, "retry_most_seconds": 2.0},
    "link": {"beat_seconds": 0.3, "lost_seconds": 4.0},
    "findings": {"quarantine_seconds": 1.0},
    "placement": {"reserve_bytes": 1 << 20},
}


class Place(Processes):
    """A site of three nodes, each with its root on a disk of its own; that of n1 is going to fail."""

    def __init__(self, directory: Path, disk: BlockDisk) -> None:
        super().__init__(directory, nodes=3, settings=SAFE)
        self.disk = disk

    def log(self, name: str) -> str:
        """Give what a process has written."""
        return (self.directory / "log" / f"{name}.log").read_text()

    def holders(self, path: str) -> set[str]:
        """Name the nodes that have a good copy and are there."""
        replicas = self.why(path)["replicas"]
        return {one["node"] for one in replicas if one["online"] and one["standing"] == "good"}

    def whole(self, *, without: str = "") -> bool:
        """Whether every file has two good copies that can be reached."""
        return all(len(self.holders(path) - {without}) >= 2 for path in CONTENTS)

    def start_in_vain(self) -> str:
        """Start n1 anew on its disk as it is; give what it says before it ends."""
        self.kill("n1")
        before = len(self.log("n1"))
        self.spawn("n1")
        assert self.children["n1"].wait(30) != 0
        return self.log("n1")[before:]

    def change_disk_back(self) -> None:
        """Do what an administrator does with a disk that is well again: end the node, mount, start it."""
        self.kill("n1")
        self.disk.unmount()
        self.disk.mount()
        self.spawn("n1")
        self.wait_until_ready()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Place]:
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    needs("mkfs.ext4")
    mount_in_private()
    with ExitStack() as stack:
        disk, *_ = [
            stack.enter_context(BlockDisk(tmp_path / name, tmp_path / "site" / "nodes" / name, MEGABYTES))
            for name in ("n1", "n2", "n3")
        ]
        site = stack.enter_context(Place(tmp_path / "site", disk))
        with Talk(site) as talk:
            for path, content in CONTENTS.items():
                talk.store(path, content)
        site.wait_for("all to be in their places", site.whole)
        assert any("n1" in site.holders(path) for path in CONTENTS)
        yield site
        for name in ("master", *site.names):
            assert "Traceback" not in site.log(name), site.log(name)[-4000:]


def test_a_disk_that_answers_with_io_errors_costs_nobody_a_file(site: Place) -> None:
    site.disk.die()
    with Talk(site) as talk:
        for path, content in CONTENTS.items():
            assert talk.retrieve(path) == content
    site.wait_for("the copies on it to be made elsewhere", lambda: site.whole(without="n1"))
    site.wait_for(
        "the administrator to be told", lambda: "n1 comes without volume" in site.log("master"), 10.0
    )
    with Talk(site) as talk:
        talk.store("/new", LARGE)
        assert talk.retrieve("/new") == LARGE
    assert "Input/output error" in site.start_in_vain()
    site.change_disk_back()
    with Talk(site) as talk:
        for path, content in {**CONTENTS, "/new": LARGE}.items():
            assert talk.retrieve(path) == content
    site.wait_for("a copy too many to go", lambda: all(len(site.holders(path)) == 2 for path in CONTENTS))


def test_uploads_go_elsewhere_while_a_disk_can_only_be_read(site: Place) -> None:
    site.disk.write_protect()
    with Talk(site) as talk:
        for path, content in CONTENTS.items():
            assert talk.retrieve(path) == content
        answers = [talk.put(f"STOR /new{number}", CONTENTS["/f0"]).code for number in range(COUNT)]
        assert answers.count(226) >= COUNT - REFUSED, answers
        assert {*answers} <= {226, 451}
        for number in range(COUNT):
            if answers[number] != 226:
                talk.store(f"/new{number}", CONTENTS["/f0"])
        for path in CONTENTS:
            assert talk.ask(f"DELE {path}").code == 250
    assert any("n1 couldn't store" in one["sentence"] for one in site.status()["matters"])
    assert "Read-only file system" in site.start_in_vain()
    site.change_disk_back()
    with Talk(site) as talk:
        for number in range(COUNT):
            assert talk.retrieve(f"/new{number}") == CONTENTS["/f0"]
        for path in CONTENTS:
            assert talk.refused(f"RETR {path}") == 550


def test_a_file_that_a_disk_cannot_read_any_more_is_read_elsewhere_and_copied_again(site: Place) -> None:
    with Talk(site) as talk:
        for number in range(4):
            talk.store(f"/large{number}", LARGE)
        path = next(f"/large{number}" for number in range(4) if "n1" in site.holders(f"/large{number}"))
        site.wait_for("it to be in its place", (site.root("n1") / path[1:]).exists)
        site.disk.spoil(site.root("n1") / path[1:])
        assert talk.retrieve(path) == LARGE
    site.wait_for("a good copy instead", lambda: len(site.holders(path)) == 2, 60.0)
    with Talk(site) as talk:
        assert talk.retrieve(path) == LARGE


def test_a_node_whose_disk_is_full_to_the_last_byte_starts_and_its_files_can_be_read(site: Place) -> None:
    site.kill("n1")
    site.disk.fill()
    site.spawn("n1")
    site.wait_until_ready()
    for name in ("n2", "n3"):
        site.kill(name)
    with Talk(site) as talk:
        for path, content in CONTENTS.items():
            if "n1" in site.holders(path):
                assert talk.retrieve(path) == content
        assert talk.refused("STOR /new") in (450, 452)
