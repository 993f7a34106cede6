"""A gateway's writer as a process of its own, so that it can be killed."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from contract.mount import MIB, Mount, mounted
from servers import Server


def content(size: int) -> bytes:
    """Give what the file is to hold."""
    return random.Random(size).randbytes(size)


async def write(peer: Server, place: bytes, journal: Path, size: int, file: int) -> None:
    """Write a file in order, as a client does that copies one, and wait to be killed."""
    async with mounted(peer, place, journal, stream_bytes=2 * MIB) as mount:
        mount.name(b"large", file)
        await mount.create(file)
        data = content(size)
        for at in range(0, size, MIB):
            await mount.writer.write(file, None, at, data[at : at + MIB])
            _tell(at + MIB, mount)
        while True:
            await asyncio.sleep(0.05)
            _tell(size, mount)


def _tell(acknowledged: int, mount: Mount) -> None:
    sys.stdout.write(f"{acknowledged} {mount.writer.report().sent_bytes}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    name, host, port, user, password, authority, place, journal, size, file = sys.argv[1:]
    peer = Server(name, host, int(port), user, password, Path(authority), None)
    asyncio.run(write(peer, place.encode(), Path(journal), int(size), int(file)))
