"""How nodes behaved: what speaks against them, and that it is forgotten."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from argosy.cluster.nodes.conduct import MOST_TROUBLE, Conduct
from argosy.cluster.nodes.placement import Candidate, rank_readers, rank_writers
from argosy.config import Placement

WEIGHTS = Placement()
MB = 1_000_000
PLAIN = Candidate("n1", 1, online=True, total=10**12, free=10**11)

NAMES = st.sampled_from(["n1", "n2", "n3"])
TIMES = st.floats(0, 1e6)
MOVES = st.lists(
    st.tuples(
        NAMES,
        st.sampled_from(["here", "there"]),
        st.integers(0, 10**12),
        st.floats(0, 1e5),
        st.floats(0, 1e5),
        st.floats(0, 1e3),
    ),
    max_size=30,
)


def conduct() -> Conduct:
    return Conduct(trouble_seconds=120, slow_seconds=300, fast=125 * MB)


def transfer(
    site: Conduct, node: str, rate: float, *, client: str = "ann", held: float = 0.0, now: float = 0.0
) -> None:
    """Move something for ten seconds."""
    site.moved(node, client, int(rate * 10), 10.0, held=held, now=now)


def test_a_node_is_slow_where_others_do_better_for_the_same_client() -> None:
    site = conduct()
    transfer(site, "n1", 90 * MB)
    transfer(site, "n2", 3 * MB)
    slow = site.slow("n2", 0.0)
    assert slow
    assert (round(slow.rate / MB), round(slow.others / MB)) == (3, 90)
    assert slow.share > 0.5
    assert site.slow("n1", 0.0) is None


def test_a_slow_client_makes_no_node_slow() -> None:
    site = conduct()
    transfer(site, "n1", 90 * MB, client="fast line")
    for node in ("n1", "n2", "n3"):
        transfer(site, node, MB / 10, client="slow line")
    assert not any(site.slow(node, 0.0) for node in ("n1", "n2", "n3"))


def test_who_waits_for_its_own_disk_is_slow_whoever_the_client_is() -> None:
    site = conduct()
    transfer(site, "n1", 90 * MB, client="one")
    transfer(site, "n2", 3 * MB, client="another", held=9.0)
    assert site.slow("n2", 0.0)


def test_disks_differ_a_little_and_nobody_is_called_slow_for_it() -> None:
    site = conduct()
    transfer(site, "n1", 900 * MB)
    transfer(site, "n2", 60 * MB, held=10.0)
    assert site.slow("n2", 0.0) is None


def test_what_takes_round_trips_says_nothing() -> None:
    site = conduct()
    transfer(site, "n1", 90 * MB)
    site.moved("n2", "ann", 10_000, 5.0, held=5.0, now=0.0)
    assert site.slow("n2", 0.0) is None


def test_a_slow_node_is_tried_again_in_time_and_redeems_itself_at_once() -> None:
    site = conduct()
    transfer(site, "n1", 90 * MB)
    transfer(site, "n2", 3 * MB)
    shares = [slow.share if (slow := site.slow("n2", now)) else 0.0 for now in range(0, 3000, 100)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.0
    for now in range(3):
        transfer(site, "n1", 90 * MB, now=now)
        transfer(site, "n2", 80 * MB, now=now)
    slow = site.slow("n2", 3.0)
    assert slow is None or slow.share < shares[0] / 2


@given(MOVES)
def test_slowness_is_a_share_and_one_node_alone_is_never_slow(
    moves: list[tuple[str, str, int, float, float, float]],
) -> None:
    site, alone, now = conduct(), conduct(), 0.0
    for node, client, count, seconds, held, pause in moves:
        now += pause
        site.moved(node, client, count, seconds, held=held, now=now)
        alone.moved("n1", client, count, seconds, held=held, now=now)
        assert alone.slow("n1", now) is None
        for name in ("n1", "n2", "n3"):
            if slow := site.slow(name, now):
                assert 0.0 < slow.share <= 1.0
                assert 0.0 <= slow.rate < slow.others


@given(st.lists(st.tuples(NAMES, st.none() | st.integers(1, 3), st.floats(0, 1e3)), max_size=20), TIMES)
def test_trouble_has_its_limit_and_fades(told: list[tuple[str, int | None, float]], later: float) -> None:
    site, now = conduct(), 0.0
    for node, volume, pause in told:
        now += pause
        site.trouble(node, volume, "it refused", now)
        found = site.troubles(node, volume or 1, now)
        assert found
        assert 1.0 <= found.amount <= MOST_TROUBLE
    for name in ("n1", "n2", "n3"):
        before, after = site.troubles(name, 1, now), site.troubles(name, 1, now + later)
        assert (after.amount if after else 0.0) <= (before.amount if before else 0.0)
        assert site.troubles(name, 1, now + 20 * 120) is None


def test_the_trouble_of_one_disk_is_not_the_others() -> None:
    site = conduct()
    site.trouble("n1", 1, "Input/output error", 0.0)
    assert site.troubles("n1", 1, 0.0)
    assert site.troubles("n1", 2, 0.0) is None
    site.trouble("n1", None, "n1 doesn't answer", 0.0)
    assert site.troubles("n1", 2, 0.0)


def test_conduct_costs_rank_and_the_reasons_say_so() -> None:
    site = conduct()
    transfer(site, "n2", 90 * MB)
    transfer(site, "n1", 3 * MB)
    site.trouble("n1", 1, "it refused", 0.0)
    stains = (
        ({"slow": site.slow("n1", 0.0)}, "slow of late: 3.0 MB/s where others do 90.0"),
        ({"trouble": site.troubles("n1", 1, 0.0)}, "trouble of late: it refused"),
        ({"missed": 1}, "has missed 1 beats"),
    )
    for stain, why in stains:
        stained = replace(PLAIN, **stain)
        busy = replace(PLAIN, node="n2", transfers=3)
        for scores in (rank_readers([stained, busy], WEIGHTS), rank_writers([stained, busy], WEIGHTS, None)):
            assert [score.candidate.node for score in scores] == ["n2", "n1"], why
            assert why in [reason.why for reason in scores[1].reasons]
            assert scores[1].eligible, "it is the last choice, and still one"
