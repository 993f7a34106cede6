"""The next step for a file's copies: whatever the nodes do, it leads to what is wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.catalogue.keeping import SAFE, Stock
from argosy.catalogue.model import Entry, Kind, Membership, Replica, Standing, State
from argosy.cluster.copies.repairing import (
    CONTENT,
    SECOND_NS,
    Content,
    Copy,
    Drop,
    Place,
    Scene,
    Unmet,
    Wait,
    beside,
    promise,
)
from argosy.cluster.copies.rules import Rule
from argosy.config import Repair, Spread

NOW = 1_000_000 * SECOND_NS
SIZE, VER = 100, 77
ENTRY = Entry(5, 1, b"f", Kind.FILE, State.LIVE, VER, SIZE, 1, 1, "ann", "ann", 0o644)
LIMITS = Repair(batch_files=10)
TWO = Rule(copies=2)


def copy(volume: int, *, standing: Standing = Standing.GOOD, ver: int = VER) -> Replica:
    return Replica(ENTRY.id, volume, f"n{volume}", ver, standing, b"f", SIZE, 1)


def stock(*volumes: int, bad: Collection[int] = ()) -> Stock:
    standings = [Standing.BAD if volume in bad else Standing.GOOD for volume in volumes]
    copies = [copy(at, standing=how) for at, how in zip(volumes, standings, strict=True)]
    return Stock(ENTRY, tuple(copies))


def nodes(count: int) -> dict[int, Place]:
    return {number: Place(number, f"n{number}", total=10_000, free=5_000) for number in range(1, count + 1)}


def scene(places: dict[int, Place], rule: Rule = TWO) -> Scene:
    return Scene(rule, places, now_ns=NOW, reserve_bytes=1_000, limits=LIMITS)


def test_who_makes_room_sends_to_the_roomiest_that_is_reached() -> None:
    places = nodes(4)
    places[3] = replace(places[3], free=9_000)
    assert scene(places, Rule(copies=1)).way_out(stock(1), 1) == 3
    places[1] = replace(places[1], strangers=frozenset({3, 2}))
    assert scene(places, Rule(copies=1)).way_out(stock(1), 1) == 4
    places[1] = replace(places[1], strangers=frozenset({2, 3, 4}))
    assert scene(places, Rule(copies=1)).way_out(stock(1), 1) == 3, "it may have been a moment's trouble"


def away(place: Place, seconds: float) -> Place:
    return replace(place, online=False, merged=False, away_ns=NOW - int(seconds * SECOND_NS))


def test_a_file_with_one_copy_gets_its_second_on_another_node() -> None:
    assert scene(nodes(3)).plan(stock(2)) in (Copy(2, 1), Copy(2, 3))
    assert scene(nodes(3)).danger(stock(2)) == 1


def test_a_file_with_its_copies_is_left_alone_and_so_is_one_of_which_nobody_said_a_number() -> None:
    assert scene(nodes(3)).plan(stock(1, 3)) == CONTENT
    assert scene(nodes(3)).danger(stock(1, 3)) == SAFE
    assert scene(nodes(3), Rule()).plan(stock(1, 2, 3)) == CONTENT
    assert scene(nodes(3), Rule()).plan(stock()) == CONTENT


def test_two_copies_are_on_one_node_only_as_long_as_there_is_no_other() -> None:
    one = {1: Place(1, "a", free=5_000), 2: Place(2, "a", free=5_000)}
    assert scene(one).plan(stock(1)) == Copy(1, 2)
    two = {**one, 3: Place(3, "b", free=5_000)}
    assert scene(two).plan(stock(1)) == Copy(1, 3)
    assert scene(two).plan(stock(1, 2)) in (Copy(1, 3), Copy(2, 3))
    dropped = scene(two).plan(stock(1, 2, 3))
    assert isinstance(dropped, Drop)
    assert dropped.volume in (1, 2)


def test_copies_go_to_another_zone_first_and_to_the_same_one_rather_than_nowhere() -> None:
    rule = replace_rule(spread="zone")
    places = nodes(3)
    places[3].zone = "attic"
    assert scene(places, rule).plan(stock(1)) == Copy(1, 3)
    places[3].free = 0
    assert scene(places, rule).plan(stock(1)) == Copy(1, 2)
    assert scene(places, rule).plan(stock(1, 2)) == Unmet("no room on n3")


def replace_rule(**said: object) -> Rule:
    return Rule(**{"copies": 2, **said})  # type: ignore[arg-type]


def test_a_reboot_costs_nothing_and_a_node_away_for_longer_is_replaced() -> None:
    places = nodes(3)
    places[2] = away(places[2], 60)
    assert scene(places).plan(stock(1, 2)) == Wait(NOW + 540 * SECOND_NS)
    places[2] = away(places[2], 600)
    assert scene(places).plan(stock(1, 2)) == Copy(1, 3)
    assert scene(places).danger(stock(1, 2)) == 1


def test_a_lost_disk_is_replaced_at_once() -> None:
    places = nodes(3)
    places[2] = replace(away(places[2], 0), membership=Membership.LOST)
    assert scene(places).plan(stock(1, 2)) == Copy(1, 3)


def test_what_came_back_is_one_too_many_but_only_once_it_was_looked_at() -> None:
    places = nodes(3)
    places[2].merged = False
    assert isinstance(scene(places).plan(stock(1, 2, 3)), Wait)
    places[2].merged = True
    assert isinstance(scene(places).plan(stock(1, 2, 3)), Drop)


def test_a_volume_that_is_emptied_gives_its_copies_away_and_then_they_go() -> None:
    places = nodes(3)
    places[1].membership = Membership.DRAINING
    assert scene(places).plan(stock(1, 2)) in (Copy(1, 3), Copy(2, 3))
    assert scene(places).plan(stock(1, 2, 3)) == Drop(1, (2, 3))


def test_where_nobody_said_a_number_one_copy_elsewhere_is_enough_for_what_is_emptied() -> None:
    places = nodes(4)
    places[1].membership = Membership.DRAINING
    nobody = scene(places, Rule())
    assert nobody.plan(stock(2, 3)) == CONTENT
    assert nobody.plan(stock(1)) in (Copy(1, 2), Copy(1, 3), Copy(1, 4))
    assert nobody.danger(stock(1)) == SAFE  # it is well where it is
    assert nobody.plan(stock(1, 2)) == Drop(1, (2,))
    assert nobody.plan(stock(1, 2, 3)) == Drop(1, (2, 3))
    places[1].online = places[1].merged = False
    assert scene(places, Rule()).plan(stock(1, 2)) == CONTENT
    assert scene(places, Rule()).plan(stock(1)) == Unmet("the only good copies are away, on n1")
    only = {1: places[1]}
    places[1].online = True
    assert scene(only, Rule()).plan(stock(1)) == Unmet("1 copy is wanted, 0 volumes are there")


def test_a_copy_on_a_node_without_the_required_label_does_not_count() -> None:
    places = nodes(3)
    places[2].labels = places[3].labels = frozenset({"cold"})
    rule = replace_rule(require=("cold",))
    assert scene(places, rule).plan(stock(1, 2)) in (Copy(1, 3), Copy(2, 3))
    assert scene(places, rule).plan(stock(1, 2, 3)) == Drop(1, (2, 3))
    places[3].labels = frozenset()
    why = scene(places, rule).plan(stock(2))
    assert why == Unmet("2 copies are wanted, 1 volume is there with the labels cold")


def test_files_lie_only_where_they_may_also_where_nobody_said_a_number() -> None:
    places = nodes(4)
    places[3].labels = frozenset({"cold"})
    there = scene(places, Rule(only=("cold", "n4")))
    assert there.plan(stock(3)) == CONTENT
    assert there.plan(stock(1, 2)) in (Copy(1, 3), Copy(2, 3), Copy(1, 4), Copy(2, 4))
    assert there.plan(stock(1, 2, 3)) in (Drop(1, (3,)), Drop(2, (3,)))
    assert there.plan(stock(1, 3)) == Drop(1, (3,))
    assert there.plan(stock(3, 4)) == CONTENT  # two that were found where they may be stay
    two = scene(places, Rule(copies=2, only=("cold",)))
    assert two.plan(stock(1, 3)) == Unmet("2 copies are wanted, 1 volume is there, of cold")
    assert two.danger(stock(1, 3)) == SAFE


def test_a_nodes_name_is_one_of_its_labels() -> None:
    places = nodes(3)
    assert scene(places, replace_rule(prefer=("n3",))).plan(stock(1)) == Copy(1, 3)
    assert scene(places, Rule(copies=1, require=("n2",))).plan(stock(1)) == Copy(1, 2)
    places[2].labels = None  # it hasn't been here in this life of the master
    assert scene(places, Rule(only=("attic",))).plan(stock(2)) == CONTENT


def test_why_files_do_not_stay_where_they_are_is_said_in_words() -> None:
    places = nodes(3)
    places[1].membership = Membership.DRAINING
    assert scene(places, Rule(only=("n3",))).explain(stock(1, 2)) == [
        "n1 is being emptied",
        "n2 isn't where the rule wants it",
        "next: copied from n1 to n3",
    ]
    assert scene(places, Rule(only=("n3",))).explain(stock(1, 3)) == [
        "n1 is being emptied",
        "next: the copy on n1 goes",
    ]
    assert scene(places).explain(stock(2, 3)) == []
    places[3] = away(places[3], 60)
    assert scene(places).explain(stock(2, 3)) == ["n3 is away; its copy still counts"]
    places[3] = away(places[3], 6000)
    told = scene(places).explain(stock(2, 3))
    assert told == [
        "n3 is away; its copy doesn't count any more",
        "stuck: 2 copies are wanted, 1 volume is there",
    ]


def test_preferred_nodes_come_first_and_avoided_ones_last() -> None:
    places = nodes(4)
    places[2].labels, places[4].labels = frozenset({"old"}), frozenset({"big"})
    assert scene(places, replace_rule(prefer=("big",))).plan(stock(1)) == Copy(1, 4)
    assert scene(places, replace_rule(avoid=("old", "big"))).plan(stock(1)) == Copy(1, 3)
    assert scene(places, replace_rule(avoid=("old",))).plan(stock(1, 2, 3)) == Drop(2, (1, 3))


def test_what_stands_in_the_way_is_said() -> None:
    places = nodes(2)
    assert scene(places).plan(stock()) == Unmet("no good copy is left")
    assert scene(places).plan(stock(1, bad={1})) == Unmet("the only copy that is here is bad")
    places[2].free = 0
    assert scene(places).plan(stock(1)) == Unmet("no room on n2")
    places[2] = away(places[2], 5)
    assert scene(places).plan(stock(1)) == Unmet("waiting for n2")
    assert scene(places).plan(stock(2)) == Unmet("the only good copies are away, on n2")
    assert scene(nodes(1)).plan(stock(1)) == Unmet("2 copies are wanted, 1 volume is there")


def test_bad_and_outdated_copies_are_neither_counted_nor_copied_nor_overwritten() -> None:
    places = nodes(3)
    mixed = Stock(ENTRY, (copy(1), copy(2, standing=Standing.SUSPECT), copy(3, ver=VER - 1)))
    assert scene(places).plan(mixed) == Unmet("2 copies are wanted, 3 volumes are there")
    assert scene(nodes(4)).plan(mixed) == Copy(1, 4)


def test_a_copy_that_is_known_to_be_bad_stands_for_no_good_one() -> None:
    for rule in (TWO, Rule(copies=1)):
        for bad in (1, 2, 3):
            step = scene(nodes(3), rule).plan(stock(1, 2, 3, bad={bad}))
            assert not isinstance(step, Drop) or bad not in (step.volume, *step.keep)
        assert scene(nodes(2), Rule(copies=1)).plan(stock(1, 2, bad={1})) == CONTENT
    assert scene(nodes(3)).plan(stock(1, 2, bad={1})) == Copy(2, 3)
    assert scene(nodes(3)).danger(stock(1, 2, bad={1})) == 1
    told = Unmet("the copy on n1 is bad, and no other volume can take one")
    assert scene(nodes(2)).plan(stock(1, 2, bad={1})) == told


def test_as_many_files_as_a_batch_holds_go_the_same_way_and_then_another_has_its_turn() -> None:
    places = nodes(4)
    targets = []
    for _ in range(3 * LIMITS.batch_files):
        step = scene(places).plan(stock(1))
        assert isinstance(step, Copy)
        promise(places, step, SIZE)
        targets.append(step.target)
    assert targets == [2] * 10 + [3] * 10 + [4] * 10


def test_each_source_gathers_for_a_target_of_its_own() -> None:
    places = nodes(4)
    pairs = set()
    for number in range(4 * 5):
        step = scene(places).plan(stock(1 + number % 4))
        assert isinstance(step, Copy)
        promise(places, step, SIZE)
        pairs.add((step.source, step.target))
    assert sorted(source for source, _ in pairs) == [1, 2, 3, 4]
    assert len({target for _, target in pairs}) >= 3


def as_nodes(places: list[Place]) -> dict[int, Place]:
    """Number volumes; those of one node are in one zone."""
    zones = {place.node: place.zone for place in places}
    return {n: replace(place, number=n, zone=zones[place.node]) for n, place in enumerate(places, 1)}


PLACES = st.lists(
    st.builds(
        Place,
        number=st.just(0),
        node=st.sampled_from(["a", "b", "c", "d"]),
        online=st.booleans(),
        merged=st.booleans(),
        labels=st.sampled_from([None, frozenset(), frozenset({"cold"}), frozenset({"cold", "old"})]),
        zone=st.sampled_from([None, "", "x", "y"]),
        membership=st.sampled_from([Membership.MEMBER, Membership.MEMBER, *Membership]),
        away_ns=st.none() | st.integers(NOW - 1_000 * SECOND_NS, NOW),
        total=st.just(10_000),
        free=st.sampled_from([0, 1_099, 1_100, 9_000]),
        room=st.integers(0, 2),
        files_in=st.integers(0, 30),
    ),
    max_size=8,
).map(as_nodes)

RULES = st.builds(
    Rule,
    copies=st.integers(0, 5),
    spread=st.sampled_from(["node", "zone"]),
    require=st.sampled_from([(), ("cold",)]),
    prefer=st.sampled_from([(), ("cold",)]),
    avoid=st.sampled_from([(), ("old",)]),
    only=st.sampled_from([(), (), ("a", "old")]),
    repair_delay_seconds=st.sampled_from([0.0, 600.0]),
)


def steps(looks: Scene, volumes: set[int]) -> list[tuple[set[int], object]]:
    """Carry out step after step, as long as there is one; give what was there before each, and the step."""
    taken: list[tuple[set[int], object]] = []
    while True:
        step = looks.plan(stock(*sorted(volumes)))
        taken.append((set(volumes), step))
        assert len(taken) < 20, "it goes round in circles"
        if isinstance(step, Copy):
            assert step.source in volumes
            assert step.target not in volumes
            volumes = volumes | {step.target}
        elif isinstance(step, Drop):
            assert step.volume in volumes
            assert set(step.keep) <= volumes - {step.volume}
            volumes = volumes - {step.volume}
        else:
            return taken


def taken_last(looks: Scene, volumes: set[int]) -> set[int]:
    """Give the volumes that have a copy when there is nothing left to do."""
    return steps(looks, volumes)[-1][0]


@given(PLACES, RULES, st.sets(st.integers(1, 8)))
def test_the_steps_end_and_no_step_takes_away_what_is_needed(
    places: dict[int, Place], rule: Rule, held: set[int]
) -> None:
    looks = scene(places, rule)
    counted = looks._counted
    for volumes in (held & places.keys(), set[int]()):  # who only wants to know hears the same
        planned, seen = looks.plan(stock(*volumes)), looks.look(stock(*volumes))
        assert seen == (planned if isinstance(planned, Wait | Content) else None)
    for before, step in steps(looks, held & places.keys()):
        if isinstance(step, Drop):
            here = {n for n in step.keep if places[n].online and places[n].merged and n in counted}
            assert len(here) >= max(rule.copies, 1)
            assert all(places[n].membership is Membership.MEMBER for n in here)
            spread = {places[n].node for n in here}
            assert len(spread) >= min(max(rule.copies, 1), len({places[n].node for n in counted}))
            if not rule.copies:  # nobody has spoken: only what is emptied is taken away from
                place = places[step.volume]
                outside = (place.labels or frozenset({"a"})) | {place.node}
                left = bool(rule.only) and outside.isdisjoint(rule.only)
                assert place.membership is Membership.DRAINING or left
        elif isinstance(step, Copy):
            source, target = places[step.source], places[step.target]
            assert source.online
            assert target.online
            assert target.merged
            assert target.free - SIZE >= 1_000
            shared = {places[n].node for n in before & counted}
            if target.node in shared:  # then no node is reckoned with that has none
                assert len(shared) >= min(rule.copies, len({places[n].node for n in counted}))
        elif isinstance(step, Content | Wait):
            assert len(before & counted) >= rule.copies
        else:
            assert isinstance(step, Unmet)
    if not rule.copies and held & counted & places.keys():
        assert taken_last(looks, held & places.keys()) & counted, "a copy that counts is kept"


@given(PLACES, RULES, st.sets(st.integers(1, 8)), st.integers(1, 8), st.integers(1, 8))
def test_a_copy_that_goes_from_here_to_there_leaves_no_file_worse_off(
    places: dict[int, Place], rule: Rule, held: set[int], source: int, target: int
) -> None:
    looks = scene(places, rule)
    volumes = held & places.keys()
    shifted = replace(stock(*sorted(volumes)), shift=(source, target))
    before = volumes & looks._counted
    step = looks._shifted(shifted, looks.good(shifted), source, target)
    if step is None or isinstance(step, Wait):
        return
    assert source in before
    assert looks._suffice([places[number] for number in before])
    if isinstance(step, Copy):
        assert step.target == target
        assert target not in volumes
        assert step.source in volumes
        there = replace(stock(*sorted(volumes | {target})), shift=(source, target))
        after = looks._shifted(there, looks.good(there), source, target)
        if all(place.online and place.merged for place in places.values()):
            assert after == Drop(source, tuple(sorted((before | {target}) - {source})))
    else:
        assert step.volume == source
        assert target in step.keep
        kept = [places[number] for number in step.keep]
        assert all(place.online and place.merged for place in kept)
        assert looks._suffice(kept)
        gone = replace(stock(*sorted(volumes - {source})), shift=(source, target))
        assert looks._shifted(gone, looks.good(gone), source, target) is None


@given(PLACES, st.lists(RULES, min_size=1, max_size=2), st.lists(st.sets(st.integers(1, 8)), max_size=12))
def test_who_has_planned_for_many_files_decides_for_the_next_as_who_begins_anew(
    places: dict[int, Place], rules: list[Rule], files: list[set[int]]
) -> None:
    standing = [scene(places, rule) for rule in rules]
    for number, held in enumerate(files):
        rule = number % len(rules)
        file = stock(*sorted(held & places.keys()))
        step = standing[rule].plan(file)
        assert step == scene(places, rules[rule]).plan(file)
        if isinstance(step, Copy):
            promise(places, step, SIZE)


def test_of_a_thousand_nodes_a_few_are_looked_at_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {n: replace(place, zone=f"z{n % 8}") for n, place in nodes(1_000).items()}
    for n in range(1, 901):
        places[n].free = 900  # the reserve is more
    looked: list[int] = []
    order = Scene._load_in

    def watched(self: Scene, place: Place) -> tuple[int, ...]:
        looked.append(place.number)
        return order(self, place)

    monkeypatch.setattr(Scene, "_load_in", watched)
    looks = scene(places, Rule(copies=3, spread="zone"))
    looks.plan(stock(1, 2))
    looked.clear()
    for n in range(1, 301):
        step = looks.plan(stock(n, n + 1))
        assert isinstance(step, Copy)
        promise(places, step, SIZE)
    assert len(looked) < 10 * 300


def test_a_copy_goes_from_here_to_there_only_if_all_is_well() -> None:
    places = nodes(4)

    def going(*volumes: int, rule: Rule = TWO) -> object:
        return scene(places, rule).plan(replace(stock(*volumes), shift=(1, 4)))

    assert going(1, 2) in (Copy(1, 4), Copy(2, 4))
    assert going(1, 2, 4) == Drop(1, (2, 4))
    assert going(2, 4) == CONTENT
    assert going(1) in (Copy(1, 2), Copy(1, 3), Copy(1, 4))  # what is missing comes first
    assert isinstance(going(1, 2, 3), Drop)  # and what is too much goes first
    assert going(1, rule=Rule()) == Copy(1, 4)
    assert going(1, 4, rule=Rule()) == Drop(1, (4,))
    assert going(1, 2, rule=replace_rule(only=("n1", "n2"))) == CONTENT
    places[4].free = 0
    assert going(1, 2) == CONTENT
    assert going(1, 2, 4) == Drop(1, (2, 4))
    places[4] = away(places[4], 5)
    assert isinstance(going(1, 2), Wait)  # it is only just gone, or the master has only just come
    assert isinstance(going(1, 2, 4), Wait)
    places[4] = away(places[4], 5_000)
    assert going(1, 2) == CONTENT


@given(PLACES, RULES.filter(lambda rule: rule.copies > 0), st.sets(st.integers(1, 8), min_size=1))
@example(
    # If the zone were a volume's and not a node's, two copies could end up in one that has to go, and can't.
    as_nodes(
        [
            *(Place(0, "a", zone=""), Place(0, "a", zone=""), Place(0, "c", zone=None)),
            *(Place(0, "a", zone=None, files_in=1), Place(0, "b", zone=""), Place(0, "c", zone="x")),
        ]
    ),
    Rule(copies=3, spread="zone"),
    {1},
)
def test_where_all_are_here_and_have_room_the_rule_is_met_to_the_letter(
    places: dict[int, Place], rule: Rule, held: set[int]
) -> None:
    for place in places.values():
        place.online = place.merged = True
        place.away_ns, place.free, place.membership = None, 9_000, Membership.MEMBER
        place.labels = place.labels or frozenset()
    fit = {number for number, place in places.items() if place.labels and "cold" in place.labels}
    fit = fit if rule.require else set(places)
    if rule.only:
        fit = {n for n in fit if not ((places[n].labels or set()) | {places[n].node}).isdisjoint(rule.only)}
    held &= places.keys()
    if not held:
        return
    after, last = steps(scene(places, rule), held)[-1]
    assert len({places[n].node for n in after & fit}) >= min(rule.copies, len({places[n].node for n in fit}))
    if len(fit) >= rule.copies:
        assert last == CONTENT
        assert len(after) == rule.copies
        assert after <= fit
        if rule.spread == "zone":
            zones = [
                {p.zone if p.zone is not None else f"?{p.node}" for p in ps}
                for ps in ([places[n] for n in after], [places[n] for n in fit])
            ]
            assert len(zones[0]) >= min(rule.copies, len(zones[1]))
    else:
        assert isinstance(last, Unmet)
        assert after >= fit


@given(PLACES, RULES, st.sets(st.integers(1, 8)))
def test_what_is_said_to_be_impossible_is(places: dict[int, Place], rule: Rule, held: set[int]) -> None:
    looks = scene(places, rule)
    after, last = steps(looks, held & places.keys())[-1]
    if not isinstance(last, Unmet) or "only" in last.why or "no good copy" in last.why:
        return
    could = [
        place
        for number, place in places.items()
        if number in looks._counted and number not in after and place.online and place.merged
        if place.free - SIZE >= 1_000
    ]
    shared = {places[n].node for n in after & looks._counted}
    spread = len(shared) >= min(rule.copies, len({places[n].node for n in looks._counted}))
    if len(after & looks._counted) < rule.copies:
        assert all(place.node in shared for place in could)
        assert not (spread and could)


# --- beside a first copy


def chosen(having: list[Place], ranked: list[Place], spread: Spread = "node", count: int = 1) -> list[int]:
    return [place.number for place in beside(having, ranked, spread, count)]


def test_further_copies_of_an_upload_go_to_other_nodes_first_in_the_order_of_their_rank() -> None:
    disks = [Place(1, "a"), Place(2, "a"), Place(3, "b"), Place(4, "c")]
    assert chosen(disks[:1], disks) == [3]
    assert chosen(disks[:1], disks[::-1]) == [4]
    assert chosen(disks[:1], disks, count=3) == [3, 4, 2]
    assert chosen([disks[0], disks[2]], disks) == [4], "another for one that failed"
    assert chosen(disks[:1], disks[:2]) == [2], "better on a second disk than nowhere"
    assert chosen(disks[:1], disks[:1]) == []


def test_further_copies_of_an_upload_go_to_other_zones_first_where_they_are_spread_so() -> None:
    places = [
        Place(1, "a", zone="x"),
        Place(2, "b", zone="x"),
        Place(3, "c", zone="y"),
        Place(4, "d", zone="y"),
    ]
    assert chosen(places[:1], places, "zone") == [3]
    assert chosen(places[:1], places, "zone", 2) == [3, 2]
    assert chosen(places[:1], places) == [2]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), min_size=1, max_size=8),
    st.sampled_from(["node", "zone"]),
    st.integers(0, 4),
)
def test_further_copies_share_nothing_that_they_need_not_share(
    where: list[tuple[str, str]], spread: Spread, count: int
) -> None:
    zone_of = dict(where)
    places = [Place(number, node, zone=zone_of[node]) for number, (node, _) in enumerate(where, 1)]
    found = [places[0], *beside(places[:1], places, spread, count)]
    assert len(found) == min(1 + count, len(places))
    assert len({place.number for place in found}) == len(found)
    levels = ["zone", "node"] if spread == "zone" else ["node"]
    widest = levels[0]
    there = {getattr(place, widest) for place in places}
    assert len({getattr(place, widest) for place in found}) == min(len(found), len(there))


def test_no_copy_goes_where_a_bad_one_is_still_to_be_moved_aside() -> None:
    owed = replace(stock(2), owed=frozenset({1}))
    assert scene(nodes(3)).plan(owed) == Copy(2, 3)
    assert scene(nodes(2)).plan(owed) == Unmet("the copy on n1 is bad, and no other volume can take one")
    shifted = replace(stock(2, 3), shift=(2, 1), owed=frozenset({1}))
    assert scene(nodes(3)).gives_up(shifted)
    gathering = nodes(3)
    promise(gathering, Copy(2, 1), SIZE)
    assert scene(gathering).plan(owed) == Copy(2, 3)
