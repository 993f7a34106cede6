"""Procedures about one file: GETATTR, SETATTR, ACCESS, READLINK, READ, WRITE, COMMIT."""

from __future__ import annotations

from argosy import errors
from argosy.doors.nfs.names import SIZE_LIMIT, changes
from argosy.doors.nfs.statuses import Failure
from argosy.doors.nfs.visit import Changing, Visit, aside
from argosy.sites.model import Attributes, Changes
from argosy.wire.nfs import nfs3, results
from argosy.wire.nfs.arguments import (
    AccessArguments,
    CommitArguments,
    Handle,
    ReadArguments,
    SetattrArguments,
    WriteArguments,
)
from argosy.wire.nfs.nfs3 import Access, Stable, Status
from argosy.wire.nfs.rpc import Piece

READ = int(Access.READ)
MODIFY = int(Access.MODIFY)


async def attributes(visit: Visit, asked: Handle) -> bytes:
    """GETATTR. RFC 1813 section 3.3.1."""
    return results.getattr3(visit.pack(await visit.attributes(await visit.enter(asked.handle))))


async def set_attributes(visit: Visit, asked: SetattrArguments) -> bytes:
    """SETATTR: also how a file is made shorter or longer. RFC 1813 section 3.3.2."""
    file = await visit.enter(asked.handle)
    wanted = changes(asked.changes)
    await aside()
    now = await visit.attributes(file)
    if asked.guard_ctime_ns is not None and asked.guard_ctime_ns != now.ctime_ns:
        raise Failure(Status.NOT_SYNC)
    _check_changes(visit, now, wanted)
    with Changing(visit, file) as change:
        await visit.storage.change(file, wanted)
        return results.setattr3(change.wcc())


async def access(visit: Visit, asked: AccessArguments) -> bytes:
    """ACCESS: what of this somebody may do. RFC 1813 section 3.3.4."""
    found = await visit.attributes(await visit.enter(asked.handle))
    return results.access3(visit.pack(found), asked.access & visit.may(found))


async def read_link(visit: Visit, asked: Handle) -> bytes:
    """READLINK. RFC 1813 section 3.3.5."""
    link = await visit.enter(asked.handle)
    await aside()
    target = await visit.storage.read_link(link)
    return results.readlink3(visit.told(link), target)


async def read(visit: Visit, asked: ReadArguments) -> list[Piece]:
    """READ. RFC 1813 section 3.3.6."""
    file = await visit.enter(asked.handle)
    await _demand_read(visit, file)
    offset, count = asked.offset, min(asked.count, nfs3.DATA_LIMIT)
    known = visit.storage.known_bytes(file, offset, count)
    if known is None:
        await aside()
        known, ended = await visit.storage.read(file, offset, count)
        told, size = visit.told(file), sum(map(len, known))
    else:
        now = await visit.attributes(file)
        told, size = visit.pack(now), sum(map(len, known))
        ended = offset + size >= now.size
    return results.read3(told, size, known, ended=ended)


async def write(visit: Visit, asked: WriteArguments) -> bytes:
    """WRITE: into the journal, and if it shall be stable, on to the site. RFC 1813 section 3.3.7.

    An unstable WRITE survives a crash of ours, but isn't on the site before a COMMIT.
    """
    file = await visit.enter(asked.handle)
    if asked.offset + asked.count > SIZE_LIMIT:
        raise Failure(Status.FBIG)
    await aside()
    await visit.demand(file, MODIFY)
    stable = Stable.UNSTABLE
    with Changing(visit, file) as change:
        await visit.storage.write(file, asked.offset, asked.data)
        if asked.stable is not Stable.UNSTABLE:
            await visit.storage.flush(file)
            stable = Stable.FILE_SYNC
        return results.write3(change.wcc(), asked.count, stable, visit.storage.verifier)


async def commit(visit: Visit, asked: CommitArguments) -> bytes:
    """COMMIT: answered when the site has all of the file. RFC 1813 section 3.3.21."""
    file = await visit.enter(asked.handle)
    await aside()
    with Changing(visit, file) as change:
        await visit.storage.flush(file)
        return results.commit3(change.wcc(), visit.storage.verifier)


async def _demand_read(visit: Visit, file: int) -> None:
    """See that whoever asks may read: who may execute a file may read it, too. RFC 1813 section 4.4."""
    if not visit.ours and not visit.may(await visit.attributes(file)) & (READ | Access.EXECUTE):
        raise errors.Denied


def _check_changes(visit: Visit, now: Attributes, wanted: Changes) -> None:
    """See that whoever asks may change this.

    Who may write may set the times to now, and the size. All else is the owner's.

    Raises:
        Denied: Not this one.
        Failure: It isn't theirs: PERM.
    """
    if visit.owns(now):
        return
    only_owners = (wanted.mode, wanted.uid, wanted.gid)
    times = {wanted.mtime_ns, wanted.atime_ns} - {None, "now"}
    if any(one is not None for one in only_owners) or times:
        raise Failure(Status.PERM)
    visit.demand_of(now, MODIFY)
