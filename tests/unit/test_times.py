"""FTP's time values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp.times import SECOND, format_time, parse_time

seconds = st.integers(-62_135_596_800, 253_402_300_799)
"""The years 1 to 9999, from 1970."""


@given(seconds)
def test_times_are_utc_and_come_back_as_they_went(since_1970: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=since_1970)
    text = b"%04d%02d%02d%02d%02d%02d" % at.timetuple()[:6]
    assert format_time(since_1970 * SECOND) == text
    assert parse_time(text) == since_1970 * SECOND


def test_a_fraction_of_a_second_is_taken_and_not_given() -> None:
    ns = parse_time(b"20261122042522.1234567891")
    assert ns == 1_795_321_522_123_456_789
    assert format_time(ns) == b"20261122042522"


def test_seconds_may_be_missing_only_where_the_caller_says_so() -> None:
    assert parse_time(b"202611220425", seconds_needed=False) == parse_time(b"20261122042500")
    with pytest.raises(errors.BadArgument):
        parse_time(b"202611220425")


@pytest.mark.parametrize(
    "text",
    [
        b"20261322042522",
        b"20260229000000",
        b"20261122242522",
        b"20261122046022",
        b"20261122042561",
        b"00001122042522",
        b"2026112204252",
        b"20261122042522 ",
        b"20261122042522.",
        b"-0261122042522",
        b"\xd9\xa2" * 14,  # Arabic digits
        b"",
    ],
)
def test_what_is_no_time_is_refused(text: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        parse_time(text)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_a_disk_can_give_is_written_somehow(ns: int) -> None:
    assert len(format_time(ns)) == 14
    parse_time(format_time(ns))
