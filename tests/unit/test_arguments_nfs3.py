"""What the 22 procedures take: read as RFC 1813 draws it, and refused when it isn't of that form."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import packing
from argosy.wire.nfs import arguments, nfs3, xdr
from argosy.wire.nfs.arguments import ARGUMENTS, Arguments
from argosy.wire.nfs.nfs3 import Procedure
from packing import opaque, u32, u64

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
HANDLE = st.binary(max_size=64)
NAME = st.binary(max_size=300)
VERIFIER = st.binary(min_size=8, max_size=8)
NS = st.builds(lambda seconds, ns: seconds * 10**9 + ns, U32, st.integers(0, 10**9 - 1))
TIME = st.none() | st.just("now") | NS
CHANGES = st.builds(
    arguments.SetAttributes,
    mode=st.none() | U32,
    uid=st.none() | U32,
    gid=st.none() | U32,
    size=st.none() | U64,
    atime_ns=TIME,
    mtime_ns=TIME,
)


def sattr3(changes: arguments.SetAttributes) -> bytes:
    return packing.sattr3(**{name: getattr(changes, name) for name in changes.__struct_fields__})


def _device(made: arguments.MknodArguments) -> bytes:
    return b"" if made.device is None else u32(made.device[0]) + u32(made.device[1])


def _node(directory: bytes, name: bytes, kind: int, changes: arguments.SetAttributes, device: int) -> object:
    plain = kind in (1, 2, 5)
    return arguments.MknodArguments(
        directory,
        name,
        nfs3.FileType(kind),
        arguments.SetAttributes() if plain else changes,
        (device, device) if kind in (3, 4) else None,
    )


def _creation(
    directory: bytes, name: bytes, mode: int, changes: arguments.SetAttributes, verf: bytes
) -> object:
    exclusive = mode == 2
    return arguments.CreateArguments(
        directory,
        name,
        nfs3.CreateMode(mode),
        arguments.SetAttributes() if exclusive else changes,
        verf if exclusive else b"",
    )


PACK: dict[type, Callable[[object], bytes]] = {}
MADE: dict[type, st.SearchStrategy[object]] = {}


def form(made: st.SearchStrategy[object], pack: Callable[..., bytes], kind: type) -> None:
    MADE[kind], PACK[kind] = made, pack


form(st.just(arguments.Nothing()), lambda _: b"", arguments.Nothing)
form(st.builds(arguments.Handle, HANDLE), lambda a: opaque(a.handle), arguments.Handle)
form(
    st.builds(arguments.SetattrArguments, HANDLE, CHANGES, st.none() | NS),
    lambda a: opaque(a.handle) + sattr3(a.changes) + packing.optional(a.guard_ctime_ns, packing.time),
    arguments.SetattrArguments,
)
form(
    st.builds(arguments.Name, HANDLE, NAME),
    lambda a: opaque(a.directory) + opaque(a.name),
    arguments.Name,
)
form(
    st.builds(arguments.AccessArguments, HANDLE, U32),
    lambda a: opaque(a.handle) + u32(a.access),
    arguments.AccessArguments,
)
form(
    st.builds(arguments.ReadArguments, HANDLE, U64, U32),
    lambda a: opaque(a.handle) + u64(a.offset) + u32(a.count),
    arguments.ReadArguments,
)
form(
    st.builds(
        lambda handle, offset, stable, data: arguments.WriteArguments(
            handle, offset, len(data), nfs3.Stable(stable), memoryview(data)
        ),
        *(HANDLE, U64, st.integers(0, 2), st.binary(max_size=100)),
    ),
    lambda a: opaque(a.handle) + u64(a.offset) + u32(a.count) + u32(a.stable) + opaque(bytes(a.data)),
    arguments.WriteArguments,
)
form(
    st.builds(_creation, HANDLE, NAME, st.integers(0, 2), CHANGES, VERIFIER),
    lambda a: opaque(a.directory) + opaque(a.name) + u32(a.mode) + (a.verifier or sattr3(a.changes)),
    arguments.CreateArguments,
)
form(
    st.builds(arguments.MkdirArguments, HANDLE, NAME, CHANGES),
    lambda a: opaque(a.directory) + opaque(a.name) + sattr3(a.changes),
    arguments.MkdirArguments,
)
form(
    st.builds(arguments.SymlinkArguments, HANDLE, NAME, CHANGES, NAME),
    lambda a: opaque(a.directory) + opaque(a.name) + sattr3(a.changes) + opaque(a.target),
    arguments.SymlinkArguments,
)
form(
    st.builds(_node, HANDLE, NAME, st.integers(1, 7), CHANGES, U32),
    lambda a: b"".join(
        (
            opaque(a.directory) + opaque(a.name) + u32(a.kind),
            b"" if a.kind in (1, 2, 5) else sattr3(a.changes),
            _device(a),
        )
    ),
    arguments.MknodArguments,
)
form(
    st.builds(arguments.RenameArguments, HANDLE, NAME, HANDLE, NAME),
    lambda a: opaque(a.directory) + opaque(a.name) + opaque(a.to_directory) + opaque(a.to_name),
    arguments.RenameArguments,
)
form(
    st.builds(arguments.LinkArguments, HANDLE, HANDLE, NAME),
    lambda a: opaque(a.handle) + opaque(a.directory) + opaque(a.name),
    arguments.LinkArguments,
)
form(
    st.builds(arguments.ReaddirArguments, HANDLE, U64, VERIFIER, U32),
    lambda a: opaque(a.directory) + u64(a.cookie) + a.verifier + u32(a.count),
    arguments.ReaddirArguments,
)
form(
    st.builds(arguments.ReaddirplusArguments, HANDLE, U64, VERIFIER, U32, U32),
    lambda a: opaque(a.directory) + u64(a.cookie) + a.verifier + u32(a.dircount) + u32(a.maxcount),
    arguments.ReaddirplusArguments,
)
form(
    st.builds(arguments.CommitArguments, HANDLE, U64, U32),
    lambda a: opaque(a.handle) + u64(a.offset) + u32(a.count),
    arguments.CommitArguments,
)


def test_every_procedure_has_arguments_and_none_is_untried() -> None:
    assert ARGUMENTS.keys() == set(Procedure)
    assert set(ARGUMENTS.values()) == MADE.keys()


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
@given(draw=st.data())
def test_arguments_are_read_as_the_rfc_draws_them(kind: type[Arguments], draw: st.DataObject) -> None:
    made = draw.draw(MADE[kind])
    packed = PACK[kind](made)
    assert kind.unpack(xdr.Reader(packed)) == made
    assert kind.unpack(xdr.Reader(bytearray(b"head" + packed), 4)) == made
    with pytest.raises(xdr.GarbageArguments):
        kind.unpack(xdr.Reader(packed + bytes(4)))
    if packed:
        with pytest.raises(xdr.GarbageArguments):
            kind.unpack(xdr.Reader(packed[: draw.draw(st.integers(0, len(packed) - 1))]))


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
@given(draw=st.data())
def test_rubbish_is_read_or_refused_and_nothing_else(kind: type[Arguments], draw: st.DataObject) -> None:
    data = bytearray(PACK[kind](draw.draw(MADE[kind])))
    for place in draw.draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=3)):
        data[place : place + 1] = draw.draw(st.binary(max_size=2))
    with contextlib.suppress(xdr.GarbageArguments):
        assert isinstance(kind.unpack(xdr.Reader(data)), kind)


def test_what_a_write_brings_isnt_copied() -> None:
    record = bytearray(opaque(b"handle") + u64(4096) + u32(3) + u32(2) + opaque(b"abcde"))
    write = arguments.WriteArguments.unpack(xdr.Reader(record))
    assert (write.offset, write.stable, bytes(write.data)) == (4096, nfs3.Stable.FILE_SYNC, b"abc")
    assert write.data.obj is record


@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        (arguments.Handle, opaque(bytes(65))),
        (arguments.Name, opaque(b"h") + opaque(bytes(4097))),
        (arguments.WriteArguments, opaque(b"h") + u64(0) + u32(4) + u32(0) + opaque(b"abc")),
        (arguments.WriteArguments, opaque(b"h") + u64(0) + u32(3) + u32(3) + opaque(b"abc")),
        (arguments.WriteArguments, opaque(b"h") + u64(0) + u32(1) + u32(0) + opaque(bytes(1024 * 1024 + 1))),
        (arguments.CreateArguments, opaque(b"h") + opaque(b"n") + u32(3) + packing.sattr3()),
        (arguments.MknodArguments, opaque(b"h") + opaque(b"n") + u32(0)),
        (arguments.MknodArguments, opaque(b"h") + opaque(b"n") + u32(8)),
        (arguments.SymlinkArguments, opaque(b"h") + opaque(b"n") + packing.sattr3() + opaque(bytes(4097))),
        (arguments.MkdirArguments, opaque(b"h") + opaque(b"n") + u32(2) + packing.sattr3()),
        (arguments.MkdirArguments, opaque(b"h") + opaque(b"n") + packing.sattr3()[:-4] + u32(3)),
    ],
)
def test_what_breaks_a_limit_is_refused(kind: type[Arguments], packed: bytes) -> None:
    with pytest.raises(xdr.GarbageArguments):
        kind.unpack(xdr.Reader(packed))
