"""The daily work of a strict client: nfs-rs, from PyPI."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator

import nfs_rs
import pytest
from nfs_rs import AsyncClient

from memory import Memory

PAGE = (4096, 16_384)
"""Bytes of names, and of all, that it asks for at once: a large directory takes many pages."""


@pytest.fixture
async def client(port: int) -> AsyncIterator[AsyncClient]:
    async with await AsyncClient.connect(
        "nfs://127.0.0.1/museum",
        nfs_port=port,
        mount_port=port,
        noresvport=True,
        uid=1000,
        gid=1000,
        readdir_buffer=PAGE,
        connect_timeout=10,
        operation_timeout=10,
    ) as client:
        yield client


async def write(client: AsyncClient, path: str, data: bytes) -> None:
    async with await client.open(path, "wb") as file:
        assert await file.write(data) == len(data)


async def read(client: AsyncClient, path: str) -> bytes:
    async with await client.open(path, "rb") as file:
        return bytes(await file.read())


@pytest.mark.parametrize("size", [0, 1, 4095, 1 << 20, 5_000_001])
async def test_a_file_comes_back_as_it_was_written(client: AsyncClient, museum: Memory, size: int) -> None:
    data = os.urandom(size)
    await write(client, "a.bin", data)
    assert museum.content("a.bin") == data
    assert museum.flushed.get(museum.at("a.bin"), b"") == data
    assert await read(client, "a.bin") == data
    assert (await client.stat("a.bin")).size == size


async def test_bytes_are_read_and_written_anywhere(client: AsyncClient, museum: Memory) -> None:
    rng = random.Random(7)
    data = bytearray(rng.randbytes(100_000))
    museum.put("a.bin", bytes(data))
    async with await client.open("a.bin", "r+b") as file:
        for _ in range(50):
            at, size = rng.randrange(len(data)), rng.randrange(1, 5000)
            if rng.random() < 0.5:
                data[at : at + size] = piece = rng.randbytes(size)
                await file.write_at(piece, at)
            else:
                assert await file.read_at(at, size) == data[at : at + size]
    assert museum.content("a.bin") == data


async def test_appending_goes_to_the_end(client: AsyncClient, museum: Memory) -> None:
    museum.put("log", b"one\n")
    async with await client.open("log", "ab") as file:
        await file.write(b"two\n")
    assert museum.content("log") == b"one\ntwo\n"


async def test_a_tree_is_made_listed_moved_and_removed(client: AsyncClient, museum: Memory) -> None:
    await client.mkdir("a/b/c", parents=True)
    await write(client, "a/b/c/x", b"x")
    await client.rename("a/b", "d")
    assert await read(client, "d/c/x") == b"x"
    assert sorted(await client.listdir("")) == ["a", "d"]
    with pytest.raises(OSError, match=r"(?i)not ?empty"):
        await client.rmdir("d")
    await client.remove("d/c/x")
    for path in ("d/c", "d", "a"):
        await client.rmdir(path)
    assert await client.listdir("") == []
    assert len(museum.nodes) == 1


async def test_a_thousand_names_are_listed_with_their_attributes(client: AsyncClient, museum: Memory) -> None:
    for number in range(1000):
        museum.put(f"d/file-{number:04}", b"x" * number)
    found = {entry.name: entry.info.size async for entry in client.scandir("d")}
    assert found == {f"file-{number:04}": number for number in range(1000)}


async def test_attributes_are_changed(client: AsyncClient, museum: Memory) -> None:
    await write(client, "a.txt", b"hello")
    await client.chmod("a.txt", 0o600)
    await client.utime("a.txt", ns=(5_000_000_000, 1_600_000_000_123_456_789))
    await client.truncate("a.txt", 2)
    info = await client.stat("a.txt")
    assert (info.mode & 0o7777, info.size) == (0o600, 2)
    await client.utime("a.txt", ns=(5_000_000_000, 1_600_000_000_123_456_789))
    assert (await client.stat("a.txt")).mtime == 1_600_000_000_123_456_789
    assert await client.access("a.txt", os.R_OK | os.W_OK)


async def test_links_lead_on_and_hard_links_are_refused(client: AsyncClient, museum: Memory) -> None:
    await client.symlink("some/where", "link")
    assert await client.readlink("link") == "some/where"
    await write(client, "a.txt", b"")
    with pytest.raises(PermissionError):
        await client.link("a.txt", "b.txt")


async def test_what_isnt_there_is_missing_and_what_is_there_exists(
    client: AsyncClient, museum: Memory
) -> None:
    with pytest.raises(FileNotFoundError):
        await client.stat("nothing")
    museum.put("d/x")
    with pytest.raises(FileExistsError):
        await client.mkdir("d")
    with pytest.raises(NotADirectoryError):
        await client.listdir("d/x")


async def test_limits_and_room_are_told(client: AsyncClient) -> None:
    limits, room = await client.fs_info(), await client.fs_stat()
    assert (limits.max_read, limits.max_write) == (2**20, 2**20)
    assert not limits.supports_links
    assert limits.supports_symlinks
    assert (room.total_bytes, room.free_bytes) == (1_000_000, 400_000)


async def test_twenty_clients_work_at_once(port: int, museum: Memory) -> None:
    async def work(number: int) -> None:
        async with await AsyncClient.connect(
            "nfs://127.0.0.1/museum", nfs_port=port, mount_port=port, noresvport=True, uid=1000, gid=1000
        ) as client:
            await client.mkdir(f"c{number}")
            for turn in range(5):
                data = os.urandom(70_000)
                await write(client, f"c{number}/{turn}", data)
                assert await read(client, f"c{number}/{turn}") == data

    await asyncio.gather(*(work(number) for number in range(20)))
    assert len(museum.nodes) == 1 + 20 * 6


async def test_the_client_speaks_version_3(client: AsyncClient) -> None:
    assert client.version is nfs_rs.Version.NFS_V3
