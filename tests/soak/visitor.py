"""A client that comes by TLS or not, moves data in several ways, and sometimes leaves rudely."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self, TypeVar

from running import PASSWORD, USER
from talking import SECONDS, Server, Talk, address, everything, reset

_T = TypeVar("_T")


class Way(Enum):
    """How data connections are made."""

    DIRECT = "PRET and PASV: to the node"
    RELAYED = "EPSV: through the master"
    ACTIVE = "PORT: the node dials us"


class Turned(Exception):  # noqa: N818 - reads as a sentence
    """The site answered with another code than is hoped for; it is in `code`."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class Visitor(Talk):
    """A session, logged in."""

    def __init__(self, site: Server, way: Way, context: ssl.SSLContext | None = None) -> None:
        """Connect and log in.

        Args:
            site: Where.
            way: Of data connections.
            context: For TLS on both connections; None: in clear.
        """
        super().__init__(site, login=False)
        self.way = way
        self._context = context
        self._at = site.host
        try:
            self._enter()
        except BaseException:
            self.socket.close()
            raise

    def _enter(self) -> None:
        if self._context:
            self.want("AUTH TLS", 234)
            self.encrypt(self._context)
        self.want(f"USER {USER}", 331)
        self.want(f"PASS {PASSWORD}", 230)
        if self._context:
            self.want("PBSZ 0", 200)
            self.want("PROT P", 200)
        self.want("TYPE I", 200)

    def want(self, line: str, *codes: int) -> str:
        """Say something and give the text of the reply.

        Raises:
            Turned: It has another code.
        """
        answer = self.ask(line)
        text = answer.text.decode(errors="replace").strip()
        if answer.code not in codes:
            raise Turned(answer.code, f"{line}: {text}")
        return text

    def fetch(self, line: str, *, offset: int = 0) -> bytes:
        """Have a command send data, and give it.

        Raises:
            Turned: It doesn't, or not to the end.
        """
        return self._move(line, everything, offset=offset)

    def send(self, line: str, content: bytes, *, offset: int = 0) -> None:
        """Have a command take data.

        Raises:
            Turned: It doesn't.
        """

        def pour(data: socket.socket) -> None:
            data.sendall(content)
            if isinstance(data, ssl.SSLSocket):
                with contextlib.suppress(OSError):
                    data.unwrap()

        self._move(line, pour, offset=offset)

    def send_half(self, line: str, content: bytes) -> None:
        """Have a command take data, and break the connection in the middle.

        Raises:
            Turned: As it should.
        """

        def pour(data: socket.socket) -> None:
            data.sendall(content)
            reset(data)

        self._move(line, pour)

    def abort_in(self, line: str) -> None:
        """Begin a download and stop it by ABOR; the session goes on.

        Raises:
            Turned: It doesn't begin.
        """
        with self._begun(line) as data:
            with contextlib.suppress(OSError):  # its node may end, and what that means the replies say
                data.recv(1)
            self.abort(telnet=False)
            with contextlib.suppress(OSError):
                everything(data)
        self.hear()
        self.hear()
        self.want("NOOP", 200)

    def vanish(self, line: str) -> None:
        """Begin a transfer, and hang up on both connections in the middle."""
        data = self._begun(line)
        reset(self.socket)
        reset(data)

    def _move(self, line: str, move: Callable[[socket.socket], _T], *, offset: int = 0) -> _T:
        """Do a transfer to its last reply, whatever becomes of the data connection."""
        moved: list[_T] = []
        with self._begun(line, offset) as data, contextlib.suppress(OSError):
            moved.append(move(data))
        ended = self.hear()
        if ended.code != 226 or not moved:
            raise Turned(ended.code, f"{line}: {ended.text.decode(errors='replace').strip()}")
        return moved[0]

    def _begun(self, line: str, offset: int = 0) -> socket.socket:
        """Make a data connection for a command and have it begin."""
        with contextlib.ExitStack() as stack:
            data = self._active(stack) if self.way is Way.ACTIVE else self._passive(stack, line)
            if offset:
                self.want(f"REST {offset}", 350)
            self.want(line, 150, 125)
            try:
                if isinstance(data, _Listener):
                    data = stack.enter_context(data.accept())
                if self._context:
                    data = stack.enter_context(self._context.wrap_socket(data, server_hostname=self._at))
            except OSError as error:
                # The data connection came to nothing: what that means, the control connection says.
                ended = self.hear()
                said = ended.text.decode(errors="replace").strip()
                raise Turned(ended.code, f"{line}: {error}: {said}") from error
            stack.pop_all()
        return data

    def _passive(self, stack: contextlib.ExitStack, line: str) -> socket.socket:
        if self.way is Way.DIRECT:
            self.want(f"PRET {line}", 200)
        answer = self.ask("PASV" if self.way is Way.DIRECT else "EPSV")
        if answer.code not in (227, 229):
            raise Turned(answer.code, f"{line}: {answer.text.decode(errors='replace').strip()}")
        try:
            return stack.enter_context(socket.create_connection(address(answer, self._at), SECONDS))
        except ConnectionError as error:
            raise Turned(425, f"{line}: {error}") from error

    def _active(self, stack: contextlib.ExitStack) -> _Listener:
        listener = stack.enter_context(_Listener(self.socket.getsockname()[0]))
        self.want(f"PORT {listener.argument}", 200)
        return listener


class _Listener:
    """A port that the far side dials."""

    def __init__(self, host: str) -> None:
        self._socket = socket.create_server((host, 0))
        self._socket.settimeout(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def argument(self) -> str:
        """What PORT is told. RFC 959 section 4.1.2."""
        host, port = self._socket.getsockname()
        return ",".join([*host.split("."), str(port // 256), str(port % 256)])

    def accept(self) -> socket.socket:
        """Take the one connection that comes."""
        with self._socket:
            data, _ = self._socket.accept()
        data.settimeout(SECONDS)
        return data
