"""A master that stood still for a while: it was stopped, or its machine slept."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from argosy.cluster.nodes.transfers import Transfer
from argosy.wire import link
from cluster import cluster

ANSWER_SECONDS = 0.3


async def test_a_node_is_not_blamed_for_what_the_master_slept_through(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        await site.join("n1")
        node = site.node("n1")
        transfer = Transfer(node)
        heard: asyncio.Future[link.Body | None] = asyncio.get_running_loop().create_future()
        node.inquire(link.HowFar(transfer.ticket), ANSWER_SECONDS, heard.set_result)
        time.sleep(ANSWER_SECONDS + 1)  # noqa: ASYNC251 - that is the point
        assert isinstance(await heard, link.No), "it knows no such ticket, and says so"


async def test_a_node_that_says_nothing_is_given_up_all_the_same(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        machine = await site.join("n1")
        machine.signal(signal.SIGSTOP)
        heard: asyncio.Future[link.Body | None] = asyncio.get_running_loop().create_future()
        site.node("n1").inquire(link.HowFar(1), ANSWER_SECONDS, heard.set_result)
        time.sleep(ANSWER_SECONDS + 1)  # noqa: ASYNC251 - that is the point
        async with asyncio.timeout(2):
            assert await heard is None
