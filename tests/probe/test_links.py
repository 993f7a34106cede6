"""Masters that stand still or die, nodes that die, clients that die: what goes on, and what is told."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from probe.ledger import Part, check_content, connect, look, part_sizes, put
from probe.processes import MASTER, Processes
from running import PASSWORD, USER
from talking import Talk

PAUSE_SECONDS = 3.0
LOST_SECONDS = float(str(MASTER["link"]["lost_seconds"]))
SIZE = 60_000_000
"""More than what sockets hold in flight."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("links") / "site") as site:
        yield site


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(3).randbytes(SIZE)


@pytest.fixture(scope="module")
def there(site: Processes, content: bytes) -> str:
    """Give the path of a file that is there."""
    with Talk(site) as talk:
        assert put(talk, "STOR /there.bin", content)
    return "/there.bin"


@contextmanager
def stopped(site: Processes, name: str) -> Iterator[None]:
    """Stop a process for a while, as a frozen virtual machine is."""
    os.kill(site.pid(name), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(site.pid(name), signal.SIGCONT)


def begun(talk: Talk, line: str) -> socket.socket:
    """Begin a transfer by a data connection straight to the node."""
    data = connect(talk, line)
    assert data is not None
    assert talk.ask(line).code == 150
    return data


def arriving(site: Processes) -> None:
    """Wait until a node has written something of an upload: before that, it may not know of it."""
    site.wait_for("the first bytes to be in the part", lambda: any(size > 0 for size in part_sizes(site)))


def received(data: socket.socket, upto: int) -> bytes:
    """Read so much, or to the end."""
    came = bytearray()
    while len(came) < upto and (piece := data.recv(min(1 << 20, upto - len(came)))):
        came += piece
    return bytes(came)


@pytest.mark.parametrize("seconds", [PAUSE_SECONDS, LOST_SECONDS + 2], ids=["a pause", "longer than lost"])
def test_a_download_goes_on_while_the_master_stands_still(
    site: Processes, there: str, content: bytes, seconds: float
) -> None:
    with Talk(site) as talk, begun(talk, f"RETR {there}") as data:
        came = received(data, 1_000_000)
        with stopped(site, "master"):
            until = time.monotonic() + seconds
            came += received(data, SIZE)
            assert data.recv(1) == b""
            assert time.monotonic() < until, "it came while the master stood still"
            time.sleep(max(0.0, until - time.monotonic()))
        assert talk.hear().code == 226
    assert came == content
    site.wait_until_ready()


@pytest.mark.parametrize("seconds", [PAUSE_SECONDS, LOST_SECONDS + 2], ids=["a pause", "longer than lost"])
def test_an_upload_goes_on_while_the_master_stands_still(
    site: Processes, content: bytes, seconds: float
) -> None:
    path = f"/sent-{seconds}.bin"
    with Talk(site) as talk:
        with begun(talk, f"STOR {path}") as data:
            data.sendall(content[:1_000_000])
            arriving(site)
            with stopped(site, "master"):
                until = time.monotonic() + seconds
                data.sendall(content[1_000_000:])
                site.wait_for("the bytes to be in the part", lambda: SIZE in part_sizes(site), seconds)
                assert time.monotonic() < until, "they got there while the master stood still"
                time.sleep(max(0.0, until - time.monotonic()))
        assert talk.hear().code == 226
        check_content(talk, path, content)
        assert talk.ask(f"DELE {path}").code == 250
    site.wait_until_ready()


def test_a_node_finishes_a_download_when_the_master_dies(site: Processes, there: str, content: bytes) -> None:
    with Talk(site) as talk, begun(talk, f"RETR {there}") as data:
        came = received(data, 1_000_000)
        site.kill("master")
        came += received(data, SIZE)
        assert data.recv(1) == b""
    assert came == content
    site.bring_back("master")


def test_an_upload_during_which_the_master_dies_can_be_resumed(site: Processes, content: bytes) -> None:
    with Talk(site) as talk:
        data = begun(talk, "STOR /orphan.bin")
        data.sendall(content[: SIZE // 2])
        arriving(site)
        site.kill("master")
        data.sendall(content[SIZE // 2 :][:1_000_000])
        data.close()
    site.bring_back("master")
    with Talk(site) as talk:
        seen = look(talk, "/orphan.bin")
        assert isinstance(seen, Part), seen
        assert put(talk, "STOR /orphan.bin", content[seen.size :], offset=seen.size)
        check_content(talk, "/orphan.bin", content)
        assert talk.ask("DELE /orphan.bin").code == 250
    site.wait_for("the staging to be empty", lambda: part_sizes(site) == [])


def test_an_upload_that_still_runs_when_the_next_master_is_there_can_be_resumed(
    site: Processes, content: bytes
) -> None:
    with Talk(site) as talk:
        data = begun(talk, "STOR /running.bin")
        data.sendall(content[: SIZE // 2])
        arriving(site)
        site.kill("master")
        site.bring_back("master")
        data.sendall(content[SIZE // 2 :][:1_000_000])
        data.close()
    sent = SIZE // 2 + 1_000_000
    site.wait_for("the bytes to be in the part", lambda: part_sizes(site) in ([sent], []))
    with Talk(site) as talk:
        seen = look(talk, "/running.bin")
        offset = seen.size if isinstance(seen, Part) else 0
        assert seen is None or isinstance(seen, Part), seen
        assert put(talk, "STOR /running.bin", content[offset:], offset=offset)
        check_content(talk, "/running.bin", content)
        assert talk.ask("DELE /running.bin").code == 250
    site.wait_for("the staging to be empty", lambda: part_sizes(site) == [])


def test_nodes_come_back_to_a_master_that_was_started_again(site: Processes, there: str) -> None:
    nodes = [site.pid(name) for name in site.names]
    epochs = {name: node["epoch"] for name, node in site.nodes().items()}
    for _ in range(2):
        site.kill("master")
        site.bring_back("master")
    assert [site.pid(name) for name in site.names] == nodes
    assert all(site.children[name].poll() is None for name in site.names)
    assert {name: node["epoch"] for name, node in site.nodes().items()} == epochs
    with Talk(site) as talk:
        assert talk.size(there) == SIZE


def test_a_download_from_a_node_that_dies_is_not_called_whole(
    site: Processes, there: str, content: bytes
) -> None:
    (replica,) = site.why(there)["replicas"]
    with Talk(site) as talk:
        with begun(talk, f"RETR {there}") as data:
            came = received(data, 1_000_000)
            site.kill(replica["node"])
            with suppress(ConnectionResetError):
                came += received(data, SIZE)
        assert len(came) < SIZE
        site.bring_back(replica["node"])
        assert talk.hear().code in (426, 451)
        rest = talk.ask(f"REST {len(came)}")
        assert rest.code == 350
        assert came + talk.retrieve(there) == content
    site.wait_until_ready()


def test_an_upload_to_a_node_that_dies_is_refused_and_can_be_resumed(site: Processes, content: bytes) -> None:
    with Talk(site) as talk:
        with begun(talk, "STOR /torn.bin") as data:
            data.sendall(content[:20_000_000])
            arriving(site)
            (node,) = (
                name for name in site.names if any((site.root(name) / ".argosy" / "staging").iterdir())
            )
            site.kill(node)
        site.bring_back(node)
        assert talk.hear().code in (426, 451)
        seen = look(talk, "/torn.bin")
        assert isinstance(seen, Part)
        assert 0 < seen.size <= 20_000_000
        assert put(talk, "STOR /torn.bin", content[seen.size :], offset=seen.size)
        check_content(talk, "/torn.bin", content)
        assert talk.ask("DELE /torn.bin").code == 250


def is_over(site: Processes, path: str) -> bool:
    """Whether nobody uploads to a path any more."""
    return bool(site.why(path)["state"] != "uploading")


CLIENT = """
import ftplib, os, sys
ftp = ftplib.FTP()
ftp.connect("127.0.0.1", int(sys.argv[1]), timeout=20)
ftp.login(sys.argv[2], sys.argv[3])
ftp.voidcmd("TYPE I")
command = "STOR " + sys.argv[4]
if sys.argv[5] == "direct":
    ftp.voidcmd("PRET " + command)
    ftp.af = __import__("socket").AF_INET
else:
    ftp.af = __import__("socket").AF_INET6
data = ftp.transfercmd(command)
data.sendall(bytes(3_000_000))
print("sent", flush=True)
sys.stdin.read()
"""
"""A client that dies in the middle of its file."""


@pytest.mark.parametrize("way", ["direct", "relayed"])
def test_the_upload_of_a_client_that_is_killed_is_not_taken_for_whole(site: Processes, way: str) -> None:
    for number in range(8):
        path = f"/killed-{way}-{number}.bin"
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(site.port), USER, PASSWORD, path, way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as client:
            assert client.stdout
            assert client.stdout.readline() == b"sent\n"
            client.kill()
        with Talk(site) as talk:
            site.wait_for("its end", partial(is_over, site, path))
            seen = look(talk, path)
            offset = seen.size if isinstance(seen, Part) else 0
            assert offset <= 3_000_000
            assert not isinstance(seen, bytes), len(seen)
            assert put(talk, f"STOR {path}", b"the rest", offset=offset)
            check_content(talk, path, bytes(offset) + b"the rest")
            assert talk.ask(f"DELE {path}").code == 250
