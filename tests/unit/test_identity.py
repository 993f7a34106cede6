"""What a disk remembers for a master that has lost its record: whose content it has, which join it was."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.node.disk import roots
from argosy.node.disk.journal import Journal, Row
from argosy.node.disk.scan import Limits, Scanner
from argosy.node.disk.volume import Volume
from argosy.node.link.feed import grouped
from argosy.wire import link
from volumes import Opener, bring, reopened

WHEN = 1_600_000_000 * 10**9


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    with reopened(tmp_path) as opener:
        yield opener


def identity(volume: Volume, loc: bytes) -> tuple[int, int, bytes]:
    row = volume.journal.find(loc)
    assert row is not None
    return row.file, row.named_ns, row.path


def scan(volume: Volume) -> None:
    Scanner(volume, Limits(1.0, 100, 100)).scan()


def has_attributes(path: Path) -> bool:
    (path / "probe").touch()
    try:
        os.setxattr(path / "probe", "user.argosy.probe", b"x")
    except OSError:
        return False
    finally:
        (path / "probe").unlink()
    return True


def test_an_upload_is_remembered_with_its_file_and_its_name(opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"new")
    volume.commit([link.CommitPart(1, b"d/f", WHEN, 77, 5)])
    assert identity(volume, b"d/f") == (77, 5, b"")
    volume.settle(link.Settle(volume.store_id, b"d/f", 1, 3, b"e/g", WHEN, 77, 9))
    volume = opened()
    scan(volume)
    assert identity(volume, b"e/g") == (77, 9, b"")
    (group,) = grouped(volume.journal.present())
    (told,) = group.files
    assert (told.ver, told.file, told.named_ns, told.path) == (1, 77, 9, b"")


def test_a_file_whose_place_is_taken_remembers_where_it_belongs(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    (tmp_path / "d").write_bytes(b"in the way")
    bring(volume, 1, b"new")
    volume.commit([link.CommitPart(1, b"d/f", WHEN, 77, 5)])
    assert identity(volume, roots.unplaced_loc(1)) == (77, 5, b"d/f")
    (tmp_path / "d").unlink()
    volume.settle(link.Settle(volume.store_id, roots.unplaced_loc(1), 1, 3, b"d/f", WHEN, 77, 6))
    assert identity(volume, b"d/f") == (77, 6, b"")


def test_what_was_changed_by_hand_is_nobodys_and_what_was_moved_by_hand_has_no_name_told(
    tmp_path: Path, opened: Opener
) -> None:
    if not has_attributes(tmp_path):
        pytest.skip("no extended attributes here")
    volume = opened()
    for upload, loc in ((1, b"changed"), (2, b"moved")):
        bring(volume, upload, b"new")
        volume.commit([link.CommitPart(upload, loc, WHEN, 70 + upload, 5)])
    (tmp_path / "changed").write_bytes(b"by hand")
    os.utime(tmp_path / "changed", ns=(WHEN, WHEN))
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    scan(volume)
    assert identity(volume, b"changed") == (0, 0, b"")
    assert identity(volume, b"elsewhere") == (72, 0, b"")


def test_a_file_is_known_by_its_attributes_when_the_journal_is_lost(tmp_path: Path, opened: Opener) -> None:
    if not has_attributes(tmp_path):
        pytest.skip("no extended attributes here")
    volume = opened()
    bring(volume, 1, b"new")
    volume.commit([link.CommitPart(1, b"d/f", WHEN, 77, 5)])
    for journal in (tmp_path / ".argosy").glob("journal.db*"):
        journal.unlink()
    volume = opened()
    scan(volume)
    row = volume.journal.find(b"d/f")
    assert row is not None
    assert (row.ver, row.file, row.named_ns) == (1, 77, 0)


def test_a_journal_of_before_goes_on(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "j.db")) as db, db:
        db.execute(
            "CREATE TABLE file(loc BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
            " ver INTEGER NOT NULL, crc32 INTEGER, digest BLOB, seq INTEGER NOT NULL, gone INTEGER NOT NULL)"
            " WITHOUT ROWID"
        )
        db.execute("INSERT INTO file VALUES(x'61', 1, 2, 3, 4, x'05', 6, 0)")
    for _ in range(2):
        journal = Journal(str(tmp_path / "j.db"))
        row = journal.find(b"a")
        assert row is not None
        assert row[:9] == (b"a", 1, 2, 3, 4, b"\x05", 6, 0, 0)
        journal.write([Row(b"b", 1, 1, file=9, named_ns=8, path=b"c")])
        assert journal.find_version(3) == row
        journal.close()


def test_a_generation_is_kept_and_goes_with_the_disk(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    assert volume.state().generation == 0
    volume.remember(7)
    volume = opened()
    assert volume.state().generation == 7
    volume.remember(8)
    assert (tmp_path / ".argosy/generation").read_bytes() == b"8\n"
    assert not list((tmp_path / ".argosy").glob("generation.new"))
