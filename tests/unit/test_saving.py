"""The database is copied while it is in use; and what isn't a whole backup is refused before it does harm."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.catalogue.store import saving, schema
from argosy.catalogue.store.saving import check, save
from argosy.cli.main import main
from argosy.cli.site import master_text
from argosy.errors import BadArgument, ConfigError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(tmp_path / "argosy.db", isolation_level=None, check_same_thread=False)
    ) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN")
        schema.lay(db, 1)
        db.execute("COMMIT")
        yield db


def test_a_copy_is_of_one_moment_however_much_is_written_meanwhile(
    tmp_path: Path, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "STEP_BYTES", 65_536)
    database.execute("CREATE TABLE pair(side INTEGER, body BLOB)")
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            database.execute("BEGIN")
            for side in (0, 1):
                database.execute("INSERT INTO pair VALUES(?, randomblob(3000))", (side,))
            database.execute("COMMIT")

    for _ in range(300):
        database.execute("INSERT INTO pair VALUES(0, randomblob(3000)), (1, randomblob(3000))")
    writer = threading.Thread(target=write)
    writer.start()
    told: list[tuple[int, int]] = []
    try:
        begin = time.monotonic()
        save(
            *(tmp_path / "argosy.db", tmp_path / "copy.db"),
            pace=4_000_000,
            busy_seconds=5.0,
            told=lambda done, total: told.append((done, total)),
        )
        took = time.monotonic() - begin
    finally:
        ended.set()
        writer.join()
    assert told[-1][0] == told[-1][1]
    assert took > told[-1][1] / 4_000_000 * 0.8
    assert len({total for _, total in told}) == 1
    assert check(tmp_path / "copy.db") == schema.VERSION
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        (left, right) = copy.execute("SELECT count(*) FROM pair GROUP BY side ORDER BY side").fetchall()
    assert left == right
    (now,) = database.execute("SELECT count(*) FROM pair").fetchone()
    assert now > left[0] + right[0]
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("copy.db-*"))


def test_a_catalogue_that_is_not_there_is_not_made_for_a_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        save(tmp_path / "no.db", tmp_path / "copy.db", pace=0, busy_seconds=1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_later_versions_catalogue_is_not_put_back(tmp_path: Path, database: sqlite3.Connection) -> None:
    database.execute("UPDATE meta SET value = 1000 WHERE key = 'schema'")
    save(tmp_path / "argosy.db", tmp_path / "copy.db", pace=0, busy_seconds=1.0)
    with pytest.raises(ConfigError, match="1000"):
        check(tmp_path / "copy.db")
    (tmp_path / "other").write_bytes(b"no database" * 1000)
    with pytest.raises(BadArgument):
        check(tmp_path / "other")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small site's backup."""
    site = tmp_path_factory.mktemp("site")
    for name in ("config", "keys", "catalogue"):
        (site / name).mkdir()
    (site / "config/master.toml").write_text(master_text(ftp="127.0.0.1:1", link="127.0.0.1:2"))
    (site / "keys/authority.key").write_bytes(b"secret")
    with contextlib.closing(sqlite3.connect(site / "catalogue/argosy.db")) as db, db:
        schema.lay(db, 1)
    assert main(["backup", str(site / "backup"), "--dir", str(site), "--json"]) == 0
    return (site / "backup").read_bytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), cut=st.booleans())
def test_of_a_damaged_backup_nothing_is_taken(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, at: float, bits: int, cut: bool
) -> None:
    place = int(at * len(whole))
    damaged = whole[:place] if cut else whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :]
    home = tmp_path_factory.mktemp("back")
    (home / "backup").write_bytes(damaged)
    code = main(["restore", str(home / "backup"), "--dir", str(home / "site"), "--json"])
    there = home / "site/catalogue/argosy.db"
    assert code in (0, 1)
    if code:
        assert not there.exists()
        assert not (home / "site/keys").exists()
    else:  # what was hit means nothing: padding, or a time in the archive
        assert (home / "site/keys/authority.key").read_bytes() == b"secret"
        assert check(there) == schema.VERSION
