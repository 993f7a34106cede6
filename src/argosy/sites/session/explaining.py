"""Why a site said no, found out by looking: for the codes that stand for nearly everything, as 550 does."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from argosy import errors
from argosy.sites.model import Facts, Kind


class Looking(Protocol):
    """What has to be asked."""

    def facts(self, path: bytes) -> Facts:
        """Tell of one file or directory; NotFound."""

    def list(self, path: bytes) -> Sequence[Facts]:
        """Tell all that is in a directory."""


def explain(client: Looking, verb: str, path: bytes) -> errors.Refused | None:
    """Say what is wrong with what a verb wanted; None: all is well, so it must be a matter of rights.

    Raises:
        Refused: It can't be looked at.
    """
    return _EXPLANATIONS.get(verb, _reading)(client, path)


def _found(client: Looking, path: bytes) -> Facts | None:
    try:
        return client.facts(path)
    except errors.NotFound:
        return None


def _reading(client: Looking, path: bytes) -> errors.Refused | None:
    found = _found(client, path)
    if found is None:
        return errors.NotFound(path)
    return errors.IsADirectory(path) if found.kind is Kind.DIRECTORY else None


def _changing(client: Looking, path: bytes) -> errors.Refused | None:
    return errors.NotFound(path) if _found(client, path) is None else None


def _listing(client: Looking, path: bytes) -> errors.Refused | None:
    found = _found(client, path)
    if found is None:
        return errors.NotFound(path)
    return None if found.kind is Kind.DIRECTORY else errors.NotADirectory(path)


def _removal(client: Looking, path: bytes) -> errors.Refused | None:
    found = _found(client, path)
    if found is None:
        return errors.NotFound(path)
    if found.kind is not Kind.DIRECTORY:
        return errors.NotADirectory(path)
    return errors.NotEmpty(path) if client.list(path) else None


def _making(client: Looking, path: bytes) -> errors.Refused | None:
    if _found(client, path) is not None:
        return errors.Exists(path)
    return _parent(client, path)


def _storing(client: Looking, path: bytes) -> errors.Refused | None:
    found = _found(client, path)
    if found is None:
        return _parent(client, path)
    return errors.IsADirectory(path) if found.kind is Kind.DIRECTORY else None


def _renaming(client: Looking, path: bytes) -> errors.Refused | None:
    if _found(client, path) is not None:
        return errors.Exists(path)
    return _parent(client, path)


def _parent(client: Looking, path: bytes) -> errors.Refused | None:
    parent = posixpath.dirname(path)
    found = _found(client, parent)
    if found is None:
        return errors.NotFound(parent)
    return None if found.kind is Kind.DIRECTORY else errors.NotADirectory(parent)


_EXPLANATIONS: Mapping[str, Callable[[Looking, bytes], errors.Refused | None]] = {
    "RETR": _reading,
    "DELE": _reading,
    "RNFR": _changing,
    "SITE": _changing,
    "CWD": _listing,
    "LIST": _listing,
    "MLSD": _listing,
    "RMD": _removal,
    "MKD": _making,
    "STOR": _storing,
    "APPE": _storing,
    "RNTO": _renaming,
}
