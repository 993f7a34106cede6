"""What is wanted of a file goes by its age, too."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from argosy.catalogue.model import MINTED_BITS, MINTED_SINCE_MS, Entry, Kind, State, minted_ns
from argosy.cluster.copies.rules import DAY_NS, Rule

NOW = (MINTED_SINCE_MS * 1_000_000) + 2_000 * DAY_NS
COLD = Rule(archive_after_days=30.0, archive_to=("cold",), require=("fast",), copies=2)


def entry(*, days: float, came: float) -> Entry:
    """A file that shows a time so many days ago, and whose content came then."""
    ver = (NOW - int(came * DAY_NS)) // 1_000_000 - MINTED_SINCE_MS << MINTED_BITS
    shown = NOW - int(days * DAY_NS)
    return Entry(5, 1, b"f", Kind.FILE, State.LIVE, ver, 9, shown, shown, "ann", "ann", 0o644)


def test_an_old_file_belongs_into_the_archive_alone_and_a_young_one_where_all_are() -> None:
    archived = COLD.at(NOW, entry(days=31, came=31))
    assert (archived.only, archived.require, archived.copies) == (("cold",), (), 2)
    assert COLD.at(NOW, entry(days=29, came=31)) is COLD
    assert Rule(copies=2).at(NOW, entry(days=999, came=999)) == Rule(copies=2)


def test_a_file_that_has_just_come_is_new_whatever_time_it_shows() -> None:
    assert COLD.at(NOW, entry(days=4_000, came=0)) is COLD


@given(st.floats(0, 1_900), st.floats(0, 1_900), st.floats(0.1, 100))
def test_a_file_is_as_old_as_the_later_of_both_times(days: float, came: float, after: float) -> None:
    rule = msgspec.structs.replace(COLD, archive_after_days=after)
    age = min(days, came)
    if abs(age - after) > 0.001:
        assert (rule.at(NOW, entry(days=days, came=came)) is rule) == (age < after)


def test_when_an_id_was_minted_can_be_read_from_it() -> None:
    assert minted_ns(5_000 << MINTED_BITS) == (MINTED_SINCE_MS + 5_000) * 1_000_000
