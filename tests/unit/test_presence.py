"""Who is here, how much each may have at once, and who may not come back for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.cluster.nodes.transfers import Transfer
from argosy.net.origin import origin
from argosy.presence import report
from argosy.presence.bans import Bans
from argosy.presence.visitors import Direction, Visitor, Visitors
from argosy.wire import link


class FarNode:
    """A node as a transfer sees it: it keeps what it was told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.transfers: dict[int, Transfer] = {}
        self.online = True
        self.paces: dict[int, int] = {}

    def tell(self, order: link.Body) -> None:
        if isinstance(order, link.Pace):
            self.paces[order.ticket] = order.bytes_per_second

    def begun(self, transfer: Transfer) -> None:
        self.transfers[transfer.ticket] = transfer

    def inquire(self, question: link.Body, seconds: float, heard: Callable[[link.Body | None], None]) -> None:
        raise NotImplementedError

    def hangs(self) -> None:
        raise NotImplementedError


def arrive(visitors: Visitors, account: Account | None = None, address: str = "192.0.2.1") -> Visitor:
    visitor = visitors.arrive("ftp", address, print)
    if account:
        visitors.log_in(visitor, Login(account))
    return visitor


def test_an_address_is_its_own_origin_and_of_ipv6_the_network() -> None:
    assert origin("192.0.2.1") == origin("::ffff:192.0.2.1") == "192.0.2.1"
    assert origin("2001:db8:0:1::5") == origin("2001:db8:0:1:ffff::") == "2001:db8:0:1::/64"
    assert origin("fe80::1%eth0") == "fe80::/64"


def test_one_address_can_not_take_all_sessions() -> None:
    visitors = Visitors(sessions_per_address=2)
    first = arrive(visitors)
    arrive(visitors, address="::ffff:192.0.2.1")
    with pytest.raises(errors.TooMany):
        arrive(visitors)
    arrive(visitors, address="192.0.2.2")
    visitors.leave(first)
    arrive(visitors)
    assert len(visitors) == 3


def test_a_user_has_as_many_sessions_as_it_may_and_another_once_one_is_gone() -> None:
    visitors, ann = Visitors(), Account(name="ann", sessions=2)
    first, _ = arrive(visitors, ann), arrive(visitors, ann)
    third = arrive(visitors)
    with pytest.raises(errors.TooMany):
        visitors.log_in(third, Login(ann))
    assert third.account is None
    visitors.log_in(third, Login(Account(name="bob")))
    visitors.log_in(first, Login(ann))  # again, in the same session
    visitors.log_out(first)
    visitors.log_in(third, Login(ann))
    assert [one.id for one in visitors.named("ann")] == [2, 3]


@given(st.lists(st.tuples(st.sampled_from("+-io"), st.integers(0, 5))))
def test_whoever_comes_and_goes_the_counts_agree_with_who_is_here(steps: list[tuple[str, int]]) -> None:
    visitors, ann = Visitors(sessions_per_address=4), Account(name="ann", sessions=3)
    here: list[Visitor] = []
    for step, number in steps:
        try:
            if step == "+":
                here.append(arrive(visitors))
            elif here:
                visitor = here[number % len(here)]
                if step == "-":
                    visitors.leave(visitor)
                    here.remove(visitor)
                elif step == "i":
                    visitors.log_in(visitor, Login(ann))
                else:
                    visitors.log_out(visitor)
        except errors.TooMany:
            logged_in = sum(one.account is not None for one in here)
            assert len(here) == 4 if step == "+" else logged_in == 3
        assert list(visitors) == here
        assert visitors.named("ann") == [one for one in here if one.account]


def test_hanging_up_is_by_id_or_by_name() -> None:
    visitors = Visitors()
    told: list[str] = []
    for name in ("ann", "ann", "7"):
        visitor = visitors.arrive("ftp", "192.0.2.1", told.append)
        visitors.log_in(visitor, Login(Account(name=name)))
    assert [one.id for one in visitors.hang_up("2", "bye")] == [2]
    assert [one.id for one in visitors.hang_up("ann", "bye")] == [1, 2]
    assert [one.id for one in visitors.hang_up("7", "bye")] == [3], (
        "no session has this id, a user has this name"
    )
    assert told == ["bye"] * 4
    for nobody in ("bob", "99", "", "²"):
        with pytest.raises(errors.NoSuchAccount):
            visitors.hang_up(nobody, "bye")


def test_a_user_has_as_many_transfers_in_each_direction_as_it_may() -> None:
    visitors = Visitors()
    one, two = (arrive(visitors, Account(name="ann", uploads=1, downloads=2)) for _ in range(2))
    with visitors.moving(one, Direction.UP), visitors.moving(two, Direction.DOWN):
        with pytest.raises(errors.TooMany), visitors.moving(two, Direction.UP):
            pass
        with visitors.moving(two, Direction.DOWN), pytest.raises(errors.TooMany):
            visitors.moving(one, Direction.DOWN).__enter__()
    with visitors.moving(two, Direction.UP):
        pass


async def test_a_rate_is_shared_by_all_transfers_of_a_user_wherever_they_run() -> None:
    visitors, nodes = Visitors(), [FarNode("n1"), FarNode("n2")]
    ann = Account(name="ann", down_bytes_per_second=900_000)
    paces: list[list[int]] = []
    begun: list[Transfer] = []
    with ExitStack() as stack:
        for number in range(3):
            movement = stack.enter_context(visitors.moving(arrive(visitors, ann), Direction.DOWN))
            transfer = Transfer(nodes[number % 2])
            movement.paced(begun.append)(transfer)
            assert begun[-1] is transfer
            paces.append([one.pace for one in begun])
        up = stack.enter_context(visitors.moving(arrive(visitors, ann), Direction.UP))
        up.paced(begun.append)(Transfer(nodes[0]))
        assert begun.pop().pace == 0, "the other direction has no limit"
        assert paces == [[900_000], [450_000, 450_000], [300_000, 300_000, 300_000]]
        # Beats: the first moves little, so the others get what it leaves.
        for transfer, moved in zip(begun, (10_000, 300_000, 300_000), strict=True):
            transfer.progressed(0, 1.0)
            transfer.progressed(moved, 2.0)
        async with asyncio.timeout(5.0):
            running = asyncio.ensure_future(visitors.run(0.01))
            while begun[0].pace == 300_000:
                await asyncio.sleep(0.01)
            running.cancel()
        assert [one.pace for one in begun] == [15_000, 442_500, 442_500]
        assert [nodes[number % 2].paces[one.ticket] for number, one in enumerate(begun)] == [
            *(15_000, 442_500, 442_500)
        ]
        document = report.describe(next(iter(visitors)))
        assert document["transfers"][0]["bytes_per_second"] == 10_000
        begun[0].finish(link.Done(begun[0].ticket, 5_000_000, "", ""))
    first = report.describe(next(iter(visitors)))
    assert (first["sent"], first["received"], first["transfers"]) == (5_000_000, 0, [])


async def test_when_a_transfer_ends_the_others_have_its_share_at_once() -> None:
    visitors, node = Visitors(), FarNode("n1")
    ann = arrive(visitors, Account(name="ann", up_bytes_per_second=1_000))
    with visitors.moving(ann, Direction.UP) as long:
        long.paced(lambda _: None)(Transfer(node))
        with visitors.moving(ann, Direction.UP) as short:
            short.paced(lambda _: None)(Transfer(node))
            assert long.transfer
            assert long.transfer.pace == 500
        assert long.transfer.pace == 1_000


async def test_who_is_here_is_told_as_a_table() -> None:
    visitors = Visitors()
    ann = arrive(visitors, Account(name="ann\x1b[2J"))
    arrive(visitors, address="2001:db8::1")
    ann.begins("RETR f")
    head, first, second = report.table(report.describe(one) for one in visitors).splitlines()
    assert head.split() == list(report.HEAD)
    assert first.split()[:3] == ["1", "ann\\x1b[2J", "192.0.2.1"]
    assert first.endswith("RETR f")
    assert second.split()[1:3] == ["-", "2001:db8::1"]
    with visitors.moving(ann, Direction.DOWN) as movement:
        movement.paced(lambda _: None)(Transfer(FarNode("attic")))
        assert report.table([report.describe(ann)]).splitlines()[1].split()[-3:] == ["attic", "RETR", "f"]
    ann.rests()
    assert report.describe(ann)["doing"] == ""


# --- bans


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_with_too_many_wrong_passwords_is_turned_away_for_a_while() -> None:
    clock = Clock()
    bans = Bans(failures=3, window_seconds=60, ban_seconds=100, clock=clock)
    assert [bans.failed("192.0.2.1"), bans.failed("192.0.2.1"), bans.failed("192.0.2.2")] == [1, 2, 1]
    assert bans.seconds_left("192.0.2.1") == 0
    assert bans.failed("::ffff:192.0.2.1") == 3
    assert bans.seconds_left("192.0.2.1") == 100
    assert bans.current() == {"192.0.2.1": 100}
    assert bans.seconds_left("192.0.2.2") == 0
    clock.now += 99
    assert bans.seconds_left("192.0.2.1") == 1
    clock.now += 1
    assert bans.seconds_left("192.0.2.1") == 0
    assert bans.current() == {}
    assert bans.failed("192.0.2.1") == 1, "the count begins anew"


def test_old_failures_count_no_more() -> None:
    clock = Clock()
    bans = Bans(failures=3, window_seconds=60, ban_seconds=100, clock=clock)
    for _ in range(50):
        bans.failed("192.0.2.1")
        clock.now += 31
    assert bans.current() == {}


def test_a_whole_network_of_ipv6_is_turned_away_and_comes_back_by_its_name() -> None:
    bans = Bans(failures=2, window_seconds=60, ban_seconds=100)
    bans.failed("2001:db8::1")
    bans.failed("2001:db8::2")
    assert bans.seconds_left("2001:db8::ffff") > 99
    assert bans.seconds_left("2001:db8:0:1::1") == 0
    assert bans.lift("2001:db8::/64")
    assert not bans.lift("2001:db8::7")
    assert bans.seconds_left("2001:db8::1") == 0
    with pytest.raises(ValueError, match="nonsense"):
        bans.lift("nonsense")


def test_nobody_is_banned_where_that_is_switched_off_and_the_count_stays_small() -> None:
    bans = Bans(failures=0, window_seconds=60, ban_seconds=100)
    assert {bans.failed("192.0.2.1") for _ in range(100)} == {1}
    assert bans.current() == {}
