"""Changes under way when a gateway is killed are known to the next one."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.doors.nfs import begun
from argosy.doors.nfs.begun import Begun
from argosy.doors.nfs.replies import Key


def change(number: int) -> Key:
    return Key("127.0.0.1", number, 100_003, 9, 120, 7)


def left(book: Begun, *numbers: int) -> list[int]:
    found = []
    for number in numbers:
        with book.under_way(change(number)) as again:
            if again:
                found.append(number)
    return found


def test_what_was_under_way_is_known_through_two_kills(tmp_path: Path) -> None:
    path = tmp_path / "begun"
    first = Begun(path)
    with first.under_way(change(1)) as again, first.under_way(change(2)):
        assert not again
        with first.under_way(change(3)):
            pass
        killed = path.read_bytes()
    first.close()
    assert path.read_bytes() != killed
    path.write_bytes(killed)
    Begun(path).close()  # killed before anybody asked
    assert left(Begun(path), 1, 2, 3, 4) == [1, 2]
    assert left(Begun(path), 1, 2, 3, 4) == []


def test_what_is_stopped_is_still_under_way(tmp_path: Path) -> None:
    book = Begun(tmp_path / "begun")
    for number, ending in ((1, asyncio.CancelledError), (2, ValueError)):
        with contextlib.suppress(ending), book.under_way(change(number)):
            raise ending
    book.close()
    assert left(Begun(tmp_path / "begun"), 1, 2) == [1]


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "COMPACT_BYTES", 1000)
    book = Begun(tmp_path / "begun")
    with book.under_way(change(0)):
        for number in range(1, 500):
            left(book, number)
            assert (tmp_path / "begun").stat().st_size < 1100
        assert left(Begun(tmp_path / "begun"), 0) == [0]
    book.close()


@given(st.binary(max_size=200))
def test_a_file_of_anything_is_no_hindrance(tmp_path_factory: pytest.TempPathFactory, said: bytes) -> None:
    path = tmp_path_factory.mktemp("begun") / "begun"
    path.write_bytes(said)
    book = Begun(path)
    assert left(book, 1) == []
    book.close()


def test_without_a_file_nothing_is_kept() -> None:
    assert left(Begun(None), 1, 1) == []
