"""One login at a remote FTP server: its verbs as methods. Blocking; for one thread at a time.

Paths are absolute, of bytes, and go into commands as they are, but for the site's encoding. What a site
can't is tried once and remembered in the `Dialect`, which all clients of a site share.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import posixpath
import time
from functools import partial

from argosy import errors
from argosy.config import Remote
from argosy.sites.model import Address, Facts, Kind, Room
from argosy.sites.session import explaining, login, refusals
from argosy.sites.session.control import Control
from argosy.sites.session.data import Ahead, Download, Upload
from argosy.sites.session.dialect import Dialect, TimeSetting
from argosy.sites.session.pipelining import ask_all
from argosy.sites.session.transfers import Transfers
from argosy.sites.session.wording import Words, quoted, setting_mode, setting_time, ways_to_set_time
from argosy.wire.ftp import answers, listed, times
from argosy.wire.ftp.answers import Answer
from argosy.wire.ftp.listed import Listed, Listing, Precision, Type

log = logging.getLogger(__name__)

_UNKNOWN_VERB = frozenset({202, 500, 502, 504})
"""The site has no such verb. RFC 959 section 4.2.2."""

_KINDS = {Type.FILE: Kind.FILE, Type.DIRECTORY: Kind.DIRECTORY, Type.LINK: Kind.LINK, Type.OTHER: Kind.FILE}

_MODE_OF_LINKS, _LINK_LIMIT = 0o777, 4096
"""What Linux gives every symbolic link, and how long its target can be."""


class Client:
    """A control connection that is logged in, in binary mode."""

    def __init__(self, address: Address, settings: Remote, dialect: Dialect) -> None:
        """Connect, encrypt, log in, hear what the site can, and go where the address says.

        Raises:
            Unavailable: Nobody answers there, or not in time.
            TooMany: The site has as many of us as it wants.
            LoginFailed: It doesn't take this name and password.
            Untrusted: Its certificate isn't one that we trust.
            Unsupported: TLS is needed, and it has none.
            NotFound: The directory to begin in isn't there.
        """
        self.dialect = dialect
        self.address = address
        self._settings = settings
        self._control = Control(address.host, address.port, settings)
        self._transfers = Transfers(self._control, dialect, settings, address.host)
        self._ask_all = partial(ask_all, self._control, dialect, settings)
        self._trims = self._utf8_alone = False
        self.home = b"/"
        try:
            encrypted = login.greet(self._control, address, dialect, settings)
            self._trims, self._utf8_alone = dialect.trims_blanks, dialect.knows_utf8_alone
            self._transfers.protected = login.log_in(self._control, address, dialect, encrypted=encrypted)
            dialect.expect_abor(encrypted=self._transfers.protected)
            login.choose(self._control, address, dialect)
            self._settle()
        except BaseException:
            self._control.close()
            raise

    @property
    def usable(self) -> bool:
        """False once the conversation can't go on."""
        return self._control.usable

    @property
    def restarts(self) -> bool:
        """False once it is known that the site can't begin in the middle of a file (REST)."""
        return self.dialect.restarts is not False

    # --- looking

    def list(self, path: bytes) -> list[Facts]:
        """Tell all that is in a directory, but `.` and `..`: one listing, by MLSD where there is one.

        Raises:
            NotFound, NotADirectory, Denied: As it is there.
            Failed: Nothing of what the site sent can be understood.
            TransferCut, NoDataConnection, Unavailable: The site, or the way to it, is in trouble.
        """
        if self.dialect.mlsd is None:
            self.dialect.learn(mlsd=self.dialect.has("MLST") or self.dialect.has("MLSD"))
        if self.dialect.mlsd:
            try:
                data = self._fetch("MLSD", self._out(path), path)
            except errors.Unsupported:
                self.dialect.learn(mlsd=False)
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
        if self.dialect.mlst is None:
            self.dialect.learn(mlst=self.dialect.has("MLST"))
        if self.dialect.mlst:
            answer = self._control.ask("MLST", self._out(path))
            if answer.good:
                return self._shown(path, answer)
            if answer.code not in _UNKNOWN_VERB:
                raise refusals.kind_of(answer, unclear=errors.NotFound)(path)
            self.dialect.learn(mlst=False)
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
            if entry.name == self._out(name):
                if entry.type is not Type.LINK:
                    raise errors.BadArgument(path)
                if entry.target is not None:
                    return self._in(entry.target)
        raise errors.Unsupported(f"the site doesn't tell where {path!r} leads")

    def room(self) -> Room:
        """Tell how much room there is, if the site does (AVBL)."""
        if not self.dialect.has("AVBL"):
            return Room(None, None)
        answer = self._control.ask("AVBL", self._out(self.home))
        with contextlib.suppress(errors.Failed):
            if answer.good:
                return Room(None, answers.available(answer))
        return Room(None, None)

    # --- moving bytes

    def retrieve(self, path: bytes, offset: int = 0, *, window: int | None = None) -> Download:
        """Begin to read a file; returns when the site has said that bytes come.

        Args:
            path: The file.
            offset: Where to begin.
            window: How many bytes the site may send ahead of us.

        Raises:
            NotFound, IsADirectory, Denied, Busy: As it is there.
            Unsupported: The site can't begin in the middle of a file.
            NoDataConnection, Unavailable: The site, or the way to it, is in trouble.
        """
        refusing = partial(self._reason, path=path, verb="RETR")
        made = self._transfers.begin("RETR", self._out(path), refusing, offset=offset, window=window)
        return Download(self._control, made, self._settings, refusing, self.dialect)

    def prepare(self, path: bytes | None = None, *, window: int | None = None) -> None:
        """Open the next transfer's data connection beforehand. Nothing is raised.

        Args:
            path: The file that is likely to be read next, for sites that want to hear it first.
            window: As `retrieve` takes it.
        """
        with contextlib.suppress(errors.NameNotAllowed):
            self._transfers.prepare(None if path is None else ("RETR", self._out(path)), window)

    def rest(self) -> None:
        """Let go of what was opened beforehand. Nothing is raised."""
        self._transfers.rest()

    def store(self, path: bytes, *, offset: int = 0, whole: bytes | None = None) -> Upload:
        """Begin to write a file, in the place of what was there, or from an offset on.

        Args:
            path: The file.
            offset: Where to begin.
            whole: All of it, if it is small: then only `finish` is left to do.

        Raises:
            NotFound, IsADirectory, Denied, NoSpace, OverQuota, NameNotAllowed, Busy: As it is there.
            Unsupported: The site can't begin in the middle of a file.
            NoDataConnection, Unavailable: The site, or the way to it, is in trouble.
        """
        return self._upload("STOR", path, offset, whole)

    def append(self, path: bytes) -> Upload:
        """Begin to write at a file's end.

        Raises:
            As `store`.
        """
        return self._upload("APPE", path, 0)

    # --- changing

    def make_directory(self, path: bytes) -> None:
        """Make a directory.

        Raises:
            Exists, NotFound, Denied, NoSpace, NameNotAllowed: As it is there.
        """
        self._change("MKD", path)

    def remove_directory(self, path: bytes) -> None:
        """Remove an empty directory.

        Raises:
            NotFound, NotADirectory, NotEmpty, Denied: As it is there.
        """
        self._change("RMD", path)

    def delete(self, path: bytes) -> None:
        """Remove a file.

        Raises:
            NotFound, IsADirectory, Denied, Busy: As it is there.
        """
        self._change("DELE", path)

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename a file or directory.

        Raises:
            NotFound, Denied: As it is there.
            Exists: There is something by the new name, and the site doesn't replace it.
        """
        before, after = ("RNFR", self._out(old)), ("RNTO", self._out(new))
        if self.dialect.pipelines:
            taken, moved = self._ask_all(before, after)
        else:
            taken, moved = self._control.ask(*before), None
        if not 200 <= taken.code < 400:
            raise self._reason(taken, old, verb="RNFR")
        moved = moved or self._control.ask(*after)
        if not moved.good:
            raise self._reason(moved, new, verb="RNTO")

    def set_mtime(self, path: bytes, ns: int) -> None:
        """Set a file's time of modification, to the second.

        Raises:
            NotFound, Denied: As it is there.
            Unsupported: The site can't.
        """
        known = self.dialect.time_setting
        if known is TimeSetting.NONE:
            raise errors.Unsupported("the site can't set times")
        ways = [known] if known else ways_to_set_time(self.dialect)
        refused: Answer | None = None
        for way in ways:
            answer = self._control.ask(*setting_time(way, self._out(path), ns))
            if answer.good and (known or way is TimeSetting.MFMT or self._shows_time(path, ns)):
                self.dialect.learn(time_setting=way)
                return
            if not answer.good and answer.code not in _UNKNOWN_VERB:
                refused = answer
                if way is TimeSetting.MFMT or known:
                    break
        if refused is not None:
            raise self._reason(refused, path, verb="SITE")
        self.dialect.learn(time_setting=TimeSetting.NONE)
        raise errors.Unsupported("the site can't set times")

    def set_mode(self, path: bytes, mode: int) -> None:
        """Set permission bits, by SITE CHMOD.

        Raises:
            NotFound, Denied: As it is there.
            Unsupported: The site can't.
        """
        if self.dialect.chmod is False:
            raise errors.Unsupported("the site can't set modes")
        answer = self._control.ask(*setting_mode(self._out(path), mode))
        if answer.code in _UNKNOWN_VERB:
            self.dialect.learn(chmod=False)
            raise errors.Unsupported("the site can't set modes")
        if not answer.good:
            raise self._reason(answer, path, verb="SITE")
        self.dialect.learn(chmod=True)

    def dress(self, path: bytes, *, mtime_ns: int | None, mode: int | None) -> Facts | None:
        """Set a file's time and permission bits, and tell what is there now, in one piece.

        It is for what was seen to go well here before. A time or permission bits of None stay as they are.

        Returns:
            What is there; None: one of it was refused, or isn't known to go well: do it one by one.

        Raises:
            Unavailable: The site, or the way to it, is in trouble.
        """
        dialect, name = self.dialect, self._out(path)
        if (mode is not None and not dialect.chmod) or not (dialect.mlst or (dialect.size and dialect.mdtm)):
            return None
        commands: builtins.list[Words] = []
        if mtime_ns is not None:
            if not dialect.time_setting or dialect.time_setting is TimeSetting.NONE:
                return None
            commands.append(setting_time(dialect.time_setting, name, mtime_ns))
        if mode is not None:
            commands.append(setting_mode(name, mode))
        asked: builtins.list[Words] = [("MLST", name)] if dialect.mlst else [("SIZE", name), ("MDTM", name)]
        heard = self._ask_all(*commands, *asked)
        with contextlib.suppress(errors.Failed):
            if not all(answer.good for answer in heard):
                return None
            if dialect.mlst:
                return self._shown(path, heard[-1])
            size, mtime_ns = answers.size(heard[-2]), answers.modified(heard[-1])
            return Facts(name=posixpath.basename(path), kind=Kind.FILE, size=size, mtime_ns=mtime_ns)
        return None

    def symlink(self, target: bytes, path: bytes) -> None:
        """Make a symbolic link, by SITE SYMLINK.

        Raises:
            Exists, NotFound, Denied: As it is there.
            Unsupported: The site can't.
        """
        if self.dialect.symlink is None:
            self.dialect.learn(symlink=bool(self.dialect.features and self.dialect.features.site("SYMLINK")))
        if not self.dialect.symlink or self.dialect.links_as_asked is False:
            raise errors.Unsupported("the site can't make symbolic links")
        words = (quoted(self._out(target)), quoted(self._out(path)))
        answer = self._control.ask("SITE SYMLINK", *words)
        if answer.code in _UNKNOWN_VERB:
            raise errors.Unsupported(answer.text)
        if not answer.good:
            refused = self._reason(answer, path, verb="MKD")
            if isinstance(refused, errors.NotFound) and self.facts(posixpath.dirname(path)):
                raise errors.Unsupported(f"the site wants to see where the link leads: {answer.text}")
            raise refused
        if self.dialect.links_as_asked is None:
            self.dialect.learn(links_as_asked=self.read_link(path) == target)
        if not self.dialect.links_as_asked:
            self.delete(path)
            raise errors.Unsupported("the site makes symbolic links that lead elsewhere")

    # --- the connection

    def is_alive(self) -> bool:
        """Whether the site still answers, by NOOP."""
        try:
            self._control.ask("NOOP", seconds=self._settings.connect_seconds)
        except errors.Refused:
            self._control.close()
            return False
        return True

    def close(self) -> None:
        """Take leave, and hang up. Nothing is raised, and no reply waited for."""
        self.rest()
        with contextlib.suppress(errors.Refused):
            self._control.say(("QUIT",))
        self._control.close()

    def _settle(self) -> None:
        """Go where the address says, and find where that is."""
        refused = None
        if self.address.directory:
            answer = self._control.ask("CWD", self._out(self.address.directory))
            refused = None if answer.good else answer
        answer = self._control.ask("PWD")
        self._control.knows_mark = answer.good
        if answer.good:
            with contextlib.suppress(errors.Failed):
                self.home = b"/" + self._in(answers.pathname(answer)).strip(b"/")
        if refused is not None:
            raise self._reason(refused, posixpath.join(self.home, self.address.directory), verb="CWD")

    # --- data connections

    def _upload(self, verb: str, path: bytes, offset: int, whole: bytes | None = None) -> Upload:
        refusing = partial(self._reason, path=path, verb=verb)
        ahead = None if whole is None else Ahead(whole)
        made = self._transfers.begin(verb, self._out(path), refusing, offset=offset, ahead=ahead)
        upload = Upload(self._control, made, self._settings, refusing, self.dialect)
        upload.ahead = ahead
        return upload

    def _fetch(self, verb: str, told: bytes | None, path: bytes) -> bytes:
        """Take what a listing sends.

        Args:
            verb: MLSD or LIST.
            told: What follows it.
            path: The directory that it is about.
        """
        refusing = partial(self._reason, path=path, verb=verb)
        made = self._transfers.begin(verb, told, refusing)
        return Download(self._control, made, self._settings, refusing, self.dialect).read(
            self._settings.listing_bytes
        )

    # --- listings

    def _listing(self, path: bytes) -> Listing:
        """List a directory as people do: from within, for sites take a path after LIST as they like."""
        self._go(path)
        now = time.time_ns()
        if self.dialect.lists_hidden is not None:
            return self._read_list(path, now, hidden=self.dialect.lists_hidden)
        try:
            hidden = self._read_list(path, now, hidden=True)
        except errors.Refused:
            if not self.usable:
                raise
            hidden = Listing(())
        if hidden.dots:
            self.dialect.learn(lists_hidden=True)
            return hidden
        plain = self._read_list(path, now, hidden=False)
        if plain.entries and len(plain.entries) >= len(hidden.entries):
            self.dialect.learn(lists_hidden=False)
        return plain if len(plain.entries) >= len(hidden.entries) else hidden

    def _read_list(self, path: bytes, now: int, *, hidden: bool) -> Listing:
        return listed.parse_list(self._fetch("LIST", b"-a" if hidden else None, path), now)

    def _go(self, path: bytes) -> None:
        answer = self._control.ask("CWD", self._out(path))
        if not answer.good:
            raise self._reason(answer, path, verb="CWD")

    def _find_zone(self, path: bytes, listing: Listing) -> None:
        """Learn how far the site's clock is from UTC: MDTM of one file that LIST tells the minute of."""
        if self.dialect.mdtm is False:
            return
        local = (Precision.MINUTE, Precision.LOCAL_SECOND)
        for entry in listing.entries:
            if entry.type is not Type.FILE or entry.precision not in local or entry.mtime_ns is None:
                continue
            if self.dialect.zone_known(entry.mtime_ns):
                continue
            true = self._mdtm(_joined(path, self._in(entry.name)))
            if true is None:
                return
            if (zone := listed.zone_of(entry.mtime_ns, true)) is not None:
                self.dialect.learn_zone(entry.mtime_ns, zone)
            return

    def _told(self, path: bytes, listing: Listing) -> builtins.list[Facts]:
        if listing.unread:
            shown = listing.unread[0][:200]
            if not listing.entries:
                raise errors.Failed(f"the site's listing of {path!r} can't be understood: {shown!r}")
            log.warning(
                "%s: %d lines of the listing of %r can't be understood, as %r",
                *(self.address.host, len(listing.unread), path, shown),
            )
        return [self._facts(entry) for entry in listing.entries]

    def _facts(self, entry: Listed, *, name: bytes | None = None) -> Facts:
        mtime_ns = entry.mtime_ns
        if mtime_ns is not None and entry.precision is not Precision.SECOND:
            mtime_ns -= self.dialect.zone(mtime_ns) * times.SECOND
        return Facts(
            name=self._in(entry.name) if name is None else name,
            kind=_KINDS[entry.type],
            size=entry.size or 0,
            mtime_ns=mtime_ns,
            precise=entry.precision in (Precision.SECOND, Precision.LOCAL_SECOND),
            mode=entry.mode,
            owner=entry.owner,
            group=entry.group,
            unique=entry.unique,
            perm=entry.perm,
            target=None if entry.target is None else self._in(entry.target),
        )

    # --- single facts

    def _shown(self, path: bytes, answer: Answer) -> Facts:
        """Give what MLST tells."""
        entry, name = listed.parse_mlst(answers.entry(answer)), posixpath.basename(path)
        return self._unmasked(path, name, entry) or self._facts(entry, name=name)

    def _facts_by_asking(self, path: bytes) -> Facts:
        name = posixpath.basename(path)
        if not name:  # the root: there is nothing above it to look at for the reason
            answer = self._control.ask("CWD", self._out(path))
            if not answer.good:
                raise refusals.kind_of(answer, unclear=errors.Denied)(path)
            return Facts(name=b"", kind=Kind.DIRECTORY)
        if self.dialect.size is not False:
            answer = self._control.ask("SIZE", self._out(path))
            if answer.good:
                self.dialect.learn(size=True)
                return Facts(name=name, kind=Kind.FILE, size=answers.size(answer), mtime_ns=self._mdtm(path))
            if answer.code in _UNKNOWN_VERB:
                self.dialect.learn(size=False)
        if self._control.ask("CWD", self._out(path)).good:
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

    def _mdtm(self, path: bytes) -> int | None:
        if self.dialect.mdtm is False:
            return None
        answer = self._control.ask("MDTM", self._out(path))
        if answer.code in _UNKNOWN_VERB:
            self.dialect.learn(mdtm=False)
        if not answer.good:
            return None
        try:
            mtime_ns = answers.modified(answer)
        except errors.Failed:
            return None
        self.dialect.learn(mdtm=True)
        return mtime_ns

    def _shows_time(self, path: bytes, ns: int) -> bool:
        shown = self._mdtm(path)
        return shown is None or shown // times.SECOND == ns // times.SECOND

    # --- refusals

    def _change(self, verb: str, path: bytes) -> None:
        answer = self._control.ask(verb, self._out(path))
        if not answer.good:
            raise self._reason(answer, path, verb=verb)

    def _reason(self, answer: Answer, path: bytes, *, verb: str) -> errors.Refused:
        """Give the refusal that a reply means; where it says too little, look at what is there.

        Args:
            answer: The site's "no".
            path: What was asked for.
            verb: What was to be done with it.
        """
        kind = refusals.kind_of(answer, unclear=errors.Denied)
        if answer.code == 530 and kind is errors.LoginFailed:
            kind = errors.Denied  # after a login it means this verb, or this place
        if not self.usable or not refusals.is_unclear(answer, verb):
            return kind(path or answer.text)
        try:
            return explaining.explain(self, verb, path) or kind(path)
        except errors.Refused as error:
            return error if isinstance(error, errors.Unavailable) else kind(path)

    # --- names

    def _out(self, name: bytes) -> bytes:
        """Give a path as the site writes it; before anything is said that a bad one would leave half done."""
        if any(sign in name for sign in b"\r\n\0") or (self._trims and name.endswith(b" ")):
            raise errors.NameNotAllowed(name)
        encoding = self.address.encoding
        try:
            if self._utf8_alone and not name.isascii():
                name.decode()
            if not encoding:
                return name
            return name.decode(errors="surrogateescape").encode(encoding, errors="surrogateescape")
        except UnicodeError:
            raise errors.NameNotAllowed(name) from None

    def _in(self, name: bytes) -> bytes:
        encoding = self.address.encoding
        if not encoding:
            return name
        return name.decode(encoding, errors="surrogateescape").encode(errors="surrogateescape")


def _joined(directory: bytes, name: bytes) -> bytes:
    return directory.rstrip(b"/") + b"/" + name
