"""Whose clients may come: AUTH_SYS proves nothing, so the address is what we have."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import socket
from collections.abc import Iterable

from argosy.errors import ConfigError


class Networks:
    """Some networks; none: this machine's own addresses."""

    def __init__(self, key: str, written: Iterable[str]) -> None:
        """Read them.

        Args:
            key: Where they stand in the config.
            written: As `192.168.1.0/24`, or a single address.

        Raises:
            ConfigError: One isn't a network; the message names `key`.
        """
        try:
            self._networks = [ipaddress.ip_network(one) for one in written]
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from error

    def __contains__(self, host: str) -> bool:
        """Say whether an address, as a socket tells it, is in one of them."""
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        if not self._networks:
            return _is_ours(str(address))
        return any(address in network for network in self._networks)

    def written(self) -> list[bytes]:
        """Give them for EXPORT; the machine's own are `localhost`."""
        return [str(network).encode() for network in self._networks] or [b"localhost"]


@functools.lru_cache(256)
def _is_ours(host: str) -> bool:
    """Say whether an address is this machine's: only such a one can a socket be bound to."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return True
    return False
