"""Copies that were found under one path, once their contents have been read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from argosy.catalogue import merge, steps
from argosy.catalogue.keeping import Wants
from argosy.catalogue.model import Found, Standing, State
from argosy.catalogue.proof import Observed
from argosy.catalogue.store import findings, jobs, replicas
from argosy.catalogue.store.merging import Page


def compared(
    db: sqlite3.Connection,
    file: int,
    seen: Mapping[int, Observed],
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
    copies = [copy for copy in replicas.of(db, file) if copy.volume in seen]
    claiming = [seen[copy.volume] for copy in copies if copy.ver == ver]
    findings.judge(db, claiming, "compared", mint=mint, now_ns=now_ns, wants=wants)
    if digest is None:
        (digest,) = db.execute("SELECT digest FROM ent WHERE id = ?", (file,)).fetchone()
    strangers = [copy for copy in copies if copy.standing is Standing.SUSPECT and copy.ver != ver]
    aside = None
    for copy in strangers:
        sums = seen[copy.volume]
        if digest is None or sums.digest is None:
            continue
        if sums.digest == digest:
            db.execute(
                "UPDATE replica SET standing = 0, ver = ? WHERE file = ? AND volume = ?",
                (ver, file, copy.volume),
            )
            replicas.owe(db, file, directory=False, now_ns=now_ns)
            continue
        page = Page(db, copy.volume, mint=mint, now_ns=now_ns, wants=wants)
        found = Found(copy.loc, copy.size, copy.mtime_ns, 0, sums.crc32, sums.digest)
        free = merge.aside_name(page, parent, name)
        apart = (steps.Drop(file), steps.Create(parent, free, State.CONFLICT, found))
        page.carry_out(iter(apart))
        aside = page.report.conflicts[0]
    jobs.note(db, [file], wants, now_ns)
    return aside
