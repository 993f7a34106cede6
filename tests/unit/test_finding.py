"""What follows SITE FIND and SITE SEARCH."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp import finding
from argosy.wire.ftp.finding import Wish


@pytest.mark.parametrize(
    ("argument", "wish"),
    [
        (b"", Wish()),
        (b"/pub", Wish(path=b"/pub")),
        (b'"/my files" -name "*.a ""b"""', Wish(path=b"/my files", names=(b'*.a "b"',))),
        (b"-name a -NAME b -iname c", Wish(names=(b"a", b"b"), any_case=(b"c",))),
        (b"-size 10k -size -1G", Wish(smallest=10_240, largest=2**30)),
        (b"-mtime -7 -mtime 2", Wish(within_days=7, before_days=2)),
        (b"-user ann -group g -slave n1", Wish(owner="ann", group="g", node="n1")),
        (b"d -type f -limit 20", Wish(path=b"d", kind="f", limit=20)),
    ],
)
def test_a_wish_is_said_in_words(argument: bytes, wish: Wish) -> None:
    assert finding.parse_find(argument) == wish


@pytest.mark.parametrize(
    "argument",
    [
        *(
            b"-name",
            b"a b",
            b"-size x",
            b"-size 1.5M",
            b"-mtime week",
            b"-type x",
            b"-limit 0",
            b"-delete yes",
        ),
        *(b'-name "a', b'-name "a"b', b"-limit 9999999999"),
    ],
)
def test_what_is_not_understood_is_refused(argument: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        finding.parse_find(argument)


def test_the_greatest_size_is_no_accident() -> None:
    assert finding.parse_find(b"-size 999999999999999999T").smallest == 2**63 - 1


@given(st.lists(st.binary(min_size=1), max_size=4))
def test_any_words_can_be_said_in_quotes(said: list[bytes]) -> None:
    quoted = b" ".join(b'"' + word.replace(b'"', b'""') + b'"' for word in said)
    assert finding.words(quoted) == tuple(said)


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_wish_or_refused(argument: bytes) -> None:
    with contextlib.suppress(errors.BadArgument):
        assert isinstance(finding.parse_find(argument), Wish)
