"""Where a login may come from: networks, however people write them. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from argosy import errors

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

EVERYWHERE = ("0.0.0.0/0", "::/0")
"""What `*` means."""

_STARRED_4 = re.compile(r"(?:(?:\d{1,3})\.){1,3}\*(?:\.\*)*")
_STARRED_6 = re.compile(r"(?:[0-9a-fA-F]{1,4}:){1,7}\*(?::\*)*")


def parse(text: str) -> tuple[str, ...]:
    """Read an address, a network, or a mask with stars, and give networks in their one right form.

    `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.*`, `2001:db8:*` and `*`; each may have a name
    and `@` before it, as masks of other servers do, but that name must be `*`: nobody is asked for it.

    Raises:
        BadArgument: Anything else, as the name of a machine.
    """
    name, at, where = text.strip().rpartition("@")
    if at and name not in ("*", ""):
        raise errors.BadArgument(f"{text}: only * can stand before @, for nobody asks a client's machine")
    if where == "*":
        return EVERYWHERE
    try:
        if _STARRED_4.fullmatch(where):
            return (_starred(where, ".", 8, 4),)
        if _STARRED_6.fullmatch(where):
            return (_starred(where, ":", 16, 8),)
        return (str(_plain(ipaddress.ip_network(where, strict=False))),)
    except ValueError as error:
        raise errors.BadArgument(
            f"{text}: want an address, a network as 192.0.2.0/24 or 2001:db8::/32, or a mask as *@192.0.2.*"
        ) from error


def within(address: str, networks: Iterable[str]) -> bool:
    """Say whether an address lies in one of the networks; IPv4 in IPv6's dress counts as IPv4."""
    try:
        where = _address(address)
    except ValueError:
        return False
    return any(where in ipaddress.ip_network(network) for network in networks)


def _starred(where: str, separator: str, bits: int, most: int) -> str:
    given = [part for part in where.split(separator) if part != "*"]
    if where.count(separator) >= most:
        raise ValueError(where)
    filled = separator.join([*given, *["0"] * (most - len(given))])
    return str(ipaddress.ip_network(f"{filled}/{bits * len(given)}"))


def _address(text: str) -> Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _plain(network: Network) -> Network:
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped:
            return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network
