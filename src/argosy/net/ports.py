"""Addresses of this machine: which ports are free, and which address others reach it by."""

from __future__ import annotations

import random
import socket
from ipaddress import ip_address

from argosy.config import join_address, split_address
from argosy.errors import BadArgument, Exists

STEADY_PORTS = range(20_000, 32_000)
"""Below Linux's range for outgoing connections: a port chosen from here is free again tomorrow."""


def check_free(host: str, port: int, option: str) -> None:
    """Make sure that a port can be listened on.

    Args:
        host: Address of this machine.
        port: TCP port.
        option: What the user would choose another by.

    Raises:
        Exists: Another program has it.
        BadArgument: No such address here, or the port needs root.
    """
    try:
        _try(host, port)
    except PermissionError:
        raise BadArgument(f"port {port} needs root; choose one above 1023 with {option}") from None
    except OSError as error:
        if not isinstance(error, socket.gaierror) and _free(host, 0):
            raise Exists(
                f"something listens on port {port} of {host}; choose another with {option}"
            ) from None
        raise BadArgument(f"{host} is no address of this machine") from None


def choose(host: str, wanted: int, taken: int = 0) -> int:
    """Give the wanted port if it is free, else one that is.

    Args:
        host: Address of this machine.
        wanted: The port to prefer; 0 for none.
        taken: A port that is spoken for.

    Raises:
        BadArgument: No such address here.
    """
    if wanted and wanted != taken and _free(host, wanted):
        return wanted
    for port in random.sample(STEADY_PORTS, 100):
        if port != taken and _free(host, port):
            return port
    raise BadArgument(f"{host} is no address of this machine, or has no free port")


def reachable(host: str) -> str:
    """Give the address by which this machine is reached when it listens on `host`.

    It's the same one, unless that means "all": then the one that a packet to the world would leave by.
    """
    try:
        wildcard = ip_address(host).is_unspecified
    except ValueError:
        return host
    if not wildcard:
        return host
    family, world, local = (
        (socket.AF_INET6, "2001:db8::1", "::1") if ":" in host else (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    )
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((world, 9))  # UDP: picks a route and sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return local


def dialable(address: str) -> str:
    """Give the `host:port` that something listens on as others dial it."""
    host, port = split_address("address", address)
    return join_address(reachable(host), port)


def is_loopback(host: str) -> bool:
    """Whether no other machine can reach it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free(host: str, port: int) -> bool:
    try:
        _try(host, port)
    except OSError:
        return False
    return True


def _try(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT doesn't count
        probe.bind(address)
