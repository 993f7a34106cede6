"""FileZilla, as a person uses it: a window on a display of its own, with a mouse and a keyboard.

Its defaults are explicit TLS where the server has it, and to ask about a certificate that it doesn't know.
What it did is read from its log, which is the only thing that is set; its windows tell by their titles what
they ask.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from clients.client import Here, Job
from running import needs, run

SECONDS = 90.0
"""How long we wait for anything that it shall do."""
GLANCE_SECONDS = 0.3
"""How long a hand rests between two things; the window doesn't tell when it has taken one in."""

SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<FileZilla3><Settings>
<Setting name="Logging file">{log}</Setting>
</Settings></FileZilla3>
"""
SILENT_SECONDS = 2.0
QUESTIONS = ("Welcome to FileZilla", "Unknown certificate", "Confirmation needed")
"""What is answered with yes. "Insecure FTP data connection" isn't: they shall resume the TLS session."""
LOCAL, REMOTE = 0.25, 0.75
"""Where the two lists are in the window, from left to right; both begin at its middle."""
BELOW = 0.72


@dataclass
class Window:
    """The program's window, and its log."""

    env: dict[str, str]
    log: Path
    said: Path
    """What it complains of, to its terminal."""
    process: asyncio.subprocess.Process
    read: int = 0
    """How much of the log is old."""

    async def hands(self, *words: object) -> str:
        """Have xdotool do something."""
        code, out, _ = await run("xdotool", *map(str, words), seconds=SECONDS, env=self.env)
        return out.decode() if code == 0 else ""

    async def shows(self, title: str) -> str:
        """Give the window whose title begins so, if there is one."""
        return (await self.hands("search", "--onlyvisible", "--name", f"^{title}")).split("\n")[0]

    async def hears(self, pattern: str) -> str:
        """Wait until the log tells something new; questions that come up meanwhile are answered with yes.

        Raises:
            TimeoutError: It doesn't.
            ChildProcessError: It has ended.
        """
        try:
            async with asyncio.timeout(SECONDS):
                while not (found := re.search(pattern, self.news(), re.DOTALL)):
                    for title in QUESTIONS:
                        if await self.shows(title):
                            await self.press("Return")
                    if self.process.returncode is not None:
                        raise ChildProcessError(f"ended: {self.said.read_text()}\n{self.news()}")
                    await self.hands("mousemove_relative", 1, 0)  # else it may sleep
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise TimeoutError(f"no {pattern} in: {self.news()}") from None
        self.read += found.end()
        return found.group()

    async def asked(self, title: str) -> None:
        """Wait until it asks something, by the beginning of its window's title."""
        async with asyncio.timeout(SECONDS):
            while not await self.shows(title):
                await asyncio.sleep(0.1)
        await asyncio.sleep(GLANCE_SECONDS)

    def news(self) -> str:
        """Give what the log has since the last time that something was heard."""
        return self.log.read_text()[self.read :] if self.log.exists() else ""

    def idle(self) -> bool:
        """Tell whether its log has been silent for a while."""
        return time.time() - self.log.stat().st_mtime > SILENT_SECONDS

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await self.hands("key", key)
            await asyncio.sleep(GLANCE_SECONDS)

    async def choose(self, side: float, name: str) -> None:
        """Choose a file in one of the two lists, by the first letters of its name."""
        width, height = await self.size()
        await self.hands("mousemove", int(width * side), int(height * BELOW), "click", 1)
        await asyncio.sleep(GLANCE_SECONDS)
        if name:
            await self.hands("type", name[:4])
            await asyncio.sleep(GLANCE_SECONDS)

    async def size(self) -> tuple[int, int]:
        """Give the display's width and height; the window is in its middle."""
        width, height = (await self.hands("getdisplaygeometry")).split()
        return int(width), int(height)


@asynccontextmanager
async def window(here: Here, folder: str) -> AsyncIterator[Window]:
    """Start it with both lists ready.

    Args:
        here: The server and the account.
        folder: The directory on the server.
    """
    for program in ("Xvfb", "xdotool", "filezilla"):
        needs(program)
    log, complaints = here.home / "filezilla.log", here.home / "filezilla.said"
    settings = here.home / ".config/filezilla/filezilla.xml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(SETTINGS.format(log=log))
    local = here.local.parent / "mine"  # the list there shall have one file
    local.mkdir()
    if here.local.exists():
        here.local.rename(local / here.local.name)
    server = here.server
    url = f"ftp://{server.user}:{server.password}@{server.host}:{server.port}{folder}"  # it decodes nothing
    display = await asyncio.create_subprocess_exec(
        # Without -noreset it begins anew when its last client goes: xdotool is one, and comes first and goes.
        *("Xvfb", "-displayfd", "1", "-noreset", "-screen", "0", "1280x900x24", "-nolisten", "tcp"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert display.stdout is not None
    started = None
    try:
        number = (await display.stdout.readline()).decode().strip()
        env = {"HOME": str(here.home), "LC_ALL": "C.UTF-8", "DISPLAY": f":{number}"}
        env |= {"XDG_CONFIG_HOME": str(here.home / ".config"), "NO_AT_BRIDGE": "1"}
        with complaints.open("wb") as said:
            started = await asyncio.create_subprocess_exec(
                "filezilla", url, "-a", str(local), stdout=said, stderr=said, env={**os.environ, **env}
            )
        shown = Window(env, log, complaints, started)
        await shown.hears(r"Directory listing of [^\n]* successful")
        yield shown
    finally:
        for process in (started, display):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        for file in local.iterdir():
            file.rename(here.local.parent / file.name)


def job(work: Callable[[Window, Here], Awaitable[str]], *, lists: bool = False) -> Job:
    """Make a job of what is to be done in the window."""

    async def do(here: Here) -> str:
        folder = here.remote if lists else here.remote.rpartition("/")[0]
        async with window(here, folder) as shown:
            await work(shown, here)
        return shown.log.read_text()

    return do


async def _list(shown: Window, here: Here) -> str:
    """Fetch all that is listed: then the log names it."""
    await shown.choose(REMOTE, "")
    await shown.press("Home", "Down", "shift+End", "Return")  # above all it has the way up
    said = await shown.hears("File transfer successful")
    while not shown.idle():
        await asyncio.sleep(GLANCE_SECONDS)
    return said


async def _get(shown: Window, here: Here) -> str:
    await shown.choose(REMOTE, here.local.name)
    await shown.press("Return")
    return await shown.hears("File transfer successful")


async def _put(shown: Window, here: Here) -> str:
    await shown.choose(LOCAL, here.local.name)
    await shown.press("Return")
    return await shown.hears("File transfer successful")


async def _resume_get(shown: Window, here: Here) -> str:
    await shown.choose(REMOTE, here.local.name)
    return await _resume(shown)


async def _resume_put(shown: Window, here: Here) -> str:
    await shown.choose(LOCAL, here.local.name)
    return await _resume(shown)


async def _resume(shown: Window) -> str:
    await shown.press("Return")
    await shown.asked("Target file already exists")
    await shown.press("alt+r", "Return")
    return await shown.hears("File transfer successful")


async def _rename(shown: Window, here: Here) -> str:
    await shown.choose(REMOTE, here.local.name)
    await shown.press("F2", "ctrl+a")
    await shown.hands("type", here.target.rpartition("/")[2])
    await shown.press("Return")
    return await shown.hears(r"RNTO [^\n]*\n[^\n]*Response: ")


async def _delete(shown: Window, here: Here) -> str:
    await shown.choose(REMOTE, here.local.name)
    await shown.press("Delete")
    return await shown.hears(r"DELE [^\n]*\n[^\n]*Response: ")


JOBS: dict[str, Job] = {
    "list": job(_list, lists=True),
    "get": job(_get),
    "put": job(_put),
    "resume get": job(_resume_get),
    "resume put": job(_resume_put),
    "rename": job(_rename),
    "delete": job(_delete),
}
