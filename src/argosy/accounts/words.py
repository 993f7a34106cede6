"""Settings as people write and read them: one table for the command line and for SITE. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from argosy import errors
from argosy.accounts import masks, rules
from argosy.catalogue.people import EVERYTHING, LOOKING, NOTHING, USUAL, Grant, Right, Rights, Settings, parts

SECOND_NS = 1_000_000_000

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?(?:/s)?", re.IGNORECASE)
_SPAN = re.compile(r"\+?(\d+)\s*(d|h|min|s)")
_SPANS = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds"}
_TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_BUNDLES: Mapping[str, Rights] = {
    "all": EVERYTHING,
    "usual": USUAL,
    "look": LOOKING,
    "none": NOTHING,
}
"""Rights by the handful."""


@dataclass(frozen=True, slots=True)
class Word:
    """How one setting is written, and what it is."""

    parse: Callable[[str, int], Any]
    """From the text and the time now, in nanoseconds."""
    show: Callable[[Any], str]
    form: str
    """What to write, for a help text."""
    about: str


def change(settings: Settings, key: str, text: str, *, now_ns: int) -> Settings:
    """Give settings with one of them changed.

    Args:
        settings: What was.
        key: One of `WORDS`.
        text: As people write it; empty: inherited again.
        now_ns: The time, for `expires=30d`.

    Raises:
        BadArgument: No such setting, or not a value for it.
    """
    key = key.replace("-", "_").lower()
    if key not in WORDS:
        raise errors.BadArgument(f"no setting is called {key}; there are: {', '.join(WORDS)}")
    try:
        value = WORDS[key].parse(text.strip(), now_ns) if text.strip() else None
    except (ValueError, OverflowError) as error:
        raise errors.BadArgument(f"{key}: want {WORDS[key].form}, got {text}") from error
    return rules.check(msgspec.structs.replace(settings, **{_FIELDS.get(key, key): value}))


def shown(settings: Settings) -> dict[str, str]:
    """Give what is set, as people write it, in the order of `WORDS`."""
    values = {key: getattr(settings, _FIELDS.get(key, key)) for key in WORDS}
    return {key: WORDS[key].show(value) for key, value in values.items() if value is not None}


def grant(settings: Settings, path: bytes, rights: Rights | None) -> Settings:
    """Give settings with a grant at a path, in place of one that is there; None: with none there.

    Raises:
        BadArgument: A path that isn't absolute, or that has no grant to be revoked.
    """
    there = parts(path)
    left = tuple(one for one in settings.grants if parts(one.path) != there)
    if rights is None:
        if len(left) == len(settings.grants):
            raise errors.BadArgument(f"nothing is granted at {_show_home(path)}")
        return msgspec.structs.replace(settings, grants=left)
    added = Grant(b"/" + b"/".join(there) if path.startswith(b"/") else path, rights)
    return rules.check(msgspec.structs.replace(settings, grants=(*left, added)))


def parse_rights(text: str) -> Rights:
    """Read rights: names with commas between, of `Right` or of a handful (`all`, `usual`, `look`, `none`).

    A name with `-` before it takes away: `usual,-delete`.

    Raises:
        BadArgument: Something else is in it.
    """
    rights: Rights = NOTHING
    for word in re.split(r"[,\s]+", text.strip().lower()):
        name = word.removeprefix("-")
        try:
            meant = _BUNDLES[name] if name in _BUNDLES else frozenset({Right(name)})
        except ValueError as error:
            known = ", ".join([*_BUNDLES, *Right])
            raise errors.BadArgument(f"no right is called {name!r}; there are: {known}") from error
        rights = rights - meant if word.startswith("-") else rights | meant
    return rights


def show_rights(rights: Rights) -> str:
    """Write rights so that `parse_rights` reads them."""
    for name, bundle in _BUNDLES.items():
        if rights == bundle:
            return name
    return ",".join(right for right in Right if right in rights)


def show_size(count: int) -> str:
    """Write a size in the largest unit that doesn't round."""
    for unit in reversed(_UNITS):
        if count and count % _UNITS[unit] == 0:
            return f"{count // _UNITS[unit]}{unit.upper()}"
    return str(count)


def _size(text: str, now_ns: int) -> int:
    del now_ns
    if text.lower() == "unlimited":
        return 0
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    number, unit = match[1], _UNITS[match[2].lower()]
    return int(float(number) * unit) if "." in number else int(number) * unit


def _count(text: str, now_ns: int) -> int:
    del now_ns
    if text.lower() == "unlimited":
        return 0
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


def _seconds(text: str, now_ns: int) -> float:
    del now_ns
    if match := _SPAN.fullmatch(text):
        return timedelta(**{_SPANS[match[2]]: int(match[1])}).total_seconds()
    return float(text)


def _yes(text: str, now_ns: int) -> bool:
    del now_ns
    if text.lower() not in _TRUTHS:
        raise ValueError(text)
    return _TRUTHS[text.lower()]


def _show_yes(value: bool) -> str:
    return "yes" if value else "no"


def _text(text: str, now_ns: int) -> str:
    del now_ns
    return text


def _home(text: str, now_ns: int) -> bytes:
    del now_ns
    return text.encode(errors="surrogateescape")


def _masks(text: str, now_ns: int) -> tuple[str, ...]:
    del now_ns
    return tuple(dict.fromkeys(network for word in text.split(",") for network in masks.parse(word)))


def _time(text: str, now_ns: int) -> int:
    if text.lower() == "never":
        return 0
    if match := _SPAN.fullmatch(text):
        return now_ns + int(timedelta(**{_SPANS[match[2]]: int(match[1])}).total_seconds()) * SECOND_NS
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * SECOND_NS


def _show_time(at_ns: int) -> str:
    if not at_ns:
        return "never"
    return datetime.fromtimestamp(at_ns // SECOND_NS, UTC).isoformat().replace("+00:00", "Z")


def _show_home(home: bytes) -> str:
    return home.decode(errors="surrogateescape")


_SIZES = "bytes, as 500M or 2T; 0: no limit"
_COUNTS = "a number; 0: no limit"

WORDS: Mapping[str, Word] = {
    "home": Word(_home, _show_home, "an absolute path", "where a login begins"),
    "sessions": Word(_count, str, _COUNTS, "logins at once"),
    "uploads": Word(_count, str, _COUNTS, "uploads at once"),
    "downloads": Word(_count, str, _COUNTS, "downloads at once"),
    "up_rate": Word(_size, show_size, _SIZES, "bytes per second of all uploads of a user together"),
    "down_rate": Word(_size, show_size, _SIZES, "bytes per second of all downloads of a user together"),
    "quota_bytes": Word(_size, show_size, _SIZES, "what a user's files may come to"),
    "quota_files": Word(_count, str, _COUNTS, "how many files a user may own"),
    "masks": Word(_masks, ",".join, "networks, with commas", "where logins may come from"),
    "expires": Word(_time, _show_time, "2027-01-31, a span as 30d, or never", "when logins end"),
    "idle_seconds": Word(
        _seconds, str, "seconds, or a span as 10min", "hang up after so long without a command"
    ),
    "welcome": Word(_text, str, "text", "said after the login"),
    "require_tls": Word(_yes, _show_yes, "yes or no", "no login without TLS"),
    "locked": Word(_yes, _show_yes, "yes or no", "no login at all"),
    "note": Word(_text, str, "text", "for administrators"),
    "total_bytes": Word(_size, show_size, _SIZES, "of a group: what its files may come to"),
    "total_files": Word(_count, str, _COUNTS, "of a group: how many files it may have"),
}
"""Every setting but the grants. A test says that each field of `Settings` has its word."""

_FIELDS: Mapping[str, str] = {
    "up_rate": "up_bytes_per_second",
    "down_rate": "down_bytes_per_second",
    "expires": "expires_ns",
}
"""The fields that go by another word."""
