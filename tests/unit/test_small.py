"""Small files leave a node in one step: the order brings the data connection along, no thread is asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import struct
import zlib
from pathlib import Path

import pytest
import xxhash

from argosy.wire import link
from standin import Master, dialled, eventually, master, node, push, rest_of


async def drawn(far: Master) -> int:
    await eventually(lambda: far.ports)
    return far.ports.pop(0)


def sending(
    port: int, volume: str, loc: bytes, size: int, *, offset: int = 0, peer: str = "127.0.0.1"
) -> link.Send:
    ticket = secrets.randbits(62) | 1
    meet = link.Expect(ticket, port, peer, False)
    return link.Send(ticket, volume, loc, 0, size, offset, False, meet)


def put(path: Path, content: bytes) -> None:
    """Write a file that looks old, before there is a node: the scan at its start finds it at once."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))


async def scanned(far: Master, store_id: str) -> None:
    await far.ask(link.Feed(store_id, 0, False))
    await far.ask(link.Scan(store_id, False))


async def test_a_small_file_is_sent_by_the_order_that_names_the_port(tmp_path: Path) -> None:
    put(tmp_path / "root/a", b"0123456789")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await scanned(far, volume.store_id)
        for offset in (0, 4, 10):
            port = await drawn(far)
            with await dialled(port) as client:
                order = sending(port, volume.store_id, b"a", 10, offset=offset)
                far.tell(order)
                assert await asyncio.to_thread(rest_of, client) == b"0123456789"[offset:]
            done = await far.outcome(order.ticket)
            assert (done.refusal, done.moved) == ("", 10 - offset)


async def test_a_client_that_comes_after_the_order_is_waited_for(tmp_path: Path) -> None:
    put(tmp_path / "root/a", b"0123456789")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await scanned(far, volume.store_id)
        port = await drawn(far)
        order = sending(port, volume.store_id, b"a", 10)
        far.tell(order)
        await asyncio.sleep(0.1)
        with await dialled(port) as client:
            assert await asyncio.to_thread(rest_of, client) == b"0123456789"
        assert (await far.outcome(order.ticket)).refusal == ""


async def test_a_stranger_who_came_first_gets_nothing_and_the_client_all(tmp_path: Path) -> None:
    put(tmp_path / "root/a", b"secret")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await scanned(far, volume.store_id)
        port = await drawn(far)
        with await dialled(port) as stranger:  # TEST-NET is expected, and we aren't that
            order = sending(port, volume.store_id, b"a", 6, peer="192.0.2.7")
            far.tell(order)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(stranger.recv, 10) == b""
        far.tell(link.Cancel(order.ticket))
        assert (await far.outcome(order.ticket)).refusal == "TransferCut"


async def test_a_client_that_reads_late_gets_the_whole_small_file(tmp_path: Path) -> None:
    content = os.urandom(60_000)
    put(tmp_path / "root/a", content)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await scanned(far, volume.store_id)
        port = await drawn(far)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(10)
            await asyncio.to_thread(client.connect, ("127.0.0.1", port))
            order = sending(port, volume.store_id, b"a", len(content))
            far.tell(order)
            await asyncio.sleep(0.2)
            assert await asyncio.to_thread(rest_of, client) == content
        done = await far.outcome(order.ticket)
        assert (done.refusal, done.moved) == ("", len(content))


async def test_a_file_that_was_changed_by_hand_is_sent_as_it_is_now(tmp_path: Path) -> None:
    put(tmp_path / "root/a", b"before")
    async with master(tmp_path) as far, node(tmp_path, far, scan_seconds=1000.0) as volume:
        await scanned(far, volume.store_id)
        (tmp_path / "root/a").write_bytes(b"behind")
        port = await drawn(far)
        with await dialled(port) as client:
            far.tell(sending(port, volume.store_id, b"a", 6))
            assert await asyncio.to_thread(rest_of, client) == b"behind"


async def test_a_link_in_the_place_of_a_file_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    put(tmp_path / "root/a", b"public")
    async with master(tmp_path) as far, node(tmp_path, far, scan_seconds=1000.0) as volume:
        await scanned(far, volume.store_id)
        (tmp_path / "root/a").unlink()
        (tmp_path / "root/a").symlink_to(tmp_path / "outside")
        port = await drawn(far)
        with await dialled(port) as client:
            order = sending(port, volume.store_id, b"a", 6)
            far.tell(order)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(rest_of, client) == b""
        assert (await far.outcome(order.ticket)).refusal == "Damaged"


async def test_ports_that_a_lost_master_gave_out_are_shut_at_the_next_welcome(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        del volume
        old = await drawn(far)
        with await dialled(old) as client:
            await far.rejoined()
            await eventually(lambda: far.ports)
            assert old not in far.ports
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(client.recv, 1) == b""


def taking(port: int, volume: str, upload: int) -> link.Receive:
    ticket = secrets.randbits(62) | 1
    meet = link.Expect(ticket, port, "127.0.0.1", False)
    return link.Receive(ticket, volume, upload, 0, None, False, -1, True, meet)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 300_000])
async def test_an_upload_of_any_size_arrives_whole_with_its_sums(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        order = taking(await drawn(far), volume.store_id, 7)
        assert isinstance(order.meet, link.Expect)
        client = await dialled(order.meet.port)
        far.tell(order)
        await asyncio.to_thread(push, client, content)
        done = await far.outcome(order.ticket)
        assert (done.refusal, done.moved, done.size) == ("", size, size)
        assert (done.crc32, done.digest) == (zlib.crc32(content), xxhash.xxh3_128_digest(content))
        await far.ask(link.Commit(volume.store_id, [link.CommitPart(7, b"d/f", done.mtime_ns)]))
        assert (tmp_path / "root/d/f").read_bytes() == content


async def test_a_small_upload_that_takes_its_time_is_there_for_readers_meanwhile(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        order = taking(await drawn(far), volume.store_id, 7)
        assert isinstance(order.meet, link.Expect)
        with await dialled(order.meet.port) as client:
            client.sendall(b"some ")
            far.tell(order)
            await eventually(lambda: volume.part_size(7) == 5)
            client.sendall(b"more")
        assert (await far.outcome(order.ticket)).size == 9


async def test_an_upload_that_is_not_small_may_pause_in_the_middle(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        order = taking(await drawn(far), volume.store_id, 7)
        assert isinstance(order.meet, link.Expect)
        with await dialled(order.meet.port) as client:
            await asyncio.to_thread(client.sendall, bytes(100_000))
            far.tell(order)
            await eventually(lambda: volume.part_size(7) == 100_000)
            await asyncio.sleep(0.2)
            client.sendall(b"more")
        done = await far.outcome(order.ticket)
        assert (done.refusal, done.size) == ("", 100_004)


async def test_a_small_upload_that_is_reset_keeps_nothing_it_did_not_get_whole(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        order = taking(await drawn(far), volume.store_id, 7)
        assert isinstance(order.meet, link.Expect)
        with await dialled(order.meet.port) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
            client.sendall(b"some")
            far.tell(order)
            await asyncio.sleep(0.05)
        done = await far.outcome(order.ticket)
        assert done.refusal == "TransferCut"
        assert done.size == volume.part_size(7)


async def test_a_small_upload_that_is_cancelled_ends_at_once(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        order = taking(await drawn(far), volume.store_id, 7)
        assert isinstance(order.meet, link.Expect)
        with await dialled(order.meet.port) as client:
            client.sendall(b"some")
            far.tell(order)
            far.tell(link.Cancel(order.ticket))
            assert (await far.outcome(order.ticket)).refusal == "TransferCut"
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(client.recv, 1)


async def test_an_order_that_is_repeated_while_a_small_upload_arrives_costs_no_byte(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        for upload in range(1, 11):  # two who take from one socket need luck to be found out
            order = taking(await drawn(far), volume.store_id, upload)
            assert isinstance(order.meet, link.Expect)
            with await dialled(order.meet.port) as client:
                client.sendall(b"some ")
                far.tell(order)
                far.tell(order)  # as a master does when the link was broken and is back
                await asyncio.sleep(0.02)
                client.sendall(b"more")
            done = await far.outcome(order.ticket)
            assert (done.refusal, done.size, done.crc32) == ("", 9, zlib.crc32(b"some more"))


async def test_many_small_uploads_are_put_in_place_together_and_all_are_told_of(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        commits = []
        for upload in range(1, 150):
            order = taking(await drawn(far), volume.store_id, upload)
            assert isinstance(order.meet, link.Expect)
            client = await dialled(order.meet.port)
            far.tell(order)
            await asyncio.to_thread(push, client, b"%d" % upload)
            done = await far.outcome(order.ticket)
            commits.append(link.CommitPart(upload, b"d%d/f%d" % (upload % 3, upload), done.mtime_ns))
        for commit in commits:
            far.tell(link.Commit(volume.store_id, [commit]))
        await far.until(*(commit.loc for commit in commits))
        for commit in commits:
            assert (tmp_path / "root" / os.fsdecode(commit.loc)).read_bytes() == b"%d" % commit.upload
        assert volume.state().parts == []
        doomed = [
            link.Doomed(commit.loc, commit.upload, len(b"%d" % commit.upload), commit.mtime_ns)
            for commit in commits
        ]
        await far.ask(link.Discard(volume.store_id, doomed))
        await far.until()
        assert volume.journal.files == 0
