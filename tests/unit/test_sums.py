"""Checksums, remembered."""

from msgspec.structs import replace

from argosy.catalogue.model import Entry, Kind, State
from argosy.vfs.sums import Sums

FILE = Entry(7, 1, b"f", Kind.FILE, State.LIVE, 3, 10, 0, 0, "ann", "argosy", 0o644)


def test_a_sum_is_known_until_the_content_is_another() -> None:
    sums = Sums()
    sums.note(FILE, "md5", "aa")
    assert sums.of(replace(FILE, name=b"renamed"), "md5") == "aa"
    assert sums.of(FILE, "sha1") is None
    assert sums.of(replace(FILE, ver=4), "md5") is None


def test_a_record_s_sum_is_known_without_reading() -> None:
    assert Sums().of(replace(FILE, crc32=0xBEEF), "crc32") == "0000beef"
    assert Sums().of(FILE, "crc32") is None


def test_the_oldest_are_forgotten() -> None:
    sums = Sums(kept=2)
    for number in range(3):
        sums.note(replace(FILE, id=number), "md5", str(number))
    assert [sums.of(replace(FILE, id=number), "md5") for number in range(3)] == [None, "1", "2"]
