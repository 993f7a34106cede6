"""Both ends of a copy over a pair of sockets: what one sends the other writes, and nothing else gets in."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy import errors
from argosy.node.data import gather as gathering
from argosy.node.data.gather import gather
from argosy.node.data.supply import BUFFER_BYTES, supply
from argosy.node.data.transfer import Progress
from argosy.node.disk.volume import Volume
from argosy.wire import link
from argosy.wire.link import pieces
from argosy.wire.link.pieces import HEAD_BYTES, Mark, Piece
from volumes import reopened

SECONDS = 10.0
LARGE = 2 * gathering.RESUME_BYTES


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Volume]:
    with reopened(tmp_path / "source") as opened:
        yield opened()


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[], Volume]]:
    with reopened(tmp_path / "target") as opened:
        yield opened


@pytest.fixture
def target(reopen: Callable[[], Volume]) -> Volume:
    return reopen()


def keep(volume: Volume, upload: int, content: bytes) -> link.Item:
    """Have a file in its place, and give the order to send it."""
    descriptor = volume.receive(upload, 0, None, flush=False)
    os.write(descriptor, content)
    volume.seal(upload, descriptor, flush=False, crc32=None, digest=None)
    os.close(descriptor)
    volume.release(upload)
    loc = b"d/%d" % upload
    volume.commit([link.CommitPart(upload, loc, 10**18)])
    return link.Item(volume.store_id, loc, upload, len(content), 0)


def wanted(upload: int, content: bytes, offset: int = 0) -> link.Wanted:
    digest = xxhash.xxh3_128(content).digest()
    return link.Wanted(upload, len(content), offset, zlib.crc32(content), digest)


class Copy:
    """One copy, both ends in threads."""

    def __init__(self, target: Volume, items: list[link.Wanted]) -> None:
        self.arrived: dict[int, link.Arrived] = {}
        self.reports = 0
        self.failure: errors.Refused | None = None
        self.progress = Progress()
        self._target = target
        self._order = link.Gather(1, target.store_id, items, True, link.Visit(1, "", 0, ""))
        self.ours, self._theirs = socket.socketpair()
        self.ours.settimeout(SECONDS)
        self._theirs.settimeout(SECONDS)
        self._thread = threading.Thread(target=self._gather)

    def __enter__(self) -> socket.socket:
        self._thread.start()
        return self.ours

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def _report(self, files: list[link.Arrived]) -> None:
        self.reports += 1
        for file in files:
            assert file.ver not in self.arrived, "each once"
            self.arrived[file.ver] = file

    def _gather(self) -> None:
        with self._theirs:
            try:
                gather(self._theirs, self._order, self._target, self.progress, self._report)
            except errors.Refused as refused:
                self.failure = refused

    def refusals(self) -> dict[int, str]:
        return {ver: file.refusal for ver, file in self.arrived.items()}


def copied(source: Volume, target: Volume, items: list[link.Item], contents: list[bytes]) -> Copy:
    """Copy from one volume to the other."""
    copy = Copy(
        target,
        [wanted(item.ver, text, item.offset) for item, text in zip(items, contents, strict=True)],
    )
    with copy as made, contextlib.suppress(errors.TransferCut):
        supply(made, items, {source.store_id: source}, Progress())
        made.shutdown(socket.SHUT_WR)
        assert made.recv(1) == b""
    return copy


def content_of(volume: Volume, ver: int) -> bytes:
    descriptor = volume.read_upload(ver)
    with open(descriptor, "rb") as file:
        return file.read()


def head(ver: int, length: int, mark: Mark) -> bytes:
    buffer = bytearray(HEAD_BYTES)
    pieces.pack_into(buffer, 0, Piece(ver, length, mark))
    return bytes(buffer)


EDGE = BUFFER_BYTES - HEAD_BYTES


def test_files_of_all_sizes_arrive_as_they_were(source: Volume, target: Volume) -> None:
    contents = [os.urandom(size) for size in (0, 1, 1024, EDGE - 1, EDGE, EDGE + 1, 3 * EDGE, 0, 7)]
    items = [keep(source, 100 + number, content) for number, content in enumerate(contents)]
    copy = copied(source, target, items, contents)
    assert copy.failure is None
    assert set(copy.refusals().values()) == {""}
    for item, content in zip(items, contents, strict=True):
        arrived = copy.arrived[item.ver]
        assert (arrived.received, arrived.crc32) == (len(content), zlib.crc32(content))
        assert content_of(target, item.ver) == content


def test_many_small_files_are_sealed_several_at_a_time(source: Volume, target: Volume) -> None:
    contents = [b"%d" % number for number in range(200)]
    items = [keep(source, 100 + number, content) for number, content in enumerate(contents)]
    copy = copied(source, target, items, contents)
    assert len(copy.arrived) == 200
    assert copy.reports < 20
    assert all(part.sealed for part in target.state().parts)


def test_what_is_sealed_outlives_a_kill(source: Volume, target: Volume, reopen: Callable[[], Volume]) -> None:
    items = [keep(source, 5, b"five"), keep(source, 6, b"six")]
    copied(source, target, items, [b"five", b"six"])
    again = reopen()
    assert {part.upload: part.sealed for part in again.state().parts} == {5: True, 6: True}
    assert content_of(again, 6) == b"six"


def test_a_file_that_is_not_there_is_refused_and_the_next_one_comes(source: Volume, target: Volume) -> None:
    items = [
        keep(source, 5, b"five"),
        link.Item(source.store_id, b"gone", 6, 3, 0),
        link.Item("f" * 32, b"elsewhere", 7, 3, 0),
        keep(source, 8, b"eight"),
    ]
    copy = copied(source, target, items, [b"five", b"six", b"sev", b"eight"])
    assert copy.failure is None
    assert copy.refusals() == {5: "", 6: "Damaged", 7: "Damaged", 8: ""}


def test_a_file_with_another_checksum_is_damaged_and_leaves_no_part(source: Volume, target: Volume) -> None:
    items = [keep(source, 5, b"five"), keep(source, 6, b"six")]
    copy = copied(source, target, items, [b"FIVE", b"six"])
    assert copy.refusals() == {5: "Damaged", 6: ""}
    assert [part.upload for part in target.state().parts] == [6]


def test_a_file_of_another_time_is_refused_where_nobody_knows_its_checksum(
    source: Volume, target: Volume
) -> None:
    item = keep(source, 5, b"five")
    for mtime_ns, said in ((10**18, ""), (10**18 + 1, "Changed")):
        item.mtime_ns = mtime_ns
        assert copied(source, target, [item], [b"five"]).refusals() == {5: said}
        target.forget([5])


def test_a_cut_leaves_a_large_part_and_the_next_copy_goes_on_with_it(
    source: Volume, target: Volume, reopen: Callable[[], Volume]
) -> None:
    content = os.urandom(LARGE)
    came = LARGE - 1000
    copy = Copy(target, [wanted(5, content)])
    with copy as made:
        for start in range(0, came, 1000):
            made.sendall(
                head(5, min(1000, came - start), Mark.MORE) + content[start : start + 1000][: came - start]
            )
    assert isinstance(copy.failure, errors.TransferCut)
    assert copy.arrived[5].received == came
    again = reopen()
    assert [(part.upload, part.received, part.sealed) for part in again.state().parts] == [(5, came, False)]
    item = keep(source, 5, content)
    item.offset = came
    copy = copied(source, again, [item], [content])
    assert copy.refusals() == {5: ""}
    assert copy.progress.moved < 2000
    assert content_of(again, 5) == content


def test_a_part_that_went_wrong_is_found_out_when_it_is_gone_on_with(source: Volume, target: Volume) -> None:
    content = os.urandom(LARGE)
    descriptor = target.receive(5, 0, None, flush=False)
    os.write(descriptor, bytes(1000))
    os.close(descriptor)
    target.release(5)
    item = keep(source, 5, content)
    item.offset = 1000
    assert copied(source, target, [item], [content]).refusals() == {5: "Damaged"}
    assert target.state().parts == []


def test_a_cut_leaves_nothing_of_a_small_file(target: Volume) -> None:
    copy = Copy(target, [wanted(5, b"five"), wanted(6, b"x" * 1000)])
    with copy as made:
        made.sendall(head(5, 4, Mark.LAST) + b"five" + head(6, 500, Mark.MORE) + b"x" * 500)
    assert isinstance(copy.failure, errors.TransferCut)
    assert copy.refusals() == {5: "", 6: "TransferCut"}, "what was whole counts"
    assert [part.upload for part in target.state().parts] == [5]


def test_an_end_without_a_word_is_a_cut_though_all_files_are_whole(target: Volume) -> None:
    copy = Copy(target, [wanted(5, b"five")])
    with copy as made:
        made.sendall(head(5, 4, Mark.LAST) + b"five")
    assert isinstance(copy.failure, errors.TransferCut)
    assert copy.refusals() == {5: ""}


def test_a_part_that_somebody_writes_is_left_to_him(source: Volume, target: Volume) -> None:
    items = [keep(source, 5, b"five"), keep(source, 6, b"six")]
    descriptor = target.receive(5, 0, None, flush=False)
    try:
        assert copied(source, target, items, [b"five", b"six"]).refusals() == {5: "Busy", 6: ""}
    finally:
        os.close(descriptor)
        target.release(5)


def test_a_refusal_in_the_middle_of_a_file_leaves_no_part(target: Volume) -> None:
    copy = Copy(target, [wanted(5, b"x" * 100), wanted(6, b"six")])
    said = pieces.words("Failed", "Input/output error")
    with copy as made:
        made.sendall(head(5, 40, Mark.MORE) + b"x" * 40 + head(5, len(said), Mark.REFUSED) + said)
        made.sendall(head(6, 3, Mark.LAST) + b"six" + head(0, 0, Mark.END))
    assert copy.failure is None
    assert (copy.arrived[5].refusal, copy.arrived[5].subject) == ("Failed", "Input/output error")
    assert [part.upload for part in target.state().parts] == [6]


def test_no_room_for_all_is_said_before_anything_comes(target: Volume) -> None:
    _, free = target.root.space()
    copy = Copy(target, [link.Wanted(5, free + (1 << 40), 0, None, None)])
    with copy:
        pass
    assert isinstance(copy.failure, errors.NoSpace)
    assert copy.arrived == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_supplier_sends_only_whole_files_count(target: Volume, data: st.DataObject) -> None:
    contents = {ver: data.draw(st.binary(max_size=40)) for ver in (5, 6, 7)}
    sent = b""
    for ver, content in contents.items():
        sent += head(ver, len(content), Mark.LAST) + content
    sent += head(0, 0, Mark.END)
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(sent) - 1))
        sent = sent[:at] + data.draw(st.binary(max_size=30)) + sent[at + data.draw(st.integers(0, 30)) :]
    copy = Copy(target, [wanted(ver, content) for ver, content in contents.items()])
    with copy as made, contextlib.suppress(OSError):
        made.sendall(sent)
        made.shutdown(socket.SHUT_WR)
        while made.recv(4096):
            pass
    for ver, file in copy.arrived.items():
        if not file.refusal:
            assert content_of(target, ver) == contents[ver]
    assert {part.upload for part in target.state().parts} == {
        ver for ver, file in copy.arrived.items() if not file.refusal
    }
    target.forget([5, 6, 7])
