"""RETR, STOR, STOU, APPE and ABOR."""

from __future__ import annotations

import secrets
from functools import partial

from argosy import errors
from argosy.doors.ftp.client import Client, Replies
from argosy.doors.ftp.data import Channel, Start
from argosy.net.peer import refusal
from argosy.presence.visitors import Direction
from argosy.vfs.download import Download
from argosy.wire import link
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply, shown


async def retrieve(client: Client, command: Command) -> Replies:
    """RETR: the node that has the file sends it. RFC 959 section 4.1.3."""
    offset = client.taken_offset()
    with client.transferring(str(command)) as channel, client.moving_file(Direction.DOWN) as movement:
        download = client.tree.plan_download(client.path(command.argument), node=channel.node)
        download.check(offset)
        if channel.node is None:
            await download.settle(offset)
        what = f"{download.entry.size - offset} bytes" if download.replica else "what is still arriving"
        yield Reply.of(150, f"Sending {what} from {download.node.name}")
        start = movement.paced(partial(download.start, offset=offset, as_text=client.as_text))
        done = await _sent(channel, download, start)
        await download.end(done)
    yield Reply.of(226, f"Sent {done.moved} bytes")


async def _sent(channel: Channel, download: Download, start: Start) -> link.Done:
    """Have the file sent; while the client has noticed nothing another node takes over from one that fails.

    Raises:
        NoDataConnection: The client's end didn't come about.
        Unavailable: No node is left.
    """
    while True:
        try:
            done = await channel.carry(download.node, start, inward=False)
        except errors.Unavailable as refused:
            if not channel.untouched or not download.go_on(refused):
                raise
            continue
        if not done.refusal or not channel.untouched:
            return done
        if not download.go_on(refusal(done.refusal, done.subject)):
            return done


def store(client: Client, command: Command) -> Replies:
    """STOR: a node takes the file; 226 means that it is flushed there. RFC 959 section 4.1.3."""
    return _store(client, command, command.argument, client.taken_offset())


async def store_unique(client: Client, command: Command) -> Replies:
    """STOU: store under a name that nothing has, like the one given. RFC 959 section 4.1.3.

    150 tells the name in the form that RFC 1123 section 4.1.2.9 prescribes.
    """
    client.taken_offset()
    name = b"%b.%b" % (command.argument or b"stou", secrets.token_hex(6).encode())
    async for reply in _store(client, command, name, 0):
        yield Reply.of(150, f"FILE: {shown(name)}") if reply.preliminary else reply


def append(client: Client, command: Command) -> Replies:
    """APPE: go on where the file ends. RFC 959 section 4.1.3."""
    offset = client.taken_offset()
    return _store(client, command, command.argument, offset or None)


async def _store(client: Client, command: Command, name: bytes, offset: int | None) -> Replies:
    announced = client.taken_announced()
    with client.transferring(str(command)) as channel, client.moving_file(Direction.UP) as movement:
        storing = client.tree.plan_upload(client.path(name), node=channel.node, appending=offset is None)
        await storing.begin(offset=offset, announced=announced)
        try:
            yield Reply.of(150, f"Ready, to {storing.node.name}")
            done = await channel.carry(
                storing.node,
                movement.paced(
                    lambda transfer: storing.start(transfer, as_text=client.as_text, announced=announced)
                ),
                inward=True,
            )
        except BaseException:
            await storing.give_up()
            raise
        entry = await storing.end(done, alive=not client.control.gone)
        remark = await client.tree.remark(entry)
    yield Reply.of(226, f"Stored, {entry.size} bytes on {storing.names}{remark and ', '}{remark}")


async def abort(client: Client, command: Command) -> Replies:
    """ABOR: the transfer, if one ran, has been stopped when this is answered. RFC 959 section 4.1.3."""
    del command
    client.drop_channel()
    yield Reply.of(226, "Nothing is under way")
