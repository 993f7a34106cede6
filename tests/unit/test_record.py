"""File handles mean the same after a restart and a rename, and nothing once their file is gone."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.errors import ConfigError, Stale
from argosy.sites.model import Kind
from argosy.sites.names.record import ROOT, Claim, Record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "record.db"


@pytest.fixture
def record(path: Path) -> Iterator[Record]:
    record = Record(path)
    yield record
    record.close()


@pytest.fixture
def mount(record: Record) -> int:
    return record.mount(b"ftp.example.org:ann:secret")


def test_a_mount_and_its_files_are_known_after_a_restart(path: Path) -> None:
    record = Record(path)
    mount = record.mount(b"export")
    record.learn(mount, home=b"/home/ann")
    minted = record.mint(mount, ROOT, [(b"a", Kind.FILE), (b"d", Kind.DIRECTORY)])
    key = record.key
    record.close()
    record = Record(path)
    assert record.key == key
    assert record.learned(mount).home == b"/home/ann"
    assert record.mounts()[mount] == (b"export", False)
    assert record.mount(b"export") == mount
    assert {name: row.id for name, row in record.children(mount, ROOT).items()} == minted
    record.close()


def test_two_mounts_share_no_file(record: Record, mount: int) -> None:
    other = record.mount(b"another")
    (file,) = record.mint(mount, ROOT, [(b"a", Kind.FILE)]).values()
    assert record.find(other, file) is None
    record.forget(mount)
    assert record.find(mount, file) is None
    assert list(record.mounts()) == [other]
    with pytest.raises(Stale):
        record.learned(mount)


def test_an_id_is_never_used_again(record: Record, mount: int) -> None:
    first = record.mint(mount, ROOT, [(b"a", Kind.FILE)])[b"a"]
    record.drop(mount, [(first, ROOT, b"a")])
    assert record.find(mount, first) is None
    assert record.mint(mount, ROOT, [(b"a", Kind.FILE)])[b"a"] > first > ROOT


def test_a_name_keeps_its_id_and_loses_it_with_its_kind(record: Record, mount: int) -> None:
    names = [(b"%d" % number, Kind.DIRECTORY) for number in range(5_000)]
    first = record.mint(mount, ROOT, names)
    again = record.mint(mount, ROOT, [*names, (b"new", Kind.FILE)])
    assert again.pop(b"new") > max(first.values())
    assert again == first
    below = record.mint(mount, first[b"7"], [(b"x", Kind.FILE)])[b"x"]
    assert [name for _, name in record.way(mount, below)] == [b"7", b"x"]
    assert record.mint(mount, ROOT, [(b"7", Kind.FILE)])[b"7"] != first[b"7"]
    with pytest.raises(Stale):
        record.way(mount, below)
    assert record.find(mount, below) is None
    assert len(record.children(mount, ROOT)) == 5_001


def test_a_handle_follows_its_file_to_another_directory(record: Record, mount: int) -> None:
    top = record.mint(mount, ROOT, [(b"from", Kind.DIRECTORY), (b"to", Kind.DIRECTORY)])
    file = record.mint(mount, top[b"from"], [(b"f", Kind.FILE)])[b"f"]
    old = record.mint(mount, top[b"to"], [(b"g", Kind.FILE)])[b"g"]
    assert record.way(mount, file) == [(top[b"from"], b"from"), (file, b"f")]
    assert record.way(mount, old) == [(top[b"to"], b"to"), (old, b"g")]
    record.move(mount, file, top[b"to"], b"g")
    with pytest.raises(Stale):
        record.way(mount, old)
    assert record.way(mount, file) == [(top[b"to"], b"to"), (file, b"g")]
    assert record.find(mount, old) is None
    record.move(mount, top[b"to"], top[b"from"], b"in")
    assert [name for _, name in record.way(mount, file)] == [b"from", b"in", b"g"]
    assert record.way(mount, ROOT) == []


def test_what_lies_below_a_directory_goes_with_it(record: Record, mount: int) -> None:
    top = record.mint(mount, ROOT, [(b"d", Kind.DIRECTORY)])[b"d"]
    inner = record.mint(mount, top, [(b"e", Kind.DIRECTORY)])[b"e"]
    file = record.mint(mount, inner, [(b"f", Kind.FILE)])[b"f"]
    record.drop(mount, [(top, ROOT, b"another name")])
    assert record.find(mount, file) is not None
    assert [name for _, name in record.way(mount, file)] == [b"d", b"e", b"f"]
    record.drop(mount, [(top, ROOT, b"d")])
    assert record.find(mount, file) is None
    with pytest.raises(Stale):
        record.way(mount, file)
    with pytest.raises(Stale):
        record.move(mount, file, ROOT, b"f")


def test_times_that_were_told_and_exclusive_creations_are_kept(record: Record, mount: int) -> None:
    file = record.mint(mount, ROOT, [(b"a", Kind.FILE)], exclusive=b"verifier")[b"a"]
    record.claim(mount, [Claim(file, 1_000_000_007, 2_000_000_009, 3, None)])
    row = record.find(mount, file)
    assert row is not None
    assert row.exclusive == b"verifier"
    assert row[5:9] == (1_000_000_007, 2_000_000_009, 3, None)


def test_nobody_else_may_read_the_passwords(path: Path, record: Record) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_record_of_a_later_version_is_refused(path: Path, record: Record) -> None:
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    db.commit()
    db.close()
    with pytest.raises(ConfigError, match="version 99"):
        Record(path)


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(b"something else entirely, and long enough to be looked at")
    with pytest.raises(ConfigError, match=r"record\.db"):
        Record(path)


def test_a_password_that_is_forgotten_is_nowhere_in_the_state(path: Path, record: Record) -> None:
    for number in range(50):
        record.mount(b"host:ann:another-%d" % number)
    mount = record.mount(b"host:ann:wind and tide")
    record.mint(mount, ROOT, [(b"secret-plans-%d" % number, Kind.FILE) for number in range(500)])
    assert any(b"wind and tide" in file.read_bytes() for file in path.parent.iterdir())
    record.forget(mount)
    for file in path.parent.iterdir():
        assert b"wind and tide" not in file.read_bytes(), file
        assert b"secret-plans-3" not in file.read_bytes(), file
    record.close()
    assert b"wind and tide" not in path.read_bytes()


def test_the_record_of_an_older_gateway_is_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript(VERSION_1)
    db.close()
    record = Record(path)
    assert record.key == bytes(32)
    assert record.mounts() == {7: (b"told", True)}
    row = record.find(7, 4)
    assert row is not None
    assert (row.name, row.told_ns, row.renamed_ns) == (b"a", 5, None)
    record.move(7, 4, ROOT, b"b")
    row = record.find(7, 4)
    assert row is not None
    assert row.renamed_ns
    record.hold(7, held=False)
    assert record.mounts() == {7: (b"told", False)}
    record.close()


VERSION_1 = """
    CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE mount(
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, told BLOB NOT NULL UNIQUE,
        home BLOB, owner BLOB, born_ns INTEGER NOT NULL, next INTEGER NOT NULL
    );
    CREATE TABLE file(
        mount INTEGER NOT NULL REFERENCES mount(id), id INTEGER NOT NULL, parent INTEGER NOT NULL,
        name BLOB NOT NULL, kind INTEGER NOT NULL, exclusive BLOB,
        told_ns INTEGER, changed_ns INTEGER, seen_size INTEGER, seen_ns INTEGER,
        PRIMARY KEY(mount, id), UNIQUE(mount, parent, name)
    ) WITHOUT ROWID;
    INSERT INTO meta VALUES('schema', 1), ('key', zeroblob(32));
    INSERT INTO mount VALUES(7, CAST('told' AS BLOB), NULL, NULL, 1, 5);
    INSERT INTO file VALUES(7, 4, 3, CAST('a' AS BLOB), 1, NULL, 5, 6, 7, 8);
"""
