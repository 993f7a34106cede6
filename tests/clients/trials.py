"""What each job must come to: made ready on the server, left to the client, and looked at afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from clients.client import NAMES, Here, Setup
from servers import Server
from talking import Talk, reset

CONTENT = os.urandom(1_000_003)
OFFSET = 393_216
"""Where the transfers that are resumed were cut: aria2 thinks in 16 KiB."""
HEAD = b"what was there" * 40_000
"""What is there of a resumed file is another content's beginning: what is sent twice would be seen."""

LISTED = [name for what, name in NAMES.items() if what not in ("Latin-1", "leading blank")]

PATIENCE = (0.2, 1.0, 5.0)
"""How long what was sent may take to arrive, in seconds; longer and longer."""


def reach(server: Server) -> Talk:
    """Log in by hand."""
    return Talk(server, server.user)


async def _listed(setup: Setup, here: Here, server: Server) -> None:
    with reach(server) as talk:
        for name in ("five.bin", *LISTED):
            talk.store(f"{here.remote}/{name}", b"5")
    said = await setup.client.does["list"](here)
    assert "five.bin" in said, said
    if not setup.client.spells:
        assert all(name.strip() in said for name in LISTED), said


async def _got(setup: Setup, here: Here, server: Server) -> None:
    with reach(server) as talk:
        talk.store(here.remote, CONTENT)
    said = await setup.client.does["get"](here)
    assert here.local.exists(), said
    assert here.local.read_bytes() == CONTENT, said


async def _put(setup: Setup, here: Here, server: Server) -> None:
    here.local.write_bytes(CONTENT)
    said = await setup.client.does["put"](here)
    with reach(server) as talk:
        assert talk.ask(f"SIZE {here.remote}").text == b"213 %d\r\n" % len(CONTENT), said
        assert talk.retrieve(here.remote) == CONTENT, said


async def _got_the_rest(setup: Setup, here: Here, server: Server) -> None:
    with reach(server) as talk:
        talk.store(here.remote, CONTENT)
    head = b"" if setup.client.keeps_state else HEAD[:OFFSET]
    if head:
        here.local.write_bytes(head)
    said = await setup.client.does["resume get"](here)
    content = here.local.read_bytes()
    assert content == head + CONTENT[len(head) :], f"{len(content)} {said}"


async def _put_the_rest(setup: Setup, here: Here, server: Server) -> None:
    _leave_a_part(server, here.remote)
    here.local.write_bytes(CONTENT)
    said = await setup.client.does["resume put"](here)
    with reach(server) as talk:
        content = talk.retrieve(here.remote)
        assert content == HEAD[:OFFSET] + CONTENT[OFFSET:], f"{len(content)} {said}"


def _leave_a_part(server: Server, path: str) -> None:
    """Begin an upload and have it cut, once more where the cut overtook bytes: a reset throws them away."""
    with reach(server) as talk, reach(server) as other:
        for patience in PATIENCE:
            data = talk.data()
            assert talk.ask(f"STOR {path}").code == 150
            data.sendall(HEAD[:OFFSET])
            time.sleep(patience)  # for it to arrive
            reset(data)
            talk.hear()
            until = time.monotonic() + 10 * patience
            while (said := other.ask(f"SIZE {path}").text) != b"213 %d\r\n" % OFFSET:
                if time.monotonic() > until:
                    break
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"no part of {OFFSET} bytes was left: {said!r}")


async def _renamed(setup: Setup, here: Here, server: Server) -> None:
    with reach(server) as talk:
        talk.store(here.remote, b"to be renamed")
        said = await setup.client.does["rename"](here)
        assert talk.ask(f"SIZE {here.remote}").code == 550, said
        assert talk.retrieve(here.target) == b"to be renamed", said


async def _deleted(setup: Setup, here: Here, server: Server) -> None:
    with reach(server) as talk:
        talk.store(here.remote, b"to be deleted")
        said = await setup.client.does["delete"](here)
        assert talk.ask(f"SIZE {here.remote}").code == 550, said


async def _named(setup: Setup, here: Here, server: Server) -> None:
    content, remote = os.fsencode(here.remote) * 1000, os.fsencode(here.remote)
    with reach(server) as talk:
        if "get" in setup.client.does:
            talk.store(remote, content)
            said = await setup.client.does["get"](here)
            assert here.local.exists(), said
            assert here.local.read_bytes() == content, said
            assert talk.ask(b"DELE " + remote).code == 250
            here.local.unlink()
        if "put" in setup.client.does:
            here.local.write_bytes(content)
            said = await setup.client.does["put"](here)
            assert talk.ask(b"SIZE " + remote).code == 213, said
            assert talk.retrieve(remote) == content, said


TRIALS: dict[str, Callable[[Setup, Here, Server], Awaitable[None]]] = {
    "list": _listed,
    "get": _got,
    "put": _put,
    "resume get": _got_the_rest,
    "resume put": _put_the_rest,
    "rename": _renamed,
    "delete": _deleted,
    **dict.fromkeys(NAMES, _named),
}


async def attempt(
    setup: Setup, job: str, server: Server, place: str, home: Path, *, through: Server | None = None
) -> None:
    """Have a client do a job.

    Args:
        setup: The client.
        job: One of `JOBS` or `NAMES`.
        server: Where.
        place: An empty directory on the server, for it alone.
        home: An empty directory here, for it alone.
        through: What the client is told to be the server.

    Raises:
        AssertionError: It didn't come to what it should.
    """
    local = home / "five.bin"
    remote = place if job == "list" else f"{place}/{NAMES.get(job, 'five.bin')}"
    here = Here(through or server, setup.tls, remote, local, home, f"{place}/six.bin", OFFSET)
    await TRIALS[job](setup, here, server)
