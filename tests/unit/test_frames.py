"""Frames: whatever the network does to them, they come out whole or the link ends."""

import contextlib
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.wire import link

BODIES = st.one_of(
    st.just(link.Ok()),
    st.builds(link.No, st.text(), st.text()),
    st.builds(link.Merged, st.integers(0, 2**63 - 1)),
    st.builds(link.Ports, st.lists(st.integers(1, 65_535))),
    st.builds(
        link.Changes,
        st.text(),
        st.integers(0, 2**63 - 1),
        st.booleans(),
        st.binary(),
        st.none() | st.binary(),
        st.lists(
            st.builds(
                link.Group,
                st.binary(),
                st.lists(
                    st.builds(link.File, st.binary(), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
                    max_size=3,
                ),
            ),
            max_size=3,
        ),
    ),
)
FRAMES = st.builds(link.Frame, st.integers(0, 2**63 - 1), st.booleans(), BODIES)

EARLIER = {
    "0000000e 93 2a c3 93 a2 6e6f a4 42757379 a1 66": link.Frame(42, True, link.No("Busy", "f")),
    """
    00000023 93 00 c2
      99 a4 73656e64 07 a1 73 c4 03 612f62 05 09 00 c2
        95 a6 657870656374 07 cd c350 a0 c2
    """: link.Frame(
        0, False, link.Send(7, "s", b"a/b", 5, 9, 0, ascii=False, meet=link.Expect(7, 50_000, "", tls=False))
    ),
    """
    00000027 93 01 c2
      97 a7 6368616e676573 a1 73 02 c3 c4 00 c0
        91 93 a1 67 c4 01 64 91 98 a1 66 c4 01 6e 03 ff 00 c0 c0 c2
    """: link.Frame(
        1, False, link.Changes("s", 2, True, b"", None, [link.Group(b"d", [link.File(b"n", 3, -1)])])
    ),
}
"""Frames as version 1 had them at first: a request's refusal, an order in an order, a list."""


@pytest.mark.parametrize(("digits", "frame"), EARLIER.items())
def test_a_peer_of_an_earlier_release_says_it_in_the_same_bytes(digits: str, frame: link.Frame) -> None:
    data = bytes.fromhex(digits)
    assert link.FrameReader().feed(data) == [frame]
    if isinstance(frame.body, link.No):  # the others have had more to say since
        assert link.encode(frame) == data


@given(st.lists(FRAMES, max_size=4), st.integers(1, 50))
def test_where_the_network_cuts_makes_no_difference(frames: list[link.Frame], cut: int) -> None:
    data = b"".join(link.encode(frame) + link.ALIVE for frame in frames)
    reader, heard = link.FrameReader(), []
    for start in range(0, len(data), cut):
        heard += reader.feed(data[start : start + cut])
    assert heard == frames


@given(st.binary(max_size=200))
def test_rubbish_ends_the_link_and_nothing_else(data: bytes) -> None:
    reader = link.FrameReader()
    with contextlib.suppress(link.LinkError):
        reader.feed(data)


@given(FRAMES, st.data())
def test_a_damaged_frame_is_heard_as_a_frame_or_ends_the_link(frame: link.Frame, data: st.DataObject) -> None:
    damaged = bytearray(link.encode(frame))
    place = data.draw(st.integers(4, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        for heard in link.FrameReader().feed(bytes(damaged)):
            assert isinstance(heard, link.Frame)
    except link.LinkError:
        pass


def test_a_frame_that_would_fill_the_memory_is_refused_by_its_length() -> None:
    with pytest.raises(link.LinkError):
        link.FrameReader().feed(struct.pack(">I", link.FRAME_LIMIT + 1))


def test_a_newer_peers_further_fields_are_passed_over() -> None:
    newer = [7, False, ["merged", 5, "a field of tomorrow"]]
    body = msgspec.msgpack.encode(newer)
    (frame,) = link.FrameReader().feed(struct.pack(">I", len(body)) + body)
    assert frame == link.Frame(7, False, link.Merged(5))
