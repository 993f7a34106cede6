"""A node's file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from argosy.config.tables import Table, check_ports, load, split_address
from argosy.errors import ConfigError


class Scrub(Table, frozen=True, kw_only=True):
    """`[scrub]`: files are read now and then, and compared with their checksums."""

    days: float = 14.0
    """A pass over all files begins so long after the one before; 0: only by order."""
    first_seconds: float = 3_600.0
    """The first one of a volume begins so long after the node's start."""
    bytes_per_second: int = 50_000_000
    """How fast a volume is read; 0: as fast as can be."""
    busy_share: float = 0.1
    """While transfers run, the share of the time in which it is read at all."""
    retry_seconds: float = 60.0
    """Pause after a disk couldn't be read at all."""
    sent_seconds: float = 3_600.0
    """A large file that is sent whole is compared, too, unless it was in the time before; 0: each time."""


class Node(Table, frozen=True, kw_only=True):
    """A node's whole file."""

    name: str
    """What the master calls it; the certificate says the same."""
    master: str
    """The master's link, `host:port`."""
    roots: tuple[str, ...]
    """Directories that hold the files, a volume each."""
    keys: str = "keys"
    """Where the node's certificate and key lie."""
    advertise: str = ""
    """The address that clients are told; empty: the one that the master sees."""
    listen: str = ""
    """The local address for data connections; empty: all."""
    ports: tuple[int, int] = (0, 0)
    """First and last port for data connections; 0 to 0: any free one."""
    labels: tuple[str, ...] = ()
    """For the rules' `prefer`, `require` and `avoid`."""
    floor_bytes: int = 0
    """Free space that each of its volumes shall have; below it room is made: deleted files go before their
    time, then others go elsewhere as far as the rules' `make_room` allows; 0: any little will do."""
    zone: str = ""
    """What fails together with it (a room, a house, a line); for rules whose `spread` is `zone`."""
    listeners: int = 8
    """Ports held open in advance, so that PASV costs no round trip."""
    transfer_threads: int = 512
    """Transfers at once; a further one waits."""
    small_bytes: int = 65_536
    """Files up to this size are moved without a thread where nothing has to be waited for."""
    block_bytes: int = 262_144
    """Read from a socket or a file in pieces of this size where sendfile can't serve."""
    lead_bytes: int = 33_554_432
    """How far an upload may be ahead of the copy that another node takes while it arrives, where there must
    be one before it is acknowledged: so much the client may have to wait for at its end."""
    lead_seconds: float = 10.0
    """How long it waits for such a copy that stands still; then it goes on by itself."""
    line_seconds: float = 30.0
    """How long a connection to another node is kept for the next upload that goes over it."""
    scan_seconds: float = 60.0
    """How often the disks are read for changes made by hand; never more than a twentieth of the time."""
    scan_loss_share: float = 0.05
    """A scan that would lose a greater share of a volume's files stops and asks."""
    scan_loss_files: int = 10_000
    """A scan that would lose more files stops and asks."""
    scan_loss_ignored: int = 100
    """A scan that would lose no more files than this never asks."""
    trash_seconds: float = 86_400.0
    """How long deleted files stay in the volume's trash; 0: not at all."""
    batch_files: int = 2_000
    """Files in one merge batch."""
    batch_seconds: float = 0.1
    """Changes gather for so long before they are told to the master."""
    retry_first_seconds: float = 0.2
    """Pause before the first try to reach a lost master; it doubles with each try."""
    retry_most_seconds: float = 30.0
    """The longest of those pauses."""
    outcome_seconds: float = 900.0
    """How long the outcome of a transfer is kept for a master that is away."""
    request_seconds: float = 30.0
    """How long connecting to the master, and each report to it, may take."""
    lost_seconds: float = 15.0
    """A master not heard of for so long is lost, and dialled again."""
    stop_seconds: float = 3.0
    """How long running transfers may go on when the node is told to stop."""
    scrub: Scrub = Scrub()
    """See there."""


def load_node(path: Path) -> Node:
    """Read a node's file.

    Raises:
        ConfigError: It can't be read, or says something that can't be; the message names the key.
    """
    node = load(path, Node)
    at = path.resolve().parent
    if not node.roots:
        raise ConfigError("roots: want at least one directory")
    if node.floor_bytes < 0:
        raise ConfigError(f"floor_bytes: want 0 or more, got {node.floor_bytes}")
    scrub = node.scrub
    least = min(scrub.days, scrub.first_seconds, scrub.bytes_per_second, scrub.sent_seconds)
    if least < 0 or scrub.retry_seconds <= 0:
        raise ConfigError(
            "scrub: retry_seconds wants more than 0, days, first_seconds, sent_seconds and the pace 0 or more"
        )
    if not 0 < scrub.busy_share <= 1:
        raise ConfigError(f"scrub.busy_share: want more than 0, at most 1, got {scrub.busy_share}")
    split_address("master", node.master)
    check_ports("ports", node.ports)
    return msgspec.structs.replace(
        node, roots=tuple(str(at / root) for root in node.roots), keys=str(at / node.keys)
    )
