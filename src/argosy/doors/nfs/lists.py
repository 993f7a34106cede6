"""Procedures about a directory's content: READDIR and READDIRPLUS.

A cookie is an entry's own, and stays as long as its name does: a client that deletes what it reads, page by
page, misses nothing. 1 and 2 are `.` and `..`, the storage's begin behind them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from argosy import errors
from argosy.doors.nfs.statuses import Failure
from argosy.doors.nfs.visit import Visit, aside
from argosy.sites.model import Attributes, FileId, Kind, Page
from argosy.wire.nfs import results
from argosy.wire.nfs.arguments import ReaddirArguments, ReaddirplusArguments
from argosy.wire.nfs.nfs3 import Access, Status

PAGE_LIMIT = 1024 * 1024
"""Bytes in an answer, whatever the client asks for."""
SMALLEST = 32
"""Bytes of an entry of READDIR with the shortest name."""
SMALLEST_PLUS = 160
"""The same of READDIRPLUS, with attributes and handle."""

_VERIFIER = struct.Struct(">Q")


class Entry(NamedTuple):
    """A name to be told."""

    file: FileId
    name: bytes
    cookie: int
    attributes: Attributes | None


async def names(visit: Visit, asked: ReaddirArguments) -> bytes:
    """READDIR: names and numbers. RFC 1813 section 3.3.16."""
    directory, count = await visit.enter(asked.directory), min(asked.count, PAGE_LIMIT)
    here, page = await _read(visit, directory, asked, count // SMALLEST)
    result = results.Readdir(visit.pack(here), _VERIFIER.pack(page.verifier), count)
    entries = _entries(visit, here, asked.cookie, page)
    return _fill(result, entries, page, lambda one: result.add(one.file, one.name, one.cookie))


async def names_and_attributes(visit: Visit, asked: ReaddirplusArguments) -> bytes:
    """READDIRPLUS: names, attributes and handles. RFC 1813 section 3.3.17."""
    directory, count = await visit.enter(asked.directory), min(asked.maxcount, PAGE_LIMIT)
    here, page = await _read(visit, directory, asked, count // SMALLEST_PLUS)
    verifier = _VERIFIER.pack(page.verifier)
    result = results.Readdirplus(visit.pack(here), verifier, asked.dircount, count)

    def add(one: Entry) -> bool:
        told = visit.pack(one.attributes) if one.attributes else None
        return result.add(one.file, one.name, one.cookie, told, visit.handle(one.file))

    return _fill(result, _entries(visit, here, asked.cookie, page), page, add)


async def _read(
    visit: Visit, directory: FileId, asked: ReaddirArguments | ReaddirplusArguments, most: int
) -> tuple[Attributes, Page]:
    """Give the directory, and as many of its entries as may find room, and one more."""
    here = await visit.attributes(directory)
    if here.kind is not Kind.DIRECTORY:
        raise errors.NotADirectory
    await visit.demand(directory, int(Access.READ))
    await aside()
    cookie = 0 if asked.cookie in (1, 2) else asked.cookie
    (verifier,) = _VERIFIER.unpack(asked.verifier)
    page = await visit.storage.page(directory, cookie, verifier, most + 1)
    return visit.storage.known(directory) or here, page


def _entries(visit: Visit, here: Attributes, cookie: int, page: Page) -> list[Entry]:
    """Give what comes behind a cookie, `.` and `..` too."""
    entries = [Entry(one.attributes.file, one.name, one.cookie, one.attributes) for one in page.entries]
    if cookie < 2:
        entries.insert(0, Entry(here.parent, b"..", 2, visit.storage.known(here.parent)))
    if cookie < 1:
        entries.insert(0, Entry(here.file, b".", 1, here))
    return entries


def _fill(
    result: results.Readdir | results.Readdirplus,
    entries: list[Entry],
    page: Page,
    add: Callable[[Entry], bool],
) -> bytes:
    """Put as much into the result as there is room for."""
    for entry in entries:
        if not add(entry):
            if result.empty:
                raise Failure(Status.TOOSMALL)
            return result.finish(ended=False)
    return result.finish(ended=page.ended)
