"""What follows SITE FIND and SITE SEARCH, in DrFTPD's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from argosy import errors
from argosy.wire.ftp.arguments import SIZE_LIMIT

_WORD = re.compile(rb' *(?:"((?:[^"]|"")+)"|([^ ]+))')
_SIZE = re.compile(rb"(-?)(\d{1,18})([KMGT]?)", re.IGNORECASE)
_DAYS = re.compile(rb"(-?)(\d{1,5})")
_LIMIT = re.compile(rb"[1-9]\d{0,8}")
_POWERS = {b"": 0, b"K": 1, b"M": 2, b"G": 3, b"T": 4}


@dataclass(frozen=True, slots=True)
class Wish:
    """What SITE FIND looks for; what isn't said isn't asked for."""

    path: bytes = b""
    names: tuple[bytes, ...] = ()
    """Shell patterns."""
    any_case: tuple[bytes, ...] = ()
    """Shell patterns that don't look at the case of letters."""
    smallest: int | None = None
    largest: int | None = None
    within_days: int | None = None
    """Modified in these last days."""
    before_days: int | None = None
    """Modified earlier than that."""
    owner: str = ""
    group: str = ""
    node: str = ""
    kind: str = ""
    """`f`, `d` or `l`; empty: any."""
    limit: int = 0
    """Entries to be shown; 0: as many as may be."""


def words(argument: bytes) -> tuple[bytes, ...]:
    """Split at blanks; a word with a blank in it stands in quotes, doubled inside.

    Raises:
        BadArgument: A quote that isn't closed, or has something at its back. Answer 501.
    """
    found, at = [], 0
    argument = argument.rstrip(b" ")
    while at < len(argument):
        match = _WORD.match(argument, at)
        quoted = match is not None and match[1] is not None
        if match is None or (quoted and argument[match.end() : match.end() + 1].strip()):
            raise errors.BadArgument("a quote isn't closed")
        if not quoted and match[2].startswith(b'"'):
            raise errors.BadArgument("a quote isn't closed")
        found.append(match[1].replace(b'""', b'"') if quoted else match[2])
        at = match.end()
    return tuple(found)


def parse_find(argument: bytes) -> Wish:
    """Read `[path] -name * -iname * -size [-]n -mtime [-]n -user u -group g -slave s -type f|d|l -limit n`.

    `-size n` is at least so many bytes, `-size -n` at the most, with K, M, G or T behind it; `-mtime n` is
    modified before the last n days, `-mtime -n` within them.

    Raises:
        BadArgument: It isn't that. Answer 501.
    """
    given = list(words(argument))
    wish = Wish()
    if given and not given[0].startswith(b"-"):
        wish = replace(wish, path=given.pop(0))
    if len(given) % 2:
        raise errors.BadArgument(f"{_shown(given[-1])} wants something behind it")
    for option, value in zip(given[::2], given[1::2], strict=True):
        take = _OPTIONS.get(option.lower())
        if take is None:
            raise errors.BadArgument(f"{_shown(option)} is no option")
        wish = take(wish, value)
    return wish


def _size(wish: Wish, value: bytes) -> Wish:
    found = _SIZE.fullmatch(value)
    if not found:
        raise errors.BadArgument(f"-size {_shown(value)}")
    count = int(found[2]) * 1024 ** _POWERS[found[3].upper()]
    count = min(count, SIZE_LIMIT)
    return replace(wish, largest=count) if found[1] else replace(wish, smallest=count)


def _age(wish: Wish, value: bytes) -> Wish:
    found = _DAYS.fullmatch(value)
    if not found:
        raise errors.BadArgument(f"-mtime {_shown(value)}")
    days = int(found[2])
    return replace(wish, within_days=days) if found[1] else replace(wish, before_days=days)


def _kind(wish: Wish, value: bytes) -> Wish:
    if value not in (b"f", b"d", b"l"):
        raise errors.BadArgument(f"-type {_shown(value)}")
    return replace(wish, kind=value.decode())


def _limit(wish: Wish, value: bytes) -> Wish:
    found = _LIMIT.fullmatch(value)
    if not found:
        raise errors.BadArgument(f"-limit {_shown(value)}")
    return replace(wish, limit=int(value))


def _name(value: bytes) -> str:
    """Read the name of a user, a group or a node: they are text, unlike those of files."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise errors.BadArgument(f"{_shown(value)} isn't UTF-8") from None


_OPTIONS: Mapping[bytes, Callable[[Wish, bytes], Wish]] = {
    b"-name": lambda wish, value: replace(wish, names=(*wish.names, value)),
    b"-iname": lambda wish, value: replace(wish, any_case=(*wish.any_case, value)),
    b"-size": _size,
    b"-mtime": _age,
    b"-user": lambda wish, value: replace(wish, owner=_name(value)),
    b"-group": lambda wish, value: replace(wish, group=_name(value)),
    b"-slave": lambda wish, value: replace(wish, node=_name(value)),
    b"-node": lambda wish, value: replace(wish, node=_name(value)),
    b"-type": _kind,
    b"-limit": _limit,
}


def _shown(word: bytes) -> str:
    return word.decode(errors="surrogateescape")
