"""Connections between nodes that are kept: each is used by one, in time, or not at all."""

from __future__ import annotations

import asyncio
import socket

from argosy.cluster.nodes.lines import LINE_SECONDS, Lines
from argosy.net.dataconn import DataConnection
from argosy.node.data.kept import Kept

ENDS = ("n1", 1, "n2", 1)


async def test_a_connection_that_was_kept_is_given_away_once() -> None:
    kept = Kept(10)
    ours, theirs = socket.socketpair()
    with theirs:
        kept.put(5, ours)
        assert kept.take(6) is None
        assert kept.take(5) is ours
        assert kept.take(5) is None
        ours.close()


async def test_a_connection_that_nobody_uses_is_closed_in_time() -> None:
    kept = Kept(0.05)
    ours, theirs = socket.socketpair()
    with theirs:
        kept.put(5, ours)
        theirs.setblocking(False)
        async with asyncio.timeout(10):
            assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""
        assert kept.take(5) is None


async def test_at_the_end_all_are_closed_and_none_is_kept_any_more() -> None:
    kept = Kept(10)
    pairs = [socket.socketpair() for _ in range(2)]
    kept.put(0, pairs[0][0])
    kept.close()
    kept.put(1, pairs[1][0])
    for _, theirs in pairs:
        with theirs:
            theirs.settimeout(10)
            assert theirs.recv(1) == b""


async def test_who_has_given_a_connection_away_can_do_it_no_harm() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = DataConnection.adopt(ours, stall_seconds=5)
        lent = await connection.ready()
        given = connection.release()
        assert given is lent
        connection.cut()
        connection.close()
        given.sendall(b"alive")
        assert theirs.recv(5) == b"alive"
        given.close()


async def test_a_connection_that_was_cut_is_not_given_away() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = DataConnection.adopt(ours, stall_seconds=5)
        await connection.ready()
        connection.cut()
        assert connection.release() is None
        connection.abort()


def test_a_line_is_used_again_by_the_same_ends_alone_and_the_latest_first() -> None:
    now = [100.0]
    lines = Lines(clock=lambda: now[0])
    lines.give(ENDS, 7)
    lines.give(ENDS, 8)
    assert lines.take(("n1", 2, "n2", 1)) == 0, "another life of the node"
    assert lines.take(("n2", 1, "n1", 1)) == 0
    assert [lines.take(ENDS) for _ in range(3)] == [8, 7, 0]


def test_a_line_is_not_used_when_the_nodes_may_have_let_go_of_it() -> None:
    now = [100.0]
    lines = Lines(clock=lambda: now[0])
    lines.give(ENDS, 7)
    now[0] += LINE_SECONDS + 1
    assert lines.take(ENDS) == 0
    lines.give(ENDS, 8)
    assert lines.take(ENDS) == 8
    assert lines.fresh() != lines.fresh() != 0
