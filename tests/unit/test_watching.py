"""A transfer is asked after: hung nodes lose it, busy ones don't."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from argosy.cluster.nodes.transfers import Transfer
from argosy.wire import link

ANSWER, STALL = 0.02, 0.3


class FarNode:
    """A node that answers as it is told to."""

    name = "n1"

    def __init__(self, moved: Callable[[], int | None]) -> None:
        """`moved` gives what it says of the transfer; None: it says nothing."""
        self.online = True
        self.transfers: dict[int, Transfer] = {}
        self.told: list[link.Body] = []
        self.hung = 0
        self._moved = moved

    def tell(self, order: link.Body) -> None:
        self.told.append(order)

    def begun(self, transfer: Transfer) -> None:
        self.transfers[transfer.ticket] = transfer

    def inquire(self, question: link.Body, seconds: float, heard: Callable[[link.Body | None], None]) -> None:
        assert isinstance(question, link.HowFar)
        moved = self._moved()
        answer = None if moved is None else link.Running(question.ticket, moved)
        asyncio.get_running_loop().call_later(seconds if answer is None else 0, heard, answer)

    def hangs(self) -> None:
        self.hung += 1


def watched(node: FarNode, *, upload: int = 0) -> Transfer:
    transfer = Transfer(node)
    transfer.upload = upload
    transfer.watch(ANSWER, STALL)
    return transfer


async def over(transfer: Transfer, seconds: float) -> link.Done | None:
    done = asyncio.ensure_future(transfer.outcome())
    await asyncio.wait({done}, timeout=seconds)
    return done.result() if done.done() else None


async def test_a_node_that_says_nothing_loses_a_transfer_that_has_not_begun() -> None:
    node = FarNode(lambda: None)
    done = await over(watched(node), 5.0)
    assert done
    assert (done.refusal, done.subject) == ("TransferCut", "n1 doesn't answer")
    assert node.hung == 1
    assert any(isinstance(order, link.Cancel) for order in node.told), "it may wake up"


async def test_a_node_that_waits_for_its_client_keeps_it() -> None:
    node = FarNode(lambda: 0)
    assert await over(watched(node), STALL / 2) is None
    assert node.hung == 0


async def test_a_node_that_falls_silent_in_the_middle_keeps_it() -> None:
    answers = iter([5])
    node = FarNode(lambda: next(answers, None))
    assert await over(watched(node), 3 * STALL) is None, "that is for the link to say"


async def test_a_download_that_stands_still_is_given_up_and_an_upload_is_not() -> None:
    done = await over(watched(FarNode(lambda: 7)), 20 * STALL)
    assert done
    assert done.subject == "n1 stands still"
    assert await over(watched(FarNode(lambda: 7), upload=3), 3 * STALL) is None, "it may be flushing"


async def test_a_download_that_moves_is_left_alone() -> None:
    moved = iter(range(1, 1000))
    assert await over(watched(FarNode(lambda: next(moved))), 4 * STALL) is None


async def test_a_node_that_is_away_is_not_asked() -> None:
    node = FarNode(lambda: None)
    transfer = watched(node)
    node.online = False
    assert await over(transfer, 5 * ANSWER) is None
    assert node.hung == 0


async def test_who_gives_up_does_not_wait_for_a_node_that_hangs() -> None:
    node = FarNode(lambda: 9)
    transfer = watched(node)
    transfer.copy(link.Supply(transfer.ticket, [], link.Offer(transfer.ticket, 1, "n2")))
    transfer.cancel()
    done = await over(transfer, 5.0)
    assert done
    assert done.refusal == "TransferCut"
