"""A download: the copies of a file, the best first, and the one that serves.

As long as no byte has reached the client another copy may take over, and the client notices nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from argosy import errors
from argosy.catalogue.model import Entry, Replica, TreePath, shown
from argosy.cluster.nodes.roster import LiveVolume, Node, Roster
from argosy.cluster.nodes.transfers import Transfer
from argosy.net.peer import refusal
from argosy.vfs.vfs import Arriving
from argosy.wire import link

log = logging.getLogger("argosy.vfs")

FRESH_SECONDS = 1.0
"""For so long a node's word that it can send a file is believed."""


@dataclass(frozen=True, slots=True)
class Source:
    """A copy that can serve."""

    node: Node
    live: LiveVolume
    replica: Replica | None
    """None: it is still arriving."""


class Download:
    """The copies for one download, and the one that is in turn."""

    def __init__(
        self,
        roster: Roster,
        path: TreePath,
        entry: Entry,
        sources: Sequence[Source],
        *,
        follows: Arriving | None = None,
        away: bool = False,
        answer_seconds: float,
    ) -> None:
        """Begin with the best one.

        Args:
            roster: Told which nodes refuse.
            path: The file's.
            entry: The file.
            sources: At least one; the best first.
            follows: The upload that brings the file, if it is still arriving.
            away: There are other good copies, out of reach now.
            answer_seconds: How long a node may take to say that it can send.
        """
        self.path = path
        self.entry = entry
        self._roster = roster
        self._source, *self._others = sources
        self._follows = follows
        self._away = away
        self._answer_seconds = answer_seconds
        self._refused: list[errors.Refused] = []
        self._answer: asyncio.Future[errors.Refused | None] | None = None
        """What the node says to whether it can send; None: it can."""
        self._asked = 0.0

    @property
    def node(self) -> Node:
        """Whose turn it is."""
        return self._source.node

    @property
    def live(self) -> LiveVolume:
        """The volume of its copy."""
        return self._source.live

    @property
    def replica(self) -> Replica | None:
        """The copy; None: it is still arriving."""
        return self._source.replica

    def check(self, offset: int) -> None:
        """Check where the download begins; of a file that is still arriving the node knows more than we.

        Raises:
            BadArgument: Behind the end.
        """
        if offset > self.entry.size and not self._follows:
            raise errors.BadArgument(f"REST {offset} is behind the end, at {self.entry.size}")

    def peek(self, offset: int = 0) -> None:
        """Ask the node in turn whether it can send; it isn't asked where there is no other choice."""
        if time.monotonic() - self._asked > FRESH_SECONDS:
            self._answer = None
        if self._answer or not self._others or self.replica is None:
            return
        self._asked = time.monotonic()
        self._answer = answer = asyncio.get_running_loop().create_future()
        node = self.node

        def heard(body: link.Body | None) -> None:
            if answer.done():
                return
            if body is None:
                if node.online:
                    node.hangs()
                answer.set_result(errors.Unavailable(f"{node.name} doesn't answer"))
            elif isinstance(body, link.No):
                answer.set_result(refusal(body.refusal, body.subject))
            else:
                answer.set_result(None)

        where = self.live.store_id, self.replica.loc, self.replica.ver
        self.node.inquire(link.Peek(*where, self.entry.size, offset), self._answer_seconds, heard)

    @property
    def settled(self) -> bool:
        """Whether the node in turn can send, as far as anybody knows, so that `settle` has nothing to do."""
        if not self.node.online or self._answer is None:
            return self.node.online and not self._others
        fresh = time.monotonic() - self._asked <= FRESH_SECONDS
        return fresh and self._answer.done() and self._answer.result() is None

    async def settle(self, offset: int = 0) -> None:
        """Find a node that can send; the last one is taken at its transfer's word.

        Raises:
            Refused: None is left.
        """
        while True:
            refused: errors.Refused | None = None
            if not self.node.online:
                refused = errors.Unavailable(self.node.name)
            else:
                self.peek(offset)
                if self._answer:
                    refused = await self._answer
            if refused is None:
                return
            if not self.go_on(refused):
                raise self._verdict(refused)

    def start(self, transfer: Transfer, *, offset: int, as_text: bool) -> None:
        """Have the node in turn send from `offset` on."""
        if self._follows:
            transfer.follow(self._follows.number, self.live.store_id, offset=offset, as_text=as_text)
        elif self.replica:
            size = self.entry.size
            transfer.send(self.replica, self.live.store_id, size=size, offset=offset, as_text=as_text)

    def go_on(self, refused: errors.Refused) -> bool:
        """Have the next node's turn come, if there is one: the one before refused, died or hangs."""
        self._blame(refused)
        while self._others:
            before, self._source = self._source, self._others.pop(0)
            if self.node.online:
                log.info("%s doesn't come from %s (%s)", shown(self.path), before.node.name, refused)
                self._refused.append(refused)
                self._answer = None
                self._roster.chosen(self.live.number, freely=True)
                return True
        return False

    async def end(self, done: link.Done) -> None:
        """Take the outcome; a file that was still arriving must first be acknowledged to who sent it.

        Raises:
            Refused: What the node said, or `TransferCut` for an upload that came to nothing in the end.
        """
        if done.refusal:
            refused = refusal(done.refusal, done.subject)
            self._blame(refused)
            raise self._verdict(refused)
        if self._follows and not await self._follows.kept():
            raise errors.TransferCut("the upload of this file was cut")

    def _blame(self, refused: errors.Refused) -> None:
        if self.replica and isinstance(refused, errors.Damaged | errors.Failed):
            self._roster.conduct.trouble(self.node.name, self.live.number, str(refused), time.monotonic())

    def _verdict(self, refused: errors.Refused) -> errors.Refused:
        """Give what the client is told: not that all is lost, as long as a copy may be good."""
        if not isinstance(refused, errors.Damaged):
            return refused
        passing = [one for one in self._refused if not isinstance(one, errors.Damaged)]
        if passing:
            return passing[0]
        return errors.Unavailable(shown(self.path)) if self._away else refused
