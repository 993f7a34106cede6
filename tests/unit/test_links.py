"""Symbolic links in the tree: where they lead, and what they are not."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import record
from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import ROOT_ID, Found, Kind, Sealed, TreePath
from argosy.catalogue.store import schema, tree

D = b"d" * 16


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    """Lay a tree: /a/b/f, and room for links."""
    async with record.opened(tmp_path, nodes=1) as catalogue:
        for path in ((b"a",), (b"a", b"b")):
            await catalogue.make_directory(path, owner="ann")
        await put(catalogue, (b"a", b"b", b"f"))
        yield catalogue


async def put(catalogue: Catalogue, path: TreePath) -> int:
    upload = await catalogue.begin(path, volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(5, 77, 7, D), epoch=1)
    return upload.file


async def link(catalogue: Catalogue, path: str, target: str) -> None:
    await catalogue.make_link(parts(path), target.encode(), owner="ann")


def parts(path: str) -> TreePath:
    return tuple(part for part in path.encode().split(b"/") if part)


def leads(catalogue: Catalogue, path: str, *, follow: bool = True) -> str:
    """Say where a path leads, with a question mark if nothing is there."""
    true, entry = catalogue.resolve(parts(path), follow=follow)
    if entry is not None:
        assert catalogue.path_of(entry.id) == true
    return (b"/" + b"/".join(true)).decode() + ("" if entry else " ?")


async def test_a_link_is_followed_wherever_it_stands_in_a_path(catalogue: Catalogue) -> None:
    await link(catalogue, "/abs", "/a/b")
    await link(catalogue, "/a/rel", "b/f")
    await link(catalogue, "/a/b/up", "../../abs")
    await link(catalogue, "/a/b/root", "/")
    assert leads(catalogue, "/abs") == "/a/b"
    assert leads(catalogue, "/abs/f") == "/a/b/f"
    assert leads(catalogue, "/a/rel") == "/a/b/f"
    assert leads(catalogue, "/abs/up/up/f") == "/a/b/f"
    assert leads(catalogue, "/abs/root") == "/"
    assert leads(catalogue, "/abs/root/a/rel") == "/a/b/f"
    assert leads(catalogue, "/abs", follow=False) == "/abs"
    assert leads(catalogue, "/abs/up", follow=False) == "/a/b/up"


async def test_a_link_never_leads_out_of_the_tree(catalogue: Catalogue) -> None:
    await link(catalogue, "/a/out", "../../../../../etc/../../a")
    with pytest.raises(errors.NotFound):
        leads(catalogue, "/a/out")
    await link(catalogue, "/a/high", "../../../../..//./a/b/")
    assert leads(catalogue, "/a/high/f") == "/a/b/f"


async def test_a_link_to_nothing_says_where_that_would_be(catalogue: Catalogue) -> None:
    await link(catalogue, "/dangling", "a/b/new")
    await link(catalogue, "/nowhere", "no/where")
    await link(catalogue, "/through", "a/b/f/x")
    assert leads(catalogue, "/dangling") == "/a/b/new ?"
    with pytest.raises(errors.NotFound):
        leads(catalogue, "/nowhere")
    with pytest.raises(errors.NotFound):
        leads(catalogue, "/dangling/x")
    with pytest.raises(errors.NotADirectory):
        leads(catalogue, "/through")


async def test_links_in_a_circle_and_long_chains_are_refused(catalogue: Catalogue) -> None:
    await link(catalogue, "/x", "y")
    await link(catalogue, "/y", "x")
    await link(catalogue, "/self", "self/deeper")
    await link(catalogue, "/l0", "a")
    for number in range(41):
        await link(catalogue, f"/l{number + 1}", f"l{number}")
    assert leads(catalogue, "/l39") == "/a"
    for path in ("/x", "/x/f", "/self", "/l40"):
        with pytest.raises(errors.LinkLoop):
            leads(catalogue, path)
    assert leads(catalogue, "/x", follow=False) == "/x"


async def test_deleting_or_renaming_a_link_touches_nothing_else(catalogue: Catalogue) -> None:
    await link(catalogue, "/l", "a/b/f")
    await catalogue.rename((b"l",), (b"a", b"l"))
    assert await catalogue.settlements(100, {1}) == []
    assert leads(catalogue, "/a/l", follow=False) == "/a/l"
    removal = await catalogue.delete((b"a", b"l"))
    assert (removal.discards, removal.forgotten) == ((), ())
    assert catalogue.find((b"a", b"b", b"f")).kind is Kind.FILE
    assert catalogue.tombs(1) == []


async def test_a_rename_replaces_the_link_that_has_the_name(catalogue: Catalogue) -> None:
    await link(catalogue, "/l", "a")
    await catalogue.rename((b"a", b"b", b"f"), (b"l",))
    assert catalogue.find((b"l",)).kind is Kind.FILE
    await link(catalogue, "/m", "a")
    with pytest.raises(errors.NotADirectory):
        await catalogue.rename((b"a",), (b"m",))


async def test_a_link_is_no_directory_and_no_file(catalogue: Catalogue) -> None:
    await link(catalogue, "/l", "a")
    with pytest.raises(errors.NotADirectory):
        await catalogue.remove_directory((b"l",))
    for make in (catalogue.make_directory((b"l",), owner="ann"), link(catalogue, "/l", "b")):
        with pytest.raises(errors.Exists):
            await make
    with pytest.raises(errors.Exists):
        await put(catalogue, (b"l",))
    await catalogue.set_attributes((b"l",), mtime_ns=1)
    assert await catalogue.settlements(100, {1}) == []


async def test_a_directory_with_a_link_in_it_is_not_empty_and_moves_with_it(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    await link(catalogue, "/d/l", "../a")
    with pytest.raises(errors.NotEmpty):
        await catalogue.remove_directory((b"d",))
    await catalogue.rename((b"d",), (b"a", b"b", b"d"))
    assert await catalogue.settlements(100, {1}) == []
    with pytest.raises(errors.NotFound):
        leads(catalogue, "/a/b/d/l/b")  # a target counts from where the link is now


async def test_links_are_counted_apart_and_are_never_damaged(catalogue: Catalogue) -> None:
    before = catalogue.counts()
    await link(catalogue, "/l", "a")
    counts = catalogue.counts()
    assert (counts.links, counts.damaged, catalogue.damaged()) == (1, 0, [])
    assert (counts.files, counts.directories, counts.bytes) == (1, 2, before.bytes)


async def test_what_a_node_brings_under_the_name_of_a_link_is_kept_aside(catalogue: Catalogue) -> None:
    await link(catalogue, "/f", "a/b/f")
    await link(catalogue, "/dir", "a")
    found = [Found(b"dir/x", 3, 1), Found(b"f", 3, 1)]
    report = await catalogue.merge(1, found, seq=1, whole=False)
    assert report.conflicts == ["/x.conflict-n1", "/f.conflict-n1"]
    assert [entry.name for entry in catalogue.children(ROOT_ID)] == [
        *(b"a", b"dir", b"f", b"f.conflict-n1", b"x.conflict-n1")
    ]
    again = await catalogue.merge(1, found, seq=2, whole=False)
    assert (again.conflicts, again.created, again.changed) == ([], 0, 0)


@pytest.mark.parametrize("target", ["", "a\0b", "a\rb", "a\nb", "x" * 3_901])
async def test_a_target_that_can_not_be_is_refused(catalogue: Catalogue, target: str) -> None:
    with pytest.raises(errors.NameNotAllowed):
        await link(catalogue, "/l", target)


NAMES = st.sampled_from(["a", "b", "c", "d", "..", ".", ""])


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d/a", "d/b"]),
        st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(lambda target: target.strip("/")),
    ),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4),
)
def test_links_lead_where_they_do_on_a_disk(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], path: list[str]
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (disk / "d").mkdir()
    db = sqlite3.connect(":memory:")
    schema.lay(db, 0)
    tree.make_directory(db, (b"d",), file=1_000, mode=0o755, owner="ann", group="g", now_ns=0)
    relative = {at: target.lstrip("/") for at, target in links.items()}  # a disk's root isn't the tree's
    for number, (at, target) in enumerate(relative.items()):
        tree.make_link(db, parts(at), target.encode(), file=number + 3, owner="ann", group="g", now_ns=0)
        (disk / at).symlink_to(target)
    try:
        here = tree.resolve(db, parts("/".join(path)), follow=True)
    except errors.Refused:
        here = ((), None)
    try:
        there = disk.joinpath(*path).resolve(strict=True)
    except (OSError, RuntimeError):
        assert here[1] is None or ".." in "".join(links.values())  # which stays at our root
    else:
        assert not there.is_relative_to(disk) or here[0] == parts(str(there.relative_to(disk)).strip("."))
