"""Record marking: records come out whole however they were cut, and none is longer than may be."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import packing
from argosy.wire.nfs.records import FRAGMENTS_LIMIT, IN_PLACE, RecordReader, RecordTooLong
from argosy.wire.nfs.xdr import Record

MESSAGES = st.lists(
    st.binary(max_size=60)
    | st.integers(IN_PLACE - 2, 3 * IN_PLACE).map(lambda size: bytes(range(256)) * (size // 256) + b"end"),
    max_size=5,
)
LIMIT = 4 * IN_PLACE


def stream_of(messages: list[bytes], draw: st.DataObject) -> bytes:
    stream = b""
    for message in messages:
        cuts = draw.draw(st.lists(st.integers(0, len(message)), max_size=4).map(sorted))
        stream += packing.record(message, cuts=cuts)
    return stream


@given(MESSAGES, st.integers(1, 70) | st.integers(1000, 30_000), st.data())
def test_where_the_network_and_the_fragments_cut_makes_no_difference(
    messages: list[bytes], cut: int, draw: st.DataObject
) -> None:
    stream = stream_of(messages, draw)
    reader, heard = RecordReader(LIMIT), list[Record]()
    for start in range(0, len(stream), cut):
        heard += reader.feed(stream[start : start + cut])
    assert heard == messages
    assert reader.held == 0


@given(MESSAGES, st.integers(1, 30_000), st.data())
def test_a_large_record_is_received_where_it_belongs(
    messages: list[bytes], size: int, draw: st.DataObject
) -> None:
    stream = memoryview(stream_of(messages, draw))
    reader, heard = RecordReader(LIMIT), list[Record]()
    while stream:
        space = reader.space
        if space is None:
            heard += reader.feed(bytes(stream[:size]))
            stream = stream[size:]
            continue
        taken = min(size, len(space), len(stream))
        space[:taken] = stream[:taken]
        heard += reader.filled(taken)
        stream = stream[taken:]
    assert heard == messages


@given(st.binary(max_size=300), st.integers(1, 50))
def test_rubbish_is_records_or_hung_up_on(data: bytes, cut: int) -> None:
    reader = RecordReader(100)
    with contextlib.suppress(RecordTooLong):
        for start in range(0, len(data), cut):
            assert all(len(record) <= 100 for record in reader.feed(data[start : start + cut]))
            assert reader.held <= 100 + 8


def test_a_record_over_the_limit_is_refused_before_it_has_come() -> None:
    assert RecordReader(100).feed(packing.record(bytes(100))) == [bytes(100)]
    for start in (
        packing.u32(0x80000065),
        packing.record(bytes(100), cuts=[60])[:64] + packing.u32(0x80000029),
        packing.u32(0x7FFFFFFF),
        packing.u32(0) * (FRAGMENTS_LIMIT + 1),
    ):
        with pytest.raises(RecordTooLong):
            RecordReader(100).feed(start)


def test_a_record_isnt_held_any_more_when_it_is_given() -> None:
    message = bytes(LIMIT)
    reader = RecordReader(LIMIT)
    stream = packing.record(message)
    assert reader.feed(stream[:1000]) == []
    assert reader.held == LIMIT
    first = reader.feed(stream[1000:] + stream[:1000])
    second = reader.feed(stream[1000:])
    assert first == second == [message]
    assert first[0] is not second[0]
