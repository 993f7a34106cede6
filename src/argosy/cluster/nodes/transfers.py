"""A transfer at a node: one data connection, what moves over it, and how it ended."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable
from typing import Protocol

from argosy import errors
from argosy.catalogue.model import Replica, Standing, Upload
from argosy.cluster.nodes import pacing
from argosy.wire import link

UNKNOWN = -1
"""The size of a part on a node that went away in the middle."""


class Host(Protocol):
    """A node, as far as a transfer needs it."""

    name: str
    transfers: dict[int, Transfer]

    @property
    def online(self) -> bool:
        """Whether orders reach it now."""
        ...

    def tell(self, order: link.Body) -> None:
        """Send a note."""
        ...

    def inquire(self, question: link.Body, seconds: float, heard: Callable[[link.Body | None], None]) -> None:
        """Send a request; `heard` is called once, with None if no reply comes in time or the link ends."""
        ...

    def hangs(self) -> None:
        """Note that it doesn't answer."""
        ...

    def begun(self, transfer: Transfer) -> None:
        """Take a transfer."""
        ...


class Transfer:
    """A ticket for one data connection of one node.

    It outlives the link: the node goes on while the link is away, and tells the outcome when it is back.
    """

    def __init__(self, node: Host) -> None:
        """Draw a ticket.

        Raises:
            Unavailable: The node is away.
        """
        if not node.online:
            raise errors.Unavailable(node.name)
        self.node = node
        self.ticket = secrets.randbits(63) or 1
        self.moved = 0
        """Bytes so far, as the node's last beat told."""
        self.rate = 0.0
        """Bytes per second between its last two beats."""
        self.want = math.inf
        """Bytes per second that it could use, as far as beats have told."""
        self.pace = 0
        """Bytes per second that it may make; 0: no limit."""
        self.upload = 0
        """The upload that it brings, or takes along; 0 for none."""
        self.arrived: dict[int, link.Arrived] = {}
        """What became of the files of a `gather`, by version."""
        self.client = ""
        """Where the other end is; empty: not a client."""
        self.paced = False
        """Whether it ever had to be slower than it could."""
        self.seen = (0, 0.0, 0.0)
        """Bytes, seconds, and seconds that the node waited for its disk, as last told."""
        self.when_alone: Callable[[], None] | None = None
        """Called when the node's link ends before the transfer does."""
        self._watch: asyncio.TimerHandle | None = None
        self.news = asyncio.Event()
        """Set when something is known of `arrived`, or it is over."""
        self._answer_seconds = 0.0
        self._heard = 0.0
        self._given_up: Callable[[], None] | None = None
        self._meet: link.Meet | None = None
        self._order: link.Body | None = None
        self._done: asyncio.Future[link.Done] = asyncio.get_running_loop().create_future()
        node.begun(self)

    def expect(self, port: int, *, peer: str, tls: bool) -> None:
        """Have the node take the client's connection on a port that it holds open.

        Args:
            port: Drawn by `Node.draw_port`.
            peer: The only address that may connect; empty for any.
            tls: Shake hands as TLS server as soon as the client is there.
        """
        self._meet = link.Expect(self.ticket, port, peer, tls)
        if tls:
            self.introduce()  # some clients shake hands before they give their command

    def dial(self, host: str, port: int, *, tls: bool) -> None:
        """Have the node connect: to a client (PORT, EPRT) or, with no host, to a relay of ours."""
        self._meet = link.Dial(self.ticket, host, port, tls)

    def introduce(self) -> None:
        """Tell the node of the data connection now; else it hears of it with the order, in one message."""
        if self._meet:
            self.node.tell(self._meet)
            self._meet = None

    def send(self, replica: Replica, store_id: str, *, size: int, offset: int, as_text: bool) -> None:
        """Have the node send a file's bytes from `offset` up to `size`."""
        self._begin(
            link.Send(
                *(self.ticket, store_id, replica.loc, replica.ver, size, offset, as_text),
                unproved=replica.standing is Standing.BAD,
            )
        )

    def follow(self, upload: int, store_id: str, *, offset: int, as_text: bool) -> None:
        """Have the node send an upload's bytes from `offset` on, while they are still arriving there."""
        self._begin(link.Send(self.ticket, store_id, b"", upload, link.ARRIVING, offset, as_text))

    def receive(
        self,
        upload: Upload,
        store_id: str,
        *,
        offset: int,
        as_text: bool,
        announced: int,
        flush: bool,
        room: int = -1,
    ) -> None:
        """Have the node take an upload's bytes, from `offset` on.

        Args:
            upload: What the catalogue began.
            store_id: The volume it goes to.
            offset: Where the first byte goes; the ones before are there, or come from `upload.base`.
            as_text: Turn CRLF into LF on the way.
            announced: Bytes that ALLO announced; -1 for unknown.
            flush: Flush to the disk before the outcome.
            room: How long the file may become; -1: as long as it likes.
        """
        self.upload = upload.id
        base = upload.base and link.Base(upload.base.loc, upload.base.ver, upload.base.size)
        self._begin(
            link.Receive(
                *(self.ticket, store_id, upload.id, offset, base or None),
                *(as_text, announced, flush),
                room=room,
            )
        )

    def copy(self, order: link.Supply | link.Gather) -> None:
        """Have the node be one end of copies from node to node."""
        self._order = order
        self.node.tell(order)

    def tell(self, file: link.Arrived) -> None:
        """Take what became of the upload that a `gather` takes along."""
        self.arrived[file.ver] = file
        self.news.set()

    @property
    def ended(self) -> link.Done | None:
        """Its outcome, if that is known."""
        return self._done.result() if self._done.done() else None

    @property
    def over(self) -> bool:
        """Whether its outcome is known."""
        return self._done.done()

    def cancel(self) -> None:
        """Have the node end it, or give the port up that nobody used."""
        if self._given_up:
            self._given_up()
        if self._order is None:
            self.introduce()
        self.node.tell(link.Cancel(self.ticket))
        if self._order is None:
            self.finish(link.Done(self.ticket, 0, errors.TransferCut.__name__, "", size=UNKNOWN))
        elif self._answer_seconds and not self.over:  # a node that hangs says nothing to that
            if self._watch:
                self._watch.cancel()
            self._watch = asyncio.get_running_loop().call_later(self._answer_seconds, self._unanswered)

    def keep_pace(self, bytes_per_second: int) -> None:
        """Have the node go no faster from now on; 0: as fast as can be."""
        if bytes_per_second != self.pace:
            self.pace = bytes_per_second
            self.paced = True
            self.introduce()
            self.node.tell(link.Pace(self.ticket, bytes_per_second))

    def progressed(self, moved: int, now: float) -> None:
        """Take what a beat tells.

        Args:
            moved: Bytes so far.
            now: When, on the monotonic clock.
        """
        if self._heard and now > self._heard:
            self.rate = max(0.0, (moved - self.moved) / (now - self._heard))
            self.want = pacing.wanted(self.rate, self.pace)
        self.moved, self._heard = moved, now

    def tell_again(self) -> None:
        """Repeat the orders after the link broke, for they may have been lost with it. The node heeds one."""
        if self.pace:
            self.node.tell(link.Pace(self.ticket, self.pace))
        if self._order:
            self.node.tell(self._order)

    async def outcome(self) -> link.Done:
        """Wait for the end; a node that is lost, or that forgot, ends it as cut, its size `UNKNOWN`.

        Time limits are the node's (connecting, standing still) and the roster's (a node that is away).
        """
        return await self._done

    def watch(self, answer_seconds: float, stall_seconds: float) -> None:
        """Ask after it every so often until its first byte has moved; then, if it is a download, more seldom.

        Args:
            answer_seconds: How often at first, and how long an answer may take: who hasn't begun and doesn't
                answer loses it.
            stall_seconds: A download that stands still for so long is given up. Its node would end it by
                itself, but for a disk that doesn't come back to it.
        """
        self._answer_seconds = answer_seconds
        clock = asyncio.get_running_loop()
        moved, since = 0, clock.time()

        def look() -> None:
            if self.over or (self.moved and self.upload):
                return
            if self.node.online:
                self.node.inquire(link.HowFar(self.ticket), answer_seconds, heard)
            else:
                again()

        def heard(answer: link.Body | None) -> None:
            nonlocal moved, since
            if self.over:
                return
            if answer is None and self.node.online and not self.moved:
                self._unanswered()
                return
            if isinstance(answer, link.Running):
                self.moved = max(self.moved, answer.moved)
                if answer.moved != moved:
                    moved, since = answer.moved, clock.time()
                elif not self.upload and clock.time() - since > stall_seconds:
                    self.give_up(f"{self.node.name} stands still")
                    return
            again()

        def again() -> None:
            pause = stall_seconds / 2 if self.moved else answer_seconds
            self._watch = clock.call_later(pause, look)

        again()

    def give_up(self, why: str) -> None:
        """End it without waiting for what the node says to that; nobody knows how far it came."""
        if not self.over:
            self.node.tell(link.Cancel(self.ticket))
            self._cut_by(why)

    def _unanswered(self) -> None:
        if self.node.online and not self.over:
            self.node.hangs()
        self.give_up(f"{self.node.name} doesn't answer")

    def left_alone(self) -> None:
        """Hear that the node's link has ended."""
        if self.when_alone and not self.over:
            self.when_alone()

    def when_cancelled(self, act: Callable[[], None]) -> None:
        """Have `act` called when somebody cancels it, be it over: then more hangs on it than its bytes."""
        self._given_up = act

    def when_over(self, act: Callable[[], None]) -> None:
        """Have `act` called once it has ended."""
        self._done.add_done_callback(lambda _: act())

    def when_failed(self, act: Callable[[], None]) -> None:
        """Have `act` called as soon as it has ended badly."""

        def look(done: asyncio.Future[link.Done]) -> None:
            if not done.cancelled() and done.result().refusal:
                act()

        self._done.add_done_callback(look)

    def _begin(self, order: link.Send | link.Receive) -> None:
        """Give the order.

        Raises:
            NoDataConnection: It was cancelled before it began.
        """
        if self._done.done():
            raise errors.NoDataConnection("given up before it began")
        order.meet, self._meet = self._meet, None
        self._order = order
        self.node.tell(order)

    def finish(self, done: link.Done) -> None:
        """Take the outcome; the first one counts."""
        self.node.transfers.pop(self.ticket, None)
        self.moved = done.moved
        if self._watch:
            self._watch.cancel()
        if not self._done.done():
            self._done.set_result(done)
        self.news.set()

    def lose(self) -> None:
        """End it because the node is lost."""
        self._cut_by(f"{self.node.name} went away")

    def _cut_by(self, why: str) -> None:
        refusal = errors.TransferCut.__name__
        self.finish(link.Done(self.ticket, self.moved, refusal, why, size=UNKNOWN))
