"""Questions of the administrator: "The local socket" of `docs/link-protocol.md`, of master and gateway."""

from __future__ import annotations

import msgspec

from argosy.wire.link.message import Message


class AskStatus(Message, tag="ask-status"):
    """How is the site? Answered by `Report`."""


class AskNodes(Message, tag="ask-nodes"):
    """Which nodes are there, and how are they? Answered by `Report`."""


class AskWhy(Message, tag="ask-why"):
    """Where does a path lie, and who would serve it now? Answered by `Report`."""

    path: bytes


class AskFind(Message, tag="ask-find"):
    """A page of what lies below a path and is as asked for. Answered by `Report`."""

    path: bytes
    names: list[bytes] = msgspec.field(default_factory=list)
    """Patterns of SQLite's GLOB; all must match."""
    smallest: int | None = None
    largest: int | None = None
    after_ns: int | None = None
    before_ns: int | None = None
    owner: str = ""
    group: str = ""
    node: str = ""
    kind: str = ""
    after: tuple[int, bytes] = (0, b"")
    """Where the page before this one ended, as it said."""
    limit: int = 500


class AskTrash(Message, tag="ask-trash"):
    """A page of what is in the trash and was at a path or below it. Answered by `Report`."""

    path: bytes
    after: tuple[bytes, int] = (b"", 0)
    """Where the page before this one ended, as it said."""
    limit: int = 500


class AskRestore(Message, tag="ask-restore"):
    """Put contents that are in the trash back into the tree. Answered by `Report`."""

    versions: list[int]
    to: bytes = b""
    """The path for a single one; empty: where each was."""


class AskEmpty(Message, tag="ask-empty"):
    """Let go for good of some of what is in the trash. Answered by `Report`: is there more?"""

    path: bytes


class AskRemerge(Message, tag="ask-remerge"):
    """Have a node read its disks now and merge the whole list. Answered by `Report`."""

    node: str
    accept_losses: bool


class AskStrike(Message, tag="ask-strike"):
    """Take a volume that won't come back out of the record. Answered by `Report`."""

    store_id: str
    """Its beginning will do."""
    accept_losses: bool
    """Files that were only there go."""


class AskForgetNode(Message, tag="ask-forget-node"):
    """Take a node that won't come back out of the record, and its volumes. Answered by `Report`."""

    node: str
    accept_losses: bool


class AskWho(Message, tag="ask-who"):
    """Who is here, and what does each do? Answered by `Report`."""


class AskKick(Message, tag="ask-kick"):
    """Hang up on a session, by its id, or on all of a user. Answered by `Report`."""

    who: str
    sentence: str
    """What the user is told; empty: the usual."""


class AskSums(Message, tag="ask-sums"):
    """How does a directory agree with its lists of checksums, or with one list? Answered by `Report`."""

    path: bytes
    every: bool = False
    """Tell of good files, too."""


class AskBans(Message, tag="ask-bans"):
    """Which addresses are turned away? Answered by `Report`."""


class AskUnban(Message, tag="ask-unban"):
    """Let an address come back. Answered by `Report`."""

    address: str


class AskRefresh(Message, tag="ask-refresh"):
    """Users or groups were changed: hold those logged in against that now. Answered by `Report`."""


class AskSites(Message, tag="ask-sites"):
    """Which sites are mounted, and how are they? Answered by `Report`."""


class AskTicket(Message, tag="ask-ticket"):
    """Log in at a site for a ticket to mount it once, with an owner for its files. Answered by `Report`."""

    export: bytes
    """As in a mount line behind the gateway's name, `/NAME` or an address, but without a password."""
    password: bytes
    uid: int
    gid: int


class AskRelease(Message, tag="ask-release"):
    """A site's directory was taken away: what becomes of its mount? Answered by `Report`."""

    export: bytes
    """What was mounted there, as the system tells it."""
    mounted: tuple[bytes, ...]
    """What else this machine has mounted of the gateway."""


class AskForget(Message, tag="ask-forget"):
    """Forget the mounts of a site, and their passwords. Answered by `Report`."""

    site: str
    """Its address, as `AskSites` tells it."""
    mounted: tuple[bytes, ...]
    """What this machine has mounted of the gateway."""


class Report(Message, tag="report"):
    """An answer for people and scripts: a JSON document."""

    document: bytes


Body = (
    AskStatus | AskNodes | AskWhy | AskFind | AskTrash | AskRestore | AskEmpty | AskSums | AskRemerge | AskWho
    | AskKick | AskBans | AskUnban | AskRefresh | AskStrike | AskForgetNode | AskSites | AskTicket
    | AskRelease | AskForget | Report
)  # fmt: skip
"""These messages are a frame's body."""
