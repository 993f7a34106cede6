"""A site's names and their changes, by whichever of its sessions is free. It blocks: for threads.

A session can break in the middle of a command, and then nobody knows whether the site did it. So one looks,
and does again only what wasn't done.
"""

from __future__ import annotations

import contextlib
import logging
import posixpath
import time
from collections.abc import Callable
from typing import TypeVar

from argosy.errors import Denied, Exists, NotEmpty, NotFound, Refused, TransferCut, Unavailable, Unsupported
from argosy.sites.model import Facts, Kind, Room
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.pool import Pool, Purpose
from argosy.sites.temporary import is_temporary, temporary_beside

log = logging.getLogger(__name__)

T = TypeVar("T")

_DEAD_NS = 24 * 3600 * 10**9
"""An upload that is under way changes its file's time; one that is cut is gone on with sooner."""


class Site:
    """What a mount asks of its site, and has it do. Paths are absolute.

    Everything raises `Unavailable` when the site is away for too long, and `LoginFailed` when it doesn't let
    us in any more.
    """

    def __init__(self, pool: Pool[Client], dialect: Dialect, seconds: float) -> None:
        """Begin.

        Args:
            pool: The mount's sessions.
            dialect: What the site can.
            seconds: How long a site that is away is waited for.
        """
        self._pool = pool
        self._dialect = dialect
        self._seconds = seconds

    # --- looking

    def home(self, seconds: float) -> bytes:
        """Log in, and say where the mount begins.

        Args:
            seconds: How long a site that is away is waited for.

        Raises:
            NotFound: There is no such directory.
        """
        return self._pool.ask(Purpose.META, lambda client: client.home, seconds)

    def list(self, path: bytes) -> list[Facts]:
        """List a directory. What is left there of uploads that ended long ago is removed.

        Raises:
            NotFound, NotADirectory, Denied: As it is there.
        """
        found = self._ask(lambda client: client.list(path))
        dead_ns = time.time_ns() - _DEAD_NS
        for facts in found:
            if is_temporary(facts.name) and facts.mtime_ns is not None and facts.mtime_ns < dead_ns:
                log.info("%r in %r was left by an upload that is over, and is removed", facts.name, path)
                with contextlib.suppress(Refused):
                    self.delete(posixpath.join(path, facts.name))
        return found

    def facts(self, path: bytes) -> Facts:
        """Tell of one name.

        Raises:
            NotFound, Denied: As it is there.
        """
        return self._ask(lambda client: client.facts(path))

    @property
    def tells_singly(self) -> bool:
        """Whether it can say that a name isn't there without listing its directory: by MLST."""
        return self._dialect.mlst is not False and self._dialect.has("MLST")

    @property
    def sets_modes(self) -> bool:
        """Whether it sets permission bits, as far as it was tried."""
        return self._dialect.chmod is not False

    def read_link(self, path: bytes) -> bytes:
        """Tell where a symbolic link leads.

        Raises:
            NotFound, BadArgument, Unsupported: As it is there.
        """
        return self._ask(lambda client: client.read_link(path))

    def room(self) -> Room:
        """Tell how much room there is."""
        return self._ask(lambda client: client.room())

    # --- changing

    def make_directory(self, path: bytes) -> None:
        """Make a directory.

        Raises:
            Exists, NotFound, Denied, NoSpace: As it is there.
        """
        self._change(lambda client: client.make_directory(path), lambda client: _is_there(client, path))

    def make_link(self, target: bytes, path: bytes) -> None:
        """Make a symbolic link.

        Raises:
            Exists, NotFound, Denied, Unsupported: As it is there.
        """
        self._change(lambda client: client.symlink(target, path), lambda client: _is_there(client, path))

    def delete(self, path: bytes) -> None:
        """Remove a file; one that isn't there is none, too.

        Raises:
            IsADirectory, Denied, Busy: As it is there.
        """
        with contextlib.suppress(NotFound):
            self._change(lambda client: client.delete(path), lambda client: not _is_there(client, path))

    def remove_directory(self, path: bytes) -> None:
        """Remove a directory; what nobody sees of it, uploads that were cut, goes with it.

        Raises:
            NotEmpty, NotADirectory, Denied: As it is there.
        """
        with contextlib.suppress(NotFound):
            self._change(
                lambda client: _remove_directory(client, path), lambda client: not _is_there(client, path)
            )

    def rename(self, old: bytes, new: bytes, *, over: Kind | None) -> None:
        """Rename a file or directory, in the place of another one, too.

        Args:
            old: What it is called.
            new: What it shall be called.
            over: What is there by that name, and goes; None: nothing.

        Raises:
            NotFound, NotEmpty, Denied: As it is there.
        """
        self._change(
            lambda client: _rename(client, old, new, over),
            lambda client: _is_there(client, new) and not _is_there(client, old),
        )

    def set_mode(self, path: bytes, mode: int) -> None:
        """Set permission bits.

        Raises:
            NotFound: As it is there.
            Unsupported: The site can't, or doesn't let us.
        """
        try:
            self._ask(lambda client: client.set_mode(path, mode))
        except Denied as refused:  # who may write a file, and not set its mode, isn't its owner: EPERM
            raise Unsupported(refused.subject) from refused

    def set_mtime(self, path: bytes, ns: int) -> None:
        """Set the time of modification, to the second.

        Raises:
            NotFound, Denied, Unsupported: As it is there.
        """
        self._ask(lambda client: client.set_mtime(path, ns))

    # --- inside

    def _ask(self, work: Callable[[Client], T]) -> T:
        """Do what may be done twice."""
        return self._pool.ask(Purpose.META, work, self._seconds)

    def _change(self, act: Callable[[Client], None], is_done: Callable[[Client], bool]) -> None:
        """Do what is done once: if the session breaks, look whether it was done."""
        with self._pool.borrow(Purpose.META, self._seconds) as client:
            try:
                act(client)
            except (Unavailable, TransferCut) as cut:
                if client.usable:
                    raise
                log.debug("%s: look whether it was done", cut)
            else:
                return
        with self._pool.borrow(Purpose.META, self._seconds) as client:
            if not is_done(client):
                act(client)


def _is_there(client: Client, path: bytes) -> bool:
    try:
        client.facts(path)
    except NotFound:
        return False
    return True


def _remove_directory(client: Client, path: bytes) -> None:
    try:
        client.remove_directory(path)
    except (NotEmpty, Denied):
        inside = client.list(path)
        if not inside or not all(is_temporary(facts.name) for facts in inside):
            raise
        for facts in inside:
            client.delete(posixpath.join(path, facts.name))
        client.remove_directory(path)


def _rename(client: Client, old: bytes, new: bytes, over: Kind | None) -> None:
    """Rename; where the site replaces nothing, put aside what is in the way, and remove it afterwards."""
    if over is Kind.DIRECTORY:
        _remove_directory(client, new)
        client.rename(old, new)
        return
    if over is None or client.dialect.replaces is not False:
        try:
            client.rename(old, new)
        except (Exists, Unsupported):
            if over is None:
                raise
            client.dialect.learn(replaces=False)
        else:
            return
    aside = temporary_beside(new)
    with contextlib.suppress(NotFound):
        client.rename(new, aside)
    try:
        client.rename(old, new)
    except BaseException:
        if client.usable:
            client.rename(aside, new)
        raise
    with contextlib.suppress(NotFound):
        client.delete(aside)
