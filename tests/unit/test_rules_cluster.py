"""What is wanted of a file: sections and rules, as an administrator expects them to add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import config, errors
from argosy.catalogue.keeping import Way, Wish
from argosy.cluster.copies.rules import DEFAULT, FIELDS, Book, Rule, Rules, named, section_for
from argosy.config import Section

WAY: Way = [(1, b""), (7, b"video"), (8, b"raw")]
SECTIONS = {"all": Section(path="/"), "video": Section(path="/video", copies=2, prefer=("big",))}

WISHES = st.builds(
    Wish,
    copies=st.none() | st.integers(0, 9),
    spread=st.sampled_from([None, "node", "zone"]),
    require=st.none() | st.tuples() | st.tuples(st.sampled_from(["ssd", "cold"])),
    repair_delay_seconds=st.none() | st.floats(0, 1e6),
    flush=st.none() | st.booleans(),
)


def test_the_deepest_section_counts() -> None:
    sections = {"all": Section(path="/"), "video": Section(path="/video"), "raw": Section(path="/video/raw")}
    assert section_for(sections, (b"video", b"raw", b"x"))[0] == "raw"
    assert section_for(sections, (b"video", b"rawer"))[0] == "video"
    assert section_for(sections, (b"text",))[0] == "all"
    assert section_for({}, (b"text",)) == ("", None)


def test_a_section_a_rule_and_a_wish_speak_of_the_same_things() -> None:
    assert Wish.__struct_fields__ == FIELDS
    assert set(FIELDS) <= set(Section.__struct_fields__)
    plain = Section(path="/")
    assert Rule(**{field: getattr(plain, field) for field in FIELDS}) == DEFAULT


def test_where_nobody_says_anything_the_defaults_hold_and_nothing_is_copied() -> None:
    book = Book({}, {})
    assert book.rule(WAY) is DEFAULT
    assert not book.keeps
    assert set(book.explain(WAY).origins.values()) == {"default"}


def test_a_rule_overrides_the_section_field_by_field_and_says_so() -> None:
    told = Book(SECTIONS, {7: Wish(copies=3, flush=False)}).explain(WAY)
    assert told.rule == Rule(copies=3, prefer=("big",), flush=False)
    assert told.section == "video"
    assert (told.origins["copies"], told.origins["prefer"]) == ("rule on /video", "section video")
    assert told.origins["spread"] == "default"


def test_the_rule_of_the_deeper_directory_counts() -> None:
    book = Book({}, {1: Wish(copies=2, spread="zone"), 8: Wish(copies=4)})
    assert (book.rule(WAY).copies, book.rule(WAY).spread) == (4, "zone")
    assert book.rule(WAY[:2]).copies == 2


def test_a_rule_can_take_labels_away() -> None:
    assert Book(SECTIONS, {8: Wish(prefer=())}).rule(WAY).prefer == ()


def test_a_path_that_is_not_there_yet_has_the_rule_of_what_is_above_it() -> None:
    book = Book({}, {7: Wish(copies=2)})
    assert book.rule([(1, b""), (7, b"video"), (0, b"new"), (0, b"x")]).copies == 2
    assert Book(SECTIONS, {}).rule(named((b"video", b"new"))).copies == 2


def test_the_shortest_delay_of_all_is_known() -> None:
    assert Book(SECTIONS, {8: Wish(repair_delay_seconds=5.0)}).shortest_delay == 5.0
    assert Book({}, {}).shortest_delay == DEFAULT.repair_delay_seconds


def test_a_rule_that_is_set_is_in_force_once_it_was_read() -> None:
    wishes: dict[int, Wish] = {}
    rules = Rules(SECTIONS, lambda: dict(wishes))
    assert not rules.refresh()
    wishes[8] = Wish(copies=5)
    assert rules.refresh()
    assert rules.book.rule(WAY).copies == 5


@given(st.dictionaries(st.sampled_from([1, 7, 8, 9]), WISHES))
def test_each_field_is_what_its_origin_says(wishes: dict[int, Wish]) -> None:
    told = Book(SECTIONS, wishes).explain(WAY)
    assert told.rule == Book(SECTIONS, wishes).rule(WAY)
    ids = {"rule on /": 1, "rule on /video": 7, "rule on /video/raw": 8}
    for field, origin in told.origins.items():
        value = getattr(told.rule, field)
        if origin in ids:
            assert value == getattr(wishes[ids[origin]], field)
        else:
            assert value == getattr(SECTIONS["video"], field)
            assert all(getattr(wishes.get(one, Wish()), field) is None for one in ids.values())


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ((-1, 1, 0.0), "copies"),
        ((config.MOST_COPIES + 1, 1, 0.0), "copies"),
        ((2, 3, 0.0), "acknowledged"),
        ((2, 0, 0.0), "acknowledged"),
        ((2, 1, -1.0), "repair_delay_seconds"),
        ((2, 1, float("nan")), "repair_delay_seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(wrong: tuple[int, int, float], key: str) -> None:
    with pytest.raises(errors.ConfigError, match=rf"here\.{key}"):
        config.check_copies("here", *wrong)
