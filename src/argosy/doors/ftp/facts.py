"""Sizes, times and modes: told, and set."""

from __future__ import annotations

from argosy import errors
from argosy.catalogue.model import State
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments, replies, times
from argosy.wire.ftp.arguments import Type
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


def size(client: Client, command: Command) -> Reply:
    """SIZE: how many bytes RETR would send; in TYPE A nobody knows before. RFC 3659 section 4."""
    entry = client.tree.entry(client.path(command.argument))
    if entry.is_directory:
        raise errors.IsADirectory(command.argument)
    if client.type is Type.ASCII:
        return Reply.of(550, "SIZE isn't known in TYPE A, say TYPE I first")
    if entry.state is State.UPLOADING:
        # A size would be believed: curl reads no further than that, though RETR would go on to the end.
        return Reply.of(450, "It is still arriving, so its size isn't known yet")
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
    yield replies.facts_set({"Modify": _shown(wish.mtime_ns)}, wish.path)


async def set_creation_time(client: Client, command: Command) -> Replies:
    """MFCT: set when it was made. draft-somers-ftp-mfxx-04 section 4."""
    wish = arguments.parse_mfmt(command.argument)
    await client.tree.set_facts(client.path(wish.path), created_ns=wish.mtime_ns)
    yield replies.facts_set({"Create": _shown(wish.mtime_ns)}, wish.path)


async def set_facts(client: Client, command: Command) -> Replies:
    """MFF: set times and mode, all of them or none. draft-somers-ftp-mfxx-04 section 5."""
    wish = arguments.parse_facts(command.argument)
    await client.tree.set_facts(
        client.path(wish.path), mtime_ns=wish.mtime_ns, created_ns=wish.created_ns, mode=wish.mode
    )
    done = {
        "Modify": None if wish.mtime_ns is None else _shown(wish.mtime_ns),
        "Create": None if wish.created_ns is None else _shown(wish.created_ns),
        "UNIX.mode": None if wish.mode is None else f"{wish.mode:04o}",
    }
    yield replies.facts_set({fact: value for fact, value in done.items() if value}, wish.path)


async def available(client: Client, command: Command) -> Replies:
    """AVBL: how many bytes this user can store in a directory.

    draft-peterson-streamlined-ftp-command-extensions-10 section 4.
    """
    yield replies.size(await client.tree.room(client.path(command.argument)))


def _shown(ns: int) -> str:
    return times.format_time(ns).decode("ascii")
