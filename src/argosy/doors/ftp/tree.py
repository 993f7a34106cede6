"""Names, directories, times and checksums."""

from __future__ import annotations

from argosy import errors
from argosy.catalogue.model import TreePath
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments, replies
from argosy.wire.ftp.arguments import FilePart, Type
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


def where(client: Client, command: Command) -> Reply:
    """PWD: where you are. RFC 959 section 4.1.3."""
    del command
    return replies.pathname(_absolute(client.cwd), "is where you are")


def change(client: Client, command: Command) -> Reply:
    """CWD: go to a directory. RFC 959 section 4.1.1."""
    return _go(client, client.path(command.argument))


def up(client: Client, command: Command) -> Reply:
    """CDUP: go to the directory above. RFC 959 section 4.1.1."""
    del command
    return _go(client, client.cwd[:-1])


async def make_directory(client: Client, command: Command) -> Replies:
    """MKD: make a directory. RFC 959 section 4.1.3."""
    path = client.path(command.argument)
    await client.tree.make_directory(path)
    yield replies.pathname(_absolute(path), "is there now")


async def remove_directory(client: Client, command: Command) -> Replies:
    """RMD: remove an empty directory. RFC 959 section 4.1.3."""
    await client.tree.remove_directory(client.path(command.argument))
    yield Reply.of(250, "Removed")


async def delete(client: Client, command: Command) -> Replies:
    """DELE: delete a file. RFC 959 section 4.1.3."""
    await client.tree.delete(client.path(command.argument))
    yield Reply.of(250, "Deleted")


async def rename_from(client: Client, command: Command) -> Replies:
    """RNFR: what to rename. RFC 959 section 4.1.3."""
    path = client.path(command.argument)
    client.tree.named(path)
    client.renaming = path
    yield Reply.of(350, "And to what?")


async def rename_to(client: Client, command: Command) -> Replies:
    """RNTO: its new name. RFC 959 section 4.1.3."""
    source, client.renaming = client.renaming, None
    assert source is not None, "the session has seen RNFR"
    await client.tree.rename(source, client.path(command.argument))
    yield Reply.of(250, "Renamed")


def size(client: Client, command: Command) -> Reply:
    """SIZE: how many bytes RETR would send; in TYPE A nobody knows before. RFC 3659 section 4."""
    entry = client.tree.entry(client.path(command.argument))
    if entry.is_directory:
        raise errors.IsADirectory(command.argument)
    if client.type is Type.ASCII:
        return Reply.of(550, "SIZE isn't known in TYPE A, say TYPE I first")
    return replies.size(entry.size)


async def modification_time(client: Client, command: Command) -> Replies:
    """MDTM: tell when it was modified, or with two arguments set that. RFC 3659 section 3."""
    question = arguments.parse_mdtm(command.argument)
    try:
        entry = client.tree.entry(client.path(question.path))
    except errors.Refused:
        if question.change is None:
            raise
        await client.tree.set_mtime(client.path(question.change.path), question.change.mtime_ns)
        yield replies.modified(question.change.mtime_ns)
        return
    yield replies.modified(entry.mtime_ns)


async def set_modification_time(client: Client, command: Command) -> Replies:
    """MFMT: set when it was modified. draft-somers-ftp-mfxx-04 section 3."""
    wish = arguments.parse_mfmt(command.argument)
    await client.tree.set_mtime(client.path(wish.path), wish.mtime_ns)
    yield replies.modified_set(wish.mtime_ns, wish.path)


async def checksum(client: Client, command: Command) -> Replies:
    """XCRC: CRC-32 of a file or of a part of it, from the record where it is known. No RFC."""
    part = _first_there(client, arguments.parse_xcrc(command.argument))
    length = -1 if part.end is None else part.end - part.start
    digits = await client.tree.checksum(client.path(part.path), "crc32", offset=part.start, length=length)
    yield Reply.of(250, digits.upper())


def _first_there(client: Client, readings: tuple[FilePart, ...]) -> FilePart:
    """Choose the reading of XCRC's argument whose file exists.

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


def _go(client: Client, path: TreePath) -> Reply:
    client.tree.directory(path)
    client.cwd = path
    return Reply.of(250, f"You are in {replies.shown(_absolute(path))}")


def _absolute(path: TreePath) -> bytes:
    return b"/" + b"/".join(path)
