"""How a long job goes on is shown: a bar on a terminal, elsewhere a line now and then.

The job is the running master's. Whoever stops looking, by ^C, stops only that.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TextIO

from argosy.cli import tables
from argosy.errors import Unavailable

Document = Mapping[str, Any]

LOOK_SECONDS = 0.5
"""How often the master is asked at the most; never more than a tenth of the time that it takes to answer."""

LINE_SECONDS = 30.0
"""How often there is a line where the output is no terminal."""

AWAY_SECONDS = 120.0
"""How long a master may be away before the showing ends: it is started anew meanwhile, maybe."""

RATE_SECONDS = 15.0
"""Speed is that of so long a while."""

STUCK_SECONDS = 15.0
"""For so long nothing may have moved, all that is left having an obstacle, until that is the result. After
its start a master waits for the nodes to come."""

BAR = 24
"""Characters of the bar."""


class Pace:
    """How fast what is left becomes less."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            now: The clock.
        """
        self._now = now
        self._marks: deque[tuple[float, int, int]] = deque()

    def note(self, files: int, size: int) -> None:
        """Note what is left now."""
        now = self._now()
        self._marks.append((now, files, size))
        while len(self._marks) > 2 and now - self._marks[1][0] > RATE_SECONDS:
            self._marks.popleft()

    def rates(self) -> tuple[float, float]:
        """Give files and bytes per second."""
        (begun, files, size), (now, files_now, size_now) = self._marks[0], self._marks[-1]
        seconds = max(now - begun, 0.001)
        return max(0, files - files_now) / seconds, max(0, size - size_now) / seconds

    def seconds_left(self) -> float | None:
        """Say how long it will take at this speed; None: nobody knows, for nothing moves."""
        _, files, size = self._marks[-1]
        files_rate, bytes_rate = self.rates()
        if not files_rate:
            return None
        return max(files / files_rate, size / bytes_rate if bytes_rate else 0.0)


def line(document: Document, pace: Pace) -> str:
    """Say how far a job is: `total`, `left` and `obstacles` of its document.

    A bar, the share of what is done, files, bytes, speed, time left, and how many files can't go.
    """
    total, left = document["total"], document["left"]
    what = "bytes" if total["bytes"] else "files"
    whole = total[what]
    percent, full = ((whole - left[what]) * of // whole if whole else of for of in (100, BAR))
    files, size = (total[key] - left[key] for key in ("files", "bytes"))
    parts = [
        f"[{'#' * full}{'.' * (BAR - full)}] {percent:3} %",
        f"{files} of {tables.counted(total['files'], 'file')}",
        f"{tables.size(size)} of {tables.size(total['bytes'])}",
    ]
    files_rate, bytes_rate = pace.rates()
    if files_rate:
        parts.append(f"{files_rate:.0f} files/s, {tables.size(bytes_rate)}/s")
        parts.append(f"{tables.span(pace.seconds_left())} left")
    if stuck := sum(one["files"] for one in document["obstacles"]):
        parts.append(f"{stuck} can't go")
    return ", ".join(parts)


class Screen:
    """Where the line is shown, again and again."""

    def __init__(self, to: TextIO) -> None:
        """Begin.

        Args:
            to: A terminal, where one line is written over and over; or anything else.
        """
        self._to = to
        self._terminal = to.isatty()
        self._shown = -LINE_SECONDS
        self._open = False
        self._last = ""
        """What should have been shown last, and wasn't yet."""

    def show(self, text: str) -> None:
        """Show a line, if it is time for one."""
        self._last = text = tables.printable(text)
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._to.write(f"\r{text[: width - 1]}\x1b[K")
            self._open = True
        elif time.monotonic() - self._shown >= LINE_SECONDS:
            self._shown = time.monotonic()
            self._to.write(f"{text}\n")
            self._last = ""
        self._to.flush()

    def end(self) -> None:
        """Leave the last line where it is; it is always shown."""
        if self._open or self._last:
            self._to.write("\n" if self._terminal else f"{self._last}\n")
            self._to.flush()


async def follow(
    look: Callable[[], Awaitable[Document]],
    words: Callable[[Document, Pace], str] = line,
    *,
    quiet: bool = False,
) -> Document:
    """Show how a job goes on until it is `done`, or until nothing of it can be done.

    Args:
        look: Asks the master; gives a document with `done`, `total`, `left` and `obstacles`.
        words: What is shown of it.
        quiet: Show nothing, only wait.

    Raises:
        Unavailable: The master was away for too long.
    """
    screen, pace, before = Screen(sys.stderr), Pace(), -1
    heard = moved = time.monotonic()
    try:
        while True:
            begin = time.monotonic()
            try:
                document = await look()
            except Unavailable:
                if time.monotonic() - heard > AWAY_SECONDS:
                    raise
                if not quiet:
                    screen.show("the master is away; waiting for it")
                await asyncio.sleep(LOOK_SECONDS)
                moved = time.monotonic()
                continue
            heard = time.monotonic()
            left = document["left"]["files"]
            pace.note(left, document["left"]["bytes"])
            if not quiet:
                screen.show(words(document, pace))
            if left != before or left > sum(one["files"] for one in document["obstacles"]):
                moved, before = heard, left
            if document["done"] or heard - moved >= STUCK_SECONDS:
                return document
            await asyncio.sleep(max(LOOK_SECONDS, 10 * (heard - begin)))
    finally:
        with contextlib.suppress(OSError):
            screen.end()
