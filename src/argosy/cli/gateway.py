"""`argosy nfs`: the gateway as a process; and finding the one that runs, or starting one, for other words."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from argosy import config, telemetry
from argosy.cli import grammar
from argosy.cli.ask import NoGateway, ask_gateway
from argosy.cli.site import SOCKET_PATH_LIMIT
from argosy.cli.supervisor import last_words, put_aside
from argosy.errors import ConfigError, Unavailable
from argosy.net import ports
from argosy.wire import link

START_SECONDS = 120.0
"""How long a gateway that runs may take until it answers; a busy machine takes its time."""

LOOK_SECONDS, LOOK_MOST_SECONDS = 0.05, 1.0
"""The first pause between two looks while waiting for that, and the longest: they cost time that it needs."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    nfs = grammar.word(to, "nfs", run_gateway, json=False, log=True)
    nfs.add_argument("--listen", default="", metavar="ADDR:PORT", help="MOUNT and NFS [127.0.0.1:12049]")
    grammar.gateway_config(nfs)


class NotStarted(Unavailable):
    """The gateway doesn't start."""


def run_gateway(arguments: argparse.Namespace) -> NoReturn:
    """Run an NFS gateway until TERM or INT: any FTP site as a directory."""
    telemetry.setup("gateway")
    settings = settings_of(arguments)
    host, port = config.split_address("nfs.listen", settings.nfs.listen)
    ports.check_free(host, port, "--listen, or nfs.listen")
    read = state_of(arguments.config) if arguments.config else ""
    import_module("argosy.gateway").run(settings, _welcome, read)  # only here: the other words don't need it
    logging.shutdown()
    # All is closed in order. What isn't is threads that still wait for a site, and would be waited for.
    os._exit(0)


def settings_of(arguments: argparse.Namespace) -> config.Gateway:
    """Give what `--config` and `--listen` say; the state directory is always named.

    Raises:
        ConfigError: They make no sense.
    """
    settings = config.load_gateway(Path(arguments.config)) if arguments.config else config.Gateway()
    listen = getattr(arguments, "listen", "")
    if listen:
        config.split_address("--listen", listen)
        settings = msgspec.structs.replace(settings, nfs=msgspec.structs.replace(settings.nfs, listen=listen))
    directory = settings.state.directory or str(default_state())
    if len(os.fsencode(directory)) + len("/gateway.sock") > SOCKET_PATH_LIMIT:
        raise ConfigError(f"{directory}: too long a path for the socket in it; set state.directory")
    return msgspec.structs.replace(
        settings, state=msgspec.structs.replace(settings.state, directory=directory)
    )


def state_of(file: str) -> str:
    """Name a config file, and when it was written."""
    path = Path(file).resolve()
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(" ", "milliseconds")
    return f"{path} as of {written}"


def default_state() -> Path:
    """Give `$XDG_STATE_HOME/argosy/gateway`, which is in `~/.local/state` by custom."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "argosy" / "gateway"


async def found(settings: config.Gateway, file: str) -> dict[str, Any]:
    """Give what the running gateway tells of itself; start one if none runs.

    Args:
        settings: Whose.
        file: Its config file, or nothing.

    Raises:
        NotStarted: Its log says why.
    """
    state = Path(settings.state.directory)
    try:
        return await ask_gateway(state, link.AskSites())
    except NoGateway:
        return await _started(settings, file)


async def _started(settings: config.Gateway, file: str) -> dict[str, Any]:
    state = Path(settings.state.directory)
    process, log = await asyncio.to_thread(_start, settings, file)
    until, pause = time.monotonic() + START_SECONDS, LOOK_SECONDS
    while time.monotonic() < until:
        try:
            document = await ask_gateway(state, link.AskSites())
        except NoGateway:
            document = {}
        if document.get("nfs"):
            return document
        if process.poll() is not None and not _runs(state):  # else somebody was faster than we
            raise NotStarted(f"{last_words(log)} ({log})")
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, LOOK_MOST_SECONDS)
    raise NotStarted(f"it runs, but doesn't answer in {START_SECONDS:g} s; {last_words(log)} ({log})")


def _runs(state: Path) -> bool:
    """Whether a gateway has this state directory, even if it doesn't answer yet."""
    try:
        with (state / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _start(settings: config.Gateway, file: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a gateway that goes on when we end."""
    state = Path(settings.state.directory)
    log = state / "gateway.log"
    words = [sys.executable, "-m", "argosy.cli.main", "nfs", *(["--config", file] if file else [])]
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        put_aside(log)
        if not file:
            words += ["--listen", _steady(state, settings.nfs.listen)]
        with log.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603 - our own program
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
    except OSError as error:
        raise NotStarted(f"{state}: {error.strerror}") from error
    return process, log


async def address_of(settings: config.Gateway, file: str) -> str:
    """Give where mounts find our gateway, as `host:port`, whether it runs or not.

    Args:
        settings: Whose.
        file: Its config file, or nothing.
    """
    state = Path(settings.state.directory)
    try:
        listens = (await ask_gateway(state, link.AskSites()))["nfs"]
    except Unavailable:
        chosen = state / "listen"
        listens = settings.nfs.listen if file or not chosen.exists() else chosen.read_text().strip()
    return ports.dialable(listens or settings.nfs.listen)


def _steady(state: Path, wanted: str) -> str:
    """Give an address for a gateway that has none of its own in a file; once chosen it stays.

    Two users of a machine each have a gateway, and the port is part of what a mount remembers.
    """
    file = state / "listen"
    if file.exists():
        return file.read_text().strip()
    host, port = config.split_address("nfs.listen", wanted)
    chosen = config.join_address(host, ports.choose(host, port))
    try:
        with file.open("x") as new:
            new.write(chosen + "\n")
    except FileExistsError:  # somebody else begins at the same time
        return file.read_text().strip() or chosen
    return chosen


def _welcome(address: str) -> None:
    """Tell a person at the terminal what to do next; a log has its own line."""
    if not sys.stdout.isatty():
        return
    host, port = config.split_address("nfs.listen", ports.dialable(address))
    print(
        f"""\
ready: NFS at {address}. As root:

  mount -t nfs -o vers=3,tcp,port={port},mountport={port},nolock {host}:ftp://USER:PASSWORD@HOST/ DIR

or, with the password asked for and shown to nobody:

  argosy mount ftp://USER@HOST/ DIR
""",
        flush=True,
    )
