from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy import errors
from argosy.node.disk.journal import Journal, PartRow, Row


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(str(tmp_path / "j.db"))
    yield made
    made.close()


def test_each_change_gets_a_number_and_a_move_one_for_both_halves(journal: Journal) -> None:
    journal.write([Row(b"a", 1, 1), Row(b"b", 1, 1)])
    journal.write([Row(b"c", 1, 1), Row(b"a", 1, 1, gone=1)], together=True)
    assert [(row.loc, row.seq, row.gone) for row in journal.changes(0, 10)] == [
        (b"b", 2, 0),
        (b"a", 3, 1),
        (b"c", 3, 0),
    ]
    assert journal.files == 2


def test_a_batch_never_splits_a_move(journal: Journal) -> None:
    journal.write([Row(b"x", 1, 1)])
    journal.write([Row(b"c", 1, 1), Row(b"a", 1, 1, gone=1)], together=True)
    assert [row.loc for row in journal.changes(0, 2)] == [b"x"]
    assert [row.loc for row in journal.changes(1, 1)] == [b"a", b"c"]


def test_numbers_leap_at_a_restart_so_that_none_can_mean_two_things(tmp_path: Path) -> None:
    first = Journal(str(tmp_path / "j.db"))
    assert first.reported == 0
    first.write([Row(b"a", 1, 1)])
    assert first.reported == 0  # no master has anything: it shall ask for all
    first.prune(0)
    assert first.reported == 1
    first.close()
    second = Journal(str(tmp_path / "j.db"))
    assert second.reported == second.seq > 1_000_000
    assert second.files == 1
    second.close()


def test_files_that_went_are_forgotten_once_the_master_knows(journal: Journal) -> None:
    journal.write([Row(b"a", 1, 1, gone=1), Row(b"b", 1, 1, gone=1), Row(b"c", 1, 1)])
    journal.prune(1)
    assert [row.loc for row in journal.changes(0, 10)] == [b"b", b"c"]
    assert journal.seq == 3


def test_threads_that_seal_at_once_all_find_their_parts_written(journal: Journal) -> None:
    threads = [
        threading.Thread(target=journal.put_part, args=(PartRow(number, 1, 1),)) for number in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [part.upload for part in journal.parts()] == list(range(50))


def test_listeners_hear_of_changes_until_they_stop_listening(journal: Journal) -> None:
    heard: list[int] = []
    stop = journal.on_change(lambda: heard.append(journal.seq))
    journal.write([Row(b"a", 1, 1)])
    journal.put_part(PartRow(1, 0, 0))
    stop()
    journal.write([Row(b"b", 1, 1)])
    assert heard == [1]


names = st.binary(min_size=1, max_size=3)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(names, st.booleans()), max_size=20), st.integers(1, 5))
def test_following_the_changes_gives_what_is_there(steps: list[tuple[bytes, bool]], limit: int) -> None:
    journal = Journal(":memory:")
    theirs: dict[bytes, Row] = {}
    since = 0
    for loc, gone in steps:
        journal.write([Row(loc, 1, 1, gone=int(gone))])
    while rows := journal.changes(since, limit):
        for row in rows:
            theirs[row.loc] = row
        since = rows[-1].seq
    there = sorted(loc for loc, row in theirs.items() if not row.gone)
    assert there == [row.loc for row in journal.present(limit)]
    assert journal.files == len(there)
    journal.close()


def test_a_journal_that_cannot_be_read_is_a_refusal(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal.db"))
    journal.close()
    for question in (journal.parts, journal.moves, lambda: journal.part(1), lambda: journal.find(b"f")):
        with pytest.raises(errors.Failed):
            question()
    with pytest.raises(errors.Failed):
        journal.prune(1)
