"""A user's rate is divided fairly, and a transfer keeps the pace that it is given."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from argosy.cluster.nodes.pacing import divide, wanted
from argosy.node.disk.pace import STEP_SECONDS, Pace

limits = st.integers(1, 10**10)
wants = st.lists(st.floats(0, 1e11) | st.just(math.inf), min_size=1, max_size=50)


@given(limits, wants)
def test_together_they_have_the_limit_and_no_more(limit: int, wants: list[float]) -> None:
    shares = divide(limit, wants)
    assert min(shares) >= 1
    assert sum(shares) <= max(limit, len(wants))
    assert sum(shares) > limit - 2 * len(wants)


@given(limits, wants)
def test_who_wants_less_than_an_even_share_gets_what_it_wants(limit: int, wants: list[float]) -> None:
    for want, share in zip(wants, divide(limit, wants), strict=True):
        assert share >= int(min(want, limit // len(wants)))


@given(limits, wants)
def test_nobody_has_too_much_while_another_lacks(limit: int, wants: list[float]) -> None:
    shares = divide(limit, wants)
    lacking = [share for want, share in zip(wants, shares, strict=True) if share + 1 <= want]
    if lacking:
        assert max(shares) <= max(lacking) + len(wants)
        assert min(lacking) >= max(lacking) - len(wants)


@given(limits, st.integers(1, 50))
def test_those_of_whom_nothing_is_known_share_evenly(limit: int, count: int) -> None:
    shares = divide(limit, [math.inf] * count)
    assert max(shares) - min(shares) <= 1


@given(limits, wants, st.randoms())
def test_the_order_makes_no_difference(limit: int, wants: list[float], random: object) -> None:
    shares = dict(zip(wants, divide(limit, wants), strict=True))
    turned = dict(zip(reversed(wants), divide(limit, list(reversed(wants))), strict=True))
    assert all(abs(shares[want] - turned[want]) <= 1 for want in shares)


def test_a_transfer_that_was_slow_and_gets_faster_has_its_share_again_after_some_beats() -> None:
    limit, could = 1_000_000, [50_000.0, math.inf]
    paces = divide(limit, [math.inf, math.inf])
    assert paces == [500_000, 500_000]
    paces = divide(limit, [wanted(min(one), one[1]) for one in zip(could, paces, strict=True)])
    assert paces == [75_000, 925_000], "the slow one's share goes to the other"
    could[0] = math.inf
    for _ in range(2):
        paces = divide(limit, [wanted(min(one), one[1]) for one in zip(could, paces, strict=True)])
    assert paces == [500_000, 500_000]


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= STEP_SECONDS
        self.now += seconds


@given(st.integers(1, 10**9), st.integers(1, 1 << 22))
def test_bytes_come_at_the_pace_that_was_given(rate: int, block: int) -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)
    pace.bytes_per_second = rate
    moved = 0
    for _ in range(100):
        portion = pace.portion(block)
        assert 1 <= portion <= max(1, int(rate * STEP_SECONDS))
        pace.spend(portion)
        moved += portion
    assert moved - rate * STEP_SECONDS <= rate * (clock.now - 100.0) + 1 <= moved + rate * STEP_SECONDS + 2


def test_a_standstill_earns_no_more_than_one_step() -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)
    pace.bytes_per_second = 1_000
    pace.spend(100)
    clock.now += 3_600.0
    begin = clock.now
    for _ in range(20):
        pace.spend(pace.portion(4_096))
    assert clock.now - begin > 17.5 * STEP_SECONDS


def test_what_may_go_as_fast_as_can_be_never_waits() -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)
    assert pace.portion(4 << 20) == 4 << 20
    pace.spend(1 << 40)
    pace.bytes_per_second = 10
    pace.spend(0)
    assert clock.now == 100.0


def test_what_is_given_up_waits_no_longer() -> None:
    clock = Clock()

    def stop(seconds: float) -> None:
        clock.sleep(seconds)
        pace.given_up = True

    pace = Pace(clock=lambda: clock.now, sleep=stop)
    pace.bytes_per_second = 10
    pace.spend(1_000)
    assert clock.now < 100.2
