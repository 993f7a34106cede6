"""Messages as bytes: a big-endian u32 (the length of what follows) and one msgpack array `[id, reply, body]`.

`id` 0 is a note that wants no reply; any other id is a request, and its reply carries the same id with
`reply` true. The body is an array whose first element is the message's name.
"""

from __future__ import annotations

import struct

import msgspec

from argosy.wire.link import (
    asking,
    beat,
    copying,
    enrolling,
    feed,
    files,
    joining,
    message,
    moving,
    proving,
    transfers,
)

FRAME_LIMIT = 16 * 1024 * 1024
"""Bytes in one frame. A merge batch of 2,000 files of 255-byte names takes 0.7 MB."""

_LENGTH = struct.Struct(">I")

ALIVE = _LENGTH.pack(0)
"""A frame of nothing: says only that the sender is alive."""


class LinkError(Exception):
    """The peer sent what no peer may send; the link is closed."""


Body = (
    message.Body | enrolling.Body | joining.Body | transfers.Body | files.Body | feed.Body | beat.Body
    | asking.Body | copying.Body | moving.Body | proving.Body
)  # fmt: skip


class Frame(msgspec.Struct, array_like=True):
    """One message with its place in the conversation."""

    id: int
    reply: bool
    body: Body


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Give a frame's bytes, length first.

    Raises:
        LinkError: It is longer than `FRAME_LIMIT`: our own bug, caught before the peer hangs up.
    """
    buffer = bytearray(_LENGTH.size)
    _encoder.encode_into(frame, buffer, _LENGTH.size)
    length = len(buffer) - _LENGTH.size
    if length > FRAME_LIMIT:
        raise LinkError(f"frame of {length} bytes")
    _LENGTH.pack_into(buffer, 0, length)
    return bytes(buffer)


class FrameReader:
    """Cut a stream of bytes into frames, wherever the network cut it."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes as they come and give each frame that is whole now.

        Raises:
            LinkError: A frame over the limit, or one that isn't of `Frame`'s form. Close the link.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > self.limit:
                raise LinkError(f"frame of {length} bytes, limit {self.limit}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            if not length:
                start = end
                continue
            try:
                with memoryview(self._buffer) as view:
                    frame = _decoder.decode(view[start + _LENGTH.size : end])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise LinkError(f"not a frame: {error}") from error
            start = end
            frames.append(frame)
        del self._buffer[:start]
        return frames
