"""A master that is only a link: it hears what a node says and orders what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from argosy import config
from argosy.net import pki, tls
from argosy.net.peer import Peer
from argosy.node.agent import Agent
from argosy.node.disk import roots
from argosy.node.disk.volume import Volume
from argosy.wire import link

SECONDS = 60.0
"""How long anything may take: the machine may be busy."""
OLD = 1_600_000_000
"""When a file was changed that is old."""


async def eventually(told: Callable[[], object]) -> None:
    """Wait until something is so; a note or a thread may take its time."""
    async with asyncio.timeout(SECONDS):
        while not told():
            await asyncio.sleep(0.01)


class Master:
    """What a node sees of a master."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys
        self.port = 0
        self.peer: Peer | None = None
        self.hello: link.Hello | None = None
        self.welcomed = asyncio.Event()
        self.ports: list[int] = []
        self.files: dict[bytes, link.File] = {}
        self.batches: list[link.Changes] = []
        self.held: list[link.Held] = []
        self.beats: list[link.Beat] = []
        self.deaf = False
        """Don't acknowledge outcomes."""
        self.outcomes: dict[int, asyncio.Future[link.Done]] = {}
        self.news = asyncio.Condition()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:

            def connected(peer: Peer) -> None:
                self.peer = peer
                tasks.create_task(peer.run(self.answer))

            server = await loop.create_server(
                lambda: Peer(request_seconds=SECONDS, silent_seconds=SECONDS, connected=connected),
                "127.0.0.1",
                self.port,
                ssl=tls.link_server(self.keys),
            )
            self.port = server.sockets[0].getsockname()[1]
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
                if self.peer:
                    self.peer.close()

    async def answer(self, message: link.Body) -> link.Body | None:
        match message:
            case link.Hello():
                self.hello = message
                self.ports = []
                pem, key = (self.keys / "ftp.pem").read_bytes(), (self.keys / "ftp.key").read_bytes()
                self.welcomed.set()
                return link.Welcome(link.VERSION, 1, 0.2, 4, 5.0, 5.0, pem, key)
            case link.Ports():
                self.ports += message.ports
            case link.Changes():
                self.merge(message)
                async with self.news:
                    self.news.notify_all()
                return link.Merged(message.seq)
            case link.Held():
                self.held.append(message)
            case link.Beat():
                self.beats.append(message)
            case link.Done():
                if self.deaf:
                    await asyncio.sleep(SECONDS)
                future = self.outcomes.setdefault(message.ticket, asyncio.get_running_loop().create_future())
                if not future.done():
                    future.set_result(message)
        return None

    def merge(self, batch: link.Changes) -> None:
        self.batches.append(batch)
        there: dict[bytes, link.File] = {}
        gone = []
        for group in batch.groups:
            for file in group.files:
                loc = b"/".join(filter(None, (group.directory, file.name)))
                if file.gone:
                    gone.append(loc)
                else:
                    there[loc] = file
        if batch.whole:
            gone += [
                loc
                for loc in self.files
                if loc > batch.after and (batch.upto is None or loc <= batch.upto) and loc not in there
            ]
        for loc in gone:
            self.files.pop(loc, None)
        self.files |= there

    async def until(self, *locs: bytes) -> None:
        """Wait until these are the files that the node has."""
        async with asyncio.timeout(SECONDS), self.news:
            await self.news.wait_for(lambda: set(self.files) == set(locs))

    async def ask(self, order: link.Body) -> link.Body:
        assert self.peer is not None
        return await self.peer.ask(order)

    async def expect(self, *, peer: str = "127.0.0.1", tls: bool = False) -> tuple[int, int]:
        """Have the node take a connection. Gives the ticket and the port."""
        await eventually(lambda: self.ports)
        assert self.peer is not None
        ticket, port = secrets.randbits(62) | 1, self.ports.pop(0)
        self.peer.tell(link.Expect(ticket, port, peer, tls))
        return ticket, port

    def tell(self, order: link.Body) -> None:
        assert self.peer is not None
        self.peer.tell(order)

    async def outcome(self, ticket: int) -> link.Done:
        future = self.outcomes.setdefault(ticket, asyncio.get_running_loop().create_future())
        async with asyncio.timeout(SECONDS):
            return await future

    async def rejoined(self) -> None:
        """Cut the link and wait until the node is back."""
        assert self.peer is not None
        self.welcomed.clear()
        self.peer.close()
        async with asyncio.timeout(SECONDS):
            await self.welcomed.wait()


def make_keys(at: Path, name: str = "n1") -> Path:
    """Certificates for a master and a node."""
    authority = pki.Authority.open(at)
    authority.issue_master()
    authority.issue_ftp(["127.0.0.1"])
    request = pki.make_request(at / f"{name}.key", name)
    pki.write_public(at / f"{name}.pem", authority.sign_node(request, name, 90))
    return at


def settings(at: Path, port: int, **changes: object) -> config.Node:
    """A node's file: one root below `at`, made ready."""
    root = at / "root"
    roots.prepare(root)
    return config.Node(
        name="n1",
        master=f"127.0.0.1:{port}",
        roots=(str(root),),
        keys=str(at / "keys"),
        listen="127.0.0.1",
        listeners=3,
        retry_first_seconds=0.05,
        stop_seconds=0.2,
        scan_loss_ignored=3,
        **changes,  # type: ignore[arg-type]
    )


@contextlib.asynccontextmanager
async def master(at: Path) -> AsyncIterator[Master]:
    """A master that listens."""
    far = Master(make_keys(at / "keys") if not (at / "keys").exists() else at / "keys")
    serving = asyncio.create_task(far.serve())
    try:
        await eventually(lambda: far.port)
        yield far
    finally:
        serving.cancel()
        await asyncio.wait({serving})


@contextlib.asynccontextmanager
async def node(at: Path, far: Master, **changes: object) -> AsyncIterator[Volume]:
    """A node that has joined, in this process."""
    node_settings = settings(at, far.port, **changes)
    volume = await asyncio.to_thread(
        Volume.open, node_settings.roots[0], trash_seconds=node_settings.trash_seconds
    )
    told = asyncio.Event()
    far.welcomed.clear()
    running = asyncio.create_task(Agent(node_settings, [volume]).run(told))
    try:
        async with asyncio.timeout(SECONDS):
            await far.welcomed.wait()
        yield volume
    finally:
        told.set()
        await asyncio.wait({running}, timeout=SECONDS)
        await running
        volume.close()


async def dialled(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A client's data connection."""
    client = await asyncio.to_thread(socket.create_connection, (host, port), SECONDS)
    client.settimeout(SECONDS)
    return client


def rest_of(client: socket.socket) -> bytes:
    """Read to the end."""
    data = bytearray()
    while piece := client.recv(65536):
        data += piece
    return bytes(data)


def push(client: socket.socket, data: bytes) -> None:
    """Send all and end; what became of it, the outcome says."""
    with client, contextlib.suppress(ConnectionError):
        client.sendall(data)


def put(path: Path, data: bytes, mtime: float = OLD) -> Path:
    """Lay a file on a disk, as if it had lain there for long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    return path


async def fetch(far: Master, store: str, loc: bytes, size: int, *, ver: int = 0, offset: int = 0) -> bytes:
    """Have the node send a file, and give it."""
    ticket, port = await far.expect()
    with await dialled(port) as client:
        far.tell(link.Send(ticket, store, loc, ver, size, offset, False))
        data = await asyncio.to_thread(rest_of, client)
    done = await far.outcome(ticket)
    assert (done.refusal, done.moved) == ("", len(data)), done
    return data


async def store(far: Master, where: str, upload: int, data: bytes, **changes: object) -> link.Done:
    """Have the node take an upload, and tell what came of it; `changes` are to the order."""
    ticket, port = await far.expect()
    client = await dialled(port)
    order = link.Receive(ticket, where, upload, 0, None, False, -1, True)
    for name, value in changes.items():
        setattr(order, name, value)
    far.tell(order)
    await asyncio.to_thread(push, client, data)
    return await far.outcome(ticket)
