"""How the verbs are written that no RFC has, or that sites have in several forms. Pure."""

from __future__ import annotations

from argosy.sites.session.dialect import Dialect, TimeSetting
from argosy.wire.ftp import times

Words = tuple[str | bytes, ...]
"""A command: the verb, and what follows it, each after a blank."""


def setting_time(way: TimeSetting, path: bytes, ns: int) -> Words:
    """Give the command that sets a file's time of modification."""
    when = times.format_time(ns)
    if way is TimeSetting.UTIME_LONG:
        return "SITE UTIME", path, when, when, when, "UTC"
    return way.value, when, path


def ways_to_set_time(dialect: Dialect) -> list[TimeSetting]:
    """Give the ways to try, by what the site said of itself."""
    if dialect.has("MFMT"):
        return [TimeSetting.MFMT]
    if dialect.features is not None and dialect.features.site("UTIME"):
        return [TimeSetting.UTIME, TimeSetting.UTIME_LONG, TimeSetting.MDTM]
    return [TimeSetting.MDTM, TimeSetting.UTIME, TimeSetting.UTIME_LONG]


def setting_mode(path: bytes, mode: int) -> Words:
    """Give the command that sets a file's permission bits."""
    return "SITE CHMOD", f"{mode & 0o7777:03o}", path


def quoted(path: bytes) -> bytes:
    """Write a path that another one follows."""
    return b'"' + path.replace(b'"', b'""') + b'"' if b" " in path else path
