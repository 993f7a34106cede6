"""A login at a stranger, with short limits, and what there is to be fetched."""

from __future__ import annotations

import os
from typing import Any

from argosy.config import Remote
from argosy.sites.model import Address, Tls
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from argosy.wire.ftp import times
from contract.strangers import Stranger

BIG = os.urandom(300_000)
HOUR = 3600 * times.SECOND

LISTING = b"-rw-r--r--   1 ann      staff        %d Jan 05  2024 f\r\n" % len(BIG)


def visit(
    stranger: Stranger,
    dialect: Dialect | None = None,
    *,
    encoding: str = "",
    tls: Tls = Tls.OFF,
    **changes: Any,
) -> Client:
    """Log in, with short limits."""
    usual: dict[str, Any] = {"connect_seconds": 5.0, "reply_seconds": 5.0, "stall_seconds": 1.0}
    address = Address(stranger.host, stranger.port, "ann", "secret", tls=tls, encoding=encoding)
    return Client(address, Remote(**usual | changes), dialect or Dialect())


def get(client: Client, path: bytes, offset: int = 0) -> bytes:
    with client.retrieve(path, offset) as download:
        return download.read()


def put(client: Client, path: bytes, data: bytes) -> None:
    with client.store(path) as upload:
        upload.send(data)
        upload.finish()
