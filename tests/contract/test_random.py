"""Random work on a few files, on every server and in memory: it comes out alike."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from argosy import config
from argosy.sites.model import Changes
from argosy.sites.storage import Storage
from contract.storing import clear, content, mounted, names
from servers import Server

STEPS = int(os.environ.get("ARGOSY_RANDOM_STEPS", "120"))
SEED = int(os.environ.get("ARGOSY_RANDOM_SEED", "1"))
SIZES = {"small": (700_000, [10, 5_000, 250_000]), "large": (6_000_000, [10, 100_000, 2_500_000])}
"""How large a file may become, and what is appended to it at once: a large one is changed in the middle."""
NAMES = [b"one", b"two", b"three"]

JOURNAL = config.Journal(whole_bytes=100_000, stream_bytes=200_000, quiet_seconds=0.3, create_seconds=0.1)
"""Small, so that files of a test's size are appended to, patched and streamed."""


class Twins:
    """A mount, and what it ought to hold."""

    def __init__(self, peer: Server, state: Path, chance: random.Random, sizes: str) -> None:
        self.peer = peer
        self.state = state
        self.chance = chance
        self.largest, self.appended = SIZES[sizes]
        self.ought: dict[bytes, bytearray] = {}
        self.files: dict[bytes, int] = {}
        self.storage: Storage
        self.stack = AsyncExitStack()
        self.told: list[str] = []

    async def begin(self) -> None:
        self.stack = AsyncExitStack()
        self.storage = await self.stack.enter_async_context(
            mounted(self.peer, self.state, journal=JOURNAL, cache=config.Cache(memory_bytes=4_000_000))
        )

    async def step(self) -> None:
        """Do one thing to both."""
        name = self.chance.choice(NAMES)
        if name not in self.ought:
            return await self.create(name)
        doing = self.chance.choices(
            (
                *(self.write, self.append, self.truncate, self.read, self.flush),
                *(self.rename, self.remove, self.restart, self.doubt, self.rest),
            ),
            (30, 15, 8, 25, 10, 6, 2, 3, 6, 3),
        )[0]
        self.told.append(f"{doing.__name__} {name.decode()}")
        return await doing(name)

    async def create(self, name: bytes) -> None:
        self.told.append(f"create {name.decode()}")
        made = await self.storage.create(self.storage.root, name, Changes())
        self.files[name], self.ought[name] = made.file, bytearray()

    async def write(self, name: bytes) -> None:
        ought = self.ought[name]
        offset = self.chance.randrange(8) and self.chance.randrange(
            min(self.largest, len(ought) + len(ought) // 4 + 1)
        )
        await self._write(name, offset, self.chance.choice([1, 100, 4096, 70_000]))

    async def append(self, name: bytes) -> None:
        if len(self.ought[name]) < self.largest:
            await self._write(name, len(self.ought[name]), self.chance.choice(self.appended))

    async def _write(self, name: bytes, offset: int, count: int) -> None:
        data = self.chance.randbytes(count)
        self.told[-1] += f" {offset}+{count}"
        told = await self.storage.write(self.files[name], offset, memoryview(data))
        ought = self.ought[name]
        ought.extend(bytes(max(0, offset - len(ought))))
        ought[offset : offset + count] = data
        assert told.size == len(ought)

    async def truncate(self, name: bytes) -> None:
        ought = self.ought[name]
        size = self.chance.choice([0, len(ought) // 2, len(ought), len(ought) + 3_000])
        self.told[-1] += f" {size}"
        told = await self.storage.change(self.files[name], Changes(size=size))
        ought.extend(bytes(max(0, size - len(ought))))
        del ought[size:]
        assert told.size == size

    async def read(self, name: bytes) -> None:
        ought = self.ought[name]
        offset, count = self.chance.randrange(len(ought) + 10), self.chance.choice([1, 5_000, 200_000])
        self.told[-1] += f" {offset}+{count}"
        pieces, ended = await self.storage.read(self.files[name], offset, count)
        assert b"".join(pieces) == ought[offset : offset + count]
        assert ended == (offset + count >= len(ought))
        known = self.storage.known_bytes(self.files[name], offset, count)
        assert known is None or b"".join(known) == ought[offset : offset + count]

    async def flush(self, name: bytes) -> None:
        assert (await self.storage.flush(self.files[name])).size == len(self.ought[name])

    async def rename(self, name: bytes) -> None:
        to = self.chance.choice([other for other in NAMES if other != name])
        self.told[-1] += f" {to.decode()}"
        await self.storage.rename(self.storage.root, name, self.storage.root, to)
        self.ought[to], self.files[to] = self.ought.pop(name), self.files.pop(name)

    async def remove(self, name: bytes) -> None:
        await self.storage.remove(self.storage.root, name)
        del self.ought[name], self.files[name]

    async def restart(self, name: bytes) -> None:
        del name
        await self.stack.aclose()
        await self.begin()

    async def doubt(self, name: bytes) -> None:
        self.storage._tree.known.doubt(self.files[name])

    async def rest(self, name: bytes) -> None:
        del name
        await asyncio.sleep(self.chance.random())

    async def compare(self) -> None:
        """See that all is alike."""
        assert sorted(await names(self.storage, self.storage.root)) == sorted(self.ought)
        for name, ought in self.ought.items():
            attributes = await self.storage.attributes(self.files[name])
            assert (name, attributes.size) == (name, len(ought))
            assert await content(self.storage, self.files[name]) == ought, name


@pytest.mark.parametrize("sizes", SIZES)
async def test_random_work_comes_out_as_in_memory(peer: Server, tmp_path: Path, sizes: str) -> None:
    twins = Twins(peer, tmp_path, random.Random(SEED), sizes)
    await twins.begin()
    try:
        await clear(twins.storage, twins.storage.root)
        for number in range(STEPS):
            await twins.step()
            if number % 10 == 9:
                await twins.compare()
        await twins.compare()
    except BaseException:
        print("\n".join(twins.told[-60:]))  # noqa: T201 - what led to it
        raise
    finally:
        await twins.stack.aclose()
    async with mounted(peer, tmp_path / "other") as other:
        assert sorted(await names(other, other.root)) == sorted(twins.ought)
        for name, ought in twins.ought.items():
            assert await content(other, (await other.child(other.root, name)).file) == ought
