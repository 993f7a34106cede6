"""A little of `make fuzz` for the NFS door: each call has one answer, and the door lives on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections import Counter

import pytest

import packing
from calling import Caller
from fuzz import making, nfs
from memory import Memory


async def handles_of(ann: Caller, museum: Memory, root: bytes) -> list[bytes]:
    for path in ("a", "b", "dir/c", "dir/dir/a"):
        museum.put(path, path.encode() * 100)
    return [root, *[await ann.lookup(root, path) for path in ("a", "b", "dir", "dir/c", "dir/dir")]]


async def test_every_call_has_one_answer_however_it_is_cut(
    ann: Caller, museum: Memory, root: bytes, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    handles = await handles_of(ann, museum, root)
    talks = [
        asyncio.to_thread(nfs.converse, ("127.0.0.1", port), random.Random(seed), 1200, handles)
        for seed in range(3)
    ]
    answers = sum(await asyncio.gather(*talks), Counter[str]())
    assert answers.total() >= 3600
    assert answers.keys() >= {
        "OK",
        "NOENT",
        "BADHANDLE",
        "INVAL",
        "GARBAGE_ARGS",
        "PROG_UNAVAIL",
        "PROG_MISMATCH",
    }
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (await ann.getattr(root))["kind"] == 2


async def test_after_rubbish_the_door_serves(ann: Caller, museum: Memory, root: bytes, port: int) -> None:
    handles = await handles_of(ann, museum, root)
    chance = random.Random(7)

    def be_rude() -> None:
        for _ in range(60):
            with socket.create_connection(("127.0.0.1", port), 20) as made, contextlib.suppress(OSError):
                stream = b"".join(
                    packing.record(nfs.call(chance, xid, handles)) for xid in range(chance.randrange(9))
                )
                for piece in making.cut(chance, making.damaged(chance, stream) + chance.randbytes(5)):
                    made.sendall(piece)
                if chance.random() < 0.5:
                    made.settimeout(0.05)
                    made.recv(1000)

    await asyncio.to_thread(be_rude)
    assert (await ann.getattr(root))["kind"] == 2
