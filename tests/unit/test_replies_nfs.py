"""A change that is asked for twice is made once."""

from __future__ import annotations

import asyncio

import pytest

import packing
from argosy.doors.nfs import replies
from argosy.wire.nfs import rpc


class Work:
    """Something that shall be done once."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> rpc.Reply:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        return b"reply %d" % number


def call(xid: int = 1, procedure: int = 12, arguments: bytes = b"name") -> rpc.Call:
    return rpc.unpack_call(rpc.pack_call(xid, 100_003, 3, procedure, packing.opaque(arguments))[4:])


async def test_who_asks_again_gets_the_first_reply() -> None:
    kept, work = replies.Replies(10), Work()
    which = replies.key("10.0.0.1", call())
    first, again = (asyncio.create_task(kept.once(which, work)) for _ in range(2))
    await asyncio.sleep(0)
    work.gate.set()
    assert [await first, await again, await kept.once(which, work)] == [b"reply 1"] * 3
    assert kept.known(which) == b"reply 1"
    assert (work.begun, kept.repeated) == (1, 3)


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("10.0.0.2", call()),
        ("10.0.0.1", call(xid=2)),
        ("10.0.0.1", call(procedure=13)),
        ("10.0.0.1", call(arguments=b"mane")),
        ("10.0.0.1", call(arguments=b"longer name")),
    ],
)
async def test_another_call_isnt_taken_for_the_same(host: str, other: rpc.Call) -> None:
    kept, work = replies.Replies(10), Work()
    work.gate.set()
    assert await kept.once(replies.key("10.0.0.1", call()), work) == b"reply 1"
    assert await kept.once(replies.key(host, other), work) == b"reply 2"


async def test_what_failed_is_tried_again() -> None:
    kept = replies.Replies(10)
    which = replies.key("10.0.0.1", call())

    async def fail() -> rpc.Reply:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    first, again = (asyncio.create_task(kept.once(which, fail)) for _ in range(2))
    for task in (first, again):
        with pytest.raises(ZeroDivisionError):
            await task
    work = Work()
    work.gate.set()
    assert await kept.once(which, work) == b"reply 1"


async def test_a_client_that_goes_takes_nobodys_reply_with_it() -> None:
    kept, work = replies.Replies(10), Work()
    which = replies.key("10.0.0.1", call())
    first, again = (asyncio.create_task(kept.once(which, work)) for _ in range(2))
    await asyncio.sleep(0)
    again.cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await first == b"reply 1"


async def test_the_oldest_replies_go_first() -> None:
    kept, work = replies.Replies(3), Work()
    work.gate.set()
    keys = [replies.key("10.0.0.1", call(xid=xid)) for xid in range(5)]
    for which in keys:
        await kept.once(which, work)
    assert len(kept) == 3
    assert [kept.known(which) is None for which in keys] == [True, True, False, False, False]
