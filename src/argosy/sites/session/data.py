"""Data connections: bytes in, bytes out, and how each ends. Blocking; each wait has its limit."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import select
import socket
import ssl
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from argosy import errors
from argosy.config import Remote
from argosy.sites.session.control import Control
from argosy.sites.session.dialect import Dialect
from argosy.wire.ftp.answers import Answer

_SECURE_BYTES = 256 * 1024
"""What is encrypted at a time."""

_SENDFILE_BYTES = 1 << 30
_GRACE_SECONDS = 2.0
"""How long a site may take to notice that we hung up, before it is told by ABOR."""

Refusing = Callable[[Answer], errors.Refused]
"""Gives what a reply means for the file that is moved."""


class _Data:
    """What both directions share: one socket, and the reply that ends it."""

    def __init__(
        self,
        control: Control,
        made: socket.socket,
        settings: Remote,
        refusing: Refusing,
        dialect: Dialect,
    ) -> None:
        self._control = control
        self._socket = made
        self._settings = settings
        self._dialect = dialect
        self._refusing = refusing
        self._over = False
        made.settimeout(settings.stall_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it up, unless it was finished."""
        self.abandon()

    def abandon(self) -> None:
        """End it early. The control connection stays usable, or says that it isn't; nothing is raised."""
        raise NotImplementedError

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _conclude(self) -> None:
        """Hear the last reply.

        Raises:
            Refused: It is no 2yz.
            Unavailable: The control connection is lost.
        """
        self._over = True
        answer = self._control.hear()
        if answer.preliminary:  # so Pure-FTPd ends a cut transfer
            self._control.catch_up(self._settings.reply_seconds)
            raise errors.TransferCut(answer.text)
        if not answer.good:
            raise self._refusing(answer)

    def _failed(self, error: Exception) -> errors.Refused:
        """Say why the data connection broke: the site's reply knows more than our socket."""
        self._over = True
        self._hang_up()
        try:
            answer = self._last_word()
        except errors.Refused:
            return errors.TransferCut(str(error))
        if answer is None or answer.good or answer.preliminary:
            return errors.TransferCut(answer.text if answer else str(error))
        return self._refusing(answer)

    def _stop(self) -> bool:
        """Hear the site's word on it, and bring both sides together; say whether it noticed by itself."""
        try:
            return self._last_word() is not None
        except errors.Refused:
            self._control.close()
            return False

    def _last_word(self) -> Answer | None:
        """Hear what a site says when we hung up; None: it had to be told by ABOR.

        Raises:
            Unavailable: The control connection is lost.
        """
        answer = self._control.heard(_GRACE_SECONDS)
        if answer is None:
            self._control.abort(self._settings.reply_seconds)
        elif answer.preliminary:  # so Pure-FTPd ends a cut transfer, and sometimes with more after it
            self._control.catch_up(self._settings.reply_seconds)
        return answer


class Download(_Data):
    """Bytes that come from a site."""

    def recv_into(self, view: memoryview | bytearray) -> int:
        """Take what has come, at the most what the view has room for; 0: that was the end.

        Raises:
            TransferCut: The data connection broke, or stood still for too long.
        """
        try:
            return self._socket.recv_into(view)
        except OSError as error:
            raise self._failed(error) from error

    def read(self, most: int = 1 << 62) -> bytes:
        """Take all there is, and finish. For listings, and small files.

        Raises:
            TransferCut: The data connection broke.
            Failed: There is more than `most`.
        """
        pieces: list[bytes] = []
        room = memoryview(bytearray(65_536))
        total = 0
        while count := self.recv_into(room):
            pieces.append(bytes(room[:count]))
            total += count
            if total > most:
                self.abandon()
                raise errors.Failed(f"more than {most} bytes")
        self.finish()
        return b"".join(pieces)

    def finish(self) -> None:
        """Hear that all was sent, when all was read.

        Raises:
            TransferCut: Not all was.
            Unavailable: The control connection is lost.
        """
        if not self._over:
            self._hang_up()
            self._conclude()

    def unread(self) -> int:
        """Give how many bytes have come that nobody took; with TLS, as they came."""
        if self._over:
            return 0
        with contextlib.suppress(OSError):
            return int.from_bytes(fcntl.ioctl(self._socket, termios.FIONREAD, bytes(4)), sys.byteorder)
        return 0

    def abandon(self) -> None:
        """End early: hang up, and hear the site's word on it. The control connection stays usable."""
        if self._over:
            return
        self._over = True
        if self._dialect.aborts_first:
            self._abort_first()
            return
        self._hang_up()
        told = self._stop()
        if not told and self._dialect.aborts_first is None and isinstance(self._socket, ssl.SSLSocket):
            self._dialect.learn(aborts_first=True)

    def _abort_first(self) -> None:
        """Say ABOR, and take what still comes until the site ends it: see `Dialect.aborts_first`."""
        try:
            self._control.say(("ABOR",))
            if not self._drain(_GRACE_SECONDS):
                self._dialect.learn(aborts_first=False)  # it doesn't listen meanwhile
            self._control.catch_up(self._settings.reply_seconds)
        except errors.Refused:
            self._control.close()

    def _drain(self, seconds: float) -> bool:
        """Throw away what comes, as it comes, and close; say whether it came to an end."""
        until = time.monotonic() + seconds
        waste = bytearray(65_536)
        with socket.socket(fileno=self._socket.detach()) as plain, contextlib.suppress(OSError):
            while (left := until - time.monotonic()) > 0:
                plain.settimeout(left)
                if not plain.recv_into(waste):
                    return True
            return False
        return time.monotonic() < until  # a reset is an end, too


class Ahead:
    """A small file that is sent, end and all, before the site has said that it takes it: a wait less.

    What a site's reply to the command means doesn't change by that: after a "no" nobody reads what was sent.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sent = False
        self.trouble: OSError | None = None

    def send(self, made: socket.socket) -> None:
        """Send it; what goes wrong is told later, for the site's reply comes first."""
        self.sent = True
        try:
            made.sendall(self.content)
            made.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.trouble = error

    def take_back(self) -> None:
        """Begin anew: the connection that it went to was none to the site."""
        self.sent, self.trouble = False, None


class Upload(_Data):
    """Bytes that go to a site."""

    ahead: Ahead | None = None
    """All of it, if it is small; `finish` sees that it is sent."""

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it.

        Raises:
            NoSpace, OverQuota, Denied: The site breaks off.
            TransferCut: The data connection broke, or stood still for too long.
        """
        try:
            view = memoryview(data).cast("B")
            step = _SECURE_BYTES if isinstance(self._socket, ssl.SSLSocket) else 1 << 20
            for start in range(0, len(view), step):
                self._socket.sendall(view[start : start + step])  # the limit is for each step
        except OSError as error:
            raise self._failed(error) from error

    def sendfile(self, fd: int, offset: int, count: int) -> None:
        """Send a part of a file, without a copy where there is no TLS.

        Raises:
            NoSpace, OverQuota, Denied: The site breaks off.
            TransferCut: The data connection broke, stood still for too long, or the file is shorter.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            self._send_mapped(fd, offset, count)
            return
        waiting = select.poll()
        waiting.register(self._socket, select.POLLOUT)
        while count:
            try:
                sent = os.sendfile(self._socket.fileno(), fd, offset, min(count, _SENDFILE_BYTES))
            except BlockingIOError:
                if not waiting.poll(self._settings.stall_seconds * 1000):
                    stalled = TimeoutError(f"nothing taken for {self._settings.stall_seconds:g} s")
                    raise self._failed(stalled) from None
                continue
            except OSError as error:
                raise self._failed(error) from error
            if not sent:
                self.abandon()
                raise errors.TransferCut("the local file is shorter than announced")
            offset += sent
            count -= sent

    def finish(self) -> None:
        """Say that this was all; return after the site's 226.

        Raises:
            NoSpace, OverQuota, Denied: The site couldn't keep it.
            TransferCut: It didn't get all.
            Unavailable: The control connection is lost: nobody knows what the site has.
        """
        if self._over:
            raise errors.TransferCut("it was given up before")
        if self.ahead is not None and not self.ahead.sent:
            self.send(self.ahead.content)
        try:
            if self.ahead is not None and self.ahead.sent:
                if self.ahead.trouble is not None:
                    raise self.ahead.trouble
            elif isinstance(self._socket, ssl.SSLSocket):
                _take_leave(self._socket, self._settings.stall_seconds)
            else:
                self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._failed(error) from error
        self._hang_up()
        self._conclude()

    def abandon(self) -> None:
        """End early: by a reset, so that what came doesn't pass for a whole file."""
        if self._over:
            return
        self._over = True
        try:
            self._reset()
            self._stop()
        finally:
            self._hang_up()

    def _reset(self) -> None:
        """Break the connection off, so that the site sees a cut and no end."""
        with contextlib.suppress(OSError):
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._hang_up()

    def _send_mapped(self, fd: int, offset: int, count: int) -> None:
        if os.fstat(fd).st_size < offset + count:
            self.abandon()
            raise errors.TransferCut("the local file is shorter than announced")
        if not count:
            return
        page = offset - offset % mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(fd, count + offset - page, access=mmap.ACCESS_READ, offset=page) as content,
            memoryview(content) as view,
            view[offset - page :] as part,
        ):
            self.send(part)


def _take_leave(secure: ssl.SSLSocket, seconds: float) -> None:
    """Say close_notify, which sites ask for that look out for cut files; some answer it, some hang up."""
    secure.settimeout(min(seconds, _GRACE_SECONDS))
    with contextlib.suppress(OSError, ValueError):
        secure.unwrap()


def dial(host: str, port: int, settings: Remote, window: int | None = None) -> socket.socket:
    """Connect to where a site listens.

    Args:
        host: Numeric.
        port: Its port.
        settings: The limits.
        window: How many bytes a site may send ahead of us.

    Raises:
        NoDataConnection: Nobody answers there.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if window:  # before it is connected: the peer is told of it then
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        made.settimeout(settings.connect_seconds)
        made.connect((host, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        made.close()
        raise errors.NoDataConnection(f"{host} port {port}: {error.strerror or error}") from error
    return made


class Dialled:
    """A port of ours that a site dials, for PORT and EPRT."""

    def __init__(self, control: Control, settings: Remote, window: int | None = None) -> None:
        self._peer = control.peer
        self._settings = settings
        own = control.own
        family = socket.AF_INET6 if ":" in own else socket.AF_INET
        try:
            self._listener = socket.create_server((own, 0), family=family)
            if window:  # what is accepted has the same
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        except OSError as error:
            raise errors.NoDataConnection(f"{own}: {error.strerror or error}") from error
        self.host, self.port = own, int(self._listener.getsockname()[1])

    def accept(self) -> socket.socket:
        """Wait for the site, and nobody else.

        Raises:
            NoDataConnection: It doesn't come.
        """
        until = time.monotonic() + self._settings.connect_seconds
        try:
            while (left := until - time.monotonic()) > 0:
                self._listener.settimeout(left)
                made, (host, *_) = self._listener.accept()
                if str(host).removeprefix("::ffff:") == self._peer:
                    return made
                made.close()
        except OSError as error:
            raise errors.NoDataConnection(f"the site didn't dial us: {error}") from error
        raise errors.NoDataConnection("the site didn't dial us")

    def close(self) -> None:
        """Close the port."""
        with contextlib.suppress(OSError):
            self._listener.close()
