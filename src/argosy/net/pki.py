"""The site's own certificates: an authority, and what it signs for the master, the FTP door and the nodes.

Who somebody is stands in one URI of the certificate: `urn:argosy:master` or `urn:argosy:node:NAME`. The
FTP door's certificate has host names and addresses instead, for clients to check. A node's key never leaves
the node's machine: it sends a signing request, of which only the public key is taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from argosy.errors import BadArgument, ConfigError, Denied

MASTER_URI = "urn:argosy:master"
NODE_URI = "urn:argosy:node:"

AUTHORITY_DAYS = 20 * 365
"""The authority outlives the machines: a new one would mean that every node joins again."""

OWN_DAYS = 365
"""For the master's certificate and the FTP door's; looked at whenever a master starts."""

CLOCK_SKEW = timedelta(hours=1)
"""Certificates begin so long ago, for nodes whose clock is behind."""

REQUEST_LIMIT = 16_384
"""Bytes in a signing request; ours has about 500."""


class Untrusted(Denied):
    """That is not the site's master."""


_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_TAKEN = frozenset({"authority", "master", "ftp"})
"""Not for nodes: files of these names lie in the same directory."""


class Authority:
    """The site's certificate authority, and the directory where it keeps what it signs."""

    def __init__(self, keys: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self._keys = keys
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, keys: Path) -> Self:
        """Read the authority from its directory, or make it at first use.

        Raises:
            ConfigError: The directory or the files in it can't be read, or the key is gone. An authority
                is never replaced by itself: the nodes trust only the old one.
        """
        pem, key_path = keys / "authority.pem", keys / "authority.key"
        try:
            keys.mkdir(mode=0o700, parents=True, exist_ok=True)
            if pem.exists() and not key_path.exists():
                raise ConfigError(f"{key_path}: the authority's key is gone; bring it back from a backup")
            key = _load_or_make_key(key_path)
            if not pem.exists():
                _write(pem, _authority_certificate(key), 0o644)
            certificate = x509.load_pem_x509_certificate(pem.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{keys}: {error}") from error
        if certificate.public_key() != key.public_key():
            raise ConfigError(f"{keys}: authority.pem and authority.key don't belong together")
        return cls(keys, certificate, key)

    def issue_master(self) -> None:
        """Write `master.pem` and `master.key`, unless those that are there are good for longer.

        Raises:
            ConfigError: The directory can't be written, or the key not be read.
        """
        self._issue(
            "master",
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(MASTER_URI)]),
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
        )

    def issue_ftp(self, hosts: Sequence[str]) -> None:
        """Write `ftp.pem` and `ftp.key`, unless those there name these hosts and are good for longer.

        Args:
            hosts: Names and addresses under which clients reach the door and the nodes' data ports.

        Raises:
            BadArgument: One of them can't stand in a certificate.
            ConfigError: The directory can't be written, or the key not be read.
        """
        names = [_host(host) for host in sorted(set(hosts))]
        self._issue("ftp", x509.SubjectAlternativeName(names), [ExtendedKeyUsageOID.SERVER_AUTH])

    def sign_node(self, request: bytes, name: str, days: int) -> bytes:
        """Sign a node's request; of the request only the public key counts, never the names in it.

        It is for both sides of TLS, for nodes come to each other. The master's it can't be taken for: whoever
        looks for that wants its name, and a node's certificate has no host's, either.

        Args:
            request: Certificate signing request, PEM, as `make_request` gives it.
            name: The node's name.
            days: How long the certificate is good for.

        Raises:
            BadArgument: A name that no node may have, or a request that isn't sound. Tell the node.
        """
        check_node_name(name)
        if len(request) > REQUEST_LIMIT:
            raise BadArgument("a signing request as long as this")
        try:
            wanted = x509.load_pem_x509_csr(request)
            sound = wanted.is_signature_valid
            key = wanted.public_key()
        except (ValueError, TypeError) as error:
            raise BadArgument("the signing request can't be read") from error
        if not sound or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise BadArgument("the signing request isn't signed by a P-256 key")
        uri = x509.UniformResourceIdentifier(NODE_URI + name)
        alternative = x509.SubjectAlternativeName([uri])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(name, key, alternative, usages, days)

    def _issue(
        self, name: str, alternative: x509.SubjectAlternativeName, usages: list[x509.ObjectIdentifier]
    ) -> None:
        path = self._keys / f"{name}.pem"
        try:
            key = _load_or_make_key(self._keys / f"{name}.key")
            if not self._still_good(path, key, alternative):
                _write(path, self._sign(name, key.public_key(), alternative, usages, OWN_DAYS), 0o644)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self._keys}: {error}") from error

    def _still_good(
        self, path: Path, key: ec.EllipticCurvePrivateKey, alternative: x509.SubjectAlternativeName
    ) -> bool:
        try:
            pem = path.read_bytes()
            certificate = x509.load_pem_x509_certificate(pem)
            certificate.verify_directly_issued_by(self._certificate)
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        return (
            certificate.public_key() == key.public_key()
            and extension.value == alternative
            and renew_at(pem) > datetime.now(UTC)
        )

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        alternative: x509.SubjectAlternativeName,
        usages: list[x509.ObjectIdentifier],
        days: int,
    ) -> bytes:
        # Every extension that OpenSSL's strict mode (Python 3.13's default) asks for. RFC 5280 section 4.2.1.
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(f"Argosy {name}"))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(min(now + timedelta(days=days), self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(alternative, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def check_node_name(name: str) -> None:
    """Make sure that a node may be called so.

    Raises:
        BadArgument: Anything but letters, digits, dots, hyphens and underscores, or a name that is taken.
    """
    if not _NODE_NAME.fullmatch(name):
        raise BadArgument(f"a node's name has letters, digits and . _ - only, 63 at most, not {name!r}")
    if name.lower() in _TAKEN:
        raise BadArgument(f"no node may be called {name!r}")


def make_request(key_path: Path, name: str) -> bytes:
    """Give a certificate signing request for a node, PEM; its key is made when it isn't there.

    Raises:
        BadArgument: A name that no node may have.
        ConfigError: The key can't be written or read.
    """
    check_node_name(name)
    try:
        key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _load_or_make_key(key_path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key_path}: {error}") from error
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(f"Argosy {name}"))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def fingerprint(pem: bytes) -> str:
    """Give the hex SHA-256 of a certificate (of its DER form), as join tokens carry it.

    Raises:
        BadArgument: It is no certificate.
    """
    return _read(pem).fingerprint(hashes.SHA256()).hex()


def renew_at(pem: bytes) -> datetime:
    """Give the time when two thirds of a certificate's life are over.

    One that isn't for servers can't be shown to other nodes. It is due an hour after it was signed: at once
    where it is an older master's, and not again and again where the master still is of that kind.

    Raises:
        BadArgument: It is no certificate.
    """
    certificate = _read(pem)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        return certificate.not_valid_before_utc + CLOCK_SKEW + timedelta(hours=1)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_before_utc + life * 2 / 3


def check_master(leaf: bytes, authority: bytes) -> None:
    """Make sure that a TLS peer's certificate is the master's, by an authority that is already trusted.

    For enrolling, when the authority is learnt over the very connection that it has to vouch for.

    Args:
        leaf: What the peer showed, DER.
        authority: The authority's certificate, PEM.

    Raises:
        Untrusted: It isn't. Hang up.
        BadArgument: The authority's certificate is none.
    """
    issuer = _read(authority)
    now = datetime.now(UTC)
    try:
        certificate = x509.load_der_x509_certificate(leaf)
        certificate.verify_directly_issued_by(issuer)
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise Untrusted("the master's certificate isn't signed by the site's authority") from error
    if list(alternative) != [x509.UniformResourceIdentifier(MASTER_URI)]:
        raise Untrusted("that certificate is the site's, but not the master's")
    if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        raise Untrusted("the master's certificate isn't for servers")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Untrusted("the master's certificate isn't valid at this time; is the clock right?")


def write_public(path: Path, pem: bytes) -> None:
    """Put a certificate in place, whole or not at all.

    Raises:
        ConfigError: It can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, pem, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: {error}") from error


def _authority_certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    now = datetime.now(UTC)
    name = _subject("Argosy authority")
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str) -> x509.Name:
    # At most 64 characters, RFC 5280 appendix A.1 (ub-common-name); nobody decides anything by it.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host.encode("idna").decode("ascii"))
    except ValueError as error:
        raise BadArgument(f"{host!r} is neither a host name nor an address") from error


def _read(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise BadArgument("that is no certificate") from error


def _load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path.name} isn't an elliptic curve key")
        return loaded
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, pem, 0o600)
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    # Whole or not at all: a certificate cut by a power loss would keep the master from starting.
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.rename(path)
