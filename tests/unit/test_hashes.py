"""The algorithms of HASH and its forerunners."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp import hashes
from argosy.wire.ftp.commands import VERBS


def test_the_chosen_algorithm_has_a_star() -> None:
    assert hashes.feature("SHA-1") == "HASH SHA-256;SHA-512;SHA-1*;MD5;CRC32;"
    assert hashes.feature(hashes.FIRST).count("*") == 1


def test_an_algorithm_is_chosen_by_name_and_told_without_one() -> None:
    assert hashes.choose(b"sha-512", "MD5") == "SHA-512"
    assert hashes.choose(b"", "MD5") == "MD5"


@given(st.binary(max_size=30))
def test_whatever_is_asked_for_is_chosen_or_refused(wanted: bytes) -> None:
    if wanted.strip().upper() in {b"", *(name.encode() for name in hashes.HASHES)}:
        assert hashes.choose(wanted, "MD5") in hashes.HASHES
    else:
        with pytest.raises(errors.Unsupported):
            hashes.choose(wanted, "MD5")


def test_no_algorithm_is_chosen_that_nobody_has() -> None:
    with pytest.raises(errors.Unsupported, match="CRC-37"):
        hashes.choose(b"CRC-37", "MD5")


def test_every_verb_has_an_algorithm_that_hash_has_too() -> None:
    assert set(hashes.BY_VERB.values()) == set(hashes.HASHES.values())
    assert set(hashes.BY_VERB) <= set(VERBS)
