"""A mount's writer with what it needs: a real site's connections, and a journal."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import posixpath
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from argosy import config
from argosy.sites.model import Address, Facts, Tls, Version
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.pool import Pool, Purpose
from argosy.sites.writing.space import Space
from argosy.sites.writing.writer import Writer
from servers import Server

MIB = 1 << 20
_numbers = itertools.count(10)


class Mount:
    """A writer, and what it needs."""

    def __init__(
        self,
        peer: Server,
        place: bytes,
        journal: Path,
        tls: Tls = Tls.OFF,
        connections: int = 8,
        **changes: object,
    ) -> None:
        dialect = Dialect()
        remote = config.Remote(
            trust_file=str(peer.authority) if peer.authority.is_file() else "",
            connect_seconds=15.0,
            reply_seconds=30.0,
            connections=connections,
        )
        address = Address(peer.host, peer.port, peer.user, peer.password, tls=tls)
        self.pool: Pool[Client] = Pool(lambda: Client(address, remote, dialect), remote)
        self.settings = config.Journal(**{"quiet_seconds": 60.0, "create_seconds": 60.0, **changes})  # type: ignore[arg-type]
        self.paths: dict[int, bytes] = {}
        self.done: list[tuple[int, Facts | None]] = []
        self.place = place
        self.space = Space(self.settings.disk_bytes)
        self.writer = Writer(
            self.pool,
            directory=str(journal),
            path_of=self.paths.__getitem__,
            done=lambda file, facts: self.done.append((file, facts)),
            settings=self.settings,
            space=self.space,
        )
        self.writer.admit(place)

    def name(self, name: bytes, file: int = 0) -> int:
        """Give a file an id."""
        file = file or next(_numbers)
        self.paths[file] = self.place + b"/" + name
        return file

    async def create(self, file: int, *, mode: int | None = None) -> None:
        """Begin a file that the site hasn't got."""
        draft = await asyncio.to_thread(self.writer.prepare, file, mode=mode)
        await self.writer.create(draft, posixpath.dirname(self.paths[file]))

    async def existing(self, name: bytes, content: bytes) -> tuple[int, Version]:
        """Have a file on the site, that we didn't write."""
        file = self.name(name)
        await asyncio.to_thread(self.put, self.paths[file], content)
        facts = await asyncio.to_thread(self.facts, file)
        return file, Version(file, len(content), facts.mtime_ns or 0)

    def base(self, file: int) -> Version | None:
        """Say what the site has, as a mount would from what it was told last."""
        told = [facts for of, facts in self.done if of == file and facts is not None]
        return Version(file, told[-1].size, told[-1].mtime_ns or 0) if told else None

    def put(self, path: bytes, content: bytes) -> None:
        with self.client() as client, client.store(path) as upload:
            upload.send(content)
            upload.finish()

    def get(self, file: int) -> bytes:
        with self.client() as client, client.retrieve(self.paths[file]) as download:
            return download.read()

    def facts(self, file: int) -> Facts:
        with self.client() as client:
            return client.facts(self.paths[file])

    def names(self) -> list[bytes]:
        with self.client() as client:
            return sorted(one.name for one in client.list(self.place))

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with self.pool.borrow(Purpose.META, 30) as client:
            yield client

    async def content(self, file: int) -> bytes:
        return await asyncio.to_thread(self.get, file)

    async def write(self, file: int, base: Version | None, data: bytes, at: int = 0) -> None:
        for start in range(0, len(data), MIB):
            await self.writer.write(file, base, at + start, data[start : start + MIB])

    async def flushed(self, file: int) -> bytes:
        """Flush, and give what the site has then."""
        facts = await self.writer.flush(file)
        assert facts is not None
        content = await self.content(file)
        assert facts.size == len(content)
        return content


@contextlib.asynccontextmanager
async def mounted(
    peer: Server, place: bytes, journal: Path, tls: Tls = Tls.OFF, connections: int = 8, **changes: object
) -> AsyncIterator[Mount]:
    mount = Mount(peer, place, journal, tls, connections, **changes)
    await mount.writer.open()
    try:
        yield mount
    finally:
        await mount.writer.close(5.0)
        mount.pool.close()
