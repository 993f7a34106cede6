"""Tell this machine's rpcbind where our programs listen, so that clients find the port. RFC 1833.

By its local socket anybody may, and the entry belongs to the user who made it. An rpcbind of old, without
one, is told by TCP; it asks for a port below 1024, so only root's word counts there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from argosy.wire.nfs import portmap, rpc, xdr
from argosy.wire.nfs.portmap import Binding, Procedure
from argosy.wire.nfs.records import RecordReader, RecordTooLong

LOCAL_SOCKET = Path("/run/rpcbind.sock")
_REPLY_LIMIT = 4096

_Ask = tuple[int, Callable[[Binding], bytes]]
_LOCAL: _Ask = portmap.RPCBIND_VERSION, portmap.pack_rpcb
_OLD: _Ask = portmap.PORTMAP_VERSION, portmap.pack_mapping


async def register(
    bindings: Sequence[Binding], *, seconds: float, local_socket: Path = LOCAL_SOCKET
) -> list[Binding]:
    """Say where programs listen.

    Args:
        bindings: Which, and where.
        seconds: How long all of it may take.
        local_socket: Where rpcbind's own is.

    Returns:
        Those that rpcbind has taken; none, if there is no rpcbind, or it has others of that name already, or
        we may not.
    """
    return await _ask(Procedure.SET, bindings, seconds, local_socket)


async def unregister(
    bindings: Sequence[Binding], *, seconds: float, local_socket: Path = LOCAL_SOCKET
) -> list[Binding]:
    """Take back what `register` gave, and give those that rpcbind has forgotten. Arguments as there."""
    return await _ask(Procedure.UNSET, bindings, seconds, local_socket)


async def _ask(
    procedure: Procedure, bindings: Sequence[Binding], seconds: float, local_socket: Path
) -> list[Binding]:
    done: list[Binding] = []
    with contextlib.suppress(OSError, EOFError, rpc.Refused, RecordTooLong, xdr.GarbageArguments):
        async with asyncio.timeout(seconds):
            reader, writer, (version, pack) = await _connect(local_socket)
            try:
                for binding in bindings:
                    if version == portmap.PORTMAP_VERSION and binding.network != "tcp":
                        continue  # it knows nothing of IPv6
                    if await _call(reader, writer, version, procedure, pack(binding)):
                        done.append(binding)
            finally:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    return done


async def _connect(local_socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, _Ask]:
    with contextlib.suppress(OSError):
        return *await asyncio.open_unix_connection(local_socket), _LOCAL
    # A privileged port, where we may have one.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        for port in range(1023, 512, -1):
            with contextlib.suppress(OSError):
                made.bind(("127.0.0.1", port))
                break
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", portmap.PORT))
        return *await asyncio.open_connection(sock=made), _OLD
    except BaseException:
        made.close()
        raise


async def _call(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    version: int,
    procedure: Procedure,
    arguments: bytes,
) -> bool:
    """Call rpcbind, and give what it says: done or not.

    Raises:
        Refused: Another answer than that.
        EOFError: It hung up.
    """
    xid = secrets.randbits(32)
    writer.write(rpc.pack_call(xid, portmap.PROGRAM, version, procedure, arguments))
    records = RecordReader(_REPLY_LIMIT)
    while True:
        data = await reader.read(_REPLY_LIMIT)
        if not data:
            raise EOFError
        for record in records.feed(data):
            answered, source = rpc.unpack_reply(record)
            if answered != xid:
                raise rpc.Refused("another call's reply")
            return portmap.unpack_done(source)
