"""Bytes to and from a node: whole, from an offset, cut, by TLS, at a pace, and read while they arrive."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
import zlib
from pathlib import Path

import pytest
import xxhash

from argosy.net import tls
from argosy.net.dataconn import DataConnection, open_listener
from argosy.wire import link
from standin import OLD, dialled, fetch, master, node, push, put, rest_of, store


async def test_a_client_reads_a_file_from_any_offset(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    put(tmp_path / "root/a/f", data)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        assert await fetch(far, volume.store_id, b"a/f", len(data)) == data
        assert await fetch(far, volume.store_id, b"a/f", len(data), offset=299_990) == data[-10:]
        assert await fetch(far, volume.store_id, b"a/f", 1000) == data[:1000]


async def test_an_upload_is_readable_before_and_after_it_is_put_in_place(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        done = await store(far, volume.store_id, 0xABC, data)
        assert (done.refusal, done.size, done.moved) == ("", len(data), len(data))
        assert done.crc32 == zlib.crc32(data)
        assert done.digest == xxhash.xxh3_128(data).digest()
        assert await fetch(far, volume.store_id, b"d/new", len(data), ver=0xABC) == data
        commit = link.Commit(volume.store_id, [link.CommitPart(0xABC, b"d/new", OLD * 10**9)])
        for _ in range(2):
            assert isinstance(await far.ask(commit), link.Ok)
        await far.until(b"d/new")
        assert far.files[b"d/new"].ver == 0xABC
        assert (tmp_path / "root/d/new").read_bytes() == data
        assert (tmp_path / "root/d/new").stat().st_mtime == OLD
        assert await fetch(far, volume.store_id, b"d/new", len(data), ver=0xABC) == data
        far.batches.clear()
        await far.ask(link.Scan(volume.store_id, False))
        assert far.batches == []


async def test_a_cut_upload_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        client = await dialled(port)
        far.tell(link.Receive(ticket, volume.store_id, 7, 0, None, False, -1, True))
        await asyncio.to_thread(client.sendall, b"a" * 1000)
        await asyncio.sleep(0.1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        done = await far.outcome(ticket)
        assert (done.refusal, done.size) == ("TransferCut", 1000)
        again = await store(far, volume.store_id, 7, b"b" * 10, offset=900)
        assert (again.refusal, again.size, again.crc32) == ("", 910, None)
        await far.ask(link.Commit(volume.store_id, [link.CommitPart(7, b"f", OLD * 10**9)]))
        content = b"a" * 900 + b"b" * 10
        assert (tmp_path / "root/f").read_bytes() == content
        while (row := volume.journal.find(b"f")) is None or row.crc32 is None:
            await asyncio.sleep(0.05)  # it is read for them by itself
        assert (row.crc32, row.digest) == (zlib.crc32(content), xxhash.xxh3_128(content).digest())
        refused = await store(far, volume.store_id, 8, b"", offset=5)
        assert refused.refusal == "BadArgument"


async def test_an_upload_may_begin_with_the_live_file(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"0123456789")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        base = link.Base(b"f", 0, 10)
        done = await store(far, volume.store_id, 9, b"XY", offset=4, base=base)
        assert (done.refusal, done.size) == ("", 6)
        assert (tmp_path / "root/f").read_bytes() == b"0123456789"  # until the commit
        part = link.CommitPart(9, b"f", OLD * 10**9, replaces=1)
        await far.ask(link.Commit(volume.store_id, [part]))
        assert (tmp_path / "root/f").read_bytes() == b"0123XY"


@pytest.mark.parametrize("added", [b"", b"89", os.urandom(9_000_000)], ids=["nothing", "little", "much"])
async def test_a_file_that_is_appended_to_keeps_its_crc32(tmp_path: Path, added: bytes) -> None:
    before = os.urandom(100_001)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await store(far, volume.store_id, 1, before)
        await far.ask(link.Commit(volume.store_id, [link.CommitPart(1, b"f", OLD * 10**9)]))
        base = link.Base(b"f", 1, len(before))
        done = await store(far, volume.store_id, 2, added, offset=len(before), base=base)
        assert (done.refusal, done.size, done.digest) == ("", len(before + added), None)
        assert done.crc32 == zlib.crc32(before + added)
        await far.ask(link.Commit(volume.store_id, [link.CommitPart(2, b"f", OLD * 10**9, replaces=1)]))
        row = volume.journal.find(b"f")
        assert row is not None
        assert (row.crc32, row.digest) == (zlib.crc32(before + added), None)


async def test_fewer_bytes_than_announced_are_no_upload(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        done = await store(far, volume.store_id, 9, b"12345", announced=6)
        assert (done.refusal, done.size) == ("Incomplete", 5)
        done = await store(far, volume.store_id, 9, b"12345", announced=5)
        assert done.refusal == ""


async def test_text_gets_the_line_ends_of_either_side(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"one\ntwo\r\nthree")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        with await dialled(port) as client:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, 14, 0, True))
            assert await asyncio.to_thread(rest_of, client) == b"one\r\ntwo\r\nthree"
        done = await store(far, volume.store_id, 3, b"one\r\ntwo\nthree\r\n\r", ascii=True)
        assert (done.size, done.moved) == (15, 17)
        await far.ask(link.Commit(volume.store_id, [link.CommitPart(3, b"t", OLD * 10**9)]))
        assert (tmp_path / "root/t").read_bytes() == b"one\ntwo\nthree\n\r"
        assert done.crc32 == zlib.crc32(b"one\ntwo\nthree\n\r")


async def test_files_travel_by_tls_too(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    put(tmp_path / "root/f", data)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        client_tls = ssl.create_default_context(cafile=str(far.keys / "authority.pem"))
        ticket, port = await far.expect(tls=True)
        raw = await dialled(port)
        with await asyncio.to_thread(
            lambda: client_tls.wrap_socket(raw, server_hostname="127.0.0.1")
        ) as client:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, len(data), 0, False))
            assert await asyncio.to_thread(rest_of, client) == data
        assert (await far.outcome(ticket)).refusal == ""
        ticket, port = await far.expect(tls=True)
        raw = await dialled(port)
        far.tell(link.Receive(ticket, volume.store_id, 5, 0, None, False, -1, True))
        secure = await asyncio.to_thread(lambda: client_tls.wrap_socket(raw, server_hostname="127.0.0.1"))
        await asyncio.to_thread(push, secure, data)
        done = await far.outcome(ticket)
        assert (done.refusal, done.size, done.crc32) == ("", len(data), zlib.crc32(data))


@pytest.mark.parametrize("relayed", [True, False])
async def test_the_node_dials_a_client_as_tls_server_and_a_relay_as_tls_client(
    tmp_path: Path, relayed: bool
) -> None:
    put(tmp_path / "root/f", b"data")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        with open_listener("127.0.0.1", (0, 0)) as listener:
            port = listener.getsockname()[1]
            listener.setblocking(True)
            listener.settimeout(5)
            far.tell(link.Dial(77, "" if relayed else "127.0.0.1", port, True))
            far.tell(link.Send(77, volume.store_id, b"f", 0, 4, 0, False))
            made, _ = await asyncio.to_thread(listener.accept)
        made.settimeout(5)
        if relayed:
            context = tls.link_server(far.keys)
        else:
            context = ssl.create_default_context(cafile=str(far.keys / "authority.pem"))
        with await asyncio.to_thread(
            lambda: context.wrap_socket(
                made, server_side=relayed, server_hostname=None if relayed else "127.0.0.1"
            )
        ) as wrapped:
            if relayed:
                assert tls.identity(wrapped.getpeercert()) == "node:n1"
            assert await asyncio.to_thread(rest_of, wrapped) == b"data"
        assert (await far.outcome(77)).refusal == ""


async def test_a_relay_that_is_not_the_masters_gets_nothing(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"data")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        pem, key = (far.keys / "ftp.pem").read_bytes(), (far.keys / "ftp.key").read_bytes()
        impostor = tls.ftp_server(pem, key)  # our authority's, but not the master
        listener = open_listener("127.0.0.1", (0, 0))
        port = listener.getsockname()[1]
        relay = DataConnection.expect(listener, peer="", tls=impostor, connect_seconds=5, stall_seconds=5)
        far.tell(link.Dial(78, "", port, True))
        far.tell(link.Send(78, volume.store_id, b"f", 0, 4, 0, False))
        done = await far.outcome(78)
        assert (done.refusal, done.moved) == ("NoDataConnection", 0)
        relay.cut()


async def test_a_cancelled_download_is_cut_with_a_reset(tmp_path: Path) -> None:
    with put(tmp_path / "root/f", b"").open("r+b") as file:
        file.truncate(1 << 30)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        with await dialled(port) as client:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, 1 << 30, 0, False))
            await asyncio.to_thread(client.recv, 1000)
            far.tell(link.Cancel(ticket))
            done = await far.outcome(ticket)
            assert done.refusal == "TransferCut"
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(rest_of, client)


async def test_a_ticket_that_waited_too_long_for_its_transfer_ends_with_an_outcome(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far, outcome_seconds=0.5) as volume:
        given_up, _ = await far.expect()
        far.tell(link.Cancel(given_up))
        ticket, port = await far.expect()
        done = await far.outcome(ticket)
        assert (done.refusal, done.moved) == ("NoDataConnection", 0)
        with pytest.raises(OSError, match="refused"):
            await dialled(port)
        far.tell(link.Send(ticket, volume.store_id, b"f", 0, 1, 0, False))  # too late, but it is answered
        assert (await far.outcome(ticket)).refusal == "NoDataConnection"
        assert given_up not in far.outcomes


async def test_a_port_that_is_given_up_is_shut(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far):
        ticket, port = await far.expect()
        far.tell(link.Cancel(ticket))
        await asyncio.sleep(0.1)
        with pytest.raises(OSError, match="refused"):
            await dialled(port)


async def test_ports_that_were_used_are_replaced_by_and_by(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far):
        used = [(await far.expect())[1] for _ in range(20)]  # more than are open in advance
        assert len(set(used)) == 20


async def test_a_file_that_is_shorter_than_it_should_be_is_not_sent(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"1234")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        for loc in (b"f", b"missing"):
            ticket, port = await far.expect()
            with await dialled(port) as client:
                far.tell(link.Send(ticket, volume.store_id, loc, 0, 5, 0, False))
                with pytest.raises(ConnectionResetError):
                    await asyncio.to_thread(rest_of, client)
            assert (await far.outcome(ticket)).refusal == "Damaged"


@pytest.mark.parametrize("secure", [False, True])
async def test_a_transfer_keeps_its_pace_in_each_direction_until_it_is_told_another(
    tmp_path: Path, secure: bool
) -> None:
    data = os.urandom(300_000)
    put(tmp_path / "root/f", data)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        client_tls = ssl.create_default_context(cafile=str(far.keys / "authority.pem"))

        async def client(pace: int) -> tuple[int, socket.socket]:
            ticket, port = await far.expect(tls=secure)
            far.tell(link.Pace(ticket, pace))
            raw = await dialled(port)
            if not secure:
                return ticket, raw
            return ticket, await asyncio.to_thread(
                lambda: client_tls.wrap_socket(raw, server_hostname="127.0.0.1")
            )

        begin = time.monotonic()
        ticket, down = await client(400_000)
        with down:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, len(data), 0, False))
            assert await asyncio.to_thread(rest_of, down) == data
        assert 0.6 < time.monotonic() - begin < 3.0  # 0.75 s by the pace, less one step
        begin = time.monotonic()
        ticket, up = await client(400_000)
        far.tell(link.Receive(ticket, volume.store_id, 5, 0, None, False, -1, True))
        await asyncio.to_thread(push, up, data)
        assert (await far.outcome(ticket)).size == len(data)
        assert 0.6 < time.monotonic() - begin < 3.0
        begin = time.monotonic()
        ticket, down = await client(1)
        with down:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, len(data), 0, False))
            await asyncio.to_thread(down.recv, 1)
            far.tell(link.Pace(ticket, 0))
            await asyncio.to_thread(rest_of, down)
        assert time.monotonic() - begin < 3.0


async def test_a_paced_transfer_that_is_cancelled_ends_soon(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"x" * 10_000)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        far.tell(link.Pace(ticket, 1))
        with await dialled(port) as client:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, 10_000, 0, False))
            await asyncio.to_thread(client.recv, 1)
            far.tell(link.Cancel(ticket))
            async with asyncio.timeout(2.0):
                assert (await far.outcome(ticket)).refusal == "TransferCut"


async def test_who_reads_an_upload_gets_what_is_there_and_what_comes(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        writer = await dialled(port)
        far.tell(link.Receive(ticket, volume.store_id, 7, 0, None, False, -1, True))
        early, port = await far.expect()
        with await dialled(port) as reader, writer:
            far.tell(link.Send(early, volume.store_id, b"", 7, link.ARRIVING, 0, False))
            writer.sendall(b"first ")
            assert await asyncio.to_thread(reader.recv, 100) == b"first "
            late, port = await far.expect()
            with await dialled(port) as later:
                far.tell(link.Send(late, volume.store_id, b"", 7, link.ARRIVING, 2, False))
                assert await asyncio.to_thread(later.recv, 100) == b"rst "
                writer.sendall(b"second")
                writer.close()
                assert await asyncio.to_thread(rest_of, reader) == b"second"
                assert await asyncio.to_thread(rest_of, later) == b"second"
        for number in (ticket, early, late):
            assert (await far.outcome(number)).refusal == ""
        # Who comes when it has just ended gets it too, before it is in place and after.
        for _ in range(2):
            reading, port = await far.expect()
            with await dialled(port) as reader:
                far.tell(link.Send(reading, volume.store_id, b"", 7, link.ARRIVING, 0, False))
                assert await asyncio.to_thread(rest_of, reader) == b"first second"
            assert (await far.outcome(reading)).refusal == ""
            await far.ask(link.Commit(volume.store_id, [link.CommitPart(7, b"f", OLD * 10**9)]))


async def test_who_reads_an_upload_hears_that_it_was_cut(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        writer = await dialled(port)
        far.tell(link.Receive(ticket, volume.store_id, 7, 0, None, False, -1, True))
        reading, port = await far.expect()
        with await dialled(port) as reader:
            far.tell(link.Send(reading, volume.store_id, b"", 7, link.ARRIVING, 0, False))
            writer.sendall(b"first ")
            assert await asyncio.to_thread(reader.recv, 100) == b"first "
            writer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.close()
            assert (await far.outcome(ticket)).refusal == "TransferCut"
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(rest_of, reader)
        assert (await far.outcome(reading)).refusal == "TransferCut"
        reading, port = await far.expect()
        with await dialled(port):
            far.tell(link.Send(reading, volume.store_id, b"", 7, link.ARRIVING, 0, False))
            assert (await far.outcome(reading)).refusal == "TransferCut"


async def test_a_reader_may_not_begin_behind_what_has_arrived(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        with await dialled(port):
            far.tell(link.Receive(ticket, volume.store_id, 7, 0, None, False, -1, True))
            reading, port = await far.expect()
            with await dialled(port):
                far.tell(link.Send(reading, volume.store_id, b"", 7, link.ARRIVING, 1, False))
                assert (await far.outcome(reading)).refusal == "BadArgument"


async def test_who_asks_whether_a_file_could_be_sent_does_not_wait_for_other_transfers(
    tmp_path: Path,
) -> None:
    put(tmp_path / "root/f", bytes(48 << 20))
    async with master(tmp_path) as far, node(tmp_path, far, transfer_threads=1) as volume:
        ticket, port = await far.expect()
        with await dialled(port) as client:
            far.tell(link.Send(ticket, volume.store_id, b"f", 0, 48 << 20, 0, False))
            await asyncio.to_thread(client.recv, 1)
            async with asyncio.timeout(3):
                assert isinstance(await far.ask(link.Peek(volume.store_id, b"f", 0, 48 << 20, 0)), link.Ok)
        await far.outcome(ticket)


async def test_a_node_whose_own_certificate_cannot_be_read_says_that_it_cannot_connect(
    tmp_path: Path,
) -> None:
    put(tmp_path / "root/f", b"content")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        (tmp_path / "keys/n1.key").unlink()
        _, port = await far.expect()
        far.tell(link.Gather(1, volume.store_id, [], False, link.Visit(1, "127.0.0.1", port, "n2")))
        offered = far.ports.pop(0)
        far.tell(link.Supply(2, [], link.Offer(2, offered, "n2")))
        far.tell(
            link.Send(
                *(3, volume.store_id, b"f", 0, 7, 0, False),
                meet=link.Dial(3, "", port, True),
            )
        )
        for ticket in (1, 2, 3):
            async with asyncio.timeout(5):
                assert (await far.outcome(ticket)).refusal == "NoDataConnection"
        with pytest.raises(ConnectionRefusedError):  # it doesn't count among those that are left
            await asyncio.open_connection("127.0.0.1", offered)
