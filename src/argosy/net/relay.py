"""Carry bytes from one data connection to another, in a thread.

Plain sockets are joined by splice through a pipe, so that the bytes stay in the kernel; where one end has
TLS they are copied. Both sockets block, with time limits set on them by `dataconn`.
"""

from __future__ import annotations

import os
import socket
import ssl

from argosy.net import pipe


class Relay:
    """Bytes on their way from `source` to `sink`."""

    def __init__(self, source: socket.socket, sink: socket.socket, *, block_bytes: int) -> None:
        """Join two connected sockets.

        Args:
            source: Read until its end.
            sink: Written; not closed.
            block_bytes: Pipe size, or the buffer's where bytes must be copied.
        """
        self._source = source
        self._sink = sink
        self._block_bytes = block_bytes
        self.moved = 0
        """Bytes that the sink has taken."""
        self.touched = False
        """The sink may have got a byte."""

    def run(self) -> int:
        """Carry until the source ends, and give the bytes moved.

        Raises:
            OSError: One side broke or stood still for too long (then `TimeoutError` or `BlockingIOError`).
        """
        if isinstance(self._source, ssl.SSLSocket) or isinstance(self._sink, ssl.SSLSocket):
            self._copy()
        else:
            self._splice()
        return self.moved

    def _splice(self) -> None:
        source, sink = self._source.fileno(), self._sink.fileno()
        with pipe.opened(self._block_bytes) as through:
            while taken := os.splice(source, through.writer, through.size):
                self.touched = True
                while taken:
                    given = os.splice(through.reader, sink, taken)
                    taken -= given
                    self.moved += given

    def _copy(self) -> None:
        buffer = bytearray(self._block_bytes)
        view = memoryview(buffer)
        while taken := self._source.recv_into(buffer):
            self.touched = True
            self._sink.sendall(view[:taken])
            self.moved += taken
