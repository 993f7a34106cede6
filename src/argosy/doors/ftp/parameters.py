"""What the next transfer will be like, and where its data connection goes."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
from functools import partial

from argosy import errors
from argosy.cluster.nodes.roster import Node
from argosy.cluster.nodes.transfers import Transfer
from argosy.doors.ftp.client import Client, Plan, Replies
from argosy.doors.ftp.data import Active, Direct
from argosy.wire.ftp import addresses, arguments, commands, replies
from argosy.wire.ftp.addresses import EpsvWish
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply


def representation(client: Client, command: Command) -> Reply:
    """TYPE: bytes as they are, or lines with CRLF. RFC 959 section 4.1.2."""
    client.type = arguments.parse_type(command.argument)
    return Reply.of(200, f"Type is {client.type.value}")


async def mode(client: Client, command: Command) -> Replies:
    """MODE: stream only. RFC 959 section 4.1.2."""
    del client
    arguments.check_mode(command.argument)
    yield Reply.of(200, "Mode is S")


async def structure(client: Client, command: Command) -> Replies:
    """STRU: files only. RFC 959 section 4.1.2."""
    del client
    arguments.check_structure(command.argument)
    yield Reply.of(200, "Structure is F")


def restart(client: Client, command: Command) -> Reply:
    """REST: where the next transfer begins. RFC 3659 section 5."""
    client.offset = arguments.parse_offset(command.argument)
    return Reply.of(350, f"The next transfer begins at {client.offset}")


async def allocate(client: Client, command: Command) -> Replies:
    """ALLO: how long the next upload will be; fewer bytes will count as a failure. RFC 959 section 4.1.3."""
    client.announced = arguments.parse_allocation(command.argument)
    yield Reply.of(200, "Noted")


def announce(client: Client, command: Command) -> Reply:
    """PRET: hear what is next, so that PASV can name the node that will do it. draft-dd-pret-00."""
    upcoming = commands.parse_pret(command.argument)
    client.drop_channel()
    client.plan = None
    path = client.path(upcoming.argument)
    match upcoming.verb:
        case "RETR":
            anew = partial(client.tree.plan_download, path, ahead=True)
            client.plan = Plan(download := anew(), anew)
            download.peek()
        case "STOU":  # one name is as good as another
            path = client.path(b"%b.new" % (upcoming.argument or b"stou"))
            plan = partial(client.tree.plan_upload, path)
            client.plan = Plan(plan(), plan)
        case "STOR" | "APPE":
            plan = partial(client.tree.plan_upload, path, appending=upcoming.verb == "APPE", ahead=True)
            client.plan = Plan(plan(), plan)
        case _:
            client.plan = Plan(None, lambda: None)
    return Reply.of(200, f"Planned for {upcoming.verb}")


def passive(client: Client, command: Command) -> Reply | Replies:
    """PASV: after PRET the port is the node's, else ours. RFC 959 section 4.1.2."""
    del command
    plan, client.plan = client.plan, None
    if plan and not plan.settled:
        return _passive(client, plan)
    node = plan.node if plan else None
    if host := _as_ipv4(_address(client, node)):
        if node is None:
            return replies.entering_passive(host, client.listen_here().port)
        if number := node.take_port():
            return replies.entering_passive(host, _meet(client, node, number))
    return _passive(client, plan)


def _address(client: Client, node: Node | None) -> str:
    ours = client.control.local[0]
    return node.address(ours) if node else client.hall.config.advertise or ours


async def _passive(client: Client, plan: Plan | None) -> Replies:
    """Answer PASV where a node, a name or a port has to be waited for."""
    node = (await plan.settle()).node if plan else None
    name = _address(client, node)
    host = _as_ipv4(name) or await _resolved(name)
    number = _meet(client, node, await _port(client, node)) if node else client.listen_here().port
    yield replies.entering_passive(host, number)


async def extended_passive(client: Client, command: Command) -> Replies:
    """EPSV: a port at this very address: ours, or that of a node at it. RFC 2428 section 3."""
    ours = client.control.local[0]
    version = 6 if ":" in ours else 4
    try:
        wish = addresses.parse_epsv(command.argument)
    except errors.Unsupported:
        yield replies.wrong_protocol(1 if version == 4 else 2)
        return
    if wish is EpsvWish.ALL:
        yield Reply.of(200, "EPSV it is, for good")
        return
    if wish is (EpsvWish.IPV6 if version == 4 else EpsvWish.IPV4):
        yield replies.wrong_protocol(1 if version == 4 else 2)
        return
    if client.plan and not client.plan.settled:
        client.plan = await client.plan.settle()
    node = client.plan.node if client.plan else None
    if node and node.address(ours) == ours:
        client.plan = None
        yield replies.entering_extended_passive(_meet(client, node, await _port(client, node)))
    elif node and version == 4 and _refuses_epsv(client):
        # 500 makes every client fall back to PASV, and so to the node; 502 and 522 make some give up.
        yield Reply.of(500, "EPSV can't lead to another machine, use PASV")
    else:
        client.plan = None
        yield replies.entering_extended_passive(client.listen_here().port)


def _refuses_epsv(client: Client) -> bool:
    return client.hall.config.epsv_after_pret == "refuse" and not client.session.extended_only


async def port(client: Client, command: Command) -> Replies:
    """PORT: the node will dial this address. RFC 959 section 4.1.2."""
    yield _dial(client, *addresses.parse_port(command.argument))


async def extended_port(client: Client, command: Command) -> Replies:
    """EPRT: PORT for both kinds of address. RFC 2428 section 2."""
    try:
        host, number = addresses.parse_eprt(command.argument)
    except errors.Unsupported:
        yield replies.wrong_protocol(1, 2)
        return
    yield _dial(client, host, number)


def _dial(client: Client, host: str, number: int) -> Reply:
    client.check_target(host, number)
    client.prepare(Active(client.hall.carriage, host, number, protected=client.session.protected))
    return Reply.of(200, "You will be dialled")


async def _port(client: Client, node: Node) -> int:
    """Take a port of a node's, and wait for one if there is none."""
    return await node.draw_port(client.hall.config.connect_seconds)


def _meet(client: Client, node: Node, number: int) -> int:
    """Have a node take the client's connection on a port, and give that."""
    transfer = Transfer(node)
    peer = "" if client.may_fxp else client.control.remote[0]
    transfer.expect(number, peer=peer, tls=client.session.protected)
    client.prepare(Direct(client.hall.carriage, transfer, node))
    return number


@functools.lru_cache(256)
def _as_ipv4(host: str) -> str:
    """Give an address that 227 can hold; empty for a name.

    Raises:
        NoDataConnection: It is of IPv6; EPSV is for that.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        raise errors.NoDataConnection("use EPSV")
    return host


async def _resolved(name: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
    except OSError as error:
        raise errors.NoDataConnection(f"{name}: {error}") from error
    return str(found[0][4][0])
