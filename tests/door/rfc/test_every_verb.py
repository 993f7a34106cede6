"""What holds for every verb of the table: before the login, without an argument, with one too many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from argosy.wire.ftp.commands import VERBS, Argument
from running import Site
from talking import Talk


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.needs_login])
def test_a_stranger_gets_530(stranger: Talk, verb: str) -> None:
    assert stranger.codes(verb, f"{verb} f") == [530, 530]


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.argument is Argument.REQUIRED])
def test_an_argument_that_is_missing_is_501(friend: Talk, verb: str) -> None:
    assert friend.codes(verb, f"{verb} ".strip(), verb.lower()) == [501, 501, 501]


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.argument is Argument.NONE])
def test_an_argument_too_many_is_501(friend: Talk, verb: str) -> None:
    assert friend.codes(f"{verb} x", f"{verb} /a b") == [501, 501]


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.argument is not Argument.NONE])
@pytest.mark.parametrize("byte", [b"\0", b"\r\0"], ids=["nul", "cr"])
def test_a_cr_or_nul_is_no_part_of_an_argument(friend: Talk, verb: str, byte: bytes) -> None:
    assert friend.ask(verb.encode() + b" a" + byte + b"b").code in {501, 503, 553}


@pytest.fixture(scope="module")
def stranger(site: Site) -> Iterator[Talk]:
    """Connect, and don't log in."""
    with Talk(site, login=False) as talk:
        yield talk


@pytest.fixture(scope="module")
def friend(site: Site) -> Iterator[Talk]:
    """Log in."""
    with Talk(site) as talk:
        yield talk
