"""The FTP door's certificate is exchanged under way."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from argosy import errors
from argosy.net import tls
from argosy.net.certificate import Certificate

LIMIT_SECONDS = 10.0


def write(directory: Path, name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    """Write a certificate that signs itself, and its key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (directory / "pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def shown_by(server: ssl.SSLContext, *, hostname: str | None = None) -> str:
    """Shake hands, and give the name in the certificate that the server shows."""
    ours, theirs = socket.socketpair()
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    def serve() -> None:
        with server.wrap_socket(ours, server_side=True) as secured:
            secured.sendall(b"x")

    for end in (ours, theirs):
        end.settimeout(LIMIT_SECONDS)
    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(theirs, server_hostname=hostname) as secured:
        assert secured.recv(1) == b"x"
        der = secured.getpeercert(binary_form=True)
    thread.join()
    assert der is not None
    (name,) = x509.load_der_x509_certificate(der).subject
    return str(name.value)


async def test_a_new_certificate_is_shown_without_a_restart_whatever_its_kind(tmp_path: Path) -> None:
    write(tmp_path, "first", rsa.generate_private_key(65_537, 2048))
    certificate = Certificate(lambda: (tmp_path / "pem", tmp_path / "key"))
    changed = asyncio.Event()
    watching = asyncio.create_task(certificate.watch(0.01, changed.set))
    contexts = (certificate.control, certificate.data)
    assert {await asyncio.to_thread(shown_by, one) for one in contexts} == {"first"}
    for name, key in (
        ("second", ec.generate_private_key(ec.SECP256R1())),
        ("third", rsa.generate_private_key(65_537, 2048)),
    ):
        changed.clear()
        write(tmp_path, name, key)
        async with asyncio.timeout(LIMIT_SECONDS):
            await changed.wait()
        assert {await asyncio.to_thread(shown_by, one) for one in contexts} == {name}
        assert await asyncio.to_thread(lambda: shown_by(certificate.data, hostname="localhost")) == name
        assert certificate.pem[0] == (tmp_path / "pem").read_bytes()
    watching.cancel()


async def test_files_that_do_not_belong_together_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "good", ec.generate_private_key(ec.SECP256R1()))
    certificate = Certificate(lambda: (tmp_path / "pem", tmp_path / "key"))
    (tmp_path / "other").mkdir()
    write(tmp_path / "other", "bad", ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "key").write_bytes((tmp_path / "other/key").read_bytes())
    watching = asyncio.create_task(certificate.watch(0.01, lambda: pytest.fail("it is in use")))
    async with asyncio.timeout(LIMIT_SECONDS):
        while not caplog.records:
            await asyncio.sleep(0.01)
    (tmp_path / "pem").unlink()
    await asyncio.sleep(0.1)
    watching.cancel()
    assert await asyncio.to_thread(shown_by, certificate.control) == "good"
    assert sum("key values mismatch" in record.getMessage().lower() for record in caplog.records) == 1


def test_a_certificate_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="pem"):
        Certificate(lambda: (tmp_path / "pem", tmp_path / "key"))
    with pytest.raises(errors.ConfigError, match="certificate"):
        tls.ftp_server(b"nonsense", b"nonsense")
