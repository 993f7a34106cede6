"""Slow sites, repeated calls, restarts: what a client sees of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from argosy import errors
from argosy.wire.nfs import nfs3, rpc
from argosy.wire.nfs.nfs3 import Procedure, Status
from calling import Caller, served
from memory import Memory, MemoryMounts
from packing import opaque, sattr3, u32, u64


async def test_handles_outlive_a_restart_of_the_gateway(mounts: MemoryMounts, museum: Memory) -> None:
    museum.put("d/a.txt", b"hello")
    async with served(mounts) as port, await Caller.connect(port) as ann:
        handle = await ann.lookup(await ann.mount("/museum"), "d/a.txt")
    mounts.asleep = {1, 2}
    async with served(mounts) as port, await Caller.connect(port) as ann:
        assert await ann.read(handle, 0, 10) == (b"hello", True)
    assert mounts.asleep == {2}


async def test_a_handle_of_a_mount_that_nobody_knows_is_stale(mounts: MemoryMounts, museum: Memory) -> None:
    async with served(mounts) as port, await Caller.connect(port) as ann:
        handle = await ann.mount("/museum")
        del mounts.storages[1]
        assert await ann.status(Procedure.GETATTR, opaque(handle)) is Status.STALE


async def test_another_gateways_handles_open_nothing(mounts: MemoryMounts) -> None:
    async with served(MemoryMounts("/museum", key=b"x" * 32)) as port, await Caller.connect(port) as ann:
        handle = await ann.mount("/museum")
    async with served(mounts) as port, await Caller.connect(port) as ann:
        assert await ann.status(Procedure.GETATTR, opaque(handle)) is Status.BADHANDLE


async def test_a_call_is_held_while_the_site_works_and_then_put_off(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    handle = await ann.create(root, "a.bin")
    await ann.write(handle, 0, b"data")
    slow = museum.held["flush"] = asyncio.Event()
    commit = opaque(handle) + u64(0) + u32(0)
    assert await ann.status(Procedure.COMMIT, commit) is Status.JUKEBOX  # after 0.5 s, here
    assert museum.flushed == {}
    waiting = asyncio.create_task(ann.status(Procedure.COMMIT, commit))
    await asyncio.sleep(0.1)
    assert await ann.getattr(handle), "others aren't held up"
    slow.set()
    assert await waiting is Status.OK
    assert list(museum.flushed.values()) == [b"data"]


@pytest.mark.parametrize("verb", ["write", "remove", "create"])
async def test_what_mustnt_be_done_twice_is_held_to_its_end(
    ann: Caller, root: bytes, museum: Memory, verb: str
) -> None:
    handle = await ann.create(root, "a.bin")
    slow = museum.held[verb] = asyncio.Event()
    calls = {
        "write": (Procedure.WRITE, opaque(handle) + u64(0) + u32(1) + u32(0) + opaque(b"x")),
        "remove": (Procedure.REMOVE, opaque(root) + opaque(b"a.bin")),
        "create": (Procedure.CREATE, opaque(root) + opaque(b"new") + u32(1) + sattr3()),
    }
    waiting = asyncio.create_task(ann.status(*calls[verb]))
    await asyncio.sleep(1.0)  # twice as long as anything else is held here
    assert not waiting.done()
    slow.set()
    assert await waiting is Status.OK


async def test_a_change_that_is_asked_for_again_is_made_once(
    ann: Caller, root: bytes, museum: Memory, port: int
) -> None:
    museum.put("a.txt")
    remove = opaque(root) + opaque(b"a.txt")
    first, _ = await ann.nfs(Procedure.REMOVE, remove, xid=77)
    async with await Caller.connect(port) as again:  # the client lost its connection, and the answer
        second, _ = await again.nfs(Procedure.REMOVE, remove, xid=77)
        third, _ = await again.nfs(Procedure.REMOVE, remove, xid=78)
    assert (first, second, third) == (Status.OK, Status.OK, Status.NOENT)
    assert museum.called.count("remove") == 2


async def test_a_change_under_way_is_not_begun_again(
    ann: Caller, root: bytes, museum: Memory, port: int
) -> None:
    slow = museum.held["make_directory"] = asyncio.Event()
    arguments = opaque(root) + opaque(b"d") + sattr3()
    async with await Caller.connect(port) as again:
        both = [
            asyncio.create_task(caller.nfs(Procedure.MKDIR, arguments, xid=99)) for caller in (ann, again)
        ]
        await asyncio.sleep(0.1)
        slow.set()
        assert [status for status, _ in await asyncio.gather(*both)] == [Status.OK, Status.OK]
    assert museum.called.count("make_directory") == 1


async def test_a_change_that_a_killed_gateway_made_without_saying_so_is_done(
    mounts: MemoryMounts, museum: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mute(verb: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        """Do it, and never say so."""

        async def muted(*arguments: object, **options: object) -> object:
            await verb(*arguments, **options)
            return await asyncio.Event().wait()

        return muted

    museum.put("old.txt", b"x")
    museum.put("gone.txt")
    museum.put("empty/x")
    async with served(mounts) as port, await Caller.connect(port) as ann:
        root = opaque(await ann.mount("/museum"))
    calls = {
        Procedure.MKDIR: root + opaque(b"d") + sattr3(),
        Procedure.SYMLINK: root + opaque(b"l") + sattr3() + opaque(b"x"),
        Procedure.CREATE: root + opaque(b"new") + u32(1) + sattr3(),
        Procedure.REMOVE: root + opaque(b"gone.txt"),
        Procedure.RENAME: root + opaque(b"old.txt") + root + opaque(b"new.txt"),
    }
    begun, killed = tmp_path / "begun", tmp_path / "killed"
    async with served(mounts, begun) as port, await Caller.connect(port) as ann:
        for verb in ("make_directory", "make_link", "create", "remove", "rename"):
            monkeypatch.setattr(museum, verb, mute(getattr(museum, verb)))
        waiting = [
            asyncio.create_task(ann.nfs(procedure, arguments, xid=500 + procedure))
            for procedure, arguments in calls.items()
        ]
        await asyncio.sleep(0.2)
        killed.write_bytes(begun.read_bytes())
        monkeypatch.undo()
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    names = set(museum.nodes[museum.root].names)
    assert names == {b"d", b"l", b"new", b"new.txt", b"empty"}
    async with served(mounts, killed) as port, await Caller.connect(port) as ann:
        for procedure, arguments in calls.items():
            status, _ = await ann.nfs(procedure, arguments, xid=500 + procedure)
            assert status is Status.OK, procedure
        for procedure, arguments in calls.items():  # asked for anew, by another call
            status, _ = await ann.nfs(procedure, arguments)
            assert status in (Status.EXIST, Status.NOENT), procedure
    assert set(museum.nodes[museum.root].names) == names


async def test_a_change_is_finished_though_its_client_has_gone(
    root: bytes, museum: Memory, port: int
) -> None:
    slow = museum.held["make_directory"] = asyncio.Event()
    async with await Caller.connect(port) as gone:
        waiting = asyncio.create_task(
            gone.nfs(Procedure.MKDIR, opaque(root) + opaque(b"d") + sattr3(), xid=5)
        )
        await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.wait({waiting})
    slow.set()
    async with await Caller.connect(port) as back:
        status, _ = await back.nfs(Procedure.MKDIR, opaque(root) + opaque(b"d") + sattr3(), xid=5)
        assert status is Status.OK
        assert await back.lookup(root, "d")


async def test_who_changes_a_directory_alone_hears_what_it_was_before(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    museum.warm = True
    before = await ann.getattr(root)
    _, result = await ann.nfs(Procedure.MKDIR, opaque(root) + opaque(b"d") + sattr3())
    result.handle()
    result.post_op()
    was, now = result.wcc()
    result.done()
    assert was == (before["size"], before["mtime_ns"], before["ctime_ns"])
    assert now == await ann.getattr(root)


async def test_who_changes_a_directory_beside_others_doesnt(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.warm = True
    slow = museum.held["make_directory"] = asyncio.Event()
    both = [
        asyncio.create_task(ann.nfs(Procedure.MKDIR, opaque(root) + opaque(name) + sattr3()))
        for name in (b"d", b"e")
    ]
    await asyncio.sleep(0.1)
    slow.set()
    for status, result in await asyncio.gather(*both):
        assert status is Status.OK
        result.handle()
        result.post_op()
        was, now = result.wcc()
        assert was is None, "the other's change would pass for this one's"
        assert now


async def test_a_site_that_is_away_is_logged_with_its_name(
    ann: Caller, root: bytes, museum: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    museum.trouble["read_link"] = errors.Unavailable("ftp.example.org")
    await ann.status(Procedure.READLINK, opaque(root))
    assert [record.getMessage() for record in caplog.records] == [
        "/museum: READLINK: Out of reach now, try again: ftp.example.org"
    ]


async def test_what_the_site_forbids_is_logged_in_its_words(
    ann: Caller, root: bytes, museum: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    museum.trouble["remove"] = errors.Denied("550 Not on a Sunday")
    assert await ann.status(Procedure.REMOVE, opaque(root) + opaque(b"a")) is Status.ACCES
    assert [record.getMessage() for record in caplog.records] == [
        "/museum: REMOVE: Permission denied: 550 Not on a Sunday"
    ]


async def test_an_accident_is_logged_and_the_connection_lives_on(
    ann: Caller, root: bytes, museum: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    museum.trouble["read_link"] = ZeroDivisionError("a bug")
    assert await ann.status(Procedure.READLINK, opaque(root)) is Status.SERVERFAULT
    assert "ZeroDivisionError: a bug" in caplog.text
    assert await ann.getattr(root)


async def test_calls_are_answered_out_of_order(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.bin", b"x")
    handle = await ann.lookup(root, "a.bin")
    slow = museum.held["read"] = asyncio.Event()
    museum.warm = False
    reading = asyncio.create_task(ann.read(handle, 0, 1))
    assert await ann.getattr(root)
    assert not reading.done()
    slow.set()
    assert await reading == (b"x", True)


async def test_a_credential_that_isnt_known_is_refused(ann: Caller, root: bytes) -> None:
    call = rpc.pack_call(9, nfs3.PROGRAM, 3, 1, opaque(root))
    kerberos = call[:28] + u32(6) + call[32:]  # RPCSEC_GSS
    with pytest.raises(rpc.Refused, match="auth_stat"):
        rpc.unpack_reply(await ann.say(kerberos, 9))
    assert await ann.getattr(root)
