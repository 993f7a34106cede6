"""A gateway's file: FTP sites as directories by NFS. All of it may be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from argosy.config.tables import Table, load, split_address
from argosy.errors import ConfigError

TICKET = "ticket-"
"""How the names of exports begin that are good for one mount."""


class NfsDoor(Table, frozen=True, kw_only=True):
    """`[nfs]`: the NFS door."""

    listen: str = "127.0.0.1:12049"
    """Address and port of MOUNT and NFS, both by TCP."""
    networks: tuple[str, ...] = ()
    """Networks whose clients may mount, as `192.168.1.0/24`; empty: this machine's own addresses."""
    connections: int = 256
    """Clients' connections at once; one more is closed at once."""
    calls: int = 1024
    """Calls of one connection that are worked on at once; the next wait their turn."""
    memory_bytes: int = 128 * 1024 * 1024
    """What the calls that are worked on may take; then the connections that hold most are read no further."""
    idle_seconds: float = 900.0
    """A connection on which nothing was said for so long is closed; clients connect again when they need."""
    stall_seconds: float = 60.0
    """How long the rest of a begun call may take to come, and a client to take any of a reply."""
    replies: int = 4096
    """Replies kept, so that a change that is asked for again is answered again and not made twice."""
    uid: int = -1
    """Who owns files of which the site doesn't say it, and may do what the login may; -1: whoever mounts, or,
    if that is root, runs the gateway."""
    gid: int = -1
    """Their group; -1: likewise."""
    unwanted: tuple[str, ...] = ()
    """Patterns of names that clients may not make, as `._*` and `.DS_Store`, which macOS leaves behind."""
    hold_seconds: float = 45.0
    """How long a call is held while the site works, before the client is told to ask again. Less than a
    minute: then Linux repeats it by itself."""
    rpcbind_seconds: float = 3.0
    """How long telling rpcbind our port, where there is one, may take; 0: it isn't told."""
    ticket_seconds: float = 60.0
    """How long a ticket of `argosy mount` waits to be used; it is good for one mount."""
    logins: int = 16
    """Clients whose mount logs in at its site at the same time, at the most; the next wait their turn."""
    login_seconds: float = 30.0
    """How long a client waits for that turn, before its mount is refused."""


class Remote(Table, frozen=True, kw_only=True):
    """`[remote]`: how FTP sites are treated."""

    connections: int = 8
    """Control connections to one site, for one mount, at the most."""
    connect_seconds: float = 20.0
    """How long connecting, by control or data connection, may take."""
    reply_seconds: float = 60.0
    """How long a site may take to answer a command."""
    stall_seconds: float = 60.0
    """How long a data connection may stand still."""
    heads: int = 4
    """Data connections that share the reading of one large file over a long distance, at the most."""
    read_ahead_bytes: int = 16 * 1024 * 1024
    """What is fetched ahead of who reads in order, at the most; never more than an eighth of the cache."""
    park_seconds: float = 10.0
    """A data connection is kept for so long for who may read on, if nobody else needs it."""
    ready_seconds: float = 5.0
    """A data connection that was opened beforehand is kept for so long; 0: none is opened beforehand."""
    idle_seconds: float = 60.0
    """A control connection unused for so long is closed."""
    sleep_seconds: float = 900.0
    """A mount that nobody used for so long is closed, with its threads and what it has in memory; the next
    call opens it again. 0: never."""
    leftover_seconds: float = 0.0
    """A file `.nfs...`, as clients make of one that is deleted while it is open, is removed if it is older,
    when its directory is listed: a client that crashed has left it there. 0: never."""
    away_seconds: float = 30.0
    """How long a call is held for a site that is away, or whose connections are busy."""
    mount_seconds: float = 3.0
    """How long a site that lets nobody in is asked again before a mount is refused."""
    retry_first_seconds: float = 0.5
    """The first pause before a site that let nobody in is tried again; each is twice the one before."""
    retry_most_seconds: float = 30.0
    """The longest such pause."""
    limit_seconds: float = 60.0
    """A site that said it has too many of our connections is asked for one more after so long."""
    listing_seconds: float = 10.0
    """How long a listing, and that a name isn't there, is believed."""
    listed_names: int = 300_000
    """Names of listings that are kept in memory for one mount, beside the largest directory."""
    large_directory: int = 2_000
    """A directory of more names isn't listed anew to learn of one file."""
    listing_bytes: int = 128 * 1024 * 1024
    """How long one listing may be, as it comes over the wire."""
    certificates: Literal["checked", "any"] = "checked"
    """Whether a site with TLS has to show a certificate that we trust."""
    trust_file: str = ""
    """Certificates of further authorities to trust, PEM; empty: those of the system alone."""


LEAST_CACHE_BYTES = 16 * 1024 * 1024

LEAST_SLEEP_SECONDS = 10.0
"""Less would have a mount log in again for each look."""

LEAST_LEFTOVER_SECONDS = 3600.0
"""A client that lives removes such a file itself, when the last program closes it."""


class Cache(Table, frozen=True, kw_only=True):
    """`[cache]`: what was read is kept."""

    memory_bytes: int = 256 * 1024 * 1024
    """In memory, for all mounts; at least 16 MiB."""
    disk_bytes: int = 0
    """On disk, for all mounts; 0: none."""
    spool_bytes: int = 4 * 1024 * 1024 * 1024
    """On disk, for files of sites that can't begin in the middle of one: each is fetched once, and kept."""


class Journal(Table, frozen=True, kw_only=True):
    """`[journal]`: what was written is kept until the site has it."""

    disk_bytes: int = 16 * 1024 * 1024 * 1024
    """What may lie in it, for all mounts; a writer waits when it is full."""
    full_seconds: float = 30.0
    """How long a writer waits for room before it is told that there is none."""
    create_seconds: float = 1.0
    """A new or truncated file to which nothing is written is made on the site after so long."""
    quiet_seconds: float = 5.0
    """Written data goes to the site after so long without a write, whether or not a client asks for it."""
    stream_bytes: int = 8 * 1024 * 1024
    """When so much was written in order, the upload begins, and goes along with the writer."""
    whole_bytes: int = 4 * 1024 * 1024
    """A file of no more is replaced as a whole when it is changed in the middle."""
    flush_seconds: float = 45.0
    """How long a client that asks for the data to be on the site is kept waiting while the site is away."""
    retry_seconds: float = 60.0
    """The longest pause before an upload that failed is tried again; the first is a second."""
    refused_seconds: float = 120.0
    """What a site has refused for good is dropped so long after a program has heard of it last."""
    progress_seconds: float = 10.0
    """How often the log tells of an upload that takes long."""


class SiteOf(Table, frozen=True, kw_only=True):
    """`[sites.NAME]`: a site that can be mounted by its name, as `gateway:/NAME`."""

    url: str
    """`ftp://user@host:port/directory`, or `ftps://` for implicit TLS."""
    password_file: str = ""
    """The file whose first line is the password; empty: none is needed."""
    tls: Literal["", "off", "wanted", "needed", "implicit"] = ""
    """TLS; empty: wanted where the site offers it, its certificate checked; implicit for `ftps://`."""
    encoding: str = ""
    """What the site's names are written in, as `latin-1` or `cp1251`; empty: UTF-8."""
    networks: tuple[str, ...] = ()
    """Networks whose clients may mount it, out of those of `[nfs]`; empty: all of them."""


class State(Table, frozen=True, kw_only=True):
    """`[state]`: what outlives the gateway."""

    directory: str = ""
    """Where file handles, the journal and the cache on disk lie; empty: among the user's state."""
    stop_seconds: float = 10.0
    """How long uploads that run may take to end when the gateway is told to stop."""


class Gateway(Table, frozen=True, kw_only=True):
    """A gateway's whole file."""

    state: State = State()
    nfs: NfsDoor = NfsDoor()
    remote: Remote = Remote()
    cache: Cache = Cache()
    journal: Journal = Journal()
    sites: dict[str, SiteOf] = msgspec.field(default_factory=dict)


def load_gateway(path: Path) -> Gateway:
    """Read a gateway's file.

    Raises:
        ConfigError: It can't be read, or says something that can't be; the message names the key.
    """
    gateway = load(path, Gateway)
    at = path.resolve().parent
    split_address("nfs.listen", gateway.nfs.listen)
    if gateway.nfs.ticket_seconds <= 0 or gateway.state.stop_seconds <= 0:
        raise ConfigError("nfs.ticket_seconds and state.stop_seconds want more than 0")
    for name in gateway.sites:
        _check_name(name)
    _check_reading(gateway)
    for key in ("connections", "calls", "memory_bytes", "replies", "logins"):
        if getattr(gateway.nfs, key) < 1:
            raise ConfigError(f"nfs.{key}: want at least 1")
    for key in ("idle_seconds", "stall_seconds", "hold_seconds", "login_seconds"):
        if getattr(gateway.nfs, key) <= 0:
            raise ConfigError(f"nfs.{key}: want more than 0")
    return msgspec.structs.replace(
        gateway,
        remote=msgspec.structs.replace(
            gateway.remote,
            trust_file=str(at / gateway.remote.trust_file) if gateway.remote.trust_file else "",
        ),
        state=msgspec.structs.replace(
            gateway.state,
            directory=str(at / gateway.state.directory) if gateway.state.directory else "",
        ),
        sites={
            name: msgspec.structs.replace(
                site, password_file=str(at / site.password_file) if site.password_file else ""
            )
            for name, site in gateway.sites.items()
        },
    )


def _check_reading(gateway: Gateway) -> None:
    """See that sites can be read with these limits."""
    for key in ("connections", "heads"):
        if getattr(gateway.remote, key) < 1:
            raise ConfigError(f"remote.{key}: want at least 1")
    for key in ("connect", "reply", "stall", "idle", "away", "retry_first", "retry_most", "limit"):
        if getattr(gateway.remote, f"{key}_seconds") <= 0:
            raise ConfigError(f"remote.{key}_seconds: want more than 0")
    if 0 < gateway.remote.sleep_seconds < LEAST_SLEEP_SECONDS or gateway.remote.sleep_seconds < 0:
        raise ConfigError(f"remote.sleep_seconds: want 0 or at least {LEAST_SLEEP_SECONDS:g}")
    if 0 < gateway.remote.leftover_seconds < LEAST_LEFTOVER_SECONDS or gateway.remote.leftover_seconds < 0:
        raise ConfigError(f"remote.leftover_seconds: want 0 or at least {LEAST_LEFTOVER_SECONDS:g}")
    if gateway.cache.memory_bytes < LEAST_CACHE_BYTES:  # what clients ask for at once has to fit
        raise ConfigError(f"cache.memory_bytes: want at least {LEAST_CACHE_BYTES}")
    for table, key in (
        (gateway.remote, "read_ahead_bytes"),
        (gateway.cache, "disk_bytes"),
        (gateway.cache, "spool_bytes"),
    ):
        if getattr(table, key) < 0:
            raise ConfigError(f"{key}: want 0 or more")


def _check_name(name: str) -> None:
    """See that a site can be mounted by its name, and that the name can't be taken for anything else."""
    if not name.isprintable() or set(name) & set("/:@ ") or name in (".", "..") or name.startswith(TICKET):
        raise ConfigError(
            f"sites.{name}: want a name without '/', ':', '@' and spaces that doesn't begin with {TICKET!r}"
        )
