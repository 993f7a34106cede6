"""Rows that are inserted many at a time are the same rows, in the same order."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.catalogue.store import bulk


@given(
    st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=3), st.none() | st.integers(0, 9)), max_size=100)
)
def test_every_row_is_there_once_and_in_order(rows: list[tuple[object, ...]]) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t(a, b, c)")
    bulk.insert(db, "t", "a, b, c", rows)
    assert db.execute("SELECT a, b, c FROM t ORDER BY rowid").fetchall() == rows
    db.close()


def test_a_row_that_may_not_be_is_refused_wherever_it_stands() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t(a UNIQUE)")
    with pytest.raises(sqlite3.IntegrityError):
        bulk.insert(db, "t", "a", [(number % 70,) for number in range(71)])
    db.close()
