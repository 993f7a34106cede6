"""SITE verbs about files: their modes and times, and links to them."""

from __future__ import annotations

from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


async def set_mode(client: Client, command: Command) -> Replies:
    """SITE CHMOD: set the permission bits; they are shown, and change nobody's rights."""
    change = arguments.parse_chmod(command.argument)
    await client.tree.set_mode(client.path(change.path), change.mode)
    yield Reply.of(200, f"Mode is {change.mode:04o}")


async def set_time(client: Client, command: Command) -> Replies:
    """SITE UTIME: set when it was modified."""
    time = arguments.parse_utime(command.argument)
    await client.tree.set_mtime(client.path(time.path), time.mtime_ns)
    yield Reply.of(200, "Time is set")


async def make_link(client: Client, command: Command) -> Replies:
    """SITE SYMLINK: make a symbolic link; whether its target is there isn't asked for."""
    wish = arguments.parse_link(command.argument)
    await client.tree.make_link(client.path(wish.path), wish.target)
    yield Reply.of(200, "The link is there now")
