"""READDIR and READDIRPLUS: whole lists, page by page, while the directory changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from argosy.wire.nfs.nfs3 import Procedure, Status
from calling import Caller
from memory import Memory
from packing import Unpack, opaque, u32, u64

Ask = Callable[..., Awaitable["Listed"]]


class Listed:
    """One page."""

    def __init__(self, status: Status, result: Unpack, *, plus: bool) -> None:
        self.status = status
        self.names: list[bytes] = []
        self.files: list[int] = []
        self.cookies: list[int] = []
        self.handles: list[bytes | None] = []
        self.told: list[dict[str, int] | None] = []
        result.post_op()
        if status is not Status.OK:
            result.done()
            return
        self.verifier = result.take(8)
        while result.boolean():
            self.files.append(result.u64())
            self.names.append(result.opaque())
            self.cookies.append(result.u64())
            if plus:
                self.told.append(result.post_op())
                self.handles.append(result.handle())
        self.ended = result.boolean()
        result.done()


async def page(
    caller: Caller, directory: bytes, cookie: int = 0, verifier: bytes = bytes(8), count: int = 4096
) -> Listed:
    arguments = opaque(directory) + u64(cookie) + verifier + u32(count)
    return Listed(*await caller.nfs(Procedure.READDIR, arguments), plus=False)


async def page_plus(
    caller: Caller, directory: bytes, cookie: int = 0, verifier: bytes = bytes(8), count: int = 8192
) -> Listed:
    arguments = opaque(directory) + u64(cookie) + verifier + u32(count) + u32(count)
    return Listed(*await caller.nfs(Procedure.READDIRPLUS, arguments), plus=True)


NAMES = [b"file-%03d" % number for number in range(300)]


@pytest.fixture
def filled(museum: Memory) -> Memory:
    for name in NAMES:
        museum.put(name.decode(), name)
    return museum


@pytest.mark.parametrize("ask", [page, page_plus])
@pytest.mark.parametrize("count", [512, 4096, 1 << 20])
@pytest.mark.usefixtures("filled")
async def test_all_names_come_once_whatever_the_size_of_a_page(
    ann: Caller, root: bytes, ask: Ask, count: int
) -> None:
    listed = [await ask(ann, root, count=count)]
    while not listed[-1].ended:
        last = listed[-1]
        listed.append(await ask(ann, root, last.cookies[-1], last.verifier, count))
    assert [name for one in listed for name in one.names] == [b".", b"..", *NAMES]
    cookies = [cookie for one in listed for cookie in one.cookies]
    assert len(set(cookies)) == len(cookies)
    assert 0 < min(cookies) <= max(cookies) < 2**31


async def test_no_page_is_larger_than_was_asked(ann: Caller, root: bytes, filled: Memory) -> None:
    for count in (300, 1000, 4096):
        arguments = opaque(root) + u64(0) + bytes(8) + u32(count)
        _, result = await ann.nfs(Procedure.READDIR, arguments)
        assert count - 300 < len(result._data) - 4 <= count
        _, result = await ann.nfs(Procedure.READDIRPLUS, arguments + u32(count))
        assert len(result._data) - 4 <= count
    small = opaque(root) + u64(0) + bytes(8) + u32(120)
    assert (await ann.nfs(Procedure.READDIR, small))[0] is Status.TOOSMALL
    assert (await ann.nfs(Procedure.READDIRPLUS, small + u32(200)))[0] is Status.TOOSMALL


async def test_readdirplus_brings_attributes_and_handles(ann: Caller, root: bytes, filled: Memory) -> None:
    listed = await page_plus(ann, root)
    for name, file, told, handle in zip(listed.names, listed.files, listed.told, listed.handles, strict=True):
        assert handle
        if name not in (b".", b".."):
            assert told == await ann.getattr(handle)
            assert told["file"] == file
            assert await ann.read(handle, 0, 100) == (name, True)
    assert listed.handles[0] == listed.handles[1] == root


async def test_dotdot_is_the_directory_above(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a/b/c")
    inner = await ann.lookup(root, "a/b")
    listed = await page(ann, inner)
    assert listed.names == [b".", b"..", b"c"]
    assert listed.files == [museum.at("a/b"), museum.at("a"), museum.at("a/b/c")]


@pytest.mark.parametrize("ask", [page, page_plus])
async def test_who_deletes_what_it_reads_misses_nothing(
    ann: Caller, root: bytes, filled: Memory, ask: Ask
) -> None:
    cookie, verifier, ended = 0, bytes(8), False
    while not ended:  # as `rm -r` does
        listed = await ask(ann, root, cookie, verifier, 1024)
        for name in set(listed.names) - {b".", b".."}:
            assert await ann.status(Procedure.REMOVE, opaque(root) + opaque(name)) is Status.OK
        cookie, verifier, ended = listed.cookies[-1], listed.verifier, listed.ended
    assert filled.nodes.keys() == {3}


async def test_both_kinds_of_list_go_on_from_each_others_cookies(
    ann: Caller, root: bytes, filled: Memory
) -> None:
    first = await page(ann, root, count=1024)
    rest = await page_plus(ann, root, first.cookies[-1], first.verifier, 1 << 20)
    assert first.names + rest.names == [b".", b"..", *NAMES]


async def test_a_list_can_go_on_between_dot_and_dotdot(ann: Caller, root: bytes, filled: Memory) -> None:
    first = await page(ann, root)
    dot, dotdot = first.cookies[:2]
    assert (await page(ann, root, dot, first.verifier)).names[:2] == [b"..", NAMES[0]]
    assert (await page(ann, root, dotdot, first.verifier)).names[0] == NAMES[0]


async def test_a_lost_place_is_called_a_bad_cookie(ann: Caller, root: bytes, filled: Memory) -> None:
    first = await page(ann, root)
    filled.listing += 1
    assert (await page(ann, root, first.cookies[-1], first.verifier)).status is Status.BAD_COOKIE
    assert (await page(ann, root)).status is Status.OK


async def test_an_empty_directory_has_two_names(ann: Caller, root: bytes) -> None:
    listed = await page_plus(ann, root)
    assert (listed.names, listed.ended) == ([b".", b".."], True)


async def test_a_file_has_no_list(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.txt")
    assert (await page(ann, await ann.lookup(root, "a.txt"))).status is Status.NOTDIR
