"""Choosing nodes: the rules a user would expect, and reasons that add up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from argosy.cluster.nodes.placement import Candidate, rank_readers, rank_writers
from argosy.config import Placement, Section

WEIGHTS = Placement()
GIB = 2**30
PLAIN = Candidate("n1", 1, online=True, total=100 * GIB, free=50 * GIB)

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        node=st.sampled_from(["n1", "n2", "n3"]),
        volume=st.integers(1, 9),
        online=st.booleans(),
        labels=st.frozensets(st.sampled_from(["ssd", "cold"])),
        transfers=st.integers(0, 100),
        load=st.floats(0, 10),
        rate=st.floats(0, 1e10),
        total=st.integers(0, 2**50),
        free=st.integers(0, 2**50),
        turn=st.integers(0, 1000),
        holds=st.booleans(),
        emptied=st.booleans(),
    ),
    max_size=9,
)


def first(*candidates: Candidate) -> str:
    return rank_writers(candidates, WEIGHTS, None)[0].candidate.node


def test_the_emptier_disk_takes_the_upload() -> None:
    assert first(PLAIN, replace(PLAIN, node="n2", free=90 * GIB)) == "n2"


def test_the_idle_node_takes_the_upload() -> None:
    assert first(replace(PLAIN, transfers=3), replace(PLAIN, node="n2")) == "n2"


def test_equal_nodes_take_turns() -> None:
    assert first(replace(PLAIN, turn=7), replace(PLAIN, node="n2", turn=3)) == "n2"
    assert first(replace(PLAIN, turn=2), replace(PLAIN, node="n2", turn=3)) == "n1"


def test_a_full_disk_takes_nothing() -> None:
    (score,) = rank_writers([replace(PLAIN, free=WEIGHTS.reserve_bytes - 1)], WEIGHTS, None)
    assert not score.eligible
    assert "reserve" in score.reasons[0].why


def test_what_is_emptied_takes_nothing_but_what_goes_on_with_a_file_that_it_has() -> None:
    emptied, other = replace(PLAIN, emptied=True), replace(PLAIN, node="n2", free=GIB)
    scores = rank_writers([emptied, other], WEIGHTS, None)
    assert [(score.candidate.node, score.eligible) for score in scores] == [("n2", True), ("n1", False)]
    assert scores[1].reasons[0].why == "is being emptied"
    holding = rank_writers([replace(emptied, holds=True), other], WEIGHTS, None)
    assert [(score.candidate.node, score.eligible) for score in holding] == [("n2", True), ("n1", True)]
    assert rank_readers([replace(emptied, holds=True)], WEIGHTS)[0].eligible


def test_only_nodes_of_a_label_or_name_take_what_shall_lie_only_there() -> None:
    video = Section(path="/video", only=("ssd", "n3"))
    fast = replace(PLAIN, node="n2", labels=frozenset({"ssd"}))
    scores = rank_writers([PLAIN, fast, replace(PLAIN, node="n3")], WEIGHTS, video)
    assert {score.candidate.node: score.eligible for score in scores} == {"n1": False, "n2": True, "n3": True}
    assert scores[-1].reasons[0].why == "isn't of ssd or n3"


def test_a_required_label_keeps_others_out_and_a_preferred_one_draws() -> None:
    video = Section(path="/video", require=("ssd",))
    scores = rank_writers([PLAIN, replace(PLAIN, node="n2", labels=frozenset({"ssd"}))], WEIGHTS, video)
    assert [(score.candidate.node, score.eligible) for score in scores] == [("n2", True), ("n1", False)]
    video = Section(path="/video", prefer=("ssd",))
    busy = replace(PLAIN, node="n2", labels=frozenset({"ssd"}), transfers=50, free=20 * GIB)
    assert rank_writers([PLAIN, busy], WEIGHTS, video)[0].candidate.node == "n2"


@given(CANDIDATES)
def test_a_node_that_is_away_is_never_chosen(candidates: list[Candidate]) -> None:
    for scores in (rank_readers(candidates, WEIGHTS), rank_writers(candidates, WEIGHTS, None)):
        assert len(scores) == len(candidates)
        assert all(score.candidate.online for score in scores if score.eligible)
        eligible = [score.eligible for score in scores]
        assert eligible == sorted(eligible, reverse=True)


@given(CANDIDATES)
def test_the_reasons_are_the_whole_score(candidates: list[Candidate]) -> None:
    for score in rank_readers(candidates, WEIGHTS):
        assert score.reasons
        assert score.points == sum(reason.points for reason in score.reasons)
