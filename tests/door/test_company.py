"""The company of an upload, with real nodes: what becomes of a copy that can't begin."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import msgspec
import pytest

from argosy.catalogue.model import Companion, Sealed, Upload
from argosy.cluster.copies.company import Another, Company
from argosy.cluster.nodes.transfers import Transfer
from argosy.node.disk import roots
from cluster import Cluster, cluster, path, tmpfs
from standin import dialled, push

MEGA = 1 << 20


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path) as site:
        for name in ("n1", "n2", "n3"):
            await site.join(name)
        yield site


async def begin(site: Cluster, *, resume: bool = False) -> Upload:
    """Take a name for an upload to n1 that n2 takes along."""
    first, second = site.node("n1"), site.node("n2")
    return await site.catalogue.begin(
        path("/f"),
        volume=site.volume("n1").number,
        node="n1",
        epoch=first.epoch,
        user="ann",
        resume=resume,
        along=[Companion(site.volume("n2").number, "n2", second.epoch)],
    )


async def receive(site: Cluster, upload: Upload, *, offset: int = 0) -> tuple[Transfer, socket.socket]:
    """Have n1 take it, and be its client."""
    node = site.node("n1")
    transfer = Transfer(node)
    port = await node.draw_port(5)
    transfer.expect(port, peer="127.0.0.1", tls=False)
    store_id = site.volume("n1").store_id
    transfer.receive(upload, store_id, offset=offset, as_text=False, announced=-1, flush=True)
    return transfer, await dialled(port)


def company(site: Cluster, upload: Upload, another: Another, *, offset: int = 0) -> Company:
    hasty = msgspec.structs.replace(site.config.link, request_seconds=0.2)  # for ports
    tables = (msgspec.structs.replace(site.config, link=hasty), site.catalogue, site.roster, upload)
    return Company(*tables, offset=offset, flush=True, another=another)


async def cut_after(
    site: Cluster, transfer: Transfer, client: socket.socket, content: bytes, *, beside: int = 0
) -> None:
    """Have the client send so much more, and be gone when the second node has at least so much."""
    before = sum(site.machines["n1"].parts().values())
    await asyncio.to_thread(client.sendall, content)
    await site.until(lambda: sum(site.machines["n1"].parts().values()) == before + len(content))
    await site.until(lambda: sum(site.machines["n2"].parts().values()) >= beside)
    client.close()
    transfer.cancel()
    await transfer.outcome()


async def test_a_copy_for_which_no_port_is_free_leaves_no_ticket(three: Cluster) -> None:
    tries = []

    def another(taken: Collection[int], failed: Collection[int]) -> int | None:
        tries.append(taken)
        return three.volume("n3").number

    upload = await begin(three)
    transfer, client = await receive(three, upload)
    while three.node("n1").take_port() is not None:
        pass
    along = company(three, upload, another)
    along.begin()
    with client:
        await three.until(lambda: len(tries) > 2)
        transfers = {name: len(three.node(name).transfers) for name in ("n1", "n2", "n3")}
        assert transfers["n1"] <= 2, "the upload, and the copy that is tried now"
        assert transfers["n2"] + transfers["n3"] <= 1
    transfer.cancel()
    await along.cut()
    await three.until(lambda: not any(three.node(name).transfers for name in ("n1", "n2", "n3")))


async def test_who_cannot_be_entered_is_not_asked_without_a_pause(three: Cluster) -> None:
    tries = []

    def another(taken: Collection[int], failed: Collection[int]) -> int | None:
        tries.append(taken)
        number = three.volume("n3").number
        return None if number in failed else number

    upload = await begin(three)
    transfer, client = await receive(three, upload)
    along = company(three, upload, another)
    await three.catalogue.cut(upload.id, 0)  # a volume that joined knew nothing of it
    three.machines["n2"].kill()
    along.begin()
    with client:
        await three.until(lambda: tries)
        await asyncio.sleep(2)
        tried = len(tries)
    transfer.cancel()
    await along.cut()
    assert tried < 30


async def test_a_copy_whose_part_is_shorter_than_thought_begins_anew_at_once(three: Cluster) -> None:
    content = os.urandom(5 * MEGA)
    upload = await begin(three)
    transfer, client = await receive(three, upload)
    await cut_after(three, transfer, client, content)
    here, beside = three.volume("n1").number, three.volume("n2").number
    await three.catalogue.cut(upload.id, len(content), {beside: len(content)})  # so it said
    assert three.machines["n2"].parts() == {}

    upload = await begin(three, resume=True)
    assert (upload.volume, upload.received) == (here, len(content))
    transfer, client = await receive(three, upload, offset=len(content))
    along = company(three, upload, lambda *_: beside, offset=len(content))
    along.begin()
    with client:
        begun = asyncio.get_running_loop().time()
        for block in range(0, len(content), MEGA // 4):  # it never stands still
            await asyncio.to_thread(client.sendall, content[block : block + MEGA // 4])
            await asyncio.sleep(0.2)
            if three.machines["n2"].parts().get(f"{upload.id:016x}", 0) > len(content):
                break
        took = asyncio.get_running_loop().time() - begun
    transfer.cancel()
    await along.cut()
    assert took < 3, "and not when the client has sent all"


async def test_when_the_first_node_dies_the_part_of_who_was_replaced_meanwhile_counts(three: Cluster) -> None:
    tries = []

    def another(taken: Collection[int], failed: Collection[int]) -> int | None:
        tries.append(taken)
        return three.volume("n3").number if len(tries) == 1 else None  # then it is known that n1 is away

    upload = await begin(three)
    _, client = await receive(three, upload)
    along = company(three, upload, another)
    along.begin()
    with client:
        await asyncio.to_thread(client.sendall, bytes(5 * MEGA))
        await three.until(lambda: 5 * MEGA in three.machines["n2"].parts().values(), 10)
        three.machines["n1"].kill()
        await three.until(lambda: len(tries) > 1)
    assert (await along.cut())[three.volume("n2").number] == 5 * MEGA


async def test_what_an_earlier_try_brought_to_a_node_that_is_away_is_not_gone_on_with(three: Cluster) -> None:
    first, second = os.urandom(5 * MEGA), os.urandom(MEGA)
    beside = three.volume("n2").number
    upload = await begin(three)
    transfer, client = await receive(three, upload)
    along = company(three, upload, lambda *_: None)
    along.begin()
    await cut_after(three, transfer, client, first, beside=4 * MEGA)
    had = await along.cut()
    assert (had[beside] or 0) > 2 * MEGA
    await three.catalogue.cut(upload.id, len(first), had)

    three.machines["n2"].kill()
    await three.until(lambda: not three.node("n2").online)
    upload = await begin(three, resume=True)
    transfer, client = await receive(three, upload, offset=2 * MEGA)
    await three.until(lambda: sum(three.machines["n1"].parts().values()) == 2 * MEGA)
    along = company(three, upload, lambda *_: None, offset=2 * MEGA)
    along.begin()
    await cut_after(three, transfer, client, second)
    await three.catalogue.cut(upload.id, 3 * MEGA, await along.cut())

    three.machines["n2"].start()
    await three.ready("n2")
    await three.until(lambda: not three.machines["n2"].parts())
    upload = await begin(three, resume=True)
    assert [one.received for one in upload.companions] == [0]


async def test_a_connection_between_two_disks_of_one_node_is_used_again(tmp_path: Path) -> None:
    roots.prepare(tmp_path / "a")
    roots.prepare(tmp_path / "b")
    async with cluster(tmp_path / "site") as site:
        await site.join("n1", roots=[str(tmp_path / "a"), str(tmp_path / "b")])
        node = site.node("n1")
        here, beside = node.volumes.values()
        ends = ("n1", node.epoch, "n1", node.epoch)
        used = set()
        for name in ("/f", "/g", "/h"):
            upload = await site.catalogue.begin(
                path(name),
                volume=here.number,
                node="n1",
                epoch=node.epoch,
                user="ann",
                resume=False,
                along=[Companion(beside.number, "n1", node.epoch)],
            )
            transfer = Transfer(node)
            port = await node.draw_port(5)
            transfer.expect(port, peer="127.0.0.1", tls=False)
            transfer.receive(upload, here.store_id, offset=0, as_text=False, announced=-1, flush=True)
            along = company(site, upload, lambda *_: None)
            along.begin()
            await asyncio.to_thread(push, await dialled(port), b"content")
            done = await transfer.outcome()
            assert len(await along.complete(Sealed(done.size, done.mtime_ns, done.crc32, done.digest))) == 1
            await site.until(lambda: not node.transfers)
            await asyncio.sleep(0.05)
            number = site.roster.lines.take(ends)
            used.add(number)
            site.roster.lines.give(ends, number)
        assert len(used) == 1
        assert 0 not in used


async def test_who_came_back_in_between_is_entered_anew_before_it_takes_the_upload(three: Cluster) -> None:
    upload = await begin(three)
    transfer, client = await receive(three, upload)
    along = company(three, upload, lambda *_: three.volume("n2").number)
    three.machines["n2"].kill()
    three.machines["n2"].start()
    await three.until(lambda: three.node("n2").epoch > upload.companions[0].epoch)
    await three.ready("n2")
    along.begin()  # as after a connection that was gone
    with client:
        await asyncio.to_thread(client.sendall, bytes(MEGA))
    done = await transfer.outcome()
    sealed = Sealed(done.size, done.mtime_ns, done.crc32, done.digest)
    companions = await along.complete(sealed)
    entry, *_ = await three.catalogue.commit(upload.id, sealed, epoch=upload.epoch, along=companions)
    assert {copy.node for copy in three.catalogue.replicas(entry.id)} == {"n1", "n2"}


async def test_a_node_without_room_is_left_aside(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "tiny", 4 * MEGA) as small:
        async with cluster(tmp_path / "site") as site:
            await site.join("n1")
            await site.join("n2", root=small / "root")
            asked = []

            def another(taken: Collection[int], failed: Collection[int]) -> int | None:
                number = site.volume("n2").number
                asked.append(number not in failed)
                return number if asked[-1] else None

            upload = await begin(site)
            transfer, client = await receive(site, upload)
            along = company(site, upload, another)
            along.begin()
            with client:
                await asyncio.to_thread(client.sendall, bytes(8 * MEGA))
                await site.until(lambda: asked)
                await asyncio.sleep(2)
            transfer.cancel()
            await along.cut()
            assert len(asked) > 2
            assert not any(asked), "it would have been tried again at once"
