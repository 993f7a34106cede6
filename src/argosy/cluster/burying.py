"""Deletions that a volume is owed are paid: files go to its trash, bad copies to its quarantine."""

from __future__ import annotations

import logging

from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.cluster.nodes.roster import LiveVolume, Node, as_doomed
from argosy.wire import link

log = logging.getLogger("argosy.upkeep")

AT_ONCE = 1_000
"""Tombstones in one order: some 100 KB."""


async def bury(catalogue: Catalogue, node: Node, live: LiveVolume) -> None:
    """Pay all that a volume is owed and that is due. What it refuses stays owed, and is put off alone.

    Raises:
        Unavailable: The node went away.
        Refused: It refuses all of it: its disk or its journal is at fault.
    """
    while tombs := catalogue.tombs(live.number, AT_ONCE):
        answer = await node.ask(link.Discard(live.store_id, [as_doomed(tomb) for tomb in tombs]))
        left = {one.place: one for one in answer.left} if isinstance(answer, link.Discarded) else {}
        done, absent, refused = [], [], []
        for place, tomb in enumerate(tombs):
            one = left.get(place)
            if one is None:
                done.append(tomb)
            elif tomb.finding and one.refusal == errors.NotFound.__name__:
                absent.append(tomb)
            else:
                refused.append(tomb)
                log.warning("%s can't delete %r, it is owed still: %s", node.name, tomb.loc, one.subject)
        await catalogue.buried(live.number, done, absent=absent)
        if refused:
            await catalogue.put_off(refused)
