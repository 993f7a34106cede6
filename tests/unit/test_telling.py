"""What clients are told of a file stays the same for as long as the file does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.sites.model import Facts, Kind
from argosy.sites.names.record import ROOT, Row
from argosy.sites.names.telling import SECOND, Teller, as_seen_from, same_moment

TELLER = Teller(1000, 1001, frozenset({b"ann"}), 7 * SECOND, {b"bob": 33}.get, {b"staff": 44}.get)

facts = st.builds(
    Facts,
    name=st.just(b"f"),
    kind=st.just(Kind.FILE),
    size=st.integers(0, 1 << 40),
    mtime_ns=st.none() | st.integers(0, 1 << 31).map(lambda seconds: seconds * SECOND),
    mode=st.none() | st.integers(0, 0o777),
)


@given(facts, facts)
def test_clients_see_a_change_if_and_only_if_the_site_tells_of_one(one: Facts, other: Facts) -> None:
    first, second = TELLER.tell(one, 9, ROOT), TELLER.tell(other, 9, ROOT)
    changed = (first.size, first.mtime_ns, first.mode) != (second.size, second.mtime_ns, second.mode)
    assert (first != second) == changed
    if changed and first.mtime_ns == second.mtime_ns and max(first.size, second.size) < 10_000:
        assert first.ctime_ns != second.ctime_ns


@pytest.mark.parametrize(
    ("owner", "group", "told"),
    [
        (None, None, (1000, 1001)),
        (b"ann", b"users", (1000, 1001)),
        (b"bob", b"staff", (33, 44)),
        (b"bob", b"nobody knows", (33, 1001)),
        (b"somebody else", b"staff", (1000, 1001)),
        (b"501", b"20", (501, 20)),
    ],
)
def test_files_belong_to_who_mounted_unless_the_site_names_somebody_known_here(
    owner: bytes | None, group: bytes | None, told: tuple[int, int]
) -> None:
    attributes = TELLER.tell(Facts(name=b"f", kind=Kind.FILE, owner=owner, group=group), 9, ROOT)
    assert (attributes.uid, attributes.gid) == told


def test_a_time_that_was_told_holds_until_the_site_says_another() -> None:
    row = Row(9, ROOT, b"f", Kind.FILE.value, None, 100 * SECOND + 7, 200 * SECOND, 5, 100 * SECOND)
    seen = Facts(name=b"f", kind=Kind.FILE, size=5, mtime_ns=100 * SECOND)
    assert TELLER.tell(seen, 9, ROOT, row).mtime_ns == 100 * SECOND + 7
    assert TELLER.tell(seen, 9, ROOT, row).ctime_ns == 200 * SECOND
    for size, mtime in [(6, 100), (5, 101)]:
        other = Facts(name=b"f", kind=Kind.FILE, size=size, mtime_ns=mtime * SECOND)
        assert TELLER.tell(other, 9, ROOT, row).mtime_ns == mtime * SECOND
    listed = Facts(name=b"f", kind=Kind.FILE, size=5, mtime_ns=60 * SECOND, precise=False)
    assert TELLER.tell(listed, 9, ROOT, row).mtime_ns == 100 * SECOND + 7


def test_a_directory_is_as_new_as_our_last_change_in_it() -> None:
    seen = Facts(name=b"d", kind=Kind.DIRECTORY, mtime_ns=100 * SECOND)
    told = TELLER.tell(seen, 9, ROOT, None, 300 * SECOND + 1)
    assert told.mtime_ns == told.ctime_ns == 300 * SECOND + 1
    assert TELLER.tell(seen, 9, ROOT, None, 50 * SECOND).mtime_ns == 100 * SECOND


@pytest.mark.parametrize(
    ("directory", "target", "home", "seen"),
    [
        (b"/pub/d", b"../f", b"/pub", b"../f"),
        (b"/pub/d", b"/pub/f", b"/pub", b"../f"),
        (b"/pub/d", b"/pub", b"/pub", b".."),
        (b"/d", b"/e/f", b"/", b"../e/f"),
        (b"/pub/d", b"/public/f", b"/pub", b"/public/f"),
    ],
)
def test_a_link_leads_in_the_mount_where_it_leads_on_the_site(
    directory: bytes, target: bytes, home: bytes, seen: bytes
) -> None:
    assert as_seen_from(directory, target, home) == seen


@given(st.integers(0, 1 << 31))
def test_a_time_told_to_the_minute_or_the_day_is_the_same_moment(seconds: int) -> None:
    now = seconds * SECOND
    for unit in (60, 86_400):
        coarse = (seconds - seconds % unit) * SECOND
        assert same_moment(now, True, coarse, False)
        assert same_moment(coarse, False, now, True)
        assert same_moment(coarse, False, coarse, False)
        assert not same_moment(now, True, coarse + unit * SECOND, False)
    assert not same_moment(now, True, now + SECOND, True)
