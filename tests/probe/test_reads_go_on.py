"""A node that dies, hangs or refuses before the first byte: another sends, and the client notices nothing."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateways import Gateway, nfs
from probe.processes import MASTER, Processes
from running import ARGOSY, PASSWORD, USER, needs, run
from talking import Talk, address, everything

LOST_SECONDS = 12.0
ANSWER_SECONDS = 1.0
SOON_SECONDS = 6.0

SETTINGS = {
    **MASTER,
    "link": {
        "beat_seconds": 0.5,
        "lost_seconds": LOST_SECONDS,
        "redial_seconds": 1.0,
        "answer_seconds": ANSWER_SECONDS,
    },
    "repair": {"retry_first_seconds": 0.2},
    "placement": {"trouble_seconds": 1.0},
}
CONTENT = random.Random(7).randbytes(3_000_000)
LARGE = random.Random(8).randbytes(25_000_000)
SOME = 2_000_000

WAYS = pytest.mark.parametrize("way", ["PRET", "PASV", "PORT"])

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Run three nodes, with each file on two of them."""
    with Processes(tmp_path_factory.mktemp("reads") / "site", nodes=3, settings=SETTINGS) as site:
        subprocess.run(
            [*ARGOSY, "rule", "set", "/", "--copies", "2", "--dir", str(site.directory)],
            check=True,
            timeout=60,
        )
        yield site


@pytest.fixture(autouse=True)
def whole(site: Processes) -> Iterator[None]:
    """Leave a site behind whose nodes are all there, and without a stain."""
    yield
    for name in site.names:
        if site.children[name].poll() is not None:
            site.spawn(name)
    site.wait_until_ready()
    site.wait_for("trouble to be forgotten", lambda: not _troubled(site))


def _troubled(site: Processes) -> bool:
    reading = [reason for one in site.why("/")["writing"] for reason in one["reasons"]]
    return any("trouble" in reason["why"] or "missed" in reason["why"] for reason in reading)


def stored(site: Processes, talk: Talk) -> str:
    """Store a file, and wait until it lies on two nodes in its place."""
    path = f"/file-{next(_numbers)}"
    talk.store(path, CONTENT)
    site.wait_for("two copies", lambda: len(copies(site, path)) == 2)
    site.wait_for("both in place", lambda: all(copy.exists() for copy in copies(site, path).values()))
    return path


def copies(site: Processes, path: str) -> dict[str, Path]:
    """Say where the copies lie."""
    return {one["node"]: site.root(one["node"]) / one["loc"] for one in site.why(path)["replicas"]}


def ranked(site: Processes, path: str) -> list[str]:
    """Name the nodes in the order in which they would serve a path."""
    return [one["node"] for one in site.why(path)["reading"] if one["eligible"]]


@contextmanager
def stopped(site: Processes, name: str) -> Iterator[None]:
    """Stop a process, as a machine that hangs."""
    os.kill(site.pid(name), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(site.pid(name), signal.SIGCONT)


class Reader:
    """A client that fetches a file in one of three ways, step by step."""

    def __init__(self, talk: Talk, way: str, path: str) -> None:
        self._talk = talk
        self._way = way
        self._path = path
        self._server: socket.socket | None = None

    def plan(self) -> None:
        """Say what is known before a node is."""
        if self._way == "PRET":
            assert self._talk.ask(f"PRET RETR {self._path}").code == 200
        elif self._way == "PORT":
            self._server = socket.create_server(("127.0.0.1", 0))
            port = self._server.getsockname()[1]
            assert self._talk.ask(f"PORT 127,0,0,1,{port >> 8},{port & 255}").code == 200

    def fetch(self, offset: int = 0) -> bytes:
        """Get it all; then 226 has to be heard."""
        data = None
        if self._server is None:
            answer = self._talk.ask("PASV")
            assert answer.code == 227, answer
            data = socket.create_connection(address(answer, "127.0.0.1"), 20)
        if offset:
            assert self._talk.ask(f"REST {offset}").code == 350
        assert self._talk.ask(f"RETR {self._path}").code == 150
        if data is None:
            assert self._server
            self._server.settimeout(20)
            data = self._server.accept()[0]
            self._server.close()
        with data:
            came = everything(data)
        assert self._talk.hear().code == 226
        return came


@WAYS
def test_a_node_that_was_killed_is_replaced_unseen(site: Processes, way: str) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        reader = Reader(talk, way, path)
        reader.plan()
        site.kill(ranked(site, path)[0])
        assert reader.fetch() == CONTENT


@WAYS
def test_a_node_that_hangs_is_replaced_unseen(site: Processes, way: str) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        reader = Reader(talk, way, path)
        first = ranked(site, path)[0]
        with stopped(site, first):
            began = time.monotonic()
            reader.plan()
            assert reader.fetch(1000) == CONTENT[1000:]
            assert time.monotonic() - began < SOON_SECONDS


@WAYS
def test_a_node_whose_copy_is_gone_is_replaced_unseen(site: Processes, way: str) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        copies(site, path)[ranked(site, path)[0]].unlink()
        reader = Reader(talk, way, path)
        reader.plan()
        assert reader.fetch() == CONTENT


@WAYS
def test_a_node_whose_copy_became_shorter_is_replaced_unseen(site: Processes, way: str) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        os.truncate(copies(site, path)[ranked(site, path)[0]], 5)
        reader = Reader(talk, way, path)
        reader.plan()
        assert reader.fetch() == CONTENT


@pytest.mark.parametrize("way", ["--ssl-reqd --ftp-pret", "--ssl-reqd", "--ftp-port 127.0.0.1"])
@pytest.mark.parametrize("fault", ["hangs", "was killed", "has lost the file"])
async def test_curl_notices_nothing(site: Processes, tmp_path: Path, way: str, fault: str) -> None:
    with Talk(site) as talk:
        path = await asyncio.to_thread(stored, site, talk)
    copies_, (first, _) = await asyncio.to_thread(lambda: (copies(site, path), ranked(site, path)))
    words = (
        *(needs("curl"), "-sS", "--cacert", str(site.authority), "-u", f"{USER}:{PASSWORD}"),
        *(*way.split(), "-o", str(tmp_path / "f"), f"ftp://{site.host}:{site.port}{path}"),
    )
    if fault == "hangs":
        with stopped(site, first):
            code, _, complaints = await run(*words)
    else:
        if fault == "was killed":
            site.kill(first)
        else:
            copies_[first].unlink()
        code, _, complaints = await run(*words)
    assert code == 0, complaints
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_node_that_hangs_after_227_is_given_up_and_the_next_try_goes_elsewhere(site: Processes) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        first = ranked(site, path)[0]
        assert talk.ask(f"PRET RETR {path}").code == 200
        answer = talk.ask("PASV")
        with stopped(site, first), socket.create_connection(address(answer, "127.0.0.1"), 20):
            began = time.monotonic()
            assert talk.ask(f"RETR {path}").code == 150
            assert talk.hear().code == 426
            assert time.monotonic() - began < SOON_SECONDS
            reader = Reader(talk, "PRET", path)
            reader.plan()
            assert reader.fetch() == CONTENT
            assert time.monotonic() - began < SOON_SECONDS
        site.wait_until_ready()


def test_a_node_that_died_after_227_is_told_of_at_once(site: Processes) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        first = ranked(site, path)[0]
        assert talk.ask(f"PRET RETR {path}").code == 200
        assert talk.ask("PASV").code == 227
        site.kill(first)
        site.wait_for("the link's end", lambda: site.nodes()[first]["state"] == "away")
        assert talk.ask(f"RETR {path}").code == 425
        reader = Reader(talk, "PRET", path)
        reader.plan()
        assert reader.fetch() == CONTENT


def test_when_no_copy_can_be_sent_the_client_hears_that_it_may_come_back(site: Processes) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        gone, away = ranked(site, path)
        copies(site, path)[gone].unlink()
        site.kill(away)
        with talk.data():
            answer = talk.ask(f"RETR {path}")
            if answer.code == 150:
                answer = talk.hear()
            assert answer.code == 450, answer


def test_a_checksum_comes_from_the_other_node(site: Processes) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        copies(site, path)[ranked(site, path)[0]].unlink()
        assert talk.ask(f"XMD5 {path}").code == 250


def test_a_silent_node_loses_rank_before_it_is_away(site: Processes) -> None:
    with Talk(site) as talk:
        path = stored(site, talk)
        first = ranked(site, path)[0]

        def is_last() -> bool:
            told = site.why(path)["reading"][-1]
            return told["node"] == first and any("beats" in reason["why"] for reason in told["reasons"])

        with stopped(site, first):
            site.wait_for("a missed beat to count", is_last, 4.0)
            assert site.nodes()[first]["state"] == "ready"
        site.wait_until_ready()


SLOW = "slow"
"""A user whose downloads take some seconds."""


@pytest.fixture(scope="module")
def slow(site: Processes) -> str:
    """Give a file whose download takes its time, and that lies on two nodes."""
    site.add_user(SLOW, "down_rate=5M")
    with Talk(site) as talk:
        talk.store("/large", LARGE)
    site.wait_for("two copies", lambda: len(copies(site, "/large")) == 2)
    return "/large"


def serving(site: Processes) -> str:
    """Wait until a node sends, and name it."""
    busy: list[str] = []

    def look() -> bool:
        busy[:] = [name for name, node in site.nodes().items() if node["transfers"]]
        return len(busy) == 1

    site.wait_for("one node to send", look)
    return busy[0]


async def killed_meanwhile(site: Processes, *words: str, after: Callable[[], bool]) -> tuple[int, str]:
    """Run a client, and kill the node that sends to it as soon as something holds. Gives its exit status."""
    client = asyncio.create_task(run(*words))
    await asyncio.to_thread(site.wait_for, "the client to get something", after)
    site.kill(await asyncio.to_thread(serving, site))
    assert not client.done(), "it was in the middle"
    code, _, complaints = await client
    return code, complaints


def has_some(file: Path) -> Callable[[], bool]:
    """Give what holds once a file has begun to grow."""
    return lambda: file.exists() and file.stat().st_size > SOME


@pytest.mark.parametrize("pret", [True, False])
async def test_curl_goes_on_where_the_dead_node_was(
    site: Processes, slow: str, tmp_path: Path, *, pret: bool
) -> None:
    to, at = tmp_path / "large", f"ftp://{site.host}:{site.port}{slow}"
    how = ("--ftp-pret",) if pret else ()
    words = (needs("curl"), *how, "-sS", "-u", f"{SLOW}:{PASSWORD}", "-C", "-", "-o", str(to), at)
    began = time.monotonic()
    code, complaints = await killed_meanwhile(site, *words, after=has_some(to))
    assert code != 0
    assert 0 < to.stat().st_size < len(LARGE), complaints
    code, _, complaints = await run(*words)
    assert code == 0, complaints
    assert to.read_bytes() == LARGE
    assert time.monotonic() - began < 2 * LOST_SECONDS


async def test_lftp_goes_on_by_itself(site: Processes, slow: str, tmp_path: Path) -> None:
    to = tmp_path / "large"
    script = f"set ftp:ssl-allow no; set net:reconnect-interval-base 1; get {slow} -o {to}; exit"
    words = (needs("lftp"), "-u", f"{SLOW},{PASSWORD}", f"ftp://{site.host}:{site.port}", "-e", script)
    code, complaints = await killed_meanwhile(site, *words, after=has_some(to))
    assert code == 0, complaints
    assert to.read_bytes() == LARGE


async def test_wget_goes_on_by_itself(site: Processes, slow: str, tmp_path: Path) -> None:
    to, at = tmp_path / "large", f"ftp://{site.host}:{site.port}{slow}"
    login = (f"--user={SLOW}", f"--password={PASSWORD}")
    words = (needs("wget"), "-q", "-c", "--waitretry=1", *login, "-O", str(to), at)
    code, complaints = await killed_meanwhile(site, *words, after=has_some(to))
    assert code == 0, complaints
    assert to.read_bytes() == LARGE


async def test_who_reads_a_mount_of_the_site_notices_nothing(
    site: Processes, slow: str, tmp_path: Path
) -> None:
    needs("nfs-cp")
    (tmp_path / "password").write_text(PASSWORD)
    url = f"ftp://{SLOW}@{site.host}:{site.port}/"
    gateway = Gateway(
        tmp_path / "gateway",
        {"remote": {"trust_file": str(site.authority)}},
        sites={"cluster": {"url": url, "password_file": str(tmp_path / "password"), "tls": "needed"}},
    )
    gateway.start()
    try:
        to = tmp_path / "large"
        reading = asyncio.create_task(nfs("cp", gateway.url("/cluster", slow), str(to)))
        await asyncio.to_thread(site.wait_for, "the reader to get something", has_some(to))
        site.kill(await asyncio.to_thread(serving, site))
        assert not reading.done(), "it was in the middle"
        await reading
        assert to.read_bytes() == LARGE
    finally:
        gateway.stop()
