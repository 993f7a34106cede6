"""A mount of a site that runs, as the NFS door has it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from argosy import config
from argosy.sites.model import Address, FileId, Kind, Tls
from argosy.sites.names.record import Record
from argosy.sites.reading.blocks import BlockCache
from argosy.sites.storage import Storage
from argosy.sites.writing.space import Space
from servers import FOLDER, Server

UID = 1234


@contextlib.asynccontextmanager
async def mounted(
    peer: Server,
    state: Path,
    *,
    folder: str = FOLDER,
    tls: Tls = Tls.WANTED,
    journal: config.Journal | None = None,
    cache: config.Cache | None = None,
    **remote: Any,
) -> AsyncIterator[Storage]:
    """Mount a server's folder; the same `state` makes it the same mount as before.

    It trusts the server's certificate; nothing else but what is given differs from the usual settings.
    """
    settings = config.Gateway(
        remote=config.Remote(trust_file=str(peer.authority) if peer.authority.is_file() else "", **remote),
        journal=journal or config.Journal(),
        cache=cache or config.Cache(),
    )
    record = Record(state / "record.db")
    address = Address(peer.host, peer.port, peer.user, peer.password, folder.encode(), tls)
    storage = await Storage.open(
        record.mount(repr((address, folder)).encode()),
        address,
        UID,
        UID,
        record=record,
        settings=settings,
        blocks=BlockCache(settings.cache),
        space=Space(settings.journal.disk_bytes),
        journal=state / "journal",
    )
    try:
        yield storage
    finally:
        await storage.close()
        record.close()


async def content(storage: Storage, file: FileId) -> bytes:
    """Read a whole file."""
    read = bytearray()
    while True:
        pieces, ended = await storage.read(file, len(read), 100_000)
        for piece in pieces:
            read += piece
        if ended:
            return bytes(read)


async def names(storage: Storage, directory: FileId, most: int = 1000) -> list[bytes]:
    """Give all names of a directory."""
    found: list[bytes] = []
    cookie = 0
    while True:
        page = await storage.page(directory, cookie, 0, most)
        found += [entry.name for entry in page.entries]
        if page.ended:
            return found
        cookie = page.entries[-1].cookie


async def clear(storage: Storage, directory: FileId) -> None:
    """Remove all that is in a directory."""
    page = await storage.page(directory, 0, 0, 100_000)
    for entry in page.entries:
        if entry.attributes.kind is Kind.DIRECTORY:
            await clear(storage, entry.attributes.file)
            await storage.remove_directory(directory, entry.name)
        else:
            await storage.remove(directory, entry.name)
