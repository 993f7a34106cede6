"""XDR: no length is believed, and bytes come out as they went in."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import packing
from argosy.wire.nfs import xdr


@given(st.binary(max_size=600))
def test_bytes_come_out_as_they_went_in(data: bytes) -> None:
    packed = xdr.opaque(data)
    assert packed == packing.opaque(data)
    source = xdr.Reader(packed)
    assert source.opaque(600) == data
    source.end()
    source = xdr.Reader(bytearray(packed))
    assert source.view(600) == data
    source.end()


@given(st.binary(max_size=40), st.integers(0, 40))
def test_bytes_over_the_limit_are_refused(data: bytes, limit: int) -> None:
    for record in (packing.opaque(data), bytearray(packing.opaque(data))):
        if len(data) <= limit:
            assert xdr.Reader(record).opaque(limit) == xdr.Reader(record).view(limit) == data
            continue
        with pytest.raises(xdr.GarbageArguments):
            xdr.Reader(record).opaque(limit)
        with pytest.raises(xdr.GarbageArguments):
            xdr.Reader(record).view(limit)


@given(st.binary(max_size=40), st.data())
def test_a_record_that_ends_too_early_is_refused(data: bytes, draw: st.DataObject) -> None:
    packed = packing.opaque(data)
    cut = packed[: draw.draw(st.integers(0, len(packed) - 1))]
    for read in (xdr.Reader(cut).opaque, xdr.Reader(cut).view):
        with pytest.raises(xdr.GarbageArguments):
            read(100)


def test_a_length_of_four_gigabytes_costs_nothing() -> None:
    for read in (xdr.Reader(b"\xff" * 8).opaque, xdr.Reader(b"\xff" * 8).view):
        with pytest.raises(xdr.GarbageArguments):
            read(2**32)


def test_numbers_are_big_endian() -> None:
    source = xdr.Reader(bytes.fromhex("01020304 0000000000000005 00000001 00000000 0000000200000003"))
    assert source.u32() == 0x01020304
    assert source.u64() == 5
    assert source.boolean() is True
    assert source.boolean() is False
    assert source.run(struct.Struct(">2I")) == (2, 3)
    source.end()
    for read in (source.u32, source.u64, source.boolean):
        with pytest.raises(xdr.GarbageArguments):
            read()


def test_a_bool_is_nothing_but_0_and_1() -> None:
    with pytest.raises(xdr.GarbageArguments):
        xdr.Reader(packing.u32(2)).boolean()


def test_more_than_was_asked_for_is_refused() -> None:
    source = xdr.Reader(packing.u32(1) + b"\0")
    source.u32()
    with pytest.raises(xdr.GarbageArguments):
        source.end()
