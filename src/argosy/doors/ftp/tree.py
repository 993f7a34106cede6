"""Names and directories."""

from __future__ import annotations

from argosy.catalogue.model import TreePath
from argosy.doors.ftp.client import Client, Replies
from argosy.tables import printable
from argosy.wire.ftp import replies
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


def _go(client: Client, path: TreePath) -> Reply:
    client.tree.directory(path)
    client.cwd = path
    lines = map(printable, client.hall.vfs.message(path).splitlines())
    return Reply.of(250, *lines, f"You are in {replies.shown(_absolute(path))}")


def _absolute(path: TreePath) -> bytes:
    return b"/" + b"/".join(path)
