"""A control connection spoken by hand, for what no well-behaved client says."""

from __future__ import annotations

import re
import socket
import ssl
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from running import PASSWORD, USER

SECONDS = 20.0
"""How long we wait for anything."""


class Answer(NamedTuple):
    """A whole reply."""

    code: int
    text: bytes
    """All its lines, with their CRLF."""


class Server(Protocol):
    """Where to call: a `Site` of ours, or another server."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Talk:
    """One session. Lines are bytes, or text that goes as UTF-8."""

    def __init__(self, site: Server, user: str = USER, *, login: bool = True) -> None:
        self.socket: socket.socket = socket.create_connection((site.host, site.port), SECONDS)
        self._host = site.host
        self._read = b""
        try:
            self.greeting = self.hear()
            if login:
                self.log_in(user)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def log_in(self, user: str = USER) -> None:
        """Log in, and choose TYPE I."""
        assert self.ask(f"USER {user}").code == 331
        assert self.ask(f"PASS {PASSWORD}").code == 230
        assert self.ask("TYPE I").code == 200

    def say(self, *lines: str | bytes) -> None:
        """Send lines, all at once."""
        self.socket.sendall(b"".join(_bytes(line) + b"\r\n" for line in lines))

    def hear(self) -> Answer:
        """Wait for one whole reply. RFC 959 section 4.2."""
        first = self._line()
        assert re.match(rb"[1-5]\d\d[ -]", first), first
        text = first
        while not text.rsplit(b"\r\n", 2)[-2].startswith(first[:3] + b" "):
            text += self._line()
        return Answer(int(first[:3]), text)

    def ask(self, line: str | bytes) -> Answer:
        """Send a line and wait for its first reply."""
        self.say(line)
        return self.hear()

    def codes(self, *lines: str | bytes) -> list[int]:
        """Say lines one after the other and give the codes."""
        return [self.ask(line).code for line in lines]

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Go over to TLS, after 234."""
        assert not self._read, self._read
        self.socket = context.wrap_socket(self.socket, server_hostname=self._host)

    def _line(self) -> bytes:
        while b"\n" not in self._read:
            came = self.socket.recv(65_536)
            if not came:
                raise EOFError(f"hung up after {self._read!r}")
            self._read += came
        line, _, self._read = self._read.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line + b"\n"

    def abort(self, *, telnet: bool) -> None:
        """Say ABOR, after Telnet's IP and the Data Mark as urgent data (RFC 959 section 4.1.3) or without."""
        if telnet:
            self.socket.sendall(b"\xff\xf4\xff")
            self.socket.send(b"\xf2", socket.MSG_OOB)
        self.say("ABOR")

    # --- data

    def data(self, wish: str = "EPSV") -> socket.socket:
        """Open a passive data connection by EPSV or PASV."""
        answer = self.ask(wish)
        assert answer.code in (227, 229), answer
        return socket.create_connection(address(answer, self._host), SECONDS)

    def get(self, line: str | bytes, *, wish: str = "EPSV") -> bytes:
        """Have a command send data, and give it all."""
        with self.data(wish) as data:
            began = self.ask(line)
            assert began.code == 150, began
            content = everything(data)
        ended = self.hear()
        assert ended.code == 226, ended
        return content

    def put(self, line: str | bytes, content: bytes, *, wish: str = "EPSV") -> Answer:
        """Have a command take data, and give its last reply."""
        with self.data(wish) as data:
            began = self.ask(line)
            assert began.code == 150, began
            data.sendall(content)
        return self.hear()

    def store(self, path: str | bytes, content: bytes) -> None:
        """Store a file."""
        ended = self.put(b"STOR " + _bytes(path), content)
        assert ended.code == 226, ended

    def retrieve(self, path: str | bytes) -> bytes:
        """Fetch a file."""
        return self.get(b"RETR " + _bytes(path))

    def refused(self, line: str | bytes) -> int:
        """Ask for a transfer that can't be, and give the code."""
        with self.data():
            return self.ask(line).code

    def size(self, path: str | bytes) -> int:
        """Ask for a file's size."""
        answer = self.ask(b"SIZE " + _bytes(path))
        assert answer.code == 213, answer
        return int(answer.text[4:])


def address(answer: Answer, host: str) -> tuple[str, int]:
    """Read the address from a 227 or 229; in 229 it's the control connection's."""
    numbers = [int(number) for number in re.findall(rb"\d+", answer.text[4:])]
    if answer.code == 229:
        return host, numbers[0]
    return ".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]


def everything(data: socket.socket) -> bytes:
    """Read until the end."""
    pieces = []
    while piece := data.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def reset(data: socket.socket) -> None:
    """Break a connection: the far end sees a reset, not an end."""
    data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    data.close()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
