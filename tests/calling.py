"""An NFS client by hand: says what a test wants, byte by byte, and gives what came back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from argosy import config
from argosy.doors.nfs.server import NfsDoor
from argosy.doors.nfs.storage import Mounts
from argosy.wire.nfs import mount3, nfs3, rpc
from argosy.wire.nfs.nfs3 import Procedure, Status
from argosy.wire.nfs.rpc import Credential
from packing import Unpack, opaque, sattr3, u32, u64

SECONDS = 10.0

ANN = Credential(1000, 1000, (), b"laptop")
ROOT = Credential(0, 0, (), b"laptop")
STRANGER = Credential(1234, 1234, (), b"laptop")


@contextlib.asynccontextmanager
async def served(mounts: Mounts, begun: Path | None = None, **settings: Any) -> AsyncIterator[int]:
    """Run a door over these mounts, and give its port."""
    settings.setdefault("listen", "127.0.0.1:0")
    door = NfsDoor(config.NfsDoor(**settings), mounts, begun)
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(door.serve(opened.set_result))
    try:
        first: set[asyncio.Future[Any]] = {serving, opened}
        await asyncio.wait(first, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield int(opened.result().rpartition(":")[2])
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        if not serving.cancelled():
            serving.result()


class Caller:
    """One connection."""

    _xids = itertools.count(0x1000)

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._listening = asyncio.create_task(self._listen())
        self.who: Credential | None = ANN

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1") -> Self:
        return cls(*await asyncio.open_connection(host, port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        self._listening.cancel()
        await asyncio.wait({self._listening})

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message, last = bytearray(), False
                while not last:
                    mark = int.from_bytes(await self._reader.readexactly(4), "big")
                    last = mark >= 0x80000000
                    message += await self._reader.readexactly(mark & 0x7FFFFFFF)
                self._waiting.pop(int.from_bytes(message[:4], "big")).set_result(bytes(message))
        for future in self._waiting.values():
            future.set_exception(ConnectionError("hung up"))

    async def say(self, record: bytes, xid: int) -> bytes:
        """Send a call with its mark, and give the reply without its own."""
        future = self._waiting[xid] = asyncio.get_running_loop().create_future()
        self._writer.write(record)
        async with asyncio.timeout(SECONDS):
            reply: bytes = await future
        return reply

    async def call(
        self, program: int, version: int, procedure: int, arguments: bytes = b"", *, xid: int = 0
    ) -> Unpack:
        """Call, and give the result; rpc.Refused if there is none."""
        xid = xid or next(self._xids)
        record = rpc.pack_call(xid, program, version, procedure, arguments, credential=self.who)
        reply = await self.say(record, xid)
        said, source = rpc.unpack_reply(reply)
        assert said == xid
        return Unpack(reply[source.at :])

    # --- MOUNT

    async def mount(self, export: str) -> bytes:
        """MNT; give the root's handle."""
        status, result = await self.mnt(export)
        assert status is mount3.Status.OK, status
        handle = result.opaque()
        assert [result.u32() for _ in range(result.u32())] == [1], "AUTH_SYS"
        result.done()
        return handle

    async def mnt(self, export: str) -> tuple[mount3.Status, Unpack]:
        result = await self.desk(mount3.Procedure.MNT, opaque(export.encode()))
        return mount3.Status(result.u32()), result

    async def desk(self, procedure: int, arguments: bytes = b"") -> Unpack:
        return await self.call(mount3.PROGRAM, mount3.VERSION, procedure, arguments)

    # --- NFS

    async def nfs(self, procedure: Procedure, arguments: bytes, *, xid: int = 0) -> tuple[Status, Unpack]:
        result = await self.call(nfs3.PROGRAM, nfs3.VERSION, procedure, arguments, xid=xid)
        return Status(result.u32()), result

    async def status(self, procedure: Procedure, arguments: bytes) -> Status:
        return (await self.nfs(procedure, arguments))[0]

    async def getattr(self, handle: bytes) -> dict[str, int]:
        status, result = await self.nfs(Procedure.GETATTR, opaque(handle))
        assert status is Status.OK, status
        told = result.fattr3()
        result.done()
        return told

    async def lookup(self, directory: bytes, path: str) -> bytes:
        """Walk to a file."""
        for name in path.split("/"):
            status, result = await self.nfs(Procedure.LOOKUP, opaque(directory) + opaque(name.encode()))
            assert status is Status.OK, (name, status)
            directory = result.opaque()
            assert result.post_op()
            result.post_op()
            result.done()
        return directory

    async def read(self, handle: bytes, offset: int, count: int) -> tuple[bytes, bool]:
        status, result = await self.nfs(Procedure.READ, opaque(handle) + u64(offset) + u32(count))
        assert status is Status.OK, status
        result.post_op()
        said, ended, data = result.u32(), result.boolean(), result.opaque()
        assert said == len(data)
        result.done()
        return data, ended

    async def write(self, handle: bytes, offset: int, data: bytes, stable: int = 0) -> tuple[int, int, bytes]:
        """WRITE; give the count, how stable, and the verifier."""
        arguments = opaque(handle) + u64(offset) + u32(len(data)) + u32(stable) + opaque(data)
        status, result = await self.nfs(Procedure.WRITE, arguments)
        assert status is Status.OK, status
        result.wcc()
        answer = result.u32(), result.u32(), result.take(8)
        result.done()
        return answer

    async def create(self, directory: bytes, name: str, *, how: int = 0, **changes: Any) -> bytes:
        """CREATE; give the handle."""
        arguments = opaque(directory) + opaque(name.encode()) + u32(how) + sattr3(**changes)
        status, result = await self.nfs(Procedure.CREATE, arguments)
        assert status is Status.OK, status
        handle = result.handle()
        assert handle
        assert result.post_op()
        result.wcc()
        result.done()
        return handle
