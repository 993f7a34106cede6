"""How much lies where, and whose it is: for quotas."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from argosy.catalogue.model import TreePath
from argosy.catalogue.people import Usage, Use
from argosy.catalogue.store import tree

_BELOW = (
    "WITH RECURSIVE below(id) AS (VALUES(?) UNION ALL"
    " SELECT e.id FROM below b JOIN ent e ON e.parent = b.id"
    " WHERE e.kind = 0 AND e.id <> e.parent AND e.id NOT IN (SELECT value FROM json_each(?)))"
    " SELECT count(*), coalesce(sum(f.size), 0) FROM below b JOIN ent f ON f.parent = b.id"
    " WHERE f.kind = 1 AND f.state <> 1"
)
"""Files below a directory, but not below others; what is just arriving doesn't count yet."""


def usage(db: sqlite3.Connection, sections: Mapping[str, TreePath]) -> Usage:
    """Count files and bytes by owner and group, and by section; reads whole tables. The trash doesn't count.

    Args:
        db: One and the same state for all questions.
        sections: By name, where each begins. A file counts for the deepest one alone.
    """
    owned = {
        (owner, group): Use(files, size)
        for owner, group, files, size in db.execute(
            "SELECT owner, grp, count(*), sum(size) FROM ent WHERE kind = 1 AND state NOT IN (1, 4)"
            " GROUP BY owner, grp"
        )
    }
    roots = {name: entry.id for name, path in sections.items() if (entry := tree.lookup(db, path))}
    below = {}
    for name, root in roots.items():
        others = [other for other in roots.values() if other != root]
        row = db.execute(_BELOW, (root, f"[{','.join(map(str, others))}]")).fetchone()
        below[name] = Use(*row)
    return Usage(owned, below)
