from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy import errors
from argosy.node.disk import roots
from argosy.node.disk.scan import Limits, Outcome, Scanner
from argosy.node.disk.volume import Volume
from argosy.wire import link

NONE_HELD = Limits(1.0, 10**9, 0)
WHEN = 1_600_000_000 * 10**9


def put(root: Path, loc: bytes, data: bytes = b"x", when: int = WHEN) -> None:
    at = os.fsencode(root) + b"/" + loc
    os.makedirs(os.path.dirname(at), exist_ok=True)
    with open(at, "wb") as file:
        file.write(data)
    os.utime(at, ns=(when, when))


def known(volume: Volume) -> dict[bytes, tuple[int, int]]:
    return {row.loc: (row.size, row.mtime_ns) for row in volume.journal.present()}


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    roots.prepare(tmp_path)
    made = Volume.open(tmp_path, trash_seconds=0)
    yield made
    made.close()


# Names around the slash (0x2f) in byte order, where sorting by name and by path differ.
name = st.sampled_from([b"a", b"a!", b"a.b", b"a0", b"b", b"\xff", b"A", "ä".encode()])
loc = st.lists(name, min_size=1, max_size=3).map(b"/".join)


@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(loc, st.integers(0, 3)), max_size=8), min_size=1, max_size=3))
def test_after_a_scan_the_journal_says_what_is_on_the_disk(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[bytes, int]]]
) -> None:
    root = tmp_path_factory.mktemp("scan")
    roots.prepare(root)
    volume = Volume.open(root, trash_seconds=0)
    scanner = Scanner(volume, NONE_HELD)
    for files in rounds:
        for entry in root.iterdir():
            if entry.name != ".argosy":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        there: dict[bytes, tuple[int, int]] = {}
        for where, size in files:
            try:
                put(root, where, b"x" * size, WHEN + size)
            except OSError:
                continue  # a file is where a directory should be, or the other way round
            there[where] = (size, WHEN + size)
        assert scanner.scan().files == len(there)
        assert known(volume) == there
        assert scanner.scan() == Outcome(len(there), 0, 0)
    volume.close()
    shutil.rmtree(root)


def test_an_order_during_a_scan_is_not_undone_by_it(tmp_path: Path, volume: Volume) -> None:
    """The walk saw a file that is deleted, and missed one that came, before their turn to be compared."""
    put(tmp_path, b"a", b"1")
    put(tmp_path, b"d/new-on-disk", b"1")
    put(tmp_path, b"z", b"1")
    Scanner(volume, NONE_HELD).scan()
    put(tmp_path, b"d/hand", b"1")

    class Interrupted(Scanner):
        def _flush(self) -> None:
            volume.settle(link.Settle(volume.store_id, b"a", 1, 1, b"moved", WHEN))
            volume.discard([link.Doomed(b"d/hand", 0, 1, WHEN), link.Doomed(b"z", 2, 1, WHEN)])
            super()._flush()

    Interrupted(volume, NONE_HELD).scan()
    assert set(known(volume)) == {b"moved", b"d/new-on-disk"}


def test_a_file_that_still_grows_is_left_for_the_next_scan(tmp_path: Path, volume: Volume) -> None:
    put(tmp_path, b"growing", b"1", time.time_ns())

    class Growing(Scanner):
        def _look_again(self) -> None:
            put(tmp_path, b"growing", b"22", time.time_ns())
            super()._look_again()

    assert Growing(volume, NONE_HELD).scan().changes == 0
    assert Scanner(volume, NONE_HELD).scan().changes == 1


def test_a_directory_that_cannot_be_read_loses_nothing(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, b"d/f")
    put(tmp_path, b"e")
    Scanner(volume, NONE_HELD).scan()
    real = os.scandir

    def failing(path: bytes) -> object:  # chmod wouldn't stop root
        if path.endswith(b"/d/"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", failing)
    (tmp_path / "e").unlink()
    assert Scanner(volume, Limits(0.0, 0, 1)).scan().held_losses == 0
    assert set(known(volume)) == {b"d/f"}


def test_a_disk_that_goes_away_during_a_scan_loses_nothing(tmp_path: Path, volume: Volume) -> None:
    put(tmp_path, b"a")
    put(tmp_path, b"z")
    Scanner(volume, NONE_HELD).scan()

    class Unmounted(Scanner):
        def _flush(self) -> None:
            (tmp_path / ".argosy/volume.id").unlink(missing_ok=True)
            (tmp_path / "z").unlink(missing_ok=True)

    (tmp_path / "a").unlink()
    with pytest.raises(errors.Failed):
        Unmounted(volume, NONE_HELD).scan()
    assert set(known(volume)) == {b"a", b"z"}


def test_links_and_special_files_do_not_count(tmp_path: Path, volume: Volume) -> None:
    put(tmp_path, b"f")
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "fifo")
    assert Scanner(volume, NONE_HELD).scan().files == 1


@pytest.mark.parametrize(
    ("losses", "files", "held"),
    [(3, 10, False), (4, 10, True), (4, 1000, False), (51, 1000, True), (60, 10_000, True)],
)
def test_losses_are_held_by_share_and_by_number_but_not_a_few(losses: int, files: int, held: bool) -> None:
    assert Limits(share=0.05, files=55, ignored=3).held(losses, files) is held


def test_a_scan_can_be_stopped(tmp_path: Path, volume: Volume) -> None:
    put(tmp_path, b"f")
    scanner = Scanner(volume, NONE_HELD)
    scanner.stop()
    with pytest.raises(InterruptedError):
        scanner.scan()
