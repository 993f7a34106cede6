"""A site that an older version made goes on with this one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from argosy import config, errors
from argosy.accounts.rules import resolve
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import LOOKING, USUAL, Right
from argosy.catalogue.store import schema
from argosy.catalogue.store.migrations import STEPS

VERSION_1 = """
    CREATE TABLE meta(
        key TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE ent(
        id INTEGER NOT NULL PRIMARY KEY, parent BIGINT NOT NULL REFERENCES ent(id), name BLOB NOT NULL,
        kind SMALLINT NOT NULL, state SMALLINT NOT NULL, ver BIGINT NOT NULL, size BIGINT NOT NULL,
        mtime_ns BIGINT NOT NULL, created_ns BIGINT NOT NULL, owner TEXT NOT NULL, grp TEXT NOT NULL,
        mode INTEGER NOT NULL, crc32 BIGINT, digest BLOB,
        UNIQUE(parent, name)
    );
    CREATE INDEX ent_ver ON ent(ver) WHERE ver <> 0;
    CREATE INDEX ent_state ON ent(state) WHERE state <> 0;
    CREATE TABLE node(
        name TEXT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, boot TEXT NOT NULL,
        revoked SMALLINT NOT NULL, seen_ns BIGINT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE volume(
        number INTEGER NOT NULL PRIMARY KEY, store_id TEXT NOT NULL UNIQUE, node TEXT NOT NULL,
        acked BIGINT NOT NULL
    );
    CREATE TABLE replica(
        volume INTEGER NOT NULL REFERENCES volume(number), loc BLOB NOT NULL,
        file BIGINT NOT NULL REFERENCES ent(id), ver BIGINT NOT NULL, standing SMALLINT NOT NULL,
        size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, listed SMALLINT NOT NULL,
        PRIMARY KEY(volume, loc)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX replica_file ON replica(file, volume);
    CREATE INDEX replica_ver ON replica(ver) WHERE listed = 0;
    CREATE INDEX replica_standing ON replica(file) WHERE standing <> 0;
    CREATE TABLE tomb(
        volume INTEGER NOT NULL REFERENCES volume(number), loc BLOB NOT NULL, ver BIGINT NOT NULL,
        size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, file BIGINT NOT NULL, due_ns BIGINT NOT NULL,
        PRIMARY KEY(volume, loc, ver)
    ) WITHOUT ROWID;
    CREATE INDEX tomb_ver ON tomb(volume, ver);
    CREATE TABLE upload(
        id BIGINT NOT NULL PRIMARY KEY, file BIGINT NOT NULL UNIQUE REFERENCES ent(id),
        placeholder SMALLINT NOT NULL, base_ver BIGINT NOT NULL, volume INTEGER NOT NULL,
        node TEXT NOT NULL, epoch BIGINT NOT NULL, usr TEXT NOT NULL, state SMALLINT NOT NULL,
        received BIGINT NOT NULL, started_ns BIGINT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX upload_volume ON upload(volume);
    CREATE TABLE settle(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,
        directory SMALLINT NOT NULL, after BLOB NOT NULL, due_ns BIGINT NOT NULL, tries INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX settle_due ON settle(directory, due_ns);
    CREATE TABLE token(
        id TEXT NOT NULL PRIMARY KEY, secret BLOB NOT NULL, expires_ns BIGINT NOT NULL,
        used SMALLINT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE users(
        name TEXT NOT NULL PRIMARY KEY, password TEXT NOT NULL, home BLOB NOT NULL,
        admin SMALLINT NOT NULL, may_write SMALLINT NOT NULL, may_fxp SMALLINT NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO meta VALUES('schema', 1);
    INSERT INTO ent VALUES(1, 1, x'', 0, 0, 0, 0, 5, 5, 'argosy', 'argosy', 493, NULL, NULL);
    INSERT INTO users VALUES('ann', 'hash', x'2f68ff', 1, 1, 0);
    INSERT INTO users VALUES('bob', 'hash', x'2f', 0, 1, 0);
    INSERT INTO users VALUES('carol', 'hash', x'2f', 0, 1, 1);
    INSERT INTO users VALUES('guest', 'hash', x'2f', 0, 0, 0);
"""
"""What version 1 laid, and four accounts."""


def old(directory: Path, *more: str) -> config.Catalogue:
    db = sqlite3.connect(directory / "argosy.db")
    db.executescript(VERSION_1)
    for statement in more:
        db.execute(statement)
    db.commit()
    db.close()
    return config.Catalogue(directory=str(directory))


async def test_accounts_of_version_1_keep_their_rights_and_homes(tmp_path: Path) -> None:
    table = old(tmp_path)
    for _ in range(2):  # the second time there is nothing to be done
        catalogue = Catalogue(table)
        await catalogue.open()
        ann, bob, carol, guest = (resolve(user, []) for user in catalogue.users())
        await catalogue.close()
        assert (ann.name, ann.admin, ann.home) == ("ann", True, b"/h\xff")
        assert bob.rights(()) == USUAL
        assert carol.rights((b"x",)) == USUAL | {Right.FXP}
        assert guest.rights(()) == LOOKING
        assert (guest.home, guest.admin) == (b"/", False)


async def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    table = old(tmp_path, "CREATE TABLE account_group(name TEXT)")
    with pytest.raises(sqlite3.OperationalError):
        await Catalogue(table).open()
    db = sqlite3.connect(tmp_path / "argosy.db")
    assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (1,)
    assert len(db.execute("SELECT * FROM users").fetchall()) == 4
    db.close()


async def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    table = old(tmp_path, f"UPDATE meta SET value = {schema.VERSION + 1} WHERE key = 'schema'")
    with pytest.raises(errors.ConfigError):
        await Catalogue(table).open()


def test_there_is_a_step_for_each_version() -> None:
    assert sorted(STEPS) == list(range(2, schema.VERSION + 1))


async def test_a_site_of_version_1_can_have_links_and_remembers_cut_replacements(tmp_path: Path) -> None:
    catalogue = Catalogue(old(tmp_path))
    await catalogue.open()
    try:
        assert catalogue.find(()).target is None
        await catalogue.make_link((b"l",), b"/", owner="ann")
        assert catalogue.resolve((b"l",)) == ((), catalogue.find(()))
        await catalogue.cut(1, 1)
    finally:
        await catalogue.close()


async def test_an_upgraded_site_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    tables = []
    for table in (old(tmp_path), config.Catalogue(directory=str(tmp_path / "new"))):
        catalogue = Catalogue(table)
        await catalogue.open()
        await catalogue.close()
        db = sqlite3.connect(Path(table.directory) / "argosy.db")
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY name")]
        tables.append({name: sorted(db.execute(f"PRAGMA table_info({name})")) for name in names})
        db.close()
    assert tables[0] == tables[1]


async def test_a_site_of_version_6_keeps_its_files_and_can_keep_lists(tmp_path: Path) -> None:
    table = config.Catalogue(directory=str(tmp_path))
    catalogue = Catalogue(table)
    await catalogue.open()
    await catalogue.make_directory((b"d",), owner="ann")
    await catalogue.close()
    db = sqlite3.connect(tmp_path / "argosy.db")
    db.execute("DROP TABLE sumlist")
    db.execute("UPDATE meta SET value = 6 WHERE key = 'schema'")
    db.commit()
    db.close()
    catalogue = Catalogue(table)
    await catalogue.open()
    try:
        entry = catalogue.find((b"d",))
        await catalogue.keep_list(entry, b"all of it")
        assert catalogue.list_content(entry.id, entry.ver) == b"all of it"
    finally:
        await catalogue.close()
