"""Bringing a changed file to its site, by the plan for it. Blocking: for threads."""

from __future__ import annotations

import contextlib
import logging
import posixpath
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from argosy import config, errors, tables
from argosy.sites.model import Facts, FileId, Version
from argosy.sites.session.client import Client
from argosy.sites.session.data import Upload
from argosy.sites.temporary import temporary_beside
from argosy.sites.writing.draft import Draft, Sending
from argosy.sites.writing.extents import Run
from argosy.sites.writing.plans import (
    Append,
    Change,
    Nothing,
    Patch,
    Patches,
    Plan,
    Trial,
    Ways,
    Whole,
    choose,
)

_log = logging.getLogger(__name__)

_SMALL_BYTES = 32 * 1024
"""So much is sent with the STOR itself: it fits into the buffers of any connection."""
_STEP_BYTES = 1 << 20
_LAG_BYTES = 1 << 20
"""What a writer wrote last is sent last, for it may be written again: the end of a page, a header."""
_NEAR_BYTES = 1 << 20
"""It is quicker to read so many bytes in vain than to begin another download."""
_TURNS = 4
"""How often an upload is planned anew at once, when it taught us that another plan is needed."""

_NOT_BY_THIS_NAME = (errors.Denied, errors.NameNotAllowed, errors.Exists)


class Moving(NamedTuple):
    """An upload that is under way."""

    file: FileId
    path: bytes
    sent: int
    size: int


class _AnotherPlanError(Exception):
    """What was learned asks for another plan."""


class Progress:
    """Tells the log how far a long upload is."""

    def __init__(
        self, path: bytes, draft: Draft, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._draft = draft
        self._seconds = seconds
        self._clock = clock
        self._begun = self._told = clock()
        self._first: int | None = None
        self.sent = 0

    def reach(self, sent: int, count: int) -> None:
        """Note that the bytes up to `sent` are sent, `count` of them just now."""
        self._first = sent - count if self._first is None else self._first
        self.sent = sent
        if (now := self._clock()) - self._told < self._seconds:
            return
        self._told = now
        size, rate = max(1, self._draft.size), (sent - self._first) / (now - self._begun)
        name = self._path.decode(errors="backslashreplace")
        said = (name, tables.size(sent), tables.size(size), 100 * sent // size, tables.size(rate))
        _log.info("uploading %s: %s of %s, %d%%, %s/s", *said)

    @property
    def moving(self) -> Moving:
        """Say how far it is."""
        return Moving(self._draft.file, self._path, self.sent, self._draft.size)


class Uploads:
    """A mount's uploads, and what they have learned of the site."""

    def __init__(
        self,
        path_of: Callable[[FileId], bytes],
        settings: config.Journal,
        give_way: Callable[[FileId], None],
    ) -> None:
        """Begin, with nothing learned. The arguments are those of `writing.Writer`."""
        self.ways = Ways()
        self.sent_bytes = 0
        self._path_of = path_of
        self._settings = settings
        self._give_way = give_way
        self._moving: dict[FileId, Progress] = {}

    @property
    def moving(self) -> list[Moving]:
        """Say which uploads are under way."""
        return [progress.moving for progress in list(self._moving.values())]

    def bring(self, client: Client, draft: Draft) -> Facts:
        """Bring a changed file to the site.

        Returns:
            What the site says of it now.

        Raises:
            NoSpace, OverQuota, Denied, NotFound, NameNotAllowed: The site doesn't take it.
            Damaged: Bytes that still count aren't there any more, and were never here.
            Incomplete: It has another size there than what was sent.
            TransferCut, Unavailable, NoDataConnection, Failed: The site, or the way to it, is in trouble.
        """
        try:
            for _ in range(_TURNS):
                with contextlib.suppress(_AnotherPlanError):
                    return self._bring(client, draft)
            raise errors.Failed(f"no way was found to store {self._path_of(draft.file)!r}")
        finally:
            draft.stop()
            self._moving.pop(draft.file, None)

    def _bring(self, client: Client, draft: Draft) -> Facts:
        if draft.given_up:
            raise errors.TransferCut("the file was removed")
        path = draft.called = self._path_of(draft.file)
        self._moving[draft.file] = Progress(path, draft, self._settings.progress_seconds)
        old = self._there(client, path) if draft.base is not None else None
        if draft.runs.missing(old.size if old else 0, min(draft.kept, draft.size)):
            raise errors.NotFound(path) if old is None else errors.Damaged(path)  # zeros were no answer
        plan, sending = self._plan(draft, old)
        match plan:
            case Trial():
                self.ways.patches = self._try_patches(client, path)
                raise _AnotherPlanError
            case Append():
                self._give_way(draft.file)
                self._append(client, draft, path, sending)
            case Patch(runs):
                self._give_way(draft.file)
                self._patch(client, draft, path, runs)
            case Whole(fetch, temporary):
                if fetch:
                    try:
                        self._fetch(client, draft, path, fetch)
                    except errors.NoSpace as full:  # here, and not on the site
                        raise errors.Failed(str(full.subject)) from full
                sending = self._whole(client, draft, path, old, temporary=temporary)
        path = self._path_of(draft.file)
        facts = self._dress(client, draft, path, old)
        if facts.size != sending.end:
            raise errors.Incomplete(f"{path!r} has {facts.size} bytes of {sending.end}")
        draft.settle(sending, Version(draft.file, facts.size, facts.mtime_ns or 0))
        return facts

    # --- the plans

    def _plan(self, draft: Draft, old: Facts | None) -> tuple[Plan, Sending]:
        """Choose a plan, and begin it before anything else is written."""
        with draft.changed:
            change = Change(draft.size, draft.kept, draft.runs, draft.appending)
            whole_bytes = self._settings.whole_bytes
            plan = choose(change, old.size if old else None, self.ways, whole_bytes=whole_bytes)
            match plan:
                case Append(offset, resumed):
                    return plan, draft.start(offset, appending=draft.appending if resumed else offset)
                case Nothing() | Patch():
                    sending = draft.start(draft.size)
                    draft.fix(sending)
                    return plan, sending
            return plan, Sending(0)

    def _append(self, client: Client, draft: Draft, path: bytes, sending: Sending) -> None:
        try:
            upload = client.append(path)
        except (errors.Unsupported, *_NOT_BY_THIS_NAME) as refused:
            self.ways.appends = False
            raise _AnotherPlanError from refused
        self._send(upload, draft, sending)

    def _patch(self, client: Client, draft: Draft, path: bytes, runs: list[Run]) -> None:
        with draft.data() as local:
            for start, end in runs:
                with client.store(path, offset=start) as upload:
                    for at in range(start, end, _STEP_BYTES):
                        count = min(_STEP_BYTES, end - at)
                        upload.sendfile(local, at, count)
                        self._sent(draft, at + count, count)
                    upload.finish()

    def _whole(
        self, client: Client, draft: Draft, path: bytes, old: Facts | None, *, temporary: bool
    ) -> Sending:
        if not temporary or posixpath.dirname(path) in self.ways.in_place:
            sending = draft.start(0)
            self._give_way(draft.file)
            try:
                upload = self._store(client, path, draft, sending)
            except _NOT_BY_THIS_NAME:
                self.ways.in_place.discard(posixpath.dirname(path))
                if old is None or temporary or not self.ways.temporary:
                    raise
            else:
                self._send(upload, draft, sending)
                return sending
        name, upload, sending = self._begin_temporary(client, draft, path)
        resumed = sending.at > 0 and upload.ahead is None
        try:
            self._send(upload, draft, sending)
            _check_unchanged(draft, sending)
            if resumed and client.facts(name).size != sending.end:
                raise _AnotherPlanError  # noqa: TRY301 - the upload that was cut was still going on there
            self._place(client, name, self._path_of(draft.file), old)
        except (errors.TransferCut, errors.Unavailable, errors.NoDataConnection):
            raise  # the next try goes on where it was
        except (errors.Refused, _AnotherPlanError):
            draft.start(0)
            with contextlib.suppress(errors.Refused):
                client.delete(name)
            raise
        return sending

    def _begin_temporary(self, client: Client, draft: Draft, path: bytes) -> tuple[bytes, Upload, Sending]:
        """Begin an upload by another name, or go on with one that was cut."""
        if (name := draft.temporary) is not None:
            there = self._there(client, name)
            with draft.changed:
                good = there and draft.temporary == name and 0 < there.size <= draft.runs.reach(0)
                sending = draft.start(there.size if there and good else 0, temporary=name)
            if good:
                return name, client.append(name), sending
            return name, self._store(client, name, draft, sending), sending
        name = temporary_beside(path)
        sending = draft.start(0, temporary=name)
        try:
            return name, self._store(client, name, draft, sending), sending
        except _NOT_BY_THIS_NAME as refused:
            self.ways.in_place.add(posixpath.dirname(path))
            raise _AnotherPlanError from refused

    def _store(self, client: Client, path: bytes, draft: Draft, sending: Sending) -> Upload:
        """Begin a STOR; a small file that nobody is writing to goes along with it."""
        whole = draft.claim_whole(sending, _SMALL_BYTES)
        upload = client.store(path, whole=whole)
        if whole:
            self._sent(draft, len(whole), len(whole))
        return upload

    def _send(self, upload: Upload, draft: Draft, sending: Sending) -> None:
        """Send what is there, and what is being written meanwhile, up to the site's 226."""
        with upload, draft.data() as local:
            while count := draft.claim(
                sending, _STEP_BYTES, lag=_LAG_BYTES, quiet_seconds=self._settings.quiet_seconds
            ):
                upload.sendfile(local, sending.at - count, count)
                self._sent(draft, sending.at, count)
            upload.finish()

    def _sent(self, draft: Draft, at: int, count: int) -> None:
        self.sent_bytes += count
        self._moving[draft.file].reach(at, count)

    def _place(self, client: Client, name: bytes, path: bytes, old: Facts | None) -> None:
        """Rename an upload to where it belongs, in the place of what is there.

        Where RNTO refuses that, the old file steps aside first, and is deleted when the new one is there.
        """
        in_the_way = old is not None and client.dialect.replaces is False
        aside = temporary_beside(path)
        try:
            client.rename(*((path, aside) if in_the_way else (name, path)))
        except errors.Unsupported as refused:
            self.ways.temporary = False
            raise _AnotherPlanError from refused
        except (errors.Failed, *_NOT_BY_THIS_NAME) as refused:
            if old is None or in_the_way:
                self.ways.in_place.add(posixpath.dirname(path))
            else:
                client.dialect.learn(replaces=False)
            raise _AnotherPlanError from refused
        if not in_the_way:
            return
        try:
            client.rename(name, path)
        except errors.Refused:
            client.rename(aside, path)
            raise
        client.delete(aside)

    def _dress(self, client: Client, draft: Draft, path: bytes, old: Facts | None) -> Facts:
        """Set time and permission bits as they were asked for, as far as the site can; tell what it has."""
        mtime_ns = draft.mtime_ns if draft.given else None
        mode = draft.mode if draft.mode is not None or old is None else old.mode
        if not self.ways.modes:
            mode = None
        plain = mode is None or mode == self.ways.mode_as_made
        facts = client.dress(path, mtime_ns=mtime_ns, mode=None if plain else mode)
        if facts is not None and not plain:
            return replace(facts, mode=mode)
        if facts is None:
            if mtime_ns is not None:
                with contextlib.suppress(errors.Unsupported, errors.Denied, errors.Failed):
                    client.set_mtime(path, mtime_ns)
            facts = client.facts(path)
        self.ways.mode_as_made = facts.mode
        if mode is None or mode == facts.mode:
            return facts
        try:
            client.set_mode(path, mode)
        except (errors.Unsupported, errors.Denied, errors.Failed):
            self.ways.modes = self.ways.sets_modes
            if not self.ways.modes:
                client.dialect.learn(chmod=False)
            return facts
        self.ways.sets_modes = True
        return replace(facts, mode=mode)

    # --- what they need

    def _there(self, client: Client, path: bytes) -> Facts | None:
        """Say what the site has by a name."""
        try:
            return client.facts(path)
        except errors.NotFound:
            return None

    def _fetch(self, client: Client, draft: Draft, path: bytes, runs: list[Run]) -> None:
        """Read from the site what was never written here."""
        buffer = memoryview(bytearray(256 * 1024))
        with draft.data() as local:
            for start, end in _nearby(runs):
                at, download = start, None
                try:
                    download = client.retrieve(path, start)
                except errors.Unsupported:
                    at, download = 0, client.retrieve(path)
                with download:
                    while at < end and (count := download.recv_into(buffer[: min(len(buffer), end - at)])):
                        draft.fill(local, at, buffer[:count], adopt=client.dialect.replaces is False)
                        at += count

    def _try_patches(self, client: Client, path: bytes) -> Patches:
        """See what REST and STOR do in the middle of a file."""
        name = temporary_beside(path)
        found = {b"012abc6789": Patches.KEEP, b"012abc": Patches.CUT}
        try:
            for offset, data in ((0, b"0123456789"), (3, b"abc")):
                with client.store(name, offset=offset) as upload:
                    upload.send(data)
                    upload.finish()
            patches = found.get(client.retrieve(name).read(), Patches.NONE)
        except (errors.Unsupported, errors.Failed, *_NOT_BY_THIS_NAME):
            patches = Patches.NONE
        with contextlib.suppress(errors.Refused):
            client.delete(name)
        _log.info("a trial of REST and STOR in the middle of a file: %s", patches.value)
        return patches


def _nearby(runs: list[Run]) -> Iterator[Run]:
    """Join runs that lie so close together that one download serves them."""
    begin, finish = runs[0]
    for start, end in runs[1:]:
        if start - finish > _NEAR_BYTES:
            yield begin, finish
            begin = start
        finish = end
    yield begin, finish


def _check_unchanged(draft: Draft, sending: Sending) -> None:
    """See that nothing was written again that was sent already."""
    if sending.redo.total:
        draft.end()  # the next time it doesn't go along with the writer
        raise _AnotherPlanError
