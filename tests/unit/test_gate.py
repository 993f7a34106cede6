"""The gateway's local socket: its user alone asks there, and hears refusals in the gateway's own words."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy import errors
from argosy.doors.gate import Gate
from argosy.net import peer
from argosy.wire import link


async def ticket(question: link.AskTicket) -> dict[str, Any]:
    if question.export.endswith(b"nowhere"):
        raise errors.NotFound(question.export)
    if question.password != b"wind and tide":
        raise errors.LoginFailed("530 Not logged in")
    return {"export": "/ticket-1" + question.export.decode()}


async def release(question: link.AskRelease) -> dict[str, Any]:
    return {"mounts": [question.export.decode(), *map(bytes.decode, question.mounted)]}


async def forget(question: link.AskForget) -> dict[str, Any]:
    return {"mounts": [question.site, *map(bytes.decode, question.mounted)]}


def gate_at(path: Path) -> Gate:
    return Gate(
        path, sites=lambda: {"mounts": []}, ticket=ticket, release=release, forget=forget, seconds=5.0
    )


async def connected(path: Path) -> peer.Peer:
    async with asyncio.timeout(5.0):
        while True:
            try:
                return await peer.connect_local(path, seconds=5.0)
            except errors.Unavailable:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[peer.Peer]:
    serving = asyncio.create_task(gate_at(path).serve())
    end = await connected(path)
    try:
        yield end
    finally:
        end.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def told(end: peer.Peer, question: link.Body) -> Any:
    answer = await end.ask(question)
    assert isinstance(answer, link.Report)
    return json.loads(answer.document)


async def test_only_its_owner_can_open_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "state" / "gateway.sock"
    async with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


async def test_it_tells_of_sites_and_gives_tickets(tmp_path: Path) -> None:
    async with opened(tmp_path / "gateway.sock") as end:
        assert await told(end, link.AskSites()) == {"mounts": []}
        asked = link.AskTicket(b"/ftp://ann@host/", b"wind and tide", 1000, 1000)
        assert await told(end, asked) == {"export": "/ticket-1/ftp://ann@host/"}


async def test_a_refused_login_is_told_in_the_sites_words(tmp_path: Path) -> None:
    async with opened(tmp_path / "gateway.sock") as end:
        with pytest.raises(errors.LoginFailed, match="530 Not logged in"):
            await told(end, link.AskTicket(b"/museum", b"guess", 0, 0))
        assert await told(end, link.AskSites()) == {"mounts": []}


async def test_a_name_in_a_refusal_is_told_as_people_write_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "gateway.sock") as end:
        with pytest.raises(errors.NotFound, match=r"^No such file or directory: /museum/nowhere$"):
            await told(end, link.AskTicket(b"/museum/nowhere", b"", 0, 0))


async def test_a_question_for_the_master_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "gateway.sock") as end:
        with pytest.raises(errors.Unsupported):
            await told(end, link.AskStatus())


async def test_a_socket_that_a_killed_gateway_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    path.touch()
    serving = asyncio.create_task(gate_at(path).serve())
    try:
        end = await connected(path)
        assert await told(end, link.AskSites()) == {"mounts": []}
        end.close()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_it_hears_of_what_was_taken_away_and_is_to_be_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path / "gateway.sock") as end:
        assert await told(end, link.AskRelease(b"/x", (b"/y",))) == {"mounts": ["/x", "/y"]}
        assert await told(end, link.AskForget("ftp://h/", (b"/y",))) == {"mounts": ["ftp://h/", "/y"]}
