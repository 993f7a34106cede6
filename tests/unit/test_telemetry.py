"""The log: one event a line, whatever is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from argosy import errors, telemetry


@pytest.fixture(autouse=True)
def _the_log_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_has_time_name_level_and_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARGOSY_LOG", raising=False)
    telemetry.setup("harbour")
    logging.getLogger("argosy.link").warning("lost %s", "the master")
    logging.getLogger("argosy.link").debug("not asked for")
    err = capsys.readouterr().err
    assert err.endswith("Z harbour warning link: lost the master\n")
    assert err.count("\n") == 1


def test_a_client_cannot_forge_a_line_or_paint_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.setup("master")
    logging.getLogger("argosy.ftp").error("no such file: %s", "a\r\n2026 master error: \x1b[2J\x9b!")
    err = capsys.readouterr().err
    assert err.endswith(r"no such file: a\x0d\x0a2026 master error: \x1b[2J\x9b!" + "\n")
    assert err.count("\n") == 1


def test_an_accident_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.setup("master")
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        logging.getLogger("argosy.ftp").exception("accident")
    err = capsys.readouterr().err
    assert "ftp: accident\nTraceback" in err
    assert "ZeroDivisionError" in err


def test_machines_get_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.setup("master", json=True)
    logging.getLogger("argosy.ftp").info("two\nlines")
    record = json.loads(capsys.readouterr().err)
    assert record.pop("time").endswith("Z")
    assert record == {"name": "master", "level": "info", "source": "argosy.ftp", "message": "two\nlines"}


def test_the_environment_chooses_the_level(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOSY_LOG", "DEBUG")
    telemetry.setup("master")
    logging.getLogger("argosy.ftp").debug("fine print")
    assert "fine print" in capsys.readouterr().err
    monkeypatch.setenv("ARGOSY_LOG", "loud")
    with pytest.raises(errors.ConfigError, match="loud"):
        telemetry.setup("master")
