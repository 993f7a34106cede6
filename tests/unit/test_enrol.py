"""A node's first contact: over real TLS, with a master's end that knows two answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from argosy import errors
from argosy.net import pki, tls
from argosy.net.peer import Peer
from argosy.node.link.enrol import MasterAway, Token, TokenRefused, enrol
from argosy.wire import link

LIMIT_SECONDS = 5.0


class Master:
    """A master's end of the link that enrols whoever knows the secret, once."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys
        self.authority = pki.Authority.open(keys)
        self.authority.issue_master()
        self.authority.issue_ftp(["127.0.0.1"])
        self.shown = self.authority.pem
        self.secrets_heard: list[str] = []

    def token(self, secret: str = "sesame") -> str:
        return f"id.{secret}.{pki.fingerprint(self.authority.pem)}"

    async def answer(self, message: link.Body) -> link.Body:
        match message:
            case link.AskAuthority():
                return link.Authority(self.shown)
            case link.Enrol(_, secret, name, request):
                self.secrets_heard.append(secret)
                if secret != "sesame" or len(self.secrets_heard) > 1:
                    raise errors.Denied("the token was used already")
                return link.Enrolled(self.authority.sign_node(request, name, 90), self.authority.pem)
            case _:
                raise errors.Unsupported(type(message).__name__)

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        async with asyncio.TaskGroup() as tasks:
            peers: list[Peer] = []

            def connected(peer: Peer) -> None:
                peers.append(peer)
                tasks.create_task(peer.run(self.answer))

            def end() -> Peer:
                return Peer(request_seconds=LIMIT_SECONDS, silent_seconds=LIMIT_SECONDS, connected=connected)

            loop = asyncio.get_running_loop()
            server = await loop.create_server(end, "127.0.0.1", 0, ssl=context or tls.link_server(self.keys))
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            server.close()
            for peer in peers:
                peer.close()


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path / "master")


async def test_a_token_gives_a_node_what_it_needs_to_connect(master: Master, tmp_path: Path) -> None:
    keys = tmp_path / "node"
    async with master.listening() as address:
        await enrol(address, master.token(), "harbour", keys, seconds=LIMIT_SECONDS)
    assert sorted(path.name for path in keys.iterdir()) == ["authority.pem", "harbour.key", "harbour.pem"]
    tls.link_client(keys, "harbour")
    assert pki.fingerprint((keys / "authority.pem").read_bytes()) == pki.fingerprint(master.authority.pem)


async def test_a_token_that_was_used_is_refused_in_the_masters_words(master: Master, tmp_path: Path) -> None:
    async with master.listening() as address:
        await enrol(address, master.token(), "harbour", tmp_path / "a", seconds=LIMIT_SECONDS)
        with pytest.raises(TokenRefused, match="the token was used already"):
            await enrol(address, master.token(), "attic", tmp_path / "b", seconds=LIMIT_SECONDS)
    assert not (tmp_path / "b" / "authority.pem").exists()


async def test_a_stranger_in_the_masters_place_never_hears_the_secret(master: Master, tmp_path: Path) -> None:
    stranger = Master(tmp_path / "stranger")
    copied = Master(tmp_path / "copied")  # shows the right authority, which anybody can have seen
    copied.shown = master.authority.pem
    for impostor in (stranger, copied):
        async with impostor.listening() as address:
            with pytest.raises(pki.Untrusted):
                await enrol(address, master.token(), "harbour", tmp_path / "node", seconds=LIMIT_SECONDS)
        assert impostor.secrets_heard == []


async def test_a_node_in_the_masters_place_never_hears_the_secret(master: Master, tmp_path: Path) -> None:
    posing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    posing.load_cert_chain(master.keys / "ftp.pem", master.keys / "ftp.key")  # every node has this one
    async with master.listening(posing) as address:
        with pytest.raises(pki.Untrusted, match="not the master's"):
            await enrol(address, master.token(), "harbour", tmp_path / "node", seconds=LIMIT_SECONDS)
    assert master.secrets_heard == []


async def test_a_directory_of_another_sites_keys_is_left_alone(master: Master, tmp_path: Path) -> None:
    pki.Authority.open(tmp_path / "node")
    before = (tmp_path / "node" / "authority.pem").read_bytes()
    async with master.listening() as address:
        with pytest.raises(errors.Exists, match="another site"):
            await enrol(address, master.token(), "harbour", tmp_path / "node", seconds=LIMIT_SECONDS)
    assert (tmp_path / "node" / "authority.pem").read_bytes() == before
    assert master.secrets_heard == []


async def test_nobody_there_is_said_with_the_address(master: Master, tmp_path: Path) -> None:
    async with master.listening() as address:
        pass
    with pytest.raises(MasterAway, match=f"{address}: Connect"):
        await enrol(address, master.token(), "harbour", tmp_path / "node", seconds=LIMIT_SECONDS)


class OtherService(asyncio.Protocol):
    """Says a greeting, or nothing, and waits until the other side leaves."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting
        self.left = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.left.set()


@pytest.mark.parametrize(
    ("greeting", "complaint"),
    [(b"220 Welcome\r\n", "is it the link's port"), (b"", "no answer within 0.2 s")],
)
async def test_another_service_there_is_no_master(
    master: Master, tmp_path: Path, greeting: bytes, complaint: str
) -> None:
    service = OtherService(greeting)
    server = await asyncio.get_running_loop().create_server(lambda: service, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(MasterAway, match=complaint):
        await enrol(address, master.token(), "harbour", tmp_path / "node", seconds=0.2)
    async with asyncio.timeout(LIMIT_SECONDS):
        await service.left.wait()
    server.close()


@pytest.mark.parametrize("text", ["", "abc", "a.b", "a.b.c", f"a..{'0' * 64}", f"a.b.c.{'0' * 64}"])
def test_a_token_that_lost_a_part_is_named_as_such(text: str) -> None:
    with pytest.raises(errors.BadArgument, match="three parts"):
        Token.parse(text)
