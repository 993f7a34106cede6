"""Who you are."""

from __future__ import annotations

import asyncio
import ipaddress
import logging

from argosy import errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.doors.ftp.client import Client, Replies, plain_address
from argosy.tables import printable
from argosy.wire.ftp import arguments
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply

log = logging.getLogger("argosy.ftp")


async def user(client: Client, command: Command) -> Replies:
    """USER: the answer is the same whether the account exists or not. RFC 959 section 4.1.1."""
    client.log_out()
    client.name = command.text
    yield Reply.of(331, "Password please")


async def password(client: Client, command: Command) -> Replies:
    """PASS: a wrong one is answered later each time, and in the end not at all. RFC 2577 section 5.

    A ban counts for sessions that were here before it, too: else each that a guesser has opened in advance
    would have its guesses. One whose hash was on its way when the ban came doesn't hear that it was right.
    """
    if _banned(client):
        yield _NO_MORE
        return
    try:
        login = await _admitted(client, command.text)
    except errors.LoginFailed as refused:
        yield await _refuse(client, refused)
        return
    if _banned(client):
        yield _NO_MORE
        return
    client.failures = 0
    try:
        client.log_in(login)
    except errors.TooMany as refused:
        yield Reply.of(530, str(refused))  # "try again later" is what lftp looks for
        return
    yield _welcome(client, login.account)


ANONYMOUS = frozenset({"anonymous", "ftp"})
"""Names of those who have no account. RFC 1635."""


async def _admitted(client: Client, password: str) -> Login:
    """Let the user in, or an anonymous one where there may be such; its password is an address, or nothing.

    Raises:
        LoginFailed: Nobody is let in.
    """
    hall, config = client.hall, client.hall.config
    address, secure = client.control.remote[0], client.session.secure
    client.anonymous = bool(config.anonymous) and client.name.lower() in ANONYMOUS
    if client.anonymous:
        looking = not config.anonymous_may_write
        return hall.accounts.enter(config.anonymous, address=address, secure=secure, looking=looking)
    return await hall.accounts.login(client.name, password, address=address, secure=secure)


def _welcome(client: Client, account: Account) -> Reply:
    lines = [*client.hall.config.welcome.splitlines(), *account.welcome.splitlines()]
    name = client.name if client.anonymous else account.name
    return Reply.of(230, *map(printable, lines), f"Welcome, {name}")


async def _refuse(client: Client, refused: errors.LoginFailed) -> Reply:
    """Give the answer to a wrong password, the later the more of them came from that address."""
    config = client.hall.config
    client.failures += 1
    count = client.hall.bans.failed(client.control.remote[0])
    if left := client.hall.bans.seconds_left(client.control.remote[0]):
        log.warning("%s is banned for %.0f s: too many wrong passwords", client.control.remote[0], left)
    await asyncio.sleep(config.failure_pause_seconds * 2 ** (min(count, config.login_failures) - 1))
    if client.failures >= config.login_failures or _banned(client):
        return _NO_MORE
    return Reply.of(530, str(refused))


_NO_MORE = Reply.of(421, "Too many wrong passwords")


def _banned(client: Client) -> bool:
    return client.hall.bans.seconds_left(client.control.remote[0]) > 0


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
    """REIN: begin anew. RFC 959 section 4.1.1.

    TLS stays: RFC 4217 section 13 would have it end here, and the next password go in clear.
    """
    del command
    client.begin_anew()
    client.host = ""
    yield Reply.of(220, client.hall.config.greeting)


async def host(client: Client, command: Command) -> Replies:
    """HOST: the name by which the client knows this site; USER comes after it. RFC 7151 section 3."""
    name = arguments.parse_host(command.argument)
    if not _is_ours(client, name):
        raise errors.Unsupported(f"HOST {name}")
    client.log_out()
    client.host = name
    yield Reply.of(220, client.hall.config.greeting)


def _is_ours(client: Client, host: str) -> bool:
    """Whether the site may be called so: by any name where none is set, but by no other address than its own.

    RFC 7151 section 3.1 has an address that isn't the server's refused.
    """
    config = client.hall.config
    if config.hosts:
        return host in {one.lower() for one in config.hosts}
    try:
        address = str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return True
    return address in (plain_address(client.control.local[0]), config.advertise)
