"""The scans of one volume: at the node's start, every so often, and by order; and its trash."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argosy import config, errors
from argosy.node.disk.scan import Limits, Outcome, Scanner
from argosy.node.disk.volume import Volume
from argosy.wire import link

log = logging.getLogger("argosy.node")

_REST = 19
"""A scan is followed by a pause of this many times its own length: it takes a twentieth of the time."""

_ROOM_SECONDS = 2.0
"""So often a disk that shall have free space is asked whether it has: before the master reckons with more."""


class Rounds:
    """One volume's scans, one at a time, in a thread of their own."""

    def __init__(self, volume: Volume, settings: config.Node, tell: Callable[[link.Body], None]) -> None:
        """Make the rounds; nothing is read yet.

        Args:
            volume: What to scan.
            settings: The node's.
            tell: Sends a note to the master, if one is there.
        """
        self._volume = volume
        self._settings = settings
        self._tell = tell
        limits = Limits(settings.scan_loss_share, settings.scan_loss_files, settings.scan_loss_ignored)
        self._scanner = Scanner(volume, limits)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scan")
        self._tried = asyncio.Event()
        self._last: Outcome | None = None
        self.scanned = asyncio.Event()
        """Set once the disk has been read since the node's start."""

    async def run(self) -> None:
        """Scan until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                begin = time.monotonic()
                try:
                    try:
                        await self._scan(accept_losses=False)
                    finally:
                        self._tried.set()  # who orders a scan from here on wants another
                    await loop.run_in_executor(self._thread, self._volume.empty_trash)
                except InterruptedError:
                    return
                except errors.Refused as refused:
                    log.error("volume %s: %s", self._volume.store_id, refused)  # noqa: TRY400 - a refusal, no accident
                except Exception:  # an accident on one disk mustn't take the others along
                    log.exception("volume %s can't be read", self._volume.store_id)
                await asyncio.sleep(max(self._settings.scan_seconds, _REST * (time.monotonic() - begin)))
        finally:
            self._scanner.stop()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def keep_room(self) -> None:
        """Have the trash give room, as often as the free space falls below its floor, until cancelled."""
        floor, trouble = self._settings.floor_bytes, ""
        while floor:
            try:
                if gone := await asyncio.to_thread(self._volume.keep_room, floor):
                    log.info("volume %s: %d deleted files went before time", self._volume.store_id, gone)
                trouble = ""
            except (errors.Refused, OSError) as error:
                if str(error) != trouble:  # once is enough
                    log.warning("volume %s can't make room: %s", self._volume.store_id, error)
                trouble = str(error)
            await asyncio.sleep(_ROOM_SECONDS)

    def stop(self) -> None:
        """End a running scan soon."""
        self._scanner.stop()

    async def order(self, *, accept_losses: bool) -> link.Scanned:
        """Scan now. The scan at the node's start counts, if it still runs.

        Raises:
            Failed: The disk can't be read.
        """
        outcome = self._last
        if not self._tried.is_set():
            await self._tried.wait()
            outcome = self._last
        else:
            outcome = None
        if outcome is None or (accept_losses and outcome.held_losses):
            try:
                outcome = await self._scan(accept_losses=accept_losses)
            except OSError as error:
                raise errors.Failed(error.strerror or "stopped") from error
        return link.Scanned(outcome.files, outcome.changes, outcome.held_losses, self._volume.journal.seq)

    def remind(self) -> None:
        """Tell the master of losses that are held back, if there are any."""
        if self._last and self._last.held_losses:
            losses, files = self._last.held_losses, self._volume.journal.files
            self._tell(link.Held(self._volume.store_id, losses, files))

    async def _scan(self, *, accept_losses: bool) -> Outcome:
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(
            self._thread, lambda: self._scanner.scan(accept_losses=accept_losses)
        )
        self._last = outcome
        self.scanned.set()
        if outcome.changes or outcome.held_losses:
            log.info(
                "volume %s: %d files, %d changes, %d losses held back",
                *(self._volume.store_id, outcome.files, outcome.changes, outcome.held_losses),
            )
        self.remind()
        return outcome
