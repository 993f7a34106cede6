"""TLS: how this connection, and those for data, are protected."""

from __future__ import annotations

from argosy import errors
from argosy.doors.ftp.client import Client, Replies
from argosy.wire.ftp import arguments
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


async def authenticate(client: Client, command: Command) -> Replies:
    """AUTH: go over to TLS, and begin anew: who was logged in isn't any more. RFC 4217 section 4.2."""
    arguments.check_mechanism(command.argument)
    client.begin_anew()
    yield Reply.of(234, "Begin TLS")
    await client.control.encrypt(client.hall.certificate.control)


def buffer_size(client: Client, command: Command) -> Reply:
    """PBSZ: 0 it is, whatever was asked for. RFC 4217 section 9."""
    del client
    arguments.check_buffer_size(command.argument)
    return Reply.of(200, "PBSZ=0")


def protect(client: Client, command: Command) -> Reply:
    """PROT: encrypt data connections or don't; the session notes which. RFC 4217 section 9."""
    client.drop_channel()  # it was prepared the other way
    try:
        private = arguments.parse_protection(command.argument)
    except errors.Unsupported as refused:
        return Reply.of(536, str(refused))
    except errors.BadArgument as refused:
        return Reply.of(504, str(refused))
    if client.hall.config.require_data_tls and not private:
        return Reply.of(534, "Data doesn't go in clear here")  # RFC 2228 section 3
    return Reply.of(200, "Data will be encrypted" if private else "Data will be in clear")


def clear(client: Client, command: Command) -> Reply:
    """CCC: never; in clear, anybody on the way could delete in this user's name. RFC 2228 section 3."""
    del client, command
    return Reply.of(534, "This connection stays encrypted")


def data(client: Client, command: Command) -> Reply:
    """ADAT: TLS shakes hands by itself, so nobody has asked for data. RFC 2228 section 3."""
    del client, command
    return Reply.of(503, "No AUTH of ours asks for data")


def wrapped(client: Client, command: Command) -> Reply:
    """MIC, CONF and ENC: a command protected by itself, which TLS makes needless. RFC 2228 section 3."""
    del client
    return Reply.of(537, f"{command.verb} isn't for TLS, which protects every command")
