"""What is known is answered on the spot; what isn't never stops the loop."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from argosy import config
from argosy.doors.nfs.records import Peer
from argosy.doors.nfs.server import NfsDoor
from argosy.wire.nfs import nfs3, rpc
from argosy.wire.nfs.nfs3 import Procedure
from calling import ANN
from memory import MemoryMounts
from packing import opaque, u32, u64

PEER = Peer("127.0.0.1", 1, "127.0.0.1")


def call(procedure: Procedure, arguments: bytes) -> rpc.Call:
    record = rpc.pack_call(7, nfs3.PROGRAM, nfs3.VERSION, procedure, arguments, credential=ANN)
    return rpc.unpack_call(record[4:])


def calls(mounts: MemoryMounts) -> Mapping[Procedure, rpc.Call]:
    """What clients ask most."""
    handles = NfsDoor(config.NfsDoor(), mounts)._house.handles
    root = opaque(handles.make(1, mounts["/museum"].root))
    file = opaque(handles.make(1, mounts["/museum"].put("a.txt", b"hello")))
    return {
        Procedure.GETATTR: call(Procedure.GETATTR, file),
        Procedure.LOOKUP: call(Procedure.LOOKUP, root + opaque(b"a.txt")),
        Procedure.ACCESS: call(Procedure.ACCESS, file + u32(0x3F)),
        Procedure.READ: call(Procedure.READ, file + u64(0) + u32(100)),
        Procedure.FSINFO: call(Procedure.FSINFO, root),
        Procedure.PATHCONF: call(Procedure.PATHCONF, root),
    }


@pytest.mark.parametrize("mounts", ["warm"], indirect=True)
async def test_what_is_known_is_answered_without_a_task(mounts: MemoryMounts) -> None:
    door = NfsDoor(config.NfsDoor(), mounts)
    answers = {procedure: door.answer(PEER, asked) for procedure, asked in calls(mounts).items()}
    assert all(isinstance(answer, bytes | list) for answer in answers.values()), answers


@pytest.mark.parametrize("mounts", ["cold"], indirect=True)
async def test_what_isnt_known_is_asked_for_in_a_task(mounts: MemoryMounts) -> None:
    door = NfsDoor(config.NfsDoor(), mounts)
    for asked in calls(mounts).values():
        work = door.answer(PEER, asked)
        assert not isinstance(work, bytes | list)
        assert mounts["/museum"].called == [], "the site isn't asked before the task runs"
        work.close()
