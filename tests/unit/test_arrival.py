from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.node.data import transfer
from argosy.node.data.arrival import Arrival, Following
from argosy.node.data.transfer import Progress
from standin import rest_of


def following(
    arrival: Arrival, *, stall_seconds: float = 10.0, progress: Progress | None = None
) -> Following:
    return Following(arrival, stall_seconds=stall_seconds, progress=progress or Progress())


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 3), st.booleans())
def test_a_reader_gets_all_of_an_upload_however_it_comes(
    blocks: list[bytes], late: int, as_text: bool
) -> None:
    arrival = Arrival()
    descriptor = os.memfd_create("part")
    ours, theirs = socket.socketpair()

    def write() -> None:
        stored = 0
        arrival.reach(0)
        for block in blocks:
            os.pwrite(descriptor, block, stored)
            stored += len(block)
            arrival.reach(stored)
        arrival.end(whole=True)

    def read() -> None:
        with ours:
            transfer.send(
                ours,
                descriptor,
                offset=0,
                extent=following(arrival),
                as_text=as_text,
                block_bytes=64,
                progress=Progress(),
            )

    threads = [threading.Thread(target=work) for work in (write, read)]
    if late:
        threads.reverse()
    for thread in threads:
        thread.start()
    with theirs:
        got = rest_of(theirs)
    for thread in threads:
        thread.join()
    os.close(descriptor)
    sent = b"".join(blocks)
    assert got == (sent.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if as_text else sent)


def test_a_reader_of_an_upload_that_is_cut_is_cut() -> None:
    arrival = Arrival()
    arrival.reach(5)
    assert following(arrival).beyond(0) == 5
    arrival.end(whole=False)
    with pytest.raises(errors.TransferCut, match="was cut"):
        following(arrival).beyond(0)


def test_a_reader_of_an_upload_that_stands_still_is_cut() -> None:
    arrival = Arrival()
    arrival.reach(5)
    with pytest.raises(errors.TransferCut, match="still"):
        following(arrival, stall_seconds=0.05).beyond(5)


def test_a_reader_that_is_cancelled_waits_no_longer() -> None:
    arrival, progress = Arrival(), Progress()
    arrival.reach(5)
    refused: list[BaseException] = []

    def read() -> None:
        try:
            following(arrival, progress=progress).beyond(5)
        except errors.TransferCut as error:
            refused.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    progress.cancelled = True
    arrival.wake()
    reader.join(5)
    assert [str(error) for error in refused] == ["Transfer cut, the data connection is closed: cancelled"]


def test_a_disk_hears_of_each_block(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    reached: list[int] = []
    with ours, theirs, (tmp_path / "f").open("wb") as file:
        theirs.sendall(b"a\r\nb")
        theirs.shutdown(socket.SHUT_WR)
        file.seek(7)
        transfer.receive(
            ours,
            file.fileno(),
            sums=False,
            as_text=True,
            block_bytes=4096,
            progress=Progress(),
            reach=reached.append,
        )
    assert reached[-1] == 7 + len(b"a\nb")
