"""One mount of every server: what a program does with files comes out as on a disk."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.errors import (
    BadArgument,
    Exists,
    IsADirectory,
    LoginFailed,
    NameNotAllowed,
    NotADirectory,
    NotEmpty,
    NotFound,
    Stale,
    Unsupported,
)
from argosy.sites.model import Changes, Kind
from argosy.sites.storage import Storage
from contract.storing import UID, clear, content, mounted, names
from servers import Server

SECOND = 1_000_000_000
NOTHING = Changes()


@pytest.fixture
async def storage(peer: Server, tmp_path: Path) -> AsyncIterator[Storage]:
    async with mounted(peer, tmp_path) as storage:
        await clear(storage, storage.root)
        yield storage


async def put(storage: Storage, name: bytes, data: bytes, directory: int | None = None) -> int:
    """Make a file, as cp does."""
    made = await storage.create(directory or storage.root, name, NOTHING)
    await storage.write(made.file, 0, memoryview(data))
    await storage.flush(made.file)
    return made.file


async def test_a_file_is_written_and_read_again_by_another_mount(
    storage: Storage, peer: Server, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    file = await put(storage, b"a file", data)
    assert await content(storage, file) == data
    async with mounted(peer, tmp_path / "other") as other:
        there = await other.child(other.root, b"a file")
        assert (there.size, there.kind, there.uid) == (len(data), Kind.FILE, there.uid)
        assert await content(other, there.file) == data
        pieces, ended = await other.read(there.file, 2_999_990, 100)
        assert (b"".join(pieces), ended) == (data[-10:], True)
        assert await other.read(there.file, 5_000_000, 10) == ([], True)


async def test_names_of_any_language_and_with_spaces_come_back_as_they_were(storage: Storage) -> None:
    wanted = [
        b"a b",
        "grüße".encode(),
        "日本".encode(),
        b" leading",
        b"'quoted' \"twice\"",
        b"-dash",
        b".dot",
    ]
    wanted.append(b"x" * 200)
    for name in wanted:
        await put(storage, name, name)
    storage._tree.known.doubt((await storage.child(storage.root, b"a b")).file)
    assert sorted(await names(storage, storage.root)) == sorted(wanted)
    for name in wanted:
        assert await content(storage, (await storage.child(storage.root, name)).file) == name


async def test_a_tree_is_made_moved_and_removed(storage: Storage) -> None:
    root = storage.root
    one = await storage.make_directory(root, b"one", NOTHING)
    two = await storage.make_directory(one.file, b"two", NOTHING)
    file = await put(storage, b"f", b"content", two.file)
    with pytest.raises(Exists):
        await storage.make_directory(root, b"one", NOTHING)
    with pytest.raises(NotEmpty):
        await storage.remove_directory(one.file, b"two")
    with pytest.raises(BadArgument):
        await storage.rename(root, b"one", two.file, b"in itself")
    await storage.rename(one.file, b"two", root, b"three")
    assert (await storage.attributes(file)).parent == two.file
    assert await content(storage, file) == b"content"
    assert await names(storage, one.file) == []
    assert sorted(await names(storage, root)) == [b"one", b"three"]
    assert (await storage.child(two.file, b"..")).file == root
    with pytest.raises(IsADirectory):
        await storage.remove(root, b"three")
    with pytest.raises(NotADirectory):
        await storage.remove_directory(two.file, b"f")
    await storage.remove(two.file, b"f")
    await storage.remove_directory(root, b"three")
    with pytest.raises(NotFound):
        await storage.child(root, b"three")
    for gone in (file, two.file):
        with pytest.raises(Stale):
            await storage.attributes(gone)


async def test_an_editor_saves_by_renaming_over_the_old_file(storage: Storage) -> None:
    root = storage.root
    old = await put(storage, b"notes", b"the old text")
    new = await put(storage, b"notes.tmp", b"the new text, which is longer")
    await storage.rename(root, b"notes.tmp", root, b"notes")
    assert await names(storage, root) == [b"notes"]
    assert await content(storage, new) == b"the new text, which is longer"
    with pytest.raises(Stale):
        await storage.attributes(old)
    # and without waiting for the site
    draft = await storage.create(root, b"draft", NOTHING)
    await storage.write(draft.file, 0, b"third")
    await storage.rename(root, b"draft", root, b"notes")
    assert await content(storage, (await storage.child(root, b"notes")).file) == b"third"


async def test_a_directory_takes_the_place_of_an_empty_one_only(storage: Storage) -> None:
    root = storage.root
    full = await storage.make_directory(root, b"full", NOTHING)
    await put(storage, b"f", b"x", full.file)
    await storage.make_directory(root, b"empty", NOTHING)
    await put(storage, b"file", b"x")
    with pytest.raises(NotADirectory):
        await storage.rename(root, b"full", root, b"file")
    with pytest.raises(IsADirectory):
        await storage.rename(root, b"file", root, b"empty")
    await storage.rename(root, b"full", root, b"empty")
    assert await names(storage, full.file) == [b"f"]
    await storage.make_directory(root, b"another", NOTHING)
    with pytest.raises(NotEmpty):
        await storage.rename(root, b"another", root, b"empty")


async def test_times_are_kept_to_the_nanosecond_and_survive_a_restart(
    storage: Storage, peer: Server, tmp_path: Path
) -> None:
    file = await put(storage, b"dated", b"x" * 10)
    directory = await storage.make_directory(storage.root, b"d", NOTHING)
    told = 1_600_000_000 * SECOND + 123_456_789
    for each in (file, directory.file):
        assert (await storage.change(each, Changes(mtime_ns=told))).mtime_ns == told
    await asyncio.sleep(0.1)
    async with mounted(peer, tmp_path) as again:
        assert (await again.attributes(file)).mtime_ns == told
        assert (await again.attributes(directory.file)).mtime_ns == told
        # while the file is as it was
        await again.write(file, 0, b"y" * 11)
        await again.flush(file)
        assert abs((await again.attributes(file)).mtime_ns - time.time_ns()) < 100 * SECOND


async def test_modes_are_set_where_the_site_can(storage: Storage, peer: Server) -> None:
    file = await put(storage, b"script", b"#!/bin/sh\n")
    before = (await storage.attributes(file)).mode
    assert (await storage.change(file, Changes(mode=before))).mode == before
    try:
        changed = await storage.change(file, Changes(mode=0o755))
    except Unsupported:
        assert peer.name == "vsftpd", "its anonymous user may not"
    else:
        assert changed.mode == 0o755
        storage._tree.known.doubt(file)
        assert (await storage.attributes(file)).mode == 0o755
    with pytest.raises(Unsupported):
        await storage.change(file, Changes(uid=UID + 1))


async def test_a_file_can_be_made_with_a_mode_on_a_site_that_sets_none(storage: Storage) -> None:
    for number, directory in enumerate([storage.root, storage.root]):
        # as Linux opens a file with O_CREAT | O_EXCL: if the second fails, so does open
        made = await storage.create(directory, b"f%d" % number, NOTHING, exclusive=b"verifier")
        await storage.change(made.file, Changes(mode=0o755, mtime_ns="now"))
        await storage.write(made.file, 0, b"#!/bin/sh")
        await storage.flush(made.file)
        assert await content(storage, made.file) == b"#!/bin/sh"


async def test_an_exclusive_creation_is_done_once_however_often_it_is_asked_for(
    storage: Storage, peer: Server, tmp_path: Path
) -> None:
    root = storage.root
    made = await storage.create(root, b"lock", NOTHING, exclusive=b"verifier")
    again = await storage.create(root, b"lock", NOTHING, exclusive=b"verifier")
    assert made.file == again.file
    with pytest.raises(Exists):
        await storage.create(root, b"lock", NOTHING, exclusive=b"another!")
    with pytest.raises(Exists):
        await storage.create(root, b"lock", NOTHING, guarded=True)
    assert (await storage.create(root, b"lock", NOTHING)).file == made.file
    await storage.flush(made.file)
    async with mounted(peer, tmp_path) as later:
        assert (await later.create(root, b"lock", NOTHING, exclusive=b"verifier")).file == made.file


async def test_a_save_can_be_a_truncation_and_a_write(storage: Storage) -> None:
    file = await put(storage, b"f", b"long old content")
    assert (await storage.create(storage.root, b"f", Changes(size=0))).size == 0
    await storage.write(file, 0, b"new")
    assert await content(storage, file) == b"new"
    await storage.flush(file)
    assert await content(storage, file) == b"new"
    assert (await storage.change(file, Changes(size=6))).size == 6
    await storage.write(file, 8, b"end")
    assert await content(storage, file) == b"new\0\0\0\0\0end"
    await storage.flush(file)
    storage._tree.known.doubt(file)
    assert await content(storage, file) == b"new\0\0\0\0\0end"


async def test_an_empty_file_is_on_the_site_soon(storage: Storage, peer: Server, tmp_path: Path) -> None:
    await storage.create(storage.root, b"first", NOTHING)
    await storage.create(storage.root, b"touched", NOTHING)
    async with mounted(peer, tmp_path / "other", listing_seconds=0.1) as other:
        for _ in range(100):
            if b"touched" in await names(other, other.root):
                break
            await asyncio.sleep(0.1)
        assert (await other.child(other.root, b"touched")).size == 0


async def test_what_is_no_name_reaches_no_command(storage: Storage) -> None:
    root = storage.root
    for name in (b"", b".", b"..", b"a/b", b"a\r\nDELE f", b"a\nb", b"a\0", b"x" * 256, b".argosy-1.part"):
        with pytest.raises(NameNotAllowed):
            await storage.create(root, name, NOTHING)
    with pytest.raises(NameNotAllowed):
        await storage.make_directory(root, b"a\r\nb", NOTHING)
    await put(storage, b"f", b"x")
    with pytest.raises(NameNotAllowed):
        await storage.rename(root, b"f", root, b"a\r\nb")
    with pytest.raises(NotFound):
        await storage.child(root, b"a\r\nDELE f")
    with pytest.raises(NotADirectory):
        await storage.child((await storage.child(root, b"f")).file, b"below")


async def test_what_was_not_flushed_is_on_the_site_after_a_restart(
    storage: Storage, peer: Server, tmp_path: Path
) -> None:
    made = await storage.create(storage.root, b"f", NOTHING)
    await storage.write(made.file, 0, b"written, and not flushed")
    await storage.close()
    async with mounted(peer, tmp_path) as again:
        assert await content(again, made.file) == b"written, and not flushed"
    async with mounted(peer, tmp_path / "other") as other:
        there = await other.child(other.root, b"f")
        assert await content(other, there.file) == b"written, and not flushed"


async def test_a_symbolic_link_is_made_where_the_site_can(storage: Storage, peer: Server) -> None:
    await put(storage, b"f", b"x")
    try:
        made = await storage.make_link(storage.root, b"link", b"f", NOTHING)
    except Unsupported:
        assert peer.name != "Argosy", "only where the server can't, or makes others than it was asked for"
        return
    assert made.kind is Kind.LINK
    assert await storage.read_link(made.file) == b"f"
    storage._tree.known.targets.clear()
    assert await storage.read_link(made.file) == b"f"
    await storage.remove(storage.root, b"link")
    assert await names(storage, storage.root) == [b"f"]


async def test_a_wrong_password_is_no_mount(peer: Server, tmp_path: Path) -> None:
    taken = peer.name == "vsftpd"  # its anonymous user has any password: see servers.vsftpd
    with contextlib.nullcontext() if taken else pytest.raises(LoginFailed):
        async with mounted(dataclasses.replace(peer, password="wrong"), tmp_path):
            pass
