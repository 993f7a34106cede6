"""First contact, and the certificates that come of it: "Enrolling" of `docs/link-protocol.md`."""

from __future__ import annotations

from argosy.wire.link.message import Message


class AskAuthority(Message, tag="authority"):
    """Before `Enrol`: which certificate authority? The answer is checked against the token's hash."""


class Authority(Message, tag="authority-is"):
    """The certificate authority's certificate, PEM."""

    certificate: bytes


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


class Renew(Message, tag="renew"):
    """A new certificate for a node whose old one is two thirds through."""

    request: bytes


Body = AskAuthority | Authority | Enrol | Enrolled | Renew
"""These messages are a frame's body."""
