"""Bytes of sites' files on disk: they come back as they were, within a bound, and not after a crash."""

from __future__ import annotations

import doctest
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.sites.model import Version
from argosy.sites.reading import spill
from argosy.sites.reading.spill import CHUNK_BYTES, Spill, add_range

MIB = 1024 * 1024
VERSION = Version(7, 100 * MIB, -5)


def read(disk: Spill, offset: int, count: int, owner: str = "1", version: Version = VERSION) -> bytes | None:
    there = disk.known(owner, version, offset, offset + count)
    into = bytearray(there)
    return bytes(into) if there and disk.read_into(owner, version, offset, memoryview(into)) else None


def test_the_examples_hold() -> None:
    assert doctest.testmod(spill).failed == 0


def test_bytes_come_back_over_the_ends_of_chunks(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 64 * MIB)
    disk.write("1", VERSION, CHUNK_BYTES - 3, memoryview(b"abcdef"))
    assert read(disk, CHUNK_BYTES - 3, 6) == b"abc", "a chunk at a time"
    assert read(disk, CHUNK_BYTES, 6) == b"def"
    assert read(disk, CHUNK_BYTES + 3, 6) is None


def test_nobody_gets_bytes_of_another_mount_or_version(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 64 * MIB)
    disk.write("1", VERSION, 0, memoryview(b"secret"))
    assert read(disk, 0, 6, owner="2") is None
    assert read(disk, 0, 6, version=VERSION._replace(mtime_ns=1)) is None
    assert read(disk, 0, 6, version=VERSION._replace(size=1)) is None


def test_the_longest_unused_goes_when_there_is_no_room(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 3 * MIB)
    for file in range(3):
        disk.write("1", Version(file, MIB, 0), 0, memoryview(bytes(MIB)))
    assert read(disk, 0, 1, version=Version(0, MIB, 0)) is not None
    disk.write("1", Version(3, MIB, 0), 0, memoryview(bytes(MIB)))
    known = [file for file in range(4) if disk.known("1", Version(file, MIB, 0), 0, 1)]
    assert known == [0, 2, 3]
    assert disk.used == 3 * MIB
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 3 * MIB


def test_what_was_closed_in_order_is_there_the_next_time(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 64 * MIB)
    disk.write("1", VERSION, 5, memoryview(b"hello"))
    disk.close()
    again = Spill(tmp_path, 64 * MIB)
    assert read(again, 5, 5) == b"hello"
    assert again.used == 5


def test_after_a_crash_nothing_is_believed(tmp_path: Path) -> None:
    Spill(tmp_path, 64 * MIB).write("1", VERSION, 5, memoryview(b"hello"))
    again = Spill(tmp_path, 64 * MIB)
    assert read(again, 5, 5) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("index", [b"", b"\x00", b"\xc1rubbish", b"\x93\x01\x02\x03"])
def test_an_index_that_makes_no_sense_counts_as_none(tmp_path: Path, index: bytes) -> None:
    (tmp_path / "index").write_bytes(index)
    (tmp_path / "1.7.100.0.0").write_bytes(b"what is this")
    disk = Spill(tmp_path, 64 * MIB)
    assert disk.used == 0
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_somebody_cut_off_is_not_believed(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 64 * MIB)
    disk.write("1", VERSION, 0, memoryview(b"hello"))
    for path in tmp_path.iterdir():
        path.write_bytes(b"he")
    assert read(disk, 0, 5) is None
    assert disk.used == 0


def test_a_disk_that_fails_is_used_no_more(tmp_path: Path) -> None:
    disk = Spill(tmp_path / "cache", 64 * MIB)
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_bytes(b"no directory")
    disk.write("1", VERSION, 0, memoryview(b"hello"))
    assert read(disk, 0, 5) is None


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20)


@given(RANGES)
def test_ranges_are_what_a_set_of_numbers_would_be(added: list[tuple[int, int]]) -> None:
    ranges: list[tuple[int, int]] = []
    numbers: set[int] = set()
    for start, end in added:
        new = set(range(start, end)) - numbers
        assert add_range(ranges, start, end) == len(new)
        numbers |= new
    assert {number for start, end in ranges for number in range(start, end)} == numbers
    assert all(start < end for start, end in ranges)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(CHUNK_BYTES - 40, CHUNK_BYTES + 40), st.binary(max_size=30)),
        max_size=15,
    )
)
def test_whatever_was_written_last_is_read(writes: list[tuple[int, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        disk = Spill(Path(directory), 64 * MIB)
        model: dict[tuple[int, int], int] = {}
        for file, offset, data in writes:
            disk.write("1", VERSION._replace(file=file), offset, memoryview(data))
            model |= {(file, offset + at): byte for at, byte in enumerate(data)}
        for file in range(3):
            for offset in range(CHUNK_BYTES - 45, CHUNK_BYTES + 75):
                told = read(disk, offset, 1, version=VERSION._replace(file=file))
                assert (told[0] if told else None) == model.get((file, offset))
        assert disk.used == len(model)
