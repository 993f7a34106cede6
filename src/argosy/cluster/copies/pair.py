"""The two ends of one connection from node to node."""

from __future__ import annotations

from argosy import errors
from argosy.cluster.nodes.lines import Lines
from argosy.cluster.nodes.roster import Node
from argosy.cluster.nodes.transfers import Transfer
from argosy.wire import link


class Pair:
    """A supplier and a gatherer, with a ticket each."""

    def __init__(self, source: Node, target: Node) -> None:
        """Draw the tickets of both ends.

        Raises:
            Unavailable: One of them is away.
        """
        self.source, self.target = source, target
        self.supplying = Transfer(source)
        try:
            self.gathering = Transfer(target)
        except errors.Refused:
            self.supplying.lose()
            raise
        self.news = self.gathering.news = self.supplying.news
        """Set when there is something new of either end."""
        self.kept = False
        """It goes over a connection that was kept: should that be gone, a new one may do."""

    @property
    def moved(self) -> int:
        """Bytes that arrived so far, as the node's last beat told."""
        return self.gathering.moved

    @property
    def ends(self) -> tuple[Transfer, Transfer]:
        """The two ends: the one that says most about how it ended comes first."""
        return self.gathering, self.supplying

    async def begin(
        self,
        items: list[link.Item],
        store_id: str,
        wanted: list[link.Wanted],
        *,
        flush: bool,
        seconds: float,
        lines: Lines | None = None,
    ) -> None:
        """Have both ends do their part.

        Args:
            items: What the supplier sends.
            store_id: The volume that takes it.
            wanted: The same files, as the gatherer sees them.
            flush: Flush them to the disk before they are sealed.
            seconds: How long a port of the supplier may be waited for.
            lines: Take a connection that was kept, if there is one, and keep it.

        Raises:
            Unavailable: The source has no port left, or one of them is away.
        """
        line = self._line(lines) if lines else 0
        try:
            port = 0 if self.kept else await self.source.draw_port(seconds)
        except BaseException:
            self.stop()  # nobody else knows of these tickets
            raise
        source_peer, target_peer = self.source.peer, self.target.peer
        if source_peer is None or target_peer is None:
            self.stop()
            raise errors.Unavailable(self.source.name if source_peer is None else self.target.name)
        supplier, gatherer = self.supplying.ticket, self.gathering.ticket
        offer = link.Offer(supplier, port, self.target.name, line)
        self.supplying.copy(link.Supply(supplier, items, offer))
        host = self.source.address(target_peer.local[0])
        visit = link.Visit(gatherer, host, port, self.source.name, line)
        self.gathering.copy(link.Gather(gatherer, store_id, wanted, flush, visit))

    def _line(self, lines: Lines) -> int:
        """Choose a connection, and give it back when both ends are done with it."""
        ends = (self.source.name, self.source.epoch, self.target.name, self.target.epoch)
        number = lines.take(ends)
        self.kept = bool(number)
        number = number or lines.fresh()

        def look() -> None:
            if all(end.ended and not end.ended.refusal for end in self.ends):
                lines.give(ends, number)

        self.gathering.when_over(look)
        self.supplying.when_over(look)
        return number

    def stop(self) -> None:
        """Have both ends stop, as far as they haven't yet."""
        for end in self.ends:
            if not end.over:
                end.cancel()
            if not end.node.online:
                end.lose()  # it doesn't hear that, but its connection has no other end any more
