"""The mounts of one gateway: what an export means, who is logged in there for whom, and tickets.

An export is what stands behind the gateway's name in a mount line: a site named in the config, an address
with its password, or a ticket, which stands for an address whose password was told in another way.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from argosy.config import Gateway, join_address
from argosy.config.gateway import TICKET
from argosy.errors import (
    BadArgument,
    ConfigError,
    Denied,
    LoginFailed,
    NotFound,
    Refused,
    Stale,
    Unavailable,
)
from argosy.sites.address import parse_export, parse_url
from argosy.sites.model import Address, Tls
from argosy.sites.names.record import Record

log = logging.getLogger("argosy.mounts")

TICKET_BYTES = 15
"""Of chance in a ticket: 24 letters."""

TICKETS = 1_000
"""Tickets that wait at the most; a further one takes the oldest one's place."""


class Opened(Protocol):
    """What is to be known here of a storage that is logged in."""

    def report(self) -> dict[str, Any]:
        """Give its figures."""

    async def close(self) -> None:
        """End what runs, in order, within a time limit."""


_S = TypeVar("_S", bound=Opened)

Opener = Callable[["Mounted"], Coroutine[Any, Any, _S]]
"""Logs in, and gives the storage of a mount."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the record keeps of a mount: enough to log in again, and to tell it from every other."""

    uid: int
    gid: int
    name: str = ""
    """A site's in the config, where its password is; empty: the address has all."""
    below: bytes = b""
    """Where it begins below that site's start."""
    address: Address | None = None

    def pack(self) -> bytes:
        """Give the bytes that the record keeps: always the same for the same."""
        fields: dict[str, object] = {"uid": self.uid, "gid": self.gid}
        if self.address is None:
            fields |= {"name": self.name, "below": os.fsdecode(self.below)}
        else:
            address = dataclasses.asdict(self.address)
            fields |= address | {"directory": os.fsdecode(self.address.directory)}
        return json.dumps(fields, sort_keys=True).encode()  # escapes what isn't text

    @classmethod
    def unpack(cls, words: bytes) -> Self:
        """Read them again."""
        fields = json.loads(words)
        uid, gid = fields.pop("uid"), fields.pop("gid")
        if "name" in fields:
            return cls(uid, gid, name=fields["name"], below=os.fsencode(fields["below"]))
        fields |= {"directory": os.fsencode(fields["directory"]), "tls": Tls(fields["tls"])}
        return cls(uid, gid, address=Address(**fields))


class Mounted(NamedTuple):
    """One mount: nothing of it is shared with another."""

    number: int
    """In the record, and in file handles."""
    address: Address
    uid: int
    """Owns files of which the site doesn't say who does."""
    gid: int
    name: str = ""
    """Of the site in the config, if it is one of those."""

    @property
    def title(self) -> str:
        """What shows in lists of mounts, as `ann@ftp.example.org/pub` or a site's name: no password."""
        directory = os.fsdecode(self.address.directory).strip("/")
        place = f"{self.address.user}@{self.address.host}"
        title = self.name or (f"{place}/{directory}" if directory else place)
        return title.encode(errors="backslashreplace").decode()

    @property
    def site(self) -> str:
        """The whole address as people write it, without the password."""
        scheme = "ftps" if self.address.tls is Tls.IMPLICIT else "ftp"
        place = f"{self.address.user}@{join_address(self.address.host, self.address.port)}"
        site = f"{scheme}://{place}/{os.fsdecode(self.address.directory)}"
        return site.encode(errors="backslashreplace").decode()


class Ticket(NamedTuple):
    """Leave for one mount."""

    told: Told
    until: float


class Mounts(Generic[_S]):
    """The storages that are open; after a restart each is opened when it is first asked for."""

    def __init__(
        self,
        config: Gateway,
        record: Record,
        opener: Opener[_S],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put it together.

        Args:
            config: The gateway's file.
            record: Where mounts keep their numbers.
            opener: Logs in.
            clock: Seconds, rising.
        """
        self.key = record.key
        self._config = config
        self._record = record
        self._opener = opener
        self._clock = clock
        self._storages: dict[int, _S] = {}
        self._mounted: dict[int, Mounted] = {}
        self._opening: dict[int, asyncio.Future[_S]] = {}
        self._tickets: dict[str, Ticket] = {}

    async def take_up(self, numbers: Iterable[int]) -> None:
        """Log in where something waits to be uploaded since before a restart, whether a client comes or not.

        Args:
            numbers: Of the mounts. A site that is away is asked again, after growing pauses.
        """
        async with asyncio.TaskGroup() as tasks:
            for number in numbers:
                tasks.create_task(self._take_up(number))

    async def _take_up(self, number: int) -> None:
        pause = self._config.remote.retry_first_seconds
        while True:
            try:
                await self.again(number)
            except Stale:
                log.warning("journal %d is of a mount that nobody knows; it stays as it is", number)
            except (LoginFailed, ConfigError) as refused:
                log.warning(
                    "mount %d: what it has to upload waits until it is mounted anew: %s", number, refused
                )
            except Refused as refused:
                log.info("mount %d: what it has to upload waits %g s more: %s", number, pause, refused)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._config.remote.retry_most_seconds)
                continue
            return

    def known(self, mount: int) -> _S | None:
        """Give a mount's storage if it is open."""
        return self._storages.get(mount)

    async def again(self, mount: int) -> _S:
        """Give the storage of a mount that was made before, maybe before a restart.

        Raises:
            Stale: No such mount, or its site isn't in the config any more.
            LoginFailed: The site doesn't take the password any more.
            Unavailable: The site is away. Try again.
        """
        if (storage := self._storages.get(mount)) is not None:
            return storage
        words = await asyncio.to_thread(self._record.told, mount)
        if words is None:
            raise Stale
        told = Told.unpack(words)
        try:
            address = await asyncio.to_thread(self._address, told)
        except NotFound as gone:
            raise Stale(gone.subject) from gone
        return await self._open(Mounted(mount, address, told.uid, told.gid, told.name))

    async def mount(self, export: bytes, uid: int, gid: int) -> tuple[int, _S]:
        """Give the number and the storage of what a client wants to mount. A ticket is used up by it.

        Args:
            export: What MNT named.
            uid: Who owns what the site says nothing of; a ticket brings its own.
            gid: Likewise.

        Raises:
            Denied: The ticket was used, or is too old.
            BadArgument: It is no address.
            NotFound: The site has no such directory.
            LoginFailed: It doesn't take the password.
            Unavailable: It is away. Try again.
        """
        word = export.strip(b"/").partition(b"/")[0].decode(errors="replace")
        if word.startswith(TICKET):
            ticket = self._tickets.pop(word, None)
            if ticket is None or ticket.until < self._clock():
                raise Denied("this ticket was used, or is too old")
            return await self._login(ticket.told)
        return await self._login(self._told(export, "", uid, gid))

    async def ticket(self, export: bytes, password: bytes, uid: int, gid: int) -> str:
        """Log in, and give an export that is good for one mount and holds no password.

        Args:
            export: As in a mount line; without a password.
            password: For it. A site that the config names has its own.
            uid: See `mount`.
            gid: See `mount`.

        Raises:
            Refused: As `mount`.
        """
        told = self._told(export, os.fsdecode(password), uid, gid)
        number, _ = await self._login(told)
        now = self._clock()
        self._tickets = {word: one for word, one in self._tickets.items() if one.until >= now}
        if len(self._tickets) >= TICKETS:
            del self._tickets[next(iter(self._tickets))]
        word = TICKET + base64.b32encode(secrets.token_bytes(TICKET_BYTES)).decode().lower()
        self._tickets[word] = Ticket(told, now + self._config.nfs.ticket_seconds)
        return f"/{word}/{self.title(number)}"

    def title(self, mount: int) -> str:
        """Give what may be shown of a mount that was opened: no password."""
        return self._mounted[mount].title

    def owner(self, mount: int) -> int:
        """Give the uid of whom a mount was opened for."""
        return self._mounted[mount].uid

    def networks(self, mount: int) -> tuple[str, ...]:
        """Give whose clients alone may use a mount; none: it is as for all."""
        site = self._config.sites.get(self._mounted[mount].name)
        return site.networks if site else ()

    def listed(self) -> list[tuple[bytes, tuple[str, ...]]]:
        """Give the exports that may be shown to everybody, the config's sites, and their own networks."""
        return [(b"/" + name.encode(), site.networks) for name, site in self._config.sites.items()]

    def report(self) -> list[dict[str, Any]]:
        """Tell of all that are open, without passwords."""
        return [
            {"mount": number, "site": self._mounted[number].site, **storage.report()}
            for number, storage in sorted(self._storages.items())
        ]

    async def close(self) -> None:
        """Close all, at once, within the time that the config gives them."""
        storages, self._storages = self._storages, {}
        try:
            async with asyncio.timeout(self._config.state.stop_seconds):
                done = await asyncio.gather(
                    *(storage.close() for storage in storages.values()), return_exceptions=True
                )
        except TimeoutError:
            log.warning("uploads are still under way; they go on with the next start")
            return
        for accident in done:
            if isinstance(accident, BaseException):
                log.error("accident while closing a mount", exc_info=accident)

    # --- inside

    def _told(self, export: bytes, password: str, uid: int, gid: int) -> Told:
        name, _, below = export.strip(b"/").partition(b"/")
        if (known := name.decode(errors="replace")) in self._config.sites:
            if b".." in below.split(b"/"):
                raise BadArgument("'..' leads out of the site that the config names")
            return Told(uid, gid, name=known, below=below)
        address = parse_export(export)
        if password:
            address = dataclasses.replace(address, password=password)
        return Told(uid, gid, address=address)

    def _address(self, told: Told) -> Address:
        """Give the address of a mount; reads a password file."""
        if told.address is not None:
            return told.address
        site = self._config.sites.get(told.name)
        if site is None:
            raise NotFound(told.name)
        address = parse_url(site.url)
        if site.password_file:
            address = dataclasses.replace(address, password=_first_line(Path(site.password_file)))
        tls = Tls(site.tls) if site.tls else address.tls
        address = dataclasses.replace(address, tls=tls, encoding=site.encoding)
        if told.below:
            directory = address.directory
            start = directory if not directory or directory.endswith(b"/") else directory + b"/"
            address = dataclasses.replace(address, directory=start + told.below)
        return address

    async def _login(self, told: Told) -> tuple[int, _S]:
        address = await asyncio.to_thread(self._address, told)
        number, is_new = await asyncio.to_thread(self._number, told.pack())
        try:
            return number, await self._open(Mounted(number, address, told.uid, told.gid, told.name))
        except Refused:
            if is_new and number not in self._storages:
                await asyncio.to_thread(self._record.forget, number)  # its password may be a wrong one
            raise

    def _number(self, told: bytes) -> tuple[int, bool]:
        before = set(self._record.mounts())
        number = self._record.mount(told)
        return number, number not in before

    async def _open(self, mounted: Mounted) -> _S:
        """Open a storage; who asks while that goes on gets the same, or the same refusal."""
        number = mounted.number
        if (storage := self._storages.get(number)) is not None:
            return storage
        if (opening := self._opening.get(number)) is not None:
            return await asyncio.shield(opening)
        opening = self._opening[number] = asyncio.get_running_loop().create_future()
        try:
            storage = await self._opener(mounted)
        except BaseException as error:
            opening.set_exception(error if isinstance(error, Refused) else Unavailable(mounted.site))
            opening.exception()  # looked at here, for maybe nobody else waits
            raise
        else:
            self._mounted[number] = mounted
            self._storages[number] = storage
            opening.set_result(storage)
            log.info("mount %d: %s", number, mounted.site)
            return storage
        finally:
            del self._opening[number]


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', 'not text')}") from error
    return lines[0] if lines else ""
