"""A site that is away is told of, and doesn't fill the log."""

from __future__ import annotations

import pytest

from argosy.doors.nfs import troubles
from argosy.doors.nfs.troubles import Troubles
from argosy.errors import NoSpace, Unavailable


def test_the_same_is_told_once_a_minute_with_how_often_it_was(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    told = Troubles(lambda: now)
    for second in range(150):
        now = float(second)
        told.tell("/museum", "READ", Unavailable("ftp.example.org"))
    assert [record.getMessage().partition(" (")[2] for record in caplog.records] == [
        *("", "59 more since the last such line)", "59 more since the last such line)")
    ]


def test_other_troubles_and_other_mounts_have_their_own_lines(caplog: pytest.LogCaptureFixture) -> None:
    told = Troubles(lambda: 5.0)
    for title in ("/museum", "/archive"):
        for _ in range(3):
            told.tell(title, "READ", Unavailable())
            told.tell(title, "COMMIT", NoSpace())
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(": ")[:2] for line in lines] == [
        *(["/museum", "READ"], ["/museum", "COMMIT"], ["/archive", "READ"], ["/archive", "COMMIT"])
    ]


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "KINDS", 10)
    told = Troubles(lambda: 5.0)
    for number in range(100):
        told.tell(f"/{number}", "READ", Unavailable())
    assert len(told._told) == 10
