"""`argosy up`: a whole site on one machine, made at first use and kept running."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from argosy import config
from argosy.cli import grammar
from argosy.cli.ask import ask
from argosy.cli.founding import Login, found, is_enrolled
from argosy.cli.members import ENROL_SECONDS
from argosy.cli.site import Site
from argosy.cli.supervisor import Job, Supervisor, stop_stale
from argosy.cli.tokens import make_token
from argosy.cli.welcome import Welcome
from argosy.errors import Busy, Unavailable
from argosy.net import ports
from argosy.node.link.enrol import MasterAway, enrol
from argosy.wire import link

START_SECONDS = 30.0
"""How long a master may take until it answers, and until its link does."""

JOIN_SECONDS = 60.0
"""How long nodes are waited for. One with a great disk merges for longer, and serves meanwhile."""

LOOK_SECONDS = 0.1
"""How often we look while waiting for those."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    word = grammar.word(to, "up", up)
    word.add_argument("--nodes", type=_count, metavar="N", help="how many nodes; 2 at first use, later more")
    word.add_argument("--host", metavar="ADDR", help="listen here; 0.0.0.0: everywhere [127.0.0.1]")
    word.add_argument("--port", type=port, help="FTP port; 0: any free one [2121]")
    word.add_argument("--link-port", type=port, metavar="PORT", help="where nodes connect; 0: any [2122]")
    word.add_argument("--user", type=account, metavar="NAME:PASSWORD", help="an administrator to have")
    grammar.dir_option(word)


class AlreadyUp(Busy):
    """The site is up already."""


def up(arguments: argparse.Namespace) -> int:
    """Start a whole site on this machine: a master and its nodes."""
    site = Site(Path(arguments.dir).absolute())
    site.make()
    with alone(site):
        stop_leftovers(site)
        master, login = found(site, arguments)
        return asyncio.run(_run(site, master, login, as_json=arguments.json))


@contextmanager
def alone(site: Site) -> Iterator[None]:
    """Hold the site's lock.

    Raises:
        AlreadyUp: Another `argosy up` has it.
    """
    with site.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(site.directory) from None
        yield


async def _run(site: Site, master: config.Master, login: Login, *, as_json: bool) -> int:
    def say(sentence: str) -> None:
        print(sentence, file=sys.stderr if as_json else sys.stdout, flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    supervisor = Supervisor(say)
    starting = asyncio.create_task(start(site, master, supervisor))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            ready, late = starting.result()
            welcome = Welcome(site, master, ready, late, login)
            print(json.dumps(welcome.document()) if as_json else welcome.text(), flush=True)
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await supervisor.stop()
    return 0


async def start(site: Site, master: config.Master, supervisor: Supervisor) -> tuple[list[str], list[str]]:
    """Start everything; give the names of the nodes that are ready, and of those that aren't yet."""
    job = _job(site, "master")
    supervisor.start(job)

    async def answers() -> bool:
        supervisor.check(job)
        try:
            await ask(master, link.AskStatus(), seconds=START_SECONDS)
        except Unavailable:
            return False
        return True

    if not await until(answers, START_SECONDS):
        raise Unavailable(f"the master doesn't answer within {START_SECONDS:g} s; its log is {job.log}")
    names = site.node_names()
    for name in names:
        if not is_enrolled(site, name):
            await _enrol(site, master, name)
        supervisor.start(_job(site, name))
    return await _joined(master, names, supervisor)


async def _enrol(site: Site, master: config.Master, name: str) -> None:
    token = await make_token(master, START_SECONDS + 2 * ENROL_SECONDS)

    address = ports.dialable(master.link.listen)

    async def enrolled() -> bool:
        try:
            await enrol(address, token, name, site.keys, seconds=ENROL_SECONDS)
        except MasterAway:
            return False
        return True

    if not await until(enrolled, START_SECONDS):
        raise MasterAway(f"{address} doesn't answer; its log is {site.log('master')}")


async def _joined(
    master: config.Master, names: Sequence[str], supervisor: Supervisor
) -> tuple[list[str], list[str]]:
    ready: set[str] = set()

    async def settled() -> bool:
        try:
            document = await ask(master, link.AskNodes())
        except Unavailable:
            return False
        ready.clear()
        ready.update(node["name"] for node in document["nodes"] if node["state"] == "ready")
        return all(name in ready or supervisor.died(name) for name in names)

    await until(settled, JOIN_SECONDS)
    return [name for name in names if name in ready], [name for name in names if name not in ready]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Look until the condition holds; give whether it does in time."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - what we look at is in other processes
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        return False
    return True


def _job(site: Site, name: str) -> Job:
    word, file = ("master" if name == "master" else "node"), str(site.node_config(name))
    command = [sys.executable, "-m", "argosy.cli.main", word, "--config", file, "--parent", str(os.getpid())]
    return Job(name=name, command=command, mark=file, pid=site.pid(name), log=site.log(name))


def stop_leftovers(site: Site) -> None:
    """Stop what an `up` that was killed left running."""
    # An `up` that was killed leaves processes that the kernel told to end; they may still be at it, and
    # hold the ports that we look at next.
    for name in ("master", *site.node_names()):
        stop_stale(_job(site, name))


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"want 1 to 1000, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """Read a port."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"want 0 to 65535, got {text!r}")
    return int(text)


def account(text: str) -> tuple[str, str]:
    """Read NAME:PASSWORD."""
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("want NAME:PASSWORD")
    return name, password
