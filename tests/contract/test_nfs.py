"""Files of real sites by NFS, through a real gateway, with a strict client, in whatever order."""

from __future__ import annotations

import os
import posixpath
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nfs_rs import AsyncClient

import servers
from argosy import config
from argosy.doors.nfs.records import Peer
from argosy.doors.nfs.server import NfsDoor
from argosy.sites.model import Changes
from argosy.wire.nfs import nfs3, rpc
from argosy.wire.nfs.nfs3 import Procedure
from calling import ANN
from contract import storing
from gateways import Gateway
from memory import MemoryMounts
from packing import opaque, u32, u64
from servers import Server

STEPS = 80
"""Random operations on each site."""


@pytest.fixture
def gateway(peer: Server, tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "gateway", {"remote": {"certificates": "any"}})
    gateway.start()
    try:
        yield gateway
    finally:
        assert gateway.stop() == 0


def export(peer: Server) -> str:
    return f"ftp://{peer.user}:{peer.password}@{peer.host}:{peer.port}{servers.FOLDER}"


async def connect(gateway: Gateway, peer: Server) -> AsyncClient:
    return await AsyncClient.connect(
        f"nfs://127.0.0.1/{export(peer)}",
        nfs_port=gateway.port,
        mount_port=gateway.port,
        noresvport=True,
        uid=1000,
        gid=1000,
        connect_timeout=20,
        operation_timeout=60,
    )


@pytest.fixture
async def client(gateway: Gateway, peer: Server) -> AsyncIterator[AsyncClient]:
    client = await connect(gateway, peer)
    async with client:
        yield client
        await empty(client, "")


async def empty(client: AsyncClient, directory: str) -> None:
    async for entry in client.scandir(directory):
        if entry.info.type.value == "directory":
            await empty(client, entry.path)
            await client.rmdir(entry.path)
        else:
            await client.remove(entry.path)


class Model:
    """What the files should be: a client's work, done at once on a dictionary."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.files: dict[str, bytes] = {}
        self.directories = {""}
        self.done: list[str] = []

    def some(self, names: set[str] | dict[str, bytes]) -> str:
        return self.rng.choice(sorted(names))

    def new(self) -> str:
        return posixpath.join(self.some(self.directories), f"n{self.rng.randrange(20)} ä")

    def data(self, most: int = 60_000) -> bytes:
        return self.rng.randbytes(self.rng.choice([0, 1, 100, 5000, most]))

    def below(self, directory: str) -> set[str]:
        return {
            path for path in {*self.files, *self.directories} - {""} if posixpath.dirname(path) == directory
        }

    async def step(self, client: AsyncClient) -> None:
        """Do something, with both."""
        verbs = ["create", "create", "mkdir", "list"]
        if self.files:
            verbs += ["overwrite", "write at", "append", "truncate", "remove", "rename", "replace", "read"]
        verb = self.rng.choice(verbs)
        said: str = await getattr(self, "_" + verb.replace(" ", "_"))(client)
        self.done.append(f"{verb} {said}")  # pytest shows it

    async def _create(self, client: AsyncClient) -> str:
        path, data = self.new(), self.data()
        if path in self.directories:
            return "nothing"
        async with await client.open(path, "wb") as file:
            await file.write(data)
        self.files[path] = data
        return f"{path} {len(data)}"

    async def _overwrite(self, client: AsyncClient) -> str:
        path, data = self.some(self.files), self.data()
        async with await client.open(path, "wb") as file:
            await file.write(data)
        self.files[path] = data
        return f"{path} {len(data)}"

    async def _write_at(self, client: AsyncClient) -> str:
        path, data = self.some(self.files), self.data(3000)
        at = self.rng.randrange(len(self.files[path]) + 2000)
        async with await client.open(path, "r+b") as file:
            await file.write_at(data, at)
        if data:
            old = self.files[path].ljust(at, b"\0")
            self.files[path] = old[:at] + data + old[at + len(data) :]
        return f"{path} {at}+{len(data)}"

    async def _append(self, client: AsyncClient) -> str:
        path, data = self.some(self.files), self.data(3000)
        async with await client.open(path, "ab") as file:
            await file.write(data)
        self.files[path] += data
        return f"{path} {len(data)}"

    async def _truncate(self, client: AsyncClient) -> str:
        path = self.some(self.files)
        size = self.rng.randrange(len(self.files[path]) + 3000)
        await client.truncate(path, size)
        self.files[path] = self.files[path][:size].ljust(size, b"\0")
        return f"{path} {size}"

    async def _remove(self, client: AsyncClient) -> str:
        path = self.some(self.files)
        await client.remove(path)
        del self.files[path]
        return path

    async def _rename(self, client: AsyncClient) -> str:
        old, new = self.some(self.files), self.new()
        if new in self.directories or new == old:
            return "nothing"
        await client.rename(old, new)
        self.files[new] = self.files.pop(old)
        return f"{old} {new}"

    async def _replace(self, client: AsyncClient) -> str:
        """Save as editors do."""
        path, data = self.some(self.files), self.data()
        part = posixpath.join(posixpath.dirname(path), ".part")
        async with await client.open(part, "wb") as file:
            await file.write(data)
        await client.rename(part, path)
        self.files[path] = data
        return f"{path} {len(data)}"

    async def _mkdir(self, client: AsyncClient) -> str:
        path = self.new()
        if path in self.files or path in self.directories or path.count("/") > 3:
            return "nothing"
        await client.mkdir(path)
        self.directories.add(path)
        return path

    async def _read(self, client: AsyncClient) -> str:
        path = self.some(self.files)
        async with await client.open(path, "rb") as file:
            assert await file.read() == self.files[path], path
        return path

    async def _list(self, client: AsyncClient) -> str:
        directory = self.some(self.directories)
        found = {entry.path.lstrip("/"): entry.info.size async for entry in client.scandir(directory)}
        assert found.keys() == self.below(directory), directory
        sizes = {path: size for path, size in found.items() if path in self.files}
        assert sizes == {path: len(self.files[path]) for path in sizes}, directory
        return directory

    async def compare(self, client: AsyncClient) -> None:
        """See that all is as it should be."""
        for directory in self.directories:
            found = {entry.path.lstrip("/") async for entry in client.scandir(directory)}
            assert found == self.below(directory), directory
        for path, data in self.files.items():
            async with await client.open(path, "rb") as file:
                assert await file.read() == data, path


@pytest.mark.parametrize("seed", [2])
async def test_random_work_leaves_what_it_should(
    client: AsyncClient, gateway: Gateway, peer: Server, seed: int
) -> None:
    model = Model(seed)
    for _ in range(STEPS):
        await model.step(client)
    await model.compare(client)
    # Another gateway knows nothing but what the site has.
    gateway.stop()
    other = Gateway(gateway.state.parent.with_name("other"), {"remote": {"certificates": "any"}})
    other.start()
    try:
        async with await connect(other, peer) as fresh:
            await model.compare(fresh)
    finally:
        other.stop()
        gateway.start()


async def test_a_tree_of_small_files_comes_back_equal(client: AsyncClient) -> None:
    files = {f"d{number % 7}/f{number}": os.urandom(number * 13) for number in range(100)}
    for number in range(7):
        await client.mkdir(f"d{number}")
    for path, data in files.items():
        async with await client.open(path, "wb") as file:
            await file.write(data)
    for path, data in files.items():
        async with await client.open(path, "rb") as file:
            assert await file.read() == data


async def test_a_file_that_was_read_is_told_of_and_read_again_without_asking_the_site(
    peer: Server, tmp_path: Path
) -> None:
    async with storing.mounted(peer, tmp_path / "state") as storage:
        made = await storage.create(storage.root, b"a.bin", Changes(), exclusive=None, guarded=True)
        await storage.write(made.file, 0, memoryview(b"x" * 100_000))
        await storage.flush(made.file)
        await storage.read(made.file, 0, 100_000)
        mounts = MemoryMounts("/site")
        mounts.storages[1] = storage  # type: ignore[assignment]
        door = NfsDoor(config.NfsDoor(), mounts)
        root, file = (opaque(door._house.handles.make(1, one)) for one in (storage.root, made.file))
        asked = {
            Procedure.GETATTR: file,
            Procedure.LOOKUP: root + opaque(b"a.bin"),
            Procedure.ACCESS: file + u32(0x3F),
            Procedure.READ: file + u64(50_000) + u32(65_536),
        }
        for procedure, arguments in asked.items():
            record = rpc.pack_call(7, nfs3.PROGRAM, nfs3.VERSION, procedure, arguments, credential=ANN)
            answer = door.answer(Peer("127.0.0.1", 1, "127.0.0.1"), rpc.unpack_call(record[4:]))
            assert isinstance(answer, bytes | list), f"{procedure.name} takes a task"
        await storage.remove(storage.root, b"a.bin")
