"""What a directory is worth, held against the lists of checksums in it, by the record alone."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import record
from argosy import config, errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import ROOT_ID, Entry, Sealed, TreePath
from argosy.cluster.nodes.roster import Roster
from argosy.vfs import lists
from argosy.vfs.lists import Completeness, Judged, Lists, Verdict, percent, words
from argosy.vfs.sums import Sums

ONE, TWO = b"one", b"two two"


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=1) as catalogue:
        yield catalogue


async def put(catalogue: Catalogue, path: TreePath, content: bytes) -> Entry:
    upload = await catalogue.begin(path, volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(len(content), 77, zlib.crc32(content), b"d" * 16), epoch=1)
    return catalogue.find(path)


async def kept(catalogue: Catalogue, path: TreePath, content: bytes) -> Entry:
    entry = await put(catalogue, path, content)
    await catalogue.keep_list(entry, content)
    return entry


def lists_of(catalogue: Catalogue, sums: config.Sums | None = None) -> Lists:
    master = config.Master(sums=sums or config.Sums())
    return Lists(master, catalogue, Roster(master), Sums())


def verdicts(judged: Completeness) -> dict[bytes, Verdict]:
    return {line.name: line.verdict for line in judged.lines}


def sfv(**files: bytes) -> bytes:
    return b"".join(b"%b %08x\r\n" % (name.encode(), zlib.crc32(data)) for name, data in files.items())


async def test_each_file_is_good_bad_arriving_missing_or_unknown(catalogue: Catalogue) -> None:
    await put(catalogue, (b"GOOD",), ONE)
    await put(catalogue, (b"bad",), ONE)
    await catalogue.begin((b"arriving",), volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.make_directory((b"folder",), owner="ann")
    await kept(catalogue, (b"a.sfv",), sfv(good=ONE, bad=TWO, arriving=ONE, missing=ONE, folder=ONE))
    await kept(catalogue, (b"b.md5",), b"0" * 32 + b"  GOOD\n")
    judged = lists_of(catalogue).completeness(ROOT_ID)
    assert judged.lists == [b"a.sfv", b"b.md5"]
    assert verdicts(judged) == {
        b"good": Verdict.GOOD,
        b"bad": Verdict.BAD,
        b"arriving": Verdict.ARRIVING,
        b"missing": Verdict.MISSING,
        b"folder": Verdict.MISSING,
        b"GOOD": Verdict.UNKNOWN,
    }
    assert words(judged) == "1 of 5 files are here, 1 bad, 1 arriving, 2 missing"
    assert percent(judged) == 20


async def test_files_of_directories_further_down_count_too(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"CD1",), owner="ann")
    await put(catalogue, (b"CD1", b"a"), ONE)
    text = b"CD1\\a %08x\r\ncd1\\A %08x\r\nCD2\\b 00000000\r\n" % (zlib.crc32(ONE), zlib.crc32(TWO))
    await kept(catalogue, (b"a.sfv",), text)
    found = verdicts(lists_of(catalogue).completeness(ROOT_ID))
    assert found == {b"CD1/a": Verdict.GOOD, b"cd1/A": Verdict.BAD, b"CD2/b": Verdict.MISSING}


async def test_a_list_counts_as_long_as_it_is_what_was_read_where_it_was(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    entry = await kept(catalogue, (b"a.sfv",), sfv(f=ONE))
    assert [one.name for one in catalogue.sum_lists(ROOT_ID)] == [b"a.sfv"]
    await catalogue.rename((b"a.sfv",), (b"d", b"b.sfv"))
    moved = catalogue.find((b"d", b"b.sfv"))
    assert catalogue.sum_lists(ROOT_ID) == catalogue.sum_lists(moved.parent) == []
    await lists_of(catalogue).read(moved)  # no node is here: it is known already
    assert [one.name for one in catalogue.sum_lists(moved.parent)] == [b"b.sfv"]
    await put(catalogue, (b"d", b"b.sfv"), sfv(f=TWO))
    assert catalogue.sum_lists(moved.parent) == []
    assert [one.name for one in lists_of(catalogue).completeness(moved.parent).unread] == [b"b.sfv"]
    with pytest.raises(errors.Unavailable):
        await lists_of(catalogue).read(catalogue.find((b"d", b"b.sfv")))
    await catalogue.delete((b"d", b"b.sfv"), by="ann")
    assert catalogue.list_content(entry.id, entry.ver) is None
    await catalogue.keep_list(entry, b"late")  # it was being read when it went
    assert catalogue.list_content(entry.id, entry.ver) is None


async def test_a_list_in_the_trash_says_nothing_until_it_is_back(catalogue: Catalogue) -> None:
    catalogue.spares = lambda _way: 1.0
    entry = await kept(catalogue, (b"a.sfv",), sfv(f=ONE))
    await catalogue.delete((b"a.sfv",), by="ann")
    assert catalogue.sum_lists(ROOT_ID) == []
    await catalogue.restore(entry.ver)
    assert [one.name for one in catalogue.sum_lists(ROOT_ID)] == [b"a.sfv"]


async def test_a_file_that_comes_is_held_against_all_lists_and_the_worst_counts(catalogue: Catalogue) -> None:
    await kept(catalogue, (b"a.sfv",), sfv(f=ONE, other=TWO))
    await kept(catalogue, (b"b.sfv",), sfv(F=TWO))
    here = lists_of(catalogue)
    judged = here.check(await put(catalogue, (b"f",), ONE))
    assert judged is not None
    assert (judged.list, judged.verdict) == (b"b.sfv", Verdict.BAD)
    wanted = f"but its crc32 is {zlib.crc32(ONE):08x}, and b.sfv says {zlib.crc32(TWO):08x}"
    assert await here.remark(catalogue.find((b"f",))) == wanted
    assert await here.remark(await put(catalogue, (b"other",), TWO)) == "as a.sfv says"
    assert await here.remark(await put(catalogue, (b"nobody knows",), TWO)) == ""


async def test_a_list_that_no_node_can_give_costs_no_upload(catalogue: Catalogue) -> None:
    assert await lists_of(catalogue).remark(await put(catalogue, (b"a.sfv",), sfv(f=ONE))) == ""
    judged = await lists_of(catalogue).look(ROOT_ID)
    assert list(judged.troubles) == [b"a.sfv"]


async def test_where_lists_are_not_read_nothing_is_said(catalogue: Catalogue) -> None:
    await kept(catalogue, (b"a.sfv",), sfv(f=ONE))
    here = lists_of(catalogue, config.Sums(list_bytes=0))
    assert await here.remark(await put(catalogue, (b"f",), TWO)) == ""
    with pytest.raises(errors.Unsupported):
        await here.look(ROOT_ID)


async def test_only_so_many_lines_are_kept_at_hand(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "KEPT_LINES", 10)
    for number in range(5):
        await kept(catalogue, (b"%d.sfv" % number,), sfv(a=ONE, b=ONE, c=TWO))
    here = lists_of(catalogue)
    for _ in range(2):
        judged = await asyncio.to_thread(here.completeness, ROOT_ID)
        assert (len(judged.lines), len(judged.verdicts())) == (15, 3)
    assert sum(map(len, here._known.values())) <= 10


JUDGED = st.builds(
    Judged,
    st.just(b"a.sfv"),
    st.sampled_from([b"a", b"A", b"b", b"c"]),
    st.just("crc32"),
    st.just("00000000"),
    st.sampled_from(Verdict),
    st.integers(0, 3),
)


@given(st.lists(JUDGED))
def test_a_directory_is_complete_only_if_all_is_here_and_nothing_bad(lines: list[Judged]) -> None:
    judged = Completeness(lines)
    complete = not {line.verdict for line in lines} - {Verdict.GOOD, Verdict.UNKNOWN}
    assert (percent(judged) == 100) == complete
    assert 0 <= percent(judged) <= 100
