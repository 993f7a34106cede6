"""An upload that another node takes along while it arrives: both ends of that, over a pair of sockets."""

from __future__ import annotations

import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy import errors
from argosy.node.data.arrival import Arrival
from argosy.node.data.gather import RESUME_BYTES, gather
from argosy.node.data.supply import supply
from argosy.node.data.transfer import Progress
from argosy.node.disk.checksums import Sums
from argosy.node.disk.volume import Volume
from argosy.wire import link
from volumes import reopened

SECONDS = 10.0


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Volume]:
    with reopened(tmp_path / "first") as opened:
        yield opened()


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[], Volume]]:
    with reopened(tmp_path / "second") as opened:
        yield opened


@pytest.fixture
def second(reopen: Callable[[], Volume]) -> Volume:
    return reopen()


def sums(content: bytes) -> Sums:
    return Sums(zlib.crc32(content), xxhash.xxh3_128(content).digest())


def content_of(volume: Volume, ver: int) -> bytes:
    with open(volume.read_upload(ver), "rb") as file:
        return file.read()


class Upload:
    """An upload as its first node has it, written by hand."""

    def __init__(self, volume: Volume, ver: int = 5, *, offset: int = 0, lead_bytes: int = 0) -> None:
        self.volume, self.ver, self.offset = volume, ver, offset
        self.progress = Progress()
        self.arrival = Arrival(lead_bytes=lead_bytes, lead_seconds=0.3, progress=self.progress)
        self.descriptor = volume.receive(ver, offset, None, flush=False)
        self.stored = offset
        self.arrival.reach(offset)

    def write(self, block: bytes) -> None:
        os.write(self.descriptor, block)
        self.stored += len(block)
        self.arrival.reach(self.stored)

    def end(self, *, told: Sums | None = None, whole: bool = True) -> None:
        content = content_of(self.volume, self.ver)
        found = told or (Sums(None, None) if self.offset else sums(content))
        if whole:
            self.arrival.complete(len(content), found)
            self.volume.seal(self.ver, self.descriptor, flush=False, crc32=found.crc32, digest=found.digest)
        os.close(self.descriptor)
        self.volume.release(self.ver)
        self.arrival.end(whole=whole)


class Company:
    """The copy of an upload, both ends in threads."""

    def __init__(
        self,
        first: Volume,
        second: Volume,
        *,
        arrival: Arrival | None,
        ver: int = 5,
        offset: int = 0,
        base: link.Base | None = None,
        onward: Arrival | None = None,
    ) -> None:
        self.arrived: list[link.Arrived] = []
        self.failures: list[errors.Refused] = []
        self.given, self.taken = socket.socketpair()
        for made in (self.given, self.taken):
            made.settimeout(SECONDS)
        self.item = link.Item(first.store_id, b"", ver, link.ARRIVING, offset)
        wanted = link.Wanted(ver, link.ARRIVING, offset, None, None, base)
        self.order = link.Gather(1, second.store_id, [wanted], True, link.Visit(1, "", 0, ""))
        self.progress = Progress()
        work = (
            lambda: supply(
                self.given,
                [self.item],
                {first.store_id: first},
                Progress(),
                arrival=arrival,
                stall_seconds=SECONDS,
            ),
            lambda: gather(
                self.taken, self.order, second, self.progress, self.arrived.extend, arrival=onward
            ),
        )
        ends = zip(work, (self.given, self.taken), strict=True)
        self.threads = [threading.Thread(target=self._carry_out, args=end) for end in ends]
        for thread in self.threads:
            thread.start()

    def _carry_out(self, work: Callable[[], None], made: socket.socket) -> None:
        with made:
            try:
                work()
            except errors.Refused as refused:
                self.failures.append(refused)

    def over(self) -> link.Arrived:
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        (arrived,) = self.arrived
        return arrived


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(blocks=st.lists(st.binary(max_size=3000), max_size=8), late=st.integers(0, 8))
def test_a_second_node_gets_an_upload_however_it_comes(
    first: Volume, second: Volume, blocks: list[bytes], late: int
) -> None:
    upload, content, company = Upload(first), b"".join(blocks), None
    for number, block in enumerate(blocks):
        if number == late:
            company = Company(first, second, arrival=upload.arrival)
        upload.write(block)
    company = company or Company(first, second, arrival=upload.arrival)
    upload.end()
    arrived = company.over()
    assert (arrived.refusal, arrived.received) == ("", len(content))
    assert (arrived.crc32, arrived.digest) == sums(content)
    assert content_of(second, 5) == content
    assert company.failures == []
    first.forget([5])
    second.forget([5])


def test_a_second_node_has_nearly_all_before_the_upload_ends(first: Volume, second: Volume) -> None:
    upload = Upload(first)
    company = Company(first, second, arrival=upload.arrival)
    for _ in range(40):
        upload.write(os.urandom(100_000))
        end = time.monotonic() + SECONDS
        while company.progress.moved < upload.stored:
            assert time.monotonic() < end
            time.sleep(0.001)
    upload.end()
    assert company.over().refusal == ""
    assert content_of(second, 5) == content_of(first, 5)


def test_what_a_third_node_takes_comes_from_the_second(first: Volume, second: Volume, tmp_path: Path) -> None:
    with reopened(tmp_path / "third") as opened:
        third, onward = opened(), Arrival()
        upload = Upload(first)
        companies = [
            Company(first, second, arrival=upload.arrival, onward=onward),
            Company(second, third, arrival=onward),
        ]
        content = os.urandom(3_000_000)
        for start in range(0, len(content), 70_000):
            upload.write(content[start : start + 70_000])
        upload.end()
        for company in companies:
            assert (company.over().refusal, company.failures) == ("", [])
        assert content_of(third, 5) == content


def test_an_upload_that_is_sealed_is_sent_all_the_same(first: Volume, second: Volume) -> None:
    upload = Upload(first)
    upload.write(b"whole")
    upload.end()
    arrived = Company(first, second, arrival=None).over()
    assert (arrived.refusal, arrived.crc32) == ("", zlib.crc32(b"whole"))
    assert content_of(second, 5) == b"whole"


def test_an_upload_that_is_gone_is_refused(first: Volume, second: Volume) -> None:
    company = Company(first, second, arrival=None)
    assert company.over().refusal == "TransferCut"
    assert second.state().parts == []


def test_bytes_that_are_damaged_on_the_way_leave_no_part(first: Volume, second: Volume) -> None:
    upload = Upload(first)
    company = Company(first, second, arrival=upload.arrival)
    upload.write(b"good")
    upload.end(told=sums(b"else"))
    assert company.over().refusal == "Damaged"
    assert second.state().parts == []


def test_a_cut_upload_leaves_a_large_part_at_the_second_node_too(
    first: Volume, second: Volume, reopen: Callable[[], Volume]
) -> None:
    upload = Upload(first)
    company = Company(first, second, arrival=upload.arrival)
    beginning = os.urandom(RESUME_BYTES + 1000)
    upload.write(beginning)
    end = time.monotonic() + SECONDS
    while company.progress.moved < upload.stored:  # what it hasn't taken before the cut it doesn't get
        assert time.monotonic() < end
        time.sleep(0.001)
    upload.end(whole=False)
    arrived = company.over()
    assert (arrived.refusal, arrived.received) == ("TransferCut", len(beginning))
    again = reopen()
    assert [(part.received, part.sealed) for part in again.state().parts] == [(len(beginning), False)]
    upload = Upload(first, offset=len(beginning))
    company = Company(first, again, arrival=upload.arrival, offset=1000)
    upload.write(b"the rest")
    upload.end()
    assert company.over().refusal == ""
    assert content_of(again, 5) == beginning + b"the rest"


def test_a_second_node_that_dies_leaves_what_it_has(
    first: Volume, second: Volume, reopen: Callable[[], Volume]
) -> None:
    upload = Upload(first)
    company = Company(first, second, arrival=upload.arrival)
    upload.write(bytes(2 * RESUME_BYTES))
    end = time.monotonic() + SECONDS
    while not second.state().parts and time.monotonic() < end:
        time.sleep(0.01)
    (part,) = reopen().state().parts
    assert part.received >= RESUME_BYTES
    assert not part.sealed
    upload.end(whole=False)
    for thread in company.threads:
        thread.join(SECONDS)


def test_an_append_goes_on_in_the_second_nodes_own_file(first: Volume, second: Volume) -> None:
    for volume in (first, second):
        descriptor = volume.receive(3, 0, None, flush=False)
        os.write(descriptor, b"before, ")
        volume.seal(3, descriptor, flush=False, crc32=None, digest=None)
        os.close(descriptor)
        volume.release(3)
        volume.commit([link.CommitPart(3, b"f", 10**18)])
    before = Path(os.fsdecode(second.root.path), "f").stat().st_ino
    base = link.Base(b"f", 3, 8)
    descriptor = first.receive(5, 8, base, flush=False)
    arrival = Arrival()
    arrival.reach(8)
    company = Company(first, second, arrival=arrival, offset=8, base=base)
    os.write(descriptor, b"after")
    arrival.reach(13)
    arrival.complete(13, Sums(None, None))
    assert company.over().refusal == ""
    second.commit([link.CommitPart(5, b"f", 10**18)])
    assert Path(os.fsdecode(second.root.path), "f").read_bytes() == b"before, after"
    assert Path(os.fsdecode(second.root.path), "f").stat().st_ino == before
    os.close(descriptor)
    first.release(5)


def test_an_upload_does_not_run_away_from_its_copy_but_does_not_wait_for_one_that_stands(
    first: Volume, second: Volume
) -> None:
    del second
    upload = Upload(first, lead_bytes=1000)
    upload.write(bytes(500))
    upload.arrival.taken(500)
    begin = time.monotonic()
    behind = threading.Timer(0.1, upload.arrival.taken, [1500])
    behind.start()
    upload.write(bytes(2000))
    assert 0.09 < time.monotonic() - begin < 0.29, "it waited until the copy had come nearer"
    begin = time.monotonic()
    upload.write(bytes(2000))
    assert time.monotonic() - begin > 0.29, "it waited for as long as it was told"
    begin = time.monotonic()
    upload.write(bytes(10_000))
    upload.arrival.taken(14_500)
    upload.write(bytes(10_000))
    assert time.monotonic() - begin < 0.2, "and never again"
    upload.end(whole=False)


def test_an_upload_that_is_cancelled_does_not_wait_for_its_copy(first: Volume) -> None:
    upload = Upload(first, lead_bytes=1000)
    upload.arrival.taken(0)
    upload.progress.cancel()
    begin = time.monotonic()
    upload.write(bytes(5000))
    assert time.monotonic() - begin < 0.2
    upload.end(whole=False)
