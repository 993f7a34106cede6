"""Appending in place: whatever happens, the old version is whole until the new one is."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy import errors
from argosy.node.disk import marks
from argosy.node.disk.roots import part_loc
from argosy.node.disk.scan import Limits, Scanner
from argosy.node.disk.volume import Volume
from argosy.wire import link
from volumes import Opener, bring, reopened

OLD, NEW = 1_600_000_000 * 10**9, 1_700_000_000 * 10**9
BASE = link.Base(b"d/log", 1, 3)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Open the volume, which has a file of three bytes; again: as if the process was killed."""
    with reopened(tmp_path) as opener:
        volume = opener()
        bring(volume, 1, b"old")
        commit(volume, 1, mtime_ns=OLD)
        yield opener


def append(volume: Volume, data: bytes, *, seal: bool = True) -> None:
    descriptor = volume.receive(2, 3, BASE, flush=True)
    try:
        os.write(descriptor, data)
        if seal:
            volume.seal(2, descriptor, flush=True, crc32=None, digest=None)
    finally:
        os.close(descriptor)
        volume.release(2)


def commit(volume: Volume, upload: int, *, loc: bytes = b"d/log", mtime_ns: int = NEW) -> None:
    volume.commit([link.CommitPart(upload, loc, mtime_ns, replaces=1)])


def scanned(volume: Volume) -> int:
    """Scan, and give how many changes that found."""
    return Scanner(volume, Limits(1.0, 100, 100)).scan().changes


def read(volume: Volume, ver: int, size: int) -> bytes:
    descriptor = volume.read(b"d/log", ver, size)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def assert_old(volume: Volume, path: Path) -> None:
    """The file is the old version in every way, for us and for a scan."""
    assert path.read_bytes() == b"old"
    assert path.stat().st_mtime_ns == OLD
    assert path.stat().st_nlink == 1
    row = volume.journal.find(b"d/log")
    assert row is not None
    assert (row.ver, row.size) == (1, 3)
    assert volume.journal.extensions() == []
    assert scanned(volume) == 0
    mark = marks.read(os.fsencode(path), 3, OLD)
    assert mark is None or mark.ver == 1  # None: a file system without attributes
    assert list((path.parent.parent / ".argosy/staging").iterdir()) == []


def test_an_append_waits_for_what_it_goes_on_from_to_be_put_in_place(tmp_path: Path, opened: Opener) -> None:
    volume, path = opened(), tmp_path / "d/log"
    append(volume, b" and new")
    placing = threading.Timer(0.1, commit, (volume, 2))
    placing.start()
    descriptor = volume.receive(3, 11, link.Base(b"d/log", 2, 11), flush=True)
    placing.join()
    assert os.fstat(descriptor).st_ino == path.stat().st_ino
    os.close(descriptor)
    volume.release(3)


def test_an_append_to_what_is_not_put_in_place_begins_with_a_copy(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("argosy.node.disk.volume.PLACED_SECONDS", 0.05)
    volume = opened()
    append(volume, b" and new")
    descriptor = volume.receive(3, 11, link.Base(b"d/log", 2, 11), flush=True)
    assert os.pread(descriptor, 100, 0) == b"old and new"
    os.close(descriptor)
    volume.release(3)


def test_an_append_copies_nothing(tmp_path: Path, opened: Opener) -> None:
    volume, path = opened(), tmp_path / "d/log"
    inode = path.stat().st_ino
    append(volume, b" and new")
    assert read(volume, 1, 3) == b"old"  # for those who read the version before
    assert read(volume, 2, 11) == b"old and new"
    commit(volume, 2)
    assert path.read_bytes() == b"old and new"
    assert (path.stat().st_ino, path.stat().st_nlink, path.stat().st_mtime_ns) == (inode, 1, NEW)
    row = volume.journal.find(b"d/log")
    assert row is not None
    assert (row.ver, row.size, row.mtime_ns) == (2, 11, NEW)
    assert (volume.journal.parts(), volume.journal.extensions()) == ([], [])
    assert scanned(volume) == 0
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])  # the old version has gone into the new one
    assert path.read_bytes() == b"old and new"


def test_an_append_that_is_cut_leaves_the_file_as_it_was(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    append(volume, b" and new", seal=False)
    volume.forget([2])
    assert_old(volume, tmp_path / "d/log")


def test_an_append_that_a_crash_cuts_leaves_the_file_as_it_was(tmp_path: Path, opened: Opener) -> None:
    os.write(opened().receive(2, 3, BASE, flush=True), b" and new")
    assert (tmp_path / "d/log").read_bytes() == b"old and new"
    volume = opened()
    assert_old(volume, tmp_path / "d/log")
    append(volume, b"er")
    commit(volume, 2)
    assert (tmp_path / "d/log").read_bytes() == b"older"


def test_a_crash_whose_second_name_was_lost_leaves_the_file_as_it_was(tmp_path: Path, opened: Opener) -> None:
    os.write(opened().receive(2, 3, BASE, flush=True), b" and new")
    (tmp_path / os.fsdecode(part_loc(2))).unlink()
    assert_old(opened(), tmp_path / "d/log")


def test_a_sealed_append_outlasts_a_crash(tmp_path: Path, opened: Opener) -> None:
    append(opened(), b" and new")
    volume = opened()
    assert scanned(volume) == 0
    assert read(volume, 2, 11) == b"old and new"
    commit(volume, 2)
    commit(volume, 2)  # orders may come twice
    assert (tmp_path / "d/log").read_bytes() == b"old and new"
    assert scanned(volume) == 0


def test_a_crash_in_the_middle_of_a_commit_loses_nothing(tmp_path: Path, opened: Opener) -> None:
    append(opened(), b" and new")
    os.utime(tmp_path / "d/log", ns=(NEW, NEW))
    (tmp_path / os.fsdecode(part_loc(2))).unlink()  # so far it came
    volume = opened()
    assert scanned(volume) == 0
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])  # at a join these come before the commits
    commit(volume, 2)
    assert (tmp_path / "d/log").read_bytes() == b"old and new"
    row = volume.journal.find(b"d/log")
    assert row is not None
    assert row.ver == 2
    assert (volume.journal.parts(), volume.journal.extensions()) == ([], [])


def test_a_disk_that_fails_in_the_middle_of_a_commit_loses_nothing(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = opened()
    append(volume, b" and new")
    with monkeypatch.context() as broken:
        broken.setattr(volume.journal, "write", _fails)
        with pytest.raises(errors.Failed):
            commit(volume, 2)
    with pytest.raises(errors.Failed):
        volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])
    commit(volume, 2)
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])
    assert (tmp_path / "d/log").read_bytes() == b"old and new"
    assert scanned(volume) == 0


def _fails(*arguments: object, **named: object) -> None:
    raise errors.Failed("the disk")


def test_a_sealed_append_that_nobody_wants_is_undone(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    append(volume, b" and new")
    volume.forget([2])
    volume.forget([2])
    assert_old(volume, tmp_path / "d/log")


def test_a_forgotten_append_is_undone_when_its_writer_has_ended(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    descriptor = volume.receive(2, 3, BASE, flush=True)
    os.write(descriptor, b" and new")
    volume.forget([2])
    os.write(descriptor, b"er")
    with pytest.raises(errors.Failed, match="given up"):
        volume.seal(2, descriptor, flush=True, crc32=None, digest=None)
    os.close(descriptor)
    volume.release(2)
    assert_old(volume, tmp_path / "d/log")


def test_a_scan_sees_nothing_of_an_append_that_runs(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    descriptor = volume.receive(2, 3, BASE, flush=True)
    os.write(descriptor, b" and new")
    os.utime(descriptor, ns=(NEW, NEW))
    assert scanned(volume) == 0
    os.close(descriptor)
    volume.release(2)
    assert_old(volume, tmp_path / "d/log")


def test_a_file_renamed_while_it_is_appended_to_goes_to_its_new_place(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    append(volume, b" and new")
    with pytest.raises(errors.Refused):  # asked again later
        volume.settle(link.Settle(volume.store_id, b"d/log", 1, 3, b"e/log", OLD))
    commit(volume, 2, loc=b"e/log")
    assert (tmp_path / "e/log").read_bytes() == b"old and new"
    assert (tmp_path / "d/log").read_bytes() == b"old"
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])
    assert not (tmp_path / "d/log").exists()
    assert scanned(volume) == 0


def test_a_crash_while_the_two_are_parted_leaves_both_whole(tmp_path: Path, opened: Opener) -> None:
    append(opened(), b" and new")
    part = tmp_path / os.fsdecode(part_loc(2))
    part.unlink()
    part.write_bytes(b"old and new")  # the copy is there, the file isn't cut back yet
    part.with_name(part.name + ".copy").write_bytes(b"half")
    volume = opened()
    assert (tmp_path / "d/log").read_bytes() == b"old"
    assert scanned(volume) == 0
    assert read(volume, 2, 11) == b"old and new"
    assert [path.name for path in part.parent.iterdir()] == [part.name]


def test_the_old_version_can_be_deleted_beside_a_sealed_append(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    append(volume, b" and new")
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])
    assert not (tmp_path / "d/log").exists()
    assert [path.read_bytes() for path in (tmp_path / ".argosy/trash").rglob("log")] == [b"old"]
    commit(volume, 2)
    assert (tmp_path / "d/log").read_bytes() == b"old and new"
    assert scanned(volume) == 0


def test_an_append_that_was_deleted_before_it_was_in_place_leaves_nothing(
    tmp_path: Path, opened: Opener
) -> None:
    volume = opened()
    append(volume, b" and new")
    volume.discard([link.Doomed(b"d/log", 2, 11, NEW), link.Doomed(b"d/log", 1, 3, OLD)])
    assert not (tmp_path / "d/log").exists()
    assert (volume.journal.parts(), volume.journal.extensions()) == ([], [])
    assert scanned(volume) == 0


def test_a_file_deleted_while_it_is_appended_to_goes_when_its_writer_has_ended(
    tmp_path: Path, opened: Opener
) -> None:
    volume = opened()
    descriptor = volume.receive(2, 3, BASE, flush=True)
    os.write(descriptor, b" and new")
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])
    assert (tmp_path / "d/log").exists()
    with pytest.raises(errors.Failed, match="given up"):
        volume.seal(2, descriptor, flush=True, crc32=None, digest=None)
    os.close(descriptor)
    volume.release(2)
    assert not (tmp_path / "d/log").exists()
    assert [path.read_bytes() for path in (tmp_path / ".argosy/trash").rglob("log")] == [b"old"]
    assert scanned(volume) == 0


@pytest.mark.parametrize("sealed", [False, True], ids=["running", "sealed"])
def test_an_append_goes_on_when_the_version_before_the_last_is_deleted_late(
    tmp_path: Path, opened: Opener, sealed: bool
) -> None:
    volume, path = opened(), tmp_path / "d/log"
    append(volume, b" and new")
    commit(volume, 2)
    descriptor = volume.receive(3, 11, link.Base(b"d/log", 2, 11), flush=True)
    os.write(descriptor, b"er")
    if sealed:
        volume.seal(3, descriptor, flush=True, crc32=None, digest=None)
    volume.discard([link.Doomed(b"d/log", 1, 3, OLD)])
    if not sealed:
        volume.seal(3, descriptor, flush=True, crc32=None, digest=None)
    os.close(descriptor)
    volume.release(3)
    inode = path.stat().st_ino
    commit(volume, 3)
    assert (path.read_bytes(), path.stat().st_ino) == (b"old and newer", inode)
    assert scanned(volume) == 0


def test_a_file_put_there_by_hand_goes_when_the_writer_that_appends_to_it_has_ended(
    tmp_path: Path, opened: Opener
) -> None:
    volume, path = opened(), tmp_path / "d/notes"
    path.write_bytes(b"old")
    os.utime(path, ns=(OLD, OLD))
    assert scanned(volume) == 1
    descriptor = volume.receive(2, 3, link.Base(b"d/notes", 0, 3), flush=True)
    assert volume.journal.extensions()
    volume.discard([link.Doomed(b"d/notes", 0, 4, OLD)])  # another one
    assert volume.journal.part(2)
    volume.discard([link.Doomed(b"d/notes", 0, 3, OLD)])
    assert volume.journal.part(2) is None
    os.close(descriptor)
    volume.release(2)
    assert not path.exists()


def test_other_names_of_a_file_do_not_change_with_it(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    os.link(tmp_path / "d/log", tmp_path / "backup")
    append(volume, b" and new")
    commit(volume, 2)
    assert (tmp_path / "d/log").read_bytes() == b"old and new"
    assert (tmp_path / "backup").read_bytes() == b"old"


def test_a_file_changed_by_hand_is_not_extended(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    (tmp_path / "d/log").write_bytes(b"OLD")
    os.utime(tmp_path / "d/log", ns=(NEW, NEW))
    append(volume, b" and new")
    assert volume.journal.extensions() == []
    assert (tmp_path / "d/log").read_bytes() == b"OLD"


def test_a_file_that_grew_bears_no_checksum_of_what_it_was(opened: Opener, tmp_path: Path) -> None:
    volume = opened()
    append(volume, b" and new")
    commit(volume, 2)
    path = os.fsencode(tmp_path / "d/log")
    mark = marks.read(path, 11, NEW)
    assert mark is None or (mark.ver, mark.crc32, mark.digest) == (2, None, None)
