"""The NFS door: it listens, and sees that each call is carried out and answered."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from argosy import config, errors
from argosy.doors.nfs.begun import Begun
from argosy.doors.nfs.handles import BadHandle
from argosy.doors.nfs.mount import MountDesk
from argosy.doors.nfs.networks import Networks
from argosy.doors.nfs.procedures import WAYS, Again, Way
from argosy.doors.nfs.records import Listener, Peer
from argosy.doors.nfs.replies import Key, Replies, key
from argosy.doors.nfs.statuses import STATUS_FOR, Failure
from argosy.doors.nfs.storage import Mounts
from argosy.doors.nfs.troubles import Troubles
from argosy.doors.nfs.visit import House, Visit, going_on
from argosy.wire.nfs import mount3, nfs3, results, rpc
from argosy.wire.nfs.arguments import ARGUMENTS, Arguments
from argosy.wire.nfs.nfs3 import Procedure, Status

log = logging.getLogger("argosy.nfs")

Work = Coroutine[Any, Any, rpc.Reply]


class NfsDoor:
    """All NFS clients of a gateway: MOUNT and NFS on one port."""

    def __init__(self, settings: config.NfsDoor, mounts: Mounts, begun: Path | None = None) -> None:
        """Put it together; `serve` opens it.

        Args:
            settings: Its table of the config.
            mounts: All there are.
            begun: The file of the changes that are under way; None: a kill may have one said to be refused.

        Raises:
            ConfigError: `nfs.networks`, or a site's, has what is none.
        """
        self._settings = settings
        self._networks = Networks("nfs.networks", settings.networks)
        self._house = House(mounts, settings.unwanted)
        self._desk = MountDesk(
            mounts, self._house.handles, self._networks, uid=settings.uid, gid=settings.gid
        )
        self._house.check = self._desk.check
        self._replies = Replies(settings.replies)
        self._listener = Listener(settings, self.answer, lambda peer: peer.host in self._networks)
        self._troubles = Troubles()
        self._begun = Begun(begun)
        self._tasks = asyncio.TaskGroup()
        self._calls: Counter[str] = Counter()

    async def serve(self, opened: Callable[[str], None]) -> None:
        """Take clients until cancelled.

        Args:
            opened: Told the address in use, once it listens.
        """
        async with self._tasks:
            try:
                await self._listener.serve(opened)
            finally:
                self._begun.close()

    def report(self) -> dict[str, Any]:
        """Tell who is here, and what was asked."""
        return {
            "connections": len(self._listener.connections),
            "calls": dict(self._calls),
            "repeated": self._replies.repeated,
        }

    # --- calls

    def answer(self, peer: Peer, call: rpc.Call) -> rpc.Reply | Work:
        """Answer a call: at once if all it needs is known, else by what has to be run as a task.

        Raises:
            GarbageArguments: They aren't the procedure's.
        """
        if call.program == nfs3.PROGRAM:
            if call.version != nfs3.VERSION:
                return rpc.program_mismatch(call.xid, nfs3.VERSION, nfs3.VERSION)
            return self._files(peer, call)
        if call.program == mount3.PROGRAM:
            if call.version != mount3.VERSION:
                return rpc.program_mismatch(call.xid, mount3.VERSION, mount3.VERSION)
            return self._mount(peer, call)
        return rpc.program_unavailable(call.xid)  # NFSACL, which Linux asks for

    def _files(self, peer: Peer, call: rpc.Call) -> rpc.Reply | Work:
        if call.procedure >= len(_NAMES):
            return rpc.procedure_unavailable(call.xid)
        self._calls[_NAMES[call.procedure]] += 1
        arguments = _UNPACK[call.procedure](call.arguments())
        way = _WAYS[call.procedure]
        if way is None:
            return rpc.success(call.xid, b"")
        if way.again is Again.ONCE:
            return self._once(peer, call, way, arguments)
        work = self._carry_out(peer, call, way, arguments)
        try:
            waiting = work.send(None)
        except StopIteration as answered:
            reply: rpc.Reply = answered.value
            return reply
        assert waiting is None, "it has come to its `aside`, and goes on when it is stepped again"
        return going_on(work) if way.again is Again.HELD else self._hold(call, work)

    def _once(self, peer: Peer, call: rpc.Call, way: Way, arguments: Arguments) -> rpc.Reply | Work:
        """Carry out a change that may have been asked for before."""
        which = key(peer.host, call)
        if (reply := self._replies.known(which)) is not None:
            return reply
        return self._replies.once(which, lambda: self._change(which, peer, call, way, arguments))

    async def _change(
        self, which: Key, peer: Peer, call: rpc.Call, way: Way, arguments: Arguments
    ) -> rpc.Reply:
        """Carry out a change, and know after a kill that it was begun."""
        with self._begun.under_way(which) as again:
            return await self._carry_out(peer, call, way, arguments, again=again)

    async def _carry_out(
        self, peer: Peer, call: rpc.Call, way: Way, arguments: Arguments, *, again: bool = False
    ) -> rpc.Reply:
        """Carry out a procedure; refusals become statuses here, and only here."""
        visit = Visit(self._house, peer.host, call.credential, again=again)
        try:
            body = await way.carry_out(visit, arguments)
        except errors.Refused as refused:
            status = STATUS_FOR[type(refused)]
            if status in TROUBLE or (status is Status.ACCES and refused.subject):
                self._troubles.tell(visit.title, _NAMES[call.procedure], refused)
        except Failure as failure:
            status = failure.status
        except BadHandle:
            status = Status.BADHANDLE
        except Exception:
            log.exception("%s: accident in %s of %s", visit.title, _NAMES[call.procedure], peer.host)
            status = Status.SERVERFAULT
        else:
            if isinstance(body, bytes):
                return rpc.success(call.xid, body)
            return rpc.success_pieces(call.xid, body)
        return rpc.success(call.xid, results.refused(call.procedure, status, way.told(visit)))

    async def _hold(self, call: rpc.Call, work: Work) -> rpc.Reply:
        """Wait for the answer about as long as the client would, then have it ask again; the work goes on."""
        task = self._tasks.create_task(work)
        done, _ = await asyncio.wait({task}, timeout=self._settings.hold_seconds)
        if done:
            return task.result()
        return rpc.success(call.xid, results.refused(call.procedure, Status.JUKEBOX))

    def _mount(self, peer: Peer, call: rpc.Call) -> rpc.Reply | Work:
        if call.procedure == mount3.Procedure.MNT:
            return self._mount_one(peer, call)
        answer = self._desk.at_once.get(call.procedure)
        if answer is None:
            return rpc.procedure_unavailable(call.xid)
        return rpc.success(call.xid, answer(peer.host, call.arguments()))

    async def _mount_one(self, peer: Peer, call: rpc.Call) -> rpc.Reply:
        return rpc.success(call.xid, await self._desk.mount(peer.host, call.credential, call.arguments()))


_NAMES = tuple(procedure.name for procedure in Procedure)
_UNPACK = tuple(ARGUMENTS[procedure].unpack for procedure in Procedure)
_WAYS = tuple(WAYS.get(procedure) for procedure in Procedure)
"""The tables by number: an enum's members are slow to look up, and this is done for each call."""

TROUBLE = frozenset({Status.IO, Status.JUKEBOX, Status.NOSPC, Status.DQUOT, Status.SERVERFAULT})
"""What somebody should read of in the log, beside a site's own words for ACCES; the rest is daily life."""
