"""FTP's time values: YYYYMMDDHHMMSS in UTC, RFC 3659 section 2.3. Ours are nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from argosy import errors

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH
_FIRST_DAY = date.min.toordinal() - _EPOCH
_VALUE = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:\.(\d+))?)?")
_CLOCK = tuple(b"%02d%02d" % divmod(minute, 60) for minute in range(1_440))
_SECONDS = tuple(b"%02d" % second for second in range(60))


def parse_time(value: bytes, *, seconds_needed: bool = True) -> int:
    """Read a time value, with or without a fraction of the second.

    Args:
        value: As it stands on the line.
        seconds_needed: SITE UTIME also takes a value without seconds.

    Raises:
        BadArgument: It isn't one, or there is no such day. Answer 501.
    """
    found = _VALUE.fullmatch(value)
    if not found or (seconds_needed and found[6] is None):
        raise errors.BadArgument(value)
    year, month, day, hour, minute, second = (int(found[number] or 0) for number in range(1, 7))
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second, RFC 3659 section 2.3
        raise errors.BadArgument(value)
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise errors.BadArgument(value) from None
    nanoseconds = int((found[7] or b"0")[:9].ljust(9, b"0"))
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * SECOND + nanoseconds


def format_time(ns: int) -> bytes:
    """Write a time value in whole seconds; what lies out of the years 1 to 9999 is brought to the nearest.

    The fraction that RFC 3659 allows is left out: it is of no use to anybody, and clients stumble on it.
    """
    day, second = divmod(ns // SECOND, 86_400)
    minute, second = divmod(second, 60)
    return _format_day(day) + _CLOCK[minute] + _SECONDS[second]


@lru_cache(maxsize=8192)
def _format_day(day: int) -> bytes:
    at = day_of(day)
    return b"%04d%02d%02d" % (at.year, at.month, at.day)


def day_of(day: int) -> date:
    """Give the date from days since 1970, the first or last date there is for what lies out of them."""
    return date.fromordinal(_EPOCH + min(max(day, _FIRST_DAY), _LAST_DAY))
