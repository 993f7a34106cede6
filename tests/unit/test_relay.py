"""A relay gives the sink just what the source gave."""

import os
import socket
import threading

import pytest

from argosy.net.relay import Relay


def test_every_byte_arrives_in_order_and_the_source_s_end_ends_it() -> None:
    content = os.urandom(3_000_001)
    near, source = socket.socketpair()
    sink, far = socket.socketpair()
    got = bytearray()

    def send() -> None:
        near.sendall(content)
        near.close()

    def take() -> None:
        while data := far.recv(70_000):
            got.extend(data)

    threads = [threading.Thread(target=send), threading.Thread(target=take)]
    for thread in threads:
        thread.start()
    assert Relay(source, sink, block_bytes=65_536).run() == len(content)
    sink.close()
    for thread in threads:
        thread.join(10)
    assert bytes(got) == content
    source.close()
    far.close()


def test_a_sink_that_went_away_is_an_error_and_not_an_end() -> None:
    near, source = socket.socketpair()
    sink, far = socket.socketpair()
    far.close()
    near.sendall(b"x" * 1000)
    with pytest.raises(OSError, match="Broken pipe"):
        Relay(source, sink, block_bytes=65_536).run()
    for end in (near, source, sink):
        end.close()
