"""What arrives in large files is moved by the kernel and summed by a follower: nobody can tell."""

from __future__ import annotations

import os
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import xxhash

from argosy import errors
from argosy.node.data import transfer
from argosy.node.data.summing import Follower, core_to_spare
from argosy.node.disk.checksums import Summing, Sums

MIB = 1 << 20


@contextmanager
def arriving(data: bytes, *, ends: bool = True) -> Iterator[socket.socket]:
    """Give the socket on which `data` comes."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        try:
            theirs.sendall(data)
            if ends:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the receiver has had enough

    with ours, theirs:
        sending = threading.Thread(target=send)
        sending.start()
        yield ours
        ours.close()
        sending.join()


def receive(
    made: socket.socket, descriptor: int, *, sums: bool = True, reached: list[int] | None = None
) -> Sums:
    return transfer.receive(
        made,
        descriptor,
        sums=sums,
        as_text=False,
        block_bytes=65_536,
        progress=transfer.Progress(),
        reach=lambda size: None if reached is None else reached.append(size),
    )


def sums_of(data: bytes) -> Sums:
    return Sums(zlib.crc32(data), xxhash.xxh3_128(data).digest())


@pytest.mark.parametrize("size", [0, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB + 5, 40 * MIB + 7])
def test_an_upload_of_any_size_is_stored_and_summed_whole(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    reached: list[int] = []
    with arriving(data) as made, (tmp_path / "f").open("w+b", buffering=0) as file:
        assert receive(made, file.fileno(), reached=reached) == sums_of(data)
    assert (tmp_path / "f").read_bytes() == data
    assert reached == sorted(reached)
    assert reached[-1] == size


def test_an_upload_that_goes_on_is_stored_behind_what_was_there(tmp_path: Path) -> None:
    data = os.urandom(9 * MIB)
    with arriving(data) as made, (tmp_path / "f").open("w+b", buffering=0) as file:
        file.write(b"before")
        assert receive(made, file.fileno(), sums=False) == Sums(None, None)
    assert (tmp_path / "f").read_bytes() == b"before" + data


def test_where_a_file_system_cannot_splice_the_bytes_are_copied(tmp_path: Path) -> None:
    data = os.urandom(9 * MIB)
    appending = os.O_RDWR | os.O_CREAT | os.O_APPEND  # splice(2) refuses to write to such a file
    descriptor = os.open(tmp_path / "f", appending)
    with arriving(data) as made:
        assert receive(made, descriptor) == sums_of(data)
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == data


def test_where_no_core_is_to_spare_nobody_follows_and_the_sums_are_the_same(tmp_path: Path) -> None:
    data = os.urandom(9 * MIB)
    seen: set[str] = set()
    with (
        ExitStack() as others,
        arriving(data) as made,
        (tmp_path / "f").open("w+b", buffering=0) as file,
    ):
        while others.enter_context(core_to_spare()):
            pass
        sums = transfer.receive(
            made,
            file.fileno(),
            sums=True,
            as_text=False,
            block_bytes=65_536,
            progress=transfer.Progress(),
            reach=lambda _: seen.update(one.name for one in threading.enumerate()),
        )
    assert sums == sums_of(data)
    assert "follower" not in seen
    with core_to_spare() as claimed:
        assert claimed, "given back at the end"


def test_a_disk_that_fills_up_in_a_large_upload_is_no_room() -> None:
    sink = os.open("/dev/full", os.O_RDWR)
    with arriving(bytes(9 * MIB)) as made, open("/dev/null", "w+b", buffering=0) as start:
        full = threading.Event()

        def reach(size: int) -> None:
            if size >= 4 * MIB and not full.is_set():
                full.set()
                os.dup2(sink, start.fileno())  # from here on there is no room

        with pytest.raises(errors.NoSpace):
            transfer.receive(
                made,
                start.fileno(),
                sums=False,
                as_text=False,
                block_bytes=65_536,
                progress=transfer.Progress(),
                reach=reach,
            )
    os.close(sink)


def test_a_large_upload_that_stands_still_is_cut_and_keeps_what_came(tmp_path: Path) -> None:
    data = os.urandom(6 * MIB)
    with arriving(data, ends=False) as made, (tmp_path / "f").open("w+b", buffering=0) as file:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 200_000))
        with pytest.raises(errors.TransferCut, match="still"):
            receive(made, file.fileno())
    assert (tmp_path / "f").read_bytes() == data
    assert not [one for one in threading.enumerate() if one.name == "follower"]


def test_a_file_that_somebody_shortens_while_it_is_followed_is_damaged(tmp_path: Path) -> None:
    with (tmp_path / "f").open("w+b", buffering=0) as file:
        file.write(bytes(MIB))
        with pytest.raises(errors.Damaged), Follower(Summing(), file.fileno(), 0) as follower:
            follower.reach(MIB + 1)


def test_a_follower_far_behind_is_waited_for_and_misses_nothing(tmp_path: Path) -> None:
    data = os.urandom(50 * MIB)
    (tmp_path / "f").write_bytes(data)
    summing = Summing()
    with (tmp_path / "f").open("rb") as file, Follower(summing, file.fileno(), 0) as follower:
        for size in range(0, len(data) + 1, 300_000):
            follower.reach(size)
        follower.reach(len(data))
    assert summing.sums() == sums_of(data)
