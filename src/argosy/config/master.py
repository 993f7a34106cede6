"""A master's file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from argosy.config.tables import Table, check_ports, load, split_address
from argosy.errors import ConfigError

MOST_COPIES = 32
"""Who asks for more copies of a file means something else."""

MOST_DAYS = 100 * 365.0
"""A hundred years: as good as never."""

MOST_DELAY_SECONDS = 10 * 365 * 86_400
"""Ten years: as good as never."""


MOST_TRASH_DAYS = 3_650
"""Ten years: who wants to keep things for longer keeps them elsewhere."""


MOST_LIST_BYTES = 64 * 1024 * 1024
"""A list of checksums of a million files: the master holds it in memory."""


class Link(Table, frozen=True, kw_only=True):
    """`[link]`: where nodes reach the master, and how it watches them."""

    listen: str = "127.0.0.1:2122"
    """Address and port of the link; nodes dial it. TLS with certificates on both sides."""
    beat_seconds: float = 5.0
    """How often a node says that it is alive."""
    lost_seconds: float = 15.0
    """A node not heard of for so long is away, and its running transfers are given up."""
    redial_seconds: float = 2.0
    """A node whose machine ended the link, and that doesn't dial again within so long, is dead: its transfers
    are given up at once."""
    answer_seconds: float = 3.0
    """How long a node may take to say whether it can send a file, or that a transfer lives which hasn't moved
    a byte yet; then another is tried, or the client told."""
    request_seconds: float = 30.0
    """How long an order to a node may take to be answered."""
    checksum_seconds: float = 3600.0
    """How long a node may take to read a file for its checksum."""
    window: int = 4
    """Merge batches that a node may have under way at once."""
    token_seconds: float = 3600.0
    """How long a join token is good for."""
    certificate_days: int = 90
    """How long a node's certificate is good for; it is renewed at two thirds."""


class FtpDoor(Table, frozen=True, kw_only=True):
    """`[ftp]`: the FTP door."""

    listen: str = "127.0.0.1:2121"
    """Address and port of the control connection."""
    advertise: str = ""
    """The address for 227 replies when the master carries the data itself, behind NAT; empty: its own."""
    passive_ports: tuple[int, int] = (0, 0)
    """First and last port for data connections that the master carries itself; 0 to 0: any free one."""
    greeting: str = "Argosy ready"
    """The text of the 220 reply."""
    welcome: str = ""
    """Said after each login, before the user's own welcome; may have several lines."""
    anonymous: str = ""
    """The user whose settings the logins `anonymous` and `ftp` get, with any password; empty: they are names
    like others. RFC 1635."""
    anonymous_may_write: bool = False
    """Let them do all that this user may; else only look and read."""
    hosts: tuple[str, ...] = ()
    """Names, or addresses, by which clients may know this site (HOST, RFC 7151); empty: any name, and the
    address that the client is connected to or `advertise`."""
    implicit_listen: str = ""
    """Address and port for clients that begin with TLS (`ftps://`, 990 by custom); empty: none."""
    require_tls: bool = False
    """Refuse USER before AUTH TLS."""
    require_data_tls: bool = False
    """Refuse transfers and listings before PROT P."""
    certificate: str = ""
    """Certificate chain for TLS, PEM; empty: one signed by the site's own authority."""
    key: str = ""
    """The certificate's key, PEM."""
    certificate_seconds: float = 60.0
    """How often both files are looked at; a new certificate is used without a restart."""
    epsv_after_pret: Literal["refuse", "relay"] = "refuse"
    """What EPSV answers when PRET chose a node elsewhere: 500, so that the client falls back to PASV and
    goes straight to the node, or a relay through the master."""
    idle_seconds: float = 300.0
    """Hang up after so long without a command. RFC 1123 section 4.1.3.2 asks for at least 300."""
    login_seconds: float = 60.0
    """Hang up on who hasn't logged in by then."""
    login_failures: int = 5
    """Hang up after so many wrong passwords."""
    failure_pause_seconds: float = 1.0
    """Wait before saying that a password was wrong; the wait doubles with each failure."""
    connect_seconds: float = 30.0
    """How long a data connection is waited for."""
    stall_seconds: float = 120.0
    """How long a data connection may stand still."""
    line_limit: int = 8192
    """Bytes in a command line: a path of PATH_MAX with every byte doubled."""
    pipeline_limit: int = 100
    """Commands read ahead of the one being answered; then the socket isn't read."""
    ban_failures: int = 20
    """Wrong passwords from one address (IPv6: one /64 network) that have it turned away; 0: never."""
    ban_window_seconds: float = 600.0
    """For so long each of them counts."""
    ban_seconds: float = 600.0
    """For so long the address is turned away, with 421."""
    dismiss_seconds: float = 5.0
    """How long a session that is hung up on may take to end its transfer in order."""
    sessions_per_address: int = 2000
    """Control connections from one address (IPv6: one /64 network) at once, lest one takes them all; 0: any
    number."""
    session_limit: int = 5000
    """Control connections at once; a further one hears 421."""
    data_threads: int = 256
    """Listings and relays that the master carries at once; a further one waits."""
    relay_bytes: int = 1_048_576
    """The pipe between the two sockets of a relay."""


class Catalogue(Table, frozen=True, kw_only=True):
    """`[catalogue]`: the master's record."""

    directory: str = "catalogue"
    """Where the database lies."""
    cache_bytes: int = 64 * 1024 * 1024
    """Page cache of the database, for each of its connections."""
    batch_limit: int = 256
    """Changes that share one commit at the most."""
    busy_seconds: float = 30.0
    """How long a change waits for one that another process is making."""
    partial_seconds: float = 86_400.0
    """How long a cut upload is kept for REST and APPE."""
    backup_bytes_per_second: int = 200_000_000
    """How fast `argosy backup` reads it; 0: as fast as can be."""
    upkeep_seconds: float = 5.0
    """How often owed deletions and moves on the nodes' disks are looked for."""


class Accounts(Table, frozen=True, kw_only=True):
    """`[accounts]`: users and groups."""

    refresh_seconds: float = 1.0
    """How often changes of users and groups, and expiries, are looked for on behalf of those logged in."""


class Search(Table, frozen=True, kw_only=True):
    """`[search]`: looking through the whole tree."""

    limit: int = 1_000
    """Entries that SITE FIND and SITE SEARCH show at the most."""
    seconds: float = 30.0
    """How long a search may take; then what was found so far is shown."""
    at_once: int = 2
    """Searches that run at once; a further one waits."""


class Quota(Table, frozen=True, kw_only=True):
    """`[quota]`: how much users, groups and sections hold."""

    count_seconds: float = 600.0
    """How often that is counted anew, where anybody has a quota; what passes the doors is noted at once."""


Spread = Literal["node", "zone"]
"""What no two copies of a file shall share, as far as there are enough of them."""


class Section(Table, frozen=True, kw_only=True):
    """`[sections.NAME]`: a subtree with rules of its own. The deepest that holds a path counts."""

    path: str
    """The subtree's root, as `/video`."""
    prefer: tuple[str, ...] = ()
    """Labels: nodes that have one are chosen first for uploads."""
    require: tuple[str, ...] = ()
    """Labels: only nodes that have all of them are chosen for uploads."""
    quota_bytes: int = 0
    """What the files in it may come to; 0: no limit."""
    quota_files: int = 0
    """How many files it may have; 0: no limit."""
    flush: bool = True
    """Flush uploads to the disk before 226. Without, a power cut can lose what was acknowledged."""
    message: str = ""
    """Said to who enters the subtree's root by CWD; may have several lines."""
    read_arriving: bool = True
    """Send a file that is still arriving to who asks for it, as it comes; else refuse until it is whole."""
    serve_damaged: bool = False
    """Send a file whose only copy is known to be bad to who asks for it; else refuse."""
    copies: int = 0
    """On so many volumes each file shall lie; 0: on one, and copies that are found stay where they are."""
    acknowledged: int = 1
    """So many copies there must be before 226."""
    spread: Spread = "node"
    """Copies go to different nodes, or to nodes in different zones first."""
    avoid: tuple[str, ...] = ()
    """Labels: nodes that have one are chosen last."""
    only: tuple[str, ...] = ()
    """Labels or names of nodes: only those that have or are one of them; files leave all others."""
    archive_after_days: float = 0.0
    """Files that haven't changed for so long go to `archive_to`; 0: never."""
    archive_to: tuple[str, ...] = ()
    """Labels or names of nodes: where they go."""
    retention_days: float = 0.0
    """Files unchanged for so long are deleted, `repair.grace_seconds` after that was told; 0: never."""
    repair_delay_seconds: float = 600.0
    """A node away for longer is no longer reckoned with, and its copies are made elsewhere."""
    trash_days: float = 0.0
    """What is deleted or overwritten is kept for so long, and can be restored; 0: not at all."""
    make_room: bool = False
    """Files may leave a disk with less free space than its `floor_bytes`, the oldest first: they go to other
    nodes, or only away where another copy is enough."""


class Placement(Table, frozen=True, kw_only=True):
    """`[placement]`: what counts how much when a node is chosen. Points; the highest sum wins."""

    free_share: float = 40.0
    """For an empty disk; none for a full one. Uploads only."""
    idle: float = 30.0
    """For a node without transfers; falls with each one that runs."""
    load: float = 10.0
    """For a load average of nothing; none at one per processor."""
    bandwidth: float = 20.0
    """For a node that moved nothing of late; falls with the bytes it moves."""
    preferred: float = 100.0
    """For a label that the section prefers."""
    silent: float = 100.0
    """Against a node, for each beat of its that didn't come."""
    trouble: float = 40.0
    """Against a volume, for each time of late that it refused to send or that its node didn't answer; at most
    three count."""
    trouble_seconds: float = 120.0
    """After so long such a time counts half."""
    slow: float = 60.0
    """Against a node that moves less than a fourth of what others move for the same client, or that waits so
    long for its own disk; the more, the slower."""
    slow_seconds: float = 300.0
    """After so long that counts half, and the node is tried again."""
    reserve_bytes: int = 256 * 1024 * 1024
    """Room on a volume below which it takes no uploads."""
    fast_bytes_per_second: float = 125_000_000.0
    """What counts as a node's full bandwidth: one gigabit."""


class Repair(Table, frozen=True, kw_only=True):
    """`[repair]`: copies that the site makes by itself, from node to node."""

    batch_files: int = 1_000
    """Files that are copied over one connection at the most, 2,000 at the highest."""
    batch_bytes: int = 1_073_741_824
    """Bytes of a batch; a larger file goes alone."""
    copies_per_node: int = 2
    """Batches that a node sends or takes at once; a further one waits."""
    node_bytes_per_second: int = 0
    """How fast a node may send, and take, for all its copies together; 0: as fast as can be."""
    seconds: float = 3_600.0
    """How long a batch may take; a large file that isn't over by then is gone on with in the next."""
    acknowledge_seconds: float = 60.0
    """How long an upload's client waits, after its last byte, for the copies that it is acknowledged with."""
    part_seconds: float = 86_400.0
    """How long the part of a copy that was cut is kept, to be gone on with."""
    audit_seconds: float = 86_400.0
    """How often all files are looked at, whether they have the copies that are wanted."""
    grace_seconds: float = 86_400.0
    """A file that has outlived its `retention_days` is told of for so long before it goes."""
    retry_first_seconds: float = 5.0
    """Pause before a file is tried again whose copies couldn't be made; it doubles with each try."""
    retry_most_seconds: float = 3_600.0
    """The longest of those pauses. They end when a node joins or a rule is changed."""


class Findings(Table, frozen=True, kw_only=True):
    """`[findings]`: copies whose bytes aren't what they should be."""

    quarantine_seconds: float = 30 * 86_400.0
    """How long a bad copy is kept in its disk's quarantine, if there is a good one elsewhere."""
    quarantine_bytes: int = 10 * 1024 * 1024 * 1024
    """How much of it is kept on a volume; then the oldest goes, if there is a good one; 0: any amount."""
    recheck_seconds: float = 3_600.0
    """How often a bad copy that is the last one is read once more."""
    kept_seconds: float = 365 * 86_400.0
    """How long it is remembered what was found, once nothing is to be done about it."""
    verify_at_once: int = 4
    """Copies that `argosy verify` has a volume asked for at once; it reads them one after the other."""


class Sums(Table, frozen=True, kw_only=True):
    """`[sums]`: lists of checksums that lie beside files, SFV and the like."""

    list_bytes: int = 1_048_576
    """A list of more bytes isn't read; 0: none is."""
    directory_bytes: int = 2_097_152
    """Of a directory's lists, in order of name, so many bytes count, and the first in any case."""
    kept_bytes: int = 268_435_456
    """All lists of the site may have so many bytes in the record: others aren't read."""
    folders: int = 1_000
    """Folders that are looked into for files that one directory's lists name further down."""
    seconds: float = 60.0
    """How long it may take to hold a directory against its lists for who asks for it."""
    at_once: int = 2
    """Threads in which files are held against lists."""
    show_completeness: bool = False
    """Whether a listing of a directory with lists begins with an entry that tells how complete it is."""


class Paths(Table, frozen=True, kw_only=True):
    """`[paths]`: what is kept where."""

    keys: str = "keys"
    """Certificates and keys."""
    run: str = "run"
    """The local socket for administration."""


class Master(Table, frozen=True, kw_only=True):
    """A master's whole file."""

    paths: Paths = Paths()
    link: Link = Link()
    ftp: FtpDoor = FtpDoor()
    catalogue: Catalogue = Catalogue()
    accounts: Accounts = Accounts()
    quota: Quota = Quota()
    placement: Placement = Placement()
    repair: Repair = Repair()
    findings: Findings = Findings()
    search: Search = Search()
    sums: Sums = Sums()
    sections: dict[str, Section] = msgspec.field(default_factory=dict)


def check_copies(where: str, copies: int, acknowledged: int, repair_delay_seconds: float) -> None:
    """See that what is wanted of copies makes sense.

    Raises:
        ConfigError: It doesn't; the message names the key below `where`.
    """
    if not 0 <= copies <= MOST_COPIES:
        raise ConfigError(f"{where}.copies: want 0 to {MOST_COPIES}, got {copies}")
    if not 1 <= acknowledged <= max(copies, 1):
        raise ConfigError(f"{where}.acknowledged: want 1 to copies, {max(copies, 1)}, got {acknowledged}")
    if not 0 <= repair_delay_seconds <= MOST_DELAY_SECONDS:
        raise ConfigError(
            f"{where}.repair_delay_seconds: want 0 to {MOST_DELAY_SECONDS}, got {repair_delay_seconds}"
        )


def check_ages(where: str, archive_after_days: float, retention_days: float) -> None:
    """See that what is wanted of old files makes sense.

    Raises:
        ConfigError: It doesn't; the message names the key below `where`.
    """
    if not 0 <= archive_after_days <= MOST_DAYS:
        raise ConfigError(f"{where}.archive_after_days: want 0 to {MOST_DAYS:g}, got {archive_after_days:g}")
    if not 0 <= retention_days <= MOST_DAYS:
        raise ConfigError(f"{where}.retention_days: want 0 to {MOST_DAYS:g}, got {retention_days:g}")


def check_trash(where: str, days: float) -> None:
    """See that the trash keeps things for a time that makes sense.

    Raises:
        ConfigError: It doesn't; the message names the key below `where`.
    """
    if not 0 <= days <= MOST_TRASH_DAYS:
        raise ConfigError(f"{where}.trash_days: want 0 to {MOST_TRASH_DAYS}, got {days:g}")


def load_master(path: Path) -> Master:
    """Read a master's file.

    Raises:
        ConfigError: It can't be read, or says something that can't be; the message names the key.
    """
    master = load(path, Master)
    at = path.resolve().parent
    ftp, link = master.ftp, master.link
    if ftp.idle_seconds <= 0 or ftp.stall_seconds <= 0 or ftp.connect_seconds <= 0:
        raise ConfigError("ftp: idle_seconds, stall_seconds and connect_seconds want more than 0")
    if master.accounts.refresh_seconds <= 0 or master.quota.count_seconds <= 0:
        raise ConfigError("accounts.refresh_seconds and quota.count_seconds want more than 0")
    if master.search.at_once < 1 or master.search.limit < 1 or master.search.seconds <= 0:
        raise ConfigError("search: limit and at_once want at least 1, seconds more than 0")
    _check_sums(master.sums)
    _check_repair(master.repair)
    if link.redial_seconds <= 0 or link.answer_seconds <= 0:
        raise ConfigError("link: redial_seconds and answer_seconds want more than 0")
    _check_findings(master.findings)
    if link.lost_seconds <= link.beat_seconds:
        raise ConfigError("link.lost_seconds: want more than link.beat_seconds")
    if bool(ftp.certificate) != bool(ftp.key):
        raise ConfigError("ftp: certificate and key go together")
    check_ports("ftp.passive_ports", ftp.passive_ports)
    for key, address in (
        ("ftp.listen", ftp.listen),
        ("ftp.implicit_listen", ftp.implicit_listen or ftp.listen),
        ("link.listen", link.listen),
    ):
        split_address(key, address)
    for name, section in master.sections.items():
        if not section.path.startswith("/"):
            raise ConfigError(f"sections.{name}.path: want an absolute path, got {section.path!r}")
        check_trash(f"sections.{name}", section.trash_days)
        check_copies(f"sections.{name}", section.copies, section.acknowledged, section.repair_delay_seconds)
        check_ages(f"sections.{name}", section.archive_after_days, section.retention_days)
        if bool(section.archive_after_days) != bool(section.archive_to):
            raise ConfigError(f"sections.{name}: archive_after_days and archive_to go together")
    return msgspec.structs.replace(
        master,
        paths=Paths(keys=str(at / master.paths.keys), run=str(at / master.paths.run)),
        catalogue=msgspec.structs.replace(master.catalogue, directory=str(at / master.catalogue.directory)),
        ftp=msgspec.structs.replace(
            ftp,
            certificate=str(at / ftp.certificate) if ftp.certificate else "",
            key=str(at / ftp.key) if ftp.key else "",
        ),
    )


def _check_sums(sums: Sums) -> None:
    if not 0 <= sums.list_bytes <= MOST_LIST_BYTES:
        raise ConfigError(f"sums.list_bytes: want 0 to {MOST_LIST_BYTES}, got {sums.list_bytes}")
    if min(sums.directory_bytes, sums.kept_bytes, sums.folders) < 0:
        raise ConfigError("sums: directory_bytes, kept_bytes and folders want at least 0")
    if sums.seconds <= 0 or sums.at_once < 1:
        raise ConfigError("sums: at_once wants at least 1, seconds more than 0")


def _check_findings(findings: Findings) -> None:
    if min(findings.quarantine_seconds, findings.quarantine_bytes, findings.kept_seconds) < 0:
        raise ConfigError("findings: quarantine_seconds, quarantine_bytes and kept_seconds want 0 or more")
    if findings.recheck_seconds <= 0 or findings.verify_at_once < 1:
        raise ConfigError("findings: recheck_seconds wants more than 0, verify_at_once at least 1")


def _check_repair(repair: Repair) -> None:
    if not 1 <= repair.batch_files <= 2_000 or repair.batch_bytes < 1 or repair.copies_per_node < 1:
        raise ConfigError("repair: batch_files wants 1 to 2000, batch_bytes and copies_per_node at least 1")
    if repair.grace_seconds < 0:
        raise ConfigError("repair.grace_seconds: want 0 or more")
    if repair.node_bytes_per_second < 0 or repair.seconds <= 0 or repair.part_seconds < 0:
        raise ConfigError("repair: seconds wants more than 0, the others not less")
    if repair.acknowledge_seconds <= 0:
        raise ConfigError("repair.acknowledge_seconds: want more than 0")
    if repair.audit_seconds <= 0 or not 0 < repair.retry_first_seconds <= repair.retry_most_seconds:
        raise ConfigError(
            "repair: audit_seconds and retry_first_seconds want more than 0, retry_most_seconds no less"
        )
