"""Listings as sites write them, read: MLSD's facts (RFC 3659), `ls -l` in its dialects, and DOS's `dir`.

LIST is for people, RFC 959 section 4.1.3 says, and each site writes it as it likes; so every form known
to us is tried in turn, and a line that has none of them is given back unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache

import msgspec

from argosy import errors
from argosy.wire.ftp import times

_DAY = 86_400 * times.SECOND
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv jän ene gen янв 1月",
            "feb févr fév febr фев 2月",
            "mar mär mars mrt mrz мар 3月",
            "apr avr abr апр 4月",
            "may mai mei maj mag мая май 5月",
            "jun juin juni giu июн 6月",
            "jul juil juli lug июл 7月",
            "aug août aoû ago авг 8月",
            "sep sept set сен 9月",
            "oct oct okt ott out окт 10月",
            "nov nov ноя 11月",
            "dec déc dez dic дек 12月",
        ),
        start=1,
    )
    for name in names.split()
}
"""How months begin where `ls` speaks the language of its machine."""


class Type(Enum):
    """What kind of thing a name is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"
    """A device, a pipe, a socket."""


class Precision(Enum):
    """How exactly a time is told, and in which zone."""

    SECOND = "second"
    """In UTC, as MLSD says it, or with its zone beside it."""
    LOCAL_SECOND = "local second"
    """To the second, on the site's own clock."""
    MINUTE = "minute"
    """On the site's own clock."""
    DAY = "day"
    """On the site's own clock."""


class Listed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a listing says of one name; None: nothing. Sizes are bytes, times nanoseconds since 1970."""

    name: bytes
    type: Type
    size: int | None = None
    mtime_ns: int | None = None
    """As if the site's clock were UTC, unless `precision` says that it is."""
    precision: Precision = Precision.SECOND
    mode: int | None = None
    owner: bytes | None = None
    group: bytes | None = None
    unique: bytes | None = None
    perm: str | None = None
    target: bytes | None = None


class Listing(msgspec.Struct, frozen=True):
    """A whole listing, read."""

    entries: tuple[Listed, ...]
    """Each name once, in the site's order, without `.` and `..`."""
    unread: tuple[bytes, ...] = ()
    """Lines that we can't make out, or whose name can't be a name."""
    dots: bool = False
    """Whether `.` or `..` was in it: then hidden files are told, too."""


def parse_mlsd(data: bytes) -> Listing:
    """Read what MLSD sent. RFC 3659 section 7.2."""
    return _collect(data, _mlsd_line)


def parse_mlst(line: bytes) -> Listed:
    """Read MLST's one entry; its name is a path, as the site writes it. RFC 3659 section 7.2.

    Raises:
        BadArgument: It isn't one.
    """
    found = _mlsd_line(_ITSELF.sub(rb"\1type=dir", line, count=1))
    if found is None:
        raise errors.BadArgument(line[:200])
    return found


def parse_list(data: bytes, now_ns: int) -> Listing:
    """Read what LIST sent.

    Args:
        data: All of it.
        now_ns: What the year is guessed by, where a line tells none.
    """
    today = datetime.fromtimestamp(now_ns // times.SECOND, UTC)
    forms = list(_FORMS)

    def read(line: bytes) -> Listed | None:
        for place, form in enumerate(forms):
            if (found := form(line, today)) is not None:
                if place:  # the next line will be of the same form
                    forms.insert(0, forms.pop(place))
                return found
        return None

    return _collect(data, read)


def can_be_name(name: bytes) -> bool:
    """Whether a file in a directory can be called so: what else a site tells would lead elsewhere."""
    return bool(name) and len(name) <= 255 and not any(sign in name for sign in b"/\0\r\n")


def _collect(data: bytes, read: Callable[[bytes], Listed | None]) -> Listing:
    entries: dict[bytes, Listed] = {}
    unread: list[bytes] = []
    dots = False
    for raw in data.split(b"\n"):
        line = raw.removesuffix(b"\r")
        if not line.strip() or _HEADING.fullmatch(line):
            continue
        found = read(line)
        if found is None:
            if not _is_this(line):
                unread.append(line)
        elif found.name in (b".", b".."):
            dots = True
        elif can_be_name(found.name):
            entries.setdefault(found.name, found)
        else:
            unread.append(line)
    return Listing(tuple(entries.values()), tuple(unread), dots)


_HEADING = re.compile(
    rb"\s*(?:total|insgesamt|totale?|summe|\xe6\x80\xbb\xe8\xae\xa1)\s+\d[\d.,]*\w?\s*", re.IGNORECASE
)


# --- MLSD

_KINDS = {b"file": Type.FILE, b"dir": Type.DIRECTORY}
_DIRECTORIES_THEMSELVES = re.compile(rb"(?:^|;)type=[cp]dir(?:;|$)", re.IGNORECASE)
_ITSELF = re.compile(rb"(^|;)type=[cp]dir(?=;)", re.IGNORECASE)
_LINKS = (b"os.unix=slink", b"os.unix=symlink")


def _is_this(line: bytes) -> bool:
    """Whether a line of MLSD is about the directory itself or the one above. RFC 3659 section 7.5.1."""
    return bool(_DIRECTORIES_THEMSELVES.search(line.partition(b" ")[0]))


def _mlsd_line(line: bytes) -> Listed | None:
    told, blank, name = line.partition(b" ")
    if not blank or not name or (told and not told.endswith(b";") and b"=" not in told):
        return None
    facts: dict[bytes, bytes] = {}
    for fact in told.split(b";"):
        key, equals, value = fact.partition(b"=")
        if equals:
            facts[key.lower()] = value
    kind = facts.get(b"type", b"file")
    low = kind.lower()
    if low in (b"cdir", b"pdir"):
        return None
    type_ = _KINDS.get(low)
    target = None
    if type_ is None:
        type_ = Type.LINK if low.startswith(_LINKS) else Type.OTHER
        if type_ is Type.LINK and b":" in kind:
            target = kind.partition(b":")[2] or None
    modified = facts.get(b"modify")
    return Listed(
        name=name,
        type=type_,
        size=_number(facts.get(b"size", facts.get(b"sizd"))),
        mtime_ns=_utc(modified) if modified else None,
        mode=_octal(facts.get(b"unix.mode")),
        owner=facts.get(b"unix.ownername", facts.get(b"unix.owner", facts.get(b"unix.uid"))) or None,
        group=facts.get(b"unix.groupname", facts.get(b"unix.group", facts.get(b"unix.gid"))) or None,
        unique=facts.get(b"unique") or None,
        perm=_letters(facts.get(b"perm")),
        target=target,
    )


@lru_cache(maxsize=4096)
def _utc(value: bytes) -> int | None:
    try:
        return times.parse_time(value)
    except errors.BadArgument:
        return None


def _number(value: bytes | None) -> int | None:
    if value is None or not value.isdigit() or len(value) > 19:
        return None
    return min(int(value), (1 << 63) - 1)


@lru_cache(maxsize=1024)
def _octal(value: bytes | None) -> int | None:
    if value is None or not re.fullmatch(rb"(?:0o)?[0-7]{1,7}", value):
        return None
    return int(value.removeprefix(b"0o"), 8) & 0o7777


@lru_cache(maxsize=1024)
def _letters(value: bytes | None) -> str | None:
    return None if value is None else value.decode("ascii", "replace").lower()


# --- ls -l

_UNIX = re.compile(
    rb"(?P<type>[-dlbcpsDCMnPwh])(?P<mode>[-rwxsStTlL]{9})[.+@\x20]?\s*"
    rb"(?:(?P<links>\d+)\s+)?"
    rb"(?P<middle>(?:\S+\s+)*?)"
    rb"(?P<size>\d{1,19}|\d+,\s*\d+|-)\s+"
    rb"(?P<date>"
    rb"[^\s\d]\S{1,9}\.?\s+\d{1,2}\.?\s+(?:\d{1,2}:\d\d(?::\d\d)?(?:\s+\d{4})?|\d{4})"
    rb"|\d{1,2}\.?\s+[^\s\d]\S{1,9}\.?\s+(?:\d{1,2}:\d\d(?::\d\d)?|\d{4})"
    rb"|\d{1,2}\xe6\x9c\x88\s+\d{1,2}(?:\xe6\x97\xa5)?\s+(?:\d{1,2}:\d\d|\d{4})"
    rb"|\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\s[-+]\d{4})?)?"
    rb")"
    rb" (?P<name>.+)",
    re.DOTALL,
)
"""Type and mode, then links, owner and group (each may be missing), size, date, one blank, and a name."""

_NETWARE = re.compile(
    rb"(?P<type>[-d])\s+\[[-A-Z]{8}\]\s+(?P<owner>\S+)\s+(?P<size>\d{1,19})\s+"
    rb"(?P<date>[A-Za-z]{3}\s+\d{1,2}\s+(?:\d{1,2}:\d\d|\d{4}))\s+(?P<name>\S.*)",
    re.DOTALL,
)

_TYPES = {b"-": Type.FILE, b"d": Type.DIRECTORY, b"l": Type.LINK}


def _unix_line(line: bytes, today: datetime) -> Listed | None:
    found = _UNIX.fullmatch(line)
    if found is None:
        return None
    when = _unix_date(found["date"], today)
    if when is None:
        return None
    mtime_ns, precision = when
    type_ = _TYPES.get(found["type"], Type.OTHER)
    name, target = found["name"], None
    if type_ is Type.LINK:
        name, arrow, led = name.partition(b" -> ")
        target = led if arrow and led else None
    middle = found["middle"].split()
    size = found["size"]
    return Listed(
        name=name,
        type=type_,
        size=_number(size),
        mtime_ns=mtime_ns,
        precision=precision,
        mode=_mode_of(found["mode"]),
        owner=middle[0] if middle else None,
        group=b" ".join(middle[1:]) or None,
        target=target,
    )


def _netware_line(line: bytes, today: datetime) -> Listed | None:
    found = _NETWARE.fullmatch(line)
    when = _unix_date(found["date"], today) if found else None
    if found is None or when is None:
        return None
    return Listed(
        name=found["name"],
        type=_TYPES[found["type"]],
        size=_number(found["size"]),
        mtime_ns=when[0],
        precision=when[1],
        owner=found["owner"],
    )


@lru_cache(maxsize=256)
def _mode_of(letters: bytes) -> int:
    mode = 0
    for place, letter in enumerate(letters):
        bit = 0o400 >> place
        if letter in b"rwx" or letter in b"st":
            mode |= bit
        if letter in b"sStT" and place in (2, 5, 8):
            mode |= 0o4000 >> (place // 3)
    return mode


@lru_cache(maxsize=8192)
def _unix_date(text: bytes, today: datetime) -> tuple[int, Precision] | None:
    words = text.decode(errors="replace").split()
    try:
        if re.match(r"\d{4}-", words[0]):
            return _iso_date(words)
        if not words[0].rstrip(".").isdigit():
            month, day = _MONTHS[words[0].lower().rstrip(".")], int(words[1].rstrip("."))
        else:
            day, month = int(words[0].rstrip(".")), _MONTHS[words[1].lower().rstrip(".,")]
        if len(words) == 4:
            clock = _clock(words[2])
            return _at(_day(int(words[3]), month, day) + clock), _clock_precision(words[2])
        if ":" in words[2]:
            return _at(_recent(month, day, _clock(words[2]), today)), _clock_precision(words[2])
        return _at(_day(int(words[2]), month, day)), Precision.DAY
    except (KeyError, ValueError, IndexError, OverflowError):
        return None


def _iso_date(words: list[str]) -> tuple[int, Precision]:
    if "T" in words[0]:
        words = [*words[0].split("T"), *words[1:]]
    day = _day(*map(int, words[0].split("-")))
    if len(words) == 1:
        return _at(day), Precision.DAY
    whole, _, fraction = words[1].partition(".")
    ns = _at(day + _clock(whole)) + int(fraction[:9].ljust(9, "0"))
    if len(words) == 3:
        sign = -1 if words[2][0] == "-" else 1
        offset = sign * (int(words[2][1:3]) * 3600 + int(words[2][3:5]) * 60)
        return ns - offset * times.SECOND, Precision.SECOND
    return ns, _clock_precision(whole)


def _clock(text: str) -> timedelta:
    hour, minute, second = (*map(int, text.split(":")), 0)[:3]
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError(text)
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _clock_precision(text: str) -> Precision:
    return Precision.LOCAL_SECOND if text.count(":") == 2 else Precision.MINUTE


def _recent(month: int, day: int, clock: timedelta, today: datetime) -> datetime:
    """Find the year of a date that tells none: the last one that isn't more than a day ahead of us.

    The site's clock may be in another zone than ours, so its today may be our tomorrow.
    """
    latest = today + timedelta(days=1)
    for year in range(latest.year, latest.year - 9, -1):
        try:
            when = _day(year, month, day) + clock
        except ValueError:
            continue  # the 29th of February: an earlier year had one
        if when <= latest:
            return when
    raise ValueError(f"{month}-{day}")


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


_EPOCH = _day(1970, 1, 1)


def _at(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1) * 1_000


# --- dir

_DOS = re.compile(
    rb"(?P<date>\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4})\s+(?P<clock>\d{1,2}:\d\d(?::\d\d)?)\s*(?P<half>[AaPp][Mm]?)?\s+"
    rb"(?:<(?P<special>DIR|JUNCTION|SYMLINKD?|FILE)>|(?P<size>\d[\d,.\xa0']*))\s+(?P<name>\S.*)",
    re.DOTALL,
)
_LED = re.compile(rb"(?P<name>.+) \[(?P<target>[^\]]*)\]", re.DOTALL)


def _dos_line(line: bytes, today: datetime) -> Listed | None:
    del today
    found = _DOS.fullmatch(line)
    if found is None:
        return None
    when = _dos_date(found["date"], found["clock"], found["half"])
    if when is None:
        return None
    name, target, special = found["name"], None, found["special"]
    type_ = Type.DIRECTORY if special == b"DIR" else Type.FILE
    if special in (b"JUNCTION", b"SYMLINK", b"SYMLINKD"):
        type_ = Type.LINK
        if led := _LED.fullmatch(name):
            name, target = led["name"], led["target"].replace(b"\\", b"/") or None
    size = re.sub(rb"\D", b"", found["size"] or b"") or None
    precision = Precision.LOCAL_SECOND if found["clock"].count(b":") == 2 else Precision.MINUTE
    return Listed(
        name=name, type=type_, size=_number(size), mtime_ns=when, precision=precision, target=target
    )


@lru_cache(maxsize=8192)
def _dos_date(date: bytes, clock: bytes, half: bytes | None) -> int | None:
    """Read a date as Windows writes it: American, unless it can't be, or with the year first."""
    first, second, third = map(int, re.split(rb"[-/.]", date))
    if len(re.split(rb"[-/.]", date)[0]) == 4:
        year, month, day = first, second, third
    elif b"." in date or first > 12:  # 31.12.2024 and 31-12-2024
        day, month, year = first, second, third
    else:
        month, day, year = first, second, third
    if year < 100:
        year += 2000 if year < 70 else 1900
    try:
        time = _clock(clock.decode("ascii"))
        if half:
            time = time % timedelta(hours=12) + timedelta(hours=12 if half[:1] in b"Pp" else 0)
        return _at(_day(year, month, day) + time)
    except (ValueError, OverflowError):
        return None


# --- others

_EPLF = re.compile(rb"\+(?P<facts>[^\t]*)\t(?P<name>.+)", re.DOTALL)


def _eplf_line(line: bytes, today: datetime) -> Listed | None:
    """Read EPLF, https://cr.yp.to/ftp/list/eplf.html: `+i8388621.48594,m825718503,r,s280,` a tab, a name."""
    del today
    found = _EPLF.fullmatch(line)
    if found is None:
        return None
    facts = {fact[:1]: fact[1:] for fact in found["facts"].split(b",") if fact}
    seconds = _number(facts.get(b"m"))
    return Listed(
        name=found["name"],
        type=Type.DIRECTORY if b"/" in facts else Type.FILE,
        size=_number(facts.get(b"s")),
        mtime_ns=seconds * times.SECOND if seconds is not None and seconds < 1 << 33 else None,
        mode=_octal(facts.get(b"u", b"")[1:]) if facts.get(b"u", b"").startswith(b"p") else None,
        unique=facts.get(b"i") or None,
    )


_VMS = re.compile(
    rb"(?P<name>[^\s;]+);(?P<generation>\d+)\s+(?P<blocks>\d+)(?:/\d+)?\s+"
    rb"(?P<date>\d{1,2}-[A-Za-z]{3}-\d{4}) (?P<clock>\d{1,2}:\d\d(?::\d\d)?).*",
    re.DOTALL,
)
_AS400 = re.compile(
    rb"(?P<owner>\S+)\s+(?P<size>\d+)\s+(?P<date>\d\d/\d\d/\d\d) (?P<clock>\d\d:\d\d:\d\d)\s+"
    rb"\*(?P<kind>[A-Z]+)\s+(?P<name>.+)",
    re.DOTALL,
)


def _vms_line(line: bytes, today: datetime) -> Listed | None:
    """Read a line of VMS, whose blocks are of 512 bytes; a name is told without its generation."""
    del today
    found = _VMS.fullmatch(line)
    if found is None:
        return None
    try:
        day, month, year = found["date"].decode("ascii").split("-")
        when = _day(int(year), _MONTHS[month.lower()], int(day)) + _clock(found["clock"].decode())
    except (KeyError, ValueError):
        return None
    name = found["name"]
    is_directory = name.upper().endswith(b".DIR")
    return Listed(
        name=name[:-4] if is_directory else name,
        type=Type.DIRECTORY if is_directory else Type.FILE,
        size=None if is_directory else _number(b"%d" % (int(found["blocks"][:15]) * 512)),
        mtime_ns=_at(when),
        precision=_clock_precision(found["clock"].decode()),
    )


def _as400_line(line: bytes, today: datetime) -> Listed | None:
    del today
    found = _AS400.fullmatch(line)
    when = _dos_date(found["date"], found["clock"], None) if found else None
    if found is None or when is None:
        return None
    is_directory = found["kind"] in (b"DIR", b"LIB", b"FLR", b"DDIR")
    return Listed(
        name=found["name"].removesuffix(b"/"),
        type=Type.DIRECTORY if is_directory else Type.FILE,
        size=_number(found["size"]),
        mtime_ns=when,
        precision=Precision.LOCAL_SECOND,
        owner=found["owner"],
    )


_Form = Callable[[bytes, datetime], Listed | None]

_FORMS: tuple[_Form, ...] = (_unix_line, _dos_line, _eplf_line, _netware_line, _vms_line, _as400_line)
"""Every form we know, the common ones first."""


def zone_of(shown_ns: int, true_ns: int) -> int | None:
    """Find how far the site's clock is ahead of UTC, in seconds, by one file's time in both.

    Args:
        shown_ns: As LIST told it.
        true_ns: As MDTM told it, in UTC.

    Returns:
        A multiple of 15 minutes; None when no zone on earth explains the difference.
    """
    difference = (shown_ns - true_ns + 30 * times.SECOND) // times.SECOND  # LIST cuts the seconds off
    zone = round(difference / 900) * 900
    return zone if abs(difference - zone) <= 90 and -12 * 3600 <= zone <= 14 * 3600 else None
