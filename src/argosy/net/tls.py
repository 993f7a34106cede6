"""TLS contexts for the link, the FTP door and data connections; and who a certificate says the peer is."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.errors import ConfigError
from argosy.net import resumption
from argosy.net.pki import MASTER_URI, NODE_URI

MASTER = "master"
"""What `identity` calls the master."""


def link_server(keys: Path) -> ssl.SSLContext:
    """Give the master's end of the link: TLS 1.3, a client certificate of our authority or none at all.

    A peer without a certificate may only enrol; ask `identity` who it is.

    Raises:
        ConfigError: `authority.pem`, `master.pem` or `master.key` can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(context, keys / "master.pem", keys / "master.key", keys / "authority.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # a relay's sender wouldn't read them, and would reset the connection by closing
    return context


def link_client(keys: Path, name: str) -> ssl.SSLContext:
    """Give a node's end of the link: TLS 1.3, its own certificate, our authority and no other.

    Host names aren't checked, for the master may be reached by any. The caller makes sure that
    `identity` says `MASTER`: the FTP door's certificate is signed by the same authority.

    Raises:
        ConfigError: `authority.pem`, `NAME.pem` or `NAME.key` can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    _load(context, keys / f"{name}.pem", keys / f"{name}.key", keys / "authority.pem")
    return context


def node_server(keys: Path, name: str) -> ssl.SSLContext:
    """Give a node's end of a connection that another node makes: TLS 1.3, certificates on both sides.

    Any node of the site gets so far: the caller makes sure that `identity` says who it waits for.

    Raises:
        ConfigError: `authority.pem`, `NAME.pem` or `NAME.key` can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(context, keys / f"{name}.pem", keys / f"{name}.key", keys / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # as for a relay: who only takes bytes wouldn't come back with one
    return context


def enrol_client() -> ssl.SSLContext:
    """Give the end of a link for a node that has nothing yet: it trusts nobody by TLS.

    Only for enrolling, where `pki.check_master` looks at the peer's certificate before a secret is told.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ftp_server(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Give the FTP door's control connections their context: TLS 1.2 or 1.3, no client certificates.

    Args:
        certificate: The door's certificate chain, PEM.
        key: Its key, PEM.

    Raises:
        ConfigError: They can't be read, or don't belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_pem(context, certificate, key)
    return context


def data_server(certificate: bytes, key: bytes, *, resuming: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """Give data connections their context, on the master as on the nodes.

    It hands out no session tickets: a client that only sends wouldn't read them, and closing with
    something unread resets the connection, which can cost the end of an upload.

    A bare FIN counts as the end of the data, for many clients never say close_notify. OpenSSL has to be told:
    were it an error that we pass over, a reset would pass for an end, too, since Python before 3.12.4 reports
    both as the same (its issue 115627).

    Args:
        certificate: The door's certificate chain, PEM.
        key: Its key, PEM.
        resuming: The control connections' context, if it is in this process: a client may go on with a
            session that began there.

    Raises:
        ConfigError: They can't be read, or don't belong together.
    """
    context = ftp_server(certificate, key)
    context.num_tickets = 0
    if resuming is None or not resumption.share(resuming, context):
        context.options |= ssl.OP_NO_TICKET  # the same for TLS 1.2
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def supersede(context: ssl.SSLContext, newer: ssl.SSLContext) -> None:
    """Have a server's context show another's certificate from now on, without a word to who uses it.

    Loading a second chain into a context would leave the first beside it where their keys are of two kinds.
    """

    def switch(made: ssl.SSLObject | ssl.SSLSocket, name: str | None, used: ssl.SSLContext) -> None:
        del name, used
        made.context = newer

    context.sni_callback = switch  # called for each handshake, whether the client names a host or not


def node_identity(name: str) -> str:
    """Give what `identity` says of a node."""
    return f"node:{name}"


def identity(peer_certificate: Mapping[str, Any] | None) -> str:
    """Say who the peer is: `master`, `node:NAME`, or nothing at all.

    Args:
        peer_certificate: What `getpeercert()` gave. It is empty unless the chain was verified, so
            a certificate that nobody checked makes nobody of its owner.
    """
    names = (peer_certificate or {}).get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    if len(names) != 1 or len(uris) != 1:
        return ""  # ours have just one name: with two, one of them could be for show
    (uri,) = uris
    if uri == MASTER_URI:
        return MASTER
    name = uri.removeprefix(NODE_URI)
    return f"node:{name}" if name and name != uri else ""


def _load_pem(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # OpenSSL reads certificates from files only, and the key shall not lie on a node's disk.
    descriptor = os.memfd_create("argosy-certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(certificate + b"\n" + key)
        _load(context, Path(f"/proc/self/fd/{descriptor}"), None, called="the FTP door's certificate")
    finally:
        os.close(descriptor)


def _load(
    context: ssl.SSLContext,
    certificate: Path,
    key: Path | None,
    authority: Path | None = None,
    *,
    called: str = "",
) -> None:
    try:
        context.load_cert_chain(certificate, key)
        if authority is not None:
            context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{called or certificate}: {error}") from error
