"""Nodes that die, or hang, while somebody reads from them or stores to them: who hears of it, and when."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from probe.ledger import connect, part_sizes, put
from probe.processes import MASTER, Processes
from running import PASSWORD, USER, needs, run
from talking import Talk, everything

SIZE = 30_000_000
"""More than what sockets hold in flight."""
LOST_SECONDS = 12.0
"""So long that who hears sooner didn't wait for it."""
SOON_SECONDS = 8.0
CUT = (425, 426, 451)

SETTINGS = {
    **MASTER,
    "link": {"beat_seconds": 0.5, "lost_seconds": LOST_SECONDS, "redial_seconds": 1.0, "answer_seconds": 1.0},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("dead") / "site", settings=SETTINGS) as site:
        yield site


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(5).randbytes(SIZE)


@pytest.fixture(autouse=True)
def whole(site: Processes) -> Iterator[None]:
    """Leave a site behind whose nodes are all there."""
    yield
    for name in site.names:
        if site.children[name].poll() is not None:
            site.spawn(name)
    site.wait_until_ready()


@contextlib.contextmanager
def soon(seconds: float = SOON_SECONDS) -> Iterator[None]:
    """Check that something doesn't take long."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def holder(site: Processes, path: str) -> str:
    """Name the node that serves a path."""
    return str(next(one["node"] for one in site.why(path)["reading"] if one["chosen"]))


def begun(talk: Talk, line: str, way: str) -> socket.socket:
    """Begin a transfer: straight to the node, or by way of the master."""
    if way == "relayed":
        data = talk.data("PASV")
    else:
        straight = connect(talk, line)
        assert straight is not None
        data = straight
    assert talk.ask(line).code == 150
    return data


def rest(data: socket.socket) -> bytes:
    """Read what comes until it ends, whichever way."""
    came = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := data.recv(1 << 20):
            came += piece
    return bytes(came)


WAYS = pytest.mark.parametrize("way", ["direct", "relayed"])


@WAYS
def test_who_reads_from_a_node_that_is_killed_hears_of_it_soon(
    site: Processes, content: bytes, way: str
) -> None:
    with Talk(site) as talk:
        assert put(talk, "STOR /read", content)
        with begun(talk, "RETR /read", way) as data:
            came = data.recv(100_000)
            with soon():
                site.kill(holder(site, "/read"))
                came += rest(data)
                assert talk.hear().code == 426
        assert content.startswith(came)
        assert len(came) < SIZE


@WAYS
def test_who_stores_to_a_node_that_is_killed_hears_of_it_soon_and_may_begin_anew_at_once(
    site: Processes, content: bytes, way: str
) -> None:
    with Talk(site) as talk:
        began = talk.data("PASV") if way == "relayed" else connect(talk, "STOR /stored")
        assert began is not None
        with began as data:
            answer = talk.ask("STOR /stored")
            node = re.search(rb"to (n\d)", answer.text)
            assert node
            data.sendall(content[:10_000_000])
            site.wait_for("the first bytes to be in the part", lambda: any(part_sizes(site)))
            with soon():
                site.kill(node[1].decode())
                assert talk.hear().code == 426
        with soon():
            assert put(talk, "STOR /stored", content, relayed=way == "relayed")
        assert talk.retrieve("/stored") == content
    assert holder(site, "/stored") != node[1].decode()


def test_who_hangs_up_at_once_when_its_node_is_killed_may_begin_anew_before_anybody_else_knows(
    site: Processes, content: bytes
) -> None:
    with Talk(site) as talk:
        began = connect(talk, "STOR /hung-up")
        assert began is not None
        with began as data:
            node = re.search(rb"to (n\d)", talk.ask("STOR /hung-up").text)
            assert node
            data.sendall(content[:10_000_000])
            site.wait_for("the first bytes to be in the part", lambda: any(part_sizes(site)))
            site.kill(node[1].decode())
    with Talk(site) as talk, soon():
        assert put(talk, "STOR /hung-up", content)
        assert talk.retrieve("/hung-up") == content


def stranded(site: Processes, talk: Talk, path: str, content: bytes) -> str:
    """Have an upload cut by its node's death, and name that."""
    data = connect(talk, f"STOR {path}")
    assert data is not None
    with data:
        node = re.search(rb"to (n\d)", talk.ask(f"STOR {path}").text)
        assert node
        data.sendall(content)
        site.wait_for("it to be in the part", lambda: len(content) in part_sizes(site))
        site.kill(node[1].decode())
        assert talk.hear().code == 426
    return node[1].decode()


def test_what_a_dead_node_has_of_a_file_counts_for_nothing_until_it_is_back(
    site: Processes, content: bytes
) -> None:
    beginning = content[:1_000_000]
    with Talk(site) as talk:
        node = stranded(site, talk, "/stranded", beginning)
        assert talk.size("/stranded") == 0
        assert b"size=0;" in talk.ask("MLST /stranded").text
        assert talk.refused("APPE /stranded") == 450
        assert talk.ask("PRET APPE /stranded").code == 450
        with talk.data():
            assert talk.codes("REST 1000000", "STOR /stranded") == [350, 450]
        site.bring_back(node)
        assert talk.size("/stranded") == len(beginning)
        assert put(talk, "STOR /stranded", content[len(beginning) :], offset=len(beginning))
        assert talk.retrieve("/stranded") == content


def test_curl_and_lftp_send_again_what_a_dead_node_has(
    site: Processes, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(content)
    at = f"ftp://{site.host}:{site.port}"
    with Talk(site) as talk:
        for path, words in {
            "/by-curl": (
                *(needs("curl"), "-sS", "--ftp-pret", "-u", f"{USER}:{PASSWORD}", "-C", "-"),
                *("-T", str(tmp_path / "f"), f"{at}/by-curl"),
            ),
            "/by-lftp": (
                *(needs("lftp"), "-u", f"{USER},{PASSWORD}", at, "-e"),
                f"set ftp:ssl-allow no; put -c {tmp_path / 'f'} -o /by-lftp; exit",
            ),
        }.items():
            node = stranded(site, talk, path, content[:1_000_000])
            with soon(20.0):
                code, _, complaints = asyncio.run(run(*words))
            assert code == 0, complaints
            assert talk.retrieve(path) == content
            site.bring_back(node)


def test_an_upload_to_a_node_that_hangs_can_be_given_up_and_sent_elsewhere(
    site: Processes, content: bytes
) -> None:
    with Talk(site) as talk:
        data = connect(talk, "STOR /hung")
        assert data is not None
        with data:
            node = re.search(rb"to (n\d)", talk.ask("STOR /hung").text)
            assert node
            data.sendall(content[:1_000_000])
            site.wait_for("the first bytes to be in the part", lambda: any(part_sizes(site)))
            os.kill(site.pid(node[1].decode()), signal.SIGSTOP)
            try:
                with soon():
                    talk.say("ABOR")
                    assert [talk.hear().code, talk.hear().code] == [426, 226]
                    assert put(talk, "STOR /hung", content)
                assert talk.retrieve("/hung") == content
            finally:
                os.kill(site.pid(node[1].decode()), signal.SIGCONT)
        site.wait_until_ready()


def test_who_reads_from_a_node_that_hangs_in_the_middle_hears_of_it(site: Processes, content: bytes) -> None:
    with Talk(site) as talk:
        assert put(talk, "STOR /hangs", content)
        node = holder(site, "/hangs")
        with begun(talk, "RETR /hangs", "direct") as data:
            data.recv(100_000)
            os.kill(site.pid(node), signal.SIGSTOP)
            try:
                talk.socket.settimeout(60.0)
                with soon(2 * LOST_SECONDS + 6.0):
                    assert talk.hear().code == 426
            finally:
                os.kill(site.pid(node), signal.SIGCONT)
        site.wait_until_ready()


class Wire:
    """A way for a node to its master that can be broken."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset what runs, both ways; new connections get through."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)
                end.close()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            sink.sendall(piece)


def test_a_link_that_breaks_while_the_node_lives_ends_nothing(site: Processes, content: bytes) -> None:
    with Talk(site) as talk:
        assert put(talk, "STOR /through", content)
    node = holder(site, "/through")
    file = site.directory / "config" / f"{node}.toml"
    before = file.read_text()
    port = int(site.settings().link.listen.rpartition(":")[2])
    with Wire(port) as wire:
        file.write_text(
            re.sub(r"^master = .*$", f'master = "127.0.0.1:{wire.port}"', before, flags=re.MULTILINE)
        )
        site.kill(node)
        site.bring_back(node)
        with Talk(site) as talk, begun(talk, "RETR /through", "direct") as data:
            came = data.recv(100_000)
            wire.cut()
            time.sleep(2.5)  # longer than `redial_seconds`
            came += everything(data)
            assert talk.hear().code == 226
        assert came == content
        file.write_text(before)
        site.kill(node)
        site.bring_back(node)
