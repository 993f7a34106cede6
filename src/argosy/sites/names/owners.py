"""Numbers of the users and groups of this machine, for the names that a site's listings have."""

from __future__ import annotations

import contextlib
import grp
import pwd


def find_uid(name: bytes) -> int | None:
    """Find a user's number; None: nobody is called so here."""
    with contextlib.suppress(KeyError, UnicodeDecodeError, ValueError):
        return pwd.getpwnam(name.decode()).pw_uid
    return None


def find_gid(name: bytes) -> int | None:
    """Find a group's number; None: none is called so here."""
    with contextlib.suppress(KeyError, UnicodeDecodeError, ValueError):
        return grp.getgrnam(name.decode()).gr_gid
    return None
