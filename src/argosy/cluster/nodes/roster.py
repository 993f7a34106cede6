"""The nodes that the master knows in this life: their links, volumes, ports and transfers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from argosy import errors
from argosy.catalogue.model import Discard, Membership, Volume
from argosy.cluster.nodes.conduct import Conduct
from argosy.cluster.nodes.lines import Lines
from argosy.cluster.nodes.placement import Candidate
from argosy.cluster.nodes.transfers import Transfer
from argosy.config import Master
from argosy.net.peer import Peer
from argosy.wire import link

PROMISE_SECONDS = 5.0
"""A client that said PRET connects within that, or it won't."""

SILENT_BEATS = 2
"""A node that has missed so many is silent: nobody counts on what only it has."""

LATE_SECONDS = 0.5
"""A time limit that is over for so long when it is noticed has been missed by ourselves: we stood still."""

SCARCE_PORTS = 2
"""With so few ports left the node is told which ones are taken, so that it opens more."""


class Standing(StrEnum):
    """How far a volume's file list is in the catalogue."""

    MERGING = "merging"
    MERGED = "merged"
    HELD = "held"
    """A scan would lose so many files that the administrator is asked."""


@dataclass(slots=True)
class LiveVolume:
    """A volume of a connected node."""

    number: int
    store_id: str
    total: int = 0
    free: int = 0
    files: int = 0
    scrub: link.Pass | None = None
    """How far its scrub is, as its last beat told."""
    standing: Standing = Standing.MERGING
    membership: Membership = Membership.MEMBER
    held_losses: int = 0
    acked: int = 0
    """Journal number up to which its changes are in the catalogue."""
    cut_copies: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Parts of copies that may be gone on with: by version, the bytes, and since when (monotonic clock)."""
    generation: int = 0
    """What the disk shall remember of this attachment."""
    stale: int = 0
    """Old versions that its list has shown, and that are owed their deletion."""
    turn: int = 0
    """When it was last chosen for a transfer, as a rising number."""


class Node:
    """A node that has joined in this life of the master; it stays here when its link breaks."""

    def __init__(self, name: str, conduct: Conduct) -> None:
        self.name = name
        self.conduct = conduct
        self.epoch = 0
        self.boot = ""
        self.advertise = ""
        self.software = ""
        self.labels: frozenset[str] = frozenset()
        self.zone = ""
        self.floor = 0
        """Bytes that shall be free on each of its volumes."""
        self.volumes: dict[str, LiveVolume] = {}
        """By store id."""
        self.transfers: dict[int, Transfer] = {}
        """By ticket."""
        self.load = self.in_rate = self.out_rate = 0.0
        self.heard = 0.0
        """When it last said something, on the monotonic clock."""
        self.left = 0.0
        """When we saw its link end, on the same clock."""
        self.hung = 0.0
        """When it last left a question unanswered, on the same clock."""
        self.knocks = False
        """The same process is back, and about to join."""
        self.peer: Peer | None = None
        self._ports: deque[int] = deque()
        self._ports_came = asyncio.Event()
        self._promised: deque[float] = deque()

    @property
    def online(self) -> bool:
        """Whether orders reach it now."""
        return self.peer is not None and not self.peer.lost

    @property
    def merged(self) -> bool:
        """Whether all of its file lists are in the catalogue."""
        return all(volume.standing is not Standing.MERGING for volume in self.volumes.values())

    def joined(self, peer: Peer, hello: link.Hello, epoch: int) -> None:
        """Take a new link; transfers that the node doesn't know any more are lost."""
        self.peer, self.epoch, self.boot = peer, epoch, hello.boot
        self.advertise, self.software = hello.advertise, hello.software
        self.labels, self.zone = frozenset(hello.labels), hello.zone
        self.floor = hello.floor_bytes
        self.heard = time.monotonic()
        self.knocks = False
        self._ports.clear()
        self.volumes = {}
        known = set(hello.running)
        for transfer in list(self.transfers.values()):
            if transfer.ticket in known:
                transfer.tell_again()
            else:
                transfer.lose()

    def promise(self) -> None:
        """Reckon with a transfer that will begin here: others that are planned meanwhile go elsewhere."""
        self._promised.append(time.monotonic())

    def begun(self, transfer: Transfer) -> None:
        """Take a transfer; if one was promised, it is this."""
        self.transfers[transfer.ticket] = transfer
        if self._promised:
            self._promised.popleft()

    @property
    def busy(self) -> int:
        """Transfers that run here, and those that are about to."""
        before = time.monotonic() - PROMISE_SECONDS
        while self._promised and self._promised[0] < before:
            self._promised.popleft()
        return len(self.transfers) + len(self._promised)

    def went(self) -> None:
        """Note that the link is over; who waits for one of the ports waits in vain."""
        self.left, self.knocks = time.monotonic(), False
        self._ports.clear()
        self._ports_came.set()
        for transfer in list(self.transfers.values()):
            transfer.left_alone()

    def give_up(self, peer: Peer) -> None:
        """End the transfers of a node that hasn't come back since this link ended: its process is dead."""
        if self.peer is peer and not self.knocks:
            for transfer in list(self.transfers.values()):
                transfer.lose()

    def beat(self, beat: link.Beat) -> None:
        """Take the figures of a heartbeat."""
        self.heard = time.monotonic()
        self.load, self.in_rate, self.out_rate = beat.load, beat.in_rate, beat.out_rate
        for space in beat.volumes:
            if volume := self.volumes.get(space.store_id):
                volume.total, volume.free, volume.files = space.total, space.free, space.files
                volume.scrub = space.scrub
        for running in beat.running:
            if transfer := self.transfers.get(running.ticket):
                transfer.progressed(running.moved, self.heard)
                self.observe(transfer, running.moved, running.seconds, running.held)

    def ended(self, done: link.Done) -> None:
        """Take the outcome of a transfer."""
        if transfer := self.transfers.get(done.ticket):
            self.observe(transfer, done.moved, done.seconds, done.held)
            transfer.finish(done)

    def observe(self, transfer: Transfer, moved: int, seconds: float, held: float) -> None:
        """See how fast a transfer was since it was last seen."""
        before, transfer.seen = transfer.seen, (moved, seconds, held)
        if transfer.client and not transfer.paced:
            count, span, wait = moved - before[0], seconds - before[1], held - before[2]
            way = f"{transfer.client} {'up' if transfer.upload else 'down'}"
            self.conduct.moved(self.name, way, count, span, held=wait, now=time.monotonic())

    def hangs(self) -> None:
        """Note that it didn't answer in time."""
        self.hung = time.monotonic()
        self.conduct.trouble(self.name, None, f"{self.name} doesn't answer", self.hung)

    def missed(self, now: float, beat_seconds: float) -> int:
        """Count the beats that should have come by now; half a beat's time is allowed for."""
        return max(0, int((now - self.heard) / beat_seconds - 0.5))

    def tell(self, order: link.Body) -> None:
        """Send a note, if the node is there."""
        if self.peer:
            self.peer.tell(order)

    def inquire(self, question: link.Body, seconds: float, heard: Callable[[link.Body | None], None]) -> None:
        """Send a request; `heard` is called once, with None if no reply comes in time or the link ends.

        If it was we who stood still, the node gets its time once more: its answer may have come meanwhile.
        """
        peer, loop = self.peer, asyncio.get_running_loop()
        open_, due = True, time.monotonic() + seconds

        def once(body: link.Body | None) -> None:
            nonlocal open_
            if open_:
                open_ = False
                for limit in limits:
                    limit.cancel()
                heard(body)

        def late() -> None:
            if peer and time.monotonic() - due > LATE_SECONDS:
                limits.append(loop.call_later(seconds, once, None))
            else:
                once(None)

        limits = [loop.call_later(seconds if peer else 0.0, late)]
        if peer:
            peer.request(question, once)

    async def ask(self, order: link.Body, seconds: float | None = None) -> link.Body:
        """Send an order and wait for its answer.

        Raises:
            Unavailable: The node is away or doesn't answer in time.
            Refused: What the node refused with.
        """
        if self.peer is None:
            raise errors.Unavailable(self.name)
        return await self.peer.ask(order, seconds)

    def opened(self, ports: list[int]) -> None:
        """Take ports that the node holds open in advance."""
        self._ports.extend(ports)
        self._ports_came.set()

    async def draw_port(self, seconds: float) -> int:
        """Take a port that listens at the node already; mostly without waiting.

        Raises:
            Unavailable: None came in time, or the node is away.
        """
        if (port := self.take_port()) is not None:
            return port
        try:
            async with asyncio.timeout(seconds):
                while not self._ports:
                    if not self.online:
                        raise errors.Unavailable(self.name)
                    self._ports_came.clear()
                    await self._ports_came.wait()
        except TimeoutError:
            raise errors.Unavailable(f"{self.name} has no port left") from None
        return self._ports.popleft()

    def take_port(self) -> int | None:
        """Take a port that listens at the node already, if one is known; see `draw_port`."""
        if len(self._ports) <= SCARCE_PORTS:
            for transfer in self.transfers.values():
                transfer.introduce()  # so that the node learns which of its ports are taken
        return self._ports.popleft() if self._ports else None

    def address(self, control: str) -> str:
        """Give the address that a client is told for this node.

        Args:
            control: Our own address on the client's control connection: a node on the master's machine
                that was told none is where the master is.
        """
        if self.advertise:
            return self.advertise
        assert self.peer is not None, "asked only of nodes that have joined"
        remote = self.peer.remote[0]
        return control if remote in (self.peer.local[0], "127.0.0.1", "::1") else remote


class Roster:
    """All nodes, and the volumes as placement sees them."""

    def __init__(self, config: Master | None = None) -> None:
        """Begin without nodes.

        Args:
            config: The master's file; none: the defaults.
        """
        config = config or Master()
        table = config.placement
        self.conduct = Conduct(
            trouble_seconds=table.trouble_seconds,
            slow_seconds=table.slow_seconds,
            fast=table.fast_bytes_per_second,
        )
        self._beat_seconds = config.link.beat_seconds
        self.nodes: dict[str, Node] = {}
        self._by_number: dict[int, tuple[Node, LiveVolume]] = {}
        self._turns = itertools.count(1)
        self.lines = Lines()
        """Connections between nodes that are kept."""

    def __iter__(self) -> Iterator[Node]:
        """Go through the nodes by name."""
        return iter(sorted(self.nodes.values(), key=lambda node: node.name))

    def node(self, name: str) -> Node:
        """Give the node of this name, away or not.

        Raises:
            Unavailable: It hasn't joined in this life of the master.
        """
        try:
            return self.nodes[name]
        except KeyError:
            raise errors.Unavailable(name) from None

    def enter(self, name: str) -> Node:
        """Give the node of this name, and know it from now on."""
        return self.nodes.setdefault(name, Node(name, self.conduct))

    def place(self, number: int) -> tuple[Node, LiveVolume]:
        """Give the node and volume of a volume number.

        Raises:
            Unavailable: No connected node has it.
        """
        node, volume = self._by_number.get(number, (None, None))
        if node is None or volume is None or not node.online:
            raise errors.Unavailable(f"volume {number} is away")
        return node, volume

    def online(self) -> list[int]:
        """Give the numbers of the volumes that orders reach now."""
        return [number for number in self._by_number if self.reaches(number)]

    def reaches(self, number: int) -> bool:
        """Say whether orders reach a volume now."""
        node, live = self._by_number.get(number, (None, None))
        return node is not None and live is not None and node.online and live.store_id in node.volumes

    def answers(self, number: int) -> bool:
        """Say whether orders reach a volume now, and its node isn't silent."""
        if not self.reaches(number):
            return False
        node = self._by_number[number][0]
        missed = node.missed(time.monotonic(), self._beat_seconds)
        return missed < SILENT_BEATS and node.hung <= node.heard

    def owner(self, store_id: str) -> Node | None:
        """Give the connected node that has this volume."""
        return next((node for node in self if node.online and store_id in node.volumes), None)

    def attach(self, node: Node, volume: Volume, state: link.VolumeState) -> LiveVolume:
        """Add a volume to a node that joins."""
        live = LiveVolume(
            volume.number,
            volume.store_id,
            total=state.total,
            free=state.free,
            membership=volume.membership,
            acked=volume.acked,
        )
        live.generation = volume.generation
        if known := self._by_number.get(volume.number):
            live.turn, live.files = known[1].turn, known[1].files
        node.volumes[volume.store_id] = live
        self._by_number[volume.number] = node, live
        return live

    def enlist(self, numbers: Iterable[int], membership: Membership) -> None:
        """Heed from now on whether volumes are reckoned with."""
        for number in numbers:
            if known := self._by_number.get(number):
                known[1].membership = membership

    def chosen(self, number: int, *, freely: bool) -> None:
        """Note that a volume gets a transfer, so that others have their turn.

        Args:
            number: The volume's.
            freely: It might have been another, and its transfer will begin soon; else it runs already.
        """
        if known := self._by_number.get(number):
            known[1].turn = next(self._turns)
            if freely:
                known[0].promise()

    def candidates(self, holders: set[int] | None = None) -> list[Candidate]:
        """Give every volume that ever joined in this life, for placement.

        Args:
            holders: Volume numbers that have the file already.
        """
        now = time.monotonic()
        return [
            Candidate(
                node=node.name,
                volume=live.number,
                online=node.online and live.store_id in node.volumes,
                labels=node.labels,
                transfers=node.busy,
                load=node.load,
                rate=node.in_rate + node.out_rate,
                total=live.total,
                free=live.free,
                turn=live.turn,
                holds=live.number in (holders or ()),
                emptied=live.membership is not Membership.MEMBER,
                missed=node.missed(now, self._beat_seconds),
                trouble=self.conduct.troubles(node.name, live.number, now),
                unwritable=self.conduct.refuses_uploads(live.number, now),
                slow=self.conduct.slow(node.name, now),
            )
            for node, live in self._by_number.values()
        ]

    def forget(self, number: int, uploads: list[int]) -> None:
        """Have parts removed that nobody goes on with; one that is missed is found at the next join."""
        node, live = self._by_number.get(number, (None, None))
        if node and live and uploads:
            node.tell(link.Forget(live.store_id, uploads))


def as_doomed(file: Discard) -> link.Doomed:
    """Give a tombstone as the link's words."""
    return link.Doomed(file.loc, file.ver, file.size, file.mtime_ns, file.finding, file.keep)
