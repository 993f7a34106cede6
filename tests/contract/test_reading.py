"""Reading in any order from real servers, and from servers in trouble."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import servers
from argosy import config
from argosy.errors import Unavailable
from argosy.sites.model import Address, Tls, Version
from argosy.sites.reading.blocks import BlockCache
from argosy.sites.reading.reader import Reader
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.pool import Pool, Purpose
from contract.conftest import log_in
from servers import Server

KIB, MIB = 1024, 1024 * 1024
SECONDS = 60.0
PATH = servers.FOLDER.encode() + b"/large"
CONTENT = random.Random(5).randbytes(24 * MIB + 4321)
WHOLE = Version(1, len(CONTENT), 0)


class Desk:
    """A reader of one site's file."""

    def __init__(
        self,
        peer: Server,
        *,
        port: int = 0,
        tls: Tls = Tls.OFF,
        memory: int = 64 * MIB,
        spool: Path | None = None,
        **more: object,
    ):
        address = Address(
            host=peer.host, port=port or peer.port, user=peer.user, password=peer.password, tls=tls
        )
        remote = config.Remote(certificates="any", retry_first_seconds=0.05, **more)  # type: ignore[arg-type]
        dialect = Dialect()
        self.pool = Pool(lambda: Client(address, remote, dialect), remote)
        shelf = BlockCache(config.Cache(memory_bytes=memory), spool).shelf("1")
        self.reader = Reader(self.pool, shelf, remote)

    def read(self, offset: int, count: int) -> bytes:
        pieces = self.reader.known(WHOLE, offset, count)
        if pieces is None:
            pieces = self.reader.begin(WHOLE, lambda: PATH, offset, count).result(SECONDS)
        return b"".join(pieces)


@contextlib.contextmanager
def desk(peer: Server, **settings: object) -> Iterator[Desk]:
    made = Desk(peer, **settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.reader.close()
        made.pool.close()
        assert made.pool.report().busy == 0


@pytest.fixture(scope="module")
def stocked(peer: Server) -> Server:
    """Give a server that has the file."""
    client = log_in(peer)
    upload = client.store(PATH)
    upload.send(CONTENT)
    upload.finish()
    client.close()
    return peer


@pytest.mark.parametrize("tls", [Tls.OFF, Tls.NEEDED])
def test_reading_in_order_is_one_download(stocked: Server, tls: Tls) -> None:
    with desk(stocked, tls=tls, heads=1) as at:
        for offset in range(0, len(CONTENT), MIB):
            assert at.read(offset, MIB) == CONTENT[offset : offset + MIB]
        told = at.reader.report()
    assert told.fetched == len(CONTENT)
    assert told.opened == 1


@pytest.mark.parametrize("tls", [Tls.OFF, Tls.NEEDED])
def test_reading_here_and_there_keeps_the_logins(stocked: Server, tls: Tls) -> None:
    chance = random.Random(6)
    with desk(stocked, tls=tls) as at:
        for _ in range(60):
            offset = chance.randrange(len(CONTENT))
            assert at.read(offset, 4 * KIB) == CONTENT[offset : offset + 4 * KIB]
        assert at.pool.report().logins <= 8
        assert at.reader.report().fetched <= 60 * 64 * KIB


def test_one_login_serves_reading_and_listings_by_turns(stocked: Server) -> None:
    with desk(stocked, connections=1) as at:
        for offset in range(0, len(CONTENT), 3 * MIB):
            assert at.read(offset, 300_000) == CONTENT[offset : offset + 300_000]
            assert at.pool.ask(Purpose.META, lambda client: client.facts(PATH), SECONDS).size == len(CONTENT)
        assert at.pool.report().logins == 1


READS = st.lists(
    st.tuples(st.integers(0, len(CONTENT)), st.sampled_from([1, 4 * KIB, 64 * KIB, MIB]), st.booleans()),
    min_size=1,
    max_size=12,
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(reads=READS, connections=st.sampled_from([1, 3]))
def test_whatever_is_read_is_what_the_server_has(
    stocked: Server, reads: list[tuple[int, int, bool]], connections: int
) -> None:
    with desk(stocked, connections=connections, memory=8 * MIB) as at:
        futures = []
        for offset, count, waits in reads:
            futures.append((offset, count, at.reader.begin(WHOLE, lambda: PATH, offset, count)))
            if waits:
                futures[-1][2].result(SECONDS)
        for offset, count, future in futures:
            assert b"".join(future.result(SECONDS)) == CONTENT[offset : offset + count]


class Wire:
    """Between us and a server: control and data connections go through it, and it can do them harm."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets: list[socket.socket] = []
        self.cut_after = 1 << 60
        """Bytes of a data connection until it is reset."""
        self.stalls = threading.Event()
        """Nothing is passed on any more."""
        self.closed = False
        self.threads: list[threading.Thread] = []
        self._begin(self._accept, self.listener, port)

    def cut_all(self) -> None:
        """As if the server had been restarted."""
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def close(self) -> None:
        self.closed = True
        self.listener.close()
        self.cut_all()
        for thread in self.threads:
            thread.join(SECONDS)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        self.threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self.threads[-1].start()

    def _accept(self, listener: socket.socket, port: int, data: bool = False) -> None:
        listener.settimeout(0.1)
        with listener, contextlib.suppress(OSError):
            while not self.closed:
                try:
                    ours, _ = listener.accept()
                except TimeoutError:
                    continue
                theirs = socket.create_connection(("127.0.0.1", port))
                self.sockets += [ours, theirs]
                self._begin(self._pass, ours, theirs, False, data)
                self._begin(self._pass, theirs, ours, True, data)
                ours.settimeout(None)
                if data:
                    return

    def _pass(self, source: socket.socket, to: socket.socket, back: bool, data: bool) -> None:
        left = self.cut_after
        with contextlib.suppress(OSError, ValueError):
            while part := source.recv(65_536):
                while self.stalls.is_set() and not self.closed:
                    time.sleep(0.01)
                if back and not data and b"229 " in part:
                    part = self._other_port(part)
                if back and data:
                    if left <= len(part):
                        to.sendall(part[:left])
                        break
                    left -= len(part)
                to.sendall(part)
        for one in (source, to):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()

    def _other_port(self, part: bytes) -> bytes:
        start = part.index(b"(|||") + 4
        end = part.index(b"|)", start)
        listener = socket.create_server(("127.0.0.1", 0))
        self._begin(self._accept, listener, int(part[start:end]), True)
        return part[:start] + str(listener.getsockname()[1]).encode() + part[end:]


@pytest.fixture(scope="module")
def vsftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.vsftpd(tmp_path_factory.mktemp("vsftpd") / "peer") as running:
        assert running.root is not None
        (running.root / servers.FOLDER.strip("/") / "large").write_bytes(CONTENT)
        yield running


@pytest.fixture
def wire(vsftpd: Server) -> Iterator[Wire]:
    made = Wire(vsftpd.port)
    yield made
    made.close()


def test_data_connections_cut_in_the_middle_are_gone_on_with(vsftpd: Server, wire: Wire) -> None:
    with desk(vsftpd, port=wire.port) as at:
        wire.cut_after = 3_333_333
        assert b"".join(at.read(offset, MIB) for offset in range(0, len(CONTENT), MIB)) == CONTENT


def test_a_server_that_is_restarted_under_a_reader_is_not_noticed(vsftpd: Server, wire: Wire) -> None:
    with desk(vsftpd, port=wire.port) as at:
        for offset in range(0, len(CONTENT), MIB):
            assert at.read(offset, MIB) == CONTENT[offset : offset + MIB]
            if offset % (5 * MIB) == 0:
                wire.cut_all()


def test_a_server_that_stalls_is_borne_for_so_long_and_no_longer(vsftpd: Server, wire: Wire) -> None:
    limits = {"stall_seconds": 0.3, "reply_seconds": 0.3, "connect_seconds": 0.3, "away_seconds": 1.0}
    with desk(vsftpd, port=wire.port, **limits) as at:
        assert at.read(0, MIB) == CONTENT[:MIB]
        wire.stalls.set()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            at.read(20 * MIB, MIB)
        assert time.monotonic() - began < 15
        wire.stalls.clear()
        assert at.read(20 * MIB, MIB) == CONTENT[20 * MIB : 21 * MIB]


def test_a_short_stall_is_only_a_wait(vsftpd: Server, wire: Wire) -> None:
    with desk(vsftpd, port=wire.port) as at:
        wire.stalls.set()
        threading.Timer(0.5, wire.stalls.clear).start()
        assert at.read(0, 2 * MIB) == CONTENT[: 2 * MIB]


def test_four_kib_at_the_end_of_a_gib_fetch_less_than_100_kib(vsftpd: Server) -> None:
    assert vsftpd.root is not None
    file = vsftpd.root / servers.FOLDER.strip("/") / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 30)
        sparse.seek(900_000_000)
        sparse.write(CONTENT[:8192])
    with desk(vsftpd) as at:
        version = Version(2, 1 << 30, 0)
        path = servers.FOLDER.encode() + b"/huge"
        told = at.reader.begin(version, lambda: path, 900_000_000, 4096).result(SECONDS)
        assert b"".join(told) == CONTENT[:4096]
        assert at.reader.report().fetched < 100 * KIB


def test_a_server_that_refuses_rest_sends_a_file_once(tmp_path: Path) -> None:
    with servers.vsftpd(tmp_path / "peer", {"cmds_denied": "REST"}) as peer:
        assert peer.root is not None
        (peer.root / servers.FOLDER.strip("/") / "large").write_bytes(CONTENT)
        chance = random.Random(7)
        with desk(peer, memory=8 * MIB, spool=tmp_path) as at:
            for _ in range(100):
                offset = chance.randrange(len(CONTENT))
                assert at.read(offset, 4 * KIB) == CONTENT[offset : offset + 4 * KIB]
            assert at.reader.report().opened == 1
            assert at.reader.report().fetched == len(CONTENT)


@pytest.mark.parametrize("allowed", [1, 2])
def test_a_server_that_allows_few_logins_serves_many_readers(tmp_path: Path, allowed: int) -> None:
    with servers.vsftpd(tmp_path / "peer", {"max_per_ip": allowed}) as peer:
        assert peer.root is not None
        (peer.root / servers.FOLDER.strip("/") / "large").write_bytes(CONTENT)
        chance = random.Random(8)
        with desk(peer) as at, ThreadPoolExecutor(8) as threads:

            def work(_: int) -> None:
                offset = chance.randrange(len(CONTENT))
                assert at.read(offset, 64 * KIB) == CONTENT[offset : offset + 64 * KIB]
                assert at.pool.ask(Purpose.META, lambda client: client.facts(PATH), SECONDS).size == len(
                    CONTENT
                )

            list(threads.map(work, range(60)))
            assert at.pool.report().limit == allowed
