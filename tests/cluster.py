"""A master's inside in the test's own process, and nodes in processes of their own, which can be killed.

There are no doors: a test puts files on the disks or uploads them by tickets, and orders what it wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from argosy import config
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry, Sealed, TreePath
from argosy.cluster.copies.copying import Batch, Copier, Item, Outcome
from argosy.cluster.copies.proving import Proving
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.rules import Rules
from argosy.cluster.copies.verifying import Verifier
from argosy.cluster.joining import LinkServer
from argosy.cluster.nodes.roster import LiveVolume, Node, Roster, Standing
from argosy.cluster.nodes.transfers import Transfer
from argosy.cluster.upkeep import Upkeep
from argosy.net import pki
from argosy.net.pki import Authority
from argosy.node.disk import roots
from argosy.wire import link
from running import needs
from standin import dialled, push

SECONDS = 30.0


def path(text: str) -> TreePath:
    """Read a path of the tree."""
    return tuple(part.encode() for part in text.split("/") if part)


class Machine:
    """One node's process and its directory."""

    def __init__(self, name: str, home: Path, prefix: tuple[str, ...]) -> None:
        self.name = name
        self.root = home / "files"
        self.config = home / "node.toml"
        self.log = home / "log"
        self.prefix = prefix
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            words = (sys.executable, "-m", "argosy.cli.main", "node", "--config", str(self.config))
            self.process = subprocess.Popen([*self.prefix, *words], stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            self.process.wait(SECONDS)

    def parts(self) -> dict[str, int]:
        """What lies in the staging, by name, and its bytes."""
        sizes = {}
        for part in (self.root / ".argosy/staging").iterdir():
            with contextlib.suppress(FileNotFoundError):
                sizes[part.name] = part.stat().st_size
        return sizes


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Cluster:
    """A master without doors, and its nodes."""

    def __init__(self, directory: Path, settings: Mapping[str, Mapping[str, object]]) -> None:
        self.directory = directory
        tables: dict[str, dict[str, object]] = {
            "paths": {"keys": str(directory / "keys"), "run": str(directory / "run")},
            "link": {"listen": "127.0.0.1:0", "lost_seconds": 3.0, "beat_seconds": 0.2},
            "catalogue": {"directory": str(directory / "catalogue"), "upkeep_seconds": 0.5},
            "ftp": {"connect_seconds": 5.0, "stall_seconds": 5.0},
        }
        for name, keys in settings.items():
            tables.setdefault(name, {}).update(keys)
        self.config = msgspec.convert(tables, config.Master)
        self.authority = Authority.open(directory / "keys")
        self.authority.issue_master()
        self.authority.issue_ftp(["127.0.0.1"])
        self.address = ""
        self.machines: dict[str, Machine] = {}
        self.roster = Roster()
        self.catalogue = Catalogue(self.config.catalogue)
        self.copier = Copier(self.config, self.catalogue, self.roster)
        self._services: list[asyncio.Task[None]] = []
        self.repair: Repair
        self.verifier: Verifier
        self.proving: Proving

    async def open(self) -> None:
        """Start the master; again: another one, that knows what is in the catalogue."""
        await self.catalogue.open()
        await self.catalogue.recover()
        upkeep = Upkeep(self.config, self.catalogue, self.roster)
        rules = Rules(self.config.sections, self.catalogue.wishes)
        self.verifier = Verifier(self.config, self.catalogue, self.roster, owed=upkeep.wake)
        self.proving = Proving(self.config, self.catalogue, self.roster, self.verifier)
        directory = self.directory / "keys"
        server = LinkServer(
            *(self.config, self.catalogue, self.roster, self.authority),
            lambda: ((directory / "ftp.pem").read_bytes(), (directory / "ftp.key").read_bytes()),
            judge=self.verifier.judge,
        )
        self.repair = Repair(
            *(self.config, self.catalogue, self.roster, rules, self.copier),
            owed=upkeep.wake,
            doubted=self.verifier.doubt,
        )
        self._services = [
            asyncio.create_task(self.repair.run()),
            asyncio.create_task(server.serve(lambda at: setattr(self, "address", at))),
            asyncio.create_task(upkeep.run()),
            asyncio.create_task(self.verifier.run()),
            asyncio.create_task(self.proving.run()),
        ]
        await self.until(lambda: self.address)

    async def close(self) -> None:
        """Stop the master; the nodes stay."""
        for service in self._services:
            service.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)
        await self.catalogue.close()

    async def reopen(self) -> None:
        """Have another master take the place of this one."""
        await self.close()
        settings = msgspec.structs.replace(self.config.link, listen=self.address)
        self.config = msgspec.structs.replace(self.config, link=settings)
        self.roster, self.catalogue = Roster(), Catalogue(self.config.catalogue)
        self.copier = Copier(self.config, self.catalogue, self.roster)
        await self.open()

    async def until(self, true: object, seconds: float = SECONDS) -> None:
        """Wait until something holds."""
        assert callable(true)
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            logs = "".join(f"--- {one.name}\n{one.log.read_text()[-3000:]}" for one in self.machines.values())
            raise AssertionError(f"waited in vain\n{logs}") from None

    # --- nodes

    async def join(
        self,
        name: str,
        files: Mapping[str, bytes] | None = None,
        *,
        root: Path | None = None,
        seconds: float = SECONDS,
        **keys: object,
    ) -> Machine:
        """Start a node, whose disk has these files already."""
        home = self.directory / name
        home.mkdir()
        machine = self.machines[name] = Machine(name, home, ())
        if root is not None:
            machine.root = root
        request = pki.make_request(home / f"{name}.key", name)
        (home / f"{name}.pem").write_bytes(self.authority.sign_node(request, name, 90))
        (home / "authority.pem").write_bytes(self.authority.pem)
        roots.prepare(machine.root)
        for loc, content in (files or {}).items():
            at = machine.root / loc
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(content)
        keys = {
            "name": name,
            "master": self.address,
            "roots": [str(machine.root)],
            "keys": str(home),
            "listen": "127.0.0.1",
            "retry_first_seconds": 0.05,
            "retry_most_seconds": 0.2,
            "scan_seconds": 3600.0,
            "stop_seconds": 0.2,
            "lost_seconds": 3.0,
            **keys,
        }
        lines: list[str] = []
        for key, value in sorted(keys.items(), key=lambda one: isinstance(one[1], Mapping)):
            if isinstance(value, Mapping):
                lines += [f"[{key}]", *(f"{inner} = {_toml(at)}" for inner, at in value.items())]
            else:
                lines.append(f"{key} = {_toml(value)}")
        machine.config.write_text("\n".join(lines))
        machine.start()
        await self.ready(name, seconds)
        return machine

    async def ready(self, name: str, seconds: float = SECONDS) -> None:
        """Wait until a node is here with its list merged."""

        def here() -> bool:
            node = self.roster.nodes.get(name)
            merged = node is not None and node.online and bool(node.volumes)
            return merged and all(
                live.standing is Standing.MERGED for live in self.node(name).volumes.values()
            )

        await self.until(here, seconds)

    def node(self, name: str) -> Node:
        return self.roster.nodes[name]

    def volume(self, name: str) -> LiveVolume:
        return next(iter(self.node(name).volumes.values()))

    # --- files

    def entry(self, text: str) -> Entry:
        return self.catalogue.find(path(text))

    def holders(self, text: str) -> set[str]:
        """Name the nodes with a replica of a file."""
        return {replica.node for replica in self.catalogue.replicas(self.entry(text).id)}

    async def upload(self, name: str, text: str, content: bytes) -> Entry:
        """Upload a file to a node, as a client would by PRET."""
        node, live = self.node(name), self.volume(name)
        upload = await self.catalogue.begin(
            path(text), volume=live.number, node=name, epoch=node.epoch, user="ann", resume=False
        )
        transfer = Transfer(node)
        port = await node.draw_port(5)
        transfer.expect(port, peer="127.0.0.1", tls=False)
        transfer.receive(upload, live.store_id, offset=0, as_text=False, announced=-1, flush=True)
        await asyncio.to_thread(push, await dialled(port), content)
        done = await transfer.outcome()
        assert not done.refusal, done
        sealed = Sealed(done.size, done.mtime_ns, done.crc32, done.digest)
        named_ns = time.time_ns()
        entry, replica, discards = await self.catalogue.commit(upload.id, sealed, epoch=node.epoch)
        placement = self.catalogue.placement(replica, named_ns, discards)
        node.tell(link.Commit(live.store_id, [link.CommitPart(*placement)]))
        return entry

    async def fetch(self, name: str, text: str, *, tls: bool = False) -> tuple[bytes, str]:
        """Download a file from a node, as a client would by PRET; give what came, and the node's refusal."""
        node, entry = self.node(name), self.entry(text)
        (replica,) = [one for one in self.catalogue.replicas(entry.id) if one.node == name]
        _, live = self.roster.place(replica.volume)
        transfer = Transfer(node)
        port = await node.draw_port(5)
        transfer.expect(port, peer="127.0.0.1", tls=tls)
        transfer.send(replica, live.store_id, size=entry.size, offset=0, as_text=False)
        context = ssl.create_default_context(cafile=str(self.directory / "keys/authority.pem"))
        client = await dialled(port)
        got = await asyncio.to_thread(_all_of, client, context if tls else None)
        return got, (await transfer.outcome()).refusal

    def batch(self, source: str, target: str, *paths: str) -> Batch:
        """Ask for files to be copied."""
        items = []
        for text in paths:
            entry = self.entry(text)
            replica = next(one for one in self.catalogue.replicas(entry.id) if one.node == source)
            items.append(Item(entry, replica))
        return Batch(self.volume(source).number, self.volume(target).number, tuple(items))

    async def copy(self, source: str, target: str, *paths: str) -> list[Outcome]:
        return await self.copier.copy(self.batch(source, target, *paths))

    async def lies(self, name: str, loc: str, content: bytes) -> None:
        """Wait until a file lies on a node's disk in its place."""
        at = self.machines[name].root / loc
        await self.until(lambda: at.exists() and at.read_bytes() == content)


def _all_of(client: socket.socket, context: ssl.SSLContext | None) -> bytes:
    """Read to the end, or to the reset."""
    data = bytearray()
    with contextlib.suppress(OSError), client:
        made = context.wrap_socket(client, server_hostname="127.0.0.1") if context else client
        with made:
            while piece := made.recv(65_536):
                data += piece
    return bytes(data)


@contextlib.asynccontextmanager
async def cluster(directory: Path, **settings: Mapping[str, object]) -> AsyncIterator[Cluster]:
    """Run a master without doors; at the end its nodes are stopped, too."""
    os.makedirs(directory, exist_ok=True)
    one = Cluster(directory, settings)
    await one.open()
    try:
        yield one
    finally:
        for machine in one.machines.values():
            machine.stop()
        await one.close()


@contextlib.contextmanager
def tmpfs(at: Path, size: int) -> Iterator[Path]:
    """Lend a small disk."""
    mount, umount = needs("mount"), needs("umount")
    if os.geteuid() != 0:
        pytest.skip("needs root, for a small disk")
    at.mkdir()
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "none", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run([umount, "--lazy", str(at)], check=True)
