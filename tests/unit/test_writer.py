"""Changed files on the loop, where it needs no site."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from argosy import config, errors
from argosy.sites.model import Version
from argosy.sites.session.client import Client
from argosy.sites.session.pool import Pool
from argosy.sites.writing.journal import Journal
from argosy.sites.writing.space import Space
from argosy.sites.writing.writer import Writer


def writer_at(directory: Path, pool: Pool[Client]) -> Writer:
    settings = config.Journal()
    return Writer(
        pool,
        directory=str(directory),
        path_of=lambda file: b"/%d" % file,
        done=lambda *_: None,
        settings=settings,
        space=Space(settings.disk_bytes),
    )


async def test_half_a_file_of_before_a_power_cut_never_replaces_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def connect() -> Client:
        asked.append("a login")
        raise errors.LoginFailed("530 No")

    draft = Journal(str(tmp_path)).begin(7, Version(7, 1000, 5))
    draft.resize(0)
    draft.write(0, b"what is lost")
    monkeypatch.setattr("argosy.sites.writing.journal._boot", lambda: "another")
    pool: Pool[Client] = Pool(connect, config.Remote())
    writer = writer_at(tmp_path, pool)
    await writer.open()
    assert writer.files() == [7]
    assert await writer.flush(7) is None
    await writer.close(1.0)
    pool.close()
    assert not asked
    (again,) = Journal(str(tmp_path)).recover()
    assert (again.file, again.doubtful) == (7, True), "its writer may still come"
    again.write(0, b"said again")
    (again,) = Journal(str(tmp_path)).recover()
    assert (again.size, again.held, again.doubtful) == (10, 10, False)


async def test_who_waits_for_an_upload_that_never_began_hears_it_when_the_gateway_stops(
    tmp_path: Path,
) -> None:
    answered = threading.Event()

    def connect() -> Client:
        answered.wait(20)
        raise errors.Unavailable("too late")

    pool: Pool[Client] = Pool(connect, config.Remote())
    writer = writer_at(tmp_path, pool)
    await writer.open()
    for file in range(30):
        await writer.write(file, None, 0, b"x")
    flushes = [asyncio.create_task(writer.flush(file)) for file in range(30)]
    await asyncio.sleep(0.2)
    await writer.close(0.0)
    _, late = await asyncio.wait(flushes, timeout=2)
    answered.set()
    assert 0 < len(late) < 30, "some had begun"
    stopped = [flush.exception() for flush in flushes if flush not in late]
    assert all(isinstance(error, errors.Unavailable) for error in stopped), stopped
    for flush in late:
        flush.cancel()
    pool.close()
