"""Time spans are read in one way, whichever word takes them."""

from __future__ import annotations

import argparse
import doctest

import pytest

from argosy.cli import grammar


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(grammar).failed == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("5s", 5), ("10m", 600), ("2h", 7200), ("7d", 604_800), ("0", 0), ("0.5d", 43_200)],
)
def test_a_span_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert grammar.span(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 m", "5x", "-1", "1e3", "nan", "inf", "5ms", "20y", "99999d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    for reading in (grammar.span, grammar.seconds, grammar.days):
        with pytest.raises(argparse.ArgumentTypeError):
            reading(text)


def test_a_life_of_no_time_is_none() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="more than no time"):
        grammar.seconds("0s")
