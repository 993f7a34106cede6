"""HASH and its forerunners: what a file's bytes add up to, from the record or as its node reads them."""

from __future__ import annotations

from argosy import errors
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments, hashes
from argosy.wire.ftp.arguments import FilePart
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply, shown


async def hash_of(client: Client, command: Command) -> Replies:
    """HASH: by the algorithm of OPTS HASH, of the bytes of RANG. draft-bryan-ftpext-hash-02 section 3."""
    chosen, client.range = client.range, None
    entry = client.tree.entry(client.path(command.argument))
    if entry.is_directory:
        yield Reply.of(553, str(errors.IsADirectory(command.argument)))  # 553: section 3.5
        return
    end = entry.size if chosen is None else min(chosen.last + 1, entry.size)
    part = FilePart(command.argument, 0 if chosen is None else chosen.first, end)
    digits = await _sum(client, part, hashes.HASHES[client.hashing])
    last = max(end - 1, part.start)
    yield Reply.of(213, f"{client.hashing} {part.start}-{last} {digits} {shown(command.argument)}")


def choose_range(client: Client, command: Command) -> Reply:
    """RANG: the bytes that the next HASH is of. draft-bryan-ftpext-hash-02 section 3.3."""
    client.range = None
    client.range = arguments.parse_range(command.argument)
    return Reply.of(
        350, "HASH will tell of that range" if client.range else "HASH will tell of the whole file"
    )


async def by_verb(client: Client, command: Command) -> Replies:
    """XCRC, XMD5, XSHA, ...: a verb for each algorithm, of a file or of a part of it. No RFC."""
    part = _first_there(client, arguments.parse_summed(command.argument))
    digits = await _sum(client, part, hashes.BY_VERB[command.verb])
    yield Reply.of(250, digits.upper())


async def md5(client: Client, command: Command) -> Replies:
    """MD5: of a whole file. draft-twine-ftpmd5-00 section 3.1."""
    digits = await _sum(client, FilePart(command.argument), "md5")
    yield Reply.of(251, f"{shown(command.argument)} {digits.upper()}")


async def _sum(client: Client, part: FilePart, algorithm: str) -> str:
    path = client.path(part.path)
    entry = client.tree.entry(path)
    if part.start > entry.size or (part.end or 0) > entry.size:
        raise errors.BadArgument(f"the file ends at {entry.size}")
    length = -1 if part.end is None else part.end - part.start
    return await client.tree.checksum(path, algorithm, offset=part.start, length=length)


def _first_there(client: Client, readings: tuple[FilePart, ...]) -> FilePart:
    """Choose the reading of a verb's argument whose file exists.

    Raises:
        NotFound: None does.
    """
    for part in readings:
        try:
            if not client.tree.entry(client.path(part.path)).is_directory:
                return part
        except errors.Refused:
            continue
    raise errors.NotFound(readings[0].path)
