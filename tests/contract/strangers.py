"""A small FTP server whose habits can be chosen: for what no server here does, but some elsewhere do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self

SECONDS = 20.0

Habit = str | bytes | Callable[["Visit", bytes], None]
"""What a verb is answered with: a line, or something to be done."""


class Stranger:
    """Serves the files it is given in one directory, each client in a thread of its own."""

    def __init__(
        self,
        habits: Mapping[str, Habit] | None = None,
        *,
        files: Mapping[bytes, bytes] | None = None,
        listing: bytes = b"",
        greeting: str | bytes = "220 strange",
        host: str = "127.0.0.1",
        hasty: bool = False,
    ) -> None:
        """Begin to listen.

        Args:
            habits: By verb, where they differ from the usual ones.
            files: By path.
            listing: What LIST and MLSD send.
            greeting: What is said first; empty: nothing, ever.
            host: Where it listens, for data, too.
            hasty: Of what comes in one piece it takes the first line, and throws the others away.
        """
        self.hasty = hasty
        self.habits = dict(habits or {})
        self.files = dict(files or {})
        self.listing = listing
        self.greeting = greeting
        self.said: list[bytes] = []
        """Every line of every client."""
        self.host = host
        self._listener = listening(host)
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)
        for one in self._sockets:
            one.close()

    def verbs(self) -> list[str]:
        """Give the verbs that were said, in order."""
        return [line.split(b" ")[0].decode("ascii", "replace") for line in self.said]

    def _serve(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            made.settimeout(SECONDS)
            self._sockets.append(made)
            thread = threading.Thread(target=Visit(self, made).run)
            self._threads.append(thread)
            thread.start()


class Visit:
    """One client's."""

    def __init__(self, stranger: Stranger, control: socket.socket) -> None:
        self.stranger = stranger
        self.control = control
        self.listener: socket.socket | None = None
        self.offset = 0
        self.data: socket.socket | None = None

    def say(self, line: str | bytes) -> None:
        """Say a line, or lines with their ends in between."""
        self.control.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def run(self) -> None:
        """Answer until the client goes."""
        with contextlib.suppress(OSError):
            if self.stranger.greeting:
                self.say(self.stranger.greeting)
            for said in self._lines():
                self.stranger.said.append(said)
                verb, _, argument = said.partition(b" ")
                self._answer(verb.decode("ascii", "replace").upper(), argument)
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)
        for one in (self.listener, self.data):
            if one is not None:
                one.close()

    def _lines(self) -> Iterator[bytes]:
        if self.stranger.hasty:
            while piece := self.control.recv(65_536):
                yield piece.partition(b"\r\n")[0]
        for line in self.control.makefile("rb"):
            yield line.rstrip(b"\r\n")

    def _answer(self, verb: str, argument: bytes) -> None:
        habit = self.stranger.habits.get(verb, USUAL.get(verb, "500 What?"))
        if callable(habit):
            habit(self, argument)
        else:
            self.say(habit)

    # --- data

    def listen(self) -> int:
        """Open a port."""
        if self.listener is not None:
            self.listener.close()
        self.listener = listening(self.stranger.host)
        self.listener.settimeout(SECONDS)
        return int(self.listener.getsockname()[1])

    def meet(self) -> socket.socket:
        """Give the data connection, however it came about."""
        if self.data is not None:
            made, self.data = self.data, None
            return made
        assert self.listener is not None
        made, _ = self.listener.accept()
        made.settimeout(SECONDS)
        return made

    def send(self, content: bytes, last: str = "226 Sent") -> None:
        """Send all of it, with the replies before and after."""
        self.say("150 Coming")
        with self.meet() as data:
            data.sendall(content)
        self.say(last)


def listening(host: str) -> socket.socket:
    """Open a port that the kernel chooses."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _epsv(visit: Visit, argument: bytes) -> None:
    visit.say(f"229 Entering (|||{visit.listen()}|)")


def pasv(visit: Visit, argument: bytes, host: str = "127,0,0,1") -> None:
    """Open a port, and tell of it by six numbers."""
    port = visit.listen()
    visit.say(f"227 Entering Passive Mode ({host},{port // 256},{port % 256}).")


def _port(visit: Visit, argument: bytes) -> None:
    numbers = [int(one) for one in argument.split(b",")]
    _dial(visit, "127.0.0.1", numbers[4] * 256 + numbers[5])


def _eprt(visit: Visit, argument: bytes) -> None:
    _, protocol, host, port, _ = argument.decode().split("|")
    assert protocol == ("2" if ":" in host else "1")
    _dial(visit, host, int(port))


def _dial(visit: Visit, host: str, port: int) -> None:
    if visit.data is not None:
        visit.data.close()
    visit.data = socket.create_connection((host, port), SECONDS)
    visit.say("200 Dialled")


def _list(visit: Visit, argument: bytes) -> None:
    visit.send(visit.stranger.listing)


def _rest(visit: Visit, argument: bytes) -> None:
    visit.offset = int(argument)
    visit.say("350 From there")


def _retr(visit: Visit, argument: bytes) -> None:
    content = visit.stranger.files.get(argument)
    offset, visit.offset = visit.offset, 0
    if content is None:
        visit.say("550 Failed.")
    else:
        visit.send(content[offset:])


def _stor(visit: Visit, argument: bytes) -> None:
    visit.say("150 Go on")
    with visit.meet() as data:
        content = b""
        while piece := data.recv(65_536):
            content += piece
    visit.stranger.files[argument] = content
    visit.say("226 Stored")


def _size(visit: Visit, argument: bytes) -> None:
    content = visit.stranger.files.get(argument)
    visit.say("550 Could not get file size." if content is None else f"213 {len(content)}")


def _quit(visit: Visit, argument: bytes) -> None:
    visit.say("221 Bye")
    visit.control.shutdown(socket.SHUT_RDWR)


USUAL: Mapping[str, Habit] = {
    "USER": "331 Who else?",
    "PASS": "230 In",
    "TYPE": "200 So be it",
    "PWD": '257 "/" is here',
    "CWD": lambda visit, path: visit.say("250 There" if path == b"/" else "550 Failed."),
    "NOOP": "200 Here",
    "EPSV": _epsv,
    "PASV": pasv,
    "PORT": _port,
    "EPRT": _eprt,
    "LIST": _list,
    "REST": _rest,
    "RETR": _retr,
    "STOR": _stor,
    "SIZE": _size,
    "QUIT": _quit,
    "ABOR": "226 Stopped",
}
