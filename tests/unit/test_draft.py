from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy import errors
from argosy.sites.model import Version
from argosy.sites.writing.draft import Draft
from argosy.sites.writing.journal import Journal

OLD = bytes(range(1, 61))
"""What the site has."""
PLACES = st.integers(0, 90)
CHANGE = st.one_of(
    st.tuples(st.just("write"), PLACES, st.binary(min_size=1, max_size=30)),
    st.tuples(st.just("resize"), PLACES, st.just(b"")),
)
CHANGES = st.lists(CHANGE, max_size=12)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Make an empty directory: hypothesis wants many, and numbered ones are slow to make."""
    top, numbers = tmp_path_factory.mktemp("journals"), itertools.count()
    return lambda: top / str(next(numbers))


def base(size: int = len(OLD)) -> Version:
    return Version(7, size, 1_000_000_000)


def begun(directory: Path | str, of: Version | None = None) -> Draft:
    draft = Journal(str(directory)).begin(7, of)
    draft.save()
    return draft


def change(draft: Draft, model: bytearray, changes: list[tuple[str, int, bytes]]) -> None:
    """Change a draft, and a plain buffer in the same way."""
    for what, at, data in changes:
        if what == "write":
            draft.write(at, memoryview(data))
            model.extend(bytes(max(0, at + len(data) - len(model))))
            model[at : at + len(data)] = data
        else:
            draft.resize(at)
            model.extend(bytes(max(0, at - len(model))))
            del model[at:]


def content(draft: Draft, site: bytes) -> bytes:
    """Read all of a file, what the site has from there."""
    pieces = draft.read(0, 1000)
    assert [piece.start for piece in pieces] == [0, *(piece.end for piece in pieces)][: len(pieces)]
    return b"".join(site[p.start : p.end] if p.data is None else p.data for p in pieces)


def sent(draft: Draft, *, ending: bool = True) -> bytes:
    """Upload what is local, as a site would get it: nothing else counts."""
    draft.ending = ending
    sending = draft.sending or draft.start(0)
    out = b""
    with draft.data() as local:
        while count := draft.claim(sending, 7, lag=0, quiet_seconds=0):
            out += os.pread(local, count, sending.at - count)
    return out


@given(CHANGES, st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_changed_file_reads_as_it_would_on_a_disk(
    scratch: Callable[[], Path], changes: list[tuple[str, int, bytes]], new: bool
) -> None:
    draft = begun(scratch(), None if new else base())
    model = bytearray(b"" if new else OLD)
    change(draft, model, changes)
    assert content(draft, b"" if new else OLD) == model
    assert draft.size == len(model)
    draft.remove()


@given(CHANGES, CHANGES)
@settings(deadline=None)
def test_a_killed_gateway_finds_everything_again(
    scratch: Callable[[], Path],
    before: list[tuple[str, int, bytes]],
    after: list[tuple[str, int, bytes]],
) -> None:
    directory = scratch()
    model = bytearray(OLD)
    first = begun(directory, base())
    change(first, model, before)
    (again,) = Journal(str(directory)).recover()
    assert again.dirty == first.dirty
    assert content(again, OLD) == model
    change(again, model, after)
    assert content(again, OLD) == model
    shutil.rmtree(directory)


@given(CHANGES, CHANGES, CHANGES, st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_is_written_during_an_upload_is_still_to_be_sent(
    scratch: Callable[[], Path],
    before: list[tuple[str, int, bytes]],
    during: list[tuple[str, int, bytes]],
    after: list[tuple[str, int, bytes]],
    killed: bool,
) -> None:
    directory = scratch()
    draft, model = begun(directory), bytearray()
    change(draft, model, before)
    sending = draft.start(0)
    end = draft.fix(sending)
    change(draft, model, during)
    site = sent(draft)[:end].ljust(end, b"\0")
    draft.settle(sending, base(end))
    assert content(draft, site) == model
    change(draft, model, after)
    assert content(draft, site) == model
    if killed and not draft.clean:
        (draft,) = Journal(str(directory)).recover()
        assert content(draft, site) == model
    shutil.rmtree(directory)


@given(CHANGES)
@settings(deadline=None)
def test_a_file_without_holes_uploads_as_it_reads(
    scratch: Callable[[], Path], changes: list[tuple[str, int, bytes]]
) -> None:
    directory = scratch()
    draft, model = begun(directory), bytearray()
    change(draft, model, changes)
    assert sent(draft) == model
    shutil.rmtree(directory)


def test_a_log_that_was_torn_is_good_up_to_there(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"first")
    whole = (tmp_path / "0000000000000007.log").read_bytes()
    draft.write(5, b"second")
    log = (tmp_path / "0000000000000007.log").read_bytes()
    for cut in range(len(whole), len(log)):
        (tmp_path / "0000000000000007.log").write_bytes(log[:cut])
        (again,) = Journal(str(tmp_path)).recover()
        assert content(again, b"") == b"first"


def test_a_client_that_sends_again_changes_nothing(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    assert draft.write(0, b"all of it") == 9
    seen = draft.dirty, draft.generation
    assert draft.write(4, b"of") == 0
    assert (draft.dirty, draft.generation) == seen
    draft.write(4, b"or")
    assert draft.generation == seen[1] + 1


def test_an_upload_that_was_cut_goes_on_only_where_nothing_was_written_again(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"0123456789")
    draft.start(0, temporary=b"/.argosy-1.part")
    draft.stop()
    draft.write(10, b"more")
    (again,) = Journal(str(tmp_path)).recover()
    assert again.temporary == draft.temporary == b"/.argosy-1.part"
    draft.write(3, b"x")
    (again,) = Journal(str(tmp_path)).recover()
    assert again.temporary is None
    assert again.dirty == draft.dirty


def test_a_cut_upload_with_a_hole_in_it_doesnt_go_on_for_the_hole_may_be_filled(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"0123")
    draft.write(8, b"89")
    draft.fix(draft.start(0, temporary=b"/.argosy-1.part"))
    (again,) = Journal(str(tmp_path)).recover()
    assert (again.temporary, draft.temporary) == (None, None)


def test_after_a_power_cut_nothing_is_believed_that_wasnt_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, cut, new = (Journal(str(tmp_path)).begin(n, v) for n, v in ((1, base()), (2, base()), (3, None)))
    for draft in (changed, cut, new):
        draft.save()
        draft.write(10, b"perhaps lost")
    cut.resize(20)
    monkeypatch.setattr("argosy.sites.writing.journal._boot", lambda: "another")
    drafts = Journal(str(tmp_path)).recover()
    assert [(d.file, d.size, d.kept, d.held, d.doubtful) for d in drafts] == [
        (2, 20, 20, 0, True),
        (3, 0, 0, 0, True),
    ], "what the site has still is as it is, and its writer sends the rest again"
    assert {name.name for name in tmp_path.iterdir() if name.suffix == ".log"} == {
        "0000000000000002.log",
        "0000000000000003.log",
    }


def test_a_time_that_was_set_holds_until_the_next_write(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"x")
    draft.want(mtime_ns=5, mode=0o755)
    assert (draft.mtime_ns, draft.given, draft.mode) == (5, True, 0o755)
    (again,) = Journal(str(tmp_path)).recover()
    assert (again.mtime_ns, again.given, again.mode) == (5, True, 0o755)
    draft.write(1, b"y")
    assert (draft.given, draft.mode) == (False, 0o755)
    assert draft.mtime_ns > 5


def test_an_upload_goes_along_with_a_writer_and_holds_the_newest_back(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    sending = draft.start(0)
    draft.write(0, b"x" * 100)
    draft.write(150, b"y" * 50)
    claim = {"lag": 10, "quiet_seconds": 60.0}
    assert draft.claim(sending, 64, **claim) == 64  # type: ignore[arg-type]
    assert draft.claim(sending, 64, **claim) == 26  # type: ignore[arg-type]
    draft.write(100, b"z" * 50)
    draft.ending = True
    assert draft.claim(sending, 200, **claim) == 110  # type: ignore[arg-type]
    assert draft.claim(sending, 200, **claim) == 0  # type: ignore[arg-type]
    assert (sending.end, list(sending.redo)) == (200, [])


def test_an_upload_stops_when_the_file_is_removed(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    sending = draft.start(0)
    draft.give_up()
    with pytest.raises(errors.TransferCut):
        draft.claim(sending, 64, lag=0, quiet_seconds=60)


def test_a_log_with_many_records_is_written_anew(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    for turn in range(5000):
        draft.write(0, b"%d" % turn)
    assert (tmp_path / "0000000000000007.log").stat().st_size < 5000 * 12
    (again,) = Journal(str(tmp_path)).recover()
    assert content(again, b"") == b"4999"


def test_a_full_disk_is_a_refusal_and_what_was_written_before_stays(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"before")
    with pytest.raises(errors.NoSpace):
        draft.write(1 << 62, b"far beyond what any file system has")
    (again,) = Journal(str(tmp_path)).recover()
    assert content(again, b"") == b"before"


@pytest.mark.parametrize("size", [(1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_size_that_no_disk_holds_leaves_the_file_as_it_was(tmp_path: Path, size: int) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"before")
    with pytest.raises(errors.NoSpace):
        draft.resize(size)
    (again,) = Journal(str(tmp_path)).recover()
    assert again.dirty == draft.dirty
    assert content(again, b"") == b"before"


def test_the_disk_gets_back_what_the_site_has_while_writing_goes_on(tmp_path: Path) -> None:
    draft = begun(tmp_path)
    draft.write(0, b"x" * (4 << 20))
    sending = draft.start(0)
    draft.fix(sending)
    draft.write(4 << 20, b"more")
    draft.settle(sending, base(4 << 20))
    data = os.stat(tmp_path / "0000000000000007.data")
    assert draft.held == 4
    assert data.st_blocks * 512 < 1 << 20
