from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.node.data import transfer
from argosy.node.data.lines import FromWire, ToWire


def _nobody(stored: int) -> None:
    """Nobody reads it meanwhile."""


text = st.text(alphabet="a\r\n", max_size=30).map(str.encode)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


@given(text, st.lists(st.integers(0, 30)))
def test_where_blocks_end_makes_no_difference_to_line_ends(data: bytes, cuts: list[int]) -> None:
    out, whole = ToWire(), ToWire()
    assert b"".join(out.turn(piece) for piece in pieces(data, cuts)) == whole.turn(data)
    back, all_back = FromWire(), FromWire()
    cut = b"".join(back.turn(piece) for piece in pieces(data, cuts)) + back.end()
    assert cut == all_back.turn(data) + all_back.end()


@given(st.text(alphabet="a\n", max_size=30).map(str.encode))
def test_a_unix_text_comes_back_as_it_was(data: bytes) -> None:
    back = FromWire()
    assert back.turn(ToWire().turn(data)) + back.end() == data


@given(text)
def test_each_line_end_has_one_cr_more_only_where_it_had_none(data: bytes) -> None:
    assert ToWire().turn(ToWire().turn(data)) == ToWire().turn(data)


def test_a_disk_that_is_full_is_no_room_and_not_a_cut_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, open("/dev/full", "wb", buffering=0) as full:
        theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(errors.NoSpace):
            transfer.receive(
                ours,
                full.fileno(),
                sums=True,
                as_text=False,
                block_bytes=4096,
                progress=transfer.Progress(),
                reach=_nobody,
            )


def test_a_client_that_stands_still_is_cut(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "f").open("wb") as file:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 50_000))
        with pytest.raises(errors.TransferCut, match="still"):
            transfer.receive(
                ours,
                file.fileno(),
                sums=True,
                as_text=False,
                block_bytes=4096,
                progress=transfer.Progress(),
                reach=_nobody,
            )


@pytest.mark.parametrize("as_text", [False, True])
def test_a_file_that_gets_shorter_while_it_is_sent_is_damaged(tmp_path: Path, as_text: bool) -> None:
    (tmp_path / "f").write_bytes(b"x" * 10)
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "f").open("rb") as file, pytest.raises(errors.Damaged):
        transfer.send(
            ours,
            file.fileno(),
            offset=0,
            extent=transfer.Whole(11),
            as_text=as_text,
            block_bytes=4,
            progress=transfer.Progress(),
        )


def test_what_is_sent_arrives_with_its_sums(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "from").write_bytes(data)
    ours, theirs = socket.socketpair()
    went, came = transfer.Progress(), transfer.Progress()

    def send() -> None:
        with ours, (tmp_path / "from").open("rb") as file:
            transfer.send(
                ours,
                file.fileno(),
                offset=5,
                extent=transfer.Whole(len(data)),
                as_text=False,
                block_bytes=65536,
                progress=went,
            )

    sending = threading.Thread(target=send)
    sending.start()
    with theirs, (tmp_path / "to").open("wb") as file:
        sums = transfer.receive(
            theirs, file.fileno(), sums=True, as_text=False, block_bytes=65536, progress=came, reach=_nobody
        )
    sending.join()
    assert (tmp_path / "to").read_bytes() == data[5:]
    assert sums.crc32 == zlib.crc32(data[5:])
    assert went.moved == came.moved == len(data) - 5
