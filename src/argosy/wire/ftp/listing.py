"""Directory listings: pages of lines, for programs (RFC 3659) and as Unix's `ls -l` writes them.

A page is made column by column, one pass over all lines for each fact, so that a client who wants few
facts pays for few; what repeats (owners, modes, days) is written once and kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from argosy.wire.ftp import times

_MINUTE = 60 * times.SECOND
_DAY = 1_440 * _MINUTE
_HALF_YEAR = 31_556_952 * times.SECOND // 2  # what GNU ls takes for recent
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_BREAKS = re.compile(r"[\s;]")
_CLOCK = tuple(b"%02d:%02d" % divmod(minute, 60) for minute in range(1_440))


class Line(NamedTuple):
    """What a listing says of one entry. Sizes are bytes, times nanoseconds since 1970."""

    name: bytes
    """As it is to be shown: MLST and STAT of a file give a path here. Never with CR or LF."""
    is_directory: bool
    size: int
    mtime_ns: int
    created_ns: int
    mode: int
    """Permission bits."""
    owner: str
    group: str
    unique: int
    """The FileId."""
    perm: str
    """What this client may do with it, RFC 3659 section 7.5.5."""
    nodes: tuple[str, ...] = ()
    """Who holds a file."""
    links: int = 1
    type: Literal["", "cdir", "pdir"] = ""
    """`cdir` or `pdir` for the listed directory itself and the one above; empty: file or dir."""
    target: bytes | None = None
    """Where a symbolic link leads; none for what is no link."""


_Column = Callable[[Sequence[Line]], list[bytes]]


def _types(lines: Sequence[Line]) -> list[bytes]:
    return [
        b"type=%b;" % line.type.encode()
        if line.type
        else b"type=dir;"
        if line.is_directory
        else b"type=file;"
        if line.target is None
        else _link_fact(line.target)
        for line in lines
    ]


def _sizes(lines: Sequence[Line]) -> list[bytes]:
    return [
        b"" if line.is_directory or line.target is not None else b"size=%d;" % line.size for line in lines
    ]


def _modified(lines: Sequence[Line]) -> list[bytes]:
    return [b"modify=" + times.format_time(line.mtime_ns) + b";" for line in lines]


def _created(lines: Sequence[Line]) -> list[bytes]:
    return [b"create=" + times.format_time(line.created_ns) + b";" for line in lines]


def _perms(lines: Sequence[Line]) -> list[bytes]:
    return [_text_fact("perm", line.perm) for line in lines]


def _uniques(lines: Sequence[Line]) -> list[bytes]:
    return [b"unique=%x;" % line.unique for line in lines]


def _modes(lines: Sequence[Line]) -> list[bytes]:
    return [_mode_fact(line.mode) for line in lines]


def _owners(lines: Sequence[Line]) -> list[bytes]:
    return [_text_fact("UNIX.owner", line.owner) for line in lines]


def _groups(lines: Sequence[Line]) -> list[bytes]:
    return [_text_fact("UNIX.group", line.group) for line in lines]


def _nodes(lines: Sequence[Line]) -> list[bytes]:
    return [
        b"" if line.is_directory or line.target is not None else _nodes_fact(line.nodes) for line in lines
    ]


_COLUMNS: Mapping[str, _Column] = {
    "type": _types,
    "size": _sizes,
    "modify": _modified,
    "create": _created,
    "perm": _perms,
    "unique": _uniques,
    "UNIX.mode": _modes,
    "UNIX.owner": _owners,
    "UNIX.group": _groups,
    "x.nodes": _nodes,
}

FACTS = tuple(_COLUMNS)
"""Every fact we know, in the order in which they are written. RFC 3659 section 7.5."""


def choose_facts(wanted: bytes) -> tuple[str, ...]:
    """Read the facts that OPTS MLST asks for, as `Type;Size;`; unknown ones are passed over.

    No fact at all is a wish, too: names only. RFC 3659 section 7.9.
    """
    words = {word.strip().lower() for word in wanted.split(b";")}
    return tuple(fact for fact in FACTS if fact.lower().encode() in words)


def mlst_feature(chosen: Sequence[str]) -> str:
    """Give FEAT's line on MLST: what is chosen has a star. RFC 3659 section 7.8."""
    return "MLST " + "".join(f"{fact}*;" if fact in chosen else f"{fact};" for fact in FACTS)


def mlst_options(chosen: Sequence[str]) -> str:
    """Give the text of the 200 reply to OPTS MLST. RFC 3659 section 7.9."""
    return f"MLST OPTS {''.join(f'{fact};' for fact in chosen)}".rstrip()


def mlsd(lines: Sequence[Line], facts: Sequence[str] = FACTS) -> bytes:
    """Give a page of MLSD: facts, one blank, the name. RFC 3659 section 7.2."""
    columns = [_COLUMNS[fact](lines) for fact in facts]
    columns.append([b" " + line.name + b"\r\n" for line in lines])
    return b"".join(map(b"".join, zip(*columns, strict=True)))


def mlst(line: Line, facts: Sequence[str] = FACTS) -> bytes:
    """Give MLST's one entry, without the blank before it and the line's end: see `replies.entry`."""
    return mlsd((line,), facts).removesuffix(b"\r\n")


def unix(lines: Iterable[Line], now_ns: int) -> bytes:
    """Give a page of LIST, as `ls -l` writes it, in UTC and without a locale.

    Args:
        lines: The entries.
        now_ns: By which a time is shown with its minute, or, when older than half a year or in the
            future, with its year.
    """
    oldest = now_ns - _HALF_YEAR
    page: list[bytes] = []
    for name, is_directory, size, mtime_ns, _, mode, owner, group, _, _, _, links, _, target in lines:
        if oldest < mtime_ns <= now_ns:
            day, minute = divmod(mtime_ns // _MINUTE, 1_440)
            shown = _month_day(day) + _CLOCK[minute]
        else:
            shown = _distant(mtime_ns // _DAY)
        if target is None:
            page.append(
                b"%b%12d %b %b\r\n" % (_head(is_directory, mode, links, owner, group), size, shown, name)
            )
        else:
            head = _head_of_link(links, owner, group)
            page.append(b"%b%12d %b %b -> %b\r\n" % (head, size, shown, name, target))
    return b"".join(page)


def names(lines: Iterable[Line]) -> bytes:
    """Give a page of NLST: names alone."""
    return b"".join([line.name + b"\r\n" for line in lines])


@lru_cache(maxsize=1024)
def _head(is_directory: bool, mode: int, links: int, owner: str, group: str) -> bytes:
    """Give what stands before the size: in one directory there are few of these."""
    return b"%b %3d %b %b " % (_mode_letters(is_directory, mode), links, _account(owner), _account(group))


@lru_cache(maxsize=1024)
def _head_of_link(links: int, owner: str, group: str) -> bytes:
    return b"lrwxrwxrwx %3d %b %b " % (links, _account(owner), _account(group))


@lru_cache(maxsize=8192)
def _distant(day: int) -> bytes:
    return b"%b %04d" % (_month_day(day), times.day_of(day).year)


@lru_cache(maxsize=8192)
def _month_day(day: int) -> bytes:
    at = times.day_of(day)
    return b"%b %2d " % (_MONTHS[at.month - 1], at.day)


@lru_cache(maxsize=1024)
def _mode_letters(is_directory: bool, mode: int) -> bytes:
    letters = bytearray(b"drwxrwxrwx" if is_directory else b"-rwxrwxrwx")
    for place in range(9):
        if not mode & (0o400 >> place):
            letters[place + 1] = ord("-")
    return bytes(letters)


@lru_cache(maxsize=1024)
def _account(name: str) -> bytes:
    return (_word(name) or b"-").ljust(8)


@lru_cache(maxsize=1024)
def _mode_fact(mode: int) -> bytes:
    return b"UNIX.mode=%04o;" % (mode & 0o7777)


@lru_cache(maxsize=4096)
def _text_fact(fact: str, value: str) -> bytes:
    return b"%b=%b;" % (fact.encode(), _word(value))


@lru_cache(maxsize=4096)
def _nodes_fact(nodes: tuple[str, ...]) -> bytes:
    return _text_fact("x.nodes", ",".join(nodes))


def _link_fact(target: bytes) -> bytes:
    """Tell of a link as the example of RFC 3659 section 7.7.4 does, which is what clients look for.

    A target that can't stand in a fact, which ends at a semicolon or a blank, isn't told.
    """
    if any(sign in target for sign in b" ;"):
        return b"type=OS.unix=slink;"
    return b"type=OS.unix=slink:%b;" % target


def _word(text: str) -> bytes:
    # clients read `ls -l` by words, and a fact ends at its semicolon, the facts at the first blank
    return _BREAKS.sub("_", text).encode(errors="surrogateescape")
