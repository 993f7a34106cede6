"""The lists of a site have only so much room in its record, and what goes makes room."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy import config, errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import ROOT_ID, Entry, Sealed
from argosy.cluster.nodes.roster import Roster
from argosy.vfs import shelf
from argosy.vfs.lists import Lists
from argosy.vfs.shelf import Shelf
from argosy.vfs.sums import Sums

LINE = b"f 00000000\r\n"


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=1) as catalogue:
        yield catalogue


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "COUNT_SECONDS", 0.0)


async def put(catalogue: Catalogue, name: bytes, content: bytes) -> Entry:
    upload = await catalogue.begin((name,), volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(len(content), 77, zlib.crc32(content), b"d" * 16), epoch=1)
    return catalogue.find((name,))


async def test_the_record_takes_lists_only_up_to_its_bound_however_many_come_at_once(
    catalogue: Catalogue,
) -> None:
    here = Shelf(10 * len(LINE), catalogue)
    entries = [await put(catalogue, b"%d.sfv" % number, LINE) for number in range(25)]
    came = await asyncio.gather(*(here.keep(entry, LINE) for entry in entries), return_exceptions=True)
    assert [type(one) for one in came].count(errors.NoSpace) == 15
    assert catalogue.bytes_of_lists() == 10 * len(LINE)
    assert len(catalogue.sum_lists(ROOT_ID)) == 10
    again = Shelf(10 * len(LINE), catalogue)  # the master was started anew
    with pytest.raises(errors.NoSpace, match=f"sums.kept_bytes, {10 * len(LINE)}"):
        await again.check(entries[-1], 1)


@pytest.mark.parametrize("kept_for", [0.0, 1.0], ids=["for good", "into the trash"])
async def test_a_list_that_is_deleted_makes_room(catalogue: Catalogue, kept_for: float) -> None:
    catalogue.spares = lambda _way: kept_for
    here = Shelf(2 * len(LINE), catalogue)
    for name in (b"a.sfv", b"b.sfv"):
        await here.keep(await put(catalogue, name, LINE), LINE)
    last = await put(catalogue, b"c.sfv", LINE)
    with pytest.raises(errors.NoSpace):
        await here.keep(last, LINE)
    await catalogue.delete((b"a.sfv",), by="ann")
    await here.keep(last, LINE)
    assert [one.name for one in catalogue.sum_lists(ROOT_ID)] == [b"b.sfv", b"c.sfv"]
    assert catalogue.bytes_of_lists() == 2 * len(LINE)


async def test_where_there_is_no_more_room_a_list_gets_another_name_place_or_content(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Shelf(len(LINE), catalogue)
    await here.keep(await put(catalogue, b"a.sfv", LINE), LINE)
    with pytest.raises(errors.NoSpace):
        await here.keep(await put(catalogue, b"other.sfv", LINE), LINE)
    monkeypatch.setattr(shelf, "COUNT_SECONDS", 3600.0)
    folder = await catalogue.make_directory((b"d",), owner="ann")
    await catalogue.rename((b"a.sfv",), (b"d", b"b.sfv"))
    await here.keep(catalogue.find((b"d", b"b.sfv")), LINE)
    assert [one.name for one in catalogue.sum_lists(folder.id)] == [b"b.sfv"]
    other = LINE.replace(b"f", b"g")
    await catalogue.rename((b"d", b"b.sfv"), (b"a.sfv",))
    await here.keep(await put(catalogue, b"a.sfv", other), other)
    with pytest.raises(errors.NoSpace):
        await here.keep(catalogue.find((b"a.sfv",)), LINE + LINE)
    assert catalogue.bytes_of_lists() == len(LINE)


async def test_a_list_without_room_is_unread_no_node_is_asked_and_the_others_count(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    master = config.Master(sums=config.Sums(kept_bytes=len(LINE)))
    lists = Lists(master, catalogue, Roster(master), Sums())
    await catalogue.keep_list(await put(catalogue, b"a.sfv", LINE), LINE)
    for _ in range(2):
        said = await lists.remark(await put(catalogue, b"b.sfv", LINE))
        assert said == "not read, as the site's lists of checksums have no more room"
    judged = await lists.look(ROOT_ID)
    assert judged.lists == [b"a.sfv"]
    assert judged.counts.total() == 1
    full = f"No room for this: the site's lists of checksums may have sums.kept_bytes, {len(LINE)}"
    assert judged.troubles == {b"b.sfv": full}
    assert len([record for record in caplog.records if "sums.kept_bytes" in record.message]) == 1


async def test_it_is_counted_once_for_all_who_wait_and_not_again_at_once(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "COUNT_SECONDS", 3600.0)
    counted: list[int] = []
    count = Catalogue.bytes_of_lists

    def noted(self: Catalogue) -> int:
        counted.append(count(self))
        return counted[-1]

    monkeypatch.setattr(Catalogue, "bytes_of_lists", noted)
    here = Shelf(0, catalogue)
    entry = await put(catalogue, b"a.sfv", LINE)
    for _ in range(2):
        refused = await asyncio.gather(*(here.check(entry, 1) for _ in range(20)), return_exceptions=True)
        assert {type(one) for one in refused} == {errors.NoSpace}
    assert counted == [0, 0]  # as it is, then with what says nothing out of the way
