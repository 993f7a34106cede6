"""What a directory is worth, held against the lists of checksums in it, by the record alone."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy import config, errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import ROOT_ID, Entry, Sealed, TreePath
from argosy.catalogue.people import Right, Rights
from argosy.cluster.nodes.roster import Roster
from argosy.vfs import lists, verdicts
from argosy.vfs.files import Files
from argosy.vfs.lists import Lists
from argosy.vfs.sums import Sums
from argosy.vfs.verdicts import Completeness, Verdict, percent, words
from argosy.vfs.vfs import Vfs

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


def verdicts_of(judged: Completeness) -> dict[bytes, Verdict]:
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
    assert verdicts_of(judged) == {
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
    found = verdicts_of(lists_of(catalogue).completeness(ROOT_ID))
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
        assert (len(judged.lines), judged.counts.total()) == (15, 3)
    assert sum(map(len, here._known.values())) <= 10
    assert here._known_lines == sum(len(one) + 1 for one in here._known.values()) <= 10


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is asked of the record: directories gone through, by FileId, and contents of lists."""
    asked: Counter[str] = Counter()
    children, content = Catalogue.children, Catalogue.list_content

    def counted(self: Catalogue, directory: int, *, after: bytes = b"", limit: int = 1000) -> list[Entry]:
        asked[f"directory {directory}"] += not after
        return children(self, directory, after=after, limit=limit)

    def counted_content(self: Catalogue, file: int, ver: int) -> bytes | None:
        asked["contents"] += 1
        return content(self, file, ver)

    monkeypatch.setattr(Catalogue, "children", counted)
    monkeypatch.setattr(Catalogue, "list_content", counted_content)
    return asked


async def test_a_folder_is_gone_through_once_however_often_a_list_spells_it_otherwise(
    catalogue: Catalogue, looked: Counter[str]
) -> None:
    spellings = ["".join(signs) for signs in itertools.product("fF", "oO", "lL", "dD", "eE", "rR")]
    folder = await catalogue.make_directory((b"folder",), owner="ann")
    below = await catalogue.make_directory((b"folder", b"below"), owner="ann")
    await put(catalogue, (b"folder", b"below", b"file"), ONE)
    names = {f"{spelling}/BELOW/{number}": ONE for number, spelling in enumerate(spellings)}
    files = {f"{spelling}/Below/FILE": ONE for spelling in spellings}
    await kept(catalogue, (b"a.sfv",), sfv(**names, **files))
    counts = lists_of(catalogue).completeness(ROOT_ID).counts
    assert counts == {Verdict.MISSING: len(names), Verdict.GOOD: 1}
    assert all(looked[f"directory {one.id}"] == 1 for one in (folder, below))


async def test_a_short_list_is_looked_up_by_name_and_no_directory_is_gone_through(
    catalogue: Catalogue, looked: Counter[str]
) -> None:
    await catalogue.make_directory((b"CD1",), owner="ann")
    for name in (b"f", b"g"):
        await put(catalogue, (b"CD1", name), ONE)
    await kept(catalogue, (b"a.sfv",), b"CD1\\f %08x\r\nCD1\\g %08x\r\n" % ((zlib.crc32(ONE),) * 2))
    assert lists_of(catalogue).completeness(ROOT_ID, b"a.sfv").counts == {Verdict.GOOD: 2}
    assert not any(what.startswith("directory") for what in looked)


async def test_files_in_too_many_folders_are_skipped_and_the_directory_is_not_complete(
    catalogue: Catalogue,
) -> None:
    for number in range(5):
        await catalogue.make_directory((b"%d" % number,), owner="ann")
        await put(catalogue, (b"%d" % number, b"f"), ONE)
    await kept(catalogue, (b"a.sfv",), sfv(**{f"{number}/f": ONE for number in range(5)}))
    judged = lists_of(catalogue, config.Sums(folders=3)).completeness(ROOT_ID)
    assert judged.counts == {Verdict.GOOD: 3, Verdict.SKIPPED: 2}
    assert words(judged) == "3 of 5 files are here, 2 skipped, as they are in too many folders"
    assert percent(judged) == 60


async def test_whether_a_hidden_folder_is_there_makes_no_difference_to_who_may_not_see_it(
    catalogue: Catalogue,
) -> None:
    hidden, seen = (b"a", b"b", b"c"), (b"x", b"y")
    names = [f"{folder.decode()}/F" for folder in (*hidden, *seen)] + ["a/below/F"]
    await kept(catalogue, (b"a.sfv",), sfv(**dict.fromkeys(names, ONE)))
    for folder in seen:
        await catalogue.make_directory((folder,), owner="ann")
        await put(catalogue, (folder, b"f"), ONE)
    master = config.Master(sums=config.Sums(folders=2))
    vfs = Vfs(master, catalogue, Roster(master), owed=lambda: None)
    ann = Files(vfs, Login(Account(name="ann", grants={(folder,): Rights() for folder in hidden})))
    root = Files(vfs, Login(Account(name="root", admin=True)))
    before = await ann.against_lists(())
    assert before.counts == {Verdict.MISSING: 4, Verdict.GOOD: 2}
    for folder in hidden:
        await catalogue.make_directory((folder,), owner="root")
        await put(catalogue, (folder, b"f"), ONE)
    assert await ann.against_lists(()) == before
    assert (await root.against_lists(())).counts[Verdict.SKIPPED] == 3


async def test_who_has_given_up_keeps_no_thread(catalogue: Catalogue) -> None:
    entry = await kept(catalogue, (b"a.sfv",), sfv(f=ONE))
    await put(catalogue, (b"f",), ONE)
    here = lists_of(catalogue)
    patience = lists.Patience(60)
    assert here.completeness(ROOT_ID, patience=patience).counts == {Verdict.GOOD: 1}
    patience.end()
    with pytest.raises(TimeoutError):
        here.completeness(ROOT_ID, patience=patience)
    with pytest.raises(TimeoutError):
        here.check(entry, patience=patience)


async def test_an_upload_waits_for_no_list_that_takes_too_long(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = config.Master(link=config.Link(answer_seconds=0.2))
    here = Lists(master, catalogue, Roster(master), Sums())
    started, stopped = threading.Event(), threading.Event()

    def endless(_self: Lists, _directory: int, *_: object, patience: lists.Patience, **__: object) -> None:
        started.set()
        try:
            while True:
                patience.check()
                time.sleep(0.01)
        finally:
            stopped.set()

    monkeypatch.setattr(Lists, "completeness", endless)
    entry = await kept(catalogue, (b"a.sfv",), sfv(f=ONE))
    assert await asyncio.wait_for(here.remark(entry), 30) == ""
    assert await asyncio.to_thread(stopped.wait, 30)
    started.clear()
    stopped.clear()
    looking = asyncio.create_task(here.look(ROOT_ID))  # it may take a minute, but who asked for it goes
    assert await asyncio.to_thread(started.wait, 30)
    assert not stopped.is_set()
    looking.cancel()
    assert await asyncio.to_thread(stopped.wait, 30)


async def test_of_a_directorys_lists_only_so_many_bytes_count_and_none_is_parsed_for_each_upload(
    catalogue: Catalogue, looked: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        await kept(catalogue, (b"%d.sfv" % number,), sfv(**{f"f{number}": ONE}))
    here = lists_of(catalogue, config.Sums(directory_bytes=2 * len(sfv(f0=ONE))))
    said = [await here.remark(await put(catalogue, (b"f%d" % number,), ONE)) for number in range(4)]
    assert said == ["as 0.sfv says", "as 1.sfv says", "", ""]
    assert looked["contents"] == 2
    assert len([record for record in caplog.records if "directory_bytes" in record.message]) == 1
    judged = here.completeness(ROOT_ID)
    assert judged.lists == [b"0.sfv", b"1.sfv"]
    assert sorted(judged.troubles) == [b"2.sfv", b"3.sfv"]


async def test_of_what_is_no_list_nothing_is_said_or_kept(catalogue: Catalogue) -> None:
    junk = b"no line of this is a checksum\n" * 100 + b"0" * 32 + b"  f\n"
    entry = await kept(catalogue, (b"a.sfv",), junk)
    here = lists_of(catalogue)
    assert await here.remark(entry) == ""
    assert catalogue.list_content(entry.id, entry.ver) == b""
    assert words(await here.look(ROOT_ID)) == "the lists name no files"
    await catalogue.rename((b"a.sfv",), (b"a.md5",))
    with pytest.raises(errors.Unavailable):  # by this name it may be one: it is asked for again
        await here.read(catalogue.find((b"a.md5",)))


async def test_a_list_waits_once_however_often_it_is_noticed(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await put(catalogue, (b"a.sfv",), sfv(f=ONE))
    here = lists_of(catalogue)
    read: list[Entry] = []

    async def reading(_self: Lists, entry: Entry) -> None:
        read.append(entry)

    monkeypatch.setattr(Lists, "read", reading)
    running = asyncio.create_task(here.run())
    await asyncio.sleep(0)
    for _ in range(3):
        here.notice(entry)
    await asyncio.sleep(0.1)
    here.notice(entry)
    await asyncio.sleep(0.1)
    running.cancel()
    assert read == [entry, entry]


async def test_at_most_so_many_lines_are_told_but_all_are_counted(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "LINES", 3)
    for number in range(5):
        await put(catalogue, (b"good%d" % number,), ONE)
    names = {f"{kind}{number}": ONE for kind in ("good", "lost") for number in range(5)}
    await kept(catalogue, (b"a.sfv",), sfv(**names))
    judged = lists_of(catalogue).completeness(ROOT_ID)
    assert Counter(line.verdict for line in judged.lines) == {Verdict.GOOD: 3, Verdict.MISSING: 3}
    assert judged.left_off == {Verdict.GOOD: 2, Verdict.MISSING: 2}
    assert judged.counts == {Verdict.GOOD: 5, Verdict.MISSING: 5}


async def test_what_a_user_may_not_see_is_missing_for_it(catalogue: Catalogue) -> None:
    for folder in (b"open", b"hidden", b"unlisted"):
        await catalogue.make_directory((folder,), owner="ann")
        await put(catalogue, (folder, b"f"), ONE)
    await put(catalogue, (b"drop.sfv",), ONE)
    text = sfv(**{f"{folder}/F": ONE for folder in ("open", "hidden", "unlisted")})
    await kept(catalogue, (b"a.sfv",), text)
    await kept(catalogue, (b"secret.sfv",), sfv(f=ONE))
    master = config.Master()
    vfs = Vfs(master, catalogue, Roster(master), owed=lambda: None)
    grants: dict[TreePath, Rights] = {
        (b"hidden",): Rights(),
        (b"unlisted",): Rights({Right.READ}),
        (b"secret.sfv",): Rights({Right.LIST}),
        (b"drop.sfv",): Rights(),
    }
    ann = Files(vfs, Login(Account(name="ann", grants=grants)))
    root = Files(vfs, Login(Account(name="root", admin=True)))
    for judged in (await ann.against_lists(()), await ann.against_lists((b"a.sfv",))):
        assert verdicts_of(judged) == {
            b"open/F": Verdict.GOOD,
            b"hidden/F": Verdict.MISSING,
            b"unlisted/F": Verdict.MISSING,
        }
        assert {line.found for line in judged.lines if line.verdict is Verdict.MISSING} == {""}
        assert (judged.lists, judged.unread, judged.troubles) == ([b"a.sfv"], [], {})
    assert await ann.remark(catalogue.find((b"a.sfv",))) == "1 of 3 files are here, 2 missing"
    assert await ann.remark(await put(catalogue, (b"f",), TWO)) == ""
    assert (await root.remark(catalogue.find((b"f",)))).startswith("but its crc32 is")
    assert (await root.against_lists((b"a.sfv",))).counts == {Verdict.GOOD: 3}
    shut = Files(vfs, Login(Account(name="bob", grants={(): Rights({Right.READ})})))
    with pytest.raises(errors.Denied):
        await shut.against_lists((b"a.sfv",))
