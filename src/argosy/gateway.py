"""The gateway, put together: it reads as a table of contents."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from argosy import __version__
from argosy.config import Gateway, split_address
from argosy.doors.gate import Gate
from argosy.doors.nfs.server import NfsDoor
from argosy.errors import Busy, ConfigError
from argosy.net import rpcbind
from argosy.sites.exports import Mounted
from argosy.sites.mounts import Mounts, Outcome
from argosy.sites.names.record import Record
from argosy.sites.reading.blocks import BlockCache
from argosy.sites.storage import Storage
from argosy.sites.writing.space import Space
from argosy.wire import link
from argosy.wire.nfs import mount3, nfs3
from argosy.wire.nfs.portmap import Binding

log = logging.getLogger("argosy.gateway")


class AlreadyRuns(Busy):
    """A gateway runs here already."""


def run(config: Gateway, opened: Callable[[str], None], read: str = "") -> None:
    """Run a gateway until TERM or INT.

    Args:
        config: Its file; `state.directory` is filled in.
        opened: Told where it listens, as `host:port`.
        read: The file's name and state, for who asks which one counts.

    Raises:
        AlreadyRuns: Another gateway has its state directory.
        ConfigError: A directory can't be used.
    """
    with _alone(Path(config.state.directory)):
        uvloop.run(_serve_until_told(config, opened, read))


async def _serve_until_told(config: Gateway, opened: Callable[[str], None], read: str) -> None:
    loop = asyncio.get_running_loop()
    service = asyncio.ensure_future(serve(config, opened, read))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.cancel)
    try:
        await service
    except asyncio.CancelledError:
        log.info("stopped")


async def serve(config: Gateway, opened: Callable[[str], None], read: str = "") -> None:
    """Open the record and both doors, and serve until cancelled."""
    state = Path(config.state.directory)
    journals = state / "journal"
    begin = time.monotonic()
    record = Record(state / "record.db")
    blocks, space = BlockCache(config.cache, state), Space(config.journal.disk_bytes)

    async def login(mounted: Mounted) -> Storage:
        return await Storage.open(
            mounted.number,
            mounted.address,
            mounted.uid,
            mounted.gid,
            record=record,
            settings=config,
            blocks=blocks,
            space=space,
            journal=journals / str(mounted.number),
        )

    mounts = Mounts(config, record, login, journals=journals)
    door = NfsDoor(config.nfs, mounts, state / "begun")
    address = ""
    listens = asyncio.Event()

    def listening(at: str) -> None:
        nonlocal address
        address = at
        listens.set()
        log.info("serving NFS at %s", at)
        opened(at)

    async def announce() -> None:
        await listens.wait()
        await _announce(address, config.nfs.rpcbind_seconds)

    def sites() -> dict[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - begin, 1),
            "nfs": address,
            "config": read,
            "tasks": len(asyncio.all_tasks()),
            **blocks.report()._asdict(),
            "journal_bytes": space.used,
            **door.report(),
            "mounts": mounts.report(),
            "asleep": mounts.asleep(),
        }

    async def ticket(asked: link.AskTicket) -> dict[str, Any]:
        export = await mounts.ticket(asked.export, asked.password, asked.uid, asked.gid)
        return {"export": export, "nfs": address, "seconds": config.nfs.ticket_seconds}

    async def release(asked: link.AskRelease) -> dict[str, Any]:
        return _told([await mounts.release(asked.export, asked.mounted)])

    async def forget(asked: link.AskForget) -> dict[str, Any]:
        return _told(await mounts.forget(asked.site, asked.mounted))

    gate = Gate(
        state / "gateway.sock",
        sites=sites,
        ticket=ticket,
        release=release,
        forget=forget,
        seconds=config.remote.reply_seconds,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(door.serve(listening))
            tasks.create_task(gate.serve())
            tasks.create_task(announce())
            tasks.create_task(mounts.take_up(_unfinished(journals)))
            tasks.create_task(mounts.tend())
    finally:
        await mounts.close()
        await asyncio.to_thread(blocks.close)
        record.close()


def _told(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"mounts": [outcome._asdict() for outcome in outcomes]}


def _unfinished(journals: Path) -> list[int]:
    """Give the mounts whose journals hold something."""
    found = journals.iterdir() if journals.is_dir() else ()
    return [int(one.name) for one in found if one.name.isdecimal() and any(one.iterdir())]


async def _announce(address: str, seconds: float) -> None:
    """Have rpcbind know where we are for as long as we are here, if there is one and we may."""
    host, port = split_address("nfs.listen", address)
    programs = ((nfs3.PROGRAM, nfs3.VERSION), (mount3.PROGRAM, mount3.VERSION))
    ours = [Binding(program, version, host, port) for program, version in programs]
    taken = await rpcbind.register(ours, seconds=seconds) if seconds else []
    if taken:
        log.info("rpcbind tells clients where we are")
        try:
            await asyncio.Event().wait()
        finally:
            await rpcbind.unregister(taken, seconds=seconds)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the state directory: two gateways in it would both upload what its journal holds."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{state}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRuns(f"with {state}; another one needs another state.directory") from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)
