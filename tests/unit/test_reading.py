"""Reading past the page cache gives the bytes that are there, whatever their number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import Damaged
from argosy.node.disk.reading import BLOCK_BYTES, DiskReader

SIZES = [0, 1, 511, 4096, 4097, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 5_000]


def read(file: Path, size: int) -> bytes:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        with DiskReader(polite=True) as reader:
            return b"".join(bytes(block) for block in reader.blocks(descriptor, size))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", SIZES)
def test_all_bytes_come_in_order(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    assert read(tmp_path / "f", size) == content


@pytest.mark.parametrize("size", [1000, BLOCK_BYTES + 9])
def test_only_so_many_are_read_as_were_asked_for(tmp_path: Path, size: int) -> None:
    content = os.urandom(size + 5_000)
    (tmp_path / "f").write_bytes(content)
    assert read(tmp_path / "f", size) == content[:size]


@pytest.mark.parametrize("size", [1000, BLOCK_BYTES, 2 * BLOCK_BYTES])
def test_a_file_that_is_shorter_is_told_of(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size))
    with pytest.raises(Damaged):
        read(tmp_path / "f", size + 1)


def test_who_stops_in_the_middle_leaves_no_thread_writing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(3 * BLOCK_BYTES))
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    with DiskReader() as reader:
        blocks = reader.blocks(descriptor, 3 * BLOCK_BYTES)
        assert len(next(blocks)) == BLOCK_BYTES
        blocks.close()  # type: ignore[attr-defined]
    os.close(descriptor)
