"""Who you are."""

from __future__ import annotations

import asyncio

from argosy import errors
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


async def user(client: Client, command: Command) -> Replies:
    """USER: the answer is the same whether the account exists or not. RFC 959 section 4.1.1."""
    client.log_out()
    client.name = command.text
    yield Reply.of(331, "Password please")


async def password(client: Client, command: Command) -> Replies:
    """PASS: a wrong one is answered later each time, and in the end not at all. RFC 2577 section 5."""
    try:
        login = await client.hall.accounts.login(
            client.name, command.text, address=client.control.remote[0], secure=client.session.secure
        )
    except errors.LoginFailed as refused:
        yield await _refuse(client, refused)
        return
    client.failures = 0
    try:
        client.log_in(login)
    except errors.TooMany as refused:
        yield Reply.of(530, str(refused))  # "try again later" is what lftp looks for
        return
    yield Reply.of(230, f"Welcome, {login.account.name}")


async def _refuse(client: Client, refused: errors.LoginFailed) -> Reply:
    """Give the answer to a wrong password, the later the more of them came from that address."""
    config = client.hall.config
    client.failures += 1
    count = client.hall.bans.failed(client.control.remote[0])
    await asyncio.sleep(config.failure_pause_seconds * 2 ** (min(count, config.login_failures) - 1))
    if client.failures >= config.login_failures or client.hall.bans.seconds_left(client.control.remote[0]):
        return Reply.of(421, "Too many wrong passwords")
    return Reply.of(530, str(refused))


async def account(client: Client, command: Command) -> Replies:
    """ACCT: not needed. RFC 959 section 4.1.1."""
    del client, command
    yield Reply.of(202, "No account needed here")


async def leave(client: Client, command: Command) -> Replies:
    """QUIT: say goodbye. RFC 959 section 4.1.1."""
    del command
    client.drop_channel()
    yield Reply.of(221, "Goodbye")


async def reinitialize(client: Client, command: Command) -> Replies:
    """REIN: begin anew; TLS stays. RFC 959 section 4.1.1."""
    del command
    client.begin_anew()
    yield Reply.of(220, client.hall.config.greeting)


async def host(client: Client, command: Command) -> Replies:
    """HOST: the name by which the client knows this site. RFC 7151 section 3."""
    name = arguments.parse_host(command.argument)
    known = client.hall.config.hosts
    if known and name not in {one.lower() for one in known}:
        raise errors.Unsupported(f"HOST {name}")
    client.host = name
    yield Reply.of(220, client.hall.config.greeting)
