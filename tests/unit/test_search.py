"""Searching the tree: what is found, in pages, in time, and by whom."""

from __future__ import annotations

import fnmatch
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import record
from argosy import config, errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue import query
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Found, Kind, TreePath
from argosy.catalogue.people import EVERYTHING
from argosy.catalogue.query import Hit, Mark, Query
from argosy.cluster.nodes.roster import Roster
from argosy.vfs.files import Files
from argosy.vfs.vfs import Vfs

ADMIN = Account(name="ann", admin=True)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    """Lay a tree out of two disks, and a link."""
    async with record.opened(tmp_path, nodes=2) as catalogue:
        first = [
            *(Found(b"a/big.iso", 5_000, 500), Found(b"a/deep/er/Small.ISO", 5, 100)),
            *(Found(b"b/x[1]", 7, 300), Found(b"b/\xff\xfe", 7, 300)),
            *(Found("b/Ärger".encode(), 7, 300), Found(b"top", 9, 900)),
        ]
        await catalogue.merge(1, sorted(first, key=lambda found: found.loc), seq=1, whole=False)
        await catalogue.merge(2, [Found(b"b/two", 8, 400)], seq=1, whole=False)
        await catalogue.make_directory((b"c",), owner="bob", group="staff")
        await catalogue.make_link((b"c", b"iso"), b"../a", owner="bob")
        yield catalogue


def files(catalogue: Catalogue, account: Account = ADMIN) -> Files:
    return Files(Vfs(config.Master(), catalogue, Roster(), owed=lambda: None), Login(account))


async def hits(catalogue: Catalogue, asked: Query, path: TreePath = (), *, page: int = 100) -> list[Hit]:
    found: list[Hit] = []
    after: Mark | None = Mark()
    while after is not None:
        got = await files(catalogue).search(path, asked, after=after, limit=page, seconds=20)
        assert not got.late
        found += got.found
        after = got.after
    return found


async def paths(catalogue: Catalogue, path: TreePath = (), **asked: object) -> list[str]:
    found = await hits(catalogue, Query(**asked), path)  # type: ignore[arg-type]
    return sorted("/" + b"/".join(hit.path).decode(errors="backslashreplace") for hit in found)


async def test_files_are_found_by_what_they_are(catalogue: Catalogue) -> None:
    assert await paths(catalogue, names=(query.glob(b"*.iso"),)) == ["/a/big.iso"]
    assert await paths(catalogue, names=(query.glob(b"*.iso", any_case=True),)) == [
        *("/a/big.iso", "/a/deep/er/Small.ISO")
    ]
    assert await paths(catalogue, names=(query.holding("äRG".encode(), any_case=True),)) == ["/b/Ärger"]
    assert await paths(catalogue, names=(query.holding(b"[1]"),)) == ["/b/x[1]"]
    assert await paths(catalogue, names=(query.glob(b"\xff*"),)) == ["/b/\\xff\\xfe"]
    assert await paths(catalogue, names=(query.holding(b"s"), query.holding(b"a"))) == []
    assert await paths(catalogue, smallest=8, largest=9) == ["/b/two", "/top"]
    assert await paths(catalogue, largest=0) == []
    assert await paths(catalogue, after_ns=400, before_ns=500) == ["/a/big.iso", "/b/two"]
    assert await paths(catalogue, owner="bob") == ["/c", "/c/iso"]
    assert await paths(catalogue, group="staff") == ["/c"]
    assert await paths(catalogue, node="n2") == ["/b/two"]
    assert await paths(catalogue, node="n3") == []
    assert await paths(catalogue, kind=Kind.LINK) == ["/c/iso"]
    assert await paths(catalogue, kind=Kind.DIRECTORY) == ["/a", "/a/deep", "/a/deep/er", "/b", "/c"]
    assert len(await paths(catalogue)) == 13


async def test_a_search_begins_where_it_is_told_and_follows_no_link_below(catalogue: Catalogue) -> None:
    assert await paths(catalogue, (b"a", b"deep")) == ["/a/deep/er", "/a/deep/er/Small.ISO"]
    assert await paths(catalogue, (b"c",)) == ["/c/iso"]
    assert await paths(catalogue, (b"c", b"iso"), kind=Kind.FILE) == ["/a/big.iso", "/a/deep/er/Small.ISO"]
    with pytest.raises(errors.NotADirectory):
        await paths(catalogue, (b"top",))
    with pytest.raises(errors.NotFound):
        await paths(catalogue, (b"gone",))


async def test_who_has_a_copy_is_told(catalogue: Catalogue) -> None:
    await catalogue.merge(2, [Found(b"top", 9, 1, 0, None, None)], seq=2, whole=False)
    (top,) = await hits(catalogue, Query(names=(b"top",)))
    assert top.nodes == ("n1",)  # the second copy hasn't been compared yet
    await catalogue.compared(
        top.entry.id, record.seen(catalogue, top.entry.id, {1: (7, b"d" * 16), 2: (7, b"d" * 16)})
    )
    (top,) = await hits(catalogue, Query(names=(b"top",)))
    assert top.nodes == ("n1", "n2")


@pytest.mark.parametrize("page", [1, 2, 3, 13, 14])
async def test_pages_lack_nothing_and_repeat_nothing(catalogue: Catalogue, page: int) -> None:
    whole = [hit.path for hit in await hits(catalogue, Query())]
    assert [hit.path for hit in await hits(catalogue, Query(), page=page)] == whole


async def test_pages_go_on_in_great_directories_and_over_many(catalogue: Catalogue) -> None:
    many = [Found(b"m%03d/%05d" % (number % 300, number), 1, 1) for number in range(6_000)]
    many += [Found(b"one/%05d" % number, 1, 1) for number in range(3_000)]
    await catalogue.merge(1, sorted(many, key=lambda found: found.loc), seq=2, whole=False)
    found = [hit.path for hit in await hits(catalogue, Query(kind=Kind.FILE), page=700)]
    assert len(found) == len(set(found)) == 9_007
    assert set(found) >= {tuple(file.loc.split(b"/")) for file in many}


async def test_only_what_the_user_may_list_is_found(catalogue: Catalogue) -> None:
    account = Account(name="bob", grants={(): EVERYTHING, (b"a",): frozenset(), (b"a", b"deep"): EVERYTHING})
    found = await files(catalogue, account).search((), Query(), after=Mark(), limit=100, seconds=20)
    shown = {b"/".join(hit.path) for hit in found.found}
    assert b"b/two" in shown
    assert b"a/deep/er/Small.ISO" in shown
    assert b"a/big.iso" not in shown
    assert b"a/deep" not in shown  # what lies in /a is not to be listed


async def test_a_search_ends_with_its_time(catalogue: Catalogue) -> None:
    many = [Found(b"m/%06d" % number, 1, 1) for number in range(30_000)]
    await catalogue.merge(1, many, seq=2, whole=False)
    begin = time.monotonic()
    late = await files(catalogue).search((), Query(), after=Mark(), limit=10**6, seconds=0.001)
    assert late.late
    assert len(late.found) < 30_000
    assert time.monotonic() - begin < 5
    assert len(await paths(catalogue, names=(b"02999?",))) == 10  # the thread is as good as before


async def test_a_pattern_made_to_take_long_does_not(catalogue: Catalogue) -> None:
    names = [Found(b"m/" + b"a" * 250 + b"%04d" % number, 1, 1) for number in range(300)]
    await catalogue.merge(1, names, seq=2, whole=False)
    begin = time.monotonic()
    assert await paths(catalogue, names=(query.glob(b"*a" * 9 + b"b"),)) == []
    assert time.monotonic() - begin < 5
    for pattern in (b"*a" * 11, b"a" * 1_001):
        with pytest.raises(errors.BadArgument):
            query.glob(pattern)


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    yield db
    db.close()


def matches(db: sqlite3.Connection, name: bytes, pattern: bytes) -> bool:
    row = db.execute("SELECT CAST(? AS TEXT) GLOB CAST(? AS TEXT)", (name, pattern)).fetchone()
    return bool(row[0])


letters = st.text("abAB1éÉ-", max_size=6)
pieces = st.sampled_from(
    ["*", "?", "[ab]", "[!ab]", "[A-B]", "[é]", "[!1]", "a", "B", "é", "1", "-", "[", "]"]
)
patterns = st.lists(pieces, max_size=5).map("".join)


@given(letters.filter(bool), patterns)
def test_patterns_mean_what_they_mean_to_a_shell(db: sqlite3.Connection, name: str, pattern: str) -> None:
    assert matches(db, name.encode(), query.glob(pattern.encode())) == fnmatch.fnmatchcase(name, pattern)


@given(letters.filter(bool), patterns)
def test_in_any_case_more_is_found_and_only_by_case(db: sqlite3.Connection, name: str, pattern: str) -> None:
    loose = query.glob(pattern.encode(), any_case=True)
    if "!" not in pattern and matches(db, name.encode(), query.glob(pattern.encode())):
        assert matches(db, name.encode(), loose)
    if "[" not in pattern:
        assert matches(db, name.encode(), loose) == fnmatch.fnmatchcase(name.lower(), pattern.lower())


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name))
def test_every_name_holds_itself(db: sqlite3.Connection, name: bytes) -> None:
    try:
        name.decode()
    except UnicodeDecodeError:
        return  # two broken letters of UTF-8 may look alike to SQLite, or a letter and what it swallows
    assert matches(db, name, query.holding(name))
    assert matches(db, name, query.holding(name, any_case=True))


@given(st.binary(max_size=30))
def test_any_bytes_are_a_pattern_or_refused(db: sqlite3.Connection, pattern: bytes) -> None:
    for any_case in (False, True):
        try:
            matches(db, b"name", query.glob(pattern, any_case=any_case))
        except errors.BadArgument:
            assert pattern.count(b"*") > query.STARS
