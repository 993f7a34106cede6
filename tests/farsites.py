"""A gateway whose sites are made up: they take one password, or are away; and mounts of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from argosy import config, errors
from argosy.sites.exports import Mounted
from argosy.sites.mounts import Mounts
from argosy.sites.names.record import Record

SITES = {
    "museum": config.SiteOf(url="ftp://ann@museum.example.org/pub", tls="needed", encoding="latin-1"),
    "attic": config.SiteOf(url="ftps://bob@attic.example.org", password_file="password"),
}


class Storage:
    """A far end that is logged in."""

    def __init__(self, mounted: Mounted) -> None:
        self.mounted = mounted
        self.closed = False
        self.busy = False
        self.left: list[str] = []

    def report(self) -> dict[str, Any]:
        return {"state": "ready"}

    def stirred(self) -> bool:
        return self.busy

    async def unsent(self, seconds: float = 0.0) -> list[str]:
        await asyncio.sleep(min(seconds, 0.001))
        return self.left

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


class Far:
    """All sites: they take one password, or are away."""

    def __init__(self) -> None:
        self.logins: list[Mounted] = []
        self.away = False

    async def login(self, mounted: Mounted) -> Storage:
        self.logins.append(mounted)
        await asyncio.sleep(0.01)
        if self.away:
            raise errors.Unavailable(mounted.address.host)
        if mounted.address.password not in ("", "right"):
            raise errors.LoginFailed("530 No")
        return Storage(mounted)


class Gateway:
    """One life of a gateway after the other, with one state directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.far = Far()
        self.now = 0.0
        (directory / "password").write_text("right\n")
        attic = config.SiteOf(
            url=SITES["attic"].url,
            password_file=str(directory / "password"),
            networks=("192.0.2.0/24",),
        )
        self.config = config.Gateway(sites=SITES | {"attic": attic})
        self.start()

    def start(self) -> None:
        self.record = Record(self.directory / "record.db")
        self.mounts: Mounts[Storage] = Mounts(
            self.config,
            self.record,
            self.far.login,
            journals=self.directory / "journal",
            clock=lambda: self.now,
        )

    async def mount(self, export: bytes, uid: int = 0) -> int:
        number, storage = await self.mounts.mount(export, uid, uid)
        assert storage is self.mounts.known(number)
        return number

    @property
    def last(self) -> Mounted:
        return self.far.logins[-1]


async def mounted_by_ticket(gateway: Gateway, uid: int = 7) -> tuple[int, bytes]:
    export = (await gateway.mounts.ticket(b"/ftp://ann@host/", b"right", uid, uid)).encode()
    return await gateway.mount(export), export
