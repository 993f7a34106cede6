"""The site's certificates: made once, kept private, and never more than what was asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from argosy import errors
from argosy.net import pki


def test_the_authority_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = pki.Authority.open(tmp_path / "keys")
    assert pki.Authority.open(tmp_path / "keys").pem == first.pem
    assert len(pki.fingerprint(first.pem)) == 64


def test_nobody_else_on_the_machine_can_read_a_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        authority = pki.Authority.open(tmp_path / "keys")
        authority.issue_master()
        authority.issue_ftp(["localhost"])
        pki.make_request(tmp_path / "keys" / "harbour.key", "harbour")
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").glob("*.key")}
    assert modes == dict.fromkeys(["authority.key", "ftp.key", "harbour.key", "master.key"], 0o600)


def test_an_authority_that_lost_its_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    pki.Authority.open(tmp_path)
    (tmp_path / "authority.key").unlink()
    with pytest.raises(errors.ConfigError, match="backup"):
        pki.Authority.open(tmp_path)


def test_a_start_cut_between_key_and_certificate_is_healed(tmp_path: Path) -> None:
    pki.Authority.open(tmp_path)
    (tmp_path / "authority.pem").unlink()
    authority = pki.Authority.open(tmp_path)
    authority.issue_master()
    assert (tmp_path / "master.pem").exists()


def test_certificates_that_are_still_good_are_left_alone(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path)
    authority.issue_master()
    authority.issue_ftp(["127.0.0.1", "ftp.example.org"])
    first = [(tmp_path / name).read_bytes() for name in ("master.pem", "ftp.pem")]
    again = pki.Authority.open(tmp_path)
    again.issue_master()
    again.issue_ftp(["ftp.example.org", "127.0.0.1"])
    assert [(tmp_path / name).read_bytes() for name in ("master.pem", "ftp.pem")] == first


def test_a_new_host_name_gives_a_new_ftp_certificate(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path)
    authority.issue_ftp(["127.0.0.1"])
    authority.issue_ftp(["127.0.0.1", "::1", "ftp.example.org"])
    certificate = x509.load_pem_x509_certificate((tmp_path / "ftp.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ftp.example.org"]
    assert sorted(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]


def test_a_certificate_past_two_thirds_of_its_life_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = pki.Authority.open(tmp_path)
    monkeypatch.setattr(pki, "OWN_DAYS", 0)  # over in this moment
    authority.issue_master()
    old = (tmp_path / "master.pem").read_bytes()
    monkeypatch.undo()
    authority.issue_master()
    assert (tmp_path / "master.pem").read_bytes() != old


def test_a_master_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    pki.Authority.open(tmp_path).issue_master()
    old = (tmp_path / "master.pem").read_bytes()
    for name in ("authority.pem", "authority.key"):
        (tmp_path / name).unlink()
    pki.Authority.open(tmp_path).issue_master()
    assert (tmp_path / "master.pem").read_bytes() != old


def test_a_node_gets_its_name_and_its_days_and_no_power_to_sign(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path / "master")
    request = pki.make_request(tmp_path / "node" / "harbour.key", "harbour")
    pem = authority.sign_node(request, "harbour", days=90)
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("urn:argosy:node:harbour")]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert timedelta(days=58) < pki.renew_at(pem) - datetime.now(UTC) < timedelta(days=61)


def test_a_certificate_that_cannot_be_shown_to_other_nodes_is_renewed_at_once(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path / "master")
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:argosy:node:harbour")])
    pem = authority._sign("harbour", key, names, [ExtendedKeyUsageOID.CLIENT_AUTH], 90)
    left = pki.renew_at(pem) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)  # for one just made: an old master made it


def test_asking_twice_uses_the_same_key(tmp_path: Path) -> None:
    keys = [
        x509.load_pem_x509_csr(pki.make_request(tmp_path / "harbour.key", "harbour")).public_key()
        for _ in range(2)
    ]
    assert keys[0] == keys[1]


def test_a_request_that_asks_to_be_the_master_gets_only_a_node_certificate(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path)
    cunning = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Argosy master")]))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(pki.MASTER_URI)]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    certificate = x509.load_pem_x509_certificate(authority.sign_node(cunning, "harbour", days=1))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("urn:argosy:node:harbour")]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "name",
    ["", "master", "Master", "ftp", "authority", "..", "../master", "a/b", "-a", "a b", "a\n", "ä", "x" * 64],
)
def test_names_that_no_node_may_have(tmp_path: Path, name: str) -> None:
    authority = pki.Authority.open(tmp_path)
    request = pki.make_request(tmp_path / "good.key", "good")
    with pytest.raises(errors.BadArgument):
        authority.sign_node(request, name, days=1)
    with pytest.raises(errors.BadArgument):
        pki.make_request(tmp_path / "bad.key", name)
    assert not (tmp_path / "bad.key").exists()


def test_requests_that_are_not_sound_are_refused(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path)
    rsa_request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(rsa.generate_private_key(65537, 2048), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    for request in (b"", b"hello", authority.pem, rsa_request, b"x" * 20_000):
        with pytest.raises(errors.BadArgument):
            authority.sign_node(request, "harbour", days=1)


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(serialization.Encoding.DER)


def test_only_the_masters_own_certificate_passes_for_the_masters(tmp_path: Path) -> None:
    site, other = pki.Authority.open(tmp_path / "site"), pki.Authority.open(tmp_path / "other")
    site.issue_master()
    site.issue_ftp(["localhost"])
    other.issue_master()
    request = pki.make_request(tmp_path / "harbour.key", "harbour")
    (tmp_path / "harbour.pem").write_bytes(site.sign_node(request, "harbour", days=1))

    pki.check_master(_der(tmp_path / "site" / "master.pem"), site.pem)
    for impostor in (
        tmp_path / "site" / "ftp.pem",
        tmp_path / "harbour.pem",
        tmp_path / "other" / "master.pem",
    ):
        with pytest.raises(pki.Untrusted):
            pki.check_master(_der(tmp_path / impostor), site.pem)
    with pytest.raises(pki.Untrusted):
        pki.check_master(b"nonsense", site.pem)


def test_an_expired_master_certificate_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = pki.Authority.open(tmp_path)
    monkeypatch.setattr(pki, "OWN_DAYS", 0)
    authority.issue_master()
    with pytest.raises(pki.Untrusted, match="clock"):
        pki.check_master(_der(tmp_path / "master.pem"), authority.pem)
