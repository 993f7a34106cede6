"""A mount's changed files: what is written lies in the journal until the site has it.

The loop decides what is uploaded when; threads write to the disk and speak with the site.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from argosy import config, errors
from argosy.sites.model import Facts, FileId, Version
from argosy.sites.session.client import Client
from argosy.sites.session.pool import Pool, Purpose
from argosy.sites.writing.draft import Dirty, Draft
from argosy.sites.writing.entry import Entry
from argosy.sites.writing.journal import Journal
from argosy.sites.writing.space import Space
from argosy.sites.writing.uploads import Moving, Uploads

_log = logging.getLogger(__name__)

_TEND_SECONDS = 0.2
_DISK_THREADS = 4
_ADMITTING = 4096
"""Directories of which it is remembered that they take files."""
_SOON_SECONDS = 1.0
"""An upload that failed is tried again so soon when somebody waits for it."""
_UNHEARD = 10_000
"""Files whose trouble is kept for who asks late."""
Base = Callable[[Version, int, int], Awaitable[list[memoryview]]]
"""Reads what the site has: version, offset, count."""
_T = TypeVar("_T")


class Writing(NamedTuple):
    """What a mount has that its site hasn't got yet."""

    files: int
    bytes: int
    moving: list[Moving]
    sent_bytes: int
    trouble: list[tuple[FileId, str]]


class Writer:
    """A mount's changed files. All of it is for the loop."""

    def __init__(
        self,
        pool: Pool[Client],
        *,
        directory: str,
        path_of: Callable[[FileId], bytes],
        done: Callable[[FileId, Facts | None], None],
        settings: config.Journal,
        space: Space,
        give_way: Callable[[FileId], None] = lambda _: None,
        streams: int = 2,
    ) -> None:
        """Begin; `open` before anything else.

        Args:
            pool: The site's connections.
            directory: The journal's, of this mount alone.
            path_of: Where a file is on the site; asked from threads. Raises Stale when it is gone.
            done: Told what the site has now, before the file stops being dirty; None: the changes were
                dropped, and the site has what it had.
            settings: The limits.
            space: The room, shared with other mounts.
            give_way: Called from threads before a file is written to in place: who reads it there lets go.
            streams: How many uploads may go along with their writers, each with a connection.
        """
        self._pool = pool
        self._directory = directory
        self._path_of = path_of
        self._done = done
        self._settings = settings
        self._space = space
        self._streams = streams
        self._uploads = Uploads(path_of, settings, give_way)
        self._entries: dict[FileId, Entry] = {}
        self._disk = ThreadPoolExecutor(_DISK_THREADS, "journal")
        self._uploading = ThreadPoolExecutor(8, "upload")
        self._tending: asyncio.Task[None] | None = None
        self._closing = False
        self._admitting: set[bytes] = set()
        self._unheard: dict[FileId, errors.Refused] = {}
        """Why changes were dropped of which nobody has asked yet."""

    async def open(self) -> None:
        """Take up what a gateway before us left. To be awaited before anything else."""
        self._journal, drafts = await self._on_disk(self._recovered)
        for draft in drafts:
            self._entries[draft.file] = entry = Entry(draft)
            self._account(entry)
        if drafts:
            _log.info("the journal has %d files that the site hasn't got yet", len(drafts))
        self._pool.lend(self._lend)
        self._tending = asyncio.create_task(self._tend())

    async def close(self, seconds: float = 30.0) -> None:
        """Bring away what can be brought in time; the rest stays in the journal, for the next start."""
        until = time.monotonic() + seconds
        self._closing = True
        if self._tending is not None:
            self._tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tending
        waiting = [asyncio.create_task(self._bring_away(file, until)) for file in list(self._entries)]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)
        for task in waiting:
            task.cancel()
        for entry in self._entries.values():
            entry.draft.give_up()
        if staying := self.files():
            _log.warning("%d files stay in the journal until the next start", len(staying))
        self._uploading.shutdown(wait=False, cancel_futures=True)
        self._disk.shutdown(wait=False)

    # --- what is known

    def dirty(self, file: FileId) -> Dirty | None:
        """Say what a file is to become; None: it is as the site has it."""
        entry = self._entries.get(file)
        return None if entry is None or entry.leaving else entry.draft.dirty

    def files(self) -> list[FileId]:
        """Say which files are dirty."""
        return [file for file, entry in self._entries.items() if not entry.leaving]

    def report(self) -> Writing:
        """Say what the site hasn't got yet, and why."""
        entries = self._entries.values()
        return Writing(
            len(self._entries),
            sum(entry.draft.held for entry in entries),
            self._uploads.moving,
            self._uploads.sent_bytes,
            [(e.draft.file, str(why)) for e in entries if (why := e.trouble or e.passing) is not None],
        )

    async def read(
        self, file: FileId, offset: int, count: int, base: Base
    ) -> tuple[list[memoryview], bool] | None:
        """Read a changed file: what was written, and around it what the site has.

        Returns:
            The bytes, and whether the file ends there; None: it isn't dirty any more.

        Raises:
            Changed, and whatever `base` raises: Ask again.
        """
        entry = self._entries.get(file)
        if entry is None or entry.leaving:
            return None
        draft = entry.draft
        version, size = draft.base, draft.size
        pieces = await self._using(entry, lambda: draft.read(offset, offset + count))
        views: list[memoryview] = []
        for piece in pieces:
            if piece.data is not None:
                views.append(memoryview(piece.data))
                continue
            if version is None or draft.base is not version:
                raise errors.Changed(file)
            want = piece.end - piece.start
            got = await base(version, piece.start, want)
            views += got
            if missing := want - sum(map(len, got)):
                views.append(memoryview(bytes(missing)))
        return views, offset + count >= size

    # --- changes

    def prepare(self, file: FileId, *, mtime_ns: int | None = None, mode: int | None = None) -> Draft:
        """Write down a new file, for `create`. Blocks: for threads.

        Raises:
            NoSpace, Failed: The disk doesn't take it.
            Busy: A file that had this id before is still being dropped.
        """
        until = time.monotonic() + _SOON_SECONDS
        while file in self._entries:
            if time.monotonic() > until:
                raise errors.Busy(file)
            time.sleep(0.01)
        draft = self._journal.begin(file, None)
        draft.begin(mtime_ns, mode)
        return draft

    async def create(self, draft: Draft, directory: bytes) -> Dirty:
        """Begin a file that the site hasn't got.

        It gets there with the first flush, or when nothing is written to it; in a directory of which we
        don't know that it takes files, at once.

        Args:
            draft: What `prepare` gave.
            directory: Where it is to be on the site.

        Raises:
            Denied, NotFound, NoSpace, Unavailable, ...: It can't be made there.
        """
        file = draft.file
        self._entries[file] = Entry(draft)
        if directory not in self._admitting:
            try:
                await self.flush(file)
            except errors.Refused:
                await self.forget(file)
                raise
            self.admit(directory)
        return draft.dirty

    def admit(self, directory: bytes) -> None:
        """Note that a directory on the site takes files of ours: a file was made there, or we made it."""
        if len(self._admitting) >= _ADMITTING:
            self._admitting.clear()
        self._admitting.add(directory)

    async def write(
        self, file: FileId, base: Version | None, offset: int, data: bytes | bytearray | memoryview
    ) -> Dirty:
        """Take written bytes into the journal.

        Raises:
            NoSpace: The journal is full, and the site takes nothing.
            Refused: What the site said of the file before.
        """
        until = time.monotonic() + self._settings.full_seconds
        if (unheard := self._unheard.get(file)) is not None:
            raise type(unheard)(unheard.subject)
        entry = await self._entry(file, base)
        entry.refuse()
        entry.using += 1
        try:
            await self._space.take(len(data), self._settings.full_seconds)
        finally:
            entry.using -= 1
        try:
            while True:
                try:
                    await self._using(entry, lambda: entry.draft.write(offset, data))
                    break
                except errors.NoSpace as full:
                    await self._space.freed(until, str(full.subject))
        finally:
            self._space.give(len(data))
        self._perhaps_stream(entry)
        return entry.draft.dirty

    async def truncate(self, file: FileId, base: Version | None, size: int) -> Dirty:
        """Cut or lengthen a file."""
        entry = await self._entry(file, base)
        if size == 0:
            entry.trouble = None
            self._unheard.pop(file, None)
        entry.refuse()
        await self._using(entry, lambda: entry.draft.resize(size))
        return entry.draft.dirty

    async def want(self, file: FileId, *, mtime_ns: int | None = None, mode: int | None = None) -> bool:
        """Have time and permission bits go along with the content.

        Returns:
            False: The file isn't dirty: set them on the site.
        """
        entry = self._entries.get(file)
        if entry is None or entry.leaving:
            return False
        await self._using(entry, lambda: entry.draft.want(mtime_ns, mode))
        return True

    async def forget(self, file: FileId) -> bool:
        """Drop the changes of a file that is being removed; its upload stops.

        Returns:
            Whether the site may have something by its name.
        """
        self._unheard.pop(file, None)
        entry = self._entries.get(file)
        if entry is None:
            return True
        entry.draft.give_up()
        entry.held += 1
        if entry.round is not None:
            await asyncio.wait([entry.round])
        there = entry.draft.base is not None or entry.tried
        await self._leave(entry)
        return there

    @contextlib.asynccontextmanager
    async def holding(self, file: FileId) -> AsyncIterator[None]:
        """Have no upload of a file run: it is being renamed.

        Raises:
            Unavailable: One does, and doesn't end.
        """
        entry = self._entries.get(file)
        if entry is None:
            yield
            return
        entry.held += 1
        try:
            if entry.round is not None:
                entry.draft.end()
                _, late = await asyncio.wait([entry.round], timeout=self._settings.flush_seconds)
                if late:
                    raise errors.Unavailable("an upload of this file doesn't end")
            yield
        finally:
            entry.held -= 1

    # --- uploads

    async def flush(self, file: FileId) -> Facts | None:
        """Return when the site has all that was written before; None: it had.

        Raises:
            Unavailable: The site has been away for too long; the data stay, and are brought when it is back.
            NoSpace, OverQuota, Denied, ...: The site doesn't take it.
        """
        return await self._flush(file, time.monotonic() + self._settings.flush_seconds)

    async def _flush(self, file: FileId, until: float) -> Facts | None:
        if (unheard := self._unheard.pop(file, None)) is not None:
            raise unheard
        entry = self._entries.get(file)
        if entry is None or entry.leaving or entry.draft.doubtful:  # half a file would replace a whole one
            return None
        wanted = entry.draft.generation
        entry.retry_at = min(entry.retry_at, time.monotonic() + _SOON_SECONDS)
        while entry.draft.placed < wanted and not entry.leaving:
            entry.refuse()
            now = time.monotonic()
            if now > until:
                raise errors.Unavailable(str(entry.passing or "the upload takes long"))
            if entry.held or (entry.round is None and now < entry.retry_at):
                await asyncio.sleep(min(0.05, max(0.001, entry.retry_at - now)))
                continue
            running = self._round(entry, ending=True)
            await asyncio.wait([running], timeout=max(0.05, until - now))
            if running.cancelled():
                raise errors.Unavailable("the gateway stops")
            if entry.hopeless and entry.passing:
                raise type(entry.passing)(entry.passing.subject)
            await asyncio.sleep(0)  # what follows from it comes first
        return entry.facts

    def _round(self, entry: Entry, *, ending: bool) -> asyncio.Future[Facts]:
        """Begin an upload, or join the one that runs."""
        if entry.round is not None:
            if ending:
                entry.draft.end()
            return entry.round
        entry.draft.ending = ending
        entry.tried = True
        outcome: Future[Facts] = Future()
        waiting = self._uploading.submit(self._bring, entry.draft, outcome)
        waiting.add_done_callback(lambda _: outcome.cancel())  # does nothing but when it never began
        entry.round = running = asyncio.wrap_future(outcome)
        running.add_done_callback(lambda _: self._ended(entry, running))
        return running

    def _bring(self, draft: Draft, outcome: Future[Facts]) -> None:
        outcome.set_running_or_notify_cancel()
        try:
            with self._pool.borrow(Purpose.WRITE, self._settings.flush_seconds) as client:
                outcome.set_result(self._uploads.bring(client, draft))
                if not self._pool.wanted:
                    client.prepare()  # who copies one file copies another
        except BaseException as error:  # noqa: BLE001 - told to who waits
            outcome.set_exception(error)

    def _ended(self, entry: Entry, running: asyncio.Future[Facts]) -> None:
        """Draw the conclusions from an upload."""
        entry.round = None
        self._account(entry)
        if running.cancelled() or entry.leaving:
            return
        error = running.exception()
        if error is None:
            entry.came(running.result())
            self._done(entry.draft.file, entry.facts)
            self._perhaps_leave(entry)
            self._perhaps_stream(entry)
        elif not entry.draft.given_up:
            entry.failed(error, longest_pause=self._settings.retry_seconds)

    async def _bring_away(self, file: FileId, until: float) -> None:
        with contextlib.suppress(errors.Refused):
            await self._flush(file, until)
        if (entry := self._entries.get(file)) is not None and entry.leaving:
            await entry.left.wait()

    # --- in the background

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            try:
                now = time.monotonic()
                for entry in list(self._entries.values()):
                    self._tend_to(entry, now)
            except Exception:  # noqa: BLE001 - the others are tended to all the same
                _log.exception("tending the journal failed by accident")

    def _tend_to(self, entry: Entry, now: float) -> None:
        draft = entry.draft
        if entry.leaving or entry.held or entry.round is not None:
            if self._space.waiting:
                draft.end()  # what goes along with its writer would wait for who waits for room
            return
        quiet = now - draft.touched
        if entry.trouble is not None or draft.doubtful:
            if entry.using:
                return
            since = max(entry.told, draft.touched)
            if now - since > self._settings.refused_seconds or (draft.base is None and not draft.size):
                self._drop(entry)
            return
        wait = self._settings.quiet_seconds if draft.held else self._settings.create_seconds
        if now >= entry.retry_at and (quiet >= wait or (self._space.short and draft.held)):
            self._round(entry, ending=True)

    def _drop(self, entry: Entry) -> None:
        draft = entry.draft
        why = entry.trouble or "the machine went down before it was on the site"
        _log.error("%s: %d written bytes are dropped: %s", entry.called, draft.held, why)
        if entry.trouble is not None and not entry.heard and len(self._unheard) < _UNHEARD:
            self._unheard[draft.file] = entry.trouble
        self._begin_to_leave(entry, None)

    def _perhaps_stream(self, entry: Entry) -> None:
        """Begin an upload that goes along with who writes, when a file is large and written in order."""
        draft = entry.draft
        if entry.round or entry.held or entry.trouble or entry.leaving or self._closing:
            return
        if time.monotonic() < entry.retry_at:
            return
        if draft.kept and (draft.base is None or draft.kept != draft.base.size):
            return
        if draft.runs.reach(draft.kept) - draft.kept < self._settings.stream_bytes:
            return
        running = sum(other.round is not None for other in self._entries.values())
        if running < self._streams and self._pool.report().limit > 2:
            self._round(entry, ending=False)

    def _lend(self, urgent: bool) -> bool:
        """Have uploads end that wait for who writes: somebody else needs the connection."""
        if urgent:
            for entry in list(self._entries.values()):
                if entry.round is not None:
                    entry.draft.end()
        return False

    # --- entries

    async def _entry(self, file: FileId, base: Version | None) -> Entry:
        """Give a file's entry; a new one if it isn't dirty."""
        while (entry := self._entries.get(file)) is not None and entry.leaving:
            await entry.left.wait()
        if entry is None:
            entry = self._entries[file] = Entry(self._journal.begin(file, base))
        return entry

    async def _using(self, entry: Entry, work: Callable[[], _T]) -> _T:
        entry.using += 1
        try:
            return await self._on_disk(work)
        finally:
            entry.using -= 1
            self._account(entry)
            self._perhaps_leave(entry)

    def _perhaps_leave(self, entry: Entry) -> None:
        """Forget a file that the site has."""
        if entry.draft.clean and not entry.using and not entry.leaving and entry.round is None:
            self._begin_to_leave(entry, entry.facts)

    def _begin_to_leave(self, entry: Entry, facts: Facts | None) -> None:
        if facts is None:
            self._done(entry.draft.file, None)
        entry.leaving = True
        if entry.draft.removed:
            self._gone(entry)
            return
        removal = asyncio.get_running_loop().run_in_executor(self._disk, entry.draft.remove)
        removal.add_done_callback(lambda _: self._gone(entry))

    async def _leave(self, entry: Entry) -> None:
        if not entry.leaving:
            entry.leaving = True
            await self._on_disk(entry.draft.remove)
            self._gone(entry)
        await entry.left.wait()

    def _account(self, entry: Entry) -> None:
        """Take room for what lies in the journal, or give it back."""
        held = 0 if entry.left.is_set() else entry.draft.held
        entry.accounted, before = held, entry.accounted
        if held < before:
            self._space.give(before - held)
        else:
            self._space.used += held - before

    def _gone(self, entry: Entry) -> None:
        if self._entries.get(entry.draft.file) is entry:
            del self._entries[entry.draft.file]
        entry.left.set()
        self._account(entry)

    def _recovered(self) -> tuple[Journal, list[Draft]]:
        journal = Journal(self._directory)
        return journal, journal.recover()

    async def _on_disk(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)
