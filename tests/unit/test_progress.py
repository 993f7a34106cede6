"""How a long job is shown to whoever looks."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import pytest

from argosy.cli import progress
from argosy.errors import Unavailable


def document(left: int, *, total: int = 10, stuck: int = 0) -> dict[str, Any]:
    return {
        "done": not left,
        "total": {"files": total, "bytes": total << 20},
        "left": {"files": left, "bytes": left << 20},
        "obstacles": [{"why": "no room on n2", "files": stuck, "bytes": stuck << 20}] if stuck else [],
    }


class Clock:
    """It goes on by a second each time somebody looks."""

    seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


class Terminal(io.StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        return True


def test_the_bar_says_how_far_it_is_how_fast_and_how_long_it_will_take() -> None:
    pace = progress.Pace(Clock())
    for left in (10, 8, 6):
        pace.note(left, left << 20)
    assert progress.line(document(6, stuck=1), pace) == (
        "[#########...............]  40 %, 4 of 10 files, 4.0 MiB of 10.0 MiB,"
        " 2 files/s, 2.0 MiB/s, 3 s left, 1 can't go"
    )


def test_where_nothing_moves_nobody_says_when_it_will_be_over() -> None:
    pace = progress.Pace(Clock())
    pace.note(1, 0)
    assert progress.line(document(1, total=1), pace) == (
        "[........................]   0 %, 0 of 1 file, 0 B of 1.0 MiB"
    )
    assert pace.seconds_left() is None


def test_a_job_without_bytes_counts_its_files() -> None:
    empty: Mapping[str, Any] = {
        "done": False,
        "total": {"files": 4, "bytes": 0},
        "left": {"files": 1, "bytes": 0},
        "obstacles": [],
    }
    pace = progress.Pace(Clock())
    pace.note(1, 0)
    assert progress.line(empty, pace).startswith("[##################......]  75 %, 3 of 4 files")


def test_a_terminal_has_one_line_and_a_file_one_now_and_then_and_the_last() -> None:
    for to, shown in ((Terminal(), "\rone\x1b[K\rtwo\x1b[K\rthree\x1b[K\n"), (io.StringIO(), "one\nthree\n")):
        screen = progress.Screen(to)
        screen.show("one")
        screen.show("two")
        screen.show("three")
        screen.end()
        assert to.getvalue() == shown


def followed(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | Exception) -> dict[str, Any]:
    """Follow a job of which the master says this, one after the other."""
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.001)
    waiting = list(answers)

    async def look() -> dict[str, Any]:
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return dict(asyncio.run(progress.follow(look)))


def test_it_is_shown_until_it_is_done_even_if_the_master_is_away_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = Unavailable("nobody answers")
    assert followed(monkeypatch, document(9), away, away, document(3), document(0))["done"]
    assert " 1 of 10 files" in capsys.readouterr().err


def test_it_ends_where_nothing_more_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STUCK_SECONDS", 0.05)
    assert not followed(monkeypatch, document(9), document(3, stuck=2), document(3, stuck=3))["done"]


def test_a_master_that_stays_away_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AWAY_SECONDS", 0.05)
    with pytest.raises(Unavailable):
        followed(monkeypatch, document(9), Unavailable("nobody answers"))
