"""Which node moves a file's bytes: the copy for a download, the volume for an upload."""

from __future__ import annotations

from collections.abc import Collection

from argosy import errors
from argosy.accounts.ledger import limits
from argosy.catalogue.model import Entry, Membership, Replica, Standing, State, TreePath, shown
from argosy.catalogue.people import Use
from argosy.cluster.nodes.roster import Node
from argosy.vfs.download import Download, Source
from argosy.vfs.moving import Storing, needed_to_store
from argosy.vfs.reach import Reach
from argosy.vfs.vfs import Vfs


class Choosing:
    """Chooses for one user: who may is asked before who can."""

    def __init__(self, vfs: Vfs, reach: Reach) -> None:
        self._vfs = vfs
        self._catalogue = vfs.catalogue
        self._reach = reach

    def copy(self, path: TreePath, node: Node | None) -> Download:
        """Choose the copy that serves a download, as `Files.plan_download` says."""
        path, entry = self._reach.to_read(path)
        if entry.is_directory:
            raise errors.IsADirectory(shown(path))
        if entry.state in (State.UPLOADING, State.PARTIAL):
            return self._following(path, entry, node)
        replicas = self._readable(path, entry)
        if not replicas:
            raise errors.Damaged(shown(path))
        roster = self._vfs.roster
        serving = self._vfs.serving(replicas.keys())
        sources = [Source(*roster.place(number), replicas[number]) for number in serving]
        if node is not None:
            sources = [source for source in sources if source.node is node]
        if not sources:
            raise self._out_of_reach(path, replicas)
        roster.chosen(sources[0].live.number, freely=node is None)
        away = len(serving) < len(replicas)
        patience = self._vfs.config.link.answer_seconds
        return Download(roster, path, entry, sources, away=away, answer_seconds=patience)

    def _out_of_reach(self, path: TreePath, replicas: Collection[int]) -> errors.Refused:
        """Say why none of the copies can be read: 450 is for what may work later, 550 for what won't."""
        volumes = self._catalogue.volumes()
        lost = {one.number for one in volumes if one.membership is Membership.LOST}
        if lost.issuperset(replicas):
            return errors.Damaged(f"{shown(path)}: it lay on a disk that is lost")
        return errors.Unavailable(shown(path))

    def _readable(self, path: TreePath, entry: Entry) -> dict[int, Replica]:
        """Give the good copies by volume; of a damaged file bad ones, where its section says so."""
        copies = self._catalogue.replicas(entry.id)
        good = {copy.volume: copy for copy in copies if copy.standing is Standing.GOOD}
        section = self._vfs.section(path)[1]
        if good or section is None or not section.serve_damaged:
            return good
        return {
            copy.volume: copy
            for copy in copies
            if copy.standing is Standing.BAD and (copy.ver, copy.size) == (entry.ver, entry.size)
        }

    def _following(self, path: TreePath, entry: Entry, node: Node | None) -> Download:
        """Have a file sent while it is still arriving; only the node where it does can."""
        storing = self._vfs.arriving.get(entry.id)
        section = self._vfs.section(path)[1]
        if storing is None or (section and not section.read_arriving):
            raise errors.Busy(f"{shown(path)} is not complete")
        if node is not None and node is not storing.node:
            raise errors.Unavailable(f"{shown(path)} is arriving at another node")
        source = Source(storing.node, storing.live, None)
        patience = self._vfs.config.link.answer_seconds
        return Download(self._vfs.roster, path, entry, [source], follows=storing, answer_seconds=patience)

    def volume(self, path: TreePath, node: Node | None, *, appending: bool) -> Storing:
        """Choose the volume that takes an upload, as `Files.plan_upload` says."""
        path = self._reach.to_change(path, None, follow=True)
        entry = self._catalogue.find_or_none(path)
        self._reach.check(path, needed_to_store(entry, self._reach.account.name, appending=appending))
        self._check_quota(path, entry)
        if entry and entry.is_directory:
            raise errors.IsADirectory(shown(path))
        if entry and entry.state is State.PARTIAL:
            if part := self._vfs.part(entry):
                with_part = self._vfs.roster.place(part.volume)
                if node is None or with_part[0] is node:
                    self._vfs.company(path, entry, part.volume)
                    return Storing(self._vfs, path, self._reach.account, *with_part)
            elif appending:
                raise errors.Unavailable(f"{shown(path)} lies on a node that is away; STOR begins anew")
        replicas = self._catalogue.replicas(entry.id) if entry else []
        scores = self._vfs.writers(path, replicas)
        for score in scores:
            if score.eligible and (node is None or score.candidate.node == node.name):
                host, live = self._vfs.roster.place(score.candidate.volume)
                self._vfs.company(path, entry, live.number)
                self._vfs.roster.chosen(live.number, freely=node is None)
                return Storing(self._vfs, path, self._reach.account, host, live)
        if any(score.candidate.online for score in scores):
            raise errors.NoSpace(shown(path))
        raise errors.Unavailable(shown(path))

    def _check_quota(self, path: TreePath, entry: Entry | None) -> None:
        """Refuse what can't be stored before anybody connects; where nothing was counted yet, STOR will see.

        Raises:
            OverQuota: A quota is used up.
        """
        ledger = self._vfs.ledger
        if ledger.counted:
            place = self._vfs.place(path, entry, self._reach.account)
            held = limits(self._reach.account, place, self._vfs.section(path)[1])
            ledger.room(held, Use(1, entry.size) if entry else Use())
