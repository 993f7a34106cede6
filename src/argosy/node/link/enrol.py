"""A node's first contact: a join token for a certificate, as `docs/link-protocol.md` "Enrolling" says."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from argosy.config import split_address
from argosy.errors import BadArgument, Denied, Exists, Unavailable
from argosy.net import pki, tls
from argosy.net.peer import Peer
from argosy.wire import link


class MasterAway(Unavailable):
    """The master can't be reached."""


class TokenRefused(Denied):
    """The master refused."""


@dataclass(frozen=True, slots=True)
class Token:
    """Leave to join: an id, a secret good for one use, and whom to tell it to."""

    id: str
    secret: str
    authority: str
    """Hex SHA-256 of the authority's certificate."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ID.SECRET.HASH`.

        Raises:
            BadArgument: It isn't that: most likely a part was lost on the way from one screen to the other.
        """
        parts = text.strip().split(".")
        if len(parts) != 3 or not all(parts) or len(parts[2]) != 64:
            raise BadArgument("a join token is three parts with dots between, the last one 64 long")
        return cls(*parts)


async def enrol(
    master: str, token: str, name: str, keys: Path, *, seconds: float, again: bool = False
) -> None:
    """Have a node's certificate signed; writes `authority.pem`, `NAME.pem` and `NAME.key`.

    The secret is told only to a master that the token itself names. When it fails the token is still good,
    unless the master had signed already.

    Args:
        master: The master's link, `host:port`.
        token: What `argosy token` printed.
        name: What the node shall be called.
        keys: The directory for the files.
        seconds: How long connecting and each answer may take.
        again: Another authority than the one that the directory holds may be the site's from now on.

    Raises:
        BadArgument: The token or the name isn't one.
        Exists: The directory holds another site's authority. Choose another.
        MasterAway: Nobody there, or no link. Try again.
        Untrusted: Somebody is there, but not the master that the token names. Don't try again.
        TokenRefused: The token was used or is too old, or the name belongs to another. Ask for a new one.
    """
    leave = Token.parse(token)
    request = pki.make_request(keys / f"{name}.key", name)
    pinned = keys / "authority.pem"
    if not again and pinned.exists() and pki.fingerprint(pinned.read_bytes()) != leave.authority:
        raise Exists(
            f"{pinned} is another site's; give this node a directory of its own, or, if its master was made"
            f" anew: argosy node rejoin"
        )
    peer, leaf = await _dial(master, seconds)
    try:
        authority = await peer.ask(link.AskAuthority())
        if not isinstance(authority, link.Authority):
            raise MasterAway(f"{master} answers, but not as a master does")
        if not hmac.compare_digest(pki.fingerprint(authority.certificate), leave.authority):
            raise pki.Untrusted(f"{master} has another authority than the token names")
        pki.check_master(leaf, authority.certificate)
        answer = await _ask_to_join(peer, link.Enrol(leave.id, leave.secret, name, request))
    finally:
        peer.close()
    pki.write_public(pinned, authority.certificate)
    pki.write_public(keys / f"{name}.pem", answer.certificate)
    tls.link_client(keys, name)  # refuses what doesn't fit our key, now rather than at the first start


async def _ask_to_join(peer: Peer, request: link.Enrol) -> link.Enrolled:
    try:
        answer = await peer.ask(request)
    except Denied as refused:
        raise TokenRefused(refused.subject or "the token is used, too old or unknown") from refused
    if not isinstance(answer, link.Enrolled):
        raise MasterAway("it answers, but not as a master does")
    return answer


async def _dial(master: str, seconds: float) -> tuple[Peer, bytes]:
    host, port = split_address("master", master)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            transport, peer = await loop.create_connection(
                lambda: Peer(request_seconds=seconds, silent_seconds=seconds),
                host,
                port,
                ssl=tls.enrol_client(),
                server_hostname="",
            )
    except TimeoutError:
        raise MasterAway(f"{master}: no answer within {seconds:g} s") from None
    except ssl.SSLError as error:
        raise MasterAway(f"{master} doesn't speak TLS as a master does; is it the link's port?") from error
    except OSError as error:
        raise MasterAway(f"{master}: {error.strerror or error}") from error
    secured = transport.get_extra_info("ssl_object")
    return peer, secured.getpeercert(binary_form=True) or b""
