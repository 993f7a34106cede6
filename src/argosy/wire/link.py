"""The link between the master and a node: frames and messages, as `docs/link-protocol.md` says.

A frame is a big-endian u32 (the length of what follows) and one msgpack array `[id, reply, body]`.
`id` 0 is a note that wants no reply; any other id is a request, and its reply carries the same id with
`reply` true. The body is an array whose first element is the message's name.
"""

from __future__ import annotations

import struct

import msgspec

VERSION = 1
"""What `Hello` and `Welcome` carry. A peer of another major version is told so and hung up on."""

FRAME_LIMIT = 16 * 1024 * 1024
"""Bytes in one frame. A merge batch of 2,000 files of 255-byte names takes 0.7 MB."""

_LENGTH = struct.Struct(">I")

ALIVE = _LENGTH.pack(0)
"""A frame of nothing: says only that the sender is alive."""


class LinkError(Exception):
    """The peer sent what no peer may send; the link is closed."""


class Message(msgspec.Struct, array_like=True):
    """What travels in a frame. New fields go at the end, with a default."""


# --- both ways ----


class Ok(Message, tag="ok"):
    """Done; nothing more to say."""


class No(Message, tag="no"):
    """The request was refused: the refusal's class name in `argosy.errors`, and about what."""

    refusal: str
    subject: str


# --- joining: the node speaks first -----------------------------------------------------------------


class Enrol(Message, tag="enrol"):
    """First contact, without a client certificate: a token's secret for a certificate."""

    token: str
    secret: str
    name: str
    request: bytes
    """Certificate signing request, PEM. The key stays on the node's machine."""


class Enrolled(Message, tag="enrolled"):
    """The answer to `Enrol` and `Renew`: the node's certificate and the authority's, PEM."""

    certificate: bytes
    authority: bytes


class AskAuthority(Message, tag="authority"):
    """Before `Enrol`: which certificate authority? The answer is checked against the token's hash."""


class Authority(Message, tag="authority-is"):
    """The certificate authority's certificate, PEM."""

    certificate: bytes


class Renew(Message, tag="renew"):
    """A new certificate for a node whose old one is two thirds through."""

    request: bytes


class Part(Message, tag="part"):
    """An unfinished or uncommitted upload that lies on a volume."""

    upload: int
    received: int
    sealed: bool


class VolumeState(Message, tag="volume"):
    """One of the node's roots."""

    store_id: str
    seq: int
    """The newest change in its journal."""
    total: int
    free: int
    parts: list[Part]


class Hello(Message, tag="hello"):
    """The node's first request on a link with certificates on both sides."""

    version: int
    software: str
    boot: str
    """Random, of this life of the node's process: a new one raises the node's epoch."""
    advertise: str
    """The address for 227 replies; empty: the address that the link comes from."""
    labels: list[str]
    volumes: list[VolumeState]
    running: list[int]
    """Tickets of transfers that go on, or whose outcome the master hasn't heard."""


class Welcome(Message, tag="welcome"):
    """The answer to `Hello`."""

    version: int
    epoch: int
    beat_seconds: float
    """How often the node says `Beat`."""
    window: int
    """How many `Changes` may wait for their reply at once, over all volumes."""
    connect_seconds: float
    """How long an expected data connection is waited for."""
    stall_seconds: float
    """How long a data connection may stand still."""
    certificate: bytes
    """The FTP door's certificate chain and key, PEM, for TLS on data connections."""
    key: bytes


# --- the master's orders ----


class Certificate(Message, tag="certificate"):
    """A note: the FTP door has another certificate, for TLS on data connections from now on."""

    certificate: bytes
    key: bytes


class CommitPart(Message, tag="commit-part"):
    """One upload that the catalogue has committed, and where it shall lie."""

    upload: int
    loc: bytes
    mtime_ns: int


class Commit(Message, tag="commit"):
    """Put sealed uploads in place. Safe to repeat; answered by `Ok`."""

    store_id: str
    parts: list[CommitPart]


class Forget(Message, tag="forget"):
    """Remove parts that nobody will go on with. Safe to repeat; answered by `Ok`."""

    store_id: str
    uploads: list[int]


class Doomed(Message, tag="doomed"):
    """One file to delete, only if it has just this size and time."""

    loc: bytes
    ver: int
    size: int
    mtime_ns: int


class Discard(Message, tag="discard"):
    """Move files to the volume's trash. Safe to repeat; answered by `Ok`."""

    store_id: str
    files: list[Doomed]


class Settle(Message, tag="settle"):
    """Bring a file's place and time on the disk in line with the tree. Answered by `Ok`.

    The place is never taken from another file: then the refusal is `Exists`, and the master asks later.
    """

    store_id: str
    loc: bytes
    ver: int
    size: int
    to: bytes
    mtime_ns: int


class Feed(Message, tag="feed"):
    """Begin to send this volume's changes after `since`, and go on with new ones as they come.

    `whole`: send first the whole file list in order of loc (batches with `upto`), once the scan at the
    node's start is over. Answered by `Ok` at once.
    """

    store_id: str
    since: int
    whole: bool


class Scan(Message, tag="scan"):
    """Read the disk now and journal what changed. Answered by `Scanned` when done."""

    store_id: str
    accept_losses: bool


class Scanned(Message, tag="scanned"):
    """What a scan found: files, changes journalled, and losses held back for the administrator."""

    files: int
    changes: int
    held_losses: int
    seq: int = 0
    """The journal's newest change now: once it is merged, so is the scan."""


class Checksum(Message, tag="checksum"):
    """Read a file and give its checksums. Answered by `Checksums`."""

    store_id: str
    loc: bytes
    ver: int
    size: int
    algorithms: list[str]
    """Of `crc32`, `xxh3`, `md5`, `sha1`, `sha256`, `sha512`."""
    offset: int = 0
    length: int = -1
    """Bytes from `offset` on; -1: to the end."""


class Checksums(Message, tag="checksums"):
    """Hex digits by algorithm."""

    values: dict[str, str]


class Expect(Message, tag="expect"):
    """A client will connect to this listening port. A note, where TLS is to be shaken as soon as it does."""

    ticket: int
    port: int
    peer: str
    """The only address that may connect; empty for any (FXP)."""
    tls: bool


class Dial(Message, tag="dial"):
    """Connect to an address (PORT, EPRT), or to the master's relay.

    For a relay `host` is empty: the node dials the host where its link goes to, and with `tls` shows its
    own certificate and wants the master's. For a client `tls` makes the node the TLS server.
    """

    ticket: int
    host: str
    port: int
    tls: bool


ARRIVING = -1
"""A `Send.size`: as much as there is when the upload ends."""

Meet = Expect | Dial
"""How a ticket's data connection comes about."""


class Send(Message, tag="send"):
    """A note: send a file over this ticket's data connection. Its outcome is `Done`.

    With `size` -1 (`ARRIVING`) the file is the upload `ver`, which may still be arriving: send what is
    there, and what comes, until it ends. `loc` means nothing then.
    """

    ticket: int
    store_id: str
    loc: bytes
    ver: int
    size: int
    offset: int
    ascii: bool
    meet: Meet | None = None
    """The data connection, where it wasn't told of before."""


class Base(Message, tag="base"):
    """The live file whose first `offset` bytes a new version begins with."""

    loc: bytes
    ver: int
    size: int


class Receive(Message, tag="receive"):
    """A note: take a file from this ticket's data connection into a part. Its outcome is `Done`."""

    ticket: int
    store_id: str
    upload: int
    offset: int
    """Write from here on; what lies behind goes. The part so far, or `base`, holds the bytes before."""
    base: Base | None
    ascii: bool
    announced: int
    """Bytes that ALLO announced; -1: unknown. Fewer is a failure."""
    flush: bool
    """Flush to the disk before sealing."""
    meet: Meet | None = None
    """As in `Send`."""
    room: int = -1
    """The file may become so long and no longer, else `OverQuota`; -1: as long as it likes."""


class Pace(Message, tag="pace"):
    """A note: move this ticket's bytes no faster from now on. The last one counts."""

    ticket: int
    bytes_per_second: int
    """0: as fast as can be."""


class Cancel(Message, tag="cancel"):
    """A note: end this ticket's transfer or wait; if a transfer ran, `Done` says `TransferCut`."""

    ticket: int


# --- the node's reports ----


class Done(Message, tag="done"):
    """A transfer's outcome; repeated after a reconnect until the master answers `Ok`."""

    ticket: int
    moved: int
    """Bytes over the data connection in this transfer."""
    refusal: str
    """Empty: all went well. Else a refusal's class name in `argosy.errors`."""
    subject: str
    size: int = 0
    """For `Receive`: the part's size now, sealed or not; -1: unknown."""
    mtime_ns: int = 0
    crc32: int | None = None
    digest: bytes | None = None


class Ports(Message, tag="ports"):
    """A note: these ports listen from now on and wait for an `Expect`."""

    ports: list[int]


class Running(Message, tag="running"):
    """How far a transfer is."""

    ticket: int
    moved: int


class Space(Message, tag="space"):
    """A volume's room in bytes."""

    store_id: str
    total: int
    free: int
    files: int


class Beat(Message, tag="beat"):
    """A note, at `beat_seconds`: alive, with figures."""

    load: float
    """One-minute load average over the number of processors."""
    in_rate: float
    """Bytes per second received over the last beat."""
    out_rate: float
    volumes: list[Space]
    running: list[Running]


class File(Message, tag="f", gc=False):
    """One file of a `Group`."""

    name: bytes
    size: int
    mtime_ns: int
    ver: int = 0
    crc32: int | None = None
    digest: bytes | None = None
    gone: bool = False


class Group(Message, tag="g"):
    """Files of one directory, in order."""

    directory: bytes
    """Below the root, without slashes at the ends; empty for the root itself."""
    files: list[File]


class Changes(Message, tag="changes"):
    """A batch of a volume's file list. Answered by `Merged` once it is in the catalogue.

    With `whole` the batch holds every file with `after < loc <= upto` (the last: no `upto`), in order of
    loc; what isn't in it is gone. Without, it holds changes in order of `seq`; files that one step of
    the journal touched stand in the same batch.
    """

    store_id: str
    seq: int
    """The newest change covered; while a whole list runs, unchanged until its last batch."""
    whole: bool
    after: bytes
    upto: bytes | None
    groups: list[Group]


class Merged(Message, tag="merged"):
    """The master has it; the node may forget deletions up to this change."""

    seq: int


class Held(Message, tag="held"):
    """A note: a scan would lose so many of a volume's files that a person should look first."""

    store_id: str
    losses: int
    files: int


# --- administration, over the local sockets of master and gateway ---------------------------------------


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
    names: list[bytes] = []
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


class AskRemerge(Message, tag="ask-remerge"):
    """Have a node read its disks now and merge the whole list. Answered by `Report`."""

    node: str
    accept_losses: bool


class AskWho(Message, tag="ask-who"):
    """Who is here, and what does each do? Answered by `Report`."""


class AskKick(Message, tag="ask-kick"):
    """Hang up on a session, by its id, or on all of a user. Answered by `Report`."""

    who: str
    sentence: str
    """What the user is told; empty: the usual."""


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


class Report(Message, tag="report"):
    """An answer for people and scripts: a JSON document."""

    document: bytes


Body = (
    Ok | No | Enrol | Enrolled | AskAuthority | Authority | Renew | Hello | Welcome | Commit | Forget
    | Discard | Settle | Feed | Scan | Scanned | Checksum | Checksums | Expect | Dial | Send | Receive
    | Certificate | Pace | Cancel | Done | Ports | Beat | Changes | Merged | Held | AskStatus | AskNodes
    | AskWhy | AskFind | AskRemerge | AskWho | AskKick | AskBans | AskUnban | AskRefresh
    | AskSites | AskTicket | Report
)  # fmt: skip


class Frame(msgspec.Struct, array_like=True):
    """One message with its place in the conversation."""

    id: int
    reply: bool
    body: Body


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Give a frame's bytes, length first.

    Raises:
        LinkError: It is longer than `FRAME_LIMIT`: our own bug, caught before the peer hangs up.
    """
    buffer = bytearray(_LENGTH.size)
    _encoder.encode_into(frame, buffer, _LENGTH.size)
    length = len(buffer) - _LENGTH.size
    if length > FRAME_LIMIT:
        raise LinkError(f"frame of {length} bytes")
    _LENGTH.pack_into(buffer, 0, length)
    return bytes(buffer)


class FrameReader:
    """Cut a stream of bytes into frames, wherever the network cut it."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes as they come and give each frame that is whole now.

        Raises:
            LinkError: A frame over the limit, or one that isn't of `Frame`'s form. Close the link.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > self.limit:
                raise LinkError(f"frame of {length} bytes, limit {self.limit}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            if not length:
                start = end
                continue
            try:
                with memoryview(self._buffer) as view:
                    frame = _decoder.decode(view[start + _LENGTH.size : end])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise LinkError(f"not a frame: {error}") from error
            start = end
            frames.append(frame)
        del self._buffer[:start]
        return frames
