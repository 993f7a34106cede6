from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy import errors
from argosy.node.disk import roots
from argosy.node.disk.journal import DoubtRow
from argosy.node.disk.scan import Limits, Scanner
from argosy.node.disk.volume import Volume
from argosy.wire import link
from volumes import Opener, bring, reopened

WHEN = 1_600_000_000 * 10**9


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Open the volume; again: as if the process had been killed."""
    with reopened(tmp_path) as opener:
        yield opener


def commit(volume: Volume, upload: int, loc: bytes, *, replaces: int = 0) -> None:
    volume.commit([link.CommitPart(upload, loc, WHEN, replaces=replaces)])


def scan(volume: Volume) -> None:
    Scanner(volume, Limits(1.0, 100, 100)).scan()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(WHEN, WHEN))


def test_the_version_that_an_upload_replaces_goes_to_the_trash(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"old")
    commit(volume, 1, b"d/f")
    bring(volume, 2, b"new")
    commit(volume, 2, b"d/f", replaces=1)
    assert (tmp_path / "d/f").read_bytes() == b"new"
    assert [path.read_bytes() for path in (tmp_path / ".argosy/trash").rglob("f")] == [b"old"]
    row = volume.journal.find(b"d/f")
    assert row is not None
    assert row.ver == 2


def test_a_version_beside_a_file_put_there_by_hand_is_read_as_itself(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    put(tmp_path / "f", b"by hand, and longer")
    scan(volume)
    bring(volume, 2, b"new")
    commit(volume, 2, b"f")  # nobody said that what lies there is replaced
    assert (tmp_path / "f").read_bytes() == b"by hand, and longer"
    descriptor = volume.read(b"f", 2, 3)
    try:
        assert os.read(descriptor, 100) == b"new"
    finally:
        os.close(descriptor)
    assert volume.journal.glance(b"f", 2) is None
    with pytest.raises(errors.Exists):
        volume.settle(link.Settle("", b"f", 2, 3, b"f", WHEN))
    assert (tmp_path / "f").read_bytes() == b"by hand, and longer"


def test_a_version_that_nobody_replaces_stays_where_it_lies(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"old")
    commit(volume, 1, b"d/f")
    bring(volume, 2, b"new")
    commit(volume, 2, b"d/f")  # the master hasn't heard that another one lies there
    assert (tmp_path / "d/f").read_bytes() == b"old"
    assert [path.read_bytes() for path in (tmp_path / ".argosy/unplaced").iterdir()] == [b"new"]


def test_a_version_that_comes_twice_lies_in_its_place_once(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    for content in (b"the same", b"the same"):
        bring(volume, 1, content)
        commit(volume, 1, b"d/f")
    assert (tmp_path / "d/f").read_bytes() == b"the same"
    assert not list((tmp_path / ".argosy/unplaced").iterdir())
    assert not list((tmp_path / ".argosy/staging").iterdir())
    assert volume.journal.find(roots.unplaced_loc(1)) is None


def test_what_nobody_knows_is_never_deleted_by_an_upload(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"new")
    put(tmp_path / "d/f", b"by hand")
    commit(volume, 1, b"d/f")
    assert (tmp_path / "d/f").read_bytes() == b"new"
    assert [path.read_bytes() for path in (tmp_path / ".argosy/quarantine").rglob("f")] == [b"by hand"]


@pytest.mark.parametrize("obstacle", ["d", "d/f/below"])
def test_an_upload_whose_place_cannot_be_had_waits_in_a_room_of_ours(
    tmp_path: Path, opened: Opener, obstacle: str
) -> None:
    volume = opened()
    put(tmp_path / obstacle, b"in the way")
    bring(volume, 1, b"new")
    for _ in range(2):
        commit(volume, 1, b"d/f")
    row = volume.journal.find_version(1)
    assert row is not None
    assert row.loc == roots.unplaced_loc(1)
    scan(volume)
    assert volume.journal.find_version(1) == row  # a scan knows that room
    os.close(volume.read(b"d/f", 1, 3))
    (tmp_path / obstacle).unlink()
    if obstacle.endswith("below"):
        (tmp_path / "d/f").rmdir()
    volume.settle(link.Settle(volume.store_id, row.loc, 1, 3, b"d/f", WHEN))
    assert (tmp_path / "d/f").read_bytes() == b"new"


def test_a_crash_between_moving_and_journalling_is_healed_by_the_repeated_commit(
    tmp_path: Path, opened: Opener
) -> None:
    volume = opened()
    bring(volume, 1, b"new")
    staged = tmp_path / ".argosy/staging" / f"{1:016x}"
    os.utime(staged, ns=(WHEN, WHEN))
    staged.rename(tmp_path / "f")
    volume = opened()
    os.close(volume.read(b"f", 1, 3))
    scan(volume)  # finds it first, as a file of nobody
    commit(volume, 1, b"f")
    row = volume.journal.find(b"f")
    assert row is not None
    assert (row.ver, row.digest) == (1, b"d")
    assert volume.journal.parts() == []


def test_a_power_cut_that_takes_the_move_back_is_healed_at_the_start(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"new")
    commit(volume, 1, b"d/f")
    (tmp_path / "d/f").rename(tmp_path / ".argosy/staging" / f"{1:016x}")
    opened()
    assert (tmp_path / "d/f").read_bytes() == b"new"


def test_an_upload_that_the_disk_lost_is_told_to_the_master(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"new")
    (tmp_path / ".argosy/staging" / f"{1:016x}").unlink()
    commit(volume, 1, b"d/f")
    (row,) = volume.journal.changes(0, 10)
    assert (row.loc, row.ver, row.gone) == (b"d/f", 1, 1)


def test_a_part_that_lost_its_end_is_not_sealed_any_more(tmp_path: Path, opened: Opener) -> None:
    bring(opened(), 1, b"whole")
    os.truncate(tmp_path / ".argosy/staging" / f"{1:016x}", 2)
    assert opened().state().parts == [link.Part(1, 2, False)]


def test_a_part_is_written_by_one_transfer_at_a_time(opened: Opener) -> None:
    volume = opened()
    descriptor = volume.receive(1, 0, None, flush=False)
    with pytest.raises(errors.Busy):
        volume.receive(1, 0, None, flush=False)
    volume.forget([1])
    with pytest.raises(errors.Failed, match="given up"):
        volume.seal(1, descriptor, flush=False, crc32=None, digest=None)
    os.close(descriptor)
    volume.release(1)
    assert volume.state().parts == []


@pytest.fixture
def lock_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk refuse each directory named `locked`."""
    mkdir = os.mkdir

    def refuse(name: bytes, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if name == b"locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mkdir(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", refuse)


@pytest.mark.usefixtures("lock_out")
def test_an_upload_into_a_directory_that_is_not_ours_to_write_keeps_no_other_from_its_place(
    tmp_path: Path, opened: Opener
) -> None:
    volume = opened()
    for upload in (1, 2, 3):
        bring(volume, upload, b"new")
    locs = {1: b"a/f", 2: b"locked/f", 3: b"b/f"}
    volume.commit([link.CommitPart(upload, loc, WHEN) for upload, loc in locs.items()])
    assert (tmp_path / "a/f").read_bytes() == (tmp_path / "b/f").read_bytes() == b"new"
    row = volume.journal.find_version(2)
    assert row is not None
    assert row.loc == roots.unplaced_loc(2)
    os.close(volume.read(b"locked/f", 2, 3))
    assert volume.journal.parts() == []


@pytest.mark.usefixtures("lock_out")
def test_a_file_that_cannot_be_deleted_keeps_no_other_alive_and_is_not_called_gone(
    tmp_path: Path, opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    for loc in ("a/f", "locked/f", "b/f"):
        put(tmp_path / loc, b"old")
    volume = opened()
    scan(volume)
    volume.discard([link.Doomed(loc, 0, 3, WHEN) for loc in (b"a/f", b"locked/f", b"b/f")])
    assert [row.loc for row in volume.journal.present()] == [b"locked/f"]
    assert not (tmp_path / "a/f").exists()
    assert not (tmp_path / "b/f").exists()
    assert (tmp_path / "locked/f").exists()
    assert "b'locked/f' can't be discarded" in caplog.text


@pytest.mark.usefixtures("lock_out")
def test_a_disk_that_is_gone_answers_no_order_as_done(tmp_path: Path, opened: Opener) -> None:
    put(tmp_path / "locked/f", b"old")
    volume = opened()
    scan(volume)
    (tmp_path / ".argosy/volume.id").unlink()
    with pytest.raises(errors.Failed):
        volume.discard([link.Doomed(b"locked/f", 0, 3, WHEN)])


def test_a_start_with_a_place_that_cannot_be_had_keeps_the_upload(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"new")
    commit(volume, 1, b"d/f")
    (tmp_path / "d/f").rename(tmp_path / ".argosy/staging" / f"{1:016x}")
    (tmp_path / "d").rmdir()
    (tmp_path / "d").write_bytes(b"in the way")
    volume = opened()
    descriptor = volume.read(b"d/f", 1, 3)
    assert os.read(descriptor, 9) == b"new"
    os.close(descriptor)


def test_a_reader_overtaken_by_an_overwrite_is_told_to_look_again(opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"one")
    commit(volume, 1, b"f")
    with pytest.raises(errors.Busy):
        volume.read(b"f", 2, 3)


def test_a_file_that_was_moved_a_moment_ago_is_still_found(opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"one")
    commit(volume, 1, b"upload.tmp")
    volume.settle(link.Settle(volume.store_id, b"upload.tmp", 1, 3, b"final", WHEN))
    os.close(volume.read(b"upload.tmp", 1, 3))
    assert len({row.seq for row in volume.journal.changes(0, 10)}) == 1  # a move is one step
    volume.discard([link.Doomed(b"upload.tmp", 1, 3, WHEN)])
    assert volume.journal.find_version(1) is None


def test_a_version_that_hands_changed_is_not_deleted(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"one")
    commit(volume, 1, b"f")
    (tmp_path / "f").write_bytes(b"changed by hand")
    volume.discard([link.Doomed(b"f", 1, 3, WHEN)])
    assert (tmp_path / "f").exists()


def test_deleting_an_upload_that_is_not_in_place_yet_takes_its_part(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    row = bring(volume, 1, b"one")
    volume.discard([link.Doomed(b"f", 1, 3, row.mtime_ns)])
    assert volume.state().parts == []
    assert list((tmp_path / ".argosy/staging").iterdir()) == []


def test_a_lost_journal_is_written_again_from_what_the_files_say(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    bring(volume, 0xAB, b"one")
    commit(volume, 0xAB, b"f")
    volume.journal.prune(volume.journal.seq)
    assert opened().state().seq > 0
    put(tmp_path / "copy", b"one")
    for name in os.listxattr(tmp_path / "f"):
        os.setxattr(tmp_path / "copy", name, os.getxattr(tmp_path / "f", name))
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (tmp_path / ".argosy" / name).unlink(missing_ok=True)
    volume = opened()
    scan(volume)
    versions = [row.ver for row in volume.journal.present()]
    assert sorted(versions) == ([0, 0xAB] if os.listxattr(tmp_path / "f") else [0, 0])
    assert volume.state().seq == 0  # so the master asks for all


def test_two_processes_cannot_hold_one_root(tmp_path: Path, opened: Opener) -> None:
    opened()
    with pytest.raises(errors.ConfigError, match="another process"):
        Volume.open(tmp_path, trash_seconds=0)


def test_preparing_a_root_twice_gives_the_same_store_id(tmp_path: Path) -> None:
    assert roots.prepare(tmp_path / "new") == roots.prepare(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigError):
        roots.prepare(tmp_path / "file")


def test_the_trash_is_emptied_by_age(tmp_path: Path, opened: Opener) -> None:
    volume = opened()
    put(tmp_path / ".argosy/trash/1000-1/f", b"old")
    fresh = f"{time.time():.0f}-1"
    put(tmp_path / f".argosy/trash/{fresh}/f", b"fresh")
    volume.empty_trash()
    assert [path.name for path in (tmp_path / ".argosy/trash").iterdir()] == [fresh]


def test_what_came_into_the_trash_while_the_clock_was_ahead_goes_in_its_time(tmp_path: Path) -> None:
    roots.prepare(tmp_path)
    volume = Volume.open(tmp_path, trash_seconds=1)
    put(tmp_path / ".argosy/trash/9999999999-1/f", b"from the future")
    began = int(time.time())
    volume.empty_trash()
    (kept,) = (tmp_path / ".argosy/trash").iterdir()
    assert began <= int(kept.name.partition("-")[0]) <= time.time()
    assert (kept / "f").read_bytes() == b"from the future"
    time.sleep(2.1)
    volume.empty_trash()
    assert list((tmp_path / ".argosy/trash").iterdir()) == []
    volume.close()


def test_without_a_trash_files_go_at_once(tmp_path: Path) -> None:
    roots.prepare(tmp_path)
    put(tmp_path / "f", b"1")
    volume = Volume.open(tmp_path, trash_seconds=0)
    scan(volume)
    volume.discard([link.Doomed(b"f", 1, 1, WHEN)])
    assert not (tmp_path / "f").exists()
    assert list((tmp_path / ".argosy/trash").iterdir()) == []
    volume.close()


def test_a_verdict_on_a_file_that_was_replaced_meanwhile_says_nothing_of_the_new_one(opened: Opener) -> None:
    volume = opened()
    bring(volume, 1, b"12345")
    commit(volume, 1, b"f")
    doubt = DoubtRow(b"f", 1, 5, 99, b"x", "", 1, b"d")
    bring(volume, 2, b"67890")
    commit(volume, 2, b"f", replaces=1)
    volume.judged([doubt], ["good"])
    row = volume.journal.find(b"f")
    assert row is not None
    assert (row.ver, row.crc32, row.digest) == (2, 1, b"d")


def test_the_copy_that_shall_take_a_bad_ones_place_is_not_taken_for_it(
    tmp_path: Path, opened: Opener
) -> None:
    volume = opened()
    bring(volume, 1, b"bad")
    commit(volume, 1, b"f")
    bring(volume, 1, b"new")  # from another node, before the order to move the bad one aside
    for _ in range(2):  # its answer may be lost, and it comes again
        assert volume.discard([link.Doomed(b"f", 1, 3, WHEN, finding=7)]) == []
    (bad,) = (tmp_path / ".argosy/quarantine").rglob("f")
    assert bad.read_bytes() == b"bad"
    commit(volume, 1, b"f")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_of_a_version_that_is_to_go_neither_the_file_nor_a_second_copy_stays(
    tmp_path: Path, opened: Opener
) -> None:
    volume = opened()
    bring(volume, 1, b"old")
    commit(volume, 1, b"f")
    bring(volume, 1, b"new")
    assert volume.discard([link.Doomed(b"f", 1, 3, WHEN)]) == []
    assert not (tmp_path / "f").exists()
    assert volume.state().parts == []


def test_who_came_without_checksums_is_read_at_once_but_not_what_grows(tmp_path: Path) -> None:
    with reopened(tmp_path) as opened:
        volume = opened()
        looked: list[bytes] = []
        volume.unsummed = looked.append
        for upload, base, data in ((1, None, b"a"), (2, link.Base(b"f", 1, 1), b"b")):
            offset = base.size if base else 0
            descriptor = volume.receive(upload, offset, base, flush=True)
            os.write(descriptor, data)
            volume.seal(upload, descriptor, flush=True, crc32=None, digest=None)
            os.close(descriptor)
            volume.release(upload)
            volume.commit([link.CommitPart(upload, b"f", 10**18, replaces=upload - 1)])
        assert (tmp_path / "f").read_bytes() == b"ab"
        assert looked == [b"f"]
