"""Procedures about names: LOOKUP, CREATE, MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR, RENAME, LINK."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from argosy import errors
from argosy.doors.nfs.statuses import Failure
from argosy.doors.nfs.visit import Changing, Visit, aside
from argosy.sites.model import Attributes, Changes
from argosy.wire.nfs import results
from argosy.wire.nfs.arguments import (
    CreateArguments,
    LinkArguments,
    MkdirArguments,
    MknodArguments,
    Name,
    RenameArguments,
    SetAttributes,
    SymlinkArguments,
)
from argosy.wire.nfs.nfs3 import NAME_LIMIT, Access, CreateMode, FileType, Status

NOT_IN_NAMES = frozenset(b"/\0\r\n")
"""No name has these: a path is split at the first, C strings and FTP's commands end at the others."""
DOTS = (b".", b"..")

SIZE_LIMIT = 2**63 - 1
"""The largest file: what Linux's clients, and most sites, can count to."""

CHANGE = int(Access.MODIFY | Access.EXTEND)
"""What one needs of a directory to make a name in it."""
SEARCH = int(Access.LOOKUP)


async def lookup(visit: Visit, asked: Name) -> bytes:
    """LOOKUP: what a name stands for. RFC 1813 section 3.3.3."""
    directory, name = await visit.enter(asked.directory), asked.name
    await visit.demand(directory, SEARCH)
    if len(name) > NAME_LIMIT:
        raise Failure(Status.NAMETOOLONG)
    if not name or not NOT_IN_NAMES.isdisjoint(name):
        raise errors.NotFound(name)
    found = visit.storage.known_child(directory, name)
    if found is None:
        await aside()
        found = await visit.storage.child(directory, name)
    return results.lookup3(visit.handle(found.file), visit.pack(found), visit.told(directory))


async def create(visit: Visit, asked: CreateArguments) -> bytes:
    """CREATE: a file, or take the one that is there. RFC 1813 section 3.3.8."""
    directory = await visit.enter(asked.directory)
    check_new(visit, asked.name)
    await aside()
    await visit.demand(directory, SEARCH)
    if await _is_new(visit, directory, asked.name):
        await visit.demand(directory, CHANGE)
    with Changing(visit, directory) as change:
        made = await visit.storage.create(
            directory,
            asked.name,
            changes(asked.changes),
            exclusive=asked.verifier or None,
            guarded=asked.mode is CreateMode.GUARDED and not visit.again,
        )
        return results.create3(visit.handle(made.file), visit.pack(made), change.wcc())


async def make_directory(visit: Visit, asked: MkdirArguments) -> bytes:
    """MKDIR. RFC 1813 section 3.3.9."""
    directory = await visit.enter(asked.directory)
    check_new(visit, asked.name)
    await aside()
    await visit.demand(directory, CHANGE | SEARCH)
    with Changing(visit, directory) as change:
        making = visit.storage.make_directory(directory, asked.name, changes(asked.changes))
        made = await _made(visit, directory, asked.name, making)
        return results.mkdir3(visit.handle(made.file), visit.pack(made), change.wcc())


async def make_link(visit: Visit, asked: SymlinkArguments) -> bytes:
    """SYMLINK. RFC 1813 section 3.3.10."""
    directory = await visit.enter(asked.directory)
    check_new(visit, asked.name)
    if not asked.target or not frozenset(b"\0\r\n").isdisjoint(asked.target):
        raise errors.NameNotAllowed(asked.target)
    await aside()
    await visit.demand(directory, CHANGE | SEARCH)
    with Changing(visit, directory) as change:
        making = visit.storage.make_link(directory, asked.name, asked.target, changes(asked.changes))
        made = await _made(visit, directory, asked.name, making)
        return results.symlink3(visit.handle(made.file), visit.pack(made), change.wcc())


async def make_node(visit: Visit, asked: MknodArguments) -> bytes:
    """MKNOD: no FTP site has devices, pipes or sockets. RFC 1813 section 3.3.11."""
    await visit.enter(asked.directory)
    if asked.kind in (FileType.REGULAR, FileType.DIRECTORY, FileType.LINK):
        raise Failure(Status.BADTYPE)
    raise Failure(Status.PERM)  # NOTSUPP shows on Linux as "Unknown error 524"


async def remove(visit: Visit, asked: Name) -> bytes:
    """REMOVE: a file or a link. RFC 1813 section 3.3.12."""
    directory = await visit.enter(asked.directory)
    check_old(asked.name)
    await aside()
    await visit.demand(directory, CHANGE | SEARCH)
    with Changing(visit, directory) as change:
        await _taken(visit, visit.storage.remove(directory, asked.name))
        return results.remove3(change.wcc())


async def remove_directory(visit: Visit, asked: Name) -> bytes:
    """RMDIR. RFC 1813 section 3.3.13."""
    directory = await visit.enter(asked.directory)
    check_old(asked.name)
    await aside()
    await visit.demand(directory, CHANGE | SEARCH)
    with Changing(visit, directory) as change:
        await _taken(visit, visit.storage.remove_directory(directory, asked.name))
        return results.rmdir3(change.wcc())


async def rename(visit: Visit, asked: RenameArguments) -> bytes:
    """RENAME: in place of what has the new name. RFC 1813 section 3.3.14."""
    old, new = await visit.enter(asked.directory), await visit.enter(asked.to_directory)
    check_old(asked.name)
    check_old(asked.to_name)
    check_wanted(visit, asked.to_name)
    await aside()
    await visit.demand(old, CHANGE | SEARCH)
    if old == new:
        with Changing(visit, old) as change:
            await _moved(visit, old, new, asked)
            wcc = change.wcc()
            return results.rename3(wcc, wcc)
    await visit.demand(new, CHANGE | SEARCH)
    with Changing(visit, old) as left, Changing(visit, new) as entered:
        await _moved(visit, old, new, asked)
        return results.rename3(left.wcc(), entered.wcc())


async def link(visit: Visit, asked: LinkArguments) -> bytes:
    """LINK: FTP has no hard links. RFC 1813 section 3.3.15."""
    await visit.enter(asked.handle)
    await visit.enter(asked.directory)
    raise Failure(Status.PERM)  # as in `make_node`


def check_new(visit: Visit, name: bytes) -> None:
    """See that a name can be given.

    Raises:
        Denied: The config keeps it off the site.
        Failure: Too long for anybody.
        Exists: It is `.` or `..`.
        NameNotAllowed: It is empty, or has bytes that no name has.
    """
    if name in DOTS:
        raise errors.Exists(name)
    check_old(name)
    check_wanted(visit, name)


def check_wanted(visit: Visit, name: bytes) -> None:
    """See that the config doesn't keep a name off the site; Denied."""
    if visit.house.unwanted and visit.house.unwanted.fullmatch(name):
        raise errors.Denied(name)


def check_old(name: bytes) -> None:
    """See that a name can be taken away.

    Raises:
        Failure: Too long for anybody.
        NameNotAllowed: It is empty, `.` or `..`, or has bytes that no name has.
    """
    if len(name) > NAME_LIMIT:
        raise Failure(Status.NAMETOOLONG)
    if not name or name in DOTS or not NOT_IN_NAMES.isdisjoint(name):
        raise errors.NameNotAllowed(name)


def changes(wanted: SetAttributes) -> Changes:
    """Give what a client wants changed in the storage's words.

    Raises:
        Failure: No file can have the size: FBIG.
    """
    if wanted.size is not None and wanted.size > SIZE_LIMIT:
        raise Failure(Status.FBIG)
    return Changes(**msgspec.structs.asdict(wanted))


async def _made(
    visit: Visit, directory: int, name: bytes, making: Coroutine[Any, Any, Attributes]
) -> Attributes:
    """Make something; if a killed gateway has made it already, take that."""
    try:
        return await making
    except errors.Exists:
        if not visit.again:
            raise
        return await visit.storage.child(directory, name)


async def _taken(visit: Visit, taking: Coroutine[Any, Any, None]) -> None:
    """Take a name away, unless a killed gateway has done that."""
    try:
        await taking
    except errors.NotFound:
        if not visit.again:
            raise


async def _moved(visit: Visit, old: int, new: int, asked: RenameArguments) -> None:
    """Give something another name, unless a killed gateway has done that."""
    try:
        await visit.storage.rename(old, asked.name, new, asked.to_name)
    except errors.NotFound:
        if not visit.again:
            raise
        await visit.storage.child(new, asked.to_name)


async def _is_new(visit: Visit, directory: int, name: bytes) -> bool:
    """Say whether a name isn't there; only who needs leave for it is asked about."""
    if visit.ours:
        return False
    try:
        found: Attributes | None = visit.storage.known_child(directory, name)
        if found is None:
            found = await visit.storage.child(directory, name)
    except errors.NotFound:
        return True
    await visit.demand(found.file, int(Access.MODIFY))
    return False
