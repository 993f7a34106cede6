"""Random messages of the right form for a real site: of an administrator, and of a node that has joined."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence

from argosy import errors
from argosy.config import split_address
from argosy.net import peer, pki, tls
from argosy.net.peer import Peer
from argosy.wire import link
from fuzz import live, making
from running import USER, Site
from talking import Talk

_SECONDS = 120.0
"""How long an answer may take on a busy machine."""
_AT_ONCE = 8
_LIKELY = 0.8
"""So many messages in one are about what is there."""
_PATHS = (b"/", b"/fuzz1", b"/fuzz2", b"/fuzz3", b"/d", b"/caf\xe9", b"/d/\xff")
_NODES = ("n1", "n2", "n9", "")

_QUESTIONS = tuple(kind for kind in making.BODIES if kind.__name__.startswith("Ask"))
_ASKED: making.Likely = {"path": _PATHS, "node": _NODES}

_NAME, _STORE = "n9", "ab" * 16
_SEEN: making.Likely = {
    "store_id": (_STORE,),
    "seq": (1, 5, 6, 7),
    "name": (b"fuzz1", b"fuzz2", b"f", b"d", b"caf\xe9"),
    "directory": (b"", b"d", b"d/e"),
    "ver": (0, 0, 1, 2),
    "size": (0, 5, 100_000),
    "volumes": ([link.Space(_STORE, 1 << 40, 1 << 39, 3)],),
    "ports": ([1], [65_000, 7]),
}
_REPORTS: Sequence[type[link.Message]] = (
    *(link.Done, link.Gathered, link.Changes, link.Doubted, link.Beat, link.Ports, link.Held),
)
_ANSWERS: Mapping[type[link.Message], type[link.Message]] = {
    link.Scan: link.Scanned,
    link.Checksum: link.Checksums,
    link.Discard: link.Discarded,
    link.HowFar: link.Running,
}
"""What an order is answered by that isn't answered by `Ok`."""


def questions(site: Site, chance: random.Random, count: int) -> Counter[str]:
    """Ask a site's administrator's door; each question has one answer. Give what they were, by name.

    Afterwards nodes may be on their way out, and rules may say anything: don't expect to store there.

    Raises:
        AssertionError: One had none, or the site had an accident.
    """
    told = asyncio.run(_ask(site, chance, count))
    assert site.status()["sessions"] == 0
    live.check_logs(site)
    return told


def _one(chance: random.Random, kind: type[link.Message], likely: making.Likely) -> link.Body:
    message: link.Body = making.message(chance, kind, likely if chance.random() < _LIKELY else {})
    return message


async def _ask(site: Site, chance: random.Random, count: int) -> Counter[str]:
    told: Counter[str] = Counter()
    door = await peer.connect_local(site.directory / "run" / "master.sock", seconds=_SECONDS)

    async def ask(question: link.Body) -> None:
        try:
            answer = await door.ask(question, _SECONDS)
        except errors.Refused as refused:
            assert not door.lost, f"hung up at {question}"
            told[type(refused).__name__] += 1
        else:
            told[type(answer).__name__] += 1

    try:
        for _ in range(count // _AT_ONCE):
            kinds = [
                chance.choice(_QUESTIONS if chance.random() < 0.9 else making.BODIES) for _ in range(_AT_ONCE)
            ]
            await asyncio.gather(*(ask(_one(chance, kind, _ASKED)) for kind in kinds))
    finally:
        door.close()
    return told


def as_a_node(site: Site, chance: random.Random, times: int, count: int = 60) -> Counter[str]:
    """Join as a node, and say much that makes no sense; do so several times. Give what became of it.

    What it has and hasn't is for such a node to say, so the log may hold anything. The others go on.

    Args:
        site: Where.
        chance: For the messages.
        times: How often.
        count: Messages, each time.
    """
    keys = site.directory / "keys"
    request = pki.make_request(keys / f"{_NAME}.key", _NAME)
    authority = pki.Authority.open(keys)
    pki.write_public(keys / f"{_NAME}.pem", authority.sign_node(request, _NAME, 1))
    host, port = split_address("link", site.status()["link"])
    told: Counter[str] = Counter()

    async def visits() -> None:
        for _ in range(times):
            context = tls.link_client(keys, _NAME)
            at = await peer.connect(host, port, context=context, seconds=_SECONDS, silent_seconds=_SECONDS)
            await _visit(at, chance, count, told)

    with Talk(site, USER) as talk:
        talk.store("/before", b"1234")
        asyncio.run(visits())
        assert talk.retrieve("/before") == b"1234"
        assert talk.ask("DELE /before").code == 250
    away = {node["name"] for node in site.argosy("nodes")["nodes"] if node["state"] == "away"}
    assert away == {_NAME}, away
    return told


async def _visit(at: Peer, chance: random.Random, count: int, told: Counter[str]) -> None:
    async def obey(order: link.Body) -> link.Body:
        if chance.random() < 0.2:
            return link.No(chance.choice(("NotFound", "Busy", "Damaged", "of tomorrow")), "x")
        answer = _ANSWERS.get(type(order))
        return making.message(chance, answer, _SEEN) if answer else link.Ok()

    life = asyncio.create_task(at.run(obey))
    try:
        volume = link.VolumeState(_STORE, chance.choice((1, 5, 6)), 1 << 40, 1 << 39, [])
        await at.ask(link.Hello(link.VERSION, "fuzz", secrets.token_hex(8), "", [], [volume], []))
        for _ in range(count):
            kind = chance.choice(_REPORTS if chance.random() < 0.9 else making.BODIES)
            message = _one(chance, kind, _SEEN)
            if chance.random() < 0.3:
                at.tell(message)
                continue
            try:
                answer = type(await at.ask(message)).__name__
            except errors.Refused as refused:
                answer = type(refused).__name__
            told[answer] += 1
            if at.lost:
                break  # as it may be: a `Hello` again, or too much of what can't be
    finally:
        at.close()
        await life
