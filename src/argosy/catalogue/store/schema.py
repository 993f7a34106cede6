"""The tables. Only what SQLite and PostgreSQL both take, so that another engine can follow.

Ids are minted by the catalogue. Names and locs are bytes and sort as `memcmp` does. Times are nanoseconds
since 1970. The root directory is its own parent and has the only empty name.
"""

from __future__ import annotations

import sqlite3

from argosy.catalogue.model import ROOT_ID, TRASH_ID
from argosy.catalogue.store.migrations import STEPS
from argosy.errors import ConfigError

VERSION = 7
"""What `meta.schema` says. A database of a later version is refused, an older one goes up the steps."""

TABLES = (
    """CREATE TABLE meta(
        key TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL
    ) WITHOUT ROWID""",
    # kind: 0 directory, 1 file, 2 link. state: 0 live, 1 uploading, 2 partial, 3 conflict, 4 trashed.
    # named_ns: when it got its name, where it was renamed, or a node told of it; else 0.
    """CREATE TABLE ent(
        id INTEGER NOT NULL PRIMARY KEY, parent BIGINT NOT NULL REFERENCES ent(id), name BLOB NOT NULL,
        kind SMALLINT NOT NULL, state SMALLINT NOT NULL, ver BIGINT NOT NULL, size BIGINT NOT NULL,
        mtime_ns BIGINT NOT NULL, created_ns BIGINT NOT NULL, owner TEXT NOT NULL, grp TEXT NOT NULL,
        mode INTEGER NOT NULL, crc32 BIGINT, digest BLOB, target BLOB,
        named_ns BIGINT NOT NULL DEFAULT 0,
        UNIQUE(parent, name)
    )""",
    "CREATE INDEX ent_ver ON ent(ver) WHERE ver <> 0",
    "CREATE INDEX ent_state ON ent(state) WHERE state <> 0",
    "CREATE INDEX ent_folder ON ent(parent) WHERE kind = 0",
    """CREATE TABLE node(
        name TEXT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, boot TEXT NOT NULL,
        revoked SMALLINT NOT NULL, seen_ns BIGINT NOT NULL
    ) WITHOUT ROWID""",
    # away_ns: since when no link reaches it; NULL: it is here.
    # standing: 0 member, 1 draining, 2 lost, 3 removed.
    # generation: which attachment the disk has last remembered; pending: which it was told to remember.
    # doubt: until its whole list is merged. 0 none, 1 the disk knows more than we, 2 it is an old state.
    """CREATE TABLE volume(
        number INTEGER NOT NULL PRIMARY KEY, store_id TEXT NOT NULL UNIQUE, node TEXT NOT NULL,
        acked BIGINT NOT NULL, away_ns BIGINT, standing SMALLINT NOT NULL DEFAULT 0,
        generation BIGINT NOT NULL DEFAULT 0, pending BIGINT NOT NULL DEFAULT 0,
        doubt SMALLINT NOT NULL DEFAULT 0
    )""",
    # standing: 0 good, 1 suspect, 2 bad. listed: 0 until the volume's own list has shown the file at this
    # loc; a list that was read before can't make it vanish. Clustered by loc, the order in which lists come.
    """CREATE TABLE replica(
        volume INTEGER NOT NULL REFERENCES volume(number), loc BLOB NOT NULL,
        file BIGINT NOT NULL REFERENCES ent(id), ver BIGINT NOT NULL, standing SMALLINT NOT NULL,
        size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, listed SMALLINT NOT NULL,
        PRIMARY KEY(volume, loc)
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX replica_file ON replica(file, volume)",
    "CREATE INDEX replica_ver ON replica(ver) WHERE listed = 0",
    "CREATE INDEX replica_standing ON replica(file) WHERE standing <> 0",
    # finding: 0, or what was found of a bad copy: it is kept in the quarantine, not in the trash. tries: how
    # often the node refused it. keep: 0: it was in the site's trash, and the node needn't keep it in its own.
    """CREATE TABLE tomb(
        volume INTEGER NOT NULL REFERENCES volume(number), loc BLOB NOT NULL, ver BIGINT NOT NULL,
        size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, file BIGINT NOT NULL, due_ns BIGINT NOT NULL,
        finding BIGINT NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
        keep SMALLINT NOT NULL DEFAULT 1, PRIMARY KEY(volume, loc, ver)
    ) WITHOUT ROWID""",
    "CREATE INDEX tomb_ver ON tomb(volume, ver)",
    # state: 0 open, 1 partial. placeholder: the entry was made for this upload and goes with it.
    """CREATE TABLE upload(
        id BIGINT NOT NULL PRIMARY KEY, file BIGINT NOT NULL UNIQUE REFERENCES ent(id),
        placeholder SMALLINT NOT NULL, base_ver BIGINT NOT NULL, volume INTEGER NOT NULL,
        node TEXT NOT NULL, epoch BIGINT NOT NULL, usr TEXT NOT NULL, state SMALLINT NOT NULL,
        received BIGINT NOT NULL, started_ns BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX upload_volume ON upload(volume)",
    # Volumes that take an upload along with the first. received: bytes of the part, once it was cut;
    # -1: it may have some of an earlier try behind what is gone on with.
    """CREATE TABLE companion(
        upload BIGINT NOT NULL REFERENCES upload(id) ON DELETE CASCADE, volume INTEGER NOT NULL,
        node TEXT NOT NULL, epoch BIGINT NOT NULL, received BIGINT NOT NULL,
        PRIMARY KEY(upload, volume)
    ) WITHOUT ROWID""",
    "CREATE INDEX companion_volume ON companion(volume)",
    # Files whose replacement was cut: to go on with it would mix it with the old content, which stayed.
    """CREATE TABLE torn(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE
    ) WITHOUT ROWID""",
    # after: for a directory, the last child that has been looked at.
    """CREATE TABLE settle(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,
        directory SMALLINT NOT NULL, after BLOB NOT NULL, due_ns BIGINT NOT NULL, tries INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX settle_due ON settle(directory, due_ns)",
    # What was set at run time for a directory and all below it; JSON, so that a new field needs no step.
    """CREATE TABLE rule(
        dir BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE, settings TEXT NOT NULL
    ) WITHOUT ROWID""",
    # Files whose copies somebody should look at. danger: good copies left; fewer is sooner. why: what stands
    # in the way, if something does. What is to be done is found out when the job is taken.
    """CREATE TABLE job(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE, danger SMALLINT NOT NULL,
        bytes BIGINT NOT NULL, due_ns BIGINT NOT NULL, tries INTEGER NOT NULL, why TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX job_danger ON job(danger, due_ns)",
    # Directories below which every file is to be looked at: a rule was changed there, or it is time.
    """CREATE TABLE sweep(
        dir BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE, asked_ns BIGINT NOT NULL
    ) WITHOUT ROWID""",
    # Files of which a copy shall go from one volume to another, so that they are filled alike.
    """CREATE TABLE shift(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,
        source INTEGER NOT NULL, target INTEGER NOT NULL
    ) WITHOUT ROWID""",
    # Files that have outlived their retention, the version that has, and since when that is known.
    """CREATE TABLE expiry(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE,
        ver BIGINT NOT NULL, noted_ns BIGINT NOT NULL
    ) WITHOUT ROWID""",
    # What the administrator has ordered and that takes long. files, bytes: to be done when it began.
    """CREATE TABLE errand(
        name TEXT NOT NULL PRIMARY KEY, begun_ns BIGINT NOT NULL, files BIGINT NOT NULL,
        bytes BIGINT NOT NULL, settings TEXT NOT NULL
    ) WITHOUT ROWID""",
    # Copies whose bytes weren't what they should be, or couldn't be read. path: as it was then. cause: where
    # that turned up. trouble: empty, "missing" or "unreadable". became: 0 found, 1 owed, 2 quarantined,
    # 3 purged, 4 gone, 5 healed, 6 overtaken. file may be gone since.
    """CREATE TABLE finding(
        id INTEGER NOT NULL PRIMARY KEY, found_ns BIGINT NOT NULL, node TEXT NOT NULL,
        volume INTEGER NOT NULL, loc BLOB NOT NULL, path BLOB NOT NULL, file BIGINT NOT NULL,
        ver BIGINT NOT NULL, size BIGINT NOT NULL, cause TEXT NOT NULL, trouble TEXT NOT NULL,
        wanted_crc32 BIGINT, wanted_digest BLOB, found_crc32 BIGINT, found_digest BLOB,
        became SMALLINT NOT NULL, became_ns BIGINT NOT NULL
    )""",
    "CREATE INDEX finding_open ON finding(file, volume) WHERE became < 3",
    # What was deleted or overwritten and is kept, and where it was, its components joined by slashes. Its
    # entry is a child of the trash's directory. why: 0 deleted, 1 overwritten, 2 replaced by a rename, 3 too
    # old.
    """CREATE TABLE trash(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE, path BLOB NOT NULL,
        gone_ns BIGINT NOT NULL, until_ns BIGINT NOT NULL, usr TEXT NOT NULL, why SMALLINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX trash_path ON trash(path)",
    "CREATE INDEX trash_until ON trash(until_ns)",
    "CREATE INDEX trash_gone ON trash(gone_ns)",
    # Lists of checksums that were read. It counts while the file has this version and lies in this directory.
    """CREATE TABLE sumlist(
        file BIGINT NOT NULL PRIMARY KEY REFERENCES ent(id) ON DELETE CASCADE, ver BIGINT NOT NULL,
        dir BIGINT NOT NULL, content BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX sumlist_dir ON sumlist(dir)",
    """CREATE TABLE token(
        id TEXT NOT NULL PRIMARY KEY, secret BLOB NOT NULL, expires_ns BIGINT NOT NULL,
        used SMALLINT NOT NULL
    ) WITHOUT ROWID""",
    # Spans of ids, after < id <= upto, of which another state of this record may have minted some.
    """CREATE TABLE lapse(
        after BIGINT NOT NULL PRIMARY KEY, upto BIGINT NOT NULL
    ) WITHOUT ROWID""",
    # What the administrator should know of. topic: each is told once, and counted.
    """CREATE TABLE matter(
        topic TEXT NOT NULL PRIMARY KEY, first_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL,
        times BIGINT NOT NULL, sentence TEXT NOT NULL
    ) WITHOUT ROWID""",
    # groups and settings: JSON, so that a new setting needs no step.
    """CREATE TABLE account(
        name TEXT NOT NULL PRIMARY KEY, password TEXT NOT NULL, admin SMALLINT NOT NULL,
        groups TEXT NOT NULL, settings TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE account_group(
        name TEXT NOT NULL PRIMARY KEY, settings TEXT NOT NULL
    ) WITHOUT ROWID""",
)


def lay(db: sqlite3.Connection, now_ns: int) -> None:
    """Make the tables in an empty database; bring one of an older version up to this.

    Runs inside a transaction.

    Raises:
        ConfigError: The database is of a later version. The process ends.
    """
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        (version,) = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if version > VERSION:
            raise ConfigError(f"the catalogue is of version {version}, this program knows {VERSION}")
        for number in range(version + 1, VERSION + 1):
            STEPS[number](db)
        if version < VERSION:
            db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (VERSION,))
        return
    for table in TABLES:
        db.execute(table)
    db.execute("INSERT INTO meta(key, value) VALUES('schema', ?), ('accounts', 0)", (VERSION,))
    db.execute(
        "INSERT INTO ent(id, parent, name, kind, state, ver, size, mtime_ns, created_ns, owner, grp, mode)"
        " VALUES(?, ?, x'', 0, 0, 0, 0, ?, ?, 'argosy', 'argosy', 493)",
        (ROOT_ID, ROOT_ID, now_ns, now_ns),
    )
    db.execute(
        "INSERT INTO ent(id, parent, name, kind, state, ver, size, mtime_ns, created_ns, owner, grp, mode)"
        " VALUES(?, ?, x'', 0, 4, 0, 0, ?, ?, 'argosy', 'argosy', 448)",
        (TRASH_ID, TRASH_ID, now_ns, now_ns),
    )
