"""Replies to changes, remembered: a client that heard no answer asks again, and the work is done once.

NFS clients repeat a call with the same xid after a minute, or on a new connection. A second REMOVE would say
NOENT, a second MKDIR EXIST, though the first did what was wanted.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from argosy.wire.nfs.rpc import Call, Reply


class Key(NamedTuple):
    """Which call it is. Ports aren't in it: who connects again asks from another one."""

    host: str
    xid: int
    program: int
    procedure: int
    length: int
    checksum: int
    """Over the whole call: xids come round again, and start anew with the client's machine."""


def key(host: str, call: Call) -> Key:
    """Give a call's key. `host`: the client's."""
    record = call.record
    return Key(host, call.xid, call.program, call.procedure, len(record), zlib.crc32(record))


class Replies:
    """The last replies to changes, and the changes under way."""

    def __init__(self, most: int) -> None:
        """Begin with none.

        Args:
            most: Replies to remember; the oldest go first.
        """
        self._most = most
        self._done: dict[Key, Reply] = {}
        self._under_way: dict[Key, asyncio.Future[Reply]] = {}
        self.repeated = 0
        """Calls that were answered from here."""

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._done)

    def known(self, which: Key) -> Reply | None:
        """Give the reply to a change that was made."""
        reply = self._done.get(which)
        self.repeated += reply is not None
        return reply

    async def once(self, which: Key, work: Callable[[], Coroutine[Any, Any, Reply]]) -> Reply:
        """Do the work and give its reply; if it was done or is under way, give the reply of that.

        If the work ends by an exception, all who wait for it hear the same. Then nothing is remembered: who
        asks again has it tried again.
        """
        if (reply := self.known(which)) is not None:
            return reply
        if (running := self._under_way.get(which)) is not None:
            self.repeated += 1
            return await asyncio.shield(running)
        running = self._under_way[which] = asyncio.get_running_loop().create_future()
        try:
            reply = await work()
        except Exception as error:
            running.set_exception(error)
            running.exception()  # it is looked at, even if nobody waits
            raise
        except asyncio.CancelledError:
            running.cancel()
            raise
        finally:
            del self._under_way[which]
        running.set_result(reply)
        self._done[which] = reply
        if len(self._done) > self._most:
            del self._done[next(iter(self._done))]
        return reply
