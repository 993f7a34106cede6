"""Changed files on the loop, where it needs no site."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy import config, errors
from argosy.sites.model import Version
from argosy.sites.session.client import Client
from argosy.sites.session.pool import Pool
from argosy.sites.writing.journal import Journal
from argosy.sites.writing.space import Space
from argosy.sites.writing.writer import Writer


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
    settings = config.Journal()
    writer = Writer(
        pool,
        directory=str(tmp_path),
        path_of=lambda file: b"/%d" % file,
        done=lambda *_: None,
        settings=settings,
        space=Space(settings.disk_bytes),
    )
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
