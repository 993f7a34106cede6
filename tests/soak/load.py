"""Mixed load, and a record of what must be there: whatever was acknowledged is checked by its checksum."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import random
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from running import USER, Site
from soak.visitor import Turned, Visitor, Way
from talking import SECONDS, Talk

FILES = 24
"""That many each visitor keeps at the most: what the site holds is to stay level."""

SIZES = ((60, 4 << 10), (30, 256 << 10), (9, 4 << 20), (1, 32 << 20))
"""Of a hundred files so many are of at most so many bytes."""

TURNS = 40
"""Deeds of a session, before it is left for another."""

STRANGER = "127.0.0.2"
"""Where wrong passwords come from, so that a ban for them isn't ours."""

TROUBLED_SECONDS = 30.0
"""For so long after a node was stopped or killed the site may put deeds off, and at no other time."""

_BLOB = os.urandom(40 << 20)

Digest = bytes | None
"""A content's SHA-256; none: there is no such file."""


@dataclass(slots=True)
class Record:
    """What all visitors did, and what they found wrong."""

    deeds: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Deeds that the site put off, as it may while a node is away."""
    wrong: list[str] = field(default_factory=list)
    moved: int = 0
    """Bytes."""
    troubled: float = -math.inf
    """When a node was stopped or killed last, by the monotonic clock."""


class Worker:
    """One visitor with a directory of its own."""

    def __init__(self, site: Site, number: int, seed: int, record: Record, pause: float) -> None:
        """Prepare; `run` goes on until told.

        Args:
            site: Where.
            number: Names the directory.
            seed: For its choices.
            record: What to enter deeds in.
            pause: Seconds between deeds, on the average.
        """
        self._site = site
        self._record = record
        self._pause = pause
        self._chance = random.Random(seed)
        self._folder = f"/soak{number}"
        self._files: dict[str, set[Digest]] = {}
        """Name to what may be there: more than one where an answer left it open."""
        self._named = 0
        self._visitor: Visitor | None = None
        self._context = ssl.create_default_context(cafile=str(site.authority))
        self._context.check_hostname = False

    def run(self, stop: threading.Event) -> None:
        """Do one deed after the other; the connection is made anew when it breaks."""
        names, weights = list(DEEDS), [weight for weight, _ in DEEDS.values()]
        turns = 0
        while not stop.wait(self._chance.expovariate(1 / self._pause) if self._pause else 0):
            name = self._chance.choices(names, weights)[0]
            try:
                if self._visitor is None or turns == TURNS:
                    self._come()
                    turns = 0
                turns += 1
                DEEDS[name][1](self)
                self._record.deeds[name] += 1
            except Turned as turned:
                self._turned(name, turned)
            except (OSError, EOFError, AssertionError) as error:
                self._wrong(name, f"{type(error).__name__}: {error}")
                self._leave()
        self._leave()

    def check(self) -> int:
        """Read everything back; give how many files were right."""
        self._come()
        right = 0
        try:
            for name, possible in list(self._files.items()):
                content = self._read(name)
                if content is not None and _digest(content) in possible:
                    right += 1
            self._list()
        except (OSError, EOFError, AssertionError, Turned) as error:
            self._record.wrong.append(f"{self._folder}: at the end: {error}")
        finally:
            self._leave()
        return right

    # --- sessions

    def _come(self) -> None:
        self._leave()
        way = self._chance.choice(list(Way))
        self._visitor = Visitor(self._site, way, self._context if self._chance.random() < 0.4 else None)
        for folder in (self._folder, f"{self._folder}/cut"):
            with contextlib.suppress(Turned):
                self._visitor.want(f"MKD {folder}", 257)
        self._visitor.want(f"CWD {self._folder}", 250)

    def _leave(self) -> None:
        if self._visitor is not None:
            with contextlib.suppress(OSError):
                self._visitor.socket.close()
        self._visitor = None

    def _turned(self, name: str, turned: Turned) -> None:
        """A "no" may be for now, while a node is away; any other is wrong: we ask for nothing impossible."""
        if 400 <= turned.code < 500 and time.monotonic() - self._record.troubled < TROUBLED_SECONDS:
            self._record.refused[f"{name}: {turned.code}"] += 1
        else:
            self._wrong(name, str(turned))
        if turned.code == 421:
            self._leave()

    def _wrong(self, name: str, what: str) -> None:
        since = time.monotonic() - self._record.troubled
        when = time.strftime("%H:%M:%S")
        self._record.wrong.append(f"{self._folder}: {name}: {what} ({when}, {since:.0f} s after the trouble)")

    @property
    def _here(self) -> Visitor:
        assert self._visitor is not None, "logged in"
        return self._visitor

    # --- deeds

    def _new(self) -> None:
        if len(self._files) >= FILES:
            self._delete()
        self._named += 1
        self._write(f"file {self._named}.bin")

    def _overwrite(self) -> None:
        if name := self._some():
            self._write(name)

    def _write(self, name: str) -> None:
        content = self._content()
        known = self._files.setdefault(name, {None})
        known.add(_digest(content))
        self._here.send(f"STOR {name}", content)
        self._files[name] = {_digest(content)}
        self._record.moved += len(content)

    def _download(self) -> None:
        if name := self._some():
            self._read(name)

    def _tail(self) -> None:
        """Read the end of a file by REST, which must be the end of the whole."""
        if (name := self._some()) and (content := self._read(name)):
            offset = self._chance.randrange(len(content))
            if self._here.fetch(f"RETR {name}", offset=offset) != content[offset:]:
                self._record.wrong.append(f"{self._folder}/{name}: another end from {offset} on")

    def _sum(self) -> None:
        if (name := self._some()) and (content := self._read(name)) is not None:
            told = self._here.want(f"XCRC {name}", 250)
            if int(told.split()[-1], 16) != zlib.crc32(content):
                self._record.wrong.append(f"{self._folder}/{name}: {told}")

    def _list(self) -> None:
        """List in all three ways; each file that is there for certain is in it."""
        certain = {name for name, possible in self._files.items() if None not in possible}
        for verb in ("MLSD", "NLST", "LIST"):
            shown = self._here.fetch(verb).decode().splitlines()
            missing = {name for name in certain if not any(line.endswith(name) for line in shown)}
            if missing or len(shown) > len(self._files) + 3:
                self._record.wrong.append(f"{self._folder}: {verb} lacks {missing} or has more: {shown}")

    def _rename(self) -> None:
        if name := self._some():
            self._named += 1
            fresh = f"renamed {self._named}.bin"
            self._here.want(f"RNFR {name}", 350)
            self._here.want(f"RNTO {fresh}", 250)
            self._files[fresh] = self._files.pop(name)

    def _delete(self) -> None:
        if name := self._some():
            self._here.want(f"DELE {name}", 250)
            del self._files[name]

    def _folders(self) -> None:
        self._named += 1
        name = f"{self._folder}/cut/{self._named}"
        self._here.want(f"MKD {name}", 257)
        self._here.want(f"RMD {name}", 250)

    def _cut_new(self) -> None:
        """Cut a new file's upload, and go on with it by REST: then it must be whole."""
        content = self._content()
        half = len(content) // 2
        name = f"{self._folder}/cut/again"
        with contextlib.suppress(Turned):
            self._here.want(f"DELE {name}", 250)
        with contextlib.suppress(Turned):
            self._here.send_half(f"STOR {name}", content[:half])
        try:
            came = int(self._here.want(f"SIZE {name}", 213).split()[1])
        except Turned:
            return  # it was cut before the first byte: nothing is kept then
        self._here.send(f"STOR {name}", content[came:], offset=came)
        if self._here.fetch(f"RETR {name}") != content:
            self._record.wrong.append(f"{name}: resumed from {came}, it isn't what was sent")
        self._here.want(f"DELE {name}", 250)

    def _cut_old(self) -> None:
        """Cut the upload over a file: it must stay as it was."""
        if name := self._some():
            try:
                self._here.send_half(f"STOR {name}", self._content())
            except Turned:
                self._read(name)
            else:
                self._record.wrong.append(f"{self._folder}/{name}: a broken upload passed for a whole one")

    def _abort(self) -> None:
        if name := self._some():
            self._here.abort_in(f"RETR {name}")

    def _vanish(self) -> None:
        """Hang up in the middle of a download, a handshake, or nothing."""
        if (name := self._some()) and self._chance.random() < 0.5:
            self._here.vanish(f"RETR {name}")
        self._leave()
        with Talk(self._site, login=False) as talk:
            if self._chance.random() < 0.5:
                talk.ask("AUTH TLS")
                talk.socket.sendall(self._chance.randbytes(self._chance.randrange(200)))

    def _wrong_password(self) -> None:
        at = (self._site.host, self._site.port)
        with (
            socket.create_connection(at, SECONDS, source_address=(STRANGER, 0)) as stranger,
            contextlib.suppress(OSError),
        ):
            stranger.sendall(f"USER {USER}\r\nPASS {self._chance.random()}\r\nQUIT\r\n".encode())
            came = b""
            while piece := stranger.recv(4096):
                came += piece
            if b"\r\n230" in came:
                self._record.wrong.append("a wrong password was taken")

    # --- what is known

    def _some(self) -> str:
        """Name a file that is there for certain; empty: there is none yet."""
        certain = [name for name, possible in self._files.items() if None not in possible]
        return self._chance.choice(certain) if certain else ""

    def _read(self, name: str) -> bytes | None:
        """Download and hold it against what is known; what may be there is known better then."""
        possible = self._files[name]
        try:
            content = self._here.fetch(f"RETR {name}")
        except Turned as turned:
            if turned.code == 550 and None in possible:
                del self._files[name]
                return None
            raise
        if _digest(content) not in possible:
            self._record.wrong.append(f"{self._folder}/{name}: {len(content)} bytes that nobody sent")
            return None
        self._files[name] = {_digest(content)}
        self._record.moved += len(content)
        return content

    def _content(self) -> bytes:
        shares, sizes = zip(*SIZES, strict=True)
        size = self._chance.randrange(1, self._chance.choices(sizes, shares)[0])
        start = self._chance.randrange(len(_BLOB) - size)
        return self._chance.randbytes(16) + _BLOB[start : start + size]


DEEDS: Mapping[str, tuple[int, Callable[[Worker], None]]] = {
    "new file": (20, Worker._new),
    "overwrite": (10, Worker._overwrite),
    "download": (25, Worker._download),
    "download from an offset": (6, Worker._tail),
    "checksum": (3, Worker._sum),
    "list": (10, Worker._list),
    "rename": (6, Worker._rename),
    "delete": (8, Worker._delete),
    "make and remove a directory": (3, Worker._folders),
    "cut an upload and resume it": (4, Worker._cut_new),
    "cut an overwrite": (3, Worker._cut_old),
    "abort a download": (4, Worker._abort),
    "hang up rudely": (3, Worker._vanish),
    "wrong password": (1, Worker._wrong_password),
}
"""What visitors do, and how often."""


def trouble(
    site: Site, name: str, seconds: float, stop: threading.Event, record: Record, chance: random.Random
) -> None:
    """Stop or kill a node now and then, as happens in life; `argosy up` starts it again."""
    while not stop.wait(seconds):
        record.troubled = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            os.kill(site.pid(name), chance.choice((15, 9)))


def together(workers: list[Worker], stop: threading.Event) -> list[threading.Thread]:
    """Start all workers, each in a thread."""
    threads = [threading.Thread(target=worker.run, args=(stop,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    return threads


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
