"""A control connection on record: stands before a server, passes on what is said, and writes it down.

Only in clear. Data connections go by it: they are to the server's own address, on this machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from servers import Server


class Record:
    """What was said on all connections, in order; each line with an arrow that tells who said it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, arrow: str, data: bytes) -> None:
        """Take down what came."""
        if data[:1] in (b"\x14", b"\x15", b"\x16", b"\x17"):  # a TLS record, RFC 8446 section 5.1
            return
        text = data.decode("utf-8", "backslashreplace").replace("\r", "")
        self.lines += [f"{arrow} {line}" for line in text.rstrip("\n").split("\n")]


@contextmanager
def recorded(server: Server, record: Record) -> Iterator[Server]:
    """Give a server's double, on another port, whose control connections are taken down."""
    with socket.create_server((server.host, 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, server, record), daemon=True)
        thread.start()
        try:
            yield dataclasses.replace(server, port=listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, server: Server, record: Record) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            far = socket.create_connection((server.host, server.port))
            for source, sink, arrow in ((client, far, ">"), (far, client, "<")):
                threading.Thread(target=_pass, args=(source, sink, arrow, record), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, arrow: str, record: Record) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            record.note(arrow, data)
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
