"""The fault harness: a site of ten nodes, broken in every way while it is used, loses nothing."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from probe.harness import damage
from probe.harness.disks import Disk
from probe.harness.model import Content, Piece, Tree
from probe.harness.plan import AT_ONCE, KINDS, MASTER, rounds
from probe.harness.report import Record
from running import needs, run

SECONDS = 110
ROUND = 32
SEED = 7
TESTS = Path(__file__).parents[1]
NODES = [f"n{number}" for number in range(1, 11)]


async def test_ten_nodes_that_are_broken_in_every_way_lose_nothing(tmp_path: Path) -> None:
    for program in ("ip", "tc", "nsenter"):
        needs(program)
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces and mounts")
    words = ("--seed", str(SEED), "--seconds", str(SECONDS), "--round", str(ROUND))
    more = ("--workers", "4", "--json", str(tmp_path / "report.json"))
    code, out, err = await run(
        *(sys.executable, "-m", "probe.harness", *words, *more),
        seconds=SECONDS + 480,
        env={"PYTHONPATH": str(TESTS)},
    )
    assert code == 0, f"{out.decode()}\n{err}"
    assert json.loads((tmp_path / "report.json").read_bytes())["kinds_not_hit"] == []


def test_a_run_that_is_stopped_takes_everything_with_it_and_says_what_never_came(tmp_path: Path) -> None:
    for program in ("ip", "tc", "nsenter"):
        needs(program)
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces and mounts")
    words = (
        "--nodes",
        "3",
        "--seconds",
        "600",
        "--dir",
        str(tmp_path),
        "--json",
        str(tmp_path / "report.json"),
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "probe.harness", "--seed", "1", *words],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert "the log is" in run.stdout.readline()
    time.sleep(1)
    run.terminate()
    said = run.communicate(timeout=120)[0]
    assert run.returncode == 4, said
    assert "stopped before its time" in said
    assert json.loads((tmp_path / "report.json").read_bytes())["kinds_not_hit"] == list(KINDS)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (
        str(tmp_path) not in subprocess.run(["ps", "-ef"], capture_output=True, check=True, text=True).stdout
    )


def test_a_seed_gives_the_same_faults_again() -> None:
    first, again = (list(islice(rounds(7, NODES, list(KINDS), 60), 5)) for _ in range(2))
    assert first == again
    assert first != list(islice(rounds(8, NODES, list(KINDS), 60), 5))


def test_every_kind_of_fault_comes_before_one_comes_again_too_often() -> None:
    kinds = [fault.kind for faults in islice(rounds(3, NODES, list(KINDS), 60), 10) for fault in faults]
    assert {*kinds} == {*KINDS}
    assert max(map(kinds.count, KINDS)) <= 2 * min(map(kinds.count, KINDS))


def test_never_are_too_many_machines_hit_at_once_and_all_are_over_at_the_end() -> None:
    for faults in islice(rounds(5, NODES, list(KINDS), 60), 20):
        for fault in faults:
            beside = [one for one in faults if one.at <= fault.at < one.at + one.seconds]
            assert len(beside) <= AT_ONCE
            assert len({one.target for one in beside}) == len(beside)
            assert fault.at + fault.seconds <= 60
            assert (fault.target == MASTER) is KINDS[fault.kind].master


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[dict[str, Disk]]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for mounts")
    made = {name: Disk(tmp_path / name, 2) for name in ("n1", "n2")}
    yield made
    for disk in made.values():
        disk.close()


@pytest.mark.parametrize(
    ("loc", "path", "lost"),
    [
        ("both/f", "/both/f", ""),  # it lies in its place there
        (".argosy/staging/00c0ffee", "/both/f", ""),  # sealed, and its order to go there is on its way
        (".argosy/staging/00c0ffee", "/three/f", "new-disk"),  # repair's, and perhaps not sealed
    ],
)
def test_a_copy_on_a_disk_that_is_not_mounted_counts_also_while_it_waits_for_its_place(
    disks: dict[str, Disk], loc: str, path: str, lost: str
) -> None:
    tree, record = stored(path, disks["n1"].inside / path[1:], disks["n2"].inside / loc)
    disks["n2"].unmount()
    damage.take(disks, "n1", [tree], record)
    assert record.findings == []
    assert tree.files[path].lost == lost


def test_an_acknowledged_copy_that_is_nowhere_else_is_missed(disks: dict[str, Disk]) -> None:
    tree, record = stored("/both/f", disks["n1"].inside / "both/f")
    damage.take(disks, "n1", [tree], record)
    assert "this one alone" in record.findings[0]


def stored(path: str, *places: Path) -> tuple[Tree, Record]:
    """Have a client be told that its file is stored, and disks have it."""
    content = Content((Piece(b"0123456789abcdef", 0, 500),))
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.content)
    tree = Tree()
    tree.stored(path, content)
    return tree, Record(SEED, io.StringIO())
