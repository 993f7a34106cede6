"""What follows each verb, read into values. Whatever can't be read is refused, never guessed."""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import IPv6Address
from typing import NamedTuple

from argosy import errors
from argosy.wire.ftp import times

SIZE_LIMIT = 2**63 - 1
"""The greatest offset that a file on Linux can have."""


class Type(Enum):
    """How data is represented. RFC 959 section 3.1.1."""

    ASCII = "A"
    IMAGE = "I"


class TimeChange(NamedTuple):
    """A wish to set a file's time of modification."""

    path: bytes
    mtime_ns: int


class ModeChange(NamedTuple):
    """A wish to set an entry's permission bits."""

    path: bytes
    mode: int


class FilePart(NamedTuple):
    """A file, or the part of it from byte `start` up to, not with, byte `end`."""

    path: bytes
    start: int = 0
    end: int | None = None


class LinkWish(NamedTuple):
    """A wish for a symbolic link."""

    target: bytes
    path: bytes


class FileRange(NamedTuple):
    """The bytes from `first` up to and with `last`."""

    first: int
    last: int


class FactsChange(NamedTuple):
    """A wish to set facts of an entry; None: leave as it is."""

    path: bytes
    mtime_ns: int | None = None
    created_ns: int | None = None
    mode: int | None = None


class Mdtm(NamedTuple):
    """The two readings of MDTM's argument."""

    path: bytes
    """The whole argument: a question about this file."""
    change: TimeChange | None
    """A time and a path, as ncftp sends it. It counts only when there is no file called `path`."""


_NUMBER = re.compile(rb"\d{1,19}")
_ALLOCATION = re.compile(rb"(\d{1,19})(?: [Rr] \d{1,19})?")
_TIME_FIRST = re.compile(rb"(\d{14}(?:\.\d+)?) (.+)", re.DOTALL)
_UTIME_TIME_FIRST = re.compile(rb"(\d{12}|\d{14}) (.+)", re.DOTALL)
_UTIME_PATH_FIRST = re.compile(
    rb"(.+) (\d{12}|\d{14}) (\d{12}|\d{14}) (\d{12}|\d{14}) [Uu][Tt][Cc]", re.DOTALL
)
_CHMOD = re.compile(rb"([0-7]{3,4}) (.+)", re.DOTALL)
_QUOTED = re.compile(rb'"((?:[^"]|"")+)"(?: (\d{1,19})(?: (\d{1,19}))?)?', re.DOTALL)
_RANGE_LAST = re.compile(rb"(.+?) (\d{1,19})(?: (\d{1,19}))?", re.DOTALL)
_TWO_PATHS = re.compile(rb'(?:"((?:[^"]|"")+)"|([^" ][^ ]*)) (?:"((?:[^"]|"")+)"|([^" ][^ ]*))', re.DOTALL)
_RANGE = re.compile(rb"(\d{1,19}) (\d{1,19})")
_MODE = re.compile(rb"[0-7]{3,4}")
_HOST = re.compile(
    r"(?=.{1,254}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?"
)
_LANGUAGE = re.compile(rb"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_SWITCHES = re.compile(rb"-[A-Za-z1]+(?: |$)")


def parse_offset(argument: bytes) -> int:
    """Read REST's offset in bytes. RFC 3659 section 5.3.

    Raises:
        BadArgument: Not a number, or greater than any file. Answer 501.
    """
    if not _NUMBER.fullmatch(argument):
        raise errors.BadArgument(argument)
    return _bounded(argument)


def parse_allocation(argument: bytes) -> int:
    """Read ALLO's size in bytes; the record size after ` R ` is of no use here. RFC 959 section 4.1.3.

    Raises:
        BadArgument: It isn't that. Answer 501.
    """
    found = _ALLOCATION.fullmatch(argument)
    if not found:
        raise errors.BadArgument(argument)
    return _bounded(found[1])


def parse_type(argument: bytes) -> Type:
    """Read TYPE's argument. RFC 959 section 4.1.2.

    Telnet's format controls mean nothing to a file on a disk, so A T is A N: RFC 1123 section 4.1.2.2.

    Raises:
        Unsupported: EBCDIC, carriage control, or bytes that don't have eight bits. Answer 504.
        BadArgument: Something else. Answer 501.
    """
    match argument.upper().split():
        case [b"A"] | [b"A", b"N" | b"T"]:
            return Type.ASCII
        case [b"I"] | [b"L", b"8"] | [b"L8"]:
            return Type.IMAGE
        case [b"A", b"C"] | [b"E"] | [b"E", b"N" | b"T" | b"C"]:
            raise errors.Unsupported(f"TYPE {_shown(argument)}")
        case [b"L", size] if size.isdigit():
            raise errors.Unsupported(f"TYPE {_shown(argument)}")
    raise errors.BadArgument(argument)


def check_mode(argument: bytes) -> None:
    """Accept MODE S, the stream. RFC 959 section 3.4.

    Raises:
        Unsupported: Blocks or compression. Answer 504.
        BadArgument: Something else. Answer 501.
    """
    _check_letter("MODE", argument, b"S", b"BC")


def check_structure(argument: bytes) -> None:
    """Accept STRU F, the file without inner structure. RFC 959 section 3.1.2.

    Raises:
        Unsupported: Records or pages. Answer 504.
        BadArgument: Something else. Answer 501.
    """
    _check_letter("STRU", argument, b"F", b"RP")


def parse_option(argument: bytes) -> tuple[str, bytes]:
    """Split what follows OPTS into a command's name and its options. RFC 2389 section 4.

    Raises:
        Unsupported: None of MLST, HASH and UTF8, or UTF8 is to be switched off: names are bytes here,
            shown as UTF-8 (RFC 2640 section 3.1). Answer 501, which is what RFC 2389 asks for.
    """
    name, _, options = argument.partition(b" ")
    word = name.upper()
    if word in (b"MLST", b"HASH"):
        return word.decode("ascii"), options
    if word in (b"UTF8", b"UTF-8") and options.strip().upper() in (b"", b"ON", b"NLST"):
        return "UTF8", b""
    raise errors.Unsupported(f"OPTS {_shown(argument)[:80]}")


def check_mechanism(argument: bytes) -> None:
    """Accept AUTH's TLS, also by its older names. RFC 4217 section 8.

    AUTH SSL was a draft's word for TLS with data connections encrypted from the start. Its clients say PROT P
    all the same, and those who don't would take bytes of TLS for a file's.

    Raises:
        Unsupported: Another mechanism. Answer 504.
    """
    if argument.upper() not in (b"TLS", b"TLS-C", b"SSL"):
        raise errors.Unsupported(f"AUTH {_shown(argument)[:80]}")


def parse_protection(argument: bytes) -> bool:
    """Read PROT's argument: true for P, private. RFC 4217 section 9.

    Raises:
        Unsupported: Safe or confidential, which TLS doesn't have. Answer 536.
        BadArgument: Something else. Answer 504: RFC 2228 section 3.
    """
    match argument.upper():
        case b"P":
            return True
        case b"C":
            return False
        case b"S" | b"E":
            raise errors.Unsupported(f"PROT {_shown(argument)}")
    raise errors.BadArgument(argument)


def parse_listed(argument: bytes) -> bytes:
    """Give the path that LIST, NLST or STAT is about, without switches as `-la`; empty: where we are.

    Clients add them since Unix servers hand the argument to `ls`. A directory whose name begins with
    a dash is reached by `./-name`, or after `--`.
    """
    while found := _SWITCHES.match(argument):
        argument = argument[found.end() :]
    return argument.removeprefix(b"-- ")


def parse_mdtm(argument: bytes) -> Mdtm:
    """Read MDTM's argument both ways, for a file may be called `20261122042522 f`.

    RFC 3659 section 3.1 has only the question; the two-argument form is older than it.
    """
    try:
        return Mdtm(argument, parse_mfmt(argument))
    except errors.BadArgument:
        return Mdtm(argument, None)


def parse_mfmt(argument: bytes) -> TimeChange:
    """Read MFMT's time and path. draft-somers-ftp-mfxx-04 section 3.

    Raises:
        BadArgument: It isn't that. Answer 501.
    """
    found = _TIME_FIRST.fullmatch(argument)
    if not found:
        raise errors.BadArgument(argument)
    return TimeChange(found[2], times.parse_time(found[1]))


def parse_facts(argument: bytes) -> FactsChange:
    """Read MFF's `fact=value;fact=value; path`. draft-somers-ftp-mfxx-04 section 5.1.

    Raises:
        Unsupported: A fact that nobody can set. Answer 504.
        BadArgument: It isn't that, or a value isn't one. Answer 501.
    """
    facts, blank, path = argument.partition(b" ")
    if not blank or not path or not facts.endswith(b";"):
        raise errors.BadArgument(argument)
    change = FactsChange(path)
    for fact in facts[:-1].split(b";"):
        name, _, value = fact.partition(b"=")
        match name.lower():
            case b"modify":
                change = change._replace(mtime_ns=times.parse_time(value))
            case b"create":
                change = change._replace(created_ns=times.parse_time(value))
            case b"unix.mode":
                if not _MODE.fullmatch(value):
                    raise errors.BadArgument(fact)
                change = change._replace(mode=int(value, 8))
            case _:
                raise errors.Unsupported(f"setting {_shown(name)}")
    return change


def parse_host(argument: bytes) -> str:
    """Read HOST's name or address, in lower case. RFC 7151 section 3.1.

    Raises:
        BadArgument: Neither a host's name nor an address, IPv6 in brackets. Answer 501.
    """
    try:
        host = argument.decode("ascii").lower()
        if host.startswith("[") and host.endswith("]"):
            return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        raise errors.BadArgument(argument) from None
    if not _HOST.fullmatch(host):
        raise errors.BadArgument(argument)
    return host.removesuffix(".")


def check_language(argument: bytes) -> None:
    """Accept LANG's English, of any country, or nothing, which means the server's. RFC 2640 section 4.

    Raises:
        Unsupported: Another language. Answer 504.
        BadArgument: No language's tag. Answer 501.
    """
    if argument and not _LANGUAGE.fullmatch(argument):
        raise errors.BadArgument(argument)
    if argument and argument.partition(b"-")[0].lower() != b"en":
        raise errors.Unsupported(f"LANG {_shown(argument)}")


def check_buffer_size(argument: bytes) -> None:
    """Accept PBSZ's number of bytes, whichever: TLS has no use for one. RFC 2228 section 3.

    Raises:
        BadArgument: Not a number of 32 bits. Answer 501.
    """
    if not _NUMBER.fullmatch(argument) or int(argument) >= 1 << 32:
        raise errors.BadArgument(argument)


def parse_range(argument: bytes) -> FileRange | None:
    """Read RANG's first and last byte; `1 0` means the whole file. draft-bryan-ftp-range-09 section 3.

    Raises:
        BadArgument: Not two numbers in order. Answer 501, and forget an earlier range.
    """
    found = _RANGE.fullmatch(argument)
    if not found:
        raise errors.BadArgument(argument)
    first, last = _bounded(found[1]), _bounded(found[2])
    if (first, last) == (1, 0):
        return None
    if first > last:
        raise errors.BadArgument(argument)
    return FileRange(first, last)


def parse_utime(argument: bytes) -> TimeChange:
    """Read SITE UTIME: `time path` as lftp sends it, or `path atime mtime ctime UTC`.

    Raises:
        BadArgument: Neither. Answer 501.
    """
    if found := _UTIME_PATH_FIRST.fullmatch(argument):
        return TimeChange(found[1], times.parse_time(found[3], seconds_needed=False))
    if found := _UTIME_TIME_FIRST.fullmatch(argument):
        return TimeChange(found[2], times.parse_time(found[1], seconds_needed=False))
    raise errors.BadArgument(argument)


def parse_chmod(argument: bytes) -> ModeChange:
    """Read SITE CHMOD's octal mode and path.

    Raises:
        BadArgument: It isn't that. Answer 501.
    """
    found = _CHMOD.fullmatch(argument)
    if not found:
        raise errors.BadArgument(argument)
    return ModeChange(found[2], int(found[1], 8))


def parse_link(argument: bytes) -> LinkWish:
    """Read SITE SYMLINK's target and path; one with a blank in it stands in quotes, doubled inside.

    Raises:
        BadArgument: Not two paths, or more than one reading. Answer 501.
    """
    found = _TWO_PATHS.fullmatch(argument)
    if not found:
        raise errors.BadArgument('want TARGET PATH, in "quotes" where there are blanks')
    target, path = (
        plain if quoted is None else quoted.replace(b'""', b'"')
        for quoted, plain in (found.group(1, 2), found.group(3, 4))
    )
    return LinkWish(target, path)


def parse_summed(argument: bytes) -> tuple[FilePart, ...]:
    """Read the path of XCRC or one of its kind, quoted or not, with a start and an end after it or not.

    A name may hold quotes and numbers, too, so there can be several readings. The first whose file
    exists counts; there is always one.
    """
    whole = FilePart(argument)
    if found := _QUOTED.fullmatch(argument):
        readings = (_part(found[1].replace(b'""', b'"'), found), whole)
    elif found := _RANGE_LAST.fullmatch(argument):
        readings = (whole, _part(found[1], found))
    else:
        return (whole,)
    return tuple(part for part in readings if part.start <= (part.end or SIZE_LIMIT) <= SIZE_LIMIT)


def _part(path: bytes, found: re.Match[bytes]) -> FilePart:
    return FilePart(path, int(found[2] or 0), None if found[3] is None else int(found[3]))


def _bounded(number: bytes) -> int:
    value = int(number)
    if value > SIZE_LIMIT:
        raise errors.BadArgument(number)
    return value


def _check_letter(verb: str, argument: bytes, ours: bytes, known: bytes) -> None:
    letter = argument.upper()
    if letter == ours:
        return
    if len(letter) == 1 and letter in known:
        raise errors.Unsupported(f"{verb} {_shown(letter)}")
    raise errors.BadArgument(argument)


def _shown(argument: bytes) -> str:
    return argument.decode(errors="surrogateescape")
