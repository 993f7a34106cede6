"""The master's side of the link: enrolling, joining, settling the past, and merging file lists.

`docs/link-protocol.md` is the specification.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Doubt, Found, Membership, Volume
from argosy.catalogue.proof import Cause, Observed, Verdict
from argosy.cluster import burying
from argosy.cluster.copies import copying
from argosy.cluster.nodes.roster import LiveVolume, Node, Roster, Standing
from argosy.config import Master, split_address
from argosy.net import tls
from argosy.net.peer import Peer
from argosy.net.pki import Authority
from argosy.wire import link

log = logging.getLogger("argosy.joining")

VERDICTS = 1_000
"""Commits or parts in one order: some 100 KB."""


AGAIN_SECONDS = 600.0
"""The same matter is told again after so long at the soonest."""


Judge = Callable[[list[Observed], Cause], Awaitable[list[Verdict]]]


class LinkServer:
    """Where nodes dial in."""

    def __init__(
        self,
        config: Master,
        catalogue: Catalogue,
        roster: Roster,
        authority: Authority,
        data_certificate: Callable[[], tuple[bytes, bytes]],
        *,
        judge: Judge | None = None,
    ) -> None:
        """Put the parts together; nothing is opened yet.

        Args:
            config: The master's file.
            catalogue: What merging changes.
            roster: Where joined nodes are entered.
            authority: Signs the nodes' certificates.
            data_certificate: Gives the FTP door's certificate chain and key, PEM, as they are now.
            judge: Judges copies that were read; none: the catalogue, and nobody is told at once.
        """
        self.config = config
        self.catalogue = catalogue
        self.roster = roster
        self.authority = authority
        self.data_certificate = data_certificate
        self.judge: Judge = judge or catalogue.judge
        self.doorway = asyncio.Lock()
        """Held while a node is taken in."""
        self._tasks: asyncio.TaskGroup | None = None
        self._peers: set[Peer] = set()
        self._told: dict[str, float] = {}

    async def serve(self, opened: Callable[[str], None]) -> None:
        """Take links until cancelled.

        Args:
            opened: Told the address in use, once it listens.
        """
        settings = self.config.link
        host, port = split_address("link.listen", settings.listen)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            server = await loop.create_server(
                lambda: Peer(
                    request_seconds=settings.request_seconds,
                    silent_seconds=settings.lost_seconds,
                    connected=self._connected,
                ),
                host,
                port,
                ssl=tls.link_server(Path(self.config.paths.keys)),
                ssl_handshake_timeout=settings.lost_seconds,
            )
            opened("{}:{}".format(*server.sockets[0].getsockname()[:2]))
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
                for peer in self._peers:
                    peer.close()

    def certify(self) -> None:
        """Tell the nodes that are here of the FTP door's new certificate; the others get it as they join."""
        for node in self.roster:
            node.tell(link.Certificate(*self.data_certificate()))

    async def tell(self, topic: str, sentence: str) -> None:
        """Tell the administrator of a matter, in the log and in the record; not each time a node dials."""
        now = time.monotonic()
        if now - self._told.get(topic, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        self._told[topic] = now
        log.error("%s", sentence)
        await self.catalogue.note_matter(topic, sentence)

    async def untell(self, topic: str) -> None:
        """Take back what is over by itself."""
        known = {matter.topic for matter in self.catalogue.matters()}
        if self._told.pop(topic, None) is not None or topic in known:
            await self.catalogue.settle_matter(topic)

    def _connected(self, peer: Peer) -> None:
        assert self._tasks is not None, "the server runs"
        self._tasks.create_task(self._converse(peer))

    async def _converse(self, peer: Peer) -> None:
        self._peers.add(peer)
        guest = Guest(self, peer)
        patience = self.config.link.lost_seconds
        asyncio.get_running_loop().call_later(patience, guest.hurry)
        try:
            await peer.run(guest.answer)
            if guest.node:
                await self.catalogue.seen(guest.node.name)
        except Exception:
            log.exception("%s: accident on the link", peer.remote[0])  # one link's, not the others'
        finally:
            peer.close()
            self._peers.discard(peer)
            guest.left()


class Guest:
    """Who is on one link: a stranger, who may enrol, or a node."""

    def __init__(self, server: LinkServer, peer: Peer) -> None:
        self._server = server
        self._catalogue = server.catalogue
        self._peer = peer
        self.node: Node | None = None
        """Who said hello; None for a stranger."""
        self._catching_up: asyncio.Task[None] | None = None
        self._parted = False
        """The node said that it lives and only hangs up."""
        self._awaited: dict[str, int] = {}
        """By store id: the journal number at which a volume's file list is merged."""
        self._whole: set[str] = set()
        """Store ids of volumes whose whole list has come over this link."""

    def answer(self, message: link.Body) -> link.Body | Coroutine[None, None, link.Body | None] | None:
        """Answer one message; what only has to be noted is answered at once.

        Raises:
            Denied: A stranger asks what only a node may.
        """
        match message:
            case link.AskAuthority():
                return link.Authority(self._server.authority.pem)
            case link.Enrol():
                return self._enrol(message)
            case link.Hello():
                return self._welcome(message)
        if self.node is None:
            raise errors.Denied("say hello first")
        return self._answer_node(self.node, message)

    def hurry(self) -> None:
        """Hang up on a stranger who has been here for too long."""
        if self.node is None:
            self._peer.close()

    def left(self) -> None:
        """The link is over: stop what went on for it."""
        if self._catching_up:
            self._catching_up.cancel()
        if self.node and self.node.peer is self._peer:
            self.node.went()
            log.warning("%s is away", self.node.name)
            if self._peer.broken_off and not self._parted:
                patience = self._server.config.link.redial_seconds
                asyncio.get_running_loop().call_later(patience, self.node.give_up, self._peer)

    def _answer_node(
        self, node: Node, message: link.Body
    ) -> link.Body | Coroutine[None, None, link.Body | None] | None:
        match message:
            case link.Done():
                return self._end(node, message)
            case link.Gathered():
                return self._take_in(node, message)
            case link.Changes():
                return self._merge(node, message)
            case link.Doubted():
                return self._judge(node, message)
            case link.Beat():
                node.beat(message)
            case link.Ports():
                node.opened(message.ports)
            case link.Held():
                self._hold(node, message)
            case link.Farewell():
                self._parted = True
            case link.Renew():
                return self._certificate(node.name, message.request)
            case _:
                raise errors.Unsupported(type(message).__name__)
        return None

    def _end(self, node: Node, done: link.Done) -> Coroutine[None, None, None] | None:
        """Take a transfer's outcome; what became of an upload that nobody waits for is settled as at a join.

        Its part may have come after that: the client may have connected when its master was no more.
        """
        live = node.volumes.get(done.store_id)
        if live and done.ticket not in node.transfers and (done.size > 0 or not done.refusal):
            return self._settle_parts(node, live, [(done.upload, done.size, not done.refusal)])
        node.ended(done)
        return None

    def _hold(self, node: Node, held: link.Held) -> None:
        volume = _volume(node, held.store_id)
        if volume.held_losses != held.losses:
            log.error(
                "%s: a scan misses %d of %d files of volume %s; look why, then "
                "`argosy nodes remerge %s --accept-losses`",
                *(node.name, held.losses, held.files, held.store_id, node.name),
            )
        volume.standing, volume.held_losses = Standing.HELD, held.losses

    async def _enrol(self, wish: link.Enrol) -> link.Body:
        known = next((node for node in self._catalogue.nodes() if node.name == wish.name), None)
        if known and known.revoked:
            raise errors.Denied(f"{wish.name} was revoked")
        self._check_free(wish.name, "")
        answer = self._certificate(wish.name, wish.request)
        await self._catalogue.use_token(wish.token, wish.secret)
        log.info("%s enrolled from %s", wish.name, self._peer.remote[0])
        return answer

    def _check_free(self, name: str, boot: str) -> None:
        node = self._server.roster.nodes.get(name)
        if node and node.peer and node.online and node.peer is not self._peer and node.boot != boot:
            raise errors.Exists(f"a node {name}, connected from {node.peer.remote[0]}; take another name")

    def _certificate(self, name: str, request: bytes) -> link.Body:
        authority = self._server.authority
        days = self._server.config.link.certificate_days
        return link.Enrolled(authority.sign_node(request, name, days), authority.pem)

    async def _welcome(self, hello: link.Hello) -> link.Body:
        who, _, name = tls.identity(self._peer.certificate).partition(":")
        if who != "node":
            raise errors.Denied("no certificate of a node")
        if hello.version != link.VERSION:
            raise errors.Unsupported(f"link version {hello.version}, this is {link.VERSION}")
        if (known := self._server.roster.nodes.get(name)) and known.boot == hello.boot:
            known.knocks = True
        async with self._server.doorway:
            return await self._admit(name, hello)

    async def _admit(self, name: str, hello: link.Hello) -> link.Body:
        """Take a node in, one at a time: two can't get past the checks with the same name or volume.

        Raises:
            Exists: A node of this name, or with one of its volumes, is connected.
        """
        server, settings = self._server, self._server.config.link
        try:
            self._check_free(name, hello.boot)
            self._check_volumes(name, hello)
        except errors.Exists as refused:
            where = self._peer.remote[0]
            await server.tell(
                f"double:{name}:{where}",
                f"{name}, dialling from {where}, is turned away: {refused.subject}. Is its disk or machine"
                " a copy? Give a new machine a name of its own, and delete .argosy/ in a copied root",
            )
            raise
        before = self._catalogue.volumes()
        epoch = await self._catalogue.register(name, hello.boot)
        # First: if we die between the two, nothing tells any more that the new disk is one.
        await self._notice_lost(name, before, {state.store_id for state in hello.volumes})
        volumes = [
            await self._catalogue.attach(state.store_id, name, seq=state.seq, generation=state.generation)
            for state in hello.volumes
        ]
        for state in hello.volumes:
            await server.untell(f"missing:{state.store_id}")
        await self._notice_changed(name, before, volumes)
        node = server.roster.enter(name)
        running = {node.transfers[ticket].upload for ticket in hello.running if ticket in node.transfers}
        for volume, state in zip(volumes, hello.volumes, strict=True):
            # Now, for nothing can begin there yet: what is cut from here on isn't among these parts.
            for other, part in await self._catalogue.reconcile(volume.number, _parts(state), running):
                server.roster.forget(other, [part])
        if node.online and node.peer and node.peer is not self._peer:
            node.peer.close()  # the older link of a node that came back
        node.joined(self._peer, hello, epoch)
        self.node = node
        self._peer.trust()
        lives = [
            (server.roster.attach(node, volume, state), volume.acked, state)
            for volume, state in zip(volumes, hello.volumes, strict=True)
        ]
        self._catching_up = asyncio.create_task(self._catch_up(node, lives))
        log.info("%s joined from %s with %d volumes", name, self._peer.remote[0], len(lives))
        certificate, key = server.data_certificate()
        return link.Welcome(
            version=link.VERSION,
            epoch=epoch,
            beat_seconds=settings.beat_seconds,
            window=settings.window,
            connect_seconds=server.config.ftp.connect_seconds,
            stall_seconds=server.config.ftp.stall_seconds,
            certificate=certificate,
            key=key,
        )

    def _check_volumes(self, name: str, hello: link.Hello) -> None:
        for state in hello.volumes:
            if (owner := self._server.roster.owner(state.store_id)) and owner.name != name:
                raise errors.Exists(f"volume {state.store_id} is on {owner.name}, which is connected")

    async def _notice_changed(self, name: str, before: Sequence[Volume], volumes: Sequence[Volume]) -> None:
        """Tell of disks that came from another node, and of those in an old state."""
        nodes = {volume.number: volume.node for volume in before}
        for volume in volumes:
            store_id, was = volume.store_id, nodes.get(volume.number, name)
            if was != name:
                await self._server.tell(
                    f"moved:{store_id}:{name}",
                    f"volume {store_id} was on {was} and is on {name} now, with its files",
                )
            if volume.doubt is Doubt.BEHIND:
                await self._server.tell(
                    f"old:{store_id}",
                    f"volume {store_id} on {name} is in an older state than it was: its disk was put back"
                    " from a backup, or is a copy. What it lacks is copied from elsewhere, where there are"
                    " copies; versions that were replaced or deleted since go to its trash, but for"
                    " those of which nothing newer is left: they are kept aside, under names with .conflict-",
                )

    async def _notice_lost(self, name: str, before: Sequence[Volume], present: set[str]) -> None:
        """A disk that was replaced is lost at once; one that merely isn't there may come back."""
        fresh = present - {volume.store_id for volume in before}
        gone = [
            volume
            for volume in before
            if (volume.node == name and volume.store_id not in present)
            and volume.membership in (Membership.MEMBER, Membership.DRAINING)
        ]
        if gone and len(gone) <= len(fresh):
            for volume in gone:
                await self._server.tell(
                    f"lost:{volume.store_id}",
                    f"{name}: volume {volume.store_id} is lost, another disk is in its place. If it won't"
                    f" come back: argosy nodes strike {volume.store_id}",
                )
            await self._catalogue.enlist([volume.number for volume in gone], Membership.LOST)
            return
        for volume in gone:
            await self._server.tell(
                f"missing:{volume.store_id}",
                f"{name} comes without volume {volume.store_id}: its disk is gone, not mounted, or can't be"
                f" read; the log of {name} says more. Its copies are made elsewhere where a rule wants them",
            )

    async def _catch_up(self, node: Node, lives: list[tuple[LiveVolume, int, link.VolumeState]]) -> None:
        """Settle the past volume by volume, tombstones first, and have the changes sent."""
        try:
            for live, _, state in lives:
                await self._settle_past(node, live, state)
            for live, acked, state in lives:
                # Or the node's journal was lost.
                whole = acked > state.seq or self._catalogue.doubt(live.number) is not Doubt.NONE
                if whole:
                    await self._catalogue.expect_whole(live.number)
                await node.ask(link.Feed(live.store_id, acked, whole))
                if whole or not acked:
                    # May take long: the node answers when the scan of the whole disk is over.
                    scanned = await node.ask(
                        link.Scan(live.store_id, accept_losses=False),
                        self._server.config.link.checksum_seconds,
                    )
                    assert isinstance(scanned, link.Scanned)
                    state.seq = scanned.seq
                if live.store_id in self._whole or (live.acked >= state.seq and not whole):
                    self._merged(node, live)
                else:
                    self._awaited[live.store_id] = state.seq
        except errors.Refused as refused:
            log.warning("%s: joining stopped: %s", node.name, refused)
            self._peer.close()  # it comes back and tries again
        except Exception:
            log.exception("%s: accident at joining", node.name)
            self._peer.close()

    async def _settle_past(self, node: Node, live: LiveVolume, state: link.VolumeState) -> None:
        with contextlib.suppress(errors.Unsupported):  # an older node
            await node.ask(link.Remember(live.store_id, live.generation))
            await self._catalogue.remembered(live.number, live.generation)
        await self._catalogue.retry_tombs(live.number)
        await burying.bury(self._catalogue, node, live)
        await self._settle_parts(node, live, _parts(state))

    async def _settle_parts(
        self, node: Node, live: LiveVolume, parts: Sequence[tuple[int, int, bool]]
    ) -> None:
        """Have parts put in place that the catalogue has, and those removed that it doesn't know."""
        verdict = await self._catalogue.verdict(live.number, parts)
        for start in range(0, len(verdict.commit), VERDICTS):
            commits = [link.CommitPart(*part) for part in verdict.commit[start : start + VERDICTS]]
            await node.ask(link.Commit(live.store_id, commits))
            await self._catalogue.placed(live.number, [part.upload for part in commits])
        for start in range(0, len(verdict.forget), VERDICTS):
            await node.ask(link.Forget(live.store_id, list(verdict.forget[start : start + VERDICTS])))
        live.cut_copies.update({ver: (received, time.monotonic()) for ver, received in verdict.copies})

    async def _take_in(self, node: Node, report: link.Gathered) -> None:
        await copying.take_in(self._catalogue, node, report)

    async def _judge(self, node: Node, told: link.Doubted) -> link.Body:
        """Judge copies that their own node has read and found wrong.

        Raises:
            Busy: What lies on the volume isn't known yet.
        """
        live = _volume(node, told.store_id)
        if live.standing is Standing.MERGING:
            raise errors.Busy(told.store_id)
        seen = [
            Observed(
                *(live.number, file.loc, file.ver, file.size, file.crc32, file.digest),
                trouble="unreadable" if file.trouble else "",
                journal=(file.known_crc32, file.known_digest),
            )
            for file in told.files
        ]
        return link.Judged([str(verdict) for verdict in await self._server.judge(seen, "scrub")])

    async def _merge(self, node: Node, batch: link.Changes) -> link.Body:
        live = _volume(node, batch.store_id)
        report = await self._catalogue.merge(
            live.number,
            [
                Found(
                    loc=b"%s/%s" % (group.directory, file.name) if group.directory else file.name,
                    size=file.size,
                    mtime_ns=file.mtime_ns,
                    ver=file.ver,
                    crc32=file.crc32,
                    digest=file.digest,
                    gone=file.gone,
                    file=file.file,
                    named_ns=file.named_ns,
                    path=file.path,
                )
                for group in batch.groups
                for file in group.files
            ],
            seq=batch.seq,
            whole=batch.whole,
            after=batch.after,
            upto=batch.upto,
        )
        for path in report.conflicts:
            log.warning("%s: other contents for a path that is taken, kept aside as %s", node.name, path)
        live.acked = batch.seq
        live.stale += report.stale
        if batch.whole and batch.upto is None:
            self._whole.add(batch.store_id)
        awaited = self._awaited.get(batch.store_id)
        if awaited is not None and batch.seq >= awaited and (not batch.whole or batch.upto is None):
            self._merged(node, live)
        return link.Merged(batch.seq)

    def _merged(self, node: Node, live: LiveVolume) -> None:
        self._awaited.pop(live.store_id, None)
        if live.standing is Standing.MERGING:
            live.standing = Standing.MERGED
            if live.stale:
                log.warning(
                    "%s: %d old versions of volume %s go to its trash", node.name, live.stale, live.store_id
                )
                live.stale = 0
            log.info("%s: volume %s is merged", node.name, live.store_id)


def _volume(node: Node, store_id: str) -> LiveVolume:
    """Give a volume that a node speaks of.

    Raises:
        NotFound: It didn't come with it.
    """
    try:
        return node.volumes[store_id]
    except KeyError:
        raise errors.NotFound(f"volume {store_id} on {node.name}") from None


def _parts(state: link.VolumeState) -> list[tuple[int, int, bool]]:
    return [(part.upload, part.received, part.sealed) for part in state.parts]
