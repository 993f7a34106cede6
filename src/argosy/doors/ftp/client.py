"""One client's session: what was agreed so far, and what the next transfer will use."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from argosy import errors
from argosy.accounts.accounts import Accounts
from argosy.accounts.login import Login
from argosy.catalogue.model import TreePath
from argosy.catalogue.people import Right
from argosy.cluster.nodes.roster import Node
from argosy.config import FtpDoor
from argosy.doors.ftp.control import Control
from argosy.doors.ftp.data import Carriage, Channel, Passive
from argosy.net.certificate import Certificate
from argosy.presence.bans import Bans
from argosy.presence.visitors import Direction, Movement, Visitor, Visitors
from argosy.vfs.download import Download
from argosy.vfs.files import Files
from argosy.vfs.moving import Storing
from argosy.vfs.vfs import Vfs
from argosy.wire.ftp import hashes, listing
from argosy.wire.ftp.arguments import FileRange, Type
from argosy.wire.ftp.replies import Reply
from argosy.wire.ftp.session import State

Replies = AsyncGenerator[Reply, None]
"""What a handler yields: preliminary replies, then one that is final, in the order they are spoken."""


@dataclass(frozen=True, slots=True)
class Hall:
    """What all clients of the door share."""

    config: FtpDoor
    vfs: Vfs
    accounts: Accounts
    carriage: Carriage
    certificate: Certificate
    visitors: Visitors
    bans: Bans


@dataclass(frozen=True, slots=True)
class Plan:
    """What PRET fixed: who will carry the next transfer."""

    choice: Download | Storing | None
    """None: the master, for a listing."""
    anew: Callable[[], Download | Storing | None]
    """Chooses again."""

    @property
    def node(self) -> Node | None:
        """The node in turn; None: the master."""
        return self.choice.node if self.choice else None

    @property
    def settled(self) -> bool:
        """Whether the node is there, and can do it, as far as anybody knows."""
        if isinstance(self.choice, Download):
            return self.choice.settled
        return self.choice is None or self.choice.node.online

    async def settle(self) -> Plan:
        """Find a node that is there and can do it, while the client knows of none.

        Raises:
            Refused: None is left.
        """
        plan = self
        if plan.node and not plan.node.online:
            plan = replace(plan, choice=plan.anew())
        if isinstance(plan.choice, Download):
            await plan.choice.settle()
        return plan


class Client:
    """A client on the control connection, from its first byte to its last."""

    def __init__(self, hall: Hall, control: Control, visitor: Visitor) -> None:
        self.hall = hall
        self.control = control
        self.session = control.session
        self.visitor = visitor
        self.name = ""
        """What USER said."""
        self.anonymous = False
        """Logged in without a password."""
        self.failures = 0
        self.since = time.monotonic()
        self.files: Files | None = None
        self.cwd: TreePath = ()
        self.type = Type.ASCII
        self.offset = 0
        self.announced = -1
        self.renaming: TreePath | None = None
        self.facts = listing.FACTS
        self.hashing = hashes.FIRST
        """HASH's algorithm."""
        self.range: FileRange | None = None
        """What RANG chose for HASH."""
        self.host = ""
        """What HOST said."""
        self.plan: Plan | None = None
        self.channel: Channel | None = None
        """Prepared for the next transfer."""
        self.moving: Channel | None = None
        """In use by the transfer that runs."""
        self.doing = ""
        """The transfer that runs, for STAT."""
        self.aborted = False
        """That transfer was stopped by the client."""

    @property
    def tree(self) -> Files:
        """The files of the user who is logged in; the verbs that get here need a login."""
        assert self.files is not None, "logged in"
        return self.files

    @property
    def as_text(self) -> bool:
        """Whether lines are converted (TYPE A)."""
        return self.type is Type.ASCII

    @property
    def may_fxp(self) -> bool:
        """Whether data may go to, or come from, another address than the client's, from where it is."""
        return self.tree.may(Right.FXP, self.cwd)

    def log_in(self, login: Login) -> None:
        """Begin as this user, in its home if that is there.

        Raises:
            TooMany: The account has as many sessions as it may.
        """
        self.hall.visitors.log_in(self.visitor, login)
        self.files = Files(self.hall.vfs, login)
        self.cwd = ()
        home = self.path(login.account.home)
        try:
            self.files.directory(home)
        except errors.Refused:
            return
        self.cwd = home

    def log_out(self) -> None:
        """Forget who it is; what was agreed on transfers stays, as RFC 959 section 4.1.1 says of USER."""
        self.drop_channel()
        self.hall.visitors.log_out(self.visitor)
        if self.files:
            self.since = time.monotonic()
        self.name, self.files, self.cwd = "", None, ()
        self.renaming, self.plan = None, None

    def begin_anew(self) -> None:
        """Forget all but the connection, and by which name it was called: AUTH, and REIN."""
        self.log_out()
        self.type, self.offset, self.announced = Type.ASCII, 0, -1
        self.facts, self.hashing, self.range = listing.FACTS, hashes.FIRST, None

    def path(self, argument: bytes) -> TreePath:
        """Give the path that an argument means: absolute, or from where the client is.

        `..` goes up, and stays at the root; `.` and empty parts mean nothing.
        """
        path = [] if argument.startswith(b"/") else list(self.cwd)
        for name in argument.split(b"/"):
            if name == b"..":
                del path[-1:]
            elif name not in (b"", b"."):
                path.append(name)
        return tuple(path)

    # --- the next transfer

    def prepare(self, channel: Channel) -> None:
        """Keep a channel for the next transfer, in place of an unused one."""
        self.drop_channel()
        self.channel = channel

    def drop_channel(self) -> None:
        """Give a channel up that was not used."""
        if self.channel:
            self.channel.cut()
        self.channel = None

    def listen_here(self) -> Passive:
        """Open a port of ours for the next transfer."""
        passive = Passive(
            self.hall.carriage,
            self.control.local[0],
            "" if self.may_fxp else self.control.remote[0],
            protected=self.session.protected,
        )
        self.prepare(passive)
        return passive

    def check_target(self, host: str, port: int) -> None:
        """Check where PORT or EPRT wants data to go.

        Raises:
            Unsupported: A port below 1024 (RFC 2577 section 3).
            Denied: A third party without the right to FXP.
        """
        if port < 1024:
            raise errors.Unsupported("dialling a port below 1024")
        if not self.may_fxp and plain_address(host) != plain_address(self.control.remote[0]):
            raise errors.Denied("this isn't your address, and you may not FXP")

    @contextmanager
    def transferring(self, doing: str) -> Iterator[Channel]:
        """Lend the prepared channel to a transfer; whatever goes wrong, it is cut, or declined before 150.

        Args:
            doing: What runs, for STAT.

        Raises:
            NoDataConnection: None was prepared, or the node that it leads to is away by now.
            TransferCut: The client stopped it, maybe before the data connection was there.
        """
        channel, self.channel = self.channel, None
        self.plan = None
        if channel is None:
            raise errors.NoDataConnection("say PASV, EPSV, PORT or EPRT first")
        if channel.node and not channel.node.online:
            channel.decline()
            raise errors.NoDataConnection(f"{channel.node.name} went away, say PASV again")
        self.moving, self.doing, self.aborted = channel, doing, False
        try:
            yield channel
        except BaseException as error:
            if self.session.state is State.TRANSFER:
                channel.cut()
            else:
                channel.decline()
            if self.aborted and isinstance(error, errors.NoDataConnection):
                raise errors.TransferCut("aborted") from error
            raise
        finally:
            self.moving, self.doing = None, ""
            self.offset, self.announced = 0, -1

    def moving_file(self, direction: Direction) -> AbstractContextManager[Movement]:
        """Count a file's transfer, and keep it at the user's pace.

        Raises:
            TooMany: The user has as many as may be.
        """
        return self.hall.visitors.moving(self.visitor, direction)

    def abort(self) -> None:
        """Stop the transfer that runs."""
        if self.moving:
            self.aborted = True
            self.moving.cut()

    def taken_offset(self) -> int:
        """Give REST's offset; it counts once."""
        offset, self.offset = self.offset, 0
        return offset

    def taken_announced(self) -> int:
        """Give ALLO's size, -1 for none; it counts once."""
        announced, self.announced = self.announced, -1
        return announced


def plain_address(address: str) -> str:
    """Give an address so that it can be compared: IPv4 in IPv6's dress as IPv4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
