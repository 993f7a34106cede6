"""One login at a remote FTP server: its verbs as methods. Blocking; for one thread at a time.

Paths are absolute, of bytes, and go into commands as they are, but for the site's encoding. What a site
can't is tried once and remembered in the `Dialect`, which all clients of a site share.
"""

from __future__ import annotations

import builtins
import contextlib
import posixpath
from functools import partial

from argosy import errors
from argosy.config import Remote
from argosy.sites.model import Address, Facts, Kind, Room
from argosy.sites.session import login, refusals
from argosy.sites.session.control import Control
from argosy.sites.session.data import Ahead, Download, Upload
from argosy.sites.session.dialect import Dialect, TimeSetting
from argosy.sites.session.looking import Looker
from argosy.sites.session.pipelining import ask_all
from argosy.sites.session.spelling import Spelling
from argosy.sites.session.transfers import Transfers
from argosy.sites.session.wording import Words, quoted, setting_mode, setting_time, ways_to_set_time
from argosy.wire.ftp import answers, times
from argosy.wire.ftp.answers import Answer


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
        self.home = b"/"
        try:
            encrypted = login.greet(self._control, address, dialect, settings)
            self._spelling = Spelling(address.encoding, dialect.trims_blanks, dialect.knows_utf8_alone)
            self._look = Looker(
                self._control,
                self._transfers,
                dialect,
                self._spelling,
                address=address,
                settings=settings,
            )
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
        """As `Looker.list`."""
        return self._look.list(path)

    def facts(self, path: bytes) -> Facts:
        """As `Looker.facts`."""
        return self._look.facts(path)

    def read_link(self, path: bytes) -> bytes:
        """As `Looker.read_link`."""
        return self._look.read_link(path)

    def room(self) -> Room:
        """Tell how much room there is, if the site does (AVBL)."""
        if not self.dialect.has("AVBL"):
            return Room(None, None)
        answer = self._control.ask("AVBL", self._spelling.out(self.home))
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
        refusing = partial(self._look.reason, path=path, verb="RETR")
        made = self._transfers.begin("RETR", self._spelling.out(path), refusing, offset=offset, window=window)
        return Download(self._control, made, self._settings, refusing, self.dialect)

    def prepare(self, path: bytes | None = None, *, window: int | None = None) -> None:
        """Open the next transfer's data connection beforehand. Nothing is raised.

        Args:
            path: The file that is likely to be read next, for sites that want to hear it first.
            window: As `retrieve` takes it.
        """
        with contextlib.suppress(errors.NameNotAllowed):
            self._transfers.prepare(None if path is None else ("RETR", self._spelling.out(path)), window)

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
        before, after = ("RNFR", self._spelling.out(old)), ("RNTO", self._spelling.out(new))
        if self.dialect.pipelines:
            taken, moved = self._ask_all(before, after)
        else:
            taken, moved = self._control.ask(*before), None
        if not 200 <= taken.code < 400:
            raise self._look.reason(taken, old, verb="RNFR")
        moved = moved or self._control.ask(*after)
        if not moved.good:
            raise self._look.reason(moved, new, verb="RNTO")

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
            answer = self._control.ask(*setting_time(way, self._spelling.out(path), ns))
            if answer.good and (known or way is TimeSetting.MFMT or self._shows_time(path, ns)):
                self.dialect.learn(time_setting=way)
                return
            if not answer.good and answer.code not in refusals.UNKNOWN_VERB:
                refused = answer
                if way is TimeSetting.MFMT or known:
                    break
        if refused is not None:
            raise self._look.reason(refused, path, verb="SITE")
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
        answer = self._control.ask(*setting_mode(self._spelling.out(path), mode))
        if answer.code in refusals.UNKNOWN_VERB:
            self.dialect.learn(chmod=False)
            raise errors.Unsupported("the site can't set modes")
        if not answer.good:
            raise self._look.reason(answer, path, verb="SITE")
        self.dialect.learn(chmod=True)

    def dress(self, path: bytes, *, mtime_ns: int | None, mode: int | None) -> Facts | None:
        """Set a file's time and permission bits, and tell what is there now, in one piece.

        It is for what was seen to go well here before. A time or permission bits of None stay as they are.

        Returns:
            What is there; None: one of it was refused, or isn't known to go well: do it one by one.

        Raises:
            Unavailable: The site, or the way to it, is in trouble.
        """
        dialect, name = self.dialect, self._spelling.out(path)
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
                return self._look.shown(path, heard[-1])
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
        words = (quoted(self._spelling.out(target)), quoted(self._spelling.out(path)))
        answer = self._control.ask("SITE SYMLINK", *words)
        if answer.code in refusals.UNKNOWN_VERB:
            raise errors.Unsupported(answer.text)
        if not answer.good:
            refused = self._look.reason(answer, path, verb="MKD")
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
            answer = self._control.ask("CWD", self._spelling.out(self.address.directory))
            refused = None if answer.good else answer
        answer = self._control.ask("PWD")
        self._control.knows_mark = answer.good
        if answer.good:
            with contextlib.suppress(errors.Failed):
                self.home = b"/" + self._spelling.ours(answers.pathname(answer)).strip(b"/")
        if refused is not None:
            raise self._look.reason(refused, posixpath.join(self.home, self.address.directory), verb="CWD")

    # --- data connections

    def _upload(self, verb: str, path: bytes, offset: int, whole: bytes | None = None) -> Upload:
        refusing = partial(self._look.reason, path=path, verb=verb)
        ahead = None if whole is None else Ahead(whole)
        made = self._transfers.begin(verb, self._spelling.out(path), refusing, offset=offset, ahead=ahead)
        upload = Upload(self._control, made, self._settings, refusing, self.dialect)
        upload.ahead = ahead
        return upload

    # --- one command

    def _change(self, verb: str, path: bytes) -> None:
        answer = self._control.ask(verb, self._spelling.out(path))
        if not answer.good:
            raise self._look.reason(answer, path, verb=verb)

    def _shows_time(self, path: bytes, ns: int) -> bool:
        shown = self._look.modified(path)
        return shown is None or shown // times.SECOND == ns // times.SECOND
