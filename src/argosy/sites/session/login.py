"""How a login begins: the greeting, TLS, name and password, and what is chosen of what the site can."""

from __future__ import annotations

import re

from argosy import errors
from argosy.config import Remote
from argosy.sites.model import Address, Tls
from argosy.sites.session import refusals
from argosy.sites.session.control import Control
from argosy.sites.session.dialect import Dialect
from argosy.sites.session.transfers import client_context
from argosy.wire.ftp import features
from argosy.wire.ftp.answers import Answer

_TAKES_BYTES_AS_THEY_ARE = re.compile(r"vsftpd|pure-?ftpd", re.IGNORECASE)
"""Servers that know nothing of Telnet, whose byte 255 is to be doubled: RFC 959 section 4.1.3, RFC 854."""

_ANONYMOUS_PASSWORD = "argosy@"  # noqa: S105 - no secret: RFC 1635 asks for an address


def greet(control: Control, address: Address, dialect: Dialect, settings: Remote) -> bool:
    """Hear the greeting, and encrypt as the address wants it; say whether it's encrypted. RFC 4217 section 4.

    Raises:
        Untrusted: The site's certificate isn't one that we trust.
        Unsupported: TLS is needed, or was there before, and the site has none.
        TooMany, LoginFailed, Unavailable: It lets nobody in.
    """
    context = client_context(settings)
    if address.tls is Tls.IMPLICIT:
        control.encrypt(context)
    greeting = control.hear(settings.connect_seconds)
    while greeting.preliminary:  # 120: ready in so many minutes
        greeting = control.hear()
    if not greeting.good:
        raise _not_let_in(greeting, address)
    dialect.greeting = dialect.greeting or greeting.text
    control.doubles = not _TAKES_BYTES_AS_THEY_ARE.search(greeting.text)
    if address.tls is Tls.IMPLICIT:
        return True
    if address.tls is Tls.OFF or (address.tls is Tls.WANTED and dialect.encrypts is False):
        return False
    answer = control.ask("AUTH", "TLS")
    if answer.good:
        control.encrypt(context)
        dialect.learn(encrypts=True)
        return True
    if address.tls is Tls.NEEDED or dialect.encrypts:
        raise errors.Unsupported(f"{address.host} has no TLS: {answer.text}")
    dialect.learn(encrypts=False)
    return False


def log_in(control: Control, address: Address, dialect: Dialect, *, encrypted: bool) -> bool:
    """Say name and password; say whether data is encrypted, too. RFC 959 section 4.1.1, RFC 4217 section 9.

    Raises:
        LoginFailed: The site doesn't take them.
        TooMany: It has as many of us as it wants.
        Unsupported: It doesn't encrypt data, though that is needed.
    """
    answer = control.ask("USER", address.user)
    if answer.code in (331, 336):
        password = address.password
        if not password and address.user in ("anonymous", "ftp"):
            password = _ANONYMOUS_PASSWORD
        answer = control.ask("PASS", password)
    if not answer.good:
        raise _not_let_in(answer, address)
    if not encrypted:
        return False
    control.ask("PBSZ", "0")
    protected = control.ask("PROT", "P").good
    dialect.learn(protects=protected)
    if not protected and address.tls is not Tls.WANTED:
        raise errors.Unsupported(f"{address.host} doesn't encrypt data")
    return protected


def choose(control: Control, address: Address, dialect: Dialect) -> None:
    """Hear what the site can, once, and choose what we need: bytes as they are, UTF-8, MLST's facts.

    Raises:
        Unsupported: It can't send files as they are.
    """
    if dialect.features is None:
        dialect.features = features.of(control.ask("FEAT"))
        dialect.pret = dialect.has("PRET")
    answer = control.ask("TYPE", "I")
    if not answer.good:
        raise errors.Unsupported(f"{address.host} doesn't send files as they are: {answer.text}")
    if dialect.has("UTF8") and not address.encoding:
        control.ask("OPTS", "UTF8 ON")  # RFC 2640 has no such thing; sites want it all the same
    if options := dialect.features.fact_options():
        control.ask("OPTS", f"MLST {options}")


def _not_let_in(answer: Answer, address: Address) -> errors.Refused:
    if refusals.is_limit(answer):
        return errors.TooMany(f"{address.host}: {answer.text}")
    if answer.code in (430, 530, 532, 331, 332):
        return errors.LoginFailed(f"{address.user} at {address.host}: {answer.text}")
    return refusals.refusal(answer, f"{address.host}: {answer.text}")
