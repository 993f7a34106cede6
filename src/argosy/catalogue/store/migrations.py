"""The steps by which a database of an older version becomes one of this: each from one version to the next.

A step is written once and never changed, and so it speaks of the tables as they were then, by SQL of its
own. All that are due run in the one transaction in which the database is opened.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Mapping

Step = Callable[[sqlite3.Connection], None]


def _users_with_settings(db: sqlite3.Connection) -> None:
    """Version 2: users have groups, and settings as JSON; groups are new."""
    db.execute(
        "CREATE TABLE account(name TEXT NOT NULL PRIMARY KEY, password TEXT NOT NULL,"
        " admin SMALLINT NOT NULL, groups TEXT NOT NULL, settings TEXT NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE account_group(name TEXT NOT NULL PRIMARY KEY, settings TEXT NOT NULL) WITHOUT ROWID"
    )
    db.execute("INSERT INTO meta(key, value) VALUES('accounts', 0)")
    reading = ["list", "read"]
    writing = ["append", "delete", "mkdir", "overwrite", "rename", "rmdir", "write"]
    rows = db.execute("SELECT name, password, home, admin, may_write, may_fxp FROM users").fetchall()
    for name, password, home, admin, may_write, may_fxp in rows:
        settings: dict[str, object] = {}
        if home != b"/":
            settings["home"] = base64.b64encode(home).decode()
        if not may_write or may_fxp:
            rights = reading + (writing if may_write else []) + (["fxp"] if may_fxp else [])
            settings["grants"] = [{"path": base64.b64encode(b"/").decode(), "rights": sorted(rights)}]
        db.execute(
            "INSERT INTO account(name, password, admin, groups, settings) VALUES(?, ?, ?, '[]', ?)",
            (name, password, admin, json.dumps(settings)),
        )
    db.execute("DROP TABLE users")


def _links_and_torn_files(db: sqlite3.Connection) -> None:
    """Version 3: entries can be symbolic links, and a cut replacement is remembered."""
    db.execute("ALTER TABLE ent ADD COLUMN target BLOB")
    db.execute(
        "CREATE TABLE torn(file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE)"
        " WITHOUT ROWID"
    )


def _an_index_of_directories(db: sqlite3.Connection) -> None:
    """Version 4: a search finds the directories below another without going through their files."""
    db.execute("CREATE INDEX ent_folder ON ent(parent) WHERE kind = 0")


def _rules_and_jobs(db: sqlite3.Connection) -> None:
    """Version 5: directories have rules, files are looked at for their copies, volumes are away or lost."""
    db.execute("ALTER TABLE volume ADD COLUMN away_ns BIGINT")
    db.execute("ALTER TABLE volume ADD COLUMN standing SMALLINT NOT NULL DEFAULT 0")
    db.execute(
        "CREATE TABLE rule(dir BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " settings TEXT NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE job(file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " danger SMALLINT NOT NULL, bytes BIGINT NOT NULL, due_ns BIGINT NOT NULL, tries INTEGER NOT NULL,"
        " why TEXT NOT NULL) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX job_danger ON job(danger, due_ns)")
    db.execute(
        "CREATE TABLE sweep(dir BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " asked_ns BIGINT NOT NULL) WITHOUT ROWID"
    )


def _company_for_uploads(db: sqlite3.Connection) -> None:
    """Several volumes take an upload."""
    db.execute(
        "CREATE TABLE companion(upload BIGINT NOT NULL REFERENCES upload(id) ON DELETE CASCADE,"
        " volume INTEGER NOT NULL, node TEXT NOT NULL, epoch BIGINT NOT NULL, received BIGINT NOT NULL,"
        " PRIMARY KEY(upload, volume)) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX companion_volume ON companion(volume)")


def _a_trash(db: sqlite3.Connection) -> None:
    """What is deleted or overwritten can be kept for a while."""
    db.execute("ALTER TABLE tomb ADD COLUMN keep SMALLINT NOT NULL DEFAULT 1")
    db.execute(
        "CREATE TABLE trash(file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " path BLOB NOT NULL, gone_ns BIGINT NOT NULL, until_ns BIGINT NOT NULL, usr TEXT NOT NULL,"
        " why SMALLINT NOT NULL) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX trash_path ON trash(path)")
    db.execute("CREATE INDEX trash_until ON trash(until_ns)")
    db.execute("CREATE INDEX trash_gone ON trash(gone_ns)")
    db.execute(
        "INSERT INTO ent(id, parent, name, kind, state, ver, size, mtime_ns, created_ns, owner, grp, mode)"
        " SELECT 2, 2, x'', 0, 4, 0, 0, mtime_ns, created_ns, 'argosy', 'argosy', 448 FROM ent WHERE id = 1"
    )


def _errands(db: sqlite3.Connection) -> None:
    """Long jobs of the administrator are kept."""
    db.execute(
        "CREATE TABLE errand(name TEXT NOT NULL PRIMARY KEY, begun_ns BIGINT NOT NULL, files BIGINT NOT NULL,"
        " bytes BIGINT NOT NULL, settings TEXT NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE shift(file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " source INTEGER NOT NULL, target INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE expiry(file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " ver BIGINT NOT NULL, noted_ns BIGINT NOT NULL) WITHOUT ROWID"
    )


def _stale_disks(db: sqlite3.Connection) -> None:
    """Disks remember their attachments, so that an old state of one is known as such."""
    db.execute("ALTER TABLE ent ADD COLUMN named_ns BIGINT NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE volume ADD COLUMN generation BIGINT NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE volume ADD COLUMN pending BIGINT NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE volume ADD COLUMN doubt SMALLINT NOT NULL DEFAULT 0")
    db.execute("CREATE TABLE lapse(after BIGINT NOT NULL PRIMARY KEY, upto BIGINT NOT NULL) WITHOUT ROWID")
    db.execute(
        "CREATE TABLE matter(topic TEXT NOT NULL PRIMARY KEY, first_ns BIGINT NOT NULL,"
        " last_ns BIGINT NOT NULL, times BIGINT NOT NULL, sentence TEXT NOT NULL) WITHOUT ROWID"
    )


def _findings(db: sqlite3.Connection) -> None:
    """What was found of copies is kept, and deletions that are refused are put off."""
    db.execute("ALTER TABLE tomb ADD COLUMN finding BIGINT NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE tomb ADD COLUMN tries INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "CREATE TABLE finding(id INTEGER NOT NULL PRIMARY KEY, found_ns BIGINT NOT NULL, node TEXT NOT NULL,"
        " volume INTEGER NOT NULL, loc BLOB NOT NULL, path BLOB NOT NULL, file BIGINT NOT NULL,"
        " ver BIGINT NOT NULL, size BIGINT NOT NULL, cause TEXT NOT NULL, trouble TEXT NOT NULL,"
        " wanted_crc32 BIGINT, wanted_digest BLOB, found_crc32 BIGINT, found_digest BLOB,"
        " became SMALLINT NOT NULL, became_ns BIGINT NOT NULL)"
    )
    db.execute("CREATE INDEX finding_open ON finding(file, volume) WHERE became < 3")


def _proof_and_moves(db: sqlite3.Connection) -> None:
    """Version 6: uploads have company, and what the administrator has ordered is kept."""
    for change in (_company_for_uploads, _errands, _stale_disks, _findings, _a_trash):
        change(db)


def _lists_of_checksums(db: sqlite3.Connection) -> None:
    """Version 7: lists of checksums are kept as they were read."""
    db.execute(
        "CREATE TABLE sumlist(file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,"
        " ver BIGINT NOT NULL, dir BIGINT NOT NULL, content BLOB NOT NULL) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX sumlist_dir ON sumlist(dir)")


STEPS: Mapping[int, Step] = {
    2: _users_with_settings,
    3: _links_and_torn_files,
    4: _an_index_of_directories,
    5: _rules_and_jobs,
    6: _proof_and_moves,
    7: _lists_of_checksums,
}
"""By the version that a step leads to."""
