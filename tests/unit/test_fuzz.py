"""A little of `make fuzz`: random input for everything that parses."""

import pytest

from fuzz.parsers import PARSERS, TARGETS, again_and_again


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_random_input_is_understood_or_refused(name: str) -> None:
    again_and_again(name, 400, seed=1, inputs=True)


def test_the_parsers_are_found_that_arguments_go_to() -> None:
    assert {"parse_port", "parse_eprt", "parse_offset", "parse_type", "parse_pret", "choose_facts"} <= {
        parser.__name__ for parser in PARSERS
    }
