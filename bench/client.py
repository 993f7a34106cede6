"""An FTP client that costs next to nothing, so that the servers are measured and not it.

What it downloads the kernel throws away unread (MSG_TRUNC, tcp(7)); what it uploads leaves by sendfile. With
TLS neither is possible: there it costs as much as any client, and the same with every server.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import socket
import ssl
from types import TracebackType
from typing import Self

SECONDS = 60.0
"""For each wait on the control connection or for data."""

_SINK_BYTES = 4 << 20
_SECURE_BYTES = 1 << 20

Address = tuple[str, int]


class Unexpected(Exception):  # noqa: N818 - reads as a sentence
    """The server said something else than it should."""


class Session:
    """A control connection, logged in, in binary mode."""

    def __init__(
        self, address: Address, *, login: tuple[str, str], direct: bool, folder: str, secure: bool = False
    ) -> None:
        """Connect and log in.

        Args:
            address: The server's.
            login: Name and password.
            direct: Say PRET before PASV, so that the bytes come from a node.
            folder: Go there; empty: stay, and say nothing beyond the login.
            secure: TLS for this connection and for data.
        """
        self.peer = ""
        """Where the data connection of the last transfer goes; empty: it didn't come to that."""
        self._direct = direct
        self._context = _trusting() if secure else None
        self._control = socket.create_connection(address, SECONDS)
        self._control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""
        self._sink = memoryview(b"")
        try:
            self._reply("2")
            if self._context:
                self.say("AUTH TLS", "234")
                self._control = self._context.wrap_socket(self._control)
            self.say(f"USER {login[0]}", "3")
            self.say(f"PASS {login[1]}", "2")
            if self._context:
                self.say("PBSZ 0", "2")
                self.say("PROT P", "2")
            if folder:
                self._sink = memoryview(bytearray(_SINK_BYTES))
                self.say("TYPE I", "2")
                self.say(f"CWD {folder}", "2")
        except BaseException:
            self._control.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._control.close()

    def say(self, line: str, wanted: str) -> str:
        """Send a command and give its reply, which begins with `wanted`.

        Raises:
            Unexpected: It doesn't.
        """
        self._control.sendall(f"{line}\r\n".encode())
        return self._reply(wanted, line)

    def download(self, name: str) -> int:
        """Read a file and give its bytes; 226 has come then."""
        return self.fetch(f"RETR {name}")

    def fetch(self, command: str) -> int:
        """Have a command send data, and give the bytes that came; 226 has come then."""
        with self._data(command) as data:
            self.say(command, "1")
            moved = 0
            if self._context:
                with self._context.wrap_socket(data) as secure:
                    while count := secure.recv_into(self._sink, _SECURE_BYTES):
                        moved += count
                    _take_leave(secure)
            else:
                while count := data.recv_into(self._sink, _SINK_BYTES, socket.MSG_TRUNC):
                    moved += count
        self._reply("2", command)
        return moved

    def upload(self, name: str, descriptor: int, size: int) -> None:
        """Write a file; 226 has come then."""
        with self._data(f"STOR {name}") as data:
            self.say(f"STOR {name}", "1")
            data.setblocking(True)
            if self._context:
                with (
                    self._context.wrap_socket(data) as secure,
                    mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as content,
                    memoryview(content) as view,
                ):
                    for start in range(0, size, _SECURE_BYTES):
                        secure.sendall(view[start : start + _SECURE_BYTES])
                    _take_leave(secure)
            else:
                sent = 0
                while sent < size:
                    sent += os.sendfile(data.fileno(), descriptor, sent, size - sent)
        self._reply("2", f"STOR {name}")

    def _data(self, upcoming: str) -> socket.socket:
        self.peer = ""
        if self._direct:
            self.say(f"PRET {upcoming}", "2")
        reply = self.say("PASV", "227")
        numbers = re.search(r"(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)", reply)
        if numbers is None:
            raise Unexpected(reply)
        *host, high, low = numbers.groups()
        self.peer = ".".join(host)
        return socket.create_connection((self.peer, int(high) * 256 + int(low)), SECONDS)

    def _reply(self, wanted: str, command: str = "") -> str:
        """Read a reply to its last line. RFC 959 section 4.2."""
        lines: list[str] = []
        while not lines or lines[-1][3:4] != " " or lines[-1][:3] != lines[0][:3]:
            while b"\r\n" not in self._came:
                more = self._control.recv(65_536)
                if not more:
                    raise Unexpected(f"{command}: the server hung up")
                self._came += more
            line, _, self._came = self._came.partition(b"\r\n")
            lines.append(line.decode(errors="replace"))
        if not lines[-1].startswith(wanted):
            raise Unexpected(f"{command}: {lines[-1]}")
        return lines[-1]


def _trusting() -> ssl.SSLContext:
    """Give a context that takes any certificate: it's the speed that is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _take_leave(secure: ssl.SSLSocket) -> None:
    """Say close_notify, which servers ask for that look out for cut files; some answer it, some hang up."""
    with contextlib.suppress(OSError):
        secure.unwrap()
