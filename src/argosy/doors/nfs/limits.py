"""Procedures about a whole mount: FSSTAT, FSINFO, PATHCONF."""

from __future__ import annotations

from argosy.doors.nfs.names import SIZE_LIMIT
from argosy.doors.nfs.visit import Visit, aside
from argosy.wire.nfs import results
from argosy.wire.nfs.arguments import Handle
from argosy.wire.nfs.nfs3 import DATA_LIMIT, NAME_LIMIT, SECOND, Properties

BLOCK = 4096
"""Requests of a multiple of this are the natural ones."""
DIRECTORY_PREFERRED = 128 * 1024
"""Bytes of a directory that a client should ask for: some 800 entries with their attributes."""
UNKNOWN_BYTES = 2**50
"""What a site has that doesn't say: so much that no client refuses to begin for want of room."""
UNKNOWN_FILES = 2**31


async def room(visit: Visit, asked: Handle) -> bytes:
    """FSSTAT: how much room there is; no site tells of files. RFC 1813 section 3.3.18."""
    root = await visit.enter(asked.handle)
    await visit.attributes(root)
    await aside()
    total, free = await visit.storage.room()
    free = UNKNOWN_BYTES if free is None else free
    total = max(free, UNKNOWN_BYTES if total is None else total)
    return results.fsstat3(
        visit.told(root),
        total_bytes=total,
        free_bytes=free,
        available_bytes=free,
        total_files=UNKNOWN_FILES,
        free_files=UNKNOWN_FILES,
        available_files=UNKNOWN_FILES,
    )


async def sizes(visit: Visit, asked: Handle) -> bytes:
    """FSINFO: how large requests and files may be. RFC 1813 section 3.3.19.

    Sites keep times to the second. Hard links there are none.
    """
    root = await visit.enter(asked.handle)
    return results.fsinfo3(
        visit.pack(await visit.attributes(root)),
        read_limit=DATA_LIMIT,
        read_preferred=DATA_LIMIT,
        read_multiple=BLOCK,
        write_limit=DATA_LIMIT,
        write_preferred=DATA_LIMIT,
        write_multiple=BLOCK,
        directory_preferred=DIRECTORY_PREFERRED,
        file_limit=SIZE_LIMIT,
        time_step_ns=SECOND,
        properties=Properties.SYMLINK | Properties.HOMOGENEOUS | Properties.CANSETTIME,
    )


async def names(visit: Visit, asked: Handle) -> bytes:
    """PATHCONF: how long names may be, and what counts in them. RFC 1813 section 3.3.20."""
    file = await visit.enter(asked.handle)
    return results.pathconf3(
        visit.pack(await visit.attributes(file)),
        link_limit=1,
        name_limit=NAME_LIMIT,
        no_truncation=True,
        chown_restricted=True,
        case_insensitive=False,
        case_preserving=True,
    )
