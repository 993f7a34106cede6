"""The procedures of RFC 1813, section by section, in raw bytes."""

from __future__ import annotations

import pytest

from argosy import errors
from argosy.wire.nfs import nfs3, rpc
from argosy.wire.nfs.nfs3 import Access, Procedure, Status
from calling import ROOT, STRANGER, Caller, served
from memory import Memory, MemoryMounts
from packing import Unpack, opaque, sattr3, u32, u64

UNCHECKED, GUARDED, EXCLUSIVE = range(3)
PIB = 2**50


# --- 3.3.0 to 3.3.6


async def test_null_does_nothing(ann: Caller) -> None:
    (await ann.call(nfs3.PROGRAM, nfs3.VERSION, Procedure.NULL)).done()


async def test_getattr_tells_all_of_a_file(ann: Caller, root: bytes, museum: Memory) -> None:
    file = museum.put("a.txt", b"hello")
    told = await ann.getattr(await ann.lookup(root, "a.txt"))
    node = museum.nodes[file]
    assert told == {
        "kind": 1,
        "mode": 0o644,
        "links": 1,
        "uid": 1000,
        "gid": 1000,
        "size": 5,
        "used": 5,
        "filesystem": 1,
        "file": file,
        "atime_ns": node.mtime_ns,
        "mtime_ns": node.mtime_ns,
        "ctime_ns": node.ctime_ns,
    }


async def test_setattr_sets_mode_times_and_size(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.txt", b"hello")
    handle = await ann.lookup(root, "a.txt")
    changes = sattr3(mode=0o600, size=3, mtime_ns=1_500_000_000_000_000_007, atime_ns="now")
    status, result = await ann.nfs(Procedure.SETATTR, opaque(handle) + changes + u32(0))
    assert status is Status.OK
    result.wcc()
    result.done()
    told = await ann.getattr(handle)
    assert (told["mode"], told["size"], told["mtime_ns"]) == (0o600, 3, 1_500_000_000_000_000_007)
    assert museum.content("a.txt") == b"hel"


async def test_setattr_lengthens_with_zeros(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.txt", b"hello")
    handle = await ann.lookup(root, "a.txt")
    assert await ann.status(Procedure.SETATTR, opaque(handle) + sattr3(size=8) + u32(0)) is Status.OK
    assert museum.content("a.txt") == b"hello\0\0\0"


async def test_setattr_with_a_guard_is_refused_when_the_file_was_changed(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    file = museum.put("a.txt", b"hello")
    handle = await ann.lookup(root, "a.txt")
    ctime = museum.nodes[file].ctime_ns
    guard = u32(1) + u32(ctime // 10**9) + u32(ctime % 10**9)
    assert await ann.status(Procedure.SETATTR, opaque(handle) + sattr3(size=1) + guard) is Status.OK
    refused = await ann.status(Procedure.SETATTR, opaque(handle) + sattr3(size=0) + guard)
    assert refused is Status.NOT_SYNC
    assert museum.content("a.txt") == b"h"


async def test_lookup_of_what_is_not_there_tells_the_directory(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    status, result = await ann.nfs(Procedure.LOOKUP, opaque(root) + opaque(b"nothing"))
    assert status is Status.NOENT
    told = result.post_op()
    result.done()
    assert bool(told) is museum.warm


async def test_lookup_knows_dot_and_dotdot(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a/b/c")
    inner = await ann.lookup(root, "a/b")
    assert await ann.lookup(inner, "..") == await ann.lookup(root, "a")
    assert await ann.lookup(inner, ".") == inner
    assert await ann.lookup(root, "..") == root


async def test_lookup_in_a_file_says_that_it_is_no_directory(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    museum.put("a.txt")
    handle = await ann.lookup(root, "a.txt")
    assert await ann.status(Procedure.LOOKUP, opaque(handle) + opaque(b"x")) is Status.NOTDIR


async def test_access_says_what_owners_and_strangers_may(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.txt")
    handle = await ann.lookup(root, "a.txt")
    may = {}
    for name, who in {"ann": ann.who, "root": ROOT, "stranger": STRANGER, "nobody": None}.items():
        ann.who = who
        status, result = await ann.nfs(Procedure.ACCESS, opaque(handle) + u32(0x3F))
        assert status is Status.OK
        assert result.post_op()
        may[name] = Access(result.u32())
        result.done()
    everything = Access(0x3F) & ~Access.EXECUTE
    assert may == {"ann": everything, "root": everything, "stranger": Access.READ, "nobody": Access.READ}


async def test_readlink_gives_the_target(ann: Caller, root: bytes, museum: Memory) -> None:
    made = opaque(root) + opaque(b"link") + sattr3() + opaque(b"../some/where")
    assert await ann.status(Procedure.SYMLINK, made) is Status.OK
    handle = await ann.lookup(root, "link")
    status, result = await ann.nfs(Procedure.READLINK, opaque(handle))
    assert status is Status.OK
    result.post_op()
    assert result.opaque() == b"../some/where"
    result.done()
    assert await ann.status(Procedure.READLINK, opaque(root)) is Status.INVAL


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 1000])
async def test_read_gives_the_bytes_and_says_where_the_file_ends(
    ann: Caller, root: bytes, museum: Memory, size: int
) -> None:
    data = bytes(range(256)) * 4
    museum.put("a.bin", data[:size])
    handle = await ann.lookup(root, "a.bin")
    assert await ann.read(handle, 0, 1000) == (data[:size], True)
    assert await ann.read(handle, 0, size) == (data[:size], True)
    assert await ann.read(handle, size, 10) == (b"", True)
    if size:
        assert await ann.read(handle, 0, size - 1) == (data[: size - 1], False)


async def test_read_gives_at_most_a_mebibyte(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.bin", bytes(nfs3.DATA_LIMIT + 5))
    handle = await ann.lookup(root, "a.bin")
    data, ended = await ann.read(handle, 0, 2**32 - 1)
    assert (len(data), ended) == (nfs3.DATA_LIMIT, False)


async def test_a_directory_cant_be_read_as_a_file(ann: Caller, root: bytes) -> None:
    status = await ann.status(Procedure.READ, opaque(root) + u64(0) + u32(10))
    assert status in (Status.ISDIR, Status.INVAL)


# --- 3.3.7 and 3.3.21


async def test_unstable_writes_reach_the_site_with_commit(ann: Caller, root: bytes, museum: Memory) -> None:
    handle = await ann.create(root, "a.bin")
    file = museum.at("a.bin")
    second = await ann.write(handle, 4, b"5678")
    first = await ann.write(handle, 0, b"1234")
    assert first == second == (4, 0, museum.verifier)
    assert file not in museum.flushed
    status, result = await ann.nfs(Procedure.COMMIT, opaque(handle) + u64(0) + u32(0))
    assert status is Status.OK
    result.wcc()
    assert result.take(8) == museum.verifier
    result.done()
    assert museum.flushed[file] == b"12345678"


@pytest.mark.parametrize("stable", [1, 2])
async def test_a_stable_write_is_answered_when_the_site_has_it(
    ann: Caller, root: bytes, museum: Memory, stable: int
) -> None:
    handle = await ann.create(root, "a.bin")
    assert await ann.write(handle, 0, b"all of it", stable) == (9, 2, museum.verifier)
    assert museum.flushed[museum.at("a.bin")] == b"all of it"


async def test_a_write_behind_the_end_leaves_zeros(ann: Caller, root: bytes, museum: Memory) -> None:
    handle = await ann.create(root, "a.bin")
    await ann.write(handle, 3, b"x")
    assert museum.content("a.bin") == b"\0\0\0x"


async def test_a_mebibyte_is_written_at_once(ann: Caller, root: bytes, museum: Memory) -> None:
    handle = await ann.create(root, "a.bin")
    data = bytes(range(256)) * 4096
    assert (await ann.write(handle, 0, data))[0] == len(data)
    assert museum.content("a.bin") == data


async def test_no_file_can_be_larger_than_can_be_counted(ann: Caller, root: bytes) -> None:
    handle = await ann.create(root, "a.bin")
    arguments = opaque(handle) + u64(2**63 - 1) + u32(1) + u32(0) + opaque(b"x")
    assert await ann.status(Procedure.WRITE, arguments) is Status.FBIG
    arguments = opaque(handle) + sattr3(size=2**63) + u32(0)
    assert await ann.status(Procedure.SETATTR, arguments) is Status.FBIG
    for name in (b"a.bin", b"new"):
        arguments = opaque(root) + opaque(name) + u32(0) + sattr3(size=2**63)
        assert await ann.status(Procedure.CREATE, arguments) is Status.FBIG


async def test_the_verifier_says_that_the_gateway_began_anew(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    handle = await ann.create(root, "a.bin")
    _, _, before = await ann.write(handle, 0, b"x")
    museum.restart()
    _, _, after = await ann.write(handle, 0, b"x")
    assert before != after


# --- 3.3.8 to 3.3.11


async def test_create_unchecked_takes_the_file_that_is_there(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    museum.put("a.txt", b"hello")
    assert await ann.create(root, "a.txt", mode=0o600) == await ann.lookup(root, "a.txt")
    assert museum.content("a.txt") == b"hello"
    await ann.create(root, "a.txt", size=0)
    assert museum.content("a.txt") == b""


async def test_create_guarded_refuses_the_file_that_is_there(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    await ann.create(root, "a.txt", how=GUARDED, mode=0o640)
    assert museum.nodes[museum.at("a.txt")].mode == 0o640
    arguments = opaque(root) + opaque(b"a.txt") + u32(GUARDED) + sattr3()
    assert await ann.status(Procedure.CREATE, arguments) is Status.EXIST


async def test_create_exclusive_is_the_same_file_for_who_asks_again(ann: Caller, root: bytes) -> None:
    async def exclusive(verifier: bytes) -> tuple[Status, Unpack]:
        arguments = opaque(root) + opaque(b"lock") + u32(EXCLUSIVE) + verifier
        return await ann.nfs(Procedure.CREATE, arguments)

    status, first = await exclusive(b"verifier")
    assert status is Status.OK
    status, second = await exclusive(b"verifier")  # another xid: no reply that was kept
    assert status is Status.OK
    assert first.handle() == second.handle()
    assert (await exclusive(b"another."))[0] is Status.EXIST


async def test_mkdir_makes_a_directory_once(ann: Caller, root: bytes, museum: Memory) -> None:
    arguments = opaque(root) + opaque(b"d") + sattr3(mode=0o700)
    status, result = await ann.nfs(Procedure.MKDIR, arguments)
    assert status is Status.OK
    handle = result.handle()
    assert handle
    assert await ann.getattr(handle) == (await ann.getattr(handle) | {"kind": 2, "mode": 0o700})
    assert museum.at("d")
    assert await ann.status(Procedure.MKDIR, arguments) is Status.EXIST


async def test_a_site_without_links_says_perm(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.links = False
    arguments = opaque(root) + opaque(b"l") + sattr3() + opaque(b"x")
    assert await ann.status(Procedure.SYMLINK, arguments) is Status.PERM


@pytest.mark.parametrize(("kind", "status"), [(3, "PERM"), (4, "PERM"), (6, "PERM"), (7, "PERM")])
async def test_there_are_no_devices_pipes_and_sockets(
    ann: Caller, root: bytes, kind: int, status: str
) -> None:
    rest = sattr3() + (u64(5) if kind in (3, 4) else b"")
    arguments = opaque(root) + opaque(b"node") + u32(kind) + rest
    assert await ann.status(Procedure.MKNOD, arguments) is Status[status]


async def test_mknod_makes_no_plain_files(ann: Caller, root: bytes) -> None:
    arguments = opaque(root) + opaque(b"node") + u32(1)
    assert await ann.status(Procedure.MKNOD, arguments) is Status.BADTYPE


# --- 3.3.12 to 3.3.15


async def test_remove_takes_files_and_links_and_no_directories(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    museum.put("d/a.txt")
    museum.put("b.txt")
    handle = await ann.lookup(root, "b.txt")
    assert await ann.status(Procedure.REMOVE, opaque(root) + opaque(b"b.txt")) is Status.OK
    assert await ann.status(Procedure.REMOVE, opaque(root) + opaque(b"b.txt")) is Status.NOENT
    assert await ann.status(Procedure.REMOVE, opaque(root) + opaque(b"d")) is Status.ISDIR
    assert await ann.status(Procedure.GETATTR, opaque(handle)) is Status.STALE


async def test_rmdir_takes_empty_directories_only(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("d/a.txt")
    assert await ann.status(Procedure.RMDIR, opaque(root) + opaque(b"d")) is Status.NOTEMPTY
    inner = await ann.lookup(root, "d")
    assert await ann.status(Procedure.RMDIR, opaque(inner) + opaque(b"a.txt")) is Status.NOTDIR
    assert await ann.status(Procedure.REMOVE, opaque(inner) + opaque(b"a.txt")) is Status.OK
    assert await ann.status(Procedure.RMDIR, opaque(root) + opaque(b"d")) is Status.OK


async def test_rename_keeps_the_handle_and_replaces_what_is_there(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    museum.put("a.txt", b"new")
    museum.put("d/b.txt", b"old")
    handle, inner = await ann.lookup(root, "a.txt"), await ann.lookup(root, "d")
    old = await ann.lookup(inner, "b.txt")
    arguments = opaque(root) + opaque(b"a.txt") + opaque(inner) + opaque(b"b.txt")
    status, result = await ann.nfs(Procedure.RENAME, arguments)
    assert status is Status.OK
    (before, after), (to_before, to_after) = result.wcc(), result.wcc()
    result.done()
    if museum.warm:
        assert before
        assert after
        assert to_before
        assert to_after
    assert await ann.lookup(inner, "b.txt") == handle
    assert await ann.read(handle, 0, 10) == (b"new", True)
    assert await ann.status(Procedure.GETATTR, opaque(old)) is Status.STALE


async def test_a_directory_isnt_moved_into_itself(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("d/e/x")
    inner = await ann.lookup(root, "d/e")
    arguments = opaque(root) + opaque(b"d") + opaque(inner) + opaque(b"d")
    assert await ann.status(Procedure.RENAME, arguments) is Status.INVAL


async def test_there_are_no_hard_links(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.txt")
    handle = await ann.lookup(root, "a.txt")
    status, result = await ann.nfs(Procedure.LINK, opaque(handle) + opaque(root) + opaque(b"b.txt"))
    assert status is Status.PERM
    result.post_op()
    result.wcc()
    result.done()


# --- 3.3.18 to 3.3.20


async def test_fsstat_tells_the_sites_room(ann: Caller, root: bytes) -> None:
    status, result = await ann.nfs(Procedure.FSSTAT, opaque(root))
    assert status is Status.OK
    result.post_op()
    assert [result.u64() for _ in range(3)] == [1_000_000, 400_000, 400_000]
    assert all(result.u64() > 0 for _ in range(3))
    result.u32()
    result.done()


async def test_fsinfo_tells_what_we_can(ann: Caller, root: bytes) -> None:
    status, result = await ann.nfs(Procedure.FSINFO, opaque(root))
    assert status is Status.OK
    assert result.post_op()
    read_most, read_best, _, write_most, write_best, _, listing = (result.u32() for _ in range(7))
    assert (read_most, read_best, write_most, write_best) == (2**20,) * 4
    assert listing >= 4096
    assert result.u64() == 2**63 - 1
    assert result.time() == 10**9, "sites keep seconds"
    assert result.u32() == 0x1A, "symbolic links, one kind of files, times can be set; no hard links"
    result.done()


async def test_pathconf_tells_what_names_may_be(ann: Caller, root: bytes) -> None:
    status, result = await ann.nfs(Procedure.PATHCONF, opaque(root))
    assert status is Status.OK
    assert result.post_op()
    assert [result.u32() for _ in range(6)] == [1, 255, 1, 1, 0, 1]
    result.done()


# --- names


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0b", b"a\rDELE b", b"a\nDELE b"])
async def test_a_name_that_would_be_more_than_a_name_is_refused(
    ann: Caller, root: bytes, museum: Memory, name: bytes
) -> None:
    museum.put("a.txt")
    there = museum.nodes.copy()
    refused = {Status.INVAL, Status.EXIST}
    where = opaque(root) + opaque(name)
    assert await ann.status(Procedure.CREATE, where + u32(0) + sattr3()) in refused
    assert await ann.status(Procedure.MKDIR, where + sattr3()) in refused
    assert await ann.status(Procedure.SYMLINK, where + sattr3() + opaque(b"x")) in refused
    assert await ann.status(Procedure.REMOVE, where) is Status.INVAL
    assert await ann.status(Procedure.RMDIR, where) is Status.INVAL
    whole = opaque(root) + opaque(b"a.txt")
    assert await ann.status(Procedure.RENAME, whole + where) is Status.INVAL
    assert await ann.status(Procedure.RENAME, where + whole) is Status.INVAL
    if name not in (b".", b".."):
        assert await ann.status(Procedure.LOOKUP, where) is Status.NOENT
    assert museum.nodes == there


@pytest.mark.parametrize("target", [b"", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_link_leads_to_no_second_command(ann: Caller, root: bytes, target: bytes) -> None:
    arguments = opaque(root) + opaque(b"l") + sattr3() + opaque(target)
    assert await ann.status(Procedure.SYMLINK, arguments) is Status.INVAL


async def test_names_of_any_other_bytes_are_kept_as_they_are(ann: Caller, root: bytes) -> None:
    name = bytes(set(range(1, 256)) - set(b"/\r\n"))[:255]
    arguments = opaque(root) + opaque(name) + u32(0) + sattr3()
    status, result = await ann.nfs(Procedure.CREATE, arguments)
    assert status is Status.OK
    handle = result.handle()
    status, result = await ann.nfs(Procedure.LOOKUP, opaque(root) + opaque(name))
    assert (status, result.opaque()) == (Status.OK, handle)


async def test_what_macos_leaves_everywhere_can_be_kept_off_the_site(mounts: MemoryMounts) -> None:
    async with served(mounts, unwanted=("._*", ".DS_Store")) as port, await Caller.connect(port) as ann:
        root = await ann.mount("/museum")
        for name in (b"._a.txt", b"._", b".DS_Store"):
            where = opaque(root) + opaque(name)
            assert await ann.status(Procedure.CREATE, where + u32(0) + sattr3()) is Status.ACCES
            assert await ann.status(Procedure.MKDIR, where + sattr3()) is Status.ACCES
            assert await ann.status(Procedure.LOOKUP, where) is Status.NOENT
        await ann.create(root, "a._b")
        moved = opaque(root) + opaque(b"a._b") + opaque(root) + opaque(b"._c")
        assert await ann.status(Procedure.RENAME, moved) is Status.ACCES


async def test_too_long_a_name_is_called_that(ann: Caller, root: bytes) -> None:
    where = opaque(root) + opaque(b"x" * 256)
    assert await ann.status(Procedure.LOOKUP, where) is Status.NAMETOOLONG
    assert await ann.status(Procedure.CREATE, where + u32(0) + sattr3()) is Status.NAMETOOLONG
    assert await ann.status(Procedure.REMOVE, where) is Status.NAMETOOLONG


# --- handles, rights, refusals


async def test_a_forged_handle_is_refused_everywhere(ann: Caller, root: bytes) -> None:
    forged = opaque(root[:-1] + bytes([root[-1] ^ 1]))
    name, change = opaque(b"x"), sattr3()
    calls = {
        Procedure.GETATTR: forged,
        Procedure.SETATTR: forged + change + u32(0),
        Procedure.LOOKUP: forged + name,
        Procedure.ACCESS: forged + u32(1),
        Procedure.READLINK: forged,
        Procedure.READ: forged + u64(0) + u32(1),
        Procedure.WRITE: forged + u64(0) + u32(1) + u32(0) + opaque(b"x"),
        Procedure.CREATE: forged + name + u32(0) + change,
        Procedure.MKDIR: forged + name + change,
        Procedure.SYMLINK: forged + name + change + name,
        Procedure.MKNOD: forged + name + u32(7) + change,
        Procedure.REMOVE: forged + name,
        Procedure.RMDIR: forged + name,
        Procedure.RENAME: forged + name + opaque(root) + name,
        Procedure.LINK: forged + opaque(root) + name,
        Procedure.READDIR: forged + u64(0) + bytes(8) + u32(4096),
        Procedure.READDIRPLUS: forged + u64(0) + bytes(8) + u32(4096) * 2,
        Procedure.FSSTAT: forged,
        Procedure.FSINFO: forged,
        Procedure.PATHCONF: forged,
        Procedure.COMMIT: forged + u64(0) + u32(0),
    }
    assert calls.keys() == set(Procedure) - {Procedure.NULL}
    for procedure, arguments in calls.items():
        status, result = await ann.nfs(procedure, arguments)
        assert status is Status.BADHANDLE, procedure
        for _ in range({Procedure.GETATTR: 0, Procedure.LINK: 3, Procedure.RENAME: 4}.get(procedure, 1)):
            result.boolean()
    assert await ann.status(Procedure.GETATTR, opaque(b"")) is Status.BADHANDLE
    moved = opaque(root) + name + forged + name
    assert await ann.status(Procedure.RENAME, moved) is Status.BADHANDLE


async def test_nothing_is_moved_between_mounts(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.put("a.txt")
    other = await ann.mount("/archive")
    arguments = opaque(root) + opaque(b"a.txt") + opaque(other) + opaque(b"a.txt")
    assert await ann.status(Procedure.RENAME, arguments) is Status.XDEV


async def test_mounts_see_their_own_files_only(ann: Caller, root: bytes, mounts: MemoryMounts) -> None:
    mounts["/museum"].put("a.txt", b"museum")
    mounts["/archive"].put("a.txt", b"archive")
    for export, handle in {"museum": root, "archive": await ann.mount("/archive")}.items():
        assert await ann.read(await ann.lookup(handle, "a.txt"), 0, 100) == (export.encode(), True)


async def test_strangers_are_held_to_the_mode(ann: Caller, root: bytes, museum: Memory) -> None:
    museum.nodes[museum.put("secret/a.txt", b"x")].mode = 0o600
    museum.put("open.txt", b"y")
    secret, opened = await ann.lookup(root, "secret"), await ann.lookup(root, "open.txt")
    closed = await ann.lookup(secret, "a.txt")
    museum.nodes[museum.at("secret")].mode = 0o700
    museum._packed.clear()
    ann.who = STRANGER
    name = opaque(b"x")
    write = u64(0) + u32(1) + u32(0) + opaque(b"x")
    denied = {
        "lookup": await ann.status(Procedure.LOOKUP, opaque(secret) + opaque(b"a.txt")),
        "list": await ann.status(Procedure.READDIR, opaque(secret) + u64(0) + bytes(8) + u32(4096)),
        "read": await ann.status(Procedure.READ, opaque(closed) + u64(0) + u32(1)),
        "write": await ann.status(Procedure.WRITE, opaque(opened) + write),
        "truncate": await ann.status(Procedure.SETATTR, opaque(opened) + sattr3(size=0) + u32(0)),
        "create": await ann.status(Procedure.CREATE, opaque(root) + name + u32(0) + sattr3()),
        "take": await ann.status(
            Procedure.CREATE, opaque(root) + opaque(b"open.txt") + u32(0) + sattr3(size=0)
        ),
        "mkdir": await ann.status(Procedure.MKDIR, opaque(root) + name + sattr3()),
        "remove": await ann.status(Procedure.REMOVE, opaque(root) + opaque(b"open.txt")),
        "rename": await ann.status(
            Procedure.RENAME, opaque(root) + opaque(b"open.txt") + opaque(root) + name
        ),
    }
    assert set(denied.values()) == {Status.ACCES}, denied
    chmod = await ann.status(Procedure.SETATTR, opaque(opened) + sattr3(mode=0o666) + u32(0))
    utime = await ann.status(Procedure.SETATTR, opaque(opened) + sattr3(mtime_ns=7) + u32(0))
    assert (chmod, utime) == (Status.PERM, Status.PERM)
    assert await ann.read(opened, 0, 10) == (b"y", True)
    assert museum.content("open.txt") == b"y"


async def test_whose_login_it_is_may_do_what_the_site_lets_it_whoever_owns_the_files(
    ann: Caller, root: bytes, museum: Memory
) -> None:
    for file in (museum.put("a.txt", b"x"), museum.at("")):
        museum.nodes[file].uid = 33  # as the site says
    handle = await ann.lookup(root, "a.txt")
    await ann.write(handle, 0, b"y")
    assert await ann.status(Procedure.SETATTR, opaque(handle) + sattr3(mode=0o600) + u32(0)) is Status.OK
    assert await ann.status(Procedure.REMOVE, opaque(root) + opaque(b"a.txt")) is Status.OK


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (errors.NoSpace(), Status.NOSPC),
        (errors.OverQuota(), Status.DQUOT),
        (errors.Denied(), Status.ACCES),
        (errors.LoginFailed(), Status.ACCES),
        (errors.TransferCut(), Status.IO),
        (errors.Unavailable(), Status.JUKEBOX),
        (errors.Unsupported(), Status.PERM),
        (RuntimeError("a bug"), Status.SERVERFAULT),
    ],
)
async def test_what_goes_wrong_on_the_site_is_told_in_commit(
    ann: Caller, root: bytes, museum: Memory, trouble: Exception, status: Status
) -> None:
    handle = await ann.create(root, "a.bin")
    museum.trouble["flush"] = trouble
    refused, result = await ann.nfs(Procedure.COMMIT, opaque(handle) + u64(0) + u32(0))
    assert refused is status
    result.wcc()
    result.done()
    museum.trouble.clear()
    assert await ann.status(Procedure.COMMIT, opaque(handle) + u64(0) + u32(0)) is Status.OK


# --- programs, versions


async def test_other_programs_are_unavailable(ann: Caller) -> None:
    with pytest.raises(rpc.Refused, match="PROG_UNAVAIL"):
        await ann.call(100_227, 3, 0)  # NFSACL, which Linux looks for on the same port


@pytest.mark.parametrize("version", [2, 4])
async def test_other_versions_hear_which_there_is(ann: Caller, version: int) -> None:
    for program in (100_003, 100_005):
        with pytest.raises(rpc.Refused, match="PROG_MISMATCH"):
            await ann.call(program, version, 0)


async def test_there_are_22_procedures(ann: Caller) -> None:
    with pytest.raises(rpc.Refused, match="PROC_UNAVAIL"):
        await ann.call(nfs3.PROGRAM, nfs3.VERSION, 22)
    with pytest.raises(rpc.Refused, match="PROC_UNAVAIL"):
        await ann.desk(6)


async def test_arguments_that_are_none_are_called_garbage(ann: Caller, root: bytes) -> None:
    for procedure in set(Procedure) - {Procedure.NULL}:
        with pytest.raises(rpc.Refused, match="GARBAGE_ARGS"):
            await ann.nfs(procedure, opaque(root)[:-1])
    assert await ann.getattr(root), "the connection lives on"
