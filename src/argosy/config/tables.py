"""A TOML file into frozen structs; an unknown key, a wrong type or a senseless value is named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from argosy.errors import ConfigError


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


_T = TypeVar("_T", bound=Table)


def split_address(key: str, address: str) -> tuple[str, int]:
    """Split `host:port`, or `[host]:port` for IPv6.

    Raises:
        ConfigError: It isn't that; the message names `key`.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"{key}: want host:port, got {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    """Write `host:port`, with brackets for IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def load(path: Path, table: type[_T]) -> _T:
    """Read a file.

    Raises:
        ConfigError: It can't be read, or has a key or a type that isn't known; the message names it.
    """
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
        _check_keys(content, table, "")
        return msgspec.convert(content, table)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _check_keys(content: dict[str, object], table: type[Table], where: str) -> None:
    """Name an unknown key beside the known ones; msgspec, which checks all else, names it alone."""
    known = {field.name: field.type for field in msgspec.structs.fields(table)}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"unknown key {where}{key}; known: {', '.join(sorted(known))}")
        inner = known[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Table):
            _check_keys(value, inner, f"{where}{key}.")


def check_ports(key: str, ports: tuple[int, int]) -> None:
    """See that a range of ports is one.

    Raises:
        ConfigError: It isn't; the message names `key`.
    """
    first, last = ports
    if ports != (0, 0) and not 1024 <= first <= last <= 65_535:
        raise ConfigError(f"{key}: want 1024 to 65535 in order, or 0 to 0, got {first} to {last}")
