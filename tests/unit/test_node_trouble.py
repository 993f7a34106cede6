"""A node whose link breaks, whose disk fails, or that is killed: what it had is there again."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from argosy import config
from argosy.node.agent import Agent
from argosy.node.disk.volume import Volume
from argosy.wire import link
from standin import OLD, SECONDS, Master, dialled, eventually, master, node, push, settings, store


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


async def test_a_floor_that_no_disk_can_have_is_refused(tmp_path: Path) -> None:
    async with master(tmp_path) as far:
        most = msgspec.structs.replace(settings(tmp_path, far.port), floor_bytes=1 << 60)
        result = await asyncio.to_thread(started, most, wait=True)
        assert result.returncode == 1
        assert result.stderr is not None
        with result.stderr as said:
            assert "floor_bytes: want less than" in said.read()


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
        process.wait(SECONDS)
    return process


async def test_a_node_killed_in_the_middle_comes_back_with_what_it_had(tmp_path: Path) -> None:
    async with master(tmp_path) as far:
        node_settings = settings(tmp_path, far.port)
        process = started(node_settings)
        try:
            async with asyncio.timeout(SECONDS):
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
            await asyncio.to_thread(process.wait, SECONDS)
        client.close()
        (tmp_path / "root/.argosy/staging" / f"{99:016x}").write_bytes(b"rubbish")
        far.welcomed.clear()
        process = started(node_settings)
        try:
            async with asyncio.timeout(SECONDS):
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
            assert await asyncio.to_thread(process.wait, SECONDS) == 0


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
    async with asyncio.timeout(SECONDS):
        await late.welcomed.wait()
    told.set()
    await asyncio.wait_for(running, SECONDS)
    serving.cancel()
    await asyncio.wait({serving})
    volume.close()
