"""Copies that were found under one path, once their contents have been read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from argosy.catalogue import merge, steps
from argosy.catalogue.keeping import Wants
from argosy.catalogue.model import Found, Standing, State
from argosy.catalogue.store import jobs, replicas
from argosy.catalogue.store.merging import Page


def compared(
    db: sqlite3.Connection,
    file: int,
    digests: Mapping[int, tuple[int | None, bytes]],
    *,
    ver: int | None,
    mint: Callable[[], int],
    now_ns: int,
    wants: Wants | None = None,
) -> str | None:
    """Draw the conclusion from a comparison of a file's copies; give the path of one kept aside."""
    row = db.execute("SELECT ver, parent, name, digest FROM ent WHERE id = ?", (file,)).fetchone()
    if row is None or (ver and ver != row[0]):
        return None
    ver, parent, name, digest = row
    copies = [copy for copy in replicas.of(db, file) if copy.volume in digests]
    good = [digests[copy.volume] for copy in copies if copy.standing is Standing.GOOD]
    if not good:
        return None
    crc32, digest = next((sums for sums in good if sums[1] == digest), good[0])
    db.execute(
        "UPDATE ent SET crc32 = coalesce(crc32, ?), digest = ? WHERE id = ? AND digest IS NULL",
        (crc32, digest, file),
    )
    aside = None
    for copy in copies:
        if copy.standing is Standing.GOOD:
            continue
        if digests[copy.volume][1] == digest:
            db.execute(
                "UPDATE replica SET standing = 0, ver = ? WHERE file = ? AND volume = ?",
                (ver, file, copy.volume),
            )
            replicas.owe(db, file, directory=False, now_ns=now_ns)
            continue
        page = Page(db, copy.volume, mint=mint, now_ns=now_ns, wants=wants)
        found = Found(copy.loc, copy.size, copy.mtime_ns, 0, *digests[copy.volume])
        free = merge.aside_name(page, parent, name)
        apart = (steps.Drop(file), steps.Create(parent, free, State.CONFLICT, found))
        page.carry_out(iter(apart))
        aside = page.report.conflicts[0]
    jobs.note(db, [file], wants, now_ns)
    return aside
