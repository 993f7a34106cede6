"""Clients find our port by rpcbind, where there is one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import packing
from argosy.net import rpcbind
from argosy.wire.nfs import portmap, rpc
from argosy.wire.nfs.records import RecordReader
from running import needs

BINDINGS = [portmap.Binding(program, 3, "127.0.0.1", 12_049) for program in (100_003, 100_005)]


@contextlib.asynccontextmanager
async def binder(path: Path, answer: Callable[[rpc.Call], bytes]) -> AsyncIterator[None]:
    """Something in rpcbind's place."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        records = RecordReader(4096)
        while data := await reader.read(4096):
            for record in records.feed(data):
                writer.write(answer(rpc.unpack_call(record)))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_it_is_told_program_version_and_address(tmp_path: Path) -> None:
    heard = []

    def answer(call: rpc.Call) -> bytes:
        heard.append((call.program, call.version, call.procedure, bytes(call.record[call.at :])))
        return rpc.success(call.xid, packing.u32(1))

    async with binder(tmp_path / "socket", answer):
        assert await rpcbind.register(BINDINGS, seconds=5, local_socket=tmp_path / "socket") == BINDINGS
        await rpcbind.unregister(BINDINGS[:1], seconds=5, local_socket=tmp_path / "socket")
    nfs, mount = map(portmap.pack_rpcb, BINDINGS)
    assert heard == [(100_000, 4, 1, nfs), (100_000, 4, 1, mount), (100_000, 4, 2, nfs)]


@pytest.mark.parametrize(
    "answer",
    [
        lambda call: rpc.success(call.xid, packing.u32(0)),
        lambda call: rpc.success(call.xid, b""),
        lambda call: rpc.success(call.xid + 1, packing.u32(1)),
        lambda call: rpc.program_mismatch(call.xid, 2, 2),
        lambda _: b"\xff" * 40,
        lambda _: b"",
    ],
    ids=["no", "nothing", "another's reply", "another version", "rubbish", "silence"],
)
async def test_an_rpcbind_that_wont_is_no_trouble(
    tmp_path: Path, answer: Callable[[rpc.Call], bytes]
) -> None:
    async with binder(tmp_path / "socket", answer):
        assert await rpcbind.register(BINDINGS, seconds=0.5, local_socket=tmp_path / "socket") == []


SCENE = """
    import asyncio, subprocess, sys, time
    from pathlib import Path
    from argosy.net import rpcbind
    from argosy.wire.nfs.portmap import Binding

    bindings = [Binding(program, 3, "127.0.0.1", 12_049) for program in (100_003, 100_005)]
    assert asyncio.run(rpcbind.register(bindings, seconds=5)) == [], "nobody is there"
    daemon = subprocess.Popen([sys.argv[1], "-f", "-r"])
    socket = Path("/run/rpcbind.sock")
    for _ in range(200):
        time.sleep(0.05)
        if socket.exists():
            break

    def known():
        lines = subprocess.run([sys.argv[2], "-p", "127.0.0.1"], capture_output=True, text=True).stdout
        return sorted(tuple(map(int, line.split()[:4:3])) for line in lines.splitlines() if "12049" in line)

    try:
        for where in (socket, Path("/run/none")):
            assert asyncio.run(rpcbind.register(bindings, seconds=5, local_socket=where)) == bindings, where
            assert asyncio.run(rpcbind.register(bindings, seconds=5, local_socket=where)) == bindings, "again"
            assert known() == [(100_003, 12_049), (100_005, 12_049)], known()
            other = [binding._replace(port=2049) for binding in bindings]
            assert asyncio.run(rpcbind.register(other, seconds=5, local_socket=where)) == [], "taken"
            assert asyncio.run(rpcbind.unregister(bindings, seconds=5, local_socket=where)) == bindings
            assert known() == [], known()
    finally:
        daemon.kill()
        daemon.wait()
    print("well")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network of its own")
def test_the_real_one_knows_us_and_forgets_us(tmp_path: Path) -> None:
    scene = tmp_path / "scene.py"
    scene.write_text(textwrap.dedent(SCENE))
    inside = f"mount -t tmpfs none /run && ip link set lo up && exec {sys.executable} {scene} $0 $1"
    done = subprocess.run(
        [needs("unshare"), "--net", "--mount", "sh", "-c", inside, needs("rpcbind"), needs("rpcinfo")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "well", done.stderr
