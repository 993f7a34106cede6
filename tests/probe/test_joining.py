"""What people do to the nodes' disks behind the master's back, and what becomes of it when they join."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from argosy.node.disk import roots
from argosy.wire import link
from probe.ledger import check_content, connect, listed, look, put, put_half
from probe.processes import Processes
from running import ARGOSY
from talking import Talk

OLD_FILES = 20_000
DIRECTORIES = 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("joining") / "site") as site:
        yield site


@pytest.fixture
def talk(site: Processes) -> Iterator[Talk]:
    with Talk(site) as talk:
        yield talk


def by_hand(site: Processes, node: str, loc: str, content: bytes) -> Path:
    """Put a file on a node's disk, as of an hour ago."""
    path = site.root(node) / loc
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    before = time.time() - 3600
    os.utime(path, (before, before))
    return path


def remerge(site: Processes, *nodes: str, accept_losses: bool = False) -> list[int]:
    """Have disks read. Gives the losses that were held back."""
    reports = [site.ask(link.AskRemerge(node, accept_losses)) for node in nodes]
    return [volume["held_losses"] for report in reports for volume in report["volumes"]]


def shows(site: Processes, path: str, content: bytes | None) -> None:
    """Wait until a client finds these contents at a path, or nothing."""

    def found() -> bool:
        with Talk(site) as talk:
            return look(talk, path) == content

    site.wait_for(f"{path} to be as it should", found, 8.0)


def holders(site: Processes, path: str) -> list[tuple[str, str]]:
    """Give nodes and standings of a file's replicas."""
    return sorted((one["node"], one["standing"]) for one in site.why(path)["replicas"])


def stored_on(site: Processes, talk: Talk, path: str, content: bytes) -> str:
    """Upload a file, wait until it lies under its path, and give the node that has it."""
    assert put(talk, f"STOR {path}", content)
    ((node, _),) = holders(site, path)
    site.wait_for("it to be in place", (site.root(node) / path.lstrip("/")).exists)
    return node


def test_files_put_on_a_disk_by_hand_appear_after_a_remerge(site: Processes, talk: Talk) -> None:
    by_hand(site, "n1", "hand/deep/a.txt", b"put by hand")
    by_hand(site, "n1", "hand/empty", b"")
    site.argosy("nodes", "remerge", "n1")
    shows(site, "/hand/deep/a.txt", b"put by hand")
    shows(site, "/hand/empty", b"")
    check_content(talk, "/hand/deep/a.txt", b"put by hand")
    assert holders(site, "/hand/deep/a.txt") == [("n1", "good")]


def test_a_file_removed_by_hand_loses_its_replica(site: Processes, talk: Talk) -> None:
    node = stored_on(site, talk, "/removed.bin", b"soon gone")
    (site.root(node) / "removed.bin").unlink()
    remerge(site, node)
    site.wait_for("the replica to go", lambda: site.why("/removed.bin")["replicas"] == [])
    assert site.argosy("why", "/removed.bin")["replicas"] == []
    with talk.data():
        refused = talk.ask("RETR /removed.bin")
    assert 400 <= refused.code < 600, refused
    assert site.status()["damaged"] == 1
    assert talk.ask("DELE /removed.bin").code == 250
    site.wait_for("the damage to be gone with the file", lambda: site.status()["damaged"] == 0)


def test_a_file_changed_by_hand_while_its_node_is_down_is_served_as_it_is_now(
    site: Processes, talk: Talk
) -> None:
    node = stored_on(site, talk, "/changed.txt", b"as it was")
    site.kill(node)
    by_hand(site, node, "changed.txt", b"somebody has edited it")
    site.bring_back(node)
    shows(site, "/changed.txt", b"somebody has edited it")
    check_content(talk, "/changed.txt", b"somebody has edited it")


def test_a_file_moved_by_hand_is_found_at_its_new_place(site: Processes, talk: Talk) -> None:
    node = stored_on(site, talk, "/moved.txt", b"it moves")
    (site.root(node) / "moved.txt").rename(site.root(node) / "moved-away.txt")
    remerge(site, node)
    site.wait_for(
        "the move",
        lambda: any(
            one["loc"] == "moved-away.txt"
            for name in ("/moved.txt", "/moved-away.txt")
            for one in site.why(name)["replicas"]
        ),
    )
    seen = [look(talk, path) for path in ("/moved.txt", "/moved-away.txt")]
    assert b"it moves" in seen
    assert remerge(site, node) == [0]
    assert b"it moves" in [look(talk, path) for path in ("/moved.txt", "/moved-away.txt")]


@pytest.mark.parametrize("other", [b"of n2, longer", b"of n2"], ids=["other sizes", "the same size"])
def test_other_contents_for_the_same_path_are_kept_aside(site: Processes, talk: Talk, other: bytes) -> None:
    path = f"/both-{len(other)}"
    by_hand(site, "n1", path[1:], b"of n1")
    remerge(site, "n1")
    shows(site, path, b"of n1")
    by_hand(site, "n2", path[1:], other)
    remerge(site, "n2")
    aside = f"{path}.conflict-n2"
    shows(site, aside, other)
    check_content(talk, path, b"of n1")
    check_content(talk, aside, other)
    remerge(site, "n1", "n2")
    assert {name for name in listed(talk, "/") if name.startswith(path)} == {path, aside}
    assert site.status()["suspects"] == 0
    assert talk.ask(f"DELE {aside}").code == 250
    site.wait_for("its deletion", lambda: not (site.root("n2") / path[1:]).exists())
    check_content(talk, path, b"of n1")


@pytest.mark.parametrize("announced", [0, 100_000], ids=["cut", "shorter than announced"])
def test_what_size_has_told_of_a_cut_upload_outlasts_a_kill(
    site: Processes, talk: Talk, announced: int
) -> None:
    path, content = f"/kept-{announced}", random.Random(3).randbytes(announced or 3_000_000)
    half = content[: len(content) // 2]
    if announced:
        assert talk.ask(f"ALLO {announced}").code == 200
        assert not put(talk, f"STOR {path}", half)
    else:
        put_half(site, talk, f"STOR {path}", half)
    told = talk.size(path)
    assert told == len(half)
    for name in site.names:
        site.kill(name)
        site.bring_back(name)
    assert talk.size(path) == told
    assert put(talk, f"STOR {path}", content[told:], offset=told)
    check_content(talk, path, content)


def test_the_same_contents_at_the_same_path_become_two_replicas_of_one_file(
    site: Processes, talk: Talk
) -> None:
    content = random.Random(1).randbytes(100_000)
    for node in site.names:
        by_hand(site, node, "twice.bin", content)
    remerge(site, *site.names)
    site.wait_for("two good replicas", lambda: len(site.why("/twice.bin")["reading"]) == 2)
    assert holders(site, "/twice.bin") == [("n1", "good"), ("n2", "good")]
    assert "/twice.bin" in listed(talk, "/")
    assert not [path for path in listed(talk, "/") if path.startswith("/twice.bin.")]
    for node in site.names:
        site.kill(node)
        site.wait_for("the master to see it", partial(is_away, site, node))
        check_content(talk, "/twice.bin", content)  # from the other one
        site.bring_back(node)
    assert talk.ask("DELE /twice.bin").code == 250
    site.wait_for("both to go", lambda: not any((site.root(n) / "twice.bin").exists() for n in site.names))


def is_away(site: Processes, node: str) -> bool:
    """Whether the master has seen that a node is gone."""
    return bool(site.nodes()[node]["state"] == "away")


def test_a_root_that_has_lost_its_store_id_is_refused(site: Processes, talk: Talk) -> None:
    stored_on(site, talk, "/kept.txt", b"kept")
    (node,) = (name for name, _ in holders(site, "/kept.txt"))
    log = site.directory / "log" / f"{node}.log"
    said_before = log.stat().st_size
    site.end(node)
    mark = site.root(node) / ".argosy" / "volume.id"
    mark.rename(mark.with_name("aside"))
    try:
        site.spawn(node)
        assert site.children[node].wait(20) == 1
        said = log.read_text()[said_before:].replace("config/../", "")
        assert f"root {site.root(node)} has no store id" in said, said
        assert "is the disk mounted" in said
        assert not mark.exists()
    finally:
        mark.with_name("aside").rename(mark)
        site.bring_back(node)
    check_content(talk, "/kept.txt", b"kept")


@pytest.mark.parametrize("journal", ["kept", "lost"])
@pytest.mark.parametrize("origin", ["uploaded", "put by hand"])
def test_a_deletion_while_the_node_is_down_is_carried_out_when_it_comes_back(
    site: Processes, talk: Talk, origin: str, journal: str
) -> None:
    path = f"/deleted-{origin}-{journal}.txt".replace(" ", "-")
    if origin == "uploaded":
        node = stored_on(site, talk, path, b"to be deleted")
    else:
        node = "n1"
        by_hand(site, node, path[1:], b"to be deleted")
        remerge(site, node)
        shows(site, path, b"to be deleted")
    site.kill(node)
    assert talk.ask(f"DELE {path}").code == 250
    if journal == "lost":
        lose_journal(site, node)
    site.bring_back(node)
    site.wait_for("its deletion", lambda: not (site.root(node) / path[1:]).exists(), 5.0)
    remerge(site, node)
    time.sleep(0.5)
    assert look(talk, path) is None
    assert path not in listed(talk, "/")
    assert site.status()["tombstones"] == 0


def lose_journal(site: Processes, node: str) -> None:
    for path in (site.root(node) / ".argosy").glob("journal.db*"):
        path.unlink()


def test_a_node_that_has_lost_its_journal_loses_no_file(site: Processes, talk: Talk) -> None:
    contents = {f"/journal/{number}": b"%d" % number * 1000 for number in range(10)}
    assert talk.ask("MKD /journal").code == 257
    for path, content in contents.items():
        assert put(talk, f"STOR {path}", content)
    before = {path: holders(site, path) for path in contents}
    listed_before = listed(talk, "/")
    for node in site.names:
        site.kill(node)
        lose_journal(site, node)
        site.bring_back(node)
    for path, content in contents.items():
        check_content(talk, path, content)
        assert holders(site, path) == before[path]
    assert listed(talk, "/") == listed_before
    assert site.status()["damaged"] == 0


def test_unplugging_one_node_leaves_downloads_from_the_other_alone(site: Processes, talk: Talk) -> None:
    content = random.Random(2).randbytes(30_000_000)
    here = stored_on(site, talk, "/long.bin", content)
    (other,) = (name for name in site.names if name != here)
    data = connect(talk, "RETR /long.bin")
    assert data is not None
    with data:
        assert talk.ask("RETR /long.bin").code == 150
        came = data.recv(1 << 16)
        site.kill(other)
        while piece := data.recv(1 << 20):
            came += piece
    assert talk.hear().code == 226
    assert came == content
    check_content(talk, "/long.bin", content)
    site.bring_back(other)


def test_a_disk_full_of_old_files_is_served_while_it_is_merged_and_costs_nothing_later(
    site: Processes, tmp_path: Path, talk: Talk
) -> None:
    root = tmp_path / "disk"
    for directory in range(DIRECTORIES):
        (root / f"d{directory:02}").mkdir(parents=True)
        for number in range(OLD_FILES // DIRECTORIES):
            (root / f"d{directory:02}" / f"{number:05}").write_text(f"{directory} {number}")
    node = guest(site, root, tmp_path)
    try:
        served = served_meanwhile(site, talk)
        site.wait_for("it to be ready", lambda: site.nodes()["old"]["state"] == "ready", 60.0)
        assert served == "merging"
        assert site.nodes()["old"]["volumes"][0]["files"] == OLD_FILES
        for directory, number in ((0, 0), (7, 500), (DIRECTORIES - 1, OLD_FILES // DIRECTORIES - 1)):
            content = f"{directory} {number}".encode()
            check_content(talk, f"/d{directory:02}/{number:05}", content)
        node.kill()
        node.wait(20)
        node = start_guest(tmp_path)
        before = site.nodes()["old"]["epoch"]
        site.wait_for("it to be back", lambda: site.nodes()["old"]["epoch"] > before)
        site.wait_for("it to be ready", lambda: site.nodes()["old"]["state"] == "ready")
        time.sleep(1.0)  # its scan is over, too
        assert written(node.pid) < 60_000, "nothing has changed, so hardly anything is to be told"
        masses_of_losses_are_held(site, talk, root)
    finally:
        node.kill()
        node.wait(20)


def guest(site: Processes, root: Path, home: Path) -> subprocess.Popen[bytes]:
    """Have another disk join, telling its files in small batches."""
    token = site.argosy("token")["token"]
    subprocess.run(
        [
            *(*ARGOSY, "node", "join", site.status()["link"], "--token", token, "--name", "old"),
            *("--root", str(root), "--dir", str(home / "site"), "--no-start"),
        ],
        check=True,
        timeout=30,
        capture_output=True,
    )
    config = home / "site" / "config" / "old.toml"
    config.write_text(f"batch_files = 100\n{config.read_text()}")
    return start_guest(home)


def start_guest(home: Path) -> subprocess.Popen[bytes]:
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            [*ARGOSY, "node", "--config", str(home / "site" / "config" / "old.toml")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def served_meanwhile(site: Processes, talk: Talk) -> str:
    """Download a file of the new node as soon as one is known; give how the node stood after that."""
    site.wait_for("the first file", lambda: site.why("/d00/00000")["kind"] == "file")
    check_content(talk, "/d00/00000", b"0 0")
    return str(site.nodes()["old"]["state"])


def written(pid: int) -> int:
    """Give the bytes that a process has written, to sockets too."""
    figures = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(figures["wchar"])


def masses_of_losses_are_held(site: Processes, talk: Talk, root: Path) -> None:
    """Delete two directories by hand: the administrator is asked first."""
    lost = [path for name in ("d03", "d04") for path in (root / name).iterdir()]
    for path in lost:
        path.unlink()
    assert remerge(site, "old") == [len(lost)]
    assert len(listed(talk, "/d03")) == OLD_FILES // DIRECTORIES
    assert site.node("old")["volumes"][0]["state"] == "held"
    assert remerge(site, "old", accept_losses=True) == [0]
    site.wait_for(
        "the losses to be taken",
        lambda: site.nodes()["old"]["volumes"][0]["files"] == OLD_FILES - len(lost),
    )
    check_content(talk, "/d05/00000", b"5 0")


def test_a_copy_on_a_disk_that_is_gone_is_not_said_to_be_online_for_its_node_is(tmp_path: Path) -> None:
    with Processes(tmp_path / "site", nodes=1) as site:
        with Talk(site) as talk:
            talk.store("/f", b"content")
        assert [one["online"] for one in site.why("/f")["replicas"]] == [True]
        site.kill("n1")
        site.children["n1"].wait()
        shutil.rmtree(site.root("n1"))
        roots.prepare(site.root("n1"))
        site.bring_back("n1")
        assert [one["online"] for one in site.why("/f")["replicas"]] == [False]
