"""What the 22 procedures answer: to the byte where the RFC fixes it, and as a client reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import packing
from argosy.wire.nfs import nfs3, results
from argosy.wire.nfs.nfs3 import Procedure, Status

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
HANDLE = st.binary(max_size=64)
NAME = st.binary(min_size=1, max_size=255)
NS = st.integers(0, (2**32 - 1) * 10**9)

FACTS = {
    "kind": 1,
    "mode": 0o644,
    "links": 1,
    "uid": 1000,
    "gid": 1001,
    "size": 5,
    "used": 4096,
    "filesystem": 7,
    "file": 42,
    "atime_ns": 1_500_000_000,
    "mtime_ns": 2 * 10**9,
    "ctime_ns": 3_000_000_003,
}
PACKED = nfs3.pack_attributes(**FACTS)
GOLDEN = (
    "00000001 000001a4 00000001 000003e8 000003e9 0000000000000005 0000000000001000 0000000000000000 "
    "0000000000000007 000000000000002a 00000001 1dcd6500 00000002 00000000 00000003 00000003"
)
VERIFIER = b"verifier"


def told(data: bytes) -> packing.Unpack:
    """The result after a status of OK."""
    source = packing.Unpack(data)
    assert source.u32() == Status.OK
    return source


def test_attributes_are_84_bytes_in_rfc_order() -> None:
    assert bytes.fromhex(GOLDEN) == PACKED
    assert len(PACKED) == nfs3.ATTRIBUTES_SIZE == 84


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("kind", "mode", "links", "uid", "gid"), U32)
        | dict.fromkeys(("size", "used", "filesystem", "file"), U64)
        | dict.fromkeys(("atime_ns", "mtime_ns", "ctime_ns"), NS)
    )
)
def test_attributes_come_out_as_they_went_in(facts: dict[str, int]) -> None:
    assert packing.Unpack(nfs3.pack_attributes(**facts)).fattr3() == facts


@pytest.mark.parametrize(
    ("ns", "seen"),
    [(-1, 0), (-(10**20), 0), (2**32 * 10**9, (2**32 - 1) * 10**9 + 999_999_999), (2**32 * 10**9 - 1, None)],
)
def test_a_time_that_cant_be_told_is_told_as_the_nearest(ns: int, seen: int | None) -> None:
    packed = nfs3.pack_attributes(**FACTS | {"mtime_ns": ns})
    assert packing.Unpack(packed).fattr3()["mtime_ns"] == (ns if seen is None else seen)


def test_what_a_file_was_before_is_24_bytes() -> None:
    before = nfs3.pack_before(5, 2 * 10**9, 3_000_000_003)
    assert before == bytes.fromhex("0000000000000005 00000002 00000000 00000003 00000003")
    assert packing.Unpack(nfs3.wcc(before, PACKED)).wcc() == ((5, 2 * 10**9, 3_000_000_003), FACTS)
    assert nfs3.wcc(None, None) == bytes(8)


def test_getattr_is_status_and_attributes() -> None:
    assert results.getattr3(PACKED) == bytes.fromhex("00000000" + GOLDEN)


@pytest.mark.parametrize("change", [results.setattr3, results.remove3, results.rmdir3])
def test_changes_answer_how_it_was_and_is(change: Callable[[bytes], bytes]) -> None:
    source = told(change(nfs3.wcc(None, PACKED)))
    assert source.wcc() == (None, FACTS)
    source.done()


@pytest.mark.parametrize("known", [None, PACKED], ids=["untold", "told"])
def test_what_tells_attributes_tells_them_or_not(known: bytes | None) -> None:
    facts = FACTS if known else None
    wcc = nfs3.wcc(None, known)
    source = told(results.lookup3(b"handle!", known, known))
    assert (source.opaque(), source.post_op(), source.post_op()) == (b"handle!", facts, facts)
    source.done()
    source = told(results.access3(known, 0x1F))
    assert (source.post_op(), source.u32()) == (facts, 0x1F)
    source.done()
    source = told(results.readlink3(known, b"../x"))
    assert (source.post_op(), source.opaque()) == (facts, b"../x")
    source.done()
    source = told(results.write3(wcc, 3, 2, VERIFIER))
    assert (source.wcc(), source.u32(), source.u32(), source.take(8)) == ((None, facts), 3, 2, VERIFIER)
    source.done()
    source = told(results.rename3(wcc, nfs3.wcc(None, None)))
    assert (source.wcc(), source.wcc()) == ((None, facts), (None, None))
    source.done()
    source = told(results.link3(known, wcc))
    assert (source.post_op(), source.wcc()) == (facts, (None, facts))
    source.done()
    source = told(results.commit3(wcc, VERIFIER))
    assert (source.wcc(), source.take(8)) == ((None, facts), VERIFIER)
    source.done()


@pytest.mark.parametrize("make", [results.create3, results.mkdir3, results.symlink3, results.mknod3])
@pytest.mark.parametrize("handle", [None, b"handle!"])
def test_what_was_made_is_told_or_not(
    make: Callable[[bytes | None, bytes | None, bytes], bytes], handle: bytes | None
) -> None:
    source = told(make(handle, PACKED, nfs3.wcc(None, None)))
    assert (source.handle(), source.post_op(), source.wcc()) == (handle, FACTS, (None, None))
    source.done()


@given(st.lists(st.binary(max_size=9), max_size=4), st.booleans())
def test_what_is_read_comes_in_pieces_that_arent_copied(data: list[bytes], ended: bool) -> None:
    views = [memoryview(piece) for piece in data]
    pieces = results.read3(PACKED, sum(map(len, data)), views, ended=ended)
    assert all(piece is view for piece, view in zip(pieces[1:], views, strict=False))
    source = told(b"".join(pieces))
    assert source.post_op() == FACTS
    assert source.u32() == len(b"".join(data))
    assert source.boolean() == ended
    assert source.opaque() == b"".join(data)
    source.done()


ENTRIES = st.lists(st.tuples(U64, NAME, U64, st.none() | st.just(PACKED), st.none() | HANDLE), max_size=12)


@given(ENTRIES, st.integers(0, 2000), st.booleans(), st.booleans())
def test_a_page_of_names_is_no_longer_than_the_client_wants(
    entries: list[tuple[int, bytes, int, bytes | None, bytes | None]], count: int, known: bool, ended: bool
) -> None:
    page = results.Readdir(PACKED if known else None, VERIFIER, count)
    added = 0
    while added < len(entries) and page.add(*entries[added][:3]):
        added += 1
    assert page.empty == (added == 0)
    data = page.finish(ended=ended)
    assert len(data) - 4 <= count or page.empty
    source = told(data)
    assert source.post_op() == (FACTS if known else None)
    assert source.take(8) == VERIFIER
    for file, name, cookie, *_ in entries[:added]:
        assert (source.boolean(), source.u64(), source.opaque(), source.u64()) == (True, file, name, cookie)
    assert (source.boolean(), source.boolean()) == (False, ended)
    source.done()
    if added < len(entries):
        assert len(data) - 4 + 24 + len(packing.opaque(entries[added][1])) - 4 > count


@given(ENTRIES, st.integers(0, 2000), st.integers(0, 3000), st.booleans())
def test_a_page_of_names_with_attributes_is_no_longer_than_the_client_wants(
    entries: list[tuple[int, bytes, int, bytes | None, bytes | None]],
    dircount: int,
    maxcount: int,
    ended: bool,
) -> None:
    page = results.Readdirplus(PACKED, VERIFIER, dircount, maxcount)
    added = 0
    while added < len(entries) and page.add(*entries[added]):
        added += 1
    assert page.empty == (added == 0)
    data = page.finish(ended=ended)
    assert len(data) - 4 <= maxcount or page.empty
    assert added < 2 or sum(20 + len(packing.opaque(name)) for _, name, *_ in entries[:added]) <= dircount
    source = told(data)
    assert (source.post_op(), source.take(8)) == (FACTS, VERIFIER)
    for file, name, cookie, attributes, handle in entries[:added]:
        assert (source.boolean(), source.u64(), source.opaque(), source.u64()) == (True, file, name, cookie)
        assert (source.post_op(), source.handle()) == (FACTS if attributes else None, handle)
    assert (source.boolean(), source.boolean()) == (False, ended)
    source.done()


def test_room_is_told() -> None:
    names = ("total_bytes", "free_bytes", "available_bytes", "total_files", "free_files", "available_files")
    told_room = dict(zip(names, (2**40, 2**39, 2**38, 3, 2, 1), strict=True))
    source = told(results.fsstat3(None, **told_room, steady_seconds=9))
    assert source.post_op() is None
    assert [source.u64() for _ in names] == list(told_room.values())
    assert source.u32() == 9
    source.done()


def test_sizes_and_abilities_are_told() -> None:
    sizes = {
        "read_limit": 1,
        "read_preferred": 2,
        "read_multiple": 3,
        "write_limit": 4,
        "write_preferred": 5,
        "write_multiple": 6,
        "directory_preferred": 7,
    }
    source = told(
        results.fsinfo3(PACKED, **sizes, file_limit=2**63 - 1, time_step_ns=1_000_000_001, properties=0x1A)
    )
    assert source.post_op() == FACTS
    assert [source.u32() for _ in sizes] == list(sizes.values())
    assert (source.u64(), source.time(), source.u32()) == (2**63 - 1, 1_000_000_001, 0x1A)
    source.done()


def test_what_posix_asks_is_told() -> None:
    source = told(
        results.pathconf3(
            None,
            link_limit=1,
            name_limit=255,
            no_truncation=True,
            chown_restricted=False,
            case_insensitive=False,
            case_preserving=True,
        )
    )
    assert source.post_op() is None
    assert (source.u32(), source.u32()) == (1, 255)
    assert [source.boolean() for _ in range(4)] == [True, False, False, True]
    source.done()


FAILS: dict[Procedure, tuple[str, ...]] = {
    Procedure.NULL: (),
    Procedure.GETATTR: (),
    Procedure.SETATTR: ("wcc",),
    Procedure.LOOKUP: ("post_op",),
    Procedure.ACCESS: ("post_op",),
    Procedure.READLINK: ("post_op",),
    Procedure.READ: ("post_op",),
    Procedure.WRITE: ("wcc",),
    Procedure.CREATE: ("wcc",),
    Procedure.MKDIR: ("wcc",),
    Procedure.SYMLINK: ("wcc",),
    Procedure.MKNOD: ("wcc",),
    Procedure.REMOVE: ("wcc",),
    Procedure.RMDIR: ("wcc",),
    Procedure.RENAME: ("wcc", "wcc"),
    Procedure.LINK: ("post_op", "wcc"),
    Procedure.READDIR: ("post_op",),
    Procedure.READDIRPLUS: ("post_op",),
    Procedure.FSSTAT: ("post_op",),
    Procedure.FSINFO: ("post_op",),
    Procedure.PATHCONF: ("post_op",),
    Procedure.COMMIT: ("wcc",),
}
"""What follows the status when it isn't OK, by RFC 1813 section 3.3."""


@pytest.mark.parametrize("procedure", Procedure, ids=lambda one: one.name)
def test_every_failure_has_its_form(procedure: Procedure) -> None:
    source = packing.Unpack(results.refused(procedure, Status.STALE))
    assert source.u32() == 70
    assert [getattr(source, field)() for field in FAILS[procedure]] == [
        {"post_op": None, "wcc": (None, None)}[field] for field in FAILS[procedure]
    ]
    source.done()


def test_a_failure_can_tell_what_is_known() -> None:
    source = packing.Unpack(results.refused(Procedure.LOOKUP, Status.NOENT, nfs3.post_op(PACKED)))
    assert (source.u32(), source.post_op()) == (2, FACTS)
    source.done()
