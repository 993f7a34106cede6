"""One end of a link: requests, their replies, and notes, over a socket.

What the messages mean is `docs/link-protocol.md`'s; here they only get where they belong.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from argosy import errors
from argosy.wire import link

log = logging.getLogger("argosy.link")

STRANGER_BYTES = 1 << 16
"""Bytes in a frame from who hasn't said who it is: the longest is a signing request."""

Answer = Callable[[link.Body], Awaitable[link.Body | None]]
"""What a side does with a message: for a request its value is the reply."""


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
        self._asked: dict[int, asyncio.Future[link.Body]] = {}
        self._last_id = 0
        self._inbox: asyncio.Queue[link.Frame | None] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._lost = asyncio.Event()
        self._heard = 0.0
        self._transport: asyncio.Transport | None = None
        self.local: tuple[str, int] = ("", 0)
        self.remote: tuple[str, int] = ("", 0)
        self.certificate: dict[str, Any] | None = None
        """The far side's certificate as `ssl` gives it, if it showed one that our authority signed."""

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the two addresses and the certificate."""
        self._transport = cast("asyncio.Transport", transport)
        if isinstance(name := transport.get_extra_info("sockname"), tuple):
            self.local = name[:2]
        if isinstance(name := transport.get_extra_info("peername"), tuple):
            self.remote = name[:2]
        self.certificate = transport.get_extra_info("peercert")
        self._heard = asyncio.get_running_loop().time()
        self._writable.set()
        if self._connected:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        """Cut bytes into frames; wake who waits for a reply, queue the rest."""
        self._heard = asyncio.get_running_loop().time()
        try:
            frames = self._frames.feed(data)
        except link.LinkError as error:
            log.warning("%s: hanging up: %s", self.remote, error)
            self.close()
            return
        for frame in frames:
            if not frame.reply:
                self._inbox.put_nowait(frame)
            elif (future := self._asked.get(frame.id)) and not future.done():
                future.set_result(frame.body)

    def pause_writing(self) -> None:
        """Hold requests back until the far side has read some."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let requests go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that nothing will come."""
        self._lost.set()
        self._writable.set()
        self._inbox.put_nowait(None)
        for future in self._asked.values():
            if not future.done():
                future.set_exception(errors.Unavailable(f"the link broke ({exc or 'closed'})"))

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
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds or self._request_seconds):
                await self._writable.wait()
                if self.lost:
                    raise errors.Unavailable("the link is down")
                self._last_id += 1
                number = self._last_id
                self._asked[number] = loop.create_future()
                try:
                    self._write(link.Frame(number, False, message))
                    if written is not None:
                        written.set()
                    body = await self._asked[number]
                finally:
                    del self._asked[number]
        except TimeoutError:
            raise errors.Unavailable(f"no answer to {type(message).__name__}") from None
        if isinstance(body, link.No):
            raise refusal(body.refusal, body.subject)
        return body

    def tell(self, message: link.Body) -> None:
        """Send a note; on a link that is over it goes nowhere."""
        if not self.lost:
            self._write(link.Frame(0, False, message))

    async def run(self, answer: Answer) -> None:
        """Act on what the far side says until the link ends.

        `answer` starts for each message in the order of arrival, each in a task of its own: what it does
        before its first await is in order. When the link ends the running ones are cancelled.
        """
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch())
            running: set[asyncio.Task[None]] = set()
            try:
                while frame := await self._inbox.get():
                    task = tasks.create_task(self._reply(frame, answer))
                    running.add(task)
                    task.add_done_callback(running.discard)
            finally:
                self.close()
                for task in (watch, *running):
                    task.cancel()

    def trust(self) -> None:
        """Take frames of full size from now on: a server knows by now who the far side is."""
        self._frames.limit = link.FRAME_LIMIT

    def close(self) -> None:
        """End the link; what was said before still gets sent."""
        if self._transport:
            self._transport.close()

    async def closed(self) -> None:
        """Wait until the link is over."""
        await self._lost.wait()

    async def _reply(self, frame: link.Frame, answer: Answer) -> None:
        try:
            body = await answer(frame.body)
        except errors.Refused as refused:
            body = link.No(type(refused).__name__, str(refused.subject))
        except Exception:
            log.exception("%s: accident at %s", self.remote, type(frame.body).__name__)
            body = link.No(errors.Failed.__name__, type(frame.body).__name__)
        if frame.id and not self.lost:
            self._write(link.Frame(frame.id, True, body or link.Ok()))

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
                if self._transport:
                    self._transport.abort()
            elif self._transport and not self._transport.is_closing():
                self._transport.write(link.ALIVE)

    def _write(self, frame: link.Frame) -> None:
        # A TLS transport that the peer aborted takes writes in silence for ever.
        if self._transport and not self._transport.is_closing():
            self._transport.write(link.encode(frame))


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


async def connect_local(path: Path, *, seconds: float) -> Peer:
    """Dial a master's local socket for administration.

    Raises:
        Unavailable: No master runs there.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            _, peer = await loop.create_unix_connection(
                lambda: Peer(request_seconds=seconds, silent_seconds=seconds), str(path)
            )
    except (OSError, TimeoutError) as error:
        raise errors.Unavailable(f"no master at {path} ({error})") from error
    return peer
