"""What an export means: a site that the config names, or an address; and tickets, which stand for one.

An export is what stands behind the gateway's name in a mount line. A ticket stands for an address whose
password was told in another way.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from argosy.config import Gateway, join_address
from argosy.config.gateway import TICKET
from argosy.errors import BadArgument, ConfigError, Denied, NotFound
from argosy.sites.address import parse_export, parse_url
from argosy.sites.model import Address, Tls

CHANCE_BYTES, NUMBER_BYTES, SEAL_BYTES = 10, 4, 6
"""What a ticket is made of: 32 letters."""

TICKETS = 1_000
"""Tickets that wait at the most; a further one takes the oldest one's place."""


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

    def is_same_place(self, other: Told) -> bool:
        """Whether one login is meant, whoever the files belong to."""
        return dataclasses.replace(other, uid=self.uid, gid=self.gid) == self


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
        return shown(self.address)


def shown(address: Address) -> str:
    """Write an address as people do, without its password."""
    scheme = "ftps" if address.tls is Tls.IMPLICIT else "ftp"
    place = f"{address.user}@{join_address(address.host, address.port)}"
    site = f"{scheme}://{place}/{os.fsdecode(address.directory)}"
    return site.encode(errors="backslashreplace").decode()


class Exports:
    """Reads exports, beside the sites that a config names."""

    def __init__(self, config: Gateway) -> None:
        self._sites = config.sites

    def told(self, export: bytes, password: str, uid: int, gid: int) -> Told:
        """Say what an export means, other than a ticket.

        Args:
            export: What stands behind the gateway's name.
            password: Instead of the one in it; empty: that one.
            uid: Who owns what the site says nothing of.
            gid: Likewise.

        Raises:
            BadArgument: It is no address.
        """
        name, _, below = export.strip(b"/").partition(b"/")
        if (known := name.decode(errors="replace")) in self._sites:
            if b".." in below.split(b"/"):
                raise BadArgument("'..' leads out of the site that the config names")
            return Told(uid, gid, name=known, below=below)
        address = parse_export(export)
        if password:
            address = dataclasses.replace(address, password=password)
        return Told(uid, gid, address=address)

    def place(self, told: Told) -> Address:
        """Give the address of a mount, without the password of a site that the config names.

        Raises:
            NotFound: The site isn't in the config any more.
        """
        if told.address is not None:
            return told.address
        site = self._sites.get(told.name)
        if site is None:
            raise NotFound(told.name)
        address = parse_url(site.url)
        tls = Tls(site.tls) if site.tls else address.tls
        address = dataclasses.replace(address, tls=tls, encoding=site.encoding)
        if told.below:
            directory = address.directory
            start = directory if not directory or directory.endswith(b"/") else directory + b"/"
            address = dataclasses.replace(address, directory=start + told.below)
        return address

    def address(self, told: Told) -> Address:
        """Give the address of a mount. Blocks: it reads a password file.

        Raises:
            NotFound: The site isn't in the config any more.
            ConfigError: Its password can't be read.
        """
        address = self.place(told)
        if told.address is None and (file := self._sites[told.name].password_file):
            address = dataclasses.replace(address, password=_first_line(Path(file)))
        return address

    def site(self, told: Told) -> str:
        """Write a mount's address as people do, without its password."""
        try:
            return shown(self.place(told))
        except NotFound:
            return f"/{told.name}, which isn't in the config any more"

    def listed(self) -> list[tuple[bytes, tuple[str, ...]]]:
        """Give the exports that may be shown to everybody, and their own networks."""
        return [(b"/" + name.encode(), site.networks) for name, site in self._sites.items()]

    def networks(self, name: str) -> tuple[str, ...]:
        """Give whose clients alone may use a site; none: it is as for all."""
        site = self._sites.get(name)
        return site.networks if site else ()


class Ticket(NamedTuple):
    """Leave for one mount."""

    number: int
    until: float


class Tickets:
    """Words that are good for one mount, and hold no password.

    A ticket tells its gateway, and nobody else, which mount it was for, also after a restart. It is signed as
    handles are, so it can't be made up.
    """

    def __init__(self, key: bytes, seconds: float, clock: Callable[[], float]) -> None:
        """Begin with none.

        Args:
            key: The gateway's secret.
            seconds: How long one waits to be used.
            clock: Seconds, rising.
        """
        self._key = key
        self._seconds = seconds
        self._clock = clock
        self._waiting: dict[str, Ticket] = {}

    def make(self, number: int) -> str:
        """Give a word that is good for one mount."""
        now = self._clock()
        self._waiting = {word: one for word, one in self._waiting.items() if one.until >= now}
        if len(self._waiting) >= TICKETS:
            del self._waiting[next(iter(self._waiting))]
        said = secrets.token_bytes(CHANCE_BYTES) + number.to_bytes(NUMBER_BYTES, "big")
        word = TICKET + base64.b32encode(said + self._seal(said)).decode().lower()
        self._waiting[word] = Ticket(number, now + self._seconds)
        return word

    def take(self, word: str) -> int:
        """Use a ticket up; give the mount that it is for.

        Raises:
            Denied: It was used, or is too old, or never was one.
        """
        ticket = self._waiting.pop(word, None)
        if ticket is None or ticket.until < self._clock():
            raise Denied("this ticket was used, or is too old")
        return ticket.number

    def waits(self, number: int) -> bool:
        """Whether a mount has a ticket that may still be used."""
        now = self._clock()
        return any(one.number == number and one.until >= now for one in self._waiting.values())

    def drop(self, word: str) -> None:
        """Have a ticket be used no more."""
        self._waiting.pop(word, None)

    def number(self, word: str) -> int | None:
        """Give which mount a ticket was for, used or not; None: it is none of this gateway's."""
        try:
            raw = base64.b32decode(word.removeprefix(TICKET).upper())
        except ValueError:
            return None
        said, seal = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
        if len(said) != CHANCE_BYTES + NUMBER_BYTES or not hmac.compare_digest(seal, self._seal(said)):
            return None
        return int.from_bytes(said[CHANCE_BYTES:], "big")

    def _seal(self, said: bytes) -> bytes:
        return hashlib.blake2b(said, key=self._key, digest_size=SEAL_BYTES, person=b"ticket").digest()


def word_of(export: bytes) -> str:
    """Give the word that an export begins with: a site's name, a ticket, or part of an address."""
    return export.strip(b"/").partition(b"/")[0].decode(errors="replace")


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', 'not text')}") from error
    return lines[0] if lines else ""
