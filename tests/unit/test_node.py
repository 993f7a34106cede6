from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import msgspec
import pytest
import xxhash

from argosy import config, errors
from argosy.net import tls
from argosy.net.dataconn import DataConnection, open_listener
from argosy.node.agent import Agent
from argosy.node.disk.volume import Volume
from argosy.wire import link
from standin import Master, dialled, eventually, master, node, push, rest_of, settings

OLD = 1_600_000_000


def put(path: Path, data: bytes, mtime: float = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    return path


async def fetch(far: Master, store: str, loc: bytes, size: int, *, ver: int = 0, offset: int = 0) -> bytes:
    ticket, port = await far.expect()
    with await dialled(port) as client:
        far.tell(link.Send(ticket, store, loc, ver, size, offset, False))
        data = await asyncio.to_thread(rest_of, client)
    done = await far.outcome(ticket)
    assert (done.refusal, done.moved) == ("", len(data)), done
    return data


async def store(far: Master, where: str, upload: int, data: bytes, **changes: object) -> link.Done:
    ticket, port = await far.expect()
    client = await dialled(port)
    order = link.Receive(ticket, where, upload, 0, None, False, -1, True)
    for name, value in changes.items():
        setattr(order, name, value)
    far.tell(order)
    await asyncio.to_thread(push, client, data)
    return await far.outcome(ticket)


async def test_a_disk_full_of_files_is_adopted_and_a_second_join_sends_nothing(tmp_path: Path) -> None:
    for number in range(25):
        put(tmp_path / f"root/d{number % 3}/f{number}", b"x" * number)
    locs = {f"d{number % 3}/f{number}".encode() for number in range(25)}
    async with master(tmp_path) as far:
        async with node(tmp_path, far, batch_files=10) as volume:
            await far.ask(link.Feed(volume.store_id, 0, False))
            await far.until(*locs)
            assert far.files[b"d1/f4"].size == 4
            assert far.files[b"d1/f4"].mtime_ns == OLD * 10**9
            acked = far.batches[-1].seq
        far.batches.clear()
        async with node(tmp_path, far) as volume:
            assert far.hello is not None
            assert far.hello.volumes[0].seq >= acked
            await far.ask(link.Feed(volume.store_id, acked, False))
            await far.ask(link.Scan(volume.store_id, False))
            assert [group for batch in far.batches for group in batch.groups] == []
            # But the master hears that it has caught up.
            await eventually(lambda: far.batches)
            assert far.batches[-1].seq == far.hello.volumes[0].seq


async def test_a_whole_list_comes_in_pages_that_leave_no_gap(tmp_path: Path) -> None:
    for number in range(25):
        put(tmp_path / f"root/f{number:02}", b"x")
    async with master(tmp_path) as far, node(tmp_path, far, batch_files=10) as volume:
        far.files[b"f05x"] = link.File(b"f05x", 1, 1)  # the master believes in one that isn't there
        await far.ask(link.Feed(volume.store_id, 10**9, True))
        await far.until(*(b"f%02d" % number for number in range(25)))
        pages = [(batch.after, batch.upto) for batch in far.batches if batch.whole]
        assert pages == [(b"", b"f09"), (b"f09", b"f19"), (b"f19", None)]
        assert far.batches[0].seq == 10**9  # unchanged until the last
        put(tmp_path / "root/later", b"y")
        await far.ask(link.Scan(volume.store_id, False))
        await far.until(b"later", *(b"f%02d" % number for number in range(25)))


async def test_what_hands_add_change_and_remove_is_found_by_a_scan(tmp_path: Path) -> None:
    put(tmp_path / "root/stays", b"1")
    put(tmp_path / "root/changes", b"1")
    put(tmp_path / "root/goes", b"1")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"stays", b"changes", b"goes")
        put(tmp_path / "root/changes", b"22", OLD + 1)
        put(tmp_path / "root/sub/new", b"333")
        (tmp_path / "root/goes").unlink()
        (tmp_path / "root/link").symlink_to("stays")
        scanned = await far.ask(link.Scan(volume.store_id, False))
        assert scanned == link.Scanned(3, 3, 0, volume.journal.seq)
        await far.until(b"stays", b"changes", b"sub/new")
        assert far.files[b"changes"].size == 2


async def test_a_file_that_was_just_put_there_is_found_by_the_same_scan(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Scan(volume.store_id, False))
        await far.ask(link.Feed(volume.store_id, 0, False))
        put(tmp_path / "root/fresh", b"1", time.time())
        await far.ask(link.Scan(volume.store_id, False))
        await far.until(b"fresh")


async def test_many_losses_are_held_until_the_administrator_accepts_them(tmp_path: Path) -> None:
    for number in range(10):
        put(tmp_path / f"root/f{number}", b"x")
    everything = {b"f%d" % number for number in range(10)}
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(*everything)
        for number in range(5):
            (tmp_path / f"root/f{number}").unlink()
        scanned = await far.ask(link.Scan(volume.store_id, False))
        assert isinstance(scanned, link.Scanned)
        assert scanned.held_losses == 5
        await eventually(lambda: far.held)
        assert [(held.losses, held.files) for held in far.held] == [(5, 10)]
        assert set(far.files) == everything
        await far.ask(link.Scan(volume.store_id, True))
        await far.until(*(b"f%d" % number for number in range(5, 10)))


async def test_a_disk_that_is_not_mounted_loses_nothing(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"x")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"f")
        await far.ask(link.Scan(volume.store_id, False))  # the scan at the start is over
        (tmp_path / "root").rename(tmp_path / "elsewhere")
        (tmp_path / "root").mkdir()
        with pytest.raises(errors.Failed, match="store id"):
            await far.ask(link.Scan(volume.store_id, True))
        assert set(far.files) == {b"f"}


async def test_a_scan_ordered_while_the_trash_is_emptied_reads_the_disk_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptying, go_on = threading.Event(), threading.Event()

    def slowly(*_: object, **__: object) -> None:
        emptying.set()
        go_on.wait(10)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    put(tmp_path / "root/.argosy/trash/1-1/old", b"x")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        assert await asyncio.to_thread(emptying.wait, 10)
        put(tmp_path / "root/new", b"x")

        async def release() -> None:
            await far.ask(link.Feed(volume.store_id, 0, False))  # answered when the other has arrived
            go_on.set()

        scanned, _ = await asyncio.gather(far.ask(link.Scan(volume.store_id, False)), release())
        assert isinstance(scanned, link.Scanned)
        assert scanned.files == 1


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
        assert (tmp_path / "root/f").read_bytes() == b"a" * 900 + b"b" * 10
        refused = await store(far, volume.store_id, 8, b"", offset=5)
        assert refused.refusal == "BadArgument"


async def test_an_upload_may_begin_with_the_live_file(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"0123456789")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        base = link.Base(b"f", 0, 10)
        done = await store(far, volume.store_id, 9, b"XY", offset=4, base=base)
        assert (done.refusal, done.size) == ("", 6)
        assert (tmp_path / "root/f").read_bytes() == b"0123456789"  # until the commit
        await far.ask(link.Commit(volume.store_id, [link.CommitPart(9, b"f", OLD * 10**9)]))
        assert (tmp_path / "root/f").read_bytes() == b"0123XY"


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


async def test_deleting_takes_just_the_version_that_is_meant(tmp_path: Path) -> None:
    put(tmp_path / "root/a/b/old", b"1234")
    put(tmp_path / "root/a/keep", b"1234")
    (tmp_path / "root/empty").mkdir()
    when = OLD * 10**9
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"a/b/old", b"a/keep")
        doomed = [
            link.Doomed(b"a/b/old", 1, 4, when),
            link.Doomed(b"a/keep", 2, 4, when + 1),
            link.Doomed(b"never/was", 3, 4, when),
        ]
        for _ in range(2):
            await far.ask(link.Discard(volume.store_id, doomed))
        await far.until(b"a/keep")
        assert not (tmp_path / "root/a/b").exists()  # we left it empty
        assert (tmp_path / "root/empty").exists()  # we didn't
        assert [path.read_bytes() for path in (tmp_path / "root/.argosy/trash").rglob("old")] == [b"1234"]


async def test_settling_moves_a_file_but_never_over_another(tmp_path: Path) -> None:
    put(tmp_path / "root/a/f", b"1234")
    put(tmp_path / "root/taken", b"other")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Feed(volume.store_id, 0, False))
        await far.until(b"a/f", b"taken")
        with pytest.raises(errors.Exists):
            await far.ask(link.Settle(volume.store_id, b"a/f", 5, 4, b"taken", OLD * 10**9))
        with pytest.raises(errors.Exists):
            await far.ask(link.Settle(volume.store_id, b"a/f", 5, 4, b"taken/below", OLD * 10**9))
        before = len(far.batches)
        for _ in range(2):
            await far.ask(link.Settle(volume.store_id, b"a/f", 5, 4, b"b/g", OLD * 10**9 + 5))
        await far.until(b"b/g", b"taken")
        assert far.files[b"b/g"].ver == 5
        assert len(far.batches[before].groups) == 2  # both halves of the move in one batch
        assert (tmp_path / "root/b/g").stat().st_mtime_ns == OLD * 10**9 + 5
        assert not (tmp_path / "root/a").exists()


async def test_nobody_reaches_outside_the_root(tmp_path: Path) -> None:
    put(tmp_path / "secret", b"1234")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").symlink_to(tmp_path)
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        for loc in (b"../secret", b"out/secret", b"/secret", b".argosy/volume.id", b"a//b", b""):
            with pytest.raises((errors.BadArgument, errors.Damaged)):
                await far.ask(link.Checksum(volume.store_id, loc, 0, 4, ["md5"]))


async def test_checksums_of_a_file_or_a_piece_of_it(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"123456789")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        both = await far.ask(link.Checksum(volume.store_id, b"f", 0, 9, ["crc32", "md5"]))
        assert both == link.Checksums({"crc32": "cbf43926", "md5": "25f9e794323b453885f5181f1b624d0b"})
        piece = await far.ask(link.Checksum(volume.store_id, b"f", 0, 9, ["crc32"], 2, 3))
        assert piece == link.Checksums({"crc32": f"{zlib.crc32(b'345'):08x}"})
        with pytest.raises(errors.Unsupported):
            await far.ask(link.Checksum(volume.store_id, b"f", 0, 9, ["rot13"]))


async def test_a_transfer_survives_the_loss_of_the_link_and_tells_its_outcome_later(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        ticket, port = await far.expect()
        client = await dialled(port)
        far.tell(link.Receive(ticket, volume.store_id, 6, 0, None, False, -1, True))
        await asyncio.to_thread(client.sendall, b"first,")
        await far.rejoined()
        assert far.hello is not None
        assert ticket in far.hello.running
        await asyncio.to_thread(push, client, b"second")
        done = await far.outcome(ticket)
        assert (done.refusal, done.size) == ("", 12)


async def test_an_outcome_that_nobody_acknowledged_is_told_again(tmp_path: Path) -> None:
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        far.deaf = True
        ticket, port = await far.expect()
        client = await dialled(port)
        far.tell(link.Receive(ticket, volume.store_id, 6, 0, None, False, -1, True))
        await asyncio.to_thread(push, client, b"data")
        await asyncio.sleep(0.2)
        far.deaf = False
        await far.rejoined()
        assert (await far.outcome(ticket)).size == 4


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


async def test_the_beat_tells_figures(tmp_path: Path) -> None:
    put(tmp_path / "root/f", b"1")
    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        await far.ask(link.Scan(volume.store_id, False))
        far.beats.clear()
        await eventually(lambda: far.beats)
        (space,) = far.beats[0].volumes
        assert (space.store_id, space.files) == (volume.store_id, 1)
        assert 0 < space.free <= space.total


async def test_a_disk_that_fails_for_a_while_ends_no_process_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_: int) -> os.statvfs_result:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    async with master(tmp_path) as far, node(tmp_path, far) as volume:
        with monkeypatch.context() as fault:
            fault.setattr(os, "fstatvfs", stale)
            await eventually(lambda: far.beats and not far.beats[-1].volumes)
            await far.rejoined()
            assert far.hello is not None
            assert far.hello.volumes == []
        await eventually(lambda: far.hello and far.hello.volumes)
        await eventually(lambda: far.beats and far.beats[-1].volumes)
        assert far.beats[-1].volumes[0].store_id == volume.store_id


async def test_a_root_without_its_store_id_does_not_start_and_says_so(tmp_path: Path) -> None:
    async with master(tmp_path) as far:
        node_settings = settings(tmp_path, far.port)
        (tmp_path / "root/.argosy/volume.id").unlink()
        result = await asyncio.to_thread(started, node_settings, wait=True)
        assert result.returncode == 1
        assert "is the disk mounted" in str(result.stderr.read() if result.stderr else "")
        if result.stderr:
            result.stderr.close()


RUN = """
import sys, msgspec
from argosy import config, errors
from argosy.node import agent
try:
    agent.run(msgspec.json.decode(sys.argv[1], type=config.Node))
except errors.Refused as refused:
    sys.exit(str(refused))
"""


def started(node_settings: config.Node, *, wait: bool = False) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, msgspec.json.encode(node_settings).decode()],
        stderr=subprocess.PIPE if wait else None,
        text=True,
    )
    if wait:
        process.wait(10)
    return process


async def test_a_node_killed_in_the_middle_comes_back_with_what_it_had(tmp_path: Path) -> None:
    async with master(tmp_path) as far:
        node_settings = settings(tmp_path, far.port)
        process = started(node_settings)
        try:
            async with asyncio.timeout(10):
                await far.welcomed.wait()
            assert far.hello is not None
            store_id, boot = far.hello.volumes[0].store_id, far.hello.boot
            assert (await store(far, store_id, 1, b"sealed")).refusal == ""
            ticket, port = await far.expect()
            client = await dialled(port)
            far.tell(link.Receive(ticket, store_id, 2, 0, None, False, -1, True))
            await asyncio.to_thread(client.sendall, b"half")
            await asyncio.sleep(0.2)
        finally:
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 10)
        client.close()
        (tmp_path / "root/.argosy/staging" / f"{99:016x}").write_bytes(b"rubbish")
        far.welcomed.clear()
        process = started(node_settings)
        try:
            async with asyncio.timeout(10):
                await far.welcomed.wait()
            assert far.hello.boot != boot
            assert far.hello.volumes[0].parts == [link.Part(1, 6, True), link.Part(2, 4, False)]
            assert far.hello.running == []
            await far.ask(link.Commit(store_id, [link.CommitPart(1, b"f", OLD * 10**9)]))
            await far.ask(link.Forget(store_id, [2]))
            assert (tmp_path / "root/f").read_bytes() == b"sealed"
            assert list((tmp_path / "root/.argosy/staging").iterdir()) == []
        finally:
            process.terminate()
            assert await asyncio.to_thread(process.wait, 10) == 0


async def test_a_node_whose_master_is_away_waits_for_it(tmp_path: Path) -> None:
    async with master(tmp_path) as far:
        port = far.port
    node_settings = settings(tmp_path, port)
    volume = Volume.open(node_settings.roots[0], trash_seconds=0)
    told = asyncio.Event()
    running = asyncio.create_task(Agent(node_settings, [volume]).run(told))
    await asyncio.sleep(0.2)
    assert not running.done()
    late = Master(tmp_path / "keys")
    late.port = port
    serving = asyncio.create_task(late.serve())
    async with asyncio.timeout(10):
        await late.welcomed.wait()
    told.set()
    await asyncio.wait_for(running, 5)
    serving.cancel()
    await asyncio.wait({serving})
    volume.close()


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
