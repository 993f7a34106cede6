"""Two ends of a link talk: requests, refusals, notes in order, silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from argosy import errors
from argosy.net.peer import Answer, Peer
from argosy.wire import link


@asynccontextmanager
async def talking(path: Path, answer: Answer, *, silent: float = 5.0) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    ends: list[asyncio.Task[None]] = []

    def connected(peer: Peer) -> None:
        ends.append(loop.create_task(peer.run(answer)))

    server = await loop.create_unix_server(
        lambda: Peer(request_seconds=2, silent_seconds=silent, connected=connected), str(path)
    )
    _, peer = await loop.create_unix_connection(
        lambda: Peer(request_seconds=2, silent_seconds=silent), str(path)
    )

    async def quiet(_: link.Body) -> None:
        return None

    ours = loop.create_task(peer.run(quiet))
    try:
        yield peer
    finally:
        peer.close()
        server.close()
        await asyncio.gather(ours, *ends)


async def test_a_request_gets_its_own_reply_though_others_are_faster(tmp_path: Path) -> None:
    async def answer(message: link.Body) -> link.Body:
        assert isinstance(message, link.Merged)
        await asyncio.sleep(0.02 * (3 - message.seq))
        return message

    async with talking(tmp_path / "s", answer) as peer:
        replies = await asyncio.gather(*(peer.ask(link.Merged(number)) for number in range(4)))
    assert replies == [link.Merged(number) for number in range(4)]


async def test_a_refusal_travels_and_an_accident_becomes_one(tmp_path: Path) -> None:
    async def answer(message: link.Body) -> link.Body | None:
        if isinstance(message, link.Merged):
            raise errors.NoSpace("n1")
        raise ValueError("a bug")

    async with talking(tmp_path / "s", answer) as peer:
        with pytest.raises(errors.NoSpace, match="n1"):
            await peer.ask(link.Merged(1))
        with pytest.raises(errors.Failed):
            await peer.ask(link.AskNodes())


@pytest.mark.parametrize("subject", [b"/caf\xe9", "/caf\udce9"], ids=["bytes", "text"])
async def test_a_refusal_about_a_name_that_is_no_text_travels(tmp_path: Path, subject: object) -> None:
    async def answer(message: link.Body) -> link.Body | None:
        if isinstance(message, link.Merged):
            raise errors.NotFound(subject)
        return None

    async with talking(tmp_path / "s", answer) as peer:
        with pytest.raises(errors.NotFound) as refused:
            await peer.ask(link.Merged(1))
        assert refused.value.subject == "/caf\\xe9"
        assert await peer.ask(link.AskBans()) == link.Ok()  # and the link lives


async def test_a_reply_that_is_too_long_is_an_accident_of_that_request_alone(tmp_path: Path) -> None:
    async def answer(message: link.Body) -> link.Body:
        return link.Report(bytes(link.FRAME_LIMIT)) if isinstance(message, link.AskWho) else link.Ok()

    async with talking(tmp_path / "s", answer) as peer:
        with pytest.raises(errors.Failed):
            await peer.ask(link.AskWho())
        assert await peer.ask(link.AskBans()) == link.Ok()


async def test_notes_are_acted_upon_in_the_order_they_were_said(tmp_path: Path) -> None:
    heard: list[link.Body] = []

    async def answer(message: link.Body) -> None:
        heard.append(message)
        await asyncio.sleep(0.01)

    async with talking(tmp_path / "s", answer) as peer:
        for number in range(100):
            peer.tell(link.Merged(number))
        await peer.ask(link.Ok())
    assert heard[:100] == [link.Merged(number) for number in range(100)]


async def test_who_waits_for_a_reply_hears_that_the_link_broke(tmp_path: Path) -> None:
    async def answer(message: link.Body) -> None:
        await asyncio.sleep(60)

    async with talking(tmp_path / "s", answer) as peer:
        waiting = asyncio.ensure_future(peer.ask(link.Ok(), 30))
        await asyncio.sleep(0.05)
        peer.close()
        with pytest.raises(errors.Unavailable):
            await waiting
        with pytest.raises(errors.Unavailable):
            await peer.ask(link.Ok())


async def test_a_link_without_messages_is_kept_alive(tmp_path: Path) -> None:
    async def answer(message: link.Body) -> None:
        return None

    async with talking(tmp_path / "s", answer, silent=0.3) as peer:
        await asyncio.sleep(1.0)
        assert not peer.lost


async def test_a_peer_that_falls_silent_is_hung_up_on(tmp_path: Path) -> None:
    gone = asyncio.Event()

    def connected(peer: Peer) -> None:
        async def run() -> None:
            await peer.run(lambda _: asyncio.sleep(0))
            gone.set()

        tasks.append(asyncio.ensure_future(run()))

    tasks: list[asyncio.Task[None]] = []
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: Peer(request_seconds=1, silent_seconds=0.2, connected=connected), str(tmp_path / "s")
    )
    _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    async with asyncio.timeout(5):
        await gone.wait()
    writer.close()
    server.close()
    await asyncio.gather(*tasks)
