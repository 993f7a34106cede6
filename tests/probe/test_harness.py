"""The fault harness: a site of ten nodes, broken in every way while it is used, loses nothing."""

import json
import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from probe.harness.plan import AT_ONCE, KINDS, MASTER, rounds
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
