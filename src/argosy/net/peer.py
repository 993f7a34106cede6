"""One end of a link: requests, their replies, and notes, over a socket.

What the messages mean is `docs/link-protocol.md`'s; here they only get where they belong.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from argosy import errors
from argosy.wire import link

log = logging.getLogger("argosy.link")

STRANGER_BYTES = 1 << 16
"""Bytes in a frame from who hasn't said who it is: the longest is a signing request."""

ACK_SECONDS = 0.02
"""An acknowledgement that says nothing waits so long for a frame to travel with."""

Answer = Callable[[link.Body], link.Body | Awaitable[link.Body | None] | None]
"""What a side does with a message: for a request its value is the reply, had at once or awaited."""

Heard = Callable[[link.Body | None], None]
"""Takes a reply; None: the link ended before one came."""


class Peer(asyncio.Protocol):
    """The far side of a link, as this side sees it."""

    def __init__(
        self,
        *,
        request_seconds: float,
        silent_seconds: float,
        connected: Callable[[Peer], None] | None = None,
    ) -> None:
        """Make an end that isn't connected yet.

        Args:
            request_seconds: How long an answer is waited for, where `ask` isn't told otherwise.
            silent_seconds: Hang up on a peer not heard of for so long; we speak three times as often.
            connected: Told when the connection stands; a server starts `run` there.
        """
        self._connected = connected
        self._request_seconds = request_seconds
        self._silent_seconds = silent_seconds
        self._frames = link.FrameReader(STRANGER_BYTES if connected else link.FRAME_LIMIT)
        self._asked: dict[int, Heard] = {}
        self._last_id = 0
        self._answer: Answer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._early: list[link.Frame] = []
        """Came before `run` did."""
        self._starting = False
        """A task was made for a message and hasn't begun; who comes after it waits for that."""
        self._unsent: list[bytes] = []
        self._sends_soon = self._sends_later = False
        self._loop = asyncio.get_running_loop()
        self._writable = asyncio.Event()
        self._lost = asyncio.Event()
        self._heard = 0.0
        self._hung_up = False
        self._transport: asyncio.Transport | None = None
        self.local: tuple[str, int] = ("", 0)
        self.remote: tuple[str, int] = ("", 0)
        self.certificate: dict[str, Any] | None = None
        """The far side's certificate as `ssl` gives it, if it showed one that our authority signed."""
        self.farewell: link.Body | None = None
        """What we say before we hang up, if anything."""
        self.broken_off = False
        """The far side's machine ended the link, and neither we nor a network that is silent."""

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the two addresses and the certificate."""
        self._transport = cast("asyncio.Transport", transport)
        if isinstance(name := transport.get_extra_info("sockname"), tuple):
            self.local = name[:2]
        if isinstance(name := transport.get_extra_info("peername"), tuple):
            self.remote = name[:2]
        self.certificate = transport.get_extra_info("peercert")
        self._heard = self._loop.time()
        self._writable.set()
        if self._connected:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        """Cut bytes into frames; hand replies to who waits for them, and act on the rest."""
        self._heard = self._loop.time()
        try:
            frames = self._frames.feed(data)
        except link.LinkError as error:
            log.warning("%s: hanging up: %s", self.remote, error)
            self.close()
            return
        for frame in frames:
            if not frame.reply:
                self._take(frame)
            elif heard := self._asked.pop(frame.id, None):
                heard(frame.body)

    def pause_writing(self) -> None:
        """Hold requests back until the far side has read some."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let requests go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that nothing will come."""
        # A dead process's sockets are closed by its machine: an end, or a reset. A silent network times out.
        self.broken_off = not self._hung_up and (exc is None or isinstance(exc, ConnectionError))
        self._lost.set()
        self._writable.set()
        waiting, self._asked = self._asked, {}
        for heard in waiting.values():
            heard(None)

    # --- for both sides

    @property
    def lost(self) -> bool:
        """Whether the link is over."""
        return self._lost.is_set()

    async def ask(
        self, message: link.Body, seconds: float | None = None, *, written: asyncio.Event | None = None
    ) -> link.Body:
        """Send a request and wait for its reply.

        Args:
            message: The request.
            seconds: How long to wait; default: the link's `request_seconds`.
            written: Set once it is on its way: what is said after that comes after it.

        Raises:
            Unavailable: The link ended, or the time was over. The far side may have done it all the same.
            Refused: Whatever the far side refused with.
        """
        reply: asyncio.Future[link.Body | None] = self._loop.create_future()
        number = 0

        def heard(body: link.Body | None) -> None:
            if not reply.done():
                reply.set_result(body)

        try:
            async with asyncio.timeout(seconds or self._request_seconds):
                await self._writable.wait()
                number = self._request(message, heard)
                if written is not None:
                    written.set()
                body = await reply
        except TimeoutError:
            raise errors.Unavailable(f"no answer to {type(message).__name__}") from None
        finally:
            self._asked.pop(number, None)
        if body is None:
            raise errors.Unavailable("the link broke")
        if isinstance(body, link.No):
            raise refusal(body.refusal, body.subject)
        return body

    def request(self, message: link.Body, heard: Heard) -> None:
        """Send a request; `heard` is called with its reply, or with None when the link ends before it.

        There is no time limit: who lets a request go unanswered while the link lives has a bug.
        """
        try:
            self._request(message, heard)
        except errors.Unavailable:
            self._loop.call_soon(heard, None)

    def tell(self, message: link.Body) -> None:
        """Send a note; on a link that is over it goes nowhere."""
        if not self.lost:
            self._write(link.Frame(0, False, message))

    async def run(self, answer: Answer) -> None:
        """Act on what the far side says until the link ends.

        Each message reaches `answer` in the order of arrival. One that is answered at once is done with then;
        one to be awaited goes on in a task of its own, and what it does before its first await is in order
        with the others. When the link ends the running ones are cancelled.
        """
        async with asyncio.TaskGroup() as self._tasks:
            watch = self._tasks.create_task(self._watch())
            try:
                self._answer = answer
                early, self._early = self._early, []
                for frame in early:
                    self._take(frame)
                await self._lost.wait()
            finally:
                self._answer = None
                self.close()
                for task in (watch, *self._running):
                    task.cancel()

    def trust(self) -> None:
        """Take frames of full size from now on: a server knows by now who the far side is."""
        self._frames.limit = link.FRAME_LIMIT

    def close(self) -> None:
        """End the link; what was said before still gets sent."""
        self._say_farewell()
        self._send()
        if self._transport:
            self._transport.close()

    async def closed(self) -> None:
        """Wait until the link is over."""
        await self._lost.wait()

    def _say_farewell(self) -> None:
        if self.farewell and not self._hung_up and not self.lost:
            self._unsent.append(link.encode(link.Frame(0, False, self.farewell)))
        self._hung_up = True

    def _request(self, message: link.Body, heard: Heard) -> int:
        if self.lost:
            raise errors.Unavailable("the link is down")
        self._last_id += 1
        self._asked[self._last_id] = heard
        self._write(link.Frame(self._last_id, False, message))
        return self._last_id

    def _take(self, frame: link.Frame) -> None:
        if self._starting:
            self._loop.call_soon(self._act, frame)  # behind the first step of the task before it
        else:
            self._act(frame)

    def _act(self, frame: link.Frame) -> None:
        if self._answer is None:
            if not self.lost and self._tasks is None:
                self._early.append(frame)
            return
        try:
            answered = self._answer(frame.body)
        except Exception as error:  # noqa: BLE001 - told to the far side, and logged there
            self._write_reply(frame, self._refusal(frame, error))
            return
        if isinstance(answered, Awaitable):
            self._start(frame, answered)
        else:
            self._write_reply(frame, answered, idle=answered is None)

    def _start(self, frame: link.Frame, answer: Awaitable[link.Body | None]) -> None:
        assert self._tasks is not None, "run() runs"
        task = self._tasks.create_task(self._await(frame, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if not self._starting:
            self._starting = True
            self._loop.call_soon(self._started)

    def _started(self) -> None:
        self._starting = False

    async def _await(self, frame: link.Frame, answer: Awaitable[link.Body | None]) -> None:
        try:
            body = await answer
        except Exception as error:  # noqa: BLE001 - told to the far side, and logged there
            body = self._refusal(frame, error)
        self._write_reply(frame, body)

    def _refusal(self, frame: link.Frame, error: Exception) -> link.No:
        if isinstance(error, errors.Refused):
            return link.No(type(error).__name__, _as_text(error.subject))
        log.error("%s: accident at %s", self.remote, type(frame.body).__name__, exc_info=error)
        return link.No(errors.Failed.__name__, type(frame.body).__name__)

    def _write_reply(self, frame: link.Frame, body: link.Body | None, *, idle: bool = False) -> None:
        if not frame.id or self.lost:
            return
        try:
            self._write(link.Frame(frame.id, True, body or link.Ok()), idle=idle)
        except Exception as error:  # noqa: BLE001 - what can't be said is this request's accident, not the link's
            self._write(link.Frame(frame.id, True, self._refusal(frame, error)))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pause = self._silent_seconds / 3
        while not self.lost:
            due = loop.time() + pause
            await asyncio.sleep(pause)
            # While we stood still ourselves (a frozen machine) nobody can have been heard.
            now = loop.time()
            self._heard = min(now, self._heard + now - due)
            if now - self._heard > self._silent_seconds:
                log.warning("%s: not heard of for %.1f s, hanging up", self.remote, self._silent_seconds)
                self._say_farewell()  # maybe only its words don't reach us
                self._send()
                await asyncio.sleep(0)
                if self._transport:
                    self._transport.abort()
            elif self._transport and not self._transport.is_closing():
                self._transport.write(link.ALIVE)

    def _write(self, frame: link.Frame, *, idle: bool = False) -> None:
        """Gather what is said in one turn of the loop into one write: a record of TLS and a system call each.

        Args:
            frame: What to say.
            idle: Nobody stands still until it is heard.
        """
        self._unsent.append(link.encode(frame))
        if idle and not self._sends_soon:
            if not self._sends_later:
                self._sends_later = True
                self._loop.call_later(ACK_SECONDS, self._send_idle)
        elif not self._sends_soon:
            self._sends_soon = True
            self._loop.call_soon(self._send)

    def _send_idle(self) -> None:
        self._sends_later = False
        self._send()

    def _send(self) -> None:
        self._sends_soon = False
        unsent, self._unsent = self._unsent, []
        # A TLS transport that the peer aborted takes writes in silence for ever.
        if unsent and self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))


def _as_text(subject: object) -> str:
    """Give what a refusal is about so that it can travel: of a name that is no UTF-8 the bytes."""
    name = subject if isinstance(subject, bytes) else str(subject).encode(errors="surrogateescape")
    return name.decode(errors="backslashreplace")


def refusal(name: str, subject: str) -> errors.Refused:
    """Give the refusal that the far side named; one that we don't know becomes `Failed`."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.Refused):
        return kind(subject)
    return errors.Failed(f"{name}: {subject}")


async def connect(
    host: str,
    port: int,
    *,
    context: ssl.SSLContext,
    seconds: float,
    silent_seconds: float,
) -> Peer:
    """Dial a master's link.

    Args:
        host: Name or address.
        port: TCP port.
        context: `tls.link_client`, or for enrolling one without a certificate.
        seconds: How long connecting, and later each request, may take.
        silent_seconds: See `Peer`.

    Raises:
        Unavailable: Nobody there, not in time, or not our master. Try again later.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            _, peer = await loop.create_connection(
                lambda: Peer(request_seconds=seconds, silent_seconds=silent_seconds),
                host,
                port,
                ssl=context,
                server_hostname="",
            )
    except (OSError, TimeoutError) as error:
        raise errors.Unavailable(f"{host}:{port}: {error or 'no answer in time'}") from error
    return peer


async def serve_local(path: Path, answer: Answer, *, request_seconds: float, silent_seconds: float) -> None:
    """Answer at a local socket, which its owner alone can open, until cancelled.

    Args:
        path: Of the socket. One that is there already is taken for a dead process's.
        answer: What is done with each message.
        request_seconds: See `Peer`.
        silent_seconds: See `Peer`.
    """
    over = asyncio.Event()

    def connected(peer: Peer) -> None:
        if over.is_set():
            peer.close()  # it came while we were being stopped
        else:
            tasks.create_task(converse(peer))

    async def converse(peer: Peer) -> None:
        try:
            await peer.run(answer)
        except Exception:
            log.exception("accident at %s", path.name)  # one caller's, not the others'

    def end() -> Peer:
        return Peer(request_seconds=request_seconds, silent_seconds=silent_seconds, connected=connected)

    with _place_for_socket(path):
        async with asyncio.TaskGroup() as tasks:
            before = os.umask(0o177)
            try:
                server = await asyncio.get_running_loop().create_unix_server(end, str(path))
            finally:
                os.umask(before)
            try:
                await over.wait()
            finally:
                over.set()
                server.close()


@contextmanager
def _place_for_socket(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def connect_local(path: Path, *, seconds: float) -> Peer:
    """Dial a local socket for administration.

    Raises:
        Unavailable: Nobody answers there.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            _, peer = await loop.create_unix_connection(
                lambda: Peer(request_seconds=seconds, silent_seconds=seconds), str(path)
            )
    except (OSError, TimeoutError) as error:
        raise errors.Unavailable(f"nobody answers at {path} ({error})") from error
    return peer
