"""Processes that are kept running: real ones, short ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from argosy import errors
from argosy.cli import supervisor
from argosy.cli.supervisor import Job, Supervisor, last_words, next_pause, parse_pid, stop_stale

LIMIT_SECONDS = 10.0


def job(directory: Path, program: str) -> Job:
    mark = str(directory / "mark")
    return Job(
        name="harbour",
        command=[sys.executable, "-c", program, mark],
        mark=mark,
        pid=directory / "harbour.pid",
        log=directory / "harbour.log",
    )


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
async def keeper(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    keeper = Supervisor(said.append)
    said.clear()
    yield keeper
    await keeper.stop()


said: list[str] = []

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEP


async def test_a_process_that_is_killed_comes_back_and_it_is_said(keeper: Supervisor, tmp_path: Path) -> None:
    keeper.start(work := job(tmp_path, SLEEP))
    await until(work.pid.exists)
    first = int(work.pid.read_text())
    os.kill(first, signal.SIGKILL)
    await until(lambda: work.pid.exists() and work.pid.read_text().strip() not in ("", str(first)))
    assert len(said) == 1
    assert said[0].startswith("harbour was killed by signal 9; starting it again in")
    assert str(work.log) in said[0]


async def test_stopping_leaves_nobody_and_no_number(keeper: Supervisor, tmp_path: Path) -> None:
    keeper.start(work := job(tmp_path, SLEEP))
    await until(lambda: work.log.exists() and work.log.read_text())
    pid = int(work.pid.read_text())
    await keeper.stop()
    assert not alive(pid)
    assert not work.pid.exists()
    assert said == []


async def test_a_process_that_does_not_hear_is_killed(
    keeper: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    keeper.start(work := job(tmp_path, DEAF))
    await until(lambda: work.log.exists() and work.log.read_text())
    pid = int(work.pid.read_text())
    await keeper.stop()
    assert not alive(pid)


async def test_one_that_dies_at_once_is_told_of_with_its_last_words(
    keeper: Supervisor, tmp_path: Path
) -> None:
    keeper.start(work := job(tmp_path, "import sys; sys.exit('argosy: the disk is on fire')"))
    keeper.check(work)
    await until(lambda: keeper.died("harbour"))
    with pytest.raises(errors.Failed, match="ended with status 1: argosy: the disk is on fire"):
        keeper.check(work)


async def test_a_program_that_is_not_there_is_tried_again(keeper: Supervisor, tmp_path: Path) -> None:
    work = job(tmp_path, "")
    keeper.start(Job("harbour", [str(tmp_path / "gone")], work.mark, work.pid, work.log))
    await until(lambda: len(said) > 1)
    assert "can't be started" in said[0]


async def test_what_an_earlier_supervisor_left_is_stopped_first(keeper: Supervisor, tmp_path: Path) -> None:
    work = job(tmp_path, SLEEP)
    with subprocess.Popen(work.command, stdout=subprocess.DEVNULL) as orphan:  # noqa: ASYNC220
        await until(lambda: work.mark.encode() in Path(f"/proc/{orphan.pid}/cmdline").read_bytes())
        work.pid.write_text(f"{orphan.pid}\n")
        keeper.start(work)
        await until(lambda: work.pid.exists() and work.pid.read_text().strip() not in ("", str(orphan.pid)))
        assert orphan.wait(LIMIT_SECONDS) == -signal.SIGTERM


def test_a_number_that_is_a_strangers_now_is_left_alone(tmp_path: Path) -> None:
    work = job(tmp_path, SLEEP)
    with subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL) as stranger:
        work.pid.write_text(f"{stranger.pid}\n")
        stop_stale(work, seconds=0.1)
        assert stranger.poll() is None
        stranger.kill()
    assert not work.pid.exists()


@pytest.mark.parametrize("words", ["", "harbour", "-1", "0", "1", "-5", "1 2", "+7", "²"])
def test_a_pid_file_of_nonsense_names_nobody(words: str) -> None:
    # Only parsed here, never signalled: kill(2) takes -1 for everybody.
    assert parse_pid(words) == 0


def test_a_pid_file_names_its_process() -> None:
    assert parse_pid("4711\n") == 4711


def test_a_child_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    child = "import os, sys, time; from argosy.cli.supervisor import tie_to_parent;"
    child += "tie_to_parent(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)"
    parent = (
        f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, str(os.getpid())])"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.kill()
    until_then = time.monotonic() + LIMIT_SECONDS
    while alive(pid) and time.monotonic() < until_then:
        time.sleep(0.01)
    assert not alive(pid)


def test_a_child_whose_parent_is_gone_already_does_not_stay() -> None:
    program = "from argosy.cli.supervisor import tie_to_parent; tie_to_parent(1 << 22)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=LIMIT_SECONDS).returncode == 1


def test_pauses_grow_to_a_limit_and_begin_anew_after_a_long_life() -> None:
    pause, pauses = 0.0, []
    for _ in range(9):
        pause = next_pause(pause, lived=1.0)
        pauses.append(pause)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert next_pause(30.0, lived=3600.0) == 0.5


async def test_a_log_that_has_grown_long_is_put_aside(
    keeper: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 10)
    work = job(tmp_path, SLEEP)
    work.log.write_text("long ago there was an FTP server\n")
    keeper.start(work)
    await until(lambda: work.log.exists() and work.log.read_text() == "up\n")
    assert (tmp_path / "harbour.log.1").read_text() == "long ago there was an FTP server\n"


async def test_what_it_said_in_an_earlier_life_or_all_the_time_is_not_told_as_the_cause(
    keeper: Supervisor, tmp_path: Path
) -> None:
    routine = "2026-11-23T07:28:47.584Z harbour info joining: n1 joined"
    work = job(tmp_path, f"import sys; print({routine!r}, flush=True); sys.exit(3)")
    work.log.write_text("argosy: the disk was on fire\n")
    keeper.start(work)
    await until(lambda: said)
    assert said[0].startswith("harbour ended with status 3: it didn't say why; starting it again in")


def test_last_words_are_found_in_a_long_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x" * 100_000 + "\nand so it ended\n\n")
    assert last_words(tmp_path / "log") == "and so it ended"
    assert last_words(tmp_path / "none") == "no log"
