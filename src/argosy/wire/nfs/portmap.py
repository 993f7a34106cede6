"""What is said to rpcbind, so that clients find our port: RPCBIND version 4, PORTMAP version 2. RFC 1833."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from argosy.wire.nfs import xdr

PROGRAM = 100_000
RPCBIND_VERSION = 4
PORTMAP_VERSION = 2
PORT = 111
"""RFC 1833 section 3."""

TCP = 6
"""IPPROTO_TCP, as PORTMAP says it. RFC 1833 section 3.1."""
ADDRESS_LIMIT = 255


class Procedure(IntEnum):
    """The same numbers in both versions. RFC 1833 sections 2.1 and 3.1."""

    SET = 1
    UNSET = 2
    GETADDR = 3
    """GETPORT in PORTMAP."""


class Binding(NamedTuple):
    """A program that listens on a port, by TCP over IPv4 or IPv6."""

    program: int
    version: int
    host: str
    port: int

    @property
    def network(self) -> str:
        """What RPCBIND calls the network: `r_netid`."""
        return "tcp6" if ":" in self.host else "tcp"

    @property
    def universal(self) -> str:
        """The address as RPCBIND writes it: host, and the port's two bytes. RFC 1833 section 2.1.

        >>> Binding(100003, 3, "0.0.0.0", 12049).universal
        '0.0.0.0.47.17'
        """
        return f"{self.host}.{self.port >> 8}.{self.port & 255}"


_MAPPING = struct.Struct(">4I")
_WHO = struct.Struct(">2I")


def pack_rpcb(binding: Binding, owner: str = "") -> bytes:
    """Pack `rpcb`, what SET, UNSET and GETADDR take in version 4. RFC 1833 section 2.1."""
    words = (binding.network, binding.universal, owner)
    return _WHO.pack(binding.program, binding.version) + b"".join(xdr.opaque(word.encode()) for word in words)


def pack_mapping(binding: Binding) -> bytes:
    """Pack `mapping`, what SET, UNSET and GETPORT take in version 2: IPv4 alone. RFC 1833 section 3.1."""
    return _MAPPING.pack(binding.program, binding.version, TCP, binding.port)


def unpack_done(source: xdr.Reader) -> bool:
    """Read what SET and UNSET answer: whether it was done."""
    return source.boolean()


def unpack_port(source: xdr.Reader) -> int:
    """Read what version 2 answers to GETPORT; 0: nobody listens."""
    return source.u32()


def unpack_address(source: xdr.Reader) -> str:
    """Read what version 4 answers to GETADDR: a universal address; empty: nobody listens."""
    return source.opaque(ADDRESS_LIMIT).decode(errors="replace")
