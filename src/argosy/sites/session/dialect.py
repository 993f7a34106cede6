"""What one site can: told by FEAT, found out by trial, remembered for all its connections."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass, field
from enum import Enum

from argosy.wire.ftp import times
from argosy.wire.ftp.features import Features

log = logging.getLogger(__name__)

_TRIMS = re.compile(r"pure-?ftpd", re.IGNORECASE)
_WANTS_ABOR = re.compile(r"proftpd|pure-?ftpd", re.IGNORECASE)
_UTF8_ALONE = re.compile(r"pyftpdlib", re.IGNORECASE)


class Opening(Enum):
    """How a data connection comes about."""

    EPSV = "EPSV"
    PASV = "PASV"
    PORT = "PORT"
    """We listen, the site dials: EPRT where it is IPv6."""


class TimeSetting(Enum):
    """How a site is told a file's time of modification."""

    MFMT = "MFMT"
    """draft-somers-ftp-mfxx-04 section 3."""
    MDTM = "MDTM"
    """With a time before the path, as ncftp says it."""
    UTIME = "SITE UTIME"
    """`SITE UTIME 20261122213745 path`."""
    UTIME_LONG = "SITE UTIME ... UTC"
    """`SITE UTIME path atime mtime ctime UTC`."""
    NONE = ""


@dataclass(slots=True)
class Dialect:
    """One site's, shared by all who speak with it. None in a field: not yet known.

    Threads write single fields, and what they find is the same whoever finds it.
    """

    features: Features | None = None
    greeting: str = ""
    """For people, and for the log."""
    encrypts: bool | None = None
    """AUTH TLS was taken; from then on nothing is said in the clear any more."""
    protects: bool | None = None
    """PROT P was taken: data is encrypted, too."""
    opening: Opening | None = None
    """What worked last."""
    refused_openings: frozenset[Opening] = frozenset()
    mlsd: bool | None = None
    mlst: bool | None = None
    size: bool | None = None
    mdtm: bool | None = None
    lists_hidden: bool | None = None
    """LIST -a shows more than LIST, and breaks nothing."""
    aborts_first: bool | None = None
    """A download that is given up is better stopped by ABOR, before its data connection is closed.

    With TLS ProFTPD hangs up otherwise, and Pure-FTPd notices nothing for a while.
    """
    restarts: bool | None = None
    """REST before RETR."""
    readies: bool | None = None
    """A data connection may be opened some time before the command for it."""
    time_setting: TimeSetting | None = None
    chmod: bool | None = None
    symlink: bool | None = None
    links_as_asked: bool | None = None
    """SITE SYMLINK keeps the target as it was said; ProFTPD makes it absolute."""
    pipelines: bool | None = None
    """Several commands may be said in one piece."""
    pret: bool | None = None
    replaces: bool | None = None
    """RNTO puts a file in the place of another."""
    zones: dict[tuple[int, int], int] = field(default_factory=dict)
    """By year and month, for summer time comes and goes: seconds that LIST's clock is ahead of UTC."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, verb: str, parameter: str = "") -> bool:
        """Whether FEAT tells of it."""
        return self.features is not None and self.features.has(verb, parameter)

    def learn(self, **found: object) -> None:
        """Remember what was found out, and say it in the log when it's a shortcoming."""
        for name, value in found.items():
            if getattr(self, name) == value:
                continue
            setattr(self, name, value)
            if value is False or value is TimeSetting.NONE:
                log.info("the site can't: %s", name)

    # --- what its greeting tells

    @property
    def trims_blanks(self) -> bool:
        """Whether it cuts blanks off the end of a path, and so would take another file."""
        return bool(_TRIMS.search(self.greeting))

    @property
    def knows_utf8_alone(self) -> bool:
        """Whether it puts U+FFFD in the place of what isn't UTF-8, so that two names become one."""
        return bool(_UTF8_ALONE.search(self.greeting))

    def expect_abor(self, *, encrypted: bool) -> None:
        """Know `aborts_first` of some servers before it costs a login."""
        if encrypted and self.aborts_first is None and _WANTS_ABOR.search(self.greeting):
            self.aborts_first = True

    # --- data connections

    def openings(self, *, planned: bool) -> list[Opening]:
        """Give the ways to open a data connection, in the order in which to try them.

        Args:
            planned: PRET was said; EPSV has no address, so the site couldn't send us elsewhere with it.
        """
        order = [Opening.PASV, Opening.EPSV] if planned else [Opening.EPSV, Opening.PASV]
        order = [*order, Opening.PORT]
        if not planned and self.opening is not None:
            order.sort(key=lambda one: one is not self.opening)
        return [one for one in order if one not in self.refused_openings] or [Opening.PORT]

    def refuse(self, opening: Opening) -> None:
        """Remember that the site knows no such verb."""
        with self.lock:
            self.refused_openings |= {opening}

    # --- what time it is there

    def zone_known(self, shown_ns: int) -> bool:
        """Whether the zone of the month of a shown time is known."""
        return _month(shown_ns) in self.zones

    def zone(self, shown_ns: int) -> int:
        """Give how far the clock was ahead of UTC at a shown time, by the nearest month that is known."""
        if not self.zones:
            return 0
        year, month = _month(shown_ns)
        with self.lock:
            nearest = min(self.zones, key=lambda known: abs((known[0] - year) * 12 + known[1] - month))
            return self.zones[nearest]

    def learn_zone(self, shown_ns: int, seconds: int) -> None:
        """Remember a zone."""
        with self.lock:
            if len(self.zones) > 60:
                self.zones.clear()
            self.zones[_month(shown_ns)] = seconds


def _month(ns: int) -> tuple[int, int]:
    day = times.day_of(ns // (86_400 * times.SECOND))
    return day.year, day.month
