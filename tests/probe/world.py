"""A catalogue and the disks of three nodes, all real, beside a model of what they should show.

What stands between them, the link, is played here: orders arrive while a node is linked and are lost while it
isn't, and who comes back settles its past as `cluster/joining.py` has it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import xxhash

from argosy import config, errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import (
    ROOT_ID,
    Discard,
    Doubt,
    Found,
    Kind,
    MergeReport,
    Placement,
    Replica,
    Sealed,
    Standing,
    TreePath,
)
from argosy.node.disk import roots
from argosy.node.disk.journal import Row
from argosy.node.disk.volume import Volume
from argosy.wire import link
from probe.model import Arriving, Model, Shown

_T = TypeVar("_T")

WANTED = 2
"""Copies that everything wants."""

SECOND_NS = 1_000_000_000


@dataclass(eq=False)
class Node:
    """A node: its process, and the disk that outlives it."""

    number: int
    root: Path
    volume: Volume
    boots: Iterator[int] = field(default_factory=itertools.count)
    boot: str = ""
    epoch: int = 0
    linked: bool = False

    @property
    def name(self) -> str:
        return f"n{self.number}"


@dataclass(frozen=True)
class Copying:
    """A copy on its way from one node to another."""

    ver: int
    target: Node
    content: bytes


class World:
    """The real ones, and the model."""

    def __init__(self, nodes: int = 3) -> None:
        shared = Path("/dev/shm")
        self.directory = Path(tempfile.mkdtemp(prefix="argosy-", dir=shared if shared.is_dir() else None))
        self.loop = asyncio.new_event_loop()
        self.now_ns = 1_800_000_000 * SECOND_NS
        self.catalogue = Catalogue(config.Catalogue(directory=str(self.directory)), clock_ns=self._clock)
        self.catalogue.wants = lambda _: WANTED
        self.do(self.catalogue.open())
        self.model = Model()
        self.contents: dict[int, bytes] = {}
        """What was acknowledged, by version."""
        self.taken: set[tuple[int, int]] = set()
        """Volume and version of copies that somebody took from a disk by hand, and nobody told of yet."""
        self.brought: dict[TreePath, tuple[int, bytes]] = {}
        """By path, what somebody put on a disk by hand, and nobody told of yet."""
        self.copies: list[Copying] = []
        self.serial = itertools.count(1)
        self.nodes: list[Node] = []
        for number in range(1, nodes + 1):
            root = self.directory / f"n{number}"
            root.mkdir()
            roots.prepare(root)
            node = Node(number, root, Volume.open(root, trash_seconds=0))
            self.nodes.append(node)
            self.join(node)

    def _clock(self) -> int:
        self.now_ns += SECOND_NS
        return self.now_ns

    def do(self, what: Awaitable[_T]) -> _T:
        """Have the catalogue do something."""

        async def done() -> _T:
            return await what

        return self.loop.run_until_complete(done())

    def close(self) -> None:
        for node in self.nodes:
            node.volume.close()
        self.do(self.catalogue.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.directory)

    def agree(
        self, modelled: Callable[[], _T], real: Callable[[], Awaitable[object]]
    ) -> tuple[_T, object] | None:
        """Ask both; either both do it, and what they say is given, or both refuse for the same reason."""
        try:
            ours = modelled()
        except errors.Refused as refused:
            expected = type(refused)
        else:
            return ours, self.do(real())
        with pytest.raises(expected) as raised:
            self.do(real())
        assert raised.type is expected
        return None

    # --- the link ----

    def join(self, node: Node, *, restart: bool = True) -> None:
        """Have a node come, or come back."""
        if restart:
            node.boot = f"boot{next(node.boots)}"
            node.volume.close()
            node.volume = Volume.open(node.root, trash_seconds=0)
        node.epoch = self.do(self.catalogue.register(node.name, node.boot))
        state = node.volume.state()
        volume = self.do(
            self.catalogue.attach(state.store_id, node.name, seq=state.seq, generation=state.generation)
        )
        assert volume.number == node.number
        parts = [(part.upload, part.received, part.sealed) for part in state.parts]
        self.tell_forget(self.do(self.catalogue.reconcile(node.number, parts, ())))
        sizes = {upload: received for upload, received, _ in parts}
        for upload in self.model.uploads():
            if upload.node == node.number and not (upload.open and upload.epoch == node.epoch):
                self.model.cut(upload, sizes.get(upload.id, 0), lost=upload.id not in sizes)
        node.linked = True
        node.volume.remember(volume.generation)
        self.do(self.catalogue.remembered(node.number, volume.generation))
        self.pay(node)
        verdict = self.do(self.catalogue.verdict(node.number, parts))
        self.tell_commit(node, verdict.commit)
        self.do(self.catalogue.placed(node.number, [part.upload for part in verdict.commit]))
        self.tell_forget([(node.number, number) for number in verdict.forget])
        whole = volume.acked > state.seq or self.catalogue.doubt(node.number) is not Doubt.NONE
        self.feed(node, whole=whole)

    def another_master(self) -> None:
        """A master starts in the place of the one before: nobody is linked, and what was open is cut."""
        self.do(self.catalogue.recover())
        for upload in self.model.uploads():
            if upload.open:
                self.model.cut(upload, None)
        for node in self.nodes:
            node.linked = False

    def feed(self, node: Node, *, whole: bool = False) -> MergeReport:
        """Have a node tell what changed, or all it has."""
        (volume,) = self.catalogue.volumes(node.name)
        journal = node.volume.journal
        rows = journal.page(b"", 10_000) if whole else journal.changes(volume.acked, 10_000)
        if whole:
            self.do(self.catalogue.expect_whole(node.number))
        found = [
            Found(
                *(row.loc, row.size, row.mtime_ns, row.ver, row.crc32, row.digest, bool(row.gone)),
                *(row.file, row.named_ns, row.path),
            )
            for row in rows
        ]
        report = self.do(self.catalogue.merge(node.number, found, seq=journal.seq, whole=whole))
        self.taken = {one for one in self.taken if one[0] != node.number}
        for path, (number, content) in list(self.brought.items()):
            if number == node.number:
                del self.brought[path]
                self.contents[self.catalogue.find(path).ver] = content
                self.model.bring(path, content)
        return report

    def tell_commit(self, node: Node, parts: Sequence[Placement]) -> None:
        if node.linked:
            node.volume.commit([link.CommitPart(*part) for part in parts])

    def tell_forget(self, parts: Sequence[tuple[int, int]]) -> None:
        for number, upload in parts:
            node = self.nodes[number - 1]
            if node.linked:
                node.volume.forget([upload])

    def pay(self, node: Node) -> None:
        """Have what is owed deleted."""
        while tombs := self.catalogue.tombs(node.number):
            node.volume.discard([link.Doomed(*_doomed(tomb)) for tomb in tombs])
            self.do(self.catalogue.buried(node.number, tombs))

    def settle(self, *, heard: bool = True) -> bool:
        """Have files moved to where the tree has them; say whether there were any to move.

        Args:
            heard: The nodes' answers arrive.
        """
        online = [node.number for node in self.nodes if node.linked]
        debts = self.do(self.catalogue.settlements(100, online))
        done, refused = [], []
        for debt in debts:
            order = link.Settle(
                *("", debt.loc, debt.ver, debt.size, debt.to, debt.mtime_ns),
                *(debt.file, debt.named_ns, debt.path),
            )
            try:
                self.nodes[debt.volume - 1].volume.settle(order)
            except errors.Refused:
                refused.append(debt)
            else:
                done.append(debt)
        if heard:
            self.do(self.catalogue.settled(done))
            self.do(self.catalogue.postponed(refused))
        return bool(debts)

    def rest(self) -> None:
        """All nodes are here, and all that is owed gets done."""
        for node in self.nodes:
            if not node.linked:
                self.join(node)
        for upload in self.model.uploads():
            if upload.open:
                self.cut(upload, 0)
        for _ in range(40):
            for node in self.nodes:
                self.pay(node)
                self.feed(node)
            self.now_ns += 100_000 * SECOND_NS
            if not self.settle():
                return
        raise AssertionError(f"moves without an end: {self.do(self.catalogue.settlements(100, (1, 2, 3)))}")

    # --- bytes ----

    def write(
        self, node: Node, number: int, content: bytes, base: link.Base | None, offset: int, *, seal: bool
    ) -> Sealed | None:
        """Write a part from `offset` on, as a transfer does; what isn't sealed is kept."""
        descriptor = node.volume.receive(number, offset, base, flush=True)
        try:
            os.write(descriptor, content[offset:])
            if not seal:
                return None
            digest = xxhash.xxh3_128_digest(content)
            row = node.volume.seal(number, descriptor, flush=True, crc32=None, digest=digest)
            return Sealed(row.size, row.mtime_ns, row.crc32, row.digest)
        finally:
            os.close(descriptor)
            if not seal:
                node.volume.keep(number)
            node.volume.release(number)

    def cut(self, upload: Arriving, received: int) -> None:
        """End an upload of which the node has so many bytes."""
        is_worthless = self.do(self.catalogue.cut(upload.id, received))
        node = upload.node
        self.model.cut(upload, received)
        if is_worthless:
            self.tell_forget([(node, upload.id)])

    def read(self, replica: Replica) -> bytes:
        """Read a copy where the catalogue says that it is."""
        volume = self.nodes[replica.volume - 1].volume
        descriptor = volume.read(replica.loc, replica.ver, replica.size)
        try:
            return os.pread(descriptor, replica.size + 1, 0)
        finally:
            os.close(descriptor)

    def files(self) -> list[tuple[TreePath, int, int]]:
        """Give path, FileId and version of all files with a content."""
        found = []
        for path, (kind, content) in self.shown().items():
            if kind != "dir" and content is not None:
                entry = self.catalogue.find(path)
                found.append((path, entry.id, entry.ver))
        return found

    def good(self, file: int) -> list[Replica]:
        return [one for one in self.catalogue.replicas(file) if one.standing is Standing.GOOD]

    def shown(self) -> Shown:
        """Give the tree as the catalogue has it."""
        found: Shown = {}
        ahead: list[tuple[TreePath, int]] = [((), ROOT_ID)]
        while ahead:
            path, folder = ahead.pop()
            for entry in self.catalogue.children(folder):
                here = (*path, entry.name)
                if entry.kind is Kind.DIRECTORY:
                    found[here] = "dir", None
                    ahead.append((here, entry.id))
                else:
                    found[here] = str(entry.state), self.contents[entry.ver] if entry.ver else None
        return found

    # --- by hand ----

    def take(self, node: Node, row: Row) -> None:
        """Somebody takes a file from a disk, and a scan finds that."""
        os.unlink(os.path.join(os.fsencode(node.root), row.loc))
        assert node.volume.lose([row]) == 1
        self.taken.add((node.number, row.ver))

    def bring(self, node: Node, name: bytes, content: bytes) -> None:
        """Somebody puts a file on a disk, and a scan finds it."""
        at = os.path.join(os.fsencode(node.root), name)
        Path(os.fsdecode(at)).write_bytes(content)
        status = os.stat(at)
        node.volume.note([Row(name, status.st_size, status.st_mtime_ns)])
        self.brought[(name,)] = node.number, content


def _doomed(tomb: Discard) -> tuple[bytes, int, int, int]:
    return tomb.loc, tomb.ver, tomb.size, tomb.mtime_ns
