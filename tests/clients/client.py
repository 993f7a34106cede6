"""What a client is, for the tests and for the table in docs/clients.md: what to run for each job."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from running import needs, run
from servers import Server

JOBS = ("list", "get", "put", "resume get", "resume put", "rename", "delete")
"""The table's columns."""

NAMES = {
    "blanks": "two  blanks.bin",
    "UTF-8": "Gr\u00fc\u00dfe \u65e5\u672c \u2713.bin",
    "leading blank": " leading blank.bin",
    "dash": "-dash.bin",
    "Latin-1": os.fsdecode(b"caf\xe9 \xe8.bin"),
}
"""Names that are jobs of their own: a file that is called so is fetched, and stored. The last isn't UTF-8."""


@dataclass(frozen=True)
class Here:
    """What a client is told: where the server is, which file there, which file here."""

    server: Server
    tls: bool
    remote: str
    """Path of the file, or of the directory to list."""
    local: Path
    home: Path
    """An empty home, so that nobody's own settings count."""
    target: str = ""
    """The path that the file shall have."""
    offset: int = 0
    """How many bytes of the file are there already, for those that have to be told."""

    @property
    def url(self) -> str:
        """The whole URL without the account."""
        return f"ftp://{self.server.host}:{self.server.port}{quote(os.fsencode(self.remote))}"

    @property
    def url_with_account(self) -> str:
        """The whole URL."""
        account = f"{self.server.user}:{quote(self.server.password)}"
        return self.url.replace("ftp://", f"ftp://{account}@")

    async def run(self, *words: object, said: str = "", env: dict[str, str] | None = None) -> str:
        """Run a program that must end well, and give what it says."""
        needs(str(words[0]))
        home = {"HOME": str(self.home), "LC_ALL": "C.UTF-8", **(env or {})}
        texts = [str(word) for word in words]
        code, out, err = await run(*texts, cwd=self.home, said=os.fsencode(said), env=home)
        assert code == 0, f"{words}: {code}\n{os.fsdecode(out)}\n{err}"
        return os.fsdecode(out) + err


Job = Callable[[Here], Awaitable[str]]


@dataclass(frozen=True, eq=False)
class Client:
    """A client: what to run for each job, and what it can't do by itself."""

    name: str
    does: Mapping[str, Job]
    """Of `JOBS`."""
    version: Callable[[], str]
    needs: tuple[str, ...] = ()
    """Programs without which it can't run."""
    clear: bool = True
    tls: bool = False
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Why it has no way to do the other jobs."""
    fails: Mapping[str, str] = field(default_factory=dict)
    """Of `JOBS` and `NAMES` those at which it fails with every server, and why."""
    keeps_state: bool = False
    """It goes on only with what it has begun itself."""
    spells: bool = False
    """It lists names in a spelling of its own."""
    mute: bool = False
    """It says that something failed, not what the server answered."""

    def __post_init__(self) -> None:
        """A job is done or its lack explained."""
        assert {*self.does} | {*self.lacks} == {*JOBS}, self.name
        assert not {*self.does} & {*self.lacks}, self.name


@dataclass(frozen=True)
class Setup:
    """A row of the table: a client, in clear or with TLS."""

    client: Client
    tls: bool

    def tries(self, job: str) -> bool:
        """Tell whether it has a way to do a job, of `JOBS` or `NAMES`; names are tried in clear only."""
        return job in self.client.does or (job in NAMES and not self.tls)

    def __str__(self) -> str:
        return f"{self.client.name}, TLS" if self.tls else self.client.name


def debian(package: str) -> Callable[[], str]:
    """Ask Debian or Ubuntu for a package's version, without their own additions to it."""

    def ask() -> str:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
        )
        return done.stdout.partition(":")[2].rpartition("-")[0] or done.stdout.rpartition("-")[0]

    return ask
