"""Addresses of data connections as FTP writes them: RFC 959 for IPv4, RFC 2428 for both."""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from argosy import errors


class Address(NamedTuple):
    """Where a data connection goes to. Whether it may go there is the door's decision."""

    host: str
    """Numeric, IPv4 or IPv6."""
    port: int
    """1 to 65,535."""


class EpsvWish(Enum):
    """What follows EPSV. RFC 2428 section 3."""

    ANY = ""
    IPV4 = "1"
    IPV6 = "2"
    ALL = "ALL"
    """From now on nothing but EPSV will be asked for."""


_PORT = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
_EPRT = re.compile(rb"([!-~])(\d+)\1([0-9A-Fa-f:.]+)\1(\d{1,5})\1")


def parse_port(argument: bytes) -> Address:
    """Read `h1,h2,h3,h4,p1,p2`. RFC 959 section 4.1.2.

    Raises:
        BadArgument: Not six numbers from 0 to 255, or port 0. Answer 501.
    """
    found = _PORT.fullmatch(argument)
    numbers = [int(number) for number in found.groups()] if found else []
    if not numbers or max(numbers) > 255 or not any(numbers[4:]):
        raise errors.BadArgument(argument)
    return Address(str(IPv4Address(bytes(numbers[:4]))), numbers[4] * 256 + numbers[5])


def parse_eprt(argument: bytes) -> Address:
    """Read `|1|132.235.1.2|6275|` or `|2|1080::8:800:200C:417A|5282|`. RFC 2428 section 2.

    Raises:
        BadArgument: It isn't that, or port 0. Answer 501.
        Unsupported: Neither IPv4 nor IPv6. Answer `replies.wrong_protocol`.
    """
    found = _EPRT.fullmatch(argument)
    if not found:
        raise errors.BadArgument(argument)
    protocol, host, port = found[2], found[3].decode("ascii"), int(found[4])
    if protocol not in (b"1", b"2"):
        raise errors.Unsupported(f"network protocol {protocol.decode('ascii')[:20]}")
    try:
        address = IPv4Address(host) if protocol == b"1" else IPv6Address(host)
    except ValueError:
        raise errors.BadArgument(argument) from None
    if not 1 <= port <= 65_535:
        raise errors.BadArgument(argument)
    return Address(str(address), port)


def parse_epsv(argument: bytes) -> EpsvWish:
    """Read what follows EPSV: nothing, a network protocol, or ALL. RFC 2428 section 3.

    Raises:
        BadArgument: Something else. Answer 501.
        Unsupported: A network protocol other than IPv4 and IPv6. Answer `replies.wrong_protocol`.
    """
    word = argument.upper()
    for wish in EpsvWish:
        if word == wish.value.encode():
            return wish
    if word.isdigit():
        raise errors.Unsupported(f"network protocol {word.decode('ascii')[:20]}")
    raise errors.BadArgument(argument)


def format_port(host: str, port: int) -> str:
    """Write `h1,h2,h3,h4,p1,p2`; `host` is numeric IPv4."""
    return ",".join(map(str, (*IPv4Address(host).packed, *port.to_bytes(2, "big"))))
