"""The benchmark's own reckoning: medians, factors, and what counts as an aim that is met."""

import subprocess
from pathlib import Path

import pytest

import aims
import document
from table import Row, Table

SPEED, CPU = Row("RETR, 1 stream", "GiB/s"), Row("RETR, 1 stream", "server CPU s per GiB")


def large(**speeds: tuple[float, float]) -> Table:
    """Make the table of large files, from a speed and a processor time for each column."""
    columns = [name.replace("_", " ") for name in speeds]
    table = Table("Files", columns, "vsftpd")
    for column, (speed, cpu) in zip(columns, speeds.values(), strict=True):
        table.add(SPEED, column, speed)
        table.add(CPU, column, cpu)
    return table


def test_a_cell_is_the_median_of_its_rounds_beside_its_factor_to_the_baseline() -> None:
    table = Table("Files", ["argosy", "vsftpd"], "vsftpd")
    for ours, theirs in ((9.0, 2.0), (1.0, 4.0), (3.0, 3.0)):
        table.add(SPEED, "argosy", ours)
        table.add(SPEED, "vsftpd", theirs)
    table.add(CPU, "argosy", 1.0)
    assert table.markdown().splitlines()[-2:] == [
        "| RETR, 1 stream, GiB/s | 3.00 (1.00) | 3.00 |",
        "| RETR, 1 stream, server CPU s per GiB | 1.00 | - |",
    ]


def test_we_are_compared_with_the_fastest_peer_and_with_its_processor_time() -> None:
    table = large(
        argosy_direct=(4.0, 0.20), argosy_relayed=(2.0, 0.4), vsftpd=(3.0, 0.1), ProFTPD=(5.0, 0.18)
    )
    assert [(one.wanted, one.met) for one in aims.verdicts({"large": table})] == [
        ("at least 5.00, ProFTPD's", False),
        ("at most 0.22, 1.2 times ProFTPD's", True),
        ("at least 2.80, 0.7 of direct's", False),
    ]


def test_without_peers_only_the_aims_that_need_none_are_judged() -> None:
    table = large(argosy_direct=(4.0, 0.2), argosy_relayed=(3.0, 0.4))
    assert [one.met for one in aims.verdicts({"large": table})] == [True]


@pytest.mark.parametrize(("seconds", "met"), [(1.99, True), (2.01, False)])
def test_a_rejoin_has_two_seconds(seconds: float, met: bool) -> None:
    table = Table("Merge", ["argosy"])
    table.add(Row("rejoin, from the node's start until it is ready", "s"), "argosy", seconds)
    assert [one.met for one in aims.verdicts({"merge": table})] == [met]


def test_the_document_shows_what_is_missed_and_leads_to_why() -> None:
    table = large(argosy_direct=(4.0, 0.2), vsftpd=(5.0, 0.1))
    text = document.text(["2 cores"], [table], aims.verdicts({"large": table}), "2026-11-22")
    assert "| RETR, 1 stream, direct, GiB/s | at least 5.00, vsftpd's | 4.00 (0.80) | **missed** |" in text
    assert f"]({document.MISSES.name})" in text
    assert document.MISSES.exists()


def test_the_commit_is_named_and_whether_anything_differs_from_it(tmp_path: Path) -> None:
    assert document.commit(tmp_path) == "no commit"

    def git(*words: str) -> str:
        who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "f").write_text("1")
    git("add", "f")
    git("commit", "-q", "-m", "first")
    named = f"commit {git('rev-parse', '--short=12', 'HEAD')}"
    assert document.commit(tmp_path) == named
    (tmp_path / "f").write_text("2")
    assert document.commit(tmp_path) == f"{named} with changes that it hasn't"
