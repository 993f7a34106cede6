"""Who you are, what can be done here, and how this connection is protected."""

from __future__ import annotations

import asyncio

from argosy import errors
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments, commands, listing, replies
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
        account = await client.hall.accounts.login(client.name, command.text)
    except errors.LoginFailed:
        yield await _refuse(client)
        return
    client.failures = 0
    try:
        client.log_in(account)
    except errors.TooMany as refused:
        yield Reply.of(530, str(refused))  # "try again later" is what lftp looks for
        return
    yield Reply.of(230, f"Welcome, {account.name}")


async def _refuse(client: Client) -> Reply:
    """Give the answer to a wrong password, the later the more of them came from that address."""
    config = client.hall.config
    client.failures += 1
    count = client.hall.bans.failed(client.control.remote[0])
    await asyncio.sleep(config.failure_pause_seconds * 2 ** (min(count, config.login_failures) - 1))
    if client.failures >= config.login_failures or client.hall.bans.seconds_left(client.control.remote[0]):
        return Reply.of(421, "Too many wrong passwords")
    return Reply.of(530, "Login incorrect")


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
    client.log_out()
    yield Reply.of(220, client.hall.config.greeting)


async def authenticate(client: Client, command: Command) -> Replies:
    """AUTH: go over to TLS; who was logged in isn't any more. RFC 4217 section 4."""
    arguments.check_mechanism(command.argument)
    client.log_out()
    yield Reply.of(234, "Begin TLS")
    await client.control.encrypt(client.hall.control_tls)


async def buffer_size(client: Client, command: Command) -> Replies:
    """PBSZ: 0 it is, whatever was asked for. RFC 4217 section 9."""
    del client, command
    yield Reply.of(200, "PBSZ=0")


async def protect(client: Client, command: Command) -> Replies:
    """PROT: encrypt data connections or don't; the session notes which. RFC 4217 section 9."""
    client.drop_channel()  # it was prepared the other way
    try:
        private = arguments.parse_protection(command.argument)
    except errors.Unsupported as refused:
        yield Reply.of(536, str(refused))
        return
    yield Reply.of(200, "Data will be encrypted" if private else "Data will be in clear")


async def system(client: Client, command: Command) -> Replies:
    """SYST: what listings look like. RFC 959 section 4.1.3."""
    del client, command
    yield Reply.of(215, "UNIX Type: L8")


async def features(client: Client, command: Command) -> Replies:
    """FEAT: what we know beyond RFC 959. RFC 2389 section 3."""
    del command
    yield replies.features(commands.features(listing.mlst_feature(client.facts), tls=True))


async def options(client: Client, command: Command) -> Replies:
    """OPTS: choose MLST's facts; UTF8 is always on. RFC 2389 section 4."""
    try:
        name, wanted = arguments.parse_option(command.argument)
    except errors.Unsupported as refused:
        yield Reply.of(501, str(refused))
        return
    if name == "MLST":
        client.facts = listing.choose_facts(wanted)
        yield Reply.of(200, listing.mlst_options(client.facts))
    else:
        yield Reply.of(200, "UTF8 is always on")


async def help_me(client: Client, command: Command) -> Replies:
    """HELP: what can be said. RFC 959 section 4.1.3."""
    del client
    if (word := command.text.upper()) in commands.VERBS:
        yield Reply.of(214, f"{word} {commands.VERBS[word].help}")
    else:
        yield replies.help_text(commands.help_lines())


def nothing(client: Client, command: Command) -> Reply:
    """NOOP: still here. RFC 959 section 4.1.3."""
    del client, command
    return Reply.of(200, "Still here")


async def program(client: Client, command: Command) -> Replies:
    """CLNT: noted. No RFC."""
    del client, command
    yield Reply.of(200, "Noted")
