"""A little of `make fuzz`: random input for everything that parses."""

import random
from collections.abc import Iterator

import msgspec
import pytest

from argosy.wire import link
from fuzz import making
from fuzz.parsers import PARSERS, TARGETS, again_and_again


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_random_input_is_understood_or_refused(name: str) -> None:
    again_and_again(name, 400, seed=1, inputs=True)


def test_the_parsers_are_found_that_arguments_go_to() -> None:
    assert {"parse_port", "parse_eprt", "parse_offset", "parse_type", "parse_pret", "choose_facts"} <= {
        parser.__name__ for parser in PARSERS
    }


def test_every_message_of_the_link_is_among_the_random_ones() -> None:
    def parts(value: object) -> Iterator[type]:
        if isinstance(value, link.Message):
            yield type(value)
            for one in msgspec.structs.astuple(value):
                yield from parts(one)
        elif isinstance(value, list):
            for one in value:
                yield from parts(one)

    chance = random.Random(2)
    made = {kind for _ in range(5_000) for kind in parts(making.frame(chance).body)}
    assert made == set(link.Message.__subclasses__())
