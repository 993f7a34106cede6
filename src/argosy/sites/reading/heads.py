"""Reading heads: an open RETR at a known position of a file, from where a site sends on.

FTP can only begin somewhere (REST, RFC 3659 section 5) and go on. A head that ends early gives its control
connection back in good order. One thread at a time works with a head.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from argosy.errors import Refused, TransferCut, Unavailable, Unsupported
from argosy.sites.model import Version
from argosy.sites.reading.blocks import Shelf
from argosy.sites.session.pool import Pool, Purpose, Session

PIECE_BYTES = 256 * 1024
"""What is received into one piece of memory."""

LARGE_BYTES = 1024 * 1024
"""What is received into one piece when much is to come: fewer calls for as many bytes."""

SKIP_BYTES = 128 * 1024
"""A shorter gap is read over: it costs less than to begin anew."""

NARROW_BYTES = 16 * 1024
"""The least receive buffer of a head for one short read: a site can't send much more than this in vain."""

NARROW_UPTO = 64 * 1024
"""Who wants more than this gets a head with all the buffer that the kernel gives."""


class Download(Protocol):
    """What is asked of a download here: `sites.data.Download`."""

    def recv_into(self, view: memoryview) -> int:
        """Take what has come; 0: that was the end. Raises TransferCut."""
        ...

    def unread(self) -> int:
        """Give how many bytes have come that nobody took."""
        ...

    def finish(self) -> None:
        """Hear that all was sent. Raises TransferCut, Unavailable."""
        ...

    def abandon(self) -> None:
        """End early. Doesn't raise."""
        ...


class Source(Session, Protocol):
    """What is asked of a connection here: `sites.client.Client`."""

    @property
    def restarts(self) -> bool:
        """False once it is known that the site can't begin in the middle of a file."""
        ...

    def retrieve(self, path: bytes, offset: int = 0, *, window: int | None = None) -> Download:
        """Begin to read a file; returns when the site has said that bytes come."""
        ...

    def prepare(self, path: bytes | None = None, *, window: int | None = None) -> None:
        """Open the next transfer's data connection beforehand. Doesn't raise."""
        ...


class Connection(NamedTuple):
    """A connection whose site sends."""

    client: Source
    download: Download
    path: bytes
    window: int | None

    def leave(self, pool: Pool[Source], *, ready: bool = False) -> int:
        """End the download early, and give the control connection back. Gives how many bytes came in vain.

        Args:
            pool: Where it came from.
            ready: Another read of this kind is likely to come, and nobody waits for it yet.
        """
        try:
            vain = self.download.unread()
            self.download.abandon()
            if ready and not pool.wanted:
                self.client.prepare(self.path, window=self.window)
        finally:
            pool.give(self.client)
        return vain


class Head:
    """One place of a file from which bytes come."""

    def __init__(self, version: Version, path: Callable[[], bytes], position: int, target: int) -> None:
        """Plan a head; `start` opens it.

        Args:
            version: What is read.
            path: Gives where the file is now.
            position: Where to begin.
            target: Where to stop for the time being. It may be moved further at any time.
        """
        self.version = version
        self.path = path
        self.position = position
        self.target = target
        self.begun = position
        """Where the piece begins that is being fetched; it doesn't move while somebody plans."""
        self.active = False
        """A thread works with it, or will."""
        self.working = False
        """A thread works with it now."""
        self.stray = False
        """For a read here and there, and of no use afterwards."""
        self.dropped = False
        """It is to end, whatever its target says."""
        self.used_at = time.monotonic()
        self.bytes_per_second = 0.0
        self.vain = 0
        """Bytes that came and that nobody took."""
        self.tries = 0
        """Without a byte in between."""
        self.troubled_at = 0.0
        """When the first of them was."""
        self.ended_at: int | None = None
        """Where the site said that the file ends, too early."""
        self._connection: Connection | None = None
        self.narrow = False
        """It was opened for one short read, with a small buffer: for more it would have to be opened anew."""
        self._restarts = True

    @property
    def open(self) -> bool:
        """It holds a connection."""
        return self._connection is not None

    @property
    def wants(self) -> int:
        """How many bytes it is to fetch yet."""
        return self.target - self.position

    def start(self, pool: Pool[Source], seconds: float, *, restarts: bool) -> bool:
        """See that bytes come from `position`: from there, or from the beginning if the site can't otherwise.

        Args:
            pool: Where to get a connection.
            seconds: How long to wait for one.
            restarts: The site can begin in the middle.

        Returns:
            A new RETR was begun.

        Raises:
            NoRestart: The site can't begin in the middle, as it says now.
            Refused: The file can't be read, or the site is in trouble.
        """
        if self.narrow and self.wants > NARROW_UPTO:
            self.release(pool)
        if self._connection:
            return False
        self._restarts = restarts
        if not restarts:
            self.position = 0
        self.narrow = restarts and self.wants <= NARROW_UPTO and self.target < self.version.size
        for last in (False, True):
            client = pool.take(Purpose.READ, seconds)
            try:
                window = max(NARROW_BYTES, 2 * self.wants) if self.narrow else None
                path = self.path()
                download = client.retrieve(path, self.position, window=window)
            except (Unavailable, TransferCut):
                pool.give(client)
                if last or client.usable:
                    raise
            except Unsupported as trouble:
                pool.give(client)
                if self.position and not client.restarts:
                    raise NoRestart(trouble.subject) from trouble
                raise
            except BaseException:
                pool.give(client)
                raise
            else:
                self._connection = Connection(client, download, path, window)
                break
        return True

    def detach(self) -> Connection | None:
        """Take its connection away; `start` opens another."""
        connection, self._connection = self._connection, None
        return connection

    def release(self, pool: Pool[Source]) -> None:
        """End early, and give the control connection back."""
        if connection := self.detach():
            self.vain += connection.leave(pool, ready=self.stray)

    def fill(self, pool: Pool[Source], shelf: Shelf, progress: Callable[[int], None]) -> None:
        """Fetch one piece, or read over what is known.

        Args:
            pool: For the connection when the end is reached.
            shelf: Where bytes go.
            progress: Told how many came, each time.

        Raises:
            TransferCut: The site broke off.
            EndsEarly: The site says that the file ends here.
        """
        assert self._connection is not None
        most = LARGE_BYTES if self.wants >= 2 * LARGE_BYTES else PIECE_BYTES
        piece = shelf.begin(self.version, self.position, min(self.target, self.version.size), most)
        if isinstance(piece, int):
            if piece > SKIP_BYTES and self._restarts:
                self.release(pool)
                self.position += piece
            else:
                self._read_over(pool, piece, progress)
            return
        began, at = time.monotonic(), self.position
        try:
            room = len(piece.view)
            while piece.filled < room:
                count = self._receive(pool, piece.view[piece.filled :])
                piece.filled += count
                self.position += count
                progress(count)
        finally:
            shelf.end(piece)
        if self.position - at >= PIECE_BYTES // 2:
            speed = (self.position - at) / max(1e-6, time.monotonic() - began)
            self.bytes_per_second = (3 * (self.bytes_per_second or speed) + speed) / 4

    def conclude(self, pool: Pool[Source]) -> None:
        """All of the file is here: hear the site's 226."""
        connection = self.detach()
        if connection is None:
            return
        client, download, *_ = connection
        try:
            if download.recv_into(memoryview(bytearray(1))):  # it has grown since: no harm to what we have
                download.abandon()
            else:
                download.finish()
        except Refused:
            download.abandon()
        finally:
            pool.give(client)

    def _receive(self, pool: Pool[Source], view: memoryview) -> int:
        assert self._connection is not None
        client, download, *_ = self._connection
        count = download.recv_into(view)
        if count:
            self.tries = 0
            return count
        self._connection = None
        try:
            download.finish()
        finally:
            pool.give(client)
        raise EndsEarly(f"the site says that the file ends at {self.position}, not at {self.version.size}")

    def _read_over(self, pool: Pool[Source], count: int, progress: Callable[[int], None]) -> None:
        scratch = memoryview(bytearray(min(count, PIECE_BYTES)))
        while count:
            came = self._receive(pool, scratch[: min(count, len(scratch))])
            self.position += came
            count -= came
            progress(came)


class NoRestart(Unsupported):
    """The site can't begin in the middle of a file."""


class EndsEarly(TransferCut):
    """The site says that all was sent, but the file should be longer."""
