"""What a site says of its names: lists, single facts, and why it said no. Blocking, as the client is."""

from __future__ import annotations

import builtins
import logging
import posixpath
import time
from functools import partial

from argosy import errors
from argosy.config import Remote
from argosy.sites.model import Address, Facts, Kind
from argosy.sites.session import explaining, refusals
from argosy.sites.session.control import Control
from argosy.sites.session.data import Download
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.spelling import Spelling
from argosy.sites.session.transfers import Transfers
from argosy.wire.ftp import answers, listed, times
from argosy.wire.ftp.answers import Answer
from argosy.wire.ftp.listed import Listed, Listing, Precision, Type

log = logging.getLogger(__name__)

_KINDS = {Type.FILE: Kind.FILE, Type.DIRECTORY: Kind.DIRECTORY, Type.LINK: Kind.LINK, Type.OTHER: Kind.FILE}

_MODE_OF_LINKS, _LINK_LIMIT = 0o777, 4096
"""What Linux gives every symbolic link, and how long its target can be."""


class Looker:
    """Looks, over one control connection that is logged in."""

    def __init__(
        self,
        control: Control,
        transfers: Transfers,
        dialect: Dialect,
        spelling: Spelling,
        *,
        address: Address,
        settings: Remote,
    ) -> None:
        """Take the parts of a client."""
        self._control = control
        self._transfers = transfers
        self._dialect = dialect
        self._spelling = spelling
        self._address = address
        self._settings = settings

    def list(self, path: bytes) -> list[Facts]:
        """Tell all that is in a directory, but `.` and `..`: one listing, by MLSD where there is one.

        Raises:
            NotFound, NotADirectory, Denied: As it is there.
            Failed: Nothing of what the site sent can be understood.
            TransferCut, NoDataConnection, Unavailable: The site, or the way to it, is in trouble.
        """
        if self._dialect.mlsd is None:
            self._dialect.learn(mlsd=self._dialect.has("MLST") or self._dialect.has("MLSD"))
        if self._dialect.mlsd:
            try:
                data = self._fetch("MLSD", self._spelling.out(path), path)
            except errors.Unsupported:
                self._dialect.learn(mlsd=False)
            else:
                return self._told(path, listed.parse_mlsd(data))
        listing = self._listing(path)
        self._find_zone(path, listing)
        return self._told(path, listing)

    def facts(self, path: bytes) -> Facts:
        """Tell of one file or directory: by MLST, else by SIZE and MDTM, else by its directory's listing.

        Raises:
            NotFound, Denied: As it is there.
            Unavailable: The site, or the way to it, is in trouble.
        """
        if self._dialect.mlst is None:
            self._dialect.learn(mlst=self._dialect.has("MLST"))
        if self._dialect.mlst:
            answer = self._control.ask("MLST", self._spelling.out(path))
            if answer.good:
                return self.shown(path, answer)
            if answer.code not in refusals.UNKNOWN_VERB:
                raise refusals.kind_of(answer, unclear=errors.NotFound)(path)
            self._dialect.learn(mlst=False)
        return self._facts_by_asking(path)

    def read_link(self, path: bytes) -> bytes:
        """Tell where a symbolic link leads.

        Raises:
            NotFound: There is no such name.
            BadArgument: It is no link.
            Unsupported: The site doesn't tell.
        """
        found = self.facts(path)
        if found.target is not None:
            return found.target
        name = posixpath.basename(path)
        for entry in self._listing(posixpath.dirname(path)).entries:
            if entry.name == self._spelling.out(name):
                if entry.type is not Type.LINK:
                    raise errors.BadArgument(path)
                if entry.target is not None:
                    return self._spelling.ours(entry.target)
        raise errors.Unsupported(f"the site doesn't tell where {path!r} leads")

    def reason(self, answer: Answer, path: bytes, *, verb: str) -> errors.Refused:
        """Give the refusal that a reply means; where it says too little, look at what is there.

        Args:
            answer: The site's "no".
            path: What was asked for.
            verb: What was to be done with it.
        """
        kind = refusals.kind_of(answer, unclear=errors.Denied)
        if answer.code == 530 and kind is errors.LoginFailed:
            kind = errors.Denied  # after a login it means this verb, or this place
        if not self._control.usable or not refusals.is_unclear(answer, verb):
            return kind(path or answer.text)
        said = kind(path)
        if kind is errors.Busy:  # 450 says no more than "not now": the reason is in the site's own words
            said = kind(f"{path.decode(errors='backslashreplace')}: {answer.text}")
        try:
            return explaining.explain(self, verb, path) or said
        except errors.Refused as error:
            return error if isinstance(error, errors.Unavailable) else said

    def shown(self, path: bytes, answer: Answer) -> Facts:
        """Give what MLST tells."""
        entry, name = listed.parse_mlst(answers.entry(answer)), posixpath.basename(path)
        return self._unmasked(path, name, entry) or self._facts(entry, name=name)

    def _facts_by_asking(self, path: bytes) -> Facts:
        name = posixpath.basename(path)
        if not name:  # the root: there is nothing above it to look at for the reason
            answer = self._control.ask("CWD", self._spelling.out(path))
            if not answer.good:
                raise refusals.kind_of(answer, unclear=errors.Denied)(path)
            return Facts(name=b"", kind=Kind.DIRECTORY)
        if self._dialect.size is not False:
            answer = self._control.ask("SIZE", self._spelling.out(path))
            if answer.good:
                self._dialect.learn(size=True)
                return Facts(
                    name=name, kind=Kind.FILE, size=answers.size(answer), mtime_ns=self.modified(path)
                )
            if answer.code in refusals.UNKNOWN_VERB:
                self._dialect.learn(size=False)
        if self._control.ask("CWD", self._spelling.out(path)).good:
            return Facts(name=name, kind=Kind.DIRECTORY)
        try:
            inside = self.list(posixpath.dirname(path))
        except errors.NotADirectory:
            raise errors.NotFound(path) from None
        for found in inside:
            if found.name == name:
                return found
        raise errors.NotFound(path)

    def _unmasked(self, path: bytes, name: bytes, entry: Listed) -> Facts | None:
        """Find a link that MLST shows as what it leads to, but with its own mode and length, as ProFTPD's."""
        if not name or entry.mode != _MODE_OF_LINKS or entry.type is Type.LINK:
            return None
        if not 0 < (entry.size or 0) < _LINK_LIMIT:
            return None
        return next(
            (one for one in self.list(posixpath.dirname(path)) if one.name == name and one.kind is Kind.LINK),
            None,
        )

    def modified(self, path: bytes) -> int | None:
        """Tell when a file was changed, by MDTM; None: the site doesn't say."""
        if self._dialect.mdtm is False:
            return None
        answer = self._control.ask("MDTM", self._spelling.out(path))
        if answer.code in refusals.UNKNOWN_VERB:
            self._dialect.learn(mdtm=False)
        if not answer.good:
            return None
        try:
            mtime_ns = answers.modified(answer)
        except errors.Failed:
            return None
        self._dialect.learn(mdtm=True)
        return mtime_ns

    # --- lists

    def _fetch(self, verb: str, told: bytes | None, path: bytes) -> bytes:
        """Take what a listing sends.

        Args:
            verb: MLSD or LIST.
            told: What follows it.
            path: The directory that it is about.
        """
        refusing = partial(self.reason, path=path, verb=verb)
        made = self._transfers.begin(verb, told, refusing)
        return Download(self._control, made, self._settings, refusing, self._dialect).read(
            self._settings.listing_bytes
        )

    def _listing(self, path: bytes) -> Listing:
        """List a directory as people do: from within, for sites take a path after LIST as they like."""
        self._go(path)
        now = time.time_ns()
        if self._dialect.lists_hidden is not None:
            return self._read_list(path, now, hidden=self._dialect.lists_hidden)
        try:
            hidden = self._read_list(path, now, hidden=True)
        except errors.Refused:
            if not self._control.usable:
                raise
            hidden = Listing(())
        if hidden.dots:
            self._dialect.learn(lists_hidden=True)
            return hidden
        plain = self._read_list(path, now, hidden=False)
        if plain.entries and len(plain.entries) >= len(hidden.entries):
            self._dialect.learn(lists_hidden=False)
        return plain if len(plain.entries) >= len(hidden.entries) else hidden

    def _read_list(self, path: bytes, now: int, *, hidden: bool) -> Listing:
        return listed.parse_list(self._fetch("LIST", b"-a" if hidden else None, path), now)

    def _go(self, path: bytes) -> None:
        answer = self._control.ask("CWD", self._spelling.out(path))
        if not answer.good:
            raise self.reason(answer, path, verb="CWD")

    def _find_zone(self, path: bytes, listing: Listing) -> None:
        """Learn how far the site's clock is from UTC: MDTM of one file that LIST tells the minute of."""
        if self._dialect.mdtm is False:
            return
        local = (Precision.MINUTE, Precision.LOCAL_SECOND)
        for entry in listing.entries:
            if entry.type is not Type.FILE or entry.precision not in local or entry.mtime_ns is None:
                continue
            if self._dialect.zone_known(entry.mtime_ns):
                continue
            true = self.modified(_joined(path, self._spelling.ours(entry.name)))
            if true is None:
                return
            if (zone := listed.zone_of(entry.mtime_ns, true)) is not None:
                self._dialect.learn_zone(entry.mtime_ns, zone)
            return

    def _told(self, path: bytes, listing: Listing) -> builtins.list[Facts]:
        if listing.unread:
            shown = listing.unread[0][:200]
            if not listing.entries:
                raise errors.Failed(f"the site's listing of {path!r} can't be understood: {shown!r}")
            log.warning(
                "%s: %d lines of the listing of %r can't be understood, as %r",
                *(self._address.host, len(listing.unread), path, shown),
            )
        return [self._facts(entry) for entry in listing.entries]

    def _facts(self, entry: Listed, *, name: bytes | None = None) -> Facts:
        mtime_ns = entry.mtime_ns
        if mtime_ns is not None and entry.precision is not Precision.SECOND:
            mtime_ns -= self._dialect.zone(mtime_ns) * times.SECOND
        return Facts(
            name=self._spelling.ours(entry.name) if name is None else name,
            kind=_KINDS[entry.type],
            size=entry.size or 0,
            mtime_ns=mtime_ns,
            precise=entry.precision in (Precision.SECOND, Precision.LOCAL_SECOND),
            mode=entry.mode,
            owner=entry.owner,
            group=entry.group,
            unique=entry.unique,
            perm=entry.perm,
            target=None if entry.target is None else self._spelling.ours(entry.target),
        )


def _joined(directory: bytes, name: bytes) -> bytes:
    return directory.rstrip(b"/") + b"/" + name
