"""Where a connection comes from, as far as limits and bans are concerned."""

from __future__ import annotations

import ipaddress

SITE_PREFIX = 64
"""Bits that IPv6 gives to one site: who has one address of it has them all. RFC 4291 section 2.5.4."""


def origin(address: str) -> str:
    """Give an IPv4 address, or the /64 network of one of IPv6; IPv4 in IPv6's dress is IPv4.

    Args:
        address: As a socket tells it, maybe with a zone.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, SITE_PREFIX), strict=False))
